//! From Zipkin's spans to records.
//!
//! | Zipkin | record |
//! | --- | --- |
//! | `traceId`, `id`, `parentId` | `@trace_id` (64-bit ids have zeros in front), `@span_id`, `parent_span_id` |
//! | `kind`, `name` | `kind`, `name` |
//! | `timestamp`, `duration`, microseconds | `start`, `end`; a duration without a timestamp is `attributes."zipkin.duration"` |
//! | `localEndpoint` | the resource: `@service.name`, `@host.ip` (a list), `@net.host.port` |
//! | `remoteEndpoint` | `attributes`: `peer.service`, `network.peer.address`, `network.peer.port` |
//! | `annotations` | `events`: the value is the name |
//! | `debug`, `shared` | `attributes`: `zipkin.debug`, `zipkin.shared`, `true` |
//!
//! Tags are `attributes`, texts, but for these:
//!
//! | tag | |
//! | --- | --- |
//! | `otel.status_code` = `OK`, `ERROR` | `status.code` |
//! | `error`, where `otel.status_code` is `ERROR`, or is not there and `error` is not `false` | `status.code` = error, `status.message` |
//! | `otel.scope.name`, `otel.scope.version`; or `otel.library.name`, `otel.library.version` | `@scope` |
//! | `w3c.tracestate` | `trace_state` |
//! | `otel.dropped_attributes_count`, `…events_count`, `…links_count` | the counts |
//!
//! A tag of the name of an attribute that the remote endpoint would be keeps the name; what the endpoint says is then under
//! `zipkin.remote_endpoint.x`, as is a second address. So the output can write back what was read.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use suiro_record::{Assembly, Batch, EditError, Key, Piece, Row, Scope, Source, TimeKind, Value};

use crate::names;
use crate::span::{Endpoint, Span};

type Result<T> = std::result::Result<T, EditError>;

/// The scopes of one request: a service on a host, and an instrumentation scope.
pub(crate) struct Scopes {
    source: Arc<Source>,
    known: HashMap<Vec<u8>, Arc<Scope>>,
}

/// What a span says beside its attributes.
#[derive(Debug, Default, PartialEq)]
struct Head<'s> {
    /// Tags that are not attributes, by number.
    taken: Vec<usize>,
    library: Option<(&'s str, &'s str)>,
    code: Option<&'static str>,
    message: &'s str,
    trace_state: &'s str,
    dropped: [u32; 3],
}

// === impl Scopes ===

impl Scopes {
    pub(crate) fn new(source: Arc<Source>) -> Self {
        Scopes { source, known: HashMap::new() }
    }

    fn scope(&mut self, local: &Endpoint<'_>, library: Option<(&str, &str)>) -> Arc<Scope> {
        let (name, version) = library.unwrap_or_default();
        let mut key = Vec::new();
        for part in [&*local.service, &*local.ipv4, &*local.ipv6, name, version] {
            key.extend_from_slice(&part.len().to_ne_bytes());
            key.extend_from_slice(part.as_bytes());
        }
        key.extend_from_slice(&local.port.to_ne_bytes());
        let make = || {
            let mut scope = Scope::new(self.source.clone());
            if !local.service.is_empty() {
                scope.resource.push((names::SERVICE.to_owned(), Value::from(&*local.service)));
            }
            let ips = [&local.ipv4, &local.ipv6].into_iter().filter(|ip| !ip.is_empty());
            let ips: Vec<Value> = ips.map(|ip| Value::from(&**ip)).collect();
            if !ips.is_empty() {
                scope.resource.push((names::HOST_IP.to_owned(), Value::Array(ips)));
            }
            if local.port != 0 {
                scope.resource.push((names::HOST_PORT.to_owned(), Value::Int(i64::from(local.port))));
            }
            for (key, text) in [("name", name), ("version", version)] {
                if !text.is_empty() {
                    scope.scope.push((key.to_owned(), Value::from(text)));
                }
            }
            Arc::new(scope)
        };
        self.known.entry(key).or_insert_with(make).clone()
    }
}

