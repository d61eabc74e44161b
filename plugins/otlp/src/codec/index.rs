//! The first pass over a request: everything in it is checked, and it is noted where the records stand. What comes after it
//! can believe every length, every text and every type. Log records and spans are looked at quickly ([`scan`]), and only
//! what is not as usual is checked by the tables.
//!
//! A record whose inside is broken is refused alone; what is broken outside of records is refused whole. Broken are: lengths beyond the end, wire types other than the field's, texts that are no UTF-8, ids that are neither
//! empty nor 16 or 8 bytes long, values nested deeper than [`MAX_NESTING`], and more than [`MAX_RECORDS`] records. Fields
//! this version does not know are passed over. Where a field that may stand once stands there twice, the last one counts.

use std::ops::Range;

use suiro_record::{MAX_KEYS, Signal};
use suiro_sdk::protobuf::{Raw, Reader, WireType};

use super::scan::{self, Seen};
use super::schema::{self, Kind, Message};
use super::{DecodeError, error};

/// Lists and maps in an attribute's value or a body, at most.
pub const MAX_NESTING: usize = 100;

/// Records in a request: rows take more memory than the smallest of messages.
pub const MAX_RECORDS: usize = 1 << 20;

/// Longer requests are decoded at once, into as many batches as it takes.
const MAX_PACKED: usize = 256 << 20;

/// More than there are names of fields.
const WORDS: usize = 100;

/// Where everything stands in a request.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) groups: Vec<Group>,
    pub(crate) records: Vec<Record>,
    pub(crate) metrics: Vec<Metric>,
    /// Records that can't be read, and what is wrong with the first.
    pub(crate) refused: usize,
    pub(crate) why: Option<DecodeError>,
    /// Members of maps in all records.
    members: usize,
    /// There is a record that the quick look did not know.
    odd: bool,
}

/// Records of one scope of one resource. Spans may be empty: it is not there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    pub(crate) resource: Range<usize>,
    pub(crate) resource_schema: Range<usize>,
    pub(crate) scope: Range<usize>,
    pub(crate) scope_schema: Range<usize>,
    /// Indexes.
    pub(crate) records: Range<usize>,
}

/// A record's message, tag and length left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Index of the metric a point belongs to.
    pub(crate) metric: u32,
    /// As in [`Seen`].
    pub(crate) time: u64,
}

/// What a metric says of all its points.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metric {
    pub(crate) span: Range<usize>,
    pub(crate) name: Range<usize>,
    pub(crate) description: Range<usize>,
    pub(crate) unit: Range<usize>,
    /// Number of the field its points stand in.
    pub(crate) kind: u32,
    pub(crate) temporality: i32,
    pub(crate) monotonic: bool,
}

// === impl Record ===

impl Record {
    fn new(span: Range<usize>, metric: usize, time: u64) -> Self {
        Record { start: span.start as u32, end: span.end as u32, metric: metric as u32, time }
    }

