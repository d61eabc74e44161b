//! Why a text is not JSON.

use crate::parse::MAX_DEPTH;

/// Why a text is not JSON, or not JSON that fits. Offsets count from the start of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Something else should stand here.
    #[error("expected {expected} at byte {at}")]
    Expected {
        /// What should stand there.
        expected: &'static str,
        /// Where.
        at: usize,
    },
    /// A control character, or a bad escape, in a string.
    #[error("a string may not hold this at byte {at}: {what}")]
    BadString {
        /// What is wrong.
        what: &'static str,
        /// Where.
        at: usize,
    },
    /// The text ends too early.
    #[error("the text ends in the middle of a value")]
    Unfinished,
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH} at byte {at}")]
    TooDeep {
        /// Where.
        at: usize,
    },
    /// The batch has no room for another distinct key, or another 4 GiB. The text may be fine: try it once more, in a
    /// fresh batch.
    #[error("the batch is full: it holds at most 65,535 distinct keys, and 4 GiB")]
    KeysFull,
}

// === impl JsonError ===

impl JsonError {
    /// The same, with offsets from `start` on.
    pub(crate) fn relative_to(self, start: usize) -> JsonError {
        match self {
            JsonError::Expected { expected, at } => JsonError::Expected { expected, at: at - start },
            JsonError::BadString { what, at } => JsonError::BadString { what, at: at - start },
            JsonError::TooDeep { at } => JsonError::TooDeep { at: at - start },
            other => other,
        }
    }
}