// === impl Head ===

impl<'s> Head<'s> {
    fn of(span: &'s Span<'_>) -> Head<'s> {
        let mut head = Head::default();
        let at = |key: &str| {
            span.tags.iter().position(|(own, value)| own == key && !value.is_empty()).map(|at| (at, &*span.tags[at].1))
        };
        for (name, version) in [names::SCOPE, names::LIBRARY] {
            let Some((name_at, name)) = at(name) else { continue };
            let version = at(version);
            let library = (name, version.map_or("", |(_, version)| version));
            // Some exporters write both: the same a second time is nothing new.
            if *head.library.get_or_insert(library) == library {
                head.taken.push(name_at);
                head.taken.extend(version.map(|(at, _)| at));
            }
        }
        if let Some((at, state)) = at(names::TRACE_STATE) {
            head.taken.push(at);
            head.trace_state = state;
        }
        let code = at(names::STATUS_CODE);
        head.code = match code {
            Some((_, "OK")) => Some("ok"),
            Some((_, "ERROR")) => Some("error"),
            _ => None,
        };
        if let Some((at, _)) = code.filter(|_| head.code.is_some()) {
            head.taken.push(at);
        }
        let error = span.tags.iter().position(|(key, _)| key == names::ERROR);
        if let Some(at) = error.filter(|_| head.code != Some("ok")) {
            let value = &*span.tags[at].1;
            if head.code.is_some() || (code.is_none() && value != "false") {
                head.taken.push(at);
                head.code = Some("error");
                head.message = value;
            }
        }
        for (count, (tag, _)) in head.dropped.iter_mut().zip(names::DROPPED) {
            let Some((at, text)) = at(tag) else { continue };
            if let Ok(n @ 1..) = text.parse::<u32>()
                && n.to_string() == text
            {
                head.taken.push(at);
                *count = n;
            }
        }
        head
    }
}

/// The scope of a span, and the function that writes it into a batch.
pub(crate) fn prepare<'s>(
    span: &'s Span<'_>,
    scopes: &mut Scopes,
    place: Range<u64>,
) -> (Arc<Scope>, impl FnMut(&mut Batch) -> Result<Row> + 's) {
    let head = Head::of(span);
    let scope = scopes.scope(&span.local, head.library);
    (scope, move |batch: &mut Batch| write(batch, span, &head, place.clone()))
}

fn write(batch: &mut Batch, span: &Span<'_>, head: &Head<'_>, place: Range<u64>) -> Result<Row> {
    let read_at = batch.read_at;
    let mut header = batch.assemble()?;
    header.put_text(Key::Name("trace_id"), &format!("{:032x}", span.trace))?;
    header.put_text(Key::Name("span_id"), &format!("{:016x}", span.id))?;
    let header = header.finish(None)?;

    let mut record = batch.assemble()?;
    if !span.name.is_empty() {
        record.put_text(Key::Name("name"), &span.name)?;
    }
    if let Some(kind) = span.kind {
        record.put_text(Key::Name("kind"), kind.word())?;
    }
    if span.parent != 0 {
        record.put_text(Key::Name("parent_span_id"), &format!("{:016x}", span.parent))?;
    }
    if !head.trace_state.is_empty() {
        record.put_text(Key::Name("trace_state"), head.trace_state)?;
    }
    let (start, end) = (span.timestamp * 1000, (span.timestamp + span.duration) * 1000);
    if span.timestamp != 0 {
        record.put(Key::Name("start"), Piece::Int(start))?;
        record.put(Key::Name("end"), Piece::Int(end))?;
    }
    if let Some(code) = head.code {
        record.open_map(Key::Name("status"))?;
        record.put_text(Key::Name("code"), code)?;
        if !head.message.is_empty() {
            record.put_text(Key::Name("message"), head.message)?;
        }
        record.close();
    }
    write_attributes(&mut record, span, head)?;
    if !span.annotations.is_empty() {
        record.open_list(Key::Name("events"))?;
        for annotation in &span.annotations {
            record.open_map(Key::Item)?;
            record.put(Key::Name("time"), Piece::Int(annotation.timestamp * 1000))?;
            record.put_text(Key::Name("name"), &annotation.value)?;
            record.close();
        }
        record.close();
    }
    for (count, (_, key)) in head.dropped.iter().zip(names::DROPPED) {
        if *count > 0 {
            record.put(Key::Name(key), Piece::Int(i64::from(*count)))?;
        }
    }
    let root = record.finish(None)?;
    let mut row = Row::new(root, if span.timestamp == 0 { read_at } else { end }, place.start, place.end);
    if span.timestamp != 0 {
        row.time_kind = TimeKind::Own;
    }
    batch.set_header_map(&mut row, header);
    Ok(row)
}

