//! From a part to frames.
//!
//! A payload holds text, never nodes: source text where nobody touched it, written JSON otherwise. So the layout of the
//! batch stays free to change, and a frame can be read by anything that reads JSON.
//!
//! ```text
//! payload: version u8 | read_at i64 | head_len u32 | head | row* | text*
//! head:    {"tag":"..","signal":"logs","scopes":[{"input":"..","incarnation":"<32 hex digits>","resource":{},"details":{},"scope":{}}]}
//! row:     time i64 | start u64 | end u64 | salt u64 | ordinal u32 | scope u16 | time_kind u8 | header_len u32 | body_len u32
//! text:    the record's header, if it has one, and its body, as JSON; one record's behind the other's
//! ```
//!
//! The head is the same for all frames of a source, but for its metadata changing: a reader parses it once.
//!
//! JSON has no words for bytes, NaN and infinities. A frame with any of these has the version [`LOSSLESS`]: its head and the
//! records that have them (bits of `time_kind`: 2, the body; 4, the header) are written as
//! [`write_lossless`](suiro_record::NodeRef::write_lossless) does.

use suiro_record::{Batch, NodeRef, Row, Scope, TimeKind, write_json_str};
use suiro_sdk::Part;

use super::frame::{MAX_PAYLOAD, PREFIX, Prefix};

/// Version of the payload.
pub(super) const VERSION: u8 = 1;
/// Version of a payload that holds what plain JSON has no words for.
pub(super) const LOSSLESS: u8 = 2;
/// Bit of a row's `time_kind`: its body is lossless JSON.
pub(super) const LOSSLESS_BODY: u8 = 2;
/// Bit of a row's `time_kind`: its header is lossless JSON.
pub(super) const LOSSLESS_HEADER: u8 = 4;
/// Bytes of a row.
pub(super) const ROW: usize = 47;
/// Bytes before the head.
pub(super) const FIXED: usize = 13;

/// A frame is closed when it has this many bytes: a reader holds one at a time, and damage costs no more than one.
const FRAME_TARGET: usize = 1 << 20;
/// The text of a record may have this many bytes; there is no way to read a longer one back.
const MAX_RECORD: usize = MAX_PAYLOAD / 2;

/// A part, encoded.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    /// Frames, prefix and all, and how many records each holds.
    pub(super) frames: Vec<(Vec<u8>, u32)>,
    /// Records that are too large to be stored.
    pub(super) too_large: usize,
}

#[derive(Default)]
struct Encoder {
    done: Encoded,
    scopes: Vec<u16>,
    rows: Vec<u8>,
    texts: Vec<u8>,
    /// A record has what JSON has no words for.
    lossless: bool,
}

/// Encodes the records of `part`.
pub(super) fn encode(part: &Part) -> Encoded {
    let mut encoder = Encoder::default();
    for row in part.records() {
        encoder.add(&part.batch, row);
        if encoder.rows.len() + encoder.texts.len() >= FRAME_TARGET {
            encoder.close(&part.batch);
        }
    }
    encoder.close(&part.batch);
    encoder.done
}

// === impl Encoder ===

impl Encoder {
    fn add(&mut self, batch: &Batch, row: &Row) {
        let from = self.texts.len();
        let header_kind = batch.header(row).map_or(0, |header| write(header, LOSSLESS_HEADER, &mut self.texts));
        let header_len = self.texts.len() - from;
        let body_kind = write(batch.body(row.root()), LOSSLESS_BODY, &mut self.texts);
        let body_len = self.texts.len() - from - header_len;
        if header_len + body_len > MAX_RECORD {
            self.texts.truncate(from);
            self.done.too_large += 1;
            return;
        }
        let scope = match self.scopes.iter().position(|scope| *scope == row.scope) {
            Some(at) => at,
            None => {
                self.scopes.push(row.scope);
                self.scopes.len() - 1
            }
        };
        self.rows.extend_from_slice(&row.time.to_le_bytes());
        self.rows.extend_from_slice(&row.start.to_le_bytes());
        self.rows.extend_from_slice(&row.end.to_le_bytes());
        self.rows.extend_from_slice(&row.salt.to_le_bytes());
        self.rows.extend_from_slice(&row.ordinal.to_le_bytes());
        self.rows.extend_from_slice(&(scope as u16).to_le_bytes());
        let kind = match row.time_kind {
            TimeKind::Read => 0,
            TimeKind::Own => 1,
        };
        self.rows.push(kind | header_kind | body_kind);
        self.lossless |= header_kind | body_kind != 0;
        self.rows.extend_from_slice(&(header_len as u32).to_le_bytes());
        self.rows.extend_from_slice(&(body_len as u32).to_le_bytes());
    }

