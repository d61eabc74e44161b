//! From datagrams to records.
//!
//! A datagram is a header, one line of JSON, and behind it a document. It is taken whole, with all subsegments embedded in
//! it, or not at all.
//!
//! The document is parsed by the parser of records, into a batch of its own that is used again and again; what a record has
//! of it is copied from there.

use std::ops::Range;
use std::sync::Arc;

use suiro_record::{
    Assembly, Batch, EditError, JsonError, Key, Kind, NodeRef, Piece, RootId, Row, Scope, Source, TimeKind, Utf8Report,
};
use suiro_sdk::datagrams::Decode;
use suiro_sdk::spans::Spans;

use super::attributes;
use super::exceptions::{self, Language};
use super::resource::{self, Scopes};
use super::segment::{Members, Segment, Wrong};
use crate::xray::SEGMENT;
use crate::xray::ids::{SegmentId, TraceId};

/// What SDKs write before a document, letter for letter.
const HEADERS: [&[u8]; 2] = [br#"{"format":"json","version":1}"#, br#"{"format": "json", "version": 1}"#];
/// A header is no longer.
const MAX_HEADER: usize = 1024;
/// The batch of documents is emptied when so much is in it, bytes.
const FULL: usize = 256 << 10;
/// It is made anew if it occupies more than that: keys of which no two are the same, or one very large document.
const MAX_CAPACITY: usize = 4 << 20;

/// What a document becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A span for each segment and subsegment.
    Spans,
    /// The document itself, as a text.
    Segments,
}

/// Why a datagram is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// There is no first line that is a header.
    #[error(r#"it does not begin with a line {{"format":"json","version":1}}"#)]
    Header,
    /// There is nothing behind the header.
    #[error("there is no document behind its header")]
    Empty,
    /// Nor is it text.
    #[error("its document is not UTF-8")]
    Utf8,
    /// It is cut off, or was none.
    #[error("its document is not JSON: {0}")]
    Json(JsonError),
    /// It is none of X-Ray's.
    #[error("its document is no segment: {0}")]
    Segment(String),
    /// It does not fit into a record.
    #[error("its document can't be kept: {0}")]
    Unfit(EditError),
}

/// Makes records of datagrams.
#[derive(Debug)]
pub struct Decoder {
    format: Format,
    /// Where documents are parsed.
    scratch: Batch,
    scopes: Scopes,
}

/// Where the records of a datagram go.
struct Target<'t, 's> {
    spans: &'t mut Spans<'s>,
    scope: Arc<Scope>,
    language: Language,
    /// The place of the next one. Each has a place of its own within that of the datagram, which has more bytes than records:
    /// so each has an id of its own.
    place: Range<u64>,
}

/// What every record has.
#[derive(Clone, Copy)]
struct Head<'h> {
    trace: TraceId,
    id: SegmentId,
    name: Option<&'h str>,
    start: Option<i64>,
    end: Option<i64>,
}

// === impl Decoder ===

impl Decoder {
    /// One that has seen nothing.
    pub fn new(format: Format) -> Decoder {
        let source = Arc::new(Source::new("".into(), 0));
        let scopes = Scopes::new(source);
        Decoder { format, scratch: Batch::new("".into(), scopes.plain().clone(), 0), scopes }
    }

    /// Parses a document. Documents pile up until the batch is large, so that the next one finds the keys of the last.
    fn parse(&mut self, document: &[u8]) -> Result<RootId, DecodeError> {
        if self.scratch.used() > FULL {
            self.clear();
        }
        match self.try_parse(document) {
            Err(DecodeError::Json(JsonError::KeysFull)) => {
                self.clear();
                self.try_parse(document)
            }
            parsed => parsed,
        }
    }

    fn try_parse(&mut self, document: &[u8]) -> Result<RootId, DecodeError> {
        let from = self.scratch.heap().len();
        self.scratch.heap_mut().extend_from_slice(document);
        if self.scratch.check_utf8(from) == Utf8Report::Invalid {
            return Err(DecodeError::Utf8);
        }
        self.scratch.parse_json(from..from + document.len()).map_err(DecodeError::Json)
    }

    fn clear(&mut self) {
        let scope = self.scopes.plain().clone();
        if self.scratch.capacity() > MAX_CAPACITY {
            self.scratch = Batch::new(self.scratch.tag.clone(), scope, 0);
        } else {
            self.scratch.reset(self.scratch.tag.clone(), scope, 0);
        }
    }
}

impl Decode for Decoder {
    type Error = DecodeError;

    fn begin(&mut self, source: Arc<Source>) {
        self.scopes.begin(source);
    }

    fn decode(&mut self, datagram: &[u8], base: u64, spans: &mut Spans<'_>) -> Result<(), DecodeError> {
        let document = document(datagram)?;
        let root = self.parse(document)?;
        let Decoder { format, scratch, scopes } = self;
        let node = scratch.body(root);
        let place = base..base.saturating_add(datagram.len() as u64);
        let mark = spans.mark();
        let added = match format {
            Format::Spans => add(node, scopes, place, spans),
            Format::Segments => pass(node, document, scopes.plain(), place, spans),
        };
        added.inspect_err(|_| spans.cut(mark))
    }
}

/// The document behind the header.
fn document(datagram: &[u8]) -> Result<&[u8], DecodeError> {
    let line = datagram.iter().take(MAX_HEADER).position(|byte| *byte == b'\n').ok_or(DecodeError::Header)?;
    let (header, rest) = (datagram[..line].trim_ascii(), datagram[line + 1..].trim_ascii());
    if !HEADERS.contains(&header) && !is_header(header) {
        return Err(DecodeError::Header);
    }
    if rest.is_empty() { Err(DecodeError::Empty) } else { Ok(rest) }
}

