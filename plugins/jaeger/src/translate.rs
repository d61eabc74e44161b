//! From Jaeger's structures to OpenTelemetry's, as the specification has it ("OpenTelemetry to Jaeger Transformation", read
//! backwards) and the OpenTelemetry Collector does it.
//!
//! | Jaeger | record |
//! | --- | --- |
//! | `serviceName`, tags of the process | `@service.name`, `@resource.x`; `hostname` is `@host.name` |
//! | `traceIdHigh`, `traceIdLow` | `@trace_id`; 64-bit ids have zeros in front |
//! | `parentSpanId`; if 0, the first reference of type child-of in the same trace, else of type follows-from | `parent_span_id` |
//! | references but the parent's child-of | `links`, with `opentracing.ref_type` |
//! | `flags`: sampled or debug; debug | `flags` = 1; `attributes."jaeger.debug"` = true |
//! | `startTime`, `duration` in microseconds | `start`, `end` |
//! | `incomplete` | `attributes."jaeger.incomplete"` = true |
//! | logs | `events`; the field `event` is the name |
//!
//! Tags of a span are `attributes`, but for these:
//!
//! | tag | |
//! | --- | --- |
//! | `span.kind` | `kind` |
//! | `error` = true | `status.code` = error |
//! | `otel.status_code` | `status.code`, unless `error` says so |
//! | `otel.status_description` | `status.message` |
//! | `otel.scope.name`, `otel.scope.version`; or `otel.library.name`, `otel.library.version` | `@scope` |
//! | `w3c.tracestate` | `trace_state` |
//! | `otel.dropped_attributes_count`, `…events_count`, `…links_count`; `otel.event.dropped_attributes_count` of a log | the counts |
//!
//! Of a key that comes twice, the last stays.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use suiro_record::{Assembly, Attributes, Batch, EditError, Key, Piece, Row, TimeKind, Value};

use crate::model::{Process, Reference, Span, Tag, TagValue, TraceId};

type Result<T> = std::result::Result<T, EditError>;

/// Up to so many tags are compared one by one.
const FEW: usize = 16;

const SAMPLED: i32 = 1;
const DEBUG: i32 = 2;

/// An instrumentation scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Library<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) version: Cow<'a, str>,
}

/// What a span says beside its attributes.
#[derive(Debug, Default)]
pub(crate) struct Head<'a> {
    pub(crate) library: Option<Library<'a>>,
    /// Nanoseconds.
    start: i64,
    end: i64,
    parent: i64,
    kind: Option<&'static str>,
    code: Option<&'static str>,
    message: Option<Cow<'a, str>>,
    trace_state: Option<Cow<'a, str>>,
    dropped: [u32; 3],
}

const DROPPED: [(&str, &str); 3] = [
    ("otel.dropped_attributes_count", "dropped_attributes_count"),
    ("otel.dropped_events_count", "dropped_events_count"),
    ("otel.dropped_links_count", "dropped_links_count"),
];

// === impl TagValue ===

impl TagValue<'_> {
    /// Bytes it takes.
    pub(crate) fn len(&self) -> usize {
        match self {
            TagValue::Text(text) | TagValue::Binary(text) => text.len(),
            TagValue::Double(_) | TagValue::Bool(_) | TagValue::Long(_) => 8,
        }
    }

    fn text(&self) -> Option<&[u8]> {
        match self {
            TagValue::Text(text) => Some(text),
            _ => None,
        }
    }
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// The resource of a process.
pub(crate) fn resource(process: &Process<'_>) -> Attributes {
    /// What exporters write where a resource has no name.
    const NO_NAME: &[u8] = b"OTLPResourceNoServiceName";
    let mut attributes = Attributes::new();
    if !process.service.is_empty() && process.service != NO_NAME {
        attributes.push(("service.name".to_owned(), Value::Str(text(process.service).into_owned())));
    }
    let mut tags = process.tags.clone();
    keep_last(&mut tags);
    let has_host_name = tags.iter().any(|tag| tag.key == b"host.name");
    for tag in &tags {
        let key = match tag.key {
            b"hostname" if !has_host_name => "host.name".to_owned(),
            b"service.name" if !attributes.is_empty() && attributes[0].0 == "service.name" => continue,
            key => text(key).into_owned(),
        };
        let value = match tag.value {
            TagValue::Text(value) => Value::Str(text(value).into_owned()),
            TagValue::Double(value) => Value::Float(value),
            TagValue::Bool(value) => Value::Bool(value),
            TagValue::Long(value) => Value::Int(value),
            TagValue::Binary(value) => Value::Bytes(value.to_vec()),
        };
        attributes.push((key, value));
    }
    attributes
}