    pub(crate) fn span(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

// === impl Index ===

impl Index {
    /// Checks a request and finds its records.
    pub(crate) fn new(signal: Signal, request: &[u8]) -> Result<Index, DecodeError> {
        if u32::try_from(request.len()).is_err() {
            return Err(error("a request is longer than 4 GiB", 0));
        }
        let mut index = Index::default();
        let mut reader = Reader::new(request, 0..request.len());
        while let Some(span) = next_message(&mut reader, 1)? {
            index.resource(signal, request, span)?;
        }
        Ok(index)
    }

    /// `ResourceLogs { 1 resource, 2 scope_logs, 3 schema_url }`, and so for the others.
    fn resource(&mut self, signal: Signal, request: &[u8], span: Range<usize>) -> Result<(), DecodeError> {
        let first = self.groups.len();
        let mut group = Group::default();
        let mut reader = Reader::new(request, span);
        while let Some(field) = reader.field()? {
            match (field.number, field.value) {
                (1, Raw::Len(span)) => {
                    check(request, span.clone(), &schema::RESOURCE, 0)?;
                    group.resource = span;
                }
                (2, Raw::Len(span)) => self.scope(signal, request, span)?,
                (3, Raw::Len(span)) => group.resource_schema = text(request, span)?,
                (1..=3, _) => return Err(error(WRONG_TYPE, reader.pos())),
                _ => {}
            }
        }
        for scope in &mut self.groups[first..] {
            scope.resource = group.resource.clone();
            scope.resource_schema = group.resource_schema.clone();
        }
        Ok(())
    }

    /// `ScopeLogs { 1 scope, 2 log_records, 3 schema_url }`, and so for the others.
    fn scope(&mut self, signal: Signal, request: &[u8], span: Range<usize>) -> Result<(), DecodeError> {
        let first = self.records.len();
        let mut group = Group::default();
        let mut reader = Reader::new(request, span);
        while let Some(field) = reader.field()? {
            match (field.number, field.value) {
                (1, Raw::Len(span)) => {
                    check(request, span.clone(), &schema::SCOPE, 0)?;
                    group.scope = span;
                }
                (2, Raw::Len(span)) => {
                    match signal {
                        Signal::Logs => self.record(request, span, scan::log, &schema::LOG_RECORD),
                        Signal::Traces => self.record(request, span, scan::span, &schema::SPAN),
                        Signal::Metrics => self.metric(request, span)?,
                    }
                    if self.records.len() + self.refused > MAX_RECORDS {
                        return Err(error("there are more records than a request may have", reader.pos()));
                    }
                }
                (3, Raw::Len(span)) => group.scope_schema = text(request, span)?,
                (1..=3, _) => return Err(error(WRONG_TYPE, reader.pos())),
                _ => {}
            }
        }
        group.records = first..self.records.len();
        if !group.records.is_empty() {
            self.groups.push(group);
        }
        Ok(())
    }

    fn record(&mut self, request: &[u8], span: Range<usize>, look: fn(&[u8]) -> Option<Seen>, message: &Message) {
        if let Some(Seen { time, members }) = look(&request[span.clone()]) {
            self.members += members;
            return self.records.push(Record::new(span, 0, time));
        }
        match check(request, span.clone(), message, 0) {
            Ok(()) => {
                self.odd = true;
                self.records.push(Record::new(span, 0, 0));
            }
            Err(error) => self.refuse(1, error),
        }
    }

    /// Whether the records may stay packed: of each it is known when it is from, and a batch has room for all of their keys,
    /// nodes and scopes. If so, for how many keys more.
    pub(crate) fn may_stay_packed(&self, signal: Signal, request: &[u8]) -> Option<usize> {
        let keys_left = MAX_KEYS.checked_sub(self.members + WORDS)?;
        let fits = self.groups.len() + WORDS <= usize::from(u16::MAX) && request.len() <= MAX_PACKED;
        (signal != Signal::Metrics && !self.odd && fits).then_some(keys_left)
    }

    /// Leaves out records that can't be read.
    pub(crate) fn refuse(&mut self, records: usize, error: DecodeError) {
        self.refused += records;
        self.why.get_or_insert(error);
    }

    fn metric(&mut self, request: &[u8], span: Range<usize>) -> Result<(), DecodeError> {
        if let Err(error) = check(request, span.clone(), &schema::METRIC, 0) {
            self.refuse(count_points(request, span), error);
            return Ok(());
        }
        let first = self.records.len();
        let mut metric = Metric { span: span.clone(), ..Metric::default() };
        let mut reader = Reader::new(request, span);
        while let Some(field) = reader.field()? {
            match (field.number, field.value) {
                (1, Raw::Len(span)) => metric.name = span,
                (2, Raw::Len(span)) => metric.description = span,
                (3, Raw::Len(span)) => metric.unit = span,
                (kind @ (5 | 7 | 9 | 10 | 11), Raw::Len(span)) => {
                    if kind != metric.kind {
                        // One of several kinds: the last one counts.
                        self.records.truncate(first);
                        metric = Metric { kind, temporality: 0, monotonic: false, ..metric };
                    }
                    self.points(request, span, &mut metric)?;
                }
                _ => {}
            }
        }
        if self.records.len() > first {
            self.metrics.push(metric);
        }
        Ok(())
    }

    /// `Sum { 1 data_points, 2 aggregation_temporality, 3 is_monotonic }`, and so for the others.
    fn points(&mut self, request: &[u8], span: Range<usize>, metric: &mut Metric) -> Result<(), DecodeError> {
        let mut reader = Reader::new(request, span);
        while let Some(field) = reader.field()? {
            match (field.number, field.value) {
                (1, Raw::Len(span)) => self.records.push(Record::new(span, self.metrics.len(), 0)),
                (2, Raw::Varint(n)) => metric.temporality = n as i32,
                (3, Raw::Varint(n)) => metric.monotonic = n != 0,
                _ => {}
            }
        }
        Ok(())
    }
}

/// Points of a metric that can't be read, as far as they can be told; a metric is at least one.
fn count_points(request: &[u8], span: Range<usize>) -> usize {
    let mut points = 0;
    let mut reader = Reader::new(request, span);
    while let Ok(Some(field)) = reader.field() {
        if let (5 | 7 | 9 | 10 | 11, Raw::Len(span)) = (field.number, field.value) {
            let mut reader = Reader::new(request, span);
            while let Ok(Some(field)) = reader.field() {
                points += usize::from(field.number == 1);
            }
        }
    }
    points.max(1)
}

const WRONG_TYPE: &str = "a field has another type than its own";

/// The next field `number`, which must be a message; others are passed over.
fn next_message(reader: &mut Reader<'_>, number: u32) -> Result<Option<Range<usize>>, DecodeError> {
    while let Some(field) = reader.field()? {
        match field.value {
            Raw::Len(span) if field.number == number => return Ok(Some(span)),
            _ if field.number == number => return Err(error(WRONG_TYPE, reader.pos())),
            _ => {}
        }
    }
    Ok(None)
}

#[inline]
fn text(bytes: &[u8], span: Range<usize>) -> Result<Range<usize>, DecodeError> {
    match simdutf8::basic::from_utf8(&bytes[span.clone()]) {
        Ok(_) => Ok(span),
        Err(_) => Err(error("a text is not UTF-8", span.start)),
    }
}

/// Checks a message and all messages in it. It recurses no deeper than a few calls for each level of nesting.
pub(crate) fn check(bytes: &[u8], span: Range<usize>, message: &Message, nesting: usize) -> Result<(), DecodeError> {
    let nesting = nesting + usize::from(message.nests);
    if nesting > MAX_NESTING {
        return Err(error("values are nested too deep", span.start));
    }
    let mut reader = Reader::new(bytes, span);
    while let Some(field) = reader.field()? {
        let Some(known) = message.field(field.number) else { continue };
        match (field.value, known.kind) {
            (Raw::Len(span), Kind::Message(inner)) => check(bytes, span, inner, nesting)?,
            (Raw::Len(span), Kind::Text) => text(bytes, span).map(drop)?,
            (Raw::Len(span), Kind::Id(len)) if !span.is_empty() && span.len() != len => {
                return Err(error("an id has neither its length nor none", span.start));
            }
            (Raw::Len(_), Kind::Id(_) | Kind::Bytes) => {}
            (Raw::Len(span), kind) if known.repeated => check_packed(bytes, span, kind)?,
            (value, kind) if value.wire_type() == kind.wire_type() => {}
            _ => return Err(error(WRONG_TYPE, reader.pos())),
        }
    }
    Ok(())
}

/// Numbers in a row.
fn check_packed(bytes: &[u8], span: Range<usize>, kind: Kind) -> Result<(), DecodeError> {
    let mut reader = Reader::new(bytes, span.clone());
    match kind.wire_type() {
        WireType::Fixed64 if span.len().is_multiple_of(8) => {}
        WireType::Fixed32 if span.len().is_multiple_of(4) => {}
        WireType::Varint => {
            while !reader.is_done() {
                reader.varint()?;
            }
        }
        _ => return Err(error("it ends within a number", span.end)),
    }
    Ok(())
}
