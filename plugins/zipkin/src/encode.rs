//! From records to Zipkin's spans in JSON, as the specification has it ("OpenTelemetry to Zipkin Transformation").
//!
//! The reverse of [`crate::translate`], and what OpenTelemetry's spans have beside:
//!
//! | record | Zipkin |
//! | --- | --- |
//! | `status` error | the tags `otel.status_code` = `ERROR`, `error` = the message |
//! | an event with attributes | the annotation `"name":{...}` |
//! | links | the tags `otlp.link.0`…: `trace|span|state|{attributes}|dropped`, as the OpenTelemetry Collector writes them |
//! | attributes of the resource | tags, unless the span has one of that name |
//! | attributes that are no texts | numbers and booleans as texts, lists and maps as JSON, bytes as base64 |
//! | a client's or producer's span that does not name its peer | `remoteEndpoint.serviceName` from the first of `server.address`, … there is |
//! | `flags`, a scope's attributes, what was dropped of events and links | nothing |

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::Write as _;
use std::net::IpAddr;

use suiro_record::{Batch, Kind as ValueKind, NodeRef, Row, Value, write_json_str};

use crate::names;
use crate::span::Kind;
use crate::translate::is_plain;

/// The members of a span that matter.
#[derive(Default)]
struct View<'a> {
    name: Option<NodeRef<'a>>,
    kind: Option<NodeRef<'a>>,
    parent: Option<NodeRef<'a>>,
    trace_state: Option<NodeRef<'a>>,
    start: Option<i64>,
    end: Option<i64>,
    status: Option<NodeRef<'a>>,
    attributes: Option<NodeRef<'a>>,
    events: Option<NodeRef<'a>>,
    links: Option<NodeRef<'a>>,
    dropped: [u64; 3],
}

/// An endpoint as it is written.
#[derive(Default)]
struct Endpoint<'a> {
    service: Option<Cow<'a, str>>,
    ipv4: Option<Cow<'a, str>>,
    ipv6: Option<Cow<'a, str>>,
    port: Option<i64>,
}

