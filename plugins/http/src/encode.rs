//! Bodies of requests.

use suiro_sdk::Delivery;
use suiro_sdk::document::{write_document, write_line, write_text};

/// How records are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// A JSON map and a line break each.
    #[default]
    JsonLines,
    /// A list of JSON maps.
    Json,
    /// A line each: a record that is nothing but a text as that text, any other as JSON.
    Raw,
}

// === impl Format ===

impl Format {
    pub(crate) const ALL: [(&'static str, Format); 3] =
        [("json_lines", Format::JsonLines), ("json", Format::Json), ("raw", Format::Raw)];

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Format::JsonLines => "application/x-ndjson",
            Format::Json => "application/json",
            Format::Raw => "text/plain; charset=utf-8",
        }
    }

    /// Appends the records of `delivery`.
    pub(crate) fn write(self, delivery: &Delivery, out: &mut Vec<u8>) {
        match self {
            Format::JsonLines => delivery.records().for_each(|(batch, row)| write_line(batch, row, out)),
            Format::Json => {
                out.push(b'[');
                for (n, (batch, row)) in delivery.records().enumerate() {
                    if n > 0 {
                        out.push(b',');
                    }
                    write_document(batch, row, out);
                }
                out.push(b']');
            }
            Format::Raw => delivery.records().for_each(|(batch, row)| {
                write_text(batch, row, out);
                out.push(b'\n');
            }),
        }
    }
}
