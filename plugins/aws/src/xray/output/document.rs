//! A span as documents of X-Ray's: mostly one.
//!
//! | span | documents |
//! | --- | --- |
//! | of a server, or without a parent | a segment |
//! | any other | a subsegment of its parent |
//! | a local root (`aws.span.kind` = `LOCAL_ROOT`), of a server or internal | a segment |
//! | a local root that is a client's, a producer's or a consumer's | a segment of the service, and in it a subsegment for the call |
//!
//! # What is too long
//!
//! A document has at most [`MAX_DOCUMENT`] bytes. One that would have more is cut, in this order:
//!
//! 1. of its metadata, what does not fit is left out ([`metadata`]), and attributes of links;
//! 2. of the stacks of its exceptions, outer frames are left out, and counted as X-Ray counts them (`truncated`);
//! 3. it is split: single texts are cut to [`BARE_TEXT`] bytes, links to the first [`BARE_LINKS`], and the annotations and
//!    exceptions that still have no room go to subsegments of it, each as full as it can be, that have its name and times.

use suiro_sdk::record::NodeRef;

use super::attributes::Known;
use super::cause::{self, Exception};
use super::cloud::Resource;
use super::json::{Items, Members, member};
use super::labels::{self, Annotation, Labels};
use super::metadata::{self, RESERVE};
use super::settings::Rules;
use super::span::{Kind, Span};
use super::{http, naming, sql};
use crate::xray::MAX_DOCUMENT;
use crate::xray::ids::{Derived, SegmentId, TraceId};

/// Bytes of a text, in a document that is split.
const BARE_TEXT: usize = 512;
/// Links, in a document that is split.
const BARE_LINKS: usize = 100;

/// What a document is of its span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// All of it.
    Segment,
    /// All of it, within its parent.
    Subsegment,
    /// All of it: where a service begins.
    LocalRoot,
    /// The call that a service begins with; in the segment of the service.
    Dependency(SegmentId),
    /// The service that begins with a call: its segment.
    Service(SegmentId),
}

/// Documents of a record.
#[derive(Debug, Default)]
pub(super) struct Documents {
    pub(super) bytes: Vec<u8>,
    /// Where each ends, and its id.
    pub(super) ends: Vec<(usize, SegmentId)>,
}

/// A document that is being written.
struct Document<'d, 'a> {
    span: &'d Span<'a>,
    resource: &'d Resource<'a>,
    labels: Labels<'a>,
    exceptions: &'d [Exception<'d>],
    role: Role,
}

/// How much of a document is written.
#[derive(Clone, Copy, Debug)]
struct Cut {
    /// Bytes of frames.
    frames: usize,
    link_attributes: bool,
    /// Nothing that could be long.
    bare: bool,
}

/// What of the annotations and exceptions is written.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    annotations: usize,
    exceptions: usize,
}

// === impl Role ===

impl Role {
    pub(super) fn is_service(self) -> bool {
        matches!(self, Role::Service(_))
    }

    pub(super) fn is_subsegment(self) -> bool {
        matches!(self, Role::Subsegment | Role::Dependency(_))
    }
}

// === impl Documents ===

impl Documents {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Adds the documents of a span.
    pub(super) fn add<'a>(&mut self, span: &Span<'a>, resource: &Resource<'a>, rules: &Rules) {
        let told = cause::told(span);
        let exceptions = cause::exceptions(&told, span, resource.language);
        let mut add = |role: Role| {
            let labels = Labels::new(span, resource, rules, role);
            Document { span, resource, labels, exceptions: &exceptions, role }.write(self);
        };
        if !span.is_local_root() {
            let alone = span.kind == Kind::Server || span.parent.is_none();
            add(if alone { Role::Segment } else { Role::Subsegment });
        } else if span.kind.is_dependency() {
            let service = span.id.derived(span.trace, Derived::Service, 0);
            add(Role::Service(service));
            add(Role::Dependency(service));
        } else {
            add(Role::LocalRoot);
        }
    }

    /// Each document, and its id.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], SegmentId)> {
        let mut from = 0;
        self.ends.iter().map(move |&(end, id)| {
            let bytes = self.bytes.get(from..end).unwrap_or_default();
            from = end;
            (bytes, id)
        })
    }
}

// === impl Document ===

impl Document<'_, '_> {
    fn id(&self) -> SegmentId {
        match self.role {
            Role::Service(id) => id,
            _ => self.span.id,
        }
    }

    fn write(&self, documents: &mut Documents) {
        let out = &mut documents.bytes;
        let from = out.len();
        let end = from + MAX_DOCUMENT - RESERVE;
        let mut cut = Cut { frames: usize::MAX, link_attributes: true, bare: false };
        let (mut named, mut done) = self.write_head(cut, end, out);
        if out.len() > end {
            out.truncate(from);
            cut = Cut { frames: 0, link_attributes: false, bare: false };
            let _ = self.write_head(cut, end, out);
            match end.checked_sub(out.len()) {
                Some(room) => cut.frames = room,
                None => cut.bare = true,
            }
            out.truncate(from);
            (named, done) = self.write_head(cut, end, out);
        }
        metadata::write(self.span, self.resource, &self.labels, self.role, named, end, out);
        out.push(b'}');
        documents.ends.push((out.len(), self.id()));
        self.write_rest(done, documents);
    }