/// A tag's value.
enum Tag<'a> {
    Node(NodeRef<'a>),
    Value(&'a Value),
    Text(Cow<'a, str>),
}

/// Appends a record as a span. If it is none, nothing is appended, and that is why.
pub(crate) fn write_span(batch: &Batch, row: &Row, out: &mut Vec<u8>) -> Result<(), String> {
    let header = |key: &str| batch.header(row).and_then(|header| member(header, key)).and_then(NodeRef::as_str);
    let trace = header("trace_id").ok_or("it has no `@trace_id`")?;
    let id = header("span_id").ok_or("it has no `@span_id`")?;
    let trace = id_of(&trace, 32).ok_or_else(|| format!("`@trace_id` is {}", shown(&trace)))?;
    let id = id_of(&id, 16).ok_or_else(|| format!("`@span_id` is {}", shown(&id)))?;
    let view = View::new(batch, row);
    let parent = match view.parent.and_then(NodeRef::as_str) {
        Some(parent) if !parent.is_empty() => {
            Some(id_of(&parent, 16).ok_or_else(|| format!("`parent_span_id` is {}", shown(&parent)))?)
        }
        _ => None,
    };
    let kind = view.kind.and_then(|kind| Kind::ALL.into_iter().find(|known| kind.str_eq(known.word())));
    let mut span = Members::open(out);
    // As Zipkin does: 64 bits are 16 digits.
    if trace >> 64 == 0 {
        span.member("traceId", format_args!("\"{trace:016x}\""));
    } else {
        span.member("traceId", format_args!("\"{trace:032x}\""));
    }
    span.member("id", format_args!("\"{id:016x}\""));
    if let Some(parent) = parent {
        span.member("parentId", format_args!("\"{parent:016x}\""));
    }
    if let Some(kind) = kind {
        span.text("kind", kind.name());
    }
    if let Some(name) = view.name.and_then(NodeRef::as_str).filter(|name| !name.is_empty()) {
        span.text("name", &name);
    }
    let mut taken = HashSet::new();
    let start = view.start.unwrap_or(0);
    if start > 0 {
        span.member("timestamp", format_args!("{}", start / 1000));
    }
    if let Some(duration) = view.duration(&mut taken) {
        span.member("duration", format_args!("{duration}"));
    }
    let scope = batch.scope(row);
    let local = Endpoint::local(&scope.resource, &mut taken);
    let resource = scope.resource.iter().filter(|(key, _)| !taken.contains(&**key));
    let mut tags: Vec<(Cow<'_, str>, Tag<'_>)> =
        resource.map(|(key, value)| (Cow::Borrowed(&**key), Tag::Value(value))).collect();
    local.write("localEndpoint", &mut span);
    taken.clear();
    view.duration(&mut taken);
    view.remote(kind, &mut taken).write("remoteEndpoint", &mut span);
    view.write_annotations(&mut span);
    for (flag, key) in [("debug", names::DEBUG), ("shared", names::SHARED)] {
        if view.attribute(key).and_then(NodeRef::as_bool) == Some(true) {
            taken.insert(key);
            span.member(flag, format_args!("true"));
        }
    }
    let is_error = view.status_code() == Some("ERROR");
    for (key, name) in [("name", names::SCOPE.0), ("version", names::SCOPE.1)] {
        let value = scope.scope.iter().rev().find(|(own, _)| own == key).and_then(|(_, value)| value.as_str());
        tags.extend(value.filter(|text| !text.is_empty()).map(|text| (name.into(), Tag::Text(text.into()))));
    }
    for attribute in view.attributes.into_iter().flat_map(NodeRef::children) {
        let Some(key) = attribute.key().filter(|key| !taken.contains(key)) else { continue };
        // `error` alone means that the span has failed, whatever it says.
        let says_no = attribute.str_eq("false") || attribute.as_bool() == Some(false);
        if key == names::ERROR && (is_error || says_no) {
            continue;
        }
        tags.push((key.into(), Tag::Node(attribute)));
    }
    view.derived_tags(&mut tags);
    write_tags(tags, &mut span);
    span.close();
    Ok(())
}

fn write_tags(tags: Vec<(Cow<'_, str>, Tag<'_>)>, span: &mut Members<'_>) {
    if tags.is_empty() {
        return;
    }
    let mut seen = HashSet::new();
    let last: Vec<bool> = tags.iter().rev().map(|(key, _)| seen.insert(&**key)).collect();
    span.key("tags");
    let mut map = Members::open(span.out);
    for ((key, tag), _) in tags.iter().zip(last.iter().rev()).filter(|(_, last)| **last) {
        map.text(key, &tag.text());
    }
    map.close();
}

// === impl View ===

impl<'a> View<'a> {
    fn new(batch: &'a Batch, row: &Row) -> View<'a> {
        let mut view = View::default();
        for node in batch.body(row.root()).children() {
            match node.key().unwrap_or_default() {
                "name" => view.name = Some(node),
                "kind" => view.kind = Some(node),
                "parent_span_id" => view.parent = Some(node),
                "trace_state" => view.trace_state = Some(node),
                "start" => view.start = node.as_i64(),
                "end" => view.end = node.as_i64(),
                "status" => view.status = Some(node),
                "attributes" => view.attributes = Some(node),
                "events" => view.events = Some(node),
                "links" => view.links = Some(node),
                key => {
                    if let Some(at) = names::DROPPED.iter().position(|(_, field)| *field == key) {
                        view.dropped[at] = node.as_u64().unwrap_or(0);
                    }
                }
            }
        }
        view
    }

    fn attribute(&self, key: &str) -> Option<NodeRef<'a>> {
        member(self.attributes?, key)
    }

    fn attribute_text(&self, key: &str) -> Option<Cow<'a, str>> {
        self.attribute(key)?.as_str().filter(|text| !text.is_empty())
    }

    /// Microseconds; less than one counts as one, none is left out.
    fn duration(&self, taken: &mut HashSet<&str>) -> Option<i64> {
        match self.start.filter(|start| *start > 0) {
            Some(start) => match self.end?.checked_sub(start)? {
                ..=0 => None,
                duration => Some((duration / 1000).max(1)),
            },
            None => {
                let duration = self.attribute(names::DURATION)?.as_i64().filter(|duration| *duration > 0)?;
                taken.insert(names::DURATION);
                Some(duration)
            }
        }
    }

    /// `OK` or `ERROR`.
    fn status_code(&self) -> Option<&'static str> {
        let code = member(self.status?, "code")?;
        [("ok", "OK"), ("error", "ERROR")].into_iter().find(|(word, _)| code.str_eq(word)).map(|(_, name)| name)
    }

    /// The other side, and the attributes that say nothing more than it does.
    fn remote(&self, kind: Option<Kind>, taken: &mut HashSet<&str>) -> Endpoint<'a> {
        let mut remote = Endpoint::default();
        let mut take = |key: &'static str| {
            let text = self.attribute_text(key)?;
            taken.insert(key);
            Some(text)
        };
        remote.service = take(names::REMOTE_SERVICE).or_else(|| take(names::PEER_SERVICE));
        remote.ipv4 = take(names::REMOTE_IPV4);
        remote.ipv6 = take(names::REMOTE_IPV6);
        if remote.ipv4.is_none() && remote.ipv6.is_none() {
            let address = self.attribute_text(names::PEER_ADDRESS).filter(|address| is_plain(address));
            match address.as_ref().map(|address| address.parse()) {
                Some(Ok(IpAddr::V4(_))) => remote.ipv4 = take(names::PEER_ADDRESS),
                Some(Ok(IpAddr::V6(_))) => remote.ipv6 = take(names::PEER_ADDRESS),
                _ => {}
            }
        }
        let nameless = remote.service.is_none() && remote.ipv4.is_none() && remote.ipv6.is_none();
        if remote.service.is_none() && matches!(kind, Some(Kind::Client | Kind::Producer)) {
            // What names the other side less surely than its address does counts only where that is not known.
            let ranks = if nameless { &names::OTHER_SIDE[..] } else { &names::OTHER_SIDE[..2] };
            remote.service = ranks.iter().find_map(|key| self.attribute_text(key));
        }
        let mut port = |key: &'static str| {
            let port = self.attribute(key)?.as_i64().filter(|port| (1..=0xffff).contains(port))?;
            taken.insert(key);
            Some(port)
        };
        remote.port = port(names::REMOTE_PORT);
        if remote.port.is_none() && !nameless {
            remote.port = port(names::PEER_PORT);
        }
        remote
    }

    fn write_annotations(&self, span: &mut Members<'_>) {
        let Some(events) = self.events.filter(|events| events.children().next().is_some()) else { return };
        span.key("annotations");
        span.out.push(b'[');
        for (n, event) in events.children().enumerate() {
            if n > 0 {
                span.out.push(b',');
            }
            // Zipkin takes none without a time.
            let time = member(event, "time").and_then(NodeRef::as_i64).filter(|time| *time >= 1000);
            let time = time.or(self.start).unwrap_or(0).max(1000);
            let name = member(event, "name").and_then(NodeRef::as_str).unwrap_or_default();
            let mut annotation = Members::open(span.out);
            annotation.member("timestamp", format_args!("{}", time / 1000));
            let attributes = member(event, "attributes").filter(|map| map.children().next().is_some());
            match attributes {
                None => annotation.text("value", &name),
                Some(attributes) => {
                    let mut value = Vec::new();
                    write_json_str(&name, &mut value);
                    value.push(b':');
                    attributes.write_json(&mut value);
                    annotation.text("value", &String::from_utf8_lossy(&value));
                }
            }
            annotation.close();
        }
        span.out.push(b']');
    }

    /// The tags that are no attributes.
    fn derived_tags(&self, tags: &mut Vec<(Cow<'a, str>, Tag<'a>)>) {
        if let Some(code) = self.status_code() {
            tags.push((names::STATUS_CODE.into(), Tag::Text(code.into())));
            if code == "ERROR" {
                let message = self.status.and_then(|status| member(status, "message")).and_then(NodeRef::as_str);
                tags.push((names::ERROR.into(), Tag::Text(message.unwrap_or_default())));
            }
        }
        if let Some(state) = self.trace_state.and_then(NodeRef::as_str).filter(|state| !state.is_empty()) {
            tags.push((names::TRACE_STATE.into(), Tag::Text(state)));
        }
        for (n, link) in self.links.into_iter().flat_map(NodeRef::children).enumerate() {
            let text = |key| member(link, key).and_then(NodeRef::as_str).unwrap_or_default();
            let mut value = format!("{}|{}|{}|", text("trace_id"), text("span_id"), text("trace_state")).into_bytes();
            match member(link, "attributes") {
                Some(attributes) => attributes.write_json(&mut value),
                None => value.extend_from_slice(b"{}"),
            }
            let dropped = member(link, "dropped_attributes_count").and_then(NodeRef::as_u64).unwrap_or(0);
            let value = format!("{}|{dropped}", String::from_utf8_lossy(&value));
            tags.push((format!("otlp.link.{n}").into(), Tag::Text(value.into())));
        }
        for (count, (tag, _)) in self.dropped.iter().zip(names::DROPPED) {
            if *count > 0 {
                tags.push((tag.into(), Tag::Text(count.to_string().into())));
            }
        }
    }
}

