//! What an answer of a service means.

use crate::http::Answer;
use crate::output::Outcome;

/// Code and message of an answer that is no success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceError {
    /// `ThrottlingException`, without namespace and URL.
    pub code: String,
    /// In the service's words; perhaps empty.
    pub message: String,
}

// === impl ServiceError ===

impl ServiceError {
    /// Reads it; `None` of a success, and of what no service of AWS's wrote.
    pub fn of(answer: &Answer) -> Option<Self> {
        let _ = answer;
        None
    }
}

/// What an answer means.
pub fn judge(answer: &Answer) -> Outcome {
    crate::http::judge(answer)
}
