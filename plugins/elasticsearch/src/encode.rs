//! The body of `_bulk`, out of a delivery.
//!
//! ```text
//! {"create":{"_index":"app","_id":"AAAAAAAAAAAAAAAAAAAABw-0-10"}}\n
//! {"@timestamp":"2026-11-22T16:29:03Z","level":"info"}\n
//! ```
//!
//! This is the agent's hottest loop: what does not change from record to record is made once, a time that repeats is
//! copied from the record before, and the members of an untouched body are one copy.

use std::ops::Range;

use suiro_record::{Batch, Kind, LOG_KEY, Path, Row, write_json_str};
use suiro_sdk::lang::{Destination, Refusal};
use suiro_sdk::{Delivery, Reason, Verdict, time};

use crate::settings::{Action, Id};

/// Longer ids make the server refuse the whole request.
const MAX_ID: usize = 512;

/// Writes bodies.
#[derive(Debug)]
pub struct Encoder {
    index: Destination,
    id: Id,
    /// The action line up to the index, or with it where it is always the same.
    head: Vec<u8>,
    /// The body's own `@timestamp`.
    timestamp: Path,
}

/// What a body holds.
#[derive(Debug, Default)]
pub struct Encoded {
    /// Numbers of the records that are in it, in order.
    pub sent: Vec<usize>,
    /// Those that are not, and why.
    pub apart: Vec<(usize, Verdict)>,
}

/// The index that was rendered last, and the same in JSON.
#[derive(Default)]
struct Chosen {
    index: Vec<u8>,
    json: Vec<u8>,
}

/// The second that was written last, and where: up to its last digit. Records that follow each other mostly share it.
type Stamp = Option<(i64, Range<usize>)>;

const SECOND: i64 = 1_000_000_000;
/// Bytes of `2026-11-22T16:29:03`.
const TO_SECOND: usize = 19;

// === impl Encoder ===

impl Encoder {
    /// One for these settings.
    pub fn new(index: Destination, action: Action, id: Id) -> Self {
        let mut head = format!("{{\"{}\":{{\"_index\":", action.name()).into_bytes();
        if let Some(index) = index.is_literal() {
            write_json_str(index, &mut head);
        }
        Encoder { index, id, head, timestamp: Path::key("@timestamp") }
    }

    /// Whether a 409 means that the server has the record.
    pub fn ids_are_ours(&self) -> bool {
        self.id.is_ours()
    }

    /// Appends the body for `delivery` to `out`.
    pub fn encode(&self, delivery: &Delivery, out: &mut Vec<u8>) -> Encoded {
        let mut encoded = Encoded { sent: Vec::with_capacity(delivery.len()), apart: Vec::new() };
        let mut number = 0;
        let mut text = Vec::new();
        let mut chosen = Chosen::default();
        let mut stamp: Stamp = None;
        for part in &delivery.parts {
            let batch: &Batch = &part.batch;
            let timestamp = batch.resolve(&self.timestamp);
            let index = self.index.is_literal().is_none().then(|| self.index.prepare(batch));
            let id = match &self.id {
                Id::Template(template) => Some(template.prepare(batch)),
                Id::Server | Id::Origin => None,
            };
            for row in part.records() {
                let from = out.len();
                out.extend_from_slice(&self.head);
                let mut refused = None;
                if let Some(index) = &index {
                    text.clear();
                    match index.render(batch, row, &mut text) {
                        Ok(()) => chosen.write(&text, out),
                        Err(refusal) => refused = Some(verdict(&refusal)),
                    }
                }
                match (&self.id, &id) {
                    (Id::Origin, _) => {
                        out.extend_from_slice(b",\"_id\":\"");
                        batch.origin(row).write_id(out);
                        out.push(b'"');
                    }
                    (_, Some(id)) => {
                        text.clear();
                        if id.render(batch, row, &mut text).is_ok() && !text.is_empty() {
                            out.extend_from_slice(b",\"_id\":");
                            write_text(&text, out);
                        }
                        if text.len() > MAX_ID {
                            refused.get_or_insert_with(|| too_long(text.len()));
                        }
                    }
                    _ => {}
                }
                if let Some(verdict) = refused {
                    out.truncate(from);
                    encoded.apart.push((number, verdict));
                } else {
                    out.extend_from_slice(b"}}\n");
                    let stamped = batch.get(row, &timestamp).is_some();
                    write_source(batch, row, stamped, &mut stamp, out);
                    encoded.sent.push(number);
                }
                number += 1;
            }
        }
        encoded
    }
}

// === impl Chosen ===

impl Chosen {
    #[inline]
    fn write(&mut self, index: &[u8], out: &mut Vec<u8>) {
        if self.index != index {
            self.index.clear();
            self.index.extend_from_slice(index);
            self.json.clear();
            write_text(index, &mut self.json);
        }
        out.extend_from_slice(&self.json);
    }
}

/// Appends the document and a line break.
#[inline]
fn write_source(batch: &Batch, row: &Row, stamped: bool, stamp: &mut Stamp, out: &mut Vec<u8>) {
    const OPEN: &[u8] = b"{\"@timestamp\":\"";
    if stamped {
        batch.write_json(row, out);
        out.push(b'\n');
        return;
    }
    let (second, nanos) = (row.time.div_euclid(SECOND), row.time.rem_euclid(SECOND));
    match stamp {
        Some((written, at)) if *written == second => out.extend_from_within(at.clone()),
        _ => {
            let from = out.len();
            out.extend_from_slice(OPEN);
            time::write_rfc3339(row.time, out);
            out.truncate(from + OPEN.len() + TO_SECOND);
            *stamp = Some((second, from..out.len()));
        }
    }
    write_fraction(nanos.unsigned_abs(), out);
    out.extend_from_slice(b"Z\",");
    let body = batch.body(row.root());
    if body.kind() != Kind::Object {
        write_json_str(LOG_KEY, out);
        out.push(b':');
        body.write_json(out);
    } else if !batch.write_members(row.root(), out) {
        // The comma was for members.
        out.pop();
    }
    out.extend_from_slice(b"}\n");
}

/// Three, six or nine digits, or nothing, as [`time::write_rfc3339`] has it.
#[inline]
fn write_fraction(nanos: u64, out: &mut Vec<u8>) {
    if nanos == 0 {
        return;
    }
    let mut text = *b".000000000";
    for (group, at) in [(nanos / 1_000_000, 1), (nanos / 1000 % 1000, 4), (nanos % 1000, 7)] {
        for (digit, place) in text[at..at + 3].iter_mut().zip([100, 10, 1]) {
            *digit += (group / place % 10) as u8;
        }
    }
    let digits = match nanos {
        n if n % 1_000_000 == 0 => 3,
        n if n % 1000 == 0 => 6,
        _ => 9,
    };
    out.extend_from_slice(&text[..1 + digits]);
}

fn write_text(text: &[u8], out: &mut Vec<u8>) {
    write_json_str(&String::from_utf8_lossy(text), out);
}

fn verdict(refusal: &Refusal<'_>) -> Verdict {
    if refusal.is_drop() {
        Verdict::Drop(Reason::MISSING_FIELD)
    } else {
        Verdict::Refused { reason: refusal.reason(), detail: format!("`index`: {refusal}") }
    }
}

fn too_long(len: usize) -> Verdict {
    Verdict::Refused {
        reason: Reason::TOO_LARGE,
        detail: format!("`id` gives {len} bytes, and Elasticsearch takes {MAX_ID}"),
    }
}
