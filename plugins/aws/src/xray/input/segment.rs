//! A segment document as a structure: what a span needs of it is checked, the rest is where it stands in the text.
//!
//! A member that is `null` is not there; of one that comes twice, the last counts.

use std::borrow::Cow;

use smallvec::SmallVec;
use suiro_record::{Kind, NodeRef};

use super::seconds::nanoseconds;
use crate::xray::ids::{SegmentId, TraceId};

/// What is wrong with a document.
pub(crate) type Wrong = String;

/// A segment, or a subsegment.
#[derive(Debug)]
pub(crate) struct Segment<'d> {
    pub(crate) trace: TraceId,
    pub(crate) id: SegmentId,
    pub(crate) parent: Option<SegmentId>,
    pub(crate) is_subsegment: bool,
    pub(crate) name: Cow<'d, str>,
    /// Nanoseconds since 1970.
    pub(crate) start: i64,
    /// `None`: it is not over.
    pub(crate) end: Option<i64>,
    pub(crate) namespace: Option<Cow<'d, str>>,
    pub(crate) went_wrong: WentWrong,
    pub(crate) members: Members<'d>,
}

/// What became of the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WentWrong {
    /// The service's mistake.
    pub(crate) fault: bool,
    /// The caller's.
    pub(crate) error: bool,
    /// Too many of them.
    pub(crate) throttle: bool,
}

/// The members of a document.
#[derive(Debug, Default)]
pub(crate) struct Members<'d> {
    trace_id: Option<NodeRef<'d>>,
    id: Option<NodeRef<'d>>,
    parent_id: Option<NodeRef<'d>>,
    kind: Option<NodeRef<'d>>,
    name: Option<NodeRef<'d>>,
    start_time: Option<NodeRef<'d>>,
    end_time: Option<NodeRef<'d>>,
    in_progress: Option<NodeRef<'d>>,
    namespace: Option<NodeRef<'d>>,
    fault: Option<NodeRef<'d>>,
    error: Option<NodeRef<'d>>,
    throttle: Option<NodeRef<'d>>,
    pub(crate) http: Option<NodeRef<'d>>,
    pub(crate) aws: Option<NodeRef<'d>>,
    pub(crate) sql: Option<NodeRef<'d>>,
    pub(crate) cause: Option<NodeRef<'d>>,
    pub(crate) annotations: Option<NodeRef<'d>>,
    pub(crate) metadata: Option<NodeRef<'d>>,
    pub(crate) user: Option<NodeRef<'d>>,
    pub(crate) origin: Option<NodeRef<'d>>,
    pub(crate) service: Option<NodeRef<'d>>,
    pub(crate) links: Option<NodeRef<'d>>,
    pub(crate) precursor_ids: Option<NodeRef<'d>>,
    pub(crate) subsegments: Option<NodeRef<'d>>,
    /// What has no place of its own.
    pub(crate) others: SmallVec<[NodeRef<'d>; 4]>,
}

/// What an embedded subsegment is part of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Enclosing {
    pub(crate) trace: TraceId,
    pub(crate) id: SegmentId,
}

// === impl Members ===

impl<'d> Members<'d> {
    pub(crate) fn of(document: NodeRef<'d>) -> Members<'d> {
        let mut members = Members::default();
        for member in document.children().filter(|member| !member.is_null()) {
            let place = match member.key().unwrap_or_default() {
                "trace_id" => &mut members.trace_id,
                "id" => &mut members.id,
                "parent_id" => &mut members.parent_id,
                "type" => &mut members.kind,
                "name" => &mut members.name,
                "start_time" => &mut members.start_time,
                "end_time" => &mut members.end_time,
                "in_progress" => &mut members.in_progress,
                "namespace" => &mut members.namespace,
                "fault" => &mut members.fault,
                "error" => &mut members.error,
                "throttle" => &mut members.throttle,
                "http" => &mut members.http,
                "aws" => &mut members.aws,
                "sql" => &mut members.sql,
                "cause" => &mut members.cause,
                "annotations" => &mut members.annotations,
                "metadata" => &mut members.metadata,
                "user" => &mut members.user,
                "origin" => &mut members.origin,
                "service" => &mut members.service,
                "links" => &mut members.links,
                "precursor_ids" => &mut members.precursor_ids,
                "subsegments" => &mut members.subsegments,
                _ => {
                    members.others.push(member);
                    continue;
                }
            };
            *place = Some(member);
        }
        members
    }

    pub(crate) fn trace(&self) -> Result<TraceId, Wrong> {
        read_id(self.trace_id, "trace_id", TraceId::parse, "1-8 digits-24 digits")
    }

    pub(crate) fn id(&self) -> Result<SegmentId, Wrong> {
        read_id(self.id, "id", SegmentId::parse, "16 hexadecimal digits")
    }

    pub(crate) fn name(&self) -> Option<Cow<'d, str>> {
        self.name.and_then(NodeRef::as_str)
    }

