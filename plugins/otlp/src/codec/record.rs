//! One message, already checked, as one record: the mapping of `docs/signals.md`.

use std::ops::Range;

use suiro_record::{Assembly, Batch, EditError, Key, Piece, RootId, Row, Signal, TimeKind};
use suiro_sdk::protobuf::{Fields, Malformed, Raw, Reader, unzigzag};

use super::index::Metric;
use super::value::{chosen, int_piece, messages, pair, put_attributes, put_pairs, put_value};
use super::words::{self, Enum};

/// Reads records of a request that will be a batch's heap, or a part of it.
pub(super) struct Decoder<'r> {
    pub(super) request: &'r [u8],
    /// Where [`words::ALL`] stands, as if it were in the request (see `shift`).
    pub(super) words: usize,
    /// What is added to a place in the request to have it in the heap, wrapping.
    pub(super) shift: usize,
    pub(super) signal: Signal,
}

/// When a record is from that says so, or says 0: then each has the time of reading, a nanosecond later for each byte of the
/// request by which it is behind the first, so that equal records stay apart.
pub(super) fn time(batch: &Batch, time: u64, start: usize) -> (i64, TimeKind) {
    match time {
        0 => (batch.read_at.saturating_add_unsigned(start as u64), TimeKind::Read),
        time => (time.cast_signed(), TimeKind::Own),
    }
}

type Done = Result<(), EditError>;

const ATTRIBUTES: &str = "attributes";
const DROPPED: &str = "dropped_attributes_count";
const FLAGS: &str = "flags";
const SPAN_ID: &str = "span_id";
const START: &str = "start";
const TRACE_ID: &str = "trace_id";
const TRACE_STATE: &str = "trace_state";

// === impl Decoder ===

