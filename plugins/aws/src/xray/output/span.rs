//! A span, as `docs/signals.md` has it, read from a batch.

use std::borrow::Cow;

use suiro_sdk::record::{Batch, NodeRef, Row};

use super::attributes::{Attributes, Known};
use super::json::member;
use crate::xray::SEGMENT;
use crate::xray::ids::{SegmentId, TraceId};

/// What of a span matters.
pub(super) struct Span<'a> {
    pub(super) trace: TraceId,
    pub(super) id: SegmentId,
    pub(super) parent: Option<SegmentId>,
    pub(super) name: Cow<'a, str>,
    pub(super) kind: Kind,
    /// Nanoseconds since 1970.
    pub(super) start: i64,
    /// `None`: it has not ended.
    pub(super) end: Option<i64>,
    /// Its status is "error".
    pub(super) failed: bool,
    pub(super) message: Option<Cow<'a, str>>,
    pub(super) attributes: Attributes<'a>,
    events: Option<NodeRef<'a>>,
    links: Option<NodeRef<'a>>,
}

/// A span's kind; one that does not say is internal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

/// A record's document, as it came from an X-Ray SDK.
pub(super) fn original<'a>(batch: &'a Batch, row: &Row) -> Option<Cow<'a, str>> {
    batch.body(row.root()).children().filter(|node| node.key() == Some(SEGMENT)).last()?.as_str()
}

// === impl Span ===

impl<'a> Span<'a> {
    /// The record, or why it is no span.
    pub(super) fn read(batch: &'a Batch, row: &Row) -> Result<Span<'a>, String> {
        let header = |key: &str| batch.header(row).and_then(|header| member(header, key));
        let trace = header("trace_id").ok_or("it has no `@trace_id`")?;
        let trace = TraceId::of(trace).ok_or_else(|| no_id("@trace_id", trace))?;
        let id = header("span_id").ok_or("it has no `@span_id`")?;
        let id = SegmentId::of(id).ok_or_else(|| no_id("@span_id", id))?;
        let mut span = Span {
            trace,
            id,
            parent: None,
            name: Cow::Borrowed(""),
            kind: Kind::Internal,
            start: 0,
            end: None,
            failed: false,
            message: None,
            attributes: Attributes::new(None),
            events: None,
            links: None,
        };
        let mut attributes = None;
        let time = |node: NodeRef<'_>| node.as_i64().filter(|time| *time > 0);
        for node in batch.body(row.root()).children() {
            match node.key().unwrap_or_default() {
                "name" => span.name = node.as_str().unwrap_or_default(),
                "kind" => span.kind = Kind::of(node),
                "parent_span_id" if node.str_eq("") || node.is_null() => span.parent = None,
                "parent_span_id" => {
                    let parent = SegmentId::of(node).ok_or_else(|| no_id("parent_span_id", node))?;
                    span.parent = Some(parent);
                }
                "start" => span.start = time(node).unwrap_or(0),
                "end" => span.end = time(node),
                "status" => {
                    span.failed = member(node, "code").is_some_and(|code| code.str_eq("error"));
                    span.message = member(node, "message").and_then(NodeRef::as_str).filter(|text| !text.is_empty());
                }
                "attributes" => attributes = Some(node),
                "events" => span.events = Some(node),
                "links" => span.links = Some(node),
                _ => {}
            }
        }
        if span.start == 0 {
            // X-Ray takes none without a time.
            span.start = span.end.unwrap_or(row.time).max(1);
        }
        // Clocks that were set back.
        span.end = span.end.map(|end| end.max(span.start));
        span.attributes = Attributes::new(attributes);
        Ok(span)
    }

    pub(super) fn events(&self) -> impl Iterator<Item = NodeRef<'a>> + use<'a> {
        self.events.into_iter().flat_map(NodeRef::children)
    }

    pub(super) fn links(&self) -> impl Iterator<Item = NodeRef<'a>> + use<'a> {
        self.links.into_iter().flat_map(NodeRef::children)
    }

    /// The first span of a service in a trace, as AWS's distributions of OpenTelemetry mark it.
    pub(super) fn is_local_root(&self) -> bool {
        self.attributes.is(Known::SpanKind, "LOCAL_ROOT")
    }

    /// A call of AWS by its SDK.
    pub(super) fn is_aws_call(&self) -> bool {
        self.attributes.is(Known::RpcSystem, "aws-api")
    }
}

fn no_id(field: &str, node: NodeRef<'_>) -> String {
    let mut text = Vec::new();
    node.write_text(&mut text);
    let text: String = String::from_utf8_lossy(&text).chars().take(40).collect();
    format!("`{field}` is {text:?}, which is no id")
}

// === impl Kind ===

impl Kind {
    fn of(node: NodeRef<'_>) -> Kind {
        let words = [
            ("server", Kind::Server),
            ("client", Kind::Client),
            ("producer", Kind::Producer),
            ("consumer", Kind::Consumer),
        ];
        words.into_iter().find(|(word, _)| node.str_eq(word)).map_or(Kind::Internal, |(_, kind)| kind)
    }

    /// Whether the span speaks of another service, which it calls.
    pub(super) fn is_dependency(self) -> bool {
        matches!(self, Kind::Client | Kind::Producer | Kind::Consumer)
    }

    /// Whether what failed failed on the other side.
    pub(super) fn is_remote(self) -> bool {
        matches!(self, Kind::Client | Kind::Producer)
    }
}
