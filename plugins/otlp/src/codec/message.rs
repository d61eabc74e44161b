//! One record as one message: the mapping of `docs/signals.md`, from a record's fields.

use smallvec::SmallVec;
use suiro_record::{Batch, Kind, LOG_KEY, NodeRef, Row, TimeKind};
use suiro_sdk::protobuf::{
    close, open, put_double, put_fixed32, put_fixed64, put_int, put_len, put_uint, put_varint, zigzag,
};

use super::value::{self, Number, number, put_text, write_pair, write_value};
use super::words::{self, Enum};

/// Members that have no field of their own.
type Rest<'a> = SmallVec<[NodeRef<'a>; 4]>;

/// `LogRecord`
pub(super) fn log(batch: &Batch, row: &Row, out: &mut Vec<u8>) {
    let (time, mut observed) = match row.time_kind {
        TimeKind::Own => (row.time, batch.read_at),
        TimeKind::Read => (0, row.time),
    };
    if time != 0 {
        put_fixed64(1, time.cast_unsigned(), out);
    }
    body(batch.body(row.root()), out);
    let mut rest = Rest::new();
    for field in batch.header(row).into_iter().flat_map(NodeRef::children) {
        match field.key_bytes() {
            b"observed_time" => observed = field.as_u64().map_or(observed, u64::cast_signed),
            b"severity_number" => put_enum(2, int32(field), out),
            b"severity" => text(3, field, out),
            b"attributes" => members(6, field, out),
            b"dropped_attributes_count" => count(7, field, out),
            b"flags" => fixed32(8, field, out),
            b"trace_id" => id(9, 16, field, &mut rest, out),
            b"span_id" => id(10, 8, field, &mut rest, out),
            b"event_name" => text(12, field, out),
            _ => rest.push(field),
        }
    }
    if observed != 0 {
        put_fixed64(11, observed.cast_unsigned(), out);
    }
    others(6, &rest, out);
}

/// A root whose only key is `log` stands for what is in it; an empty one for none.
fn body(root: NodeRef<'_>, out: &mut Vec<u8>) {
    let mut children = root.children();
    match (children.next(), children.next()) {
        (None, _) if root.kind() == Kind::Object => {}
        (Some(value), None) if value.key() == Some(LOG_KEY) => {
            if !value.is_null() {
                write_value(5, value, out);
            }
        }
        _ => write_value(5, root, out),
    }
}

/// `Span`
pub(super) fn span(batch: &Batch, row: &Row, out: &mut Vec<u8>) {
    let mut rest = Rest::new();
    for field in batch.header(row).into_iter().flat_map(NodeRef::children) {
        match field.key_bytes() {
            b"trace_id" => id(1, 16, field, &mut rest, out),
            b"span_id" => id(2, 8, field, &mut rest, out),
            b"attributes" => members(9, field, out),
            // A span says these itself.
            b"observed_time" | b"flags" => {}
            _ => rest.push(field),
        }
    }
    for field in batch.body(row.root()).children() {
        match (field.key_bytes(), field.kind()) {
            (b"trace_state", Kind::String) => text(3, field, out),
            (b"parent_span_id", Kind::String) => id(4, 8, field, &mut rest, out),
            (b"name", _) => text(5, field, out),
            (b"kind", _) if word(6, Enum::Kind, field, out) => {}
            (b"start", Kind::Number) => fixed64(7, field, out),
            (b"end", Kind::Number) => fixed64(8, field, out),
            (b"attributes", Kind::Object) => members(9, field, out),
            (b"dropped_attributes_count", Kind::Number) => count(10, field, out),
            (b"events", Kind::Array) => field.children().for_each(|event| list_item(11, event, self::event, out)),
            (b"dropped_events_count", Kind::Number) => count(12, field, out),
            (b"links", Kind::Array) => field.children().for_each(|link| list_item(13, link, self::link, out)),
            (b"dropped_links_count", Kind::Number) => count(14, field, out),
            (b"status", Kind::Object) => list_item(15, field, status, out),
            (b"flags", Kind::Number) => fixed32(16, field, out),
            _ => rest.push(field),
        }
    }
    others(9, &rest, out);
}

fn list_item(number: u32, item: NodeRef<'_>, write: fn(NodeRef<'_>, &mut Vec<u8>), out: &mut Vec<u8>) {
    let message = open(number, 100, out);
    write(item, out);
    close(message, out);
}