impl Decoder<'_> {
    /// The record of the message at `span`. On an error, what was added to the batch so far must be cut off.
    pub(super) fn record(
        &self,
        batch: &mut Batch,
        span: Range<usize>,
        metric: Option<&Metric>,
    ) -> Result<Row, EditError> {
        match (self.signal, metric) {
            (Signal::Logs, _) => self.log(batch, span),
            (Signal::Traces, _) => self.span(batch, span),
            (Signal::Metrics, Some(metric)) => self.point(batch, span, metric),
            (Signal::Metrics, None) => Err(EditError::NotSettable),
        }
    }

    fn row(batch: &Batch, root: RootId, time: u64, span: &Range<usize>) -> Row {
        let (time, time_kind) = self::time(batch, time, span.start);
        let mut row = Row::new(root, time, span.start as u64, span.end as u64);
        row.time_kind = time_kind;
        row
    }

    fn log(&self, batch: &mut Batch, span: Range<usize>) -> Result<Row, EditError> {
        let bytes = self.request;
        let (mut time, mut observed, mut severity, mut dropped, mut flags) = (0, 0, 0, 0, 0);
        let (mut text, mut body, mut trace, mut id, mut event) = (0..0, 0..0, 0..0, 0..0, 0..0);
        let mut attributes = false;
        for field in Fields::new(bytes, span.clone()) {
            match (field.number, field.value) {
                (1, Raw::Fixed64(n)) => time = n,
                (2, Raw::Varint(n)) => severity = n as i32,
                (3, Raw::Len(span)) => text = span,
                (5, Raw::Len(span)) => body = span,
                (6, _) => attributes = true,
                (7, Raw::Varint(n)) => dropped = n as u32,
                (8, Raw::Fixed32(n)) => flags = n,
                (9, Raw::Len(span)) => trace = span,
                (10, Raw::Len(span)) => id = span,
                (11, Raw::Fixed64(n)) => observed = n,
                (12, Raw::Len(span)) => event = span,
                _ => {}
            }
        }
        let mut map = batch.assemble()?.shifted(self.shift);
        self.body(&mut map, body)?;
        let root = map.finish(Some(span.clone()))?;
        let row = Self::row(batch, root, time, &span);
        let any = [&text, &trace, &id, &event].iter().any(|span| !span.is_empty());
        if !attributes && !any && (severity, dropped, flags, observed) == (0, 0, 0, 0) {
            return Ok(row);
        }
        let mut map = batch.assemble()?.shifted(self.shift);
        put_count(&mut map, "observed_time", observed)?;
        put_text(&mut map, "severity", text)?;
        if severity != 0 {
            map.put(Key::Name("severity_number"), Piece::Int(i64::from(severity)))?;
        }
        put_id(&mut map, TRACE_ID, trace)?;
        put_id(&mut map, SPAN_ID, id)?;
        put_count(&mut map, FLAGS, u64::from(flags))?;
        put_text(&mut map, "event_name", event)?;
        if attributes {
            put_attributes(&mut map, ATTRIBUTES, bytes, span.clone(), 6)?;
        }
        put_count(&mut map, DROPPED, u64::from(dropped))?;
        let header = map.finish(Some(span))?;
        Ok(row.with_header(header))
    }

    /// A map is the record itself, but for an empty one and one with nothing but `log` in it: they would be taken for no
    /// body, and for what is in `log`.
    fn body(&self, map: &mut Assembly<'_>, span: Range<usize>) -> Done {
        let bytes = self.request;
        let Some(field) = chosen(bytes, span.clone()) else { return Ok(()) };
        if let (6, Raw::Len(list)) = (field.number, field.value) {
            let mut members = messages(bytes, list.clone(), 1);
            let first = members.next().map(|member| pair(bytes, member).0);
            let plain = match first {
                None => false,
                Some(key) => &bytes[key] != suiro_record::LOG_KEY.as_bytes() || members.next().is_some(),
            };
            if plain {
                return put_pairs(map, bytes, list, 1);
            }
        }
        put_value(map, Key::Name(suiro_record::LOG_KEY), bytes, span)
    }

    fn span(&self, batch: &mut Batch, span: Range<usize>) -> Result<Row, EditError> {
        let bytes = self.request;
        let (mut start, mut end) = (0, 0);
        let (mut kind, mut dropped, mut dropped_events, mut dropped_links, mut flags) = (0, 0, 0, 0, 0);
        let (mut trace, mut id, mut parent) = (0..0, 0..0, 0..0);
        let (mut name, mut state, mut status) = (0..0, 0..0, 0..0);
        for field in Fields::new(bytes, span.clone()) {
            match (field.number, field.value) {
                (1, Raw::Len(span)) => trace = span,
                (2, Raw::Len(span)) => id = span,
                (3, Raw::Len(span)) => state = span,
                (4, Raw::Len(span)) => parent = span,
                (5, Raw::Len(span)) => name = span,
                (6, Raw::Varint(n)) => kind = n as i32,
                (7, Raw::Fixed64(n)) => start = n,
                (8, Raw::Fixed64(n)) => end = n,
                (10, Raw::Varint(n)) => dropped = n as u32,
                (12, Raw::Varint(n)) => dropped_events = n as u32,
                (14, Raw::Varint(n)) => dropped_links = n as u32,
                (15, Raw::Len(span)) => status = span,
                (16, Raw::Fixed32(n)) => flags = n,
                _ => {}
            }
        }
        let mut map = batch.assemble()?.shifted(self.shift);
        put_text(&mut map, "name", name)?;
        self.put_enum(&mut map, "kind", Enum::Kind, kind)?;
        put_id(&mut map, "parent_span_id", parent)?;
        put_text(&mut map, TRACE_STATE, state)?;
        put_count(&mut map, FLAGS, u64::from(flags))?;
        put_count(&mut map, START, start)?;
        put_count(&mut map, "end", end)?;
        self.status(&mut map, status)?;
        put_attributes(&mut map, ATTRIBUTES, bytes, span.clone(), 9)?;
        put_count(&mut map, DROPPED, u64::from(dropped))?;
        put_list(&mut map, "events", bytes, span.clone(), 11, event)?;
        put_count(&mut map, "dropped_events_count", u64::from(dropped_events))?;
        put_list(&mut map, "links", bytes, span.clone(), 13, link)?;
        put_count(&mut map, "dropped_links_count", u64::from(dropped_links))?;
        let root = map.finish(Some(span.clone()))?;
        let row = Self::row(batch, root, end, &span);
        if trace.is_empty() && id.is_empty() {
            return Ok(row);
        }
        let mut map = batch.assemble()?.shifted(self.shift);
        put_id(&mut map, TRACE_ID, trace)?;
        put_id(&mut map, SPAN_ID, id)?;
        let header = map.finish(Some(span))?;
        Ok(row.with_header(header))
    }

    fn status(&self, map: &mut Assembly<'_>, span: Range<usize>) -> Done {
        let (mut code, mut message) = (0, 0..0);
        for field in Fields::new(self.request, span) {
            match (field.number, field.value) {
                (2, Raw::Len(span)) => message = span,
                (3, Raw::Varint(n)) => code = n as i32,
                _ => {}
            }
        }
        if code == 0 && message.is_empty() {
            return Ok(());
        }
        map.open_map(Key::Name("status"))?;
        self.put_enum(map, "code", Enum::Code, code)?;
        put_text(map, "message", message)?;
        map.close();
        Ok(())
    }

    fn point(&self, batch: &mut Batch, span: Range<usize>, metric: &Metric) -> Result<Row, EditError> {
        let bytes = self.request;
        let layout = Layout::of(metric.kind);
        let (mut time, mut start) = (0, 0);
        for field in Fields::new(bytes, span.clone()) {
            match (field.number, field.value) {
                (2, Raw::Fixed64(n)) => start = n,
                (3, Raw::Fixed64(n)) => time = n,
                _ => {}
            }
        }
        let mut map = batch.assemble()?.shifted(self.shift);
        put_text(&mut map, "name", metric.name.clone())?;
        put_text(&mut map, "description", metric.description.clone())?;
        put_text(&mut map, "unit", metric.unit.clone())?;
        put_attributes(&mut map, "metadata", bytes, metric.span.clone(), 12)?;
        map.put(Key::Name("kind"), self.word(words::metric(metric.kind)))?;
        self.put_enum(&mut map, "temporality", Enum::Temporality, metric.temporality)?;
        if metric.monotonic {
            map.put(Key::Name("monotonic"), Piece::Bool(true))?;
        }
        put_count(&mut map, START, start)?;
        put_attributes(&mut map, ATTRIBUTES, bytes, span.clone(), layout.attributes)?;
        self.measured(&mut map, span.clone(), metric.kind, &layout)?;
        if layout.exemplars != 0 {
            put_list(&mut map, "exemplars", bytes, span.clone(), layout.exemplars, exemplar)?;
        }
        let root = map.finish(Some(span.clone()))?;
        Ok(Self::row(batch, root, time, &span))
    }

    /// What was measured, and the flags.
    fn measured(&self, map: &mut Assembly<'_>, span: Range<usize>, kind: u32, layout: &Layout) -> Done {
        let bytes = self.request;
        let (mut count, mut zeros, mut scale, mut threshold, mut flags) = (0, 0, 0, 0.0, 0);
        let (mut value, mut sum, mut min, mut max) = (None, None, None, None);
        let (mut positive, mut negative) = (None, None);
        for field in Fields::new(bytes, span.clone()) {
            match (kind, field.number, field.value) {
                (words::GAUGE | words::SUM, 4, Raw::Fixed64(n)) => value = Some(Piece::Float(f64::from_bits(n))),
                (words::GAUGE | words::SUM, 6, Raw::Fixed64(n)) => value = Some(Piece::Int(n.cast_signed())),
                (words::GAUGE | words::SUM, 8, Raw::Varint(n)) => flags = n as u32,
                (_, 4, Raw::Fixed64(n)) => count = n,
                (words::SUMMARY, 5, Raw::Fixed64(n)) => {
                    let n = f64::from_bits(n);
                    sum = (n != 0.0).then_some(n);
                }
                (_, 5, Raw::Fixed64(n)) => sum = Some(f64::from_bits(n)),
                (words::SUMMARY, 8, Raw::Varint(n)) => flags = n as u32,
                (_, 10, Raw::Varint(n)) => flags = n as u32,
                (words::HISTOGRAM, 11, Raw::Fixed64(n)) => min = Some(f64::from_bits(n)),
                (words::HISTOGRAM, 12, Raw::Fixed64(n)) => max = Some(f64::from_bits(n)),
                (words::EXPONENTIAL_HISTOGRAM, number, raw) => match (number, raw) {
                    (6, Raw::Varint(n)) => scale = unzigzag(n) as i32,
                    (7, Raw::Fixed64(n)) => zeros = n,
                    (8, Raw::Len(span)) => positive = Some(span),
                    (9, Raw::Len(span)) => negative = Some(span),
                    (12, Raw::Fixed64(n)) => min = Some(f64::from_bits(n)),
                    (13, Raw::Fixed64(n)) => max = Some(f64::from_bits(n)),
                    (14, Raw::Fixed64(n)) => threshold = f64::from_bits(n),
                    _ => {}
                },
                _ => {}
            }
        }
        if let Some(value) = value {
            map.put(Key::Name("value"), value)?;
        }
        put_count(map, "count", count)?;
        for (name, value) in [("sum", sum), ("min", min), ("max", max)] {
            if let Some(value) = value {
                map.put(Key::Name(name), Piece::Float(value))?;
            }
        }
        if layout.buckets != 0 {
            let float = |n| Piece::Float(f64::from_bits(n));
            put_numbers(map, "bounds", bytes, span.clone(), layout.bounds, |r| r.fixed64(), float)?;
            put_numbers(map, "buckets", bytes, span.clone(), layout.buckets, |r| r.fixed64(), int_piece)?;
        }
        if scale != 0 {
            map.put(Key::Name("scale"), Piece::Int(i64::from(scale)))?;
        }
        put_count(map, "zero_count", zeros)?;
        if threshold != 0.0 {
            map.put(Key::Name("zero_threshold"), Piece::Float(threshold))?;
        }
        for (name, buckets) in [("positive", positive), ("negative", negative)] {
            if let Some(buckets) = buckets {
                put_buckets(map, name, bytes, buckets)?;
            }
        }
        if kind == words::SUMMARY {
            put_list(map, "quantiles", bytes, span, 6, quantile)?;
        }
        put_count(map, FLAGS, u64::from(flags))
    }

    fn word(&self, span: Range<usize>) -> Piece {
        Piece::Text(self.words.wrapping_add(span.start)..self.words.wrapping_add(span.end))
    }

    /// A word, or the number where this version has none for it.
    fn put_enum(&self, map: &mut Assembly<'_>, name: &str, of: Enum, number: i32) -> Done {
        match of.word(number) {
            _ if number == 0 => Ok(()),
            Some(span) => map.put(Key::Name(name), self.word(span)),
            None => map.put(Key::Name(name), Piece::Int(i64::from(number))),
        }
    }
}