/// Whether it is a header, written some other way.
fn is_header(line: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Header<'a> {
        #[serde(borrow)]
        format: std::borrow::Cow<'a, str>,
        version: u32,
    }
    let header = serde_json::from_slice::<Header<'_>>(line);
    header.is_ok_and(|header| header.version == 1 && header.format.eq_ignore_ascii_case("json"))
}

/// Adds a document and the subsegments in it.
fn add(
    document: NodeRef<'_>,
    scopes: &mut Scopes,
    place: Range<u64>,
    spans: &mut Spans<'_>,
) -> Result<(), DecodeError> {
    let segment = Segment::read(document, None).map_err(DecodeError::Segment)?;
    let scope = scopes.scope(&segment);
    let language = resource::language(&segment).unwrap_or_default();
    add_segment(&segment, &mut Target { spans, scope, language, place })
}

/// Adds a segment and, one after the other, those in it. Documents nest no deeper than the parser allows.
fn add_segment(segment: &Segment<'_>, target: &mut Target<'_, '_>) -> Result<(), DecodeError> {
    let start = target.place.start;
    let place = start..(start + 1).min(target.place.end);
    target.place.start = place.end;
    let (scope, language) = (&target.scope, target.language);
    let added = target.spans.add(scope, |batch| write_span(batch, segment, language, place.clone()));
    added.map_err(DecodeError::Unfit)?;
    let Some(subsegments) = segment.members.subsegments else { return Ok(()) };
    if subsegments.kind() != Kind::Array {
        return Err(DecodeError::Segment("its `subsegments` are no list".to_owned()));
    }
    for subsegment in subsegments.children() {
        let subsegment = Segment::read(subsegment, Some(segment.enclosing()));
        let subsegment = subsegment.map_err(|wrong| DecodeError::Segment(format!("a subsegment: {wrong}")))?;
        add_segment(&subsegment, target)?;
    }
    Ok(())
}

/// Adds a document as it is. Whether X-Ray takes it is X-Ray's to say: what is not needed here is not checked.
fn pass(
    node: NodeRef<'_>,
    document: &[u8],
    scope: &Arc<Scope>,
    place: Range<u64>,
    spans: &mut Spans<'_>,
) -> Result<(), DecodeError> {
    if node.kind() != Kind::Object {
        return Err(DecodeError::Segment("a segment is a map".to_owned()));
    }
    let members = Members::of(node);
    let name = members.name();
    let head = || -> Result<Head<'_>, Wrong> {
        Ok(Head {
            trace: members.trace()?,
            id: members.id()?,
            name: name.as_deref(),
            start: members.start()?,
            end: members.end()?,
        })
    };
    let head = head().map_err(DecodeError::Segment)?;
    // It was checked before it was parsed.
    let text = std::str::from_utf8(document).map_err(|_| DecodeError::Utf8)?;
    let added =
        spans.add(scope, |batch| write(batch, head, place.clone(), |record| record.put_text(Key::Name(SEGMENT), text)));
    added.map_err(DecodeError::Unfit)
}

fn write_span(
    batch: &mut Batch,
    segment: &Segment<'_>,
    language: Language,
    place: Range<u64>,
) -> Result<Row, EditError> {
    let Segment { trace, id, start, end, .. } = *segment;
    let head = Head { trace, id, name: Some(&segment.name), start: Some(start), end };
    write(batch, head, place, |record| {
        record.put_text(Key::Name("kind"), segment.kind())?;
        if let Some(parent) = segment.parent {
            record.put_text(Key::Name("parent_span_id"), parent.digits().as_str())?;
        }
        let cause = segment.members.cause;
        if segment.is_error() {
            record.open_map(Key::Name("status"))?;
            record.put_text(Key::Name("code"), "error")?;
            if let Some(message) = cause.and_then(exceptions::message).filter(|message| !message.is_empty()) {
                record.put_text(Key::Name("message"), &message)?;
            }
            record.close();
        }
        attributes::write(record, segment)?;
        if let Some(cause) = cause {
            exceptions::write(record, cause, language, end.unwrap_or(start))?;
        }
        match segment.members.links {
            Some(links) => super::links::write(record, links),
            None => Ok(()),
        }
    })
}

/// Writes a record: what all have, and what `more` writes.
fn write(
    batch: &mut Batch,
    head: Head<'_>,
    place: Range<u64>,
    more: impl FnOnce(&mut Assembly<'_>) -> Result<(), EditError>,
) -> Result<Row, EditError> {
    let read_at = batch.read_at;
    let mut header = batch.assemble()?;
    header.put_text(Key::Name("trace_id"), head.trace.digits().as_str())?;
    header.put_text(Key::Name("span_id"), head.id.digits().as_str())?;
    let header = header.finish(None)?;
    let mut record = batch.assemble()?;
    if let Some(name) = head.name {
        record.put_text(Key::Name("name"), name)?;
    }
    for (key, time) in [("start", head.start), ("end", head.end)] {
        if let Some(time) = time {
            record.put(Key::Name(key), Piece::Int(time))?;
        }
    }
    more(&mut record)?;
    let root = record.finish(None)?;
    let time = head.end.or(head.start);
    let mut row = Row::new(root, time.unwrap_or(read_at), place.start, place.end);
    if time.is_some() {
        row.time_kind = TimeKind::Own;
    }
    batch.set_header_map(&mut row, header);
    Ok(row)
}
