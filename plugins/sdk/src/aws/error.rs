//! What an account can't do.

use crate::http::Failure;
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
