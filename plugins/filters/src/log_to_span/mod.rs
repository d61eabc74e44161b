//! `log_to_span`: logs that say all of a span become one.
//!
//! | setting | |
//! | --- | --- |
//! | `span_name` | a text with fields in it, such as `"{method} {path}"`; required |
//! | `trace_id`, `span_id` | fields; default: the record's own, `@trace_id` and `@span_id` |
//! | `parent_span_id` | a field; default: none, each is a root |
//! | `start`, `end`, `duration` | fields: two of them, or `start` alone, or `duration` alone, whose end is then the record's time |
//! | `duration_unit` | of a number: `"ns"`, `"us"`, `"ms"` (default), `"s"` |
//! | `kind` | a text with fields in it: `"server"` (or `SPAN_KIND_SERVER`, in whatever case), ...; default: unspecified |
//! | `status` | a field: `ok`, `error`, `unset` (or `STATUS_CODE_ERROR`, `true` and `false` for error and not, a status of HTTP: 500 and up); default: unset |
//! | `status_message` | a field |
//! | `attributes` | `"rest"` (default): all fields that nothing else was made of. Or a table: names and fields |
//! | `tag` | a text with fields in it; default: the record's |
//! | `logs` | `"drop"` (default): the record becomes the span. `"keep"`: it goes on beside it |
//!
//! Ids are hexadecimal: 32 digits a trace (16 and a UUID's dashes are taken too, and X-Ray's `1-5759e988-bd862e3fe1be46a994272793`),
//! 16 a span. Times are RFC 3339, or numbers since 1970 in seconds, milliseconds, microseconds or nanoseconds, told apart by
//! their size. A duration is a number, or a text such as `12.5ms`, `1m30s`.
//!
//! A record that has no valid ids, no name or no times, or whose end is before its start, stays a log and counts as `failed`.
//!
//! A span has its record's resource and time of reading, and an id of its own, made of the record's. It is settled as its record
//! is: it holds nothing, and a crash loses nothing.

mod convert;
mod read;

#[cfg(test)]
mod tests;

use suiro_record::{Batch, Path, Row, Signal};
use suiro_sdk::lang::{Template, TemplatePrepared};
use suiro_sdk::reroute::{MAX_TAG, MAX_TAGS, is_tag};
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Filter, FilterContext, FilterFactory, Flow, Selection, Stateless};

use self::convert::Span;
use crate::spans::fixed_path;

/// The filter.
#[derive(Clone, Debug)]
struct LogToSpan {
    name: Template,
    trace_id: Path,
    span_id: Path,
    parent: Option<Path>,
    start: Option<Path>,
    end: Option<Path>,
    duration: Option<Path>,
    /// Nanoseconds.
    unit: f64,
    kind: Option<Template>,
    status: Option<Path>,
    status_message: Option<Path>,
    /// Names and fields; `None`: the rest.
    attributes: Option<Vec<(String, Path)>>,
    tag: Option<Template>,
    keep: bool,
}

