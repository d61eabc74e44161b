//! `cause`, `error`, `fault` and `throttle`: what went wrong.
//!
//! | a span | X-Ray |
//! | --- | --- |
//! | `aws.xray.error`, `.fault` or `.throttle` is there, true or false | those that are true |
//! | else: HTTP's status 4xx | `error`; of 429 `throttle`, too |
//! | 5xx | `fault` |
//! | another or none, and the span's status is "error" | `fault` |
//! | an event `exception` | an exception: `exception.type`, `exception.message`, and its stack by [`Language`] |
//! | of a call by AWS's SDK: an event `HTTP request failure` | an exception `aws.http.error.event`: status, time and message of a try that failed |
//! | no such event, and the status is "error" | an exception with the status' message, or `http.status_text` |
//!
//! Exceptions of a client or a producer are `remote`.

use std::borrow::Cow;

use smallvec::SmallVec;
use suiro_sdk::record::NodeRef;

use super::attributes::Known;
use super::json::{Members, joined, member, text_of};
use super::span::Span;
use super::stack::{Frames, Language};
use crate::xray::ids::{Derived, SegmentId};

/// Exceptions of a span, at most; of those beyond, the last that is kept says how many there are.
const MAX_EXCEPTIONS: usize = 200;

/// What a span tells of an exception.
pub(super) struct Told<'a> {
    kind: Cow<'a, str>,
    message: Cow<'a, str>,
    stack: Cow<'a, str>,
    remote: bool,
}

/// An exception as X-Ray has it.
pub(super) struct Exception<'t> {
    id: SegmentId,
    kind: &'t str,
    message: Cow<'t, str>,
    remote: bool,
    /// The one that caused it.
    cause: Option<SegmentId>,
    frames: Frames<'t>,
    /// How many were left out behind it.
    skipped: usize,
}

/// `error`, `fault`, `throttle`.
pub(super) fn flags(span: &Span<'_>) -> [bool; 3] {
    let told = [Known::Error, Known::Fault, Known::Throttle].map(|known| span.attributes.flag(known));
    if told.iter().any(Option::is_some) {
        return told.map(|flag| flag == Some(true));
    }
    match span.attributes.integer(Known::Status) {
        Some(429) => [true, false, true],
        Some(400..=499) => [true, false, false],
        Some(500..=599) => [false, true, false],
        _ => [false, span.failed, false],
    }
}

/// What a span tells of exceptions.
pub(super) fn told<'a>(span: &Span<'a>) -> SmallVec<[Told<'a>; 1]> {
    let mut told = SmallVec::new();
    let remote = span.kind.is_remote();
    for event in span.events() {
        let Some(name) = member(event, "name") else { continue };
        let attributes = member(event, "attributes");
        let text = |key| attributes.and_then(|attributes| member(attributes, key)).and_then(text_of);
        if is_exception(name) {
            told.push(Told {
                kind: text("exception.type").unwrap_or_default(),
                message: text("exception.message").unwrap_or_default(),
                stack: text("exception.stacktrace").unwrap_or_default(),
                remote,
            });
        } else if is_failed_try(span, name)
            && let (Some(status), Some(message)) = (text("http.response.status_code"), text("aws.http.error_message"))
        {
            let time = member(event, "time").and_then(NodeRef::as_i64).unwrap_or(0) / 1000;
            let time = format!("{}.{:06}", time / 1_000_000, time.rem_euclid(1_000_000));
            let message = joined(&[&status, "@", &time, "@", &message]).into();
            told.push(Told { kind: "aws.http.error.event".into(), message, stack: "".into(), remote: true });
        }
    }
    if told.is_empty() && span.failed {
        let message = span.message.clone().or_else(|| span.attributes.text(Known::StatusText));
        told.extend(message.map(|message| Told { kind: "".into(), message, stack: "".into(), remote: false }));
    }
    told
}

/// Whether an event is told of as an exception, and nowhere else.
pub(super) fn is_told(span: &Span<'_>, event: NodeRef<'_>) -> bool {
    member(event, "name").is_some_and(|name| is_exception(name) || is_failed_try(span, name))
}

fn is_exception(name: NodeRef<'_>) -> bool {
    name.str_eq("exception")
}

fn is_failed_try(span: &Span<'_>, name: NodeRef<'_>) -> bool {
    span.is_aws_call() && name.str_eq("HTTP request failure")
}

/// The exceptions, with those that caused them.
pub(super) fn exceptions<'t>(told: &'t [Told<'_>], span: &Span<'_>, language: Language) -> Vec<Exception<'t>> {
    let mut all: Vec<Exception<'t>> = Vec::new();
    let mut skipped = 0;
    for told in told {
        let (frames, chain) = language.parse(&told.stack);
        let own = (&*told.kind, Cow::Borrowed(&*told.message), frames);
        let chain = chain.into_iter().map(|reason| (reason.kind, reason.message, reason.frames));
        for (at, (kind, message, frames)) in std::iter::once(own).chain(chain).enumerate() {
            if all.len() == MAX_EXCEPTIONS {
                skipped += 1;
                continue;
            }
            let id = span.id.derived(span.trace, Derived::Exception, all.len());
            if at > 0
                && let Some(before) = all.last_mut()
            {
                before.cause = Some(id);
            }
            all.push(Exception { id, kind, message, remote: told.remote, cause: None, frames, skipped: 0 });
        }
    }
    if let Some(last) = all.last_mut() {
        last.skipped = skipped;
    }
    all
}

/// Appends `cause` with these exceptions, as many as end before byte `end`; how many that were. Their frames take about
/// `frames` bytes, no more.
pub(super) fn write(exceptions: &[Exception<'_>], mut frames: usize, end: usize, out: &mut Members<'_>) -> usize {
    if exceptions.is_empty() {
        return 0;
    }
    let mut written = 0;
    out.map("cause", |cause| {
        cause.list("exceptions", |list| {
            for (at, exception) in exceptions.iter().enumerate() {
                let share = frames / (exceptions.len() - at);
                let fits = list.item_within(end, |item| frames -= exception.write(share, item));
                if !fits {
                    break;
                }
                written += 1;
            }
        });
    });
    written
}

impl Exception<'_> {
    /// How much of `room` the frames took.
    fn write(&self, room: usize, out: &mut Members<'_>) -> usize {
        out.shown("id", self.id);
        out.text("type", self.kind);
        out.text("message", &self.message);
        out.flag("remote", self.remote);
        if let Some(cause) = self.cause {
            out.shown("cause", cause);
        }
        let from = out.out.len();
        let mut kept = 0;
        if !self.frames.kept.is_empty() {
            // With the brackets and what stands before them.
            let end = from.saturating_add(room).saturating_sub(",\"stack\":[]".len());
            out.list("stack", |list| {
                for frame in &self.frames.kept {
                    let fits = list.item_within(end, |item| {
                        item.text("path", frame.path);
                        if frame.line > 0 {
                            item.number("line", frame.line);
                        }
                        item.text("label", frame.label);
                    });
                    if !fits {
                        break;
                    }
                    kept += 1;
                }
            });
        }
        let used = out.out.len() - from;
        let truncated = self.frames.kept.len() - kept + self.frames.more;
        for (key, count) in [("truncated", truncated), ("skipped", self.skipped)] {
            if count > 0 {
                out.number(key, i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
        used
    }
}