/// Numbers of the fields that kinds of points have under different ones; 0: it has none.
struct Layout {
    attributes: u32,
    exemplars: u32,
    bounds: u32,
    buckets: u32,
}

// === impl Layout ===

impl Layout {
    fn of(kind: u32) -> Self {
        match kind {
            words::HISTOGRAM => Layout { attributes: 9, exemplars: 8, bounds: 7, buckets: 6 },
            words::EXPONENTIAL_HISTOGRAM => Layout { attributes: 1, exemplars: 11, bounds: 0, buckets: 0 },
            words::SUMMARY => Layout { attributes: 7, exemplars: 0, bounds: 0, buckets: 0 },
            _ => Layout { attributes: 7, exemplars: 5, bounds: 0, buckets: 0 },
        }
    }
}

/// A number that is left out where it is 0.
fn put_count(map: &mut Assembly<'_>, name: &str, n: u64) -> Done {
    if n == 0 { Ok(()) } else { map.put(Key::Name(name), int_piece(n)) }
}

/// A text that is left out where it is empty.
fn put_text(map: &mut Assembly<'_>, name: &str, span: Range<usize>) -> Done {
    if span.is_empty() { Ok(()) } else { map.put(Key::Name(name), Piece::Text(span)) }
}

fn put_id(map: &mut Assembly<'_>, name: &str, span: Range<usize>) -> Done {
    if span.is_empty() { Ok(()) } else { map.put(Key::Name(name), Piece::Hex(span)) }
}