    /// Makes a frame of what is collected.
    fn close(&mut self, batch: &Batch) {
        let records = self.rows.len() / ROW;
        if records > 0 {
            let scopes = self.scopes.iter().filter_map(|&scope| batch.scopes().get(usize::from(scope)));
            let plain = !self.lossless && scopes.clone().all(|scope| is_json(scope));
            let head = head(batch, scopes.map(|scope| &**scope), plain);
            let len = FIXED + head.len() + self.rows.len() + self.texts.len();
            if len <= MAX_PAYLOAD {
                let mut frame = Vec::with_capacity(PREFIX + len);
                frame.resize(PREFIX, 0);
                frame.push(if plain { VERSION } else { LOSSLESS });
                frame.extend_from_slice(&batch.read_at.to_le_bytes());
                frame.extend_from_slice(&(head.len() as u32).to_le_bytes());
                frame.extend_from_slice(&head);
                frame.extend_from_slice(&self.rows);
                frame.extend_from_slice(&self.texts);
                let prefix = Prefix::of(&frame[PREFIX..], records as u32);
                frame[..PREFIX].copy_from_slice(&prefix.to_bytes());
                self.done.frames.push((frame, records as u32));
            } else {
                self.done.too_large += records;
            }
        }
        self.scopes.clear();
        self.rows.clear();
        self.texts.clear();
        self.lossless = false;
    }
}

/// Appends a value as JSON, or as lossless JSON where it takes that: `bit` says so then.
fn write(value: NodeRef<'_>, bit: u8, out: &mut Vec<u8>) -> u8 {
    if value.is_json() {
        value.write_json(out);
        return 0;
    }
    value.write_lossless(out);
    bit
}

fn is_json(scope: &Scope) -> bool {
    let mut all = scope.resource.iter().chain(&scope.resource_details).chain(&scope.scope);
    all.all(|(_, value)| value.is_json())
}

fn head<'s>(batch: &Batch, scopes: impl Iterator<Item = &'s Scope>, plain: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(b"{\"tag\":");
    write_json_str(&batch.tag, &mut out);
    out.extend_from_slice(b",\"signal\":");
    write_json_str(batch.signal.name(), &mut out);
    out.extend_from_slice(b",\"scopes\":[");
    for (i, scope) in scopes.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_scope(scope, plain, &mut out);
    }
    out.extend_from_slice(b"]}");
    out
}

fn write_scope(scope: &Scope, plain: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"input\":");
    write_json_str(scope.source.input(), out);
    out.extend_from_slice(format!(",\"incarnation\":\"{:032x}\"", scope.source.incarnation()).as_bytes());
    let groups = [("resource", &scope.resource), ("details", &scope.resource_details), ("scope", &scope.scope)];
    for (key, attributes) in groups {
        if key == "details" && attributes.is_empty() {
            continue;
        }
        out.extend_from_slice(format!(",\"{key}\":{{").as_bytes());
        for (i, (name, value)) in attributes.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            write_json_str(name, out);
            out.push(b':');
            if plain {
                value.write_json(out);
            } else {
                value.write_lossless(out);
            }
        }
        out.push(b'}');
    }
    out.push(b'}');
}