/// Reads the settings.
pub fn build(settings: &Section) -> Result<Box<dyn FilterFactory>, Reported> {
    let name = settings.require::<Template>("span_name", "\"{method} {path}\"");
    let units = [("ns", 1.0), ("us", 1e3), ("ms", 1e6), ("s", 1e9)];
    let attributes = match settings.value("attributes") {
        None => None,
        Some(value) if value.as_str() == Some("rest") => None,
        Some(value) if value.as_str().is_some() => {
            value.error("`attributes` must be \"rest\" or a table of names and fields", "");
            None
        }
        Some(_) => Some(settings.map("attributes")),
    };
    let tag = settings.get::<Template>("tag");
    if tag.as_ref().and_then(Template::is_literal).is_some_and(|tag| !is_tag(tag)) {
        settings.error_at("tag", format!("`tag` must have from 1 to {MAX_TAG} bytes"), "");
    }
    let [start, end, duration] = ["start", "end", "duration"].map(|key| settings.get::<Path>(key));
    let given = ["start", "end", "duration"].map(|key| settings.has(key));
    match given {
        [true, true, true] => {
            settings.error_at("duration", "`start` and `end` say the duration already", "leave one of the three out");
        }
        [false, false, false] | [false, true, false] => {
            settings.missing(if given[1] { "start" } else { "duration" }, "\"duration_ms\"");
        }
        _ => {}
    }
    if settings.has("duration_unit") && !given[2] {
        settings.error_at("duration_unit", "`duration_unit` needs `duration`", "");
    }
    let kind = settings.get::<Template>("kind");
    if let Some(word) = kind.as_ref().and_then(Template::is_literal)
        && read::kind(word).is_none()
    {
        let help = "one of internal, server, client, producer, consumer";
        settings.error_at("kind", format!("`{word}` is no kind of span"), help);
    }
    let trace_id = settings.or("trace_id", fixed_path("@trace_id"));
    let span_id = settings.or("span_id", fixed_path("@span_id"));
    let parent = settings.get("parent_span_id");
    let unit = settings.choice("duration_unit", &units).unwrap_or(1e6);
    let [status, status_message] = ["status", "status_message"].map(|key| settings.get::<Path>(key));
    let keep = settings.choice("logs", &[("drop", false), ("keep", true)]).unwrap_or_default();
    settings.finish()?;
    Ok(Box::new(Stateless(LogToSpan {
        name: name?,
        trace_id,
        span_id,
        parent,
        start,
        end,
        duration,
        unit,
        kind,
        status,
        status_message,
        attributes,
        tag,
        keep,
    })))
}

impl Filter for LogToSpan {
    fn apply(&mut self, flow: &mut Flow, rows: &Selection, cx: &mut FilterContext) {
        if flow.batch.signal != Signal::Logs {
            return;
        }
        let mut made: Vec<Batch> = Vec::new();
        let mut staying = Vec::new();
        let mut text = Vec::new();
        let prepared = Span::new(self, &flow.batch);
        let tag = self.tag.as_ref().map(|tag| tag.prepare(&flow.batch));
        for (i, row) in flow.batch.rows.iter().enumerate() {
            if !rows.has(i) {
                staying.push(*row);
                continue;
            }
            let place = place(&flow.batch, row, tag.as_ref(), &mut text, &mut made);
            if place.and_then(|at| prepared.make(row, &mut made[at])).is_none() {
                cx.failed += 1;
                staying.push(*row);
            } else if self.keep {
                cx.created += 1;
                staying.push(*row);
            }
        }
        drop((prepared, tag));
        flow.batch.rows = staying;
        for batch in made.into_iter().filter(|batch| !batch.is_empty()) {
            let mut custody = flow.custody.fork();
            custody.narrow(&batch, batch.rows.iter());
            cx.emit(Flow { batch, custody });
        }
        if !self.keep && !cx.emitted.is_empty() {
            let Flow { batch, custody } = flow;
            custody.narrow(batch, batch.rows.iter());
        }
    }
}

/// The batch that a record's span goes to.
fn place(
    from: &Batch,
    row: &Row,
    tag: Option<&TemplatePrepared<'_>>,
    text: &mut Vec<u8>,
    made: &mut Vec<Batch>,
) -> Option<usize> {
    text.clear();
    let tag = match tag {
        None => &*from.tag,
        Some(tag) => {
            tag.render(from, row, text).ok()?;
            std::str::from_utf8(text).ok().filter(|tag| is_tag(tag))?
        }
    };
    if let Some(at) = made.iter().position(|made| *made.tag == *tag) {
        return Some(at);
    }
    if made.len() == MAX_TAGS {
        return None;
    }
    let mut batch = from.sibling(tag.into());
    batch.signal = Signal::Traces;
    made.push(batch);
    Some(made.len() - 1)
}
