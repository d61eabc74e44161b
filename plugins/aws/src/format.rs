//! How a record is written where nothing but bytes is asked for: in an object, in a record of a stream.

use suiro_sdk::document::{write_document, write_full, write_text};
use suiro_sdk::record::{Batch, Row};

/// What a record looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// The body as a JSON map, on one line.
    #[default]
    Json,
    /// A body that is nothing but a text as that text, any other as JSON.
    Raw,
    /// What stands beside the record too, under its paths (`@time`, `@tag`, `@resource`, ...), then the body.
    Full,
}

// === impl Format ===

impl Format {
    /// Appends a record, without a line end.
    #[inline]
    pub(crate) fn write(self, batch: &Batch, row: &Row, out: &mut Vec<u8>) {
        match self {
            Format::Json => write_document(batch, row, out),
            Format::Raw => write_text(batch, row, out),
            Format::Full => write_full(batch, row, out),
        }
    }
}