/// Takes out of a span's tags what has a place of its own.
pub(crate) fn head<'a>(span: &mut Span<'a>) -> std::result::Result<Head<'a>, &'static str> {
    if span.trace.high == 0 && span.trace.low == 0 {
        return Err("this span's trace id is 0");
    }
    if span.id == 0 {
        return Err("this span's id is 0");
    }
    let start = nanoseconds(span.start).ok_or("this span's startTime is out of range")?;
    let end = span.start.checked_add(span.duration).and_then(nanoseconds);
    let end = end.ok_or("this span's duration is out of range")?;
    if span.logs.iter().any(|log| nanoseconds(log.time).is_none()) {
        return Err("the timestamp of a log of this span is out of range");
    }
    keep_last(&mut span.tags);
    let mut head = Head { start, end, parent: parent(span), ..Head::default() };

    let tags = &mut span.tags;
    head.library = library(tags, "otel.scope.name", "otel.scope.version")
        .or_else(|| library(tags, "otel.library.name", "otel.library.version"));
    if let Some(library) = &head.library {
        // Some exporters write both.
        for (key, value) in [("otel.library.name", &library.name), ("otel.library.version", &library.version)] {
            tags.retain(|tag| tag.key != key.as_bytes() || tag.value.text() != Some(value.as_bytes()));
        }
    }
    head.kind = take(tags, "span.kind", |value| match value.text()? {
        b"internal" => Some("internal"),
        b"server" => Some("server"),
        b"client" => Some("client"),
        b"producer" => Some("producer"),
        b"consumer" => Some("consumer"),
        _ => None,
    });
    let is_error = |value: TagValue<'a>| match value {
        TagValue::Bool(true) => Some("error"),
        TagValue::Text(text) if text.eq_ignore_ascii_case(b"true") => Some("error"),
        _ => None,
    };
    let error = take(tags, "error", is_error);
    let code = take(tags, "otel.status_code", |value| match value.text()?.to_ascii_uppercase().as_slice() {
        b"OK" => Some(Some("ok")),
        b"ERROR" => Some(Some("error")),
        b"UNSET" => Some(None),
        _ => None,
    });
    head.code = error.or_else(|| code.flatten());
    if head.code.is_some() {
        head.message = take(tags, "otel.status_description", own_text);
    }
    head.trace_state = take(tags, "w3c.tracestate", own_text);
    for (count, (tag, _)) in head.dropped.iter_mut().zip(DROPPED) {
        *count = take(tags, tag, small).unwrap_or(0);
    }
    Ok(head)
}

