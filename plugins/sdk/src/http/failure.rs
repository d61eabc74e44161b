//! A request that got no answer.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use crate::output::Outcome;

/// Why there is no answer, or no whole one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    /// In words.
    text: String,
    /// Nothing of the request was sent.
    pub unsent: bool,
    /// An operator must mend it: a certificate that isn't trusted.
    pub degraded: bool,
    /// When to try again, if the server said.
    after: Option<Duration>,
}

// === impl Failure ===

impl Failure {
    pub(super) fn new(error: reqwest::Error) -> Self {
        let unsent = error.is_connect() || error.is_builder();
        let what = if error.is_redirect() {
            "a redirect is not followed"
        } else if error.is_timeout() {
            "no answer in time"
        } else if unsent {
            "can't connect"
        } else {
            "the connection broke"
        };
        // The innermost error says what happened, those around it only where.
        let mut cause = error.source();
        let mut degraded = error.is_redirect();
        let mut inner = None;
        while let Some(error) = cause {
            degraded |= is_tls(error);
            inner = Some(error.to_string());
            cause = error.source();
        }
        let host = error.url().map(|url| format!(" ({})", authority(url))).unwrap_or_default();
        let text = match inner {
            Some(inner) => format!("{what}{host}: {inner}"),
            None => format!("{what}{host}"),
        };
        Failure { text, unsent, degraded, after: None }
    }

    pub(super) fn no_endpoint() -> Self {
        Failure::before_sending("there is no `url`".to_owned())
    }

    /// The request could not be made; an operator must mend that.
    pub(crate) fn before_sending(text: String) -> Self {
        Failure { text, unsent: true, degraded: true, after: None }
    }

    /// It was sent, and who sends was refused.
    #[cfg(feature = "aws")]
    pub(crate) fn refused(text: String, after: Option<Duration>, degraded: bool) -> Self {
        Failure { text, unsent: false, degraded, after }
    }

    /// What the driver does about it: nobody knows what the other side has, so all of it is tried again.
    pub fn into_outcome(self) -> Outcome {
        Outcome::Retry { why: self.text, after: self.after, degraded: self.degraded }
    }
}

/// Whether it is TLS that failed: an I/O error may wrap another one around it, out of its chain of sources.
fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    if error.is::<rustls::Error>() {
        return true;
    }
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    wrapped.is_some_and(|wrapped| is_tls(wrapped))
}

fn authority(url: &reqwest::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