fn event(event: NodeRef<'_>, out: &mut Vec<u8>) {
    let mut rest = Rest::new();
    for field in event.children() {
        match (field.key_bytes(), field.kind()) {
            (b"time", Kind::Number) => fixed64(1, field, out),
            (b"name", _) => text(2, field, out),
            (b"attributes", Kind::Object) => members(3, field, out),
            (b"dropped_attributes_count", Kind::Number) => count(4, field, out),
            _ => rest.push(field),
        }
    }
    others(3, &rest, out);
}

fn link(link: NodeRef<'_>, out: &mut Vec<u8>) {
    let mut rest = Rest::new();
    for field in link.children() {
        match (field.key_bytes(), field.kind()) {
            (b"trace_id", Kind::String) => id(1, 16, field, &mut rest, out),
            (b"span_id", Kind::String) => id(2, 8, field, &mut rest, out),
            (b"trace_state", Kind::String) => text(3, field, out),
            (b"attributes", Kind::Object) => members(4, field, out),
            (b"dropped_attributes_count", Kind::Number) => count(5, field, out),
            (b"flags", Kind::Number) => fixed32(6, field, out),
            _ => rest.push(field),
        }
    }
    others(4, &rest, out);
}

fn status(status: NodeRef<'_>, out: &mut Vec<u8>) {
    for field in status.children() {
        match field.key_bytes() {
            b"message" => text(2, field, out),
            b"code" => {
                word(3, Enum::Code, field, out);
            }
            _ => {}
        }
    }
}

/// What a metric says of all its points, as one of them has it.
pub(super) struct Metric<'a> {
    name: Option<NodeRef<'a>>,
    description: Option<NodeRef<'a>>,
    unit: Option<NodeRef<'a>>,
    metadata: Option<NodeRef<'a>>,
    temporality: Option<NodeRef<'a>>,
    monotonic: bool,
    kind: u32,
}

// === impl Metric ===

impl<'a> Metric<'a> {
    pub(super) fn of(batch: &'a Batch, row: &Row) -> Self {
        let mut metric = Metric {
            name: None,
            description: None,
            unit: None,
            metadata: None,
            temporality: None,
            monotonic: false,
            kind: words::GAUGE,
        };
        for field in batch.body(row.root()).children() {
            match field.key_bytes() {
                b"name" => metric.name = Some(field),
                b"description" => metric.description = Some(field),
                b"unit" => metric.unit = Some(field),
                b"metadata" if field.kind() == Kind::Object => metric.metadata = Some(field),
                b"temporality" => metric.temporality = Some(field),
                b"monotonic" => metric.monotonic = field.as_bool() == Some(true),
                b"kind" => {
                    metric.kind = field.as_str().and_then(|word| words::metric_field(&word)).unwrap_or(metric.kind)
                }
                _ => {}
            }
        }
        metric
    }

    pub(super) fn is_same(&self, other: &Metric<'_>) -> bool {
        self.kind == other.kind
            && self.monotonic == other.monotonic
            && is_same(self.name, other.name)
            && is_same(self.unit, other.unit)
            && is_same(self.temporality, other.temporality)
            && is_same(self.description, other.description)
            && is_same(self.metadata, other.metadata)
    }

    /// The number of the field its points stand in.
    pub(super) fn kind(&self) -> u32 {
        self.kind
    }

    /// What stands before the points.
    pub(super) fn write_head(&self, out: &mut Vec<u8>) {
        for (number, field) in [(1, self.name), (2, self.description), (3, self.unit)] {
            if let Some(field) = field {
                text(number, field, out);
            }
        }
    }

    /// What stands behind the points, beside them.
    pub(super) fn write_data_tail(&self, out: &mut Vec<u8>) {
        if matches!(self.kind, words::SUM | words::HISTOGRAM | words::EXPONENTIAL_HISTOGRAM)
            && let Some(field) = self.temporality
        {
            word(2, Enum::Temporality, field, out);
        }
        if self.kind == words::SUM && self.monotonic {
            put_uint(3, 1, out);
        }
    }

    /// What stands behind all of it.
    pub(super) fn write_tail(&self, out: &mut Vec<u8>) {
        if let Some(metadata) = self.metadata {
            members(12, metadata, out);
        }
    }
}

fn is_same(a: Option<NodeRef<'_>>, b: Option<NodeRef<'_>>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => match (a.plain_bytes(), b.plain_bytes()) {
            (Some(a), Some(b)) => a == b,
            _ => value::is_same(&a.to_value(), &b.to_value()),
        },
        _ => false,
    }
}