    /// `None` if it is not there.
    pub(crate) fn start(&self) -> Result<Option<i64>, Wrong> {
        self.start_time.map(|time| read_time(time, "start_time")).transpose()
    }

    /// `None` if it is not there, or the segment is not over, whatever it says.
    pub(crate) fn end(&self) -> Result<Option<i64>, Wrong> {
        if is_true(self.in_progress) {
            return Ok(None);
        }
        self.end_time.map(|time| read_time(time, "end_time")).transpose()
    }
}

// === impl Segment ===

impl<'d> Segment<'d> {
    /// Reads a document, or a subsegment in one.
    pub(crate) fn read(document: NodeRef<'d>, within: Option<Enclosing>) -> Result<Segment<'d>, Wrong> {
        if document.kind() != Kind::Object {
            return Err("a segment is a map".to_owned());
        }
        let members = Members::of(document);
        let id = members.id()?;
        // Where a subsegment is embedded says what it belongs to, whatever it says of itself.
        let (trace, parent) = match within {
            Some(Enclosing { trace, id }) => (trace, Some(id)),
            None => {
                let parent = members
                    .parent_id
                    .map(|parent| read_id(Some(parent), "parent_id", SegmentId::parse, "16 hexadecimal digits"));
                (members.trace()?, parent.transpose()?)
            }
        };
        let is_subsegment = within.is_some() || members.kind.is_some_and(|kind| kind.str_eq("subsegment"));
        if is_subsegment && parent.is_none() {
            return Err("a subsegment that comes alone needs a `parent_id`".to_owned());
        }
        Ok(Segment {
            trace,
            id,
            parent,
            is_subsegment,
            name: members.name().ok_or("it has no `name` that is a text")?,
            start: members.start()?.ok_or("it has no `start_time`")?,
            end: members.end()?,
            namespace: members.namespace.and_then(NodeRef::as_str),
            went_wrong: WentWrong {
                fault: is_true(members.fault),
                error: is_true(members.error),
                throttle: is_true(members.throttle),
            },
            members,
        })
    }

    /// Whether it failed, whoever is to blame.
    pub(crate) fn is_error(&self) -> bool {
        self.went_wrong != WentWrong::default() || self.members.cause.is_some()
    }

    /// What it is to the service: a call of somebody's that it answers, a call it makes, or its own work.
    pub(crate) fn kind(&self) -> &'static str {
        let is_call = || {
            let request = self.members.http.and_then(|http| http.children().find(|part| part.key() == Some("request")));
            request.is_some() || self.parent.is_some()
        };
        match (self.is_subsegment, &self.namespace) {
            (true, Some(_)) => "client",
            (false, _) if is_call() => "server",
            _ => "internal",
        }
    }

    /// What its own subsegments are part of.
    pub(crate) fn enclosing(&self) -> Enclosing {
        Enclosing { trace: self.trace, id: self.id }
    }
}

fn read_id<T>(node: Option<NodeRef<'_>>, name: &str, read: fn(&str) -> Option<T>, form: &str) -> Result<T, Wrong> {
    let node = node.ok_or_else(|| format!("it has no `{name}`"))?;
    node.as_str().and_then(|text| read(&text)).ok_or_else(|| format!("its `{name}` is not {form}"))
}

fn read_time(node: NodeRef<'_>, name: &str) -> Result<i64, Wrong> {
    let time = node.number_text().and_then(nanoseconds);
    time.ok_or_else(|| format!("its `{name}` is no time: seconds since 1970, with decimals"))
}

fn is_true(node: Option<NodeRef<'_>>) -> bool {
    node.and_then(NodeRef::as_bool).unwrap_or(false)
}
