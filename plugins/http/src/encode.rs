//! Bodies of requests.

use suiro_record::{Batch, Kind, LOG_KEY, Row};
use suiro_sdk::Delivery;
use suiro_sdk::http::{write_document, write_line};

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
            Format::Raw => delivery.records().for_each(|(batch, row)| write_raw(batch, row, out)),
        }
    }
}

fn write_raw(batch: &Batch, row: &Row, out: &mut Vec<u8>) {
    if let Some(text) = batch.sole_text(row.root()) {
        out.extend_from_slice(text);
    } else {
        // The text may be there with JSON's escapes in it.
        let body = batch.body(row.root());
        let mut members = body.children();
        let sole = members.next().filter(|_| members.next().is_none() && body.kind() == Kind::Object);
        match sole.filter(|member| member.key() == Some(LOG_KEY)).and_then(|member| member.as_str()) {
            Some(text) => out.extend_from_slice(text.as_bytes()),
            None => batch.write_json(row, out),
        }
    }
    out.push(b'\n');
}
