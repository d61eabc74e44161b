//! What a parser is: from the text of a line to the body of a record.

use std::ops::Range;

use suiro_record::{Batch, JsonError, Path, RootId};

use crate::time::TimeFormat;

/// A parser, as configured. Shared by all workers.
pub trait Parser: Send + Sync {
    /// Makes a body of the text in `span` of the heap (valid UTF-8, no line end). On an error the batch is as it was.
    fn parse(&self, batch: &mut Batch, span: Range<usize>) -> Result<RootId, ParseError>;

    /// Where a record's own time is found.
    fn time(&self) -> &TimeRule {
        &TimeRule::None
    }
}

/// Why a text is not what the parser reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// It isn't.
    #[error("{0}")]
    Mismatch(String),
    /// The batch has no room for the record's keys; a fresh one may have.
    #[error("more than 65,535 distinct keys in one batch")]
    KeysFull,
}

/// Where a record's own time is found.
#[derive(Debug)]
pub enum TimeRule {
    /// Nowhere: the time of reading counts.
    None,
    /// The first of `@timestamp`, `timestamp`, `time`, `ts` that parses as RFC 3339 or epoch. The field stays.
    Auto,
    /// One field.
    Field {
        /// Which.
        path: Path,
        /// How it is written.
        format: TimeFormat,
        /// Whether the field stays.
        keep: bool,
    },
}

impl From<JsonError> for ParseError {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::KeysFull => ParseError::KeysFull,
            error => ParseError::Mismatch(error.to_string()),
        }
    }
}