/// A point of any kind.
pub(super) fn point(batch: &Batch, row: &Row, out: &mut Vec<u8>) {
    let kind = Metric::of(batch, row).kind;
    let (attributes, exemplars, flags) = match kind {
        words::HISTOGRAM => (9, 8, 10),
        words::EXPONENTIAL_HISTOGRAM => (1, 11, 10),
        words::SUMMARY => (7, 0, 8),
        _ => (7, 5, 8),
    };
    let is_number = matches!(kind, words::GAUGE | words::SUM);
    let is_exponential = kind == words::EXPONENTIAL_HISTOGRAM;
    let (min, max) = if is_exponential { (12, 13) } else { (11, 12) };
    let mut rest = Rest::new();
    if row.time != 0 {
        put_fixed64(3, row.time.cast_unsigned(), out);
    }
    for field in batch.header(row).into_iter().flat_map(NodeRef::children) {
        match field.key_bytes() {
            b"attributes" => members(attributes, field, out),
            b"observed_time" => {}
            _ => rest.push(field),
        }
    }
    for field in batch.body(row.root()).children() {
        match (field.key_bytes(), field.kind()) {
            (b"name" | b"description" | b"unit", _) => {}
            (b"metadata", Kind::Object) | (b"temporality" | b"kind", _) | (b"monotonic", Kind::Bool) => {}
            (b"start", Kind::Number) => fixed64(2, field, out),
            (b"attributes", Kind::Object) => members(attributes, field, out),
            (b"flags", Kind::Number) => count(flags, field, out),
            (b"exemplars", Kind::Array) if exemplars != 0 => {
                field.children().for_each(|item| list_item(exemplars, item, exemplar, out));
            }
            (b"value", Kind::Number) if is_number => put_number(4, 6, field, out),
            (b"count", Kind::Number) if !is_number => fixed64(4, field, out),
            (b"sum", Kind::Number) if !is_number => double(5, field, out),
            (b"min", Kind::Number) if exemplars > 5 => double(min, field, out),
            (b"max", Kind::Number) if exemplars > 5 => double(max, field, out),
            (b"bounds", Kind::Array) if kind == words::HISTOGRAM => {
                packed(7, field, out, |n, out| out.extend(n.as_f64().unwrap_or_default().to_le_bytes()));
            }
            (b"buckets", Kind::Array) if kind == words::HISTOGRAM => {
                packed(6, field, out, |n, out| out.extend(uint(n).to_le_bytes()));
            }
            (b"scale", Kind::Number) if is_exponential => put_uint(6, zigzag(i64::from(int32(field))), out),
            (b"zero_count", Kind::Number) if is_exponential => fixed64(7, field, out),
            (b"zero_threshold", Kind::Number) if is_exponential => double(14, field, out),
            (b"positive", Kind::Object) if is_exponential => list_item(8, field, buckets, out),
            (b"negative", Kind::Object) if is_exponential => list_item(9, field, buckets, out),
            (b"quantiles", Kind::Array) if kind == words::SUMMARY => {
                field.children().for_each(|item| list_item(6, item, quantile, out));
            }
            _ => rest.push(field),
        }
    }
    others(attributes, &rest, out);
}

fn exemplar(exemplar: NodeRef<'_>, out: &mut Vec<u8>) {
    let mut rest = Rest::new();
    for field in exemplar.children() {
        match (field.key_bytes(), field.kind()) {
            (b"time", Kind::Number) => fixed64(2, field, out),
            (b"value", Kind::Number) => put_number(3, 6, field, out),
            (b"span_id", Kind::String) => id(4, 8, field, &mut rest, out),
            (b"trace_id", Kind::String) => id(5, 16, field, &mut rest, out),
            (b"attributes", Kind::Object) => members(7, field, out),
            _ => rest.push(field),
        }
    }
    others(7, &rest, out);
}

fn buckets(buckets: NodeRef<'_>, out: &mut Vec<u8>) {
    for field in buckets.children() {
        match (field.key_bytes(), field.kind()) {
            (b"offset", Kind::Number) => put_uint(1, zigzag(i64::from(int32(field))), out),
            (b"buckets", Kind::Array) => packed(2, field, out, |n, out| put_varint(uint(n), out)),
            _ => {}
        }
    }
}

fn quantile(quantile: NodeRef<'_>, out: &mut Vec<u8>) {
    for field in quantile.children() {
        match (field.key_bytes(), field.kind()) {
            (b"quantile", Kind::Number) => double(1, field, out),
            (b"value", Kind::Number) => double(2, field, out),
            _ => {}
        }
    }
}