fn write_attributes(record: &mut Assembly<'_>, span: &Span<'_>, head: &Head<'_>) -> Result<()> {
    let lone_duration = if span.timestamp == 0 { span.duration } else { 0 };
    let is_empty = span.tags.len() == head.taken.len()
        && span.remote.is_empty()
        && lone_duration == 0
        && !span.debug
        && !span.shared;
    if is_empty {
        return Ok(());
    }
    record.open_map(Key::Name("attributes"))?;
    for (at, (key, value)) in span.tags.iter().enumerate() {
        if !head.taken.contains(&at) {
            record.put_text(Key::Name(key), value)?;
        }
    }
    for (key, value) in remote(span) {
        match value {
            Peer::Text(text) => record.put_text(Key::Name(key), &text)?,
            Peer::Port(port) => record.put(Key::Name(key), Piece::Int(i64::from(port)))?,
        }
    }
    if lone_duration != 0 {
        record.put(Key::Name(names::DURATION), Piece::Int(lone_duration))?;
    }
    for (key, flag) in [(names::DEBUG, span.debug), (names::SHARED, span.shared)] {
        if flag {
            record.put(Key::Name(key), Piece::Bool(true))?;
        }
    }
    record.close();
    Ok(())
}

enum Peer<'s> {
    Text(Cow<'s, str>),
    Port(u16),
}

/// The remote endpoint as attributes.
fn remote<'s>(span: &'s Span<'_>) -> Vec<(&'static str, Peer<'s>)> {
    let Endpoint { service, ipv4, ipv6, port } = &span.remote;
    let text = |text: &'s Cow<'_, str>| Peer::Text(Cow::Borrowed(&**text));
    let is_free = |key: &str| span.tag(key).is_none();
    let mut attributes = Vec::new();
    if !service.is_empty() {
        let key = if is_free(names::PEER_SERVICE) { names::PEER_SERVICE } else { names::REMOTE_SERVICE };
        attributes.push((key, text(service)));
    }
    match (ipv4.is_empty(), ipv6.is_empty()) {
        (true, true) => {}
        (false, true) if is_free(names::PEER_ADDRESS) && is_plain(ipv4) => {
            attributes.push((names::PEER_ADDRESS, text(ipv4)));
        }
        (true, false) if is_free(names::PEER_ADDRESS) && is_plain(ipv6) => {
            attributes.push((names::PEER_ADDRESS, text(ipv6)));
        }
        _ => {
            let both = [(names::REMOTE_IPV4, ipv4), (names::REMOTE_IPV6, ipv6)];
            attributes.extend(both.into_iter().filter(|(_, ip)| !ip.is_empty()).map(|(key, ip)| (key, text(ip))));
        }
    }
    if *port != 0 {
        let named = !(service.is_empty() && ipv4.is_empty() && ipv6.is_empty());
        let key = if named && is_free(names::PEER_PORT) { names::PEER_PORT } else { names::REMOTE_PORT };
        attributes.push((key, Peer::Port(*port)));
    }
    attributes
}

/// Whether a text is an address as it is usually written.
pub(crate) fn is_plain(address: &str) -> bool {
    address.parse::<IpAddr>().is_ok_and(|ip| ip.to_string() == address)
}