    /// All but the metadata and the brace that closes it. Whether its name is the span's, and what of it was written.
    fn write_head(&self, cut: Cut, end: usize, out: &mut Vec<u8>) -> (bool, Done) {
        let (span, role) = (self.span, self.role);
        let mut map = Members::open(out, if cut.bare { BARE_TEXT } else { usize::MAX });
        map.key("name");
        map.out.push(b'"');
        let name_at = map.out.len();
        let by_aws_service = naming::write(span, role, self.resource, map.out);
        let named = map.out.get(name_at..) == Some(span.name.as_bytes());
        map.out.push(b'"');
        self.write_frame(&mut map, self.id(), self.parent(), role.is_subsegment());
        map.some_text("namespace", naming::namespace(span, role, by_aws_service));
        for (key, flag) in ["error", "fault", "throttle"].into_iter().zip(cause::flags(span)) {
            map.flag(key, flag);
        }
        map.some_text("origin", self.resource.origin);
        map.some_text("user", span.attributes.text(Known::User));
        if !role.is_service() && http::applies(span) {
            http::write(span, &mut map);
        }
        self.resource.write_aws(span, !role.is_service(), cut.bare, &mut map);
        self.resource.write_service(&mut map);
        if sql::applies(span) {
            sql::write(span, &mut map);
        }
        self.write_links(cut, &mut map);
        // Of what is split, some bytes for the braces around it.
        let end = if cut.bare { end - 8 } else { usize::MAX };
        let annotations = labels::write(&self.labels.annotations, end, &mut map);
        let exceptions = cause::write(self.exceptions, cut.frames, end, &mut map);
        (named, Done { annotations, exceptions })
    }

    fn parent(&self) -> Option<SegmentId> {
        match self.role {
            Role::Dependency(service) => Some(service),
            _ => self.span.parent,
        }
    }

    /// What every document has beside a name.
    fn write_frame(&self, map: &mut Members<'_>, id: SegmentId, parent: Option<SegmentId>, is_subsegment: bool) {
        let span = self.span;
        map.shown("id", id);
        map.shown("trace_id", span.trace);
        if let Some(parent) = parent {
            map.shown("parent_id", parent);
        }
        if is_subsegment {
            map.text("type", "subsegment");
        }
        map.time("start_time", span.start);
        match span.end {
            Some(end) => map.time("end_time", end),
            None => map.flag("in_progress", true),
        }
    }

    /// Of a service that begins with a call, what was received is linked in its segment, and what is sent in the call.
    fn write_links(&self, cut: Cut, map: &mut Members<'_>) {
        let consumes = self.span.kind == Kind::Consumer;
        match self.role {
            Role::Dependency(_) if consumes => return,
            Role::Service(_) if !consumes => return,
            _ => {}
        }
        map.list("links", |list| {
            for link in self.span.links().take(if cut.bare { BARE_LINKS } else { usize::MAX }) {
                write_link(link, cut, list);
            }
        });
    }

    /// What had no room, in subsegments.
    fn write_rest(&self, done: Done, documents: &mut Documents) {
        let mut annotations: &[Annotation<'_>] = self.labels.annotations.get(done.annotations..).unwrap_or_default();
        let mut exceptions = self.exceptions.get(done.exceptions..).unwrap_or_default();
        for part in 0.. {
            if annotations.is_empty() && exceptions.is_empty() {
                return;
            }
            let out = &mut documents.bytes;
            let end = out.len() + MAX_DOCUMENT - 8;
            let id = self.id().derived(self.span.trace, Derived::Rest, part);
            let mut map = Members::open(out, BARE_TEXT);
            map.key("name");
            map.out.push(b'"');
            naming::write(self.span, self.role, self.resource, map.out);
            map.out.push(b'"');
            self.write_frame(&mut map, id, Some(self.id()), true);
            let more = Done {
                annotations: labels::write(annotations, end, &mut map),
                exceptions: cause::write(exceptions, 0, end, &mut map),
            };
            map.close();
            documents.ends.push((documents.bytes.len(), id));
            annotations = annotations.get(more.annotations..).unwrap_or_default();
            exceptions = exceptions.get(more.exceptions..).unwrap_or_default();
            if more.annotations + more.exceptions == 0 {
                // One annotation and one exception fit into an empty document by their bounds.
                return;
            }
        }
    }
}

/// A link without ids is none.
fn write_link(link: NodeRef<'_>, cut: Cut, list: &mut Items<'_>) {
    let trace = member(link, "trace_id").and_then(TraceId::of);
    let id = member(link, "span_id").and_then(SegmentId::of);
    let (Some(trace), Some(id)) = (trace, id) else { return };
    list.item(|map| {
        map.shown("trace_id", trace);
        map.shown("id", id);
        let attributes = member(link, "attributes").filter(|map| map.children().next().is_some());
        if let Some(attributes) = attributes.filter(|_| cut.link_attributes) {
            map.key("attributes");
            attributes.write_json(map.out);
        }
    });
}