// === fields ===

/// What a field says as text: a string, or anything else as JSON.
fn text(number: u32, field: NodeRef<'_>, out: &mut Vec<u8>) {
    match field.plain_bytes() {
        Some(plain) => put_text(number, plain, out),
        None if field.is_null() => {}
        None => {
            let mut text = Vec::new();
            field.write_text(&mut text);
            put_text(number, &text, out);
        }
    }
}

/// The bytes of an id; a text that is none of that length has no other place than among the attributes.
fn id<'a>(number: u32, len: usize, field: NodeRef<'a>, rest: &mut Rest<'a>, out: &mut Vec<u8>) {
    if let Some(bytes) = field.hex_bytes() {
        return put_text(number, bytes, out);
    }
    let text = field.as_str().unwrap_or_default();
    let mut bytes = [0; 16];
    let bytes = &mut bytes[..len];
    if read_hex(text.as_bytes(), bytes) {
        put_len(number, bytes, out);
    } else if !text.is_empty() {
        rest.push(field);
    }
}

/// Reads hexadecimal digits, of either case; says whether they were as many as fit.
pub(super) fn read_hex(text: &[u8], bytes: &mut [u8]) -> bool {
    let digit = |c: u8| (c as char).to_digit(16).map(|d| d as u8);
    text.len() == 2 * bytes.len()
        && text.chunks_exact(2).zip(bytes).all(|(two, byte)| match (digit(two[0]), digit(two[1])) {
            (Some(high), Some(low)) => {
                *byte = high << 4 | low;
                true
            }
            _ => false,
        })
}

/// The word of an enum, or its number; says whether it is one.
fn word(number: u32, of: Enum, field: NodeRef<'_>, out: &mut Vec<u8>) -> bool {
    let value = match field.kind() {
        Kind::String => field.as_str().and_then(|word| of.number(&word)),
        Kind::Number => Some(int32(field)),
        _ => None,
    };
    if let Some(value) = value {
        put_enum(number, value, out);
    }
    value.is_some()
}

fn put_enum(number: u32, value: i32, out: &mut Vec<u8>) {
    if value != 0 {
        put_int(number, i64::from(value), out);
    }
}

fn members(number: u32, map: NodeRef<'_>, out: &mut Vec<u8>) {
    for member in map.children() {
        write_pair(number, member.key_bytes(), member, out);
    }
}

fn others(number: u32, rest: &Rest<'_>, out: &mut Vec<u8>) {
    for field in rest {
        write_pair(number, field.key_bytes(), *field, out);
    }
}

/// A number without sign: one with a fraction is cut, one below 0 is 0.
fn uint(field: NodeRef<'_>) -> u64 {
    field.as_u64().unwrap_or_else(|| field.as_f64().unwrap_or_default() as u64)
}

fn int32(field: NodeRef<'_>) -> i32 {
    field.as_f64().unwrap_or_default() as i32
}

fn count(number: u32, field: NodeRef<'_>, out: &mut Vec<u8>) {
    let n = uint(field).min(u64::from(u32::MAX));
    if n != 0 {
        put_uint(number, n, out);
    }
}

fn fixed32(number: u32, field: NodeRef<'_>, out: &mut Vec<u8>) {
    let n = uint(field).min(u64::from(u32::MAX)) as u32;
    if n != 0 {
        put_fixed32(number, n, out);
    }
}

fn fixed64(number: u32, field: NodeRef<'_>, out: &mut Vec<u8>) {
    let n = uint(field);
    if n != 0 {
        put_fixed64(number, n, out);
    }
}

/// Written even where it is 0: for some, to be there says something.
fn double(number: u32, field: NodeRef<'_>, out: &mut Vec<u8>) {
    put_double(number, field.as_f64().unwrap_or_default(), out);
}

fn put_number(double: u32, int: u32, field: NodeRef<'_>, out: &mut Vec<u8>) {
    match number(field) {
        Number::Int(n) => put_fixed64(int, n.cast_unsigned(), out),
        Number::Float(n) => put_double(double, n, out),
    }
}

fn packed(number: u32, list: NodeRef<'_>, out: &mut Vec<u8>, write: fn(NodeRef<'_>, &mut Vec<u8>)) {
    if list.children().next().is_none() {
        return;
    }
    let numbers = open(number, 100, out);
    list.children().for_each(|n| write(n, out));
    close(numbers, out);
}