/// A list of maps, left out where it is empty.
fn put_list(
    map: &mut Assembly<'_>,
    name: &str,
    bytes: &[u8],
    span: Range<usize>,
    number: u32,
    each: fn(&mut Assembly<'_>, &[u8], Range<usize>) -> Done,
) -> Done {
    let mut items = messages(bytes, span, number).peekable();
    if items.peek().is_none() {
        return Ok(());
    }
    map.open_list(Key::Name(name))?;
    for item in items {
        map.open_map(Key::Item)?;
        each(map, bytes, item)?;
        map.close();
    }
    map.close();
    Ok(())
}

/// A list of numbers, packed or not, left out where it is empty.
fn put_numbers(
    map: &mut Assembly<'_>,
    name: &str,
    bytes: &[u8],
    span: Range<usize>,
    number: u32,
    unpack: fn(&mut Reader<'_>) -> Result<u64, Malformed>,
    piece: fn(u64) -> Piece,
) -> Done {
    let mut any = false;
    let mut put = |map: &mut Assembly<'_>, n: u64| -> Done {
        if !any {
            map.open_list(Key::Name(name))?;
            any = true;
        }
        map.put(Key::Item, piece(n))
    };
    for field in Fields::new(bytes, span) {
        if field.number != number {
            continue;
        }
        match field.value {
            Raw::Fixed64(n) | Raw::Varint(n) => put(map, n)?,
            Raw::Len(span) => {
                let mut packed = Reader::new(bytes, span);
                while let (false, Ok(n)) = (packed.is_done(), unpack(&mut packed)) {
                    put(map, n)?;
                }
            }
            Raw::Fixed32(_) => {}
        }
    }
    if any {
        map.close();
    }
    Ok(())
}

/// `Event { 1 time, 2 name, 3 attributes, 4 dropped }`
fn event(map: &mut Assembly<'_>, bytes: &[u8], span: Range<usize>) -> Done {
    let (mut time, mut name, mut dropped) = (0, 0..0, 0);
    for field in Fields::new(bytes, span.clone()) {
        match (field.number, field.value) {
            (1, Raw::Fixed64(n)) => time = n,
            (2, Raw::Len(span)) => name = span,
            (4, Raw::Varint(n)) => dropped = n as u32,
            _ => {}
        }
    }
    put_count(map, "time", time)?;
    put_text(map, "name", name)?;
    put_attributes(map, ATTRIBUTES, bytes, span, 3)?;
    put_count(map, DROPPED, u64::from(dropped))
}

/// `Link { 1 trace, 2 span, 3 state, 4 attributes, 5 dropped, 6 flags }`
fn link(map: &mut Assembly<'_>, bytes: &[u8], span: Range<usize>) -> Done {
    let (mut trace, mut id, mut state, mut dropped, mut flags) = (0..0, 0..0, 0..0, 0, 0);
    for field in Fields::new(bytes, span.clone()) {
        match (field.number, field.value) {
            (1, Raw::Len(span)) => trace = span,
            (2, Raw::Len(span)) => id = span,
            (3, Raw::Len(span)) => state = span,
            (5, Raw::Varint(n)) => dropped = n as u32,
            (6, Raw::Fixed32(n)) => flags = n,
            _ => {}
        }
    }
    put_id(map, TRACE_ID, trace)?;
    put_id(map, SPAN_ID, id)?;
    put_text(map, TRACE_STATE, state)?;
    put_count(map, FLAGS, u64::from(flags))?;
    put_attributes(map, ATTRIBUTES, bytes, span, 4)?;
    put_count(map, DROPPED, u64::from(dropped))
}

/// `Exemplar { 2 time, 3 double, 4 span, 5 trace, 6 int, 7 attributes }`
fn exemplar(map: &mut Assembly<'_>, bytes: &[u8], span: Range<usize>) -> Done {
    let (mut time, mut value, mut trace, mut id) = (0, None, 0..0, 0..0);
    for field in Fields::new(bytes, span.clone()) {
        match (field.number, field.value) {
            (2, Raw::Fixed64(n)) => time = n,
            (3, Raw::Fixed64(n)) => value = Some(Piece::Float(f64::from_bits(n))),
            (4, Raw::Len(span)) => id = span,
            (5, Raw::Len(span)) => trace = span,
            (6, Raw::Fixed64(n)) => value = Some(Piece::Int(n.cast_signed())),
            _ => {}
        }
    }
    put_count(map, "time", time)?;
    if let Some(value) = value {
        map.put(Key::Name("value"), value)?;
    }
    put_id(map, TRACE_ID, trace)?;
    put_id(map, SPAN_ID, id)?;
    put_attributes(map, ATTRIBUTES, bytes, span, 7)
}

/// `ValueAtQuantile { 1 quantile, 2 value }`, both always shown.
fn quantile(map: &mut Assembly<'_>, bytes: &[u8], span: Range<usize>) -> Done {
    let (mut quantile, mut value) = (0.0, 0.0);
    for field in Fields::new(bytes, span) {
        match (field.number, field.value) {
            (1, Raw::Fixed64(n)) => quantile = f64::from_bits(n),
            (2, Raw::Fixed64(n)) => value = f64::from_bits(n),
            _ => {}
        }
    }
    map.put(Key::Name("quantile"), Piece::Float(quantile))?;
    map.put(Key::Name("value"), Piece::Float(value))
}

/// `Buckets { 1 offset, 2 bucket_counts }`
fn put_buckets(map: &mut Assembly<'_>, name: &str, bytes: &[u8], span: Range<usize>) -> Done {
    let mut offset = 0;
    for field in Fields::new(bytes, span.clone()) {
        if let (1, Raw::Varint(n)) = (field.number, field.value) {
            offset = unzigzag(n) as i32;
        }
    }
    map.open_map(Key::Name(name))?;
    if offset != 0 {
        map.put(Key::Name("offset"), Piece::Int(i64::from(offset)))?;
    }
    put_numbers(map, "buckets", bytes, span, 2, |r| r.varint(), int_piece)?;
    map.close();
    Ok(())
}
