//! What an account can't do, and how the errors of the SDK read.

use std::error::Error;

use crate::http::{Failure, excerpt};
use crate::output::Outcome;

/// What can't be had, which provider failed and why, and the setting that mends it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AccountError(pub(super) String);

// === impl AccountError ===

impl AccountError {
    /// What the driver does about it: it tries again, and health says degraded, since an operator must mend it.
    pub fn into_outcome(self) -> Outcome {
        Outcome::Retry { why: self.0, after: None, degraded: true }
    }
}

impl From<AccountError> for Failure {
    /// Nothing was sent.
    fn from(error: AccountError) -> Failure {
        Failure::before_sending(error.0)
    }
}

/// An error and what it was caused by, on one line. Errors of the SDK say little on the outside.
pub(super) fn in_words(error: &dyn Error) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let part = error.to_string();
        // Many repeat what is inside them, some say only where they were.
        if !part.is_empty() && !text.contains(&part) && !SAYS_NOTHING.contains(&part.as_str()) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&part);
        }
        next = error.source();
    }
    if text.is_empty() { error.to_string() } else { excerpt(text.as_bytes()) }
}

/// What the SDK's outer errors say, whose inner ones say what happened.
const SAYS_NOTHING: [&str; 9] = [
    "an error occurred while loading credentials",
    "the credentials provider was not properly configured",
    "the credential provider was not enabled",
    "unexpected credentials error",
    "unhandled error",
    "service error",
    "dispatch failure",
    "io error",
    "client error",
];

#[cfg(test)]
mod tests {
    use aws_credential_types::provider::error::CredentialsError;

    use super::*;

    #[test]
    fn what_happened_stands_inside() {
        let error = CredentialsError::provider_error(std::io::Error::other("the socket is gone\r\nfor ever"));
        assert_eq!(in_words(&error), "the socket is gone for ever");
        assert_eq!(in_words(&CredentialsError::not_loaded_no_source()), "the credential provider was not enabled");
        let outcome = AccountError("no region".to_owned()).into_outcome();
        assert_eq!(outcome, Outcome::Retry { why: "no region".to_owned(), after: None, degraded: true });
    }
}