/// Writes a span into a batch. Where the scope does not name its instrumentation scope (`named`), its attributes do.
pub(crate) fn write(
    batch: &mut Batch,
    span: &Span<'_>,
    head: &Head<'_>,
    named: bool,
    place: Range<u64>,
) -> Result<Row> {
    let mut digits = [0; 32];
    let mut header = batch.assemble()?;
    header.put_text(Key::Name("trace_id"), trace_id(span.trace, &mut digits))?;
    header.put_text(Key::Name("span_id"), hex(span.id, &mut digits))?;
    let header = header.finish(None)?;

    let mut record = batch.assemble()?;
    record.put_text(Key::Name("name"), &text(span.name))?;
    if let Some(kind) = head.kind {
        record.put_text(Key::Name("kind"), kind)?;
    }
    if head.parent != 0 {
        record.put_text(Key::Name("parent_span_id"), hex(head.parent, &mut digits))?;
    }
    if let Some(state) = &head.trace_state {
        record.put_text(Key::Name("trace_state"), state)?;
    }
    let debug = span.flags & DEBUG != 0;
    if debug || span.flags & SAMPLED != 0 {
        record.put(Key::Name("flags"), Piece::Int(1))?;
    }
    record.put(Key::Name("start"), Piece::Int(head.start))?;
    record.put(Key::Name("end"), Piece::Int(head.end))?;
    if let Some(code) = head.code {
        record.open_map(Key::Name("status"))?;
        record.put_text(Key::Name("code"), code)?;
        if let Some(message) = head.message.as_ref().filter(|message| !message.is_empty()) {
            record.put_text(Key::Name("message"), message)?;
        }
        record.close();
    }
    let library = head.library.as_ref().filter(|_| !named);
    if !span.tags.is_empty() || debug || span.incomplete || library.is_some() {
        record.open_map(Key::Name("attributes"))?;
        write_tags(&mut record, &span.tags)?;
        if debug {
            record.put(Key::Name("jaeger.debug"), Piece::Bool(true))?;
        }
        if span.incomplete {
            record.put(Key::Name("jaeger.incomplete"), Piece::Bool(true))?;
        }
        if let Some(library) = library {
            record.put_text(Key::Name("otel.scope.name"), &library.name)?;
            record.put_text(Key::Name("otel.scope.version"), &library.version)?;
        }
        record.close();
    }
    write_logs(&mut record, span)?;
    write_links(&mut record, span, head.parent)?;
    for (count, (_, key)) in head.dropped.iter().zip(DROPPED) {
        if *count > 0 {
            record.put(Key::Name(key), Piece::Int(i64::from(*count)))?;
        }
    }
    let root = record.finish(None)?;
    let mut row = Row::new(root, head.end, place.start, place.end);
    row.time_kind = TimeKind::Own;
    batch.set_header_map(&mut row, header);
    Ok(row)
}

fn write_tags(map: &mut Assembly<'_>, tags: &[Tag<'_>]) -> Result<()> {
    for tag in tags {
        let key = text(tag.key);
        let key = Key::Name(&key);
        match tag.value {
            TagValue::Text(value) => map.put_text(key, &text(value))?,
            TagValue::Double(value) => map.put(key, Piece::Float(value))?,
            TagValue::Bool(value) => map.put(key, Piece::Bool(value))?,
            TagValue::Long(value) => map.put(key, Piece::Int(value))?,
            TagValue::Binary(value) => map.put_bytes(key, value)?,
        }
    }
    Ok(())
}

fn write_logs(record: &mut Assembly<'_>, span: &Span<'_>) -> Result<()> {
    if span.logs.is_empty() {
        return Ok(());
    }
    record.open_list(Key::Name("events"))?;
    for log in &span.logs {
        record.open_map(Key::Item)?;
        record.put(Key::Name("time"), Piece::Int(nanoseconds(log.time).unwrap_or(0)))?;
        let mut fields = span.fields[log.fields.clone()].to_vec();
        keep_last(&mut fields);
        if let Some(name) = take(&mut fields, "event", own_text) {
            record.put_text(Key::Name("name"), &name)?;
        }
        let dropped = take(&mut fields, "otel.event.dropped_attributes_count", small).unwrap_or(0);
        if !fields.is_empty() {
            record.open_map(Key::Name("attributes"))?;
            write_tags(record, &fields)?;
            record.close();
        }
        if dropped > 0 {
            record.put(Key::Name("dropped_attributes_count"), Piece::Int(i64::from(dropped)))?;
        }
        record.close();
    }
    record.close();
    Ok(())
}