// === impl Endpoint ===

impl<'a> Endpoint<'a> {
    /// This side, and the attributes of the resource that say nothing more than it does.
    fn local(resource: &'a [(String, Value)], taken: &mut HashSet<&str>) -> Endpoint<'a> {
        let mut local = Endpoint::default();
        let get = |key: &str| resource.iter().rev().find(|(own, _)| own == key).map(|(_, value)| value);
        if let Some(service) = get(names::SERVICE).and_then(Value::as_str).filter(|service| !service.is_empty()) {
            taken.insert(names::SERVICE);
            local.service = Some(service.into());
        }
        let ips = match get(names::HOST_IP) {
            Some(Value::Array(ips)) => &ips[..],
            Some(ip) => std::slice::from_ref(ip),
            None => &[],
        };
        let mut all = !ips.is_empty();
        for ip in ips.iter().map(|ip| ip.as_str().unwrap_or_default()) {
            match ip.parse() {
                Ok(IpAddr::V4(_)) if local.ipv4.is_none() => local.ipv4 = Some(ip.into()),
                Ok(IpAddr::V6(_)) if local.ipv6.is_none() => local.ipv6 = Some(ip.into()),
                _ => all = false,
            }
        }
        if all {
            taken.insert(names::HOST_IP);
        }
        if let Some(&Value::Int(port @ 1..=0xffff)) = get(names::HOST_PORT) {
            taken.insert(names::HOST_PORT);
            local.port = Some(port);
        }
        local
    }

    fn write(&self, key: &str, span: &mut Members<'_>) {
        if self.service.is_none() && self.ipv4.is_none() && self.ipv6.is_none() && self.port.is_none() {
            return;
        }
        span.key(key);
        let mut map = Members::open(span.out);
        for (key, text) in [("serviceName", &self.service), ("ipv4", &self.ipv4), ("ipv6", &self.ipv6)] {
            if let Some(text) = text {
                map.text(key, text);
            }
        }
        if let Some(port) = self.port {
            map.member("port", format_args!("{port}"));
        }
        map.close();
    }
}

// === impl Tag ===

impl Tag<'_> {
    fn text(&self) -> Cow<'_, str> {
        let float = |n: f64| match n {
            n if n.is_nan() => "NaN".into(),
            n if n.is_infinite() => if n > 0.0 { "Infinity" } else { "-Infinity" }.into(),
            n => n.to_string().into(),
        };
        match self {
            Tag::Text(text) => Cow::Borrowed(text),
            Tag::Value(Value::Bytes(_)) => own_text(|out| self.json(out)).trim_matches('"').to_owned().into(),
            Tag::Value(Value::Float(n)) => float(*n),
            Tag::Value(value) => value.to_text(),
            Tag::Node(node) => match node.kind() {
                ValueKind::Bytes => own_text(|out| node.write_json(out)).trim_matches('"').to_owned().into(),
                ValueKind::Number if node.as_f64().is_some_and(|n| !n.is_finite()) => {
                    float(node.as_f64().unwrap_or(f64::NAN))
                }
                _ => own_text(|out| node.write_text(out)).into(),
            },
        }
    }

    fn json(&self, out: &mut Vec<u8>) {
        if let Tag::Value(value) = self {
            value.write_json(out);
        }
    }
}

fn own_text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// A member of a map; of a key that is there twice, the last.
fn member<'a>(map: NodeRef<'a>, key: &str) -> Option<NodeRef<'a>> {
    map.children().filter(|child| child.key() == Some(key)).last()
}

/// An id of that many hexadecimal digits that is not 0.
fn id_of(text: &str, digits: usize) -> Option<u128> {
    let sound = text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
    u128::from_str_radix(text, 16).ok().filter(|id| sound && *id != 0)
}

fn shown(id: &str) -> String {
    let text: String = id.chars().take(40).collect();
    format!("{text:?}, which is no id")
}

/// A JSON map that is being written.
struct Members<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

// === impl Members ===

impl<'o> Members<'o> {
    fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Members { out, first: true }
    }

    fn key(&mut self, key: &str) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        write_json_str(key, self.out);
        self.out.push(b':');
    }

    fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        write_json_str(text, self.out);
    }

    fn member(&mut self, key: &str, value: std::fmt::Arguments<'_>) {
        self.key(key);
        // Writing to a `Vec` has no way to fail.
        let _ = self.out.write_fmt(value);
    }

    fn close(self) {
        self.out.push(b'}');
    }
}