fn write_links(record: &mut Assembly<'_>, span: &Span<'_>, parent: i64) -> Result<()> {
    let is_parent =
        |reference: &&Reference| reference.child_of && reference.span == parent && reference.trace == span.trace;
    let mut references = span.references.iter().filter(|reference| !is_parent(reference)).peekable();
    if references.peek().is_none() {
        return Ok(());
    }
    record.open_list(Key::Name("links"))?;
    let mut digits = [0; 32];
    for reference in references {
        record.open_map(Key::Item)?;
        record.put_text(Key::Name("trace_id"), trace_id(reference.trace, &mut digits))?;
        record.put_text(Key::Name("span_id"), hex(reference.span, &mut digits))?;
        record.open_map(Key::Name("attributes"))?;
        let kind = if reference.child_of { "child_of" } else { "follows_from" };
        record.put_text(Key::Name("opentracing.ref_type"), kind)?;
        record.close();
        record.close();
    }
    record.close();
    Ok(())
}

/// The parent's id, or 0.
fn parent(span: &Span<'_>) -> i64 {
    if span.parent != 0 {
        return span.parent;
    }
    let near = || span.references.iter().filter(|reference| reference.trace == span.trace);
    near().find(|reference| reference.child_of).or_else(|| near().next()).map_or(0, |reference| reference.span)
}

fn library<'a>(tags: &mut Vec<Tag<'a>>, name: &str, version: &str) -> Option<Library<'a>> {
    let name = take(tags, name, own_text).filter(|name| !name.is_empty())?;
    let version = take(tags, version, own_text).unwrap_or_default();
    Some(Library { name, version })
}

/// Takes a tag out, if `read` can make something of it.
fn take<'a, T>(tags: &mut Vec<Tag<'a>>, key: &str, read: impl Fn(TagValue<'a>) -> Option<T>) -> Option<T> {
    let at = tags.iter().position(|tag| tag.key == key.as_bytes())?;
    let value = read(tags[at].value)?;
    tags.remove(at);
    Some(value)
}

fn own_text(value: TagValue<'_>) -> Option<Cow<'_, str>> {
    match value {
        TagValue::Text(value) => Some(text(value)),
        _ => None,
    }
}

fn small(value: TagValue<'_>) -> Option<u32> {
    match value {
        TagValue::Long(value) => u32::try_from(value).ok(),
        _ => None,
    }
}

/// Of tags with the same key, the last stays, where it stands.
fn keep_last(tags: &mut Vec<Tag<'_>>) {
    if tags.len() <= FEW {
        let mut at = 0;
        while at < tags.len() {
            if tags[at + 1..].iter().any(|later| later.key == tags[at].key) {
                tags.remove(at);
            } else {
                at += 1;
            }
        }
        return;
    }
    let last: HashMap<&[u8], usize> = tags.iter().enumerate().map(|(at, tag)| (tag.key, at)).collect();
    if last.len() < tags.len() {
        let mut at = 0;
        tags.retain(|tag| {
            at += 1;
            last[tag.key] == at - 1
        });
    }
}

/// Nanoseconds, if the time is one a record can have.
fn nanoseconds(microseconds: i64) -> Option<i64> {
    microseconds.checked_mul(1000).filter(|time| *time >= 0)
}

fn trace_id(id: TraceId, digits: &mut [u8; 32]) -> &str {
    let (left, right) = digits.split_at_mut(16);
    put_hex(id.high, left);
    put_hex(id.low, right);
    std::str::from_utf8(digits).unwrap_or_default()
}

fn hex(id: i64, digits: &mut [u8; 32]) -> &str {
    put_hex(id, &mut digits[..16]);
    std::str::from_utf8(&digits[..16]).unwrap_or_default()
}

fn put_hex(id: i64, out: &mut [u8]) {
    for (at, digit) in out.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(id >> (60 - 4 * at)) as usize & 15];
    }
}
