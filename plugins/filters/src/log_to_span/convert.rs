//! One span of one log.

use suiro_record::{Batch, EditError, Field, Header, NewValue, Path, Resolved, Row, TimeKind, Value};
use suiro_sdk::lang::TemplatePrepared;

use super::{LogToSpan, read};

/// The rule, and what its fields mean in one batch.
pub(super) struct Span<'a> {
    rule: &'a LogToSpan,
    from: &'a Batch,
    name: TemplatePrepared<'a>,
    kind: Option<TemplatePrepared<'a>>,
    trace_id: Resolved<'a>,
    span_id: Resolved<'a>,
    parent: Option<Resolved<'a>>,
    start: Option<Resolved<'a>>,
    end: Option<Resolved<'a>>,
    duration: Option<Resolved<'a>>,
    status: Option<Resolved<'a>>,
    message: Option<Resolved<'a>>,
    attributes: Vec<Resolved<'a>>,
    /// Fields that are part of the span, and no attributes.
    used: Vec<&'a Path>,
}

// === impl Span ===

impl<'a> Span<'a> {
    pub(super) fn new(rule: &'a LogToSpan, from: &'a Batch) -> Self {
        let resolve = |path: &'a Option<Path>| path.as_ref().map(|path| from.resolve(path));
        let LogToSpan { parent, start, end, duration, status, status_message, .. } = rule;
        let optional = [parent, start, end, duration, status, status_message];
        let used = [&rule.trace_id, &rule.span_id].into_iter().chain(optional.into_iter().flatten()).collect();
        let named = rule.attributes.iter().flatten();
        Span {
            rule,
            from,
            name: rule.name.prepare(from),
            kind: rule.kind.as_ref().map(|kind| kind.prepare(from)),
            trace_id: from.resolve(&rule.trace_id),
            span_id: from.resolve(&rule.span_id),
            parent: resolve(parent),
            start: resolve(start),
            end: resolve(end),
            duration: resolve(duration),
            status: resolve(status),
            message: resolve(status_message),
            attributes: named.map(|(_, path)| from.resolve(path)).collect(),
            used,
        }
    }

    /// Adds a record's span to `into`; `None` if it is none.
    pub(super) fn make(&self, row: &Row, into: &mut Batch) -> Option<()> {
        let trace_id = read::trace_id(self.from.get(row, &self.trace_id)?)?;
        let span_id = read::span_id(self.from.get(row, &self.span_id)?)?;
        let parent = match self.get(row, &self.parent).filter(|parent| !is_nothing(*parent)) {
            Some(parent) => Some(read::span_id(parent)?),
            None => None,
        };
        let name = render(&self.name, self.from, row)?;
        let kind = match &self.kind {
            Some(kind) => read::kind(&render(kind, self.from, row).unwrap_or_default())?,
            None => "",
        };
        let (start, end) = self.times(row)?;
        let (rows, mark) = (into.rows.len(), into.mark());
        let made = self.build(row, into, &name, kind, parent.as_deref(), (start, end));
        let set = made.and_then(|()| {
            into.set_header(rows, Header::TraceId, NewValue::Str(&trace_id))?;
            into.set_header(rows, Header::SpanId, NewValue::Str(&span_id))
        });
        if set.is_err() {
            into.rows.truncate(rows);
            into.cut(mark);
        }
        set.ok()
    }

    fn build(
        &self,
        row: &Row,
        into: &mut Batch,
        name: &str,
        kind: &str,
        parent: Option<&str>,
        (start, end): (i64, i64),
    ) -> Result<(), EditError> {
        let attributes = self.rest(row, into)?;
        let root = into.new_object();
        into.append(root, "name", NewValue::Str(name))?;
        for (key, text) in [("kind", Some(kind)), ("parent_span_id", parent)] {
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                into.append(root, key, NewValue::Str(text))?;
            }
        }
        into.append(root, "start", NewValue::Int(start))?;
        into.append(root, "end", NewValue::Int(end))?;
        if let Some(status) = self.status(row) {
            into.append(root, "status", NewValue::Tree(&status))?;
        }
        match attributes {
            Some(rest) if into.body(rest).children().next().is_some() => {
                into.append(root, "attributes", NewValue::Copy(rest))?;
            }
            Some(_) => {}
            None => {
                let named = self.named(row);
                if !named.is_empty() {
                    into.append(root, "attributes", NewValue::Tree(&Value::Object(named)))?;
                }
            }
        }
        let mut span = Row::new(root, end, row.start, row.end);
        // It is another record than the log, which may go on beside it.
        let derived = into.derive(row, root, row.ordinal.saturating_add(1));
        (span.ordinal, span.salt) = (derived.ordinal, derived.salt);
        (span.scope, span.time_kind) = (row.scope, TimeKind::Own);
        into.rows.push(span);
        Ok(())
    }

    /// A copy of the record without what the span is made of; `None` where attributes are named.
    fn rest(&self, row: &Row, into: &mut Batch) -> Result<Option<suiro_record::RootId>, EditError> {
        if self.rule.attributes.is_some() {
            return Ok(None);
        }
        let at = into.import(self.from, row)?;
        for path in &self.used {
            let path = into.resolve(path);
            into.remove(at, &path);
        }
        Ok(into.rows.pop().map(|row| row.root()))
    }

    fn named(&self, row: &Row) -> Vec<(String, Value)> {
        let names = self.rule.attributes.iter().flatten().zip(&self.attributes);
        names.filter_map(|((name, _), path)| Some((name.clone(), self.from.get(row, path)?.to_value()))).collect()
    }

    fn status(&self, row: &Row) -> Option<Value> {
        let code = self.get(row, &self.status).and_then(read::status);
        let message = self.get(row, &self.message).and_then(|message| message.as_str()).filter(|text| !text.is_empty());
        let members: Vec<(String, Value)> = code
            .map(|code| ("code".to_owned(), code.into()))
            .into_iter()
            .chain(message.map(|message| ("message".to_owned(), Value::Str(message.into_owned()))))
            .collect();
        (!members.is_empty()).then_some(Value::Object(members))
    }

    /// When it began and ended.
    fn times(&self, row: &Row) -> Option<(i64, i64)> {
        // What is set must be there, and be what it is for.
        let time = |path: &Option<Resolved<'_>>| match path {
            Some(path) => self.from.get(row, path).and_then(read::time).map(Some),
            None => Some(None),
        };
        let (start, end) = (time(&self.start)?, time(&self.end)?);
        let duration = match &self.duration {
            Some(path) => Some(read::duration(self.from.get(row, path)?, self.rule.unit)?),
            None => None,
        };
        let (start, end) = match (start, end, duration) {
            (Some(start), Some(end), _) => (start, end),
            (Some(start), None, Some(duration)) => (start, start.checked_add(duration)?),
            (Some(start), None, None) => (start, row.time),
            (None, end, duration) => {
                let end = end.unwrap_or(row.time);
                (end.checked_sub(duration?)?, end)
            }
        };
        (0 < start && start <= end).then_some((start, end))
    }

    fn get(&self, row: &Row, path: &Option<Resolved<'_>>) -> Option<Field<'a>> {
        self.from.get(row, path.as_ref()?)
    }
}

/// How logs say that a span has no parent.
fn is_nothing(parent: Field<'_>) -> bool {
    parent.is_null() || parent.as_str().is_some_and(|text| text.bytes().all(|b| b == b'0'))
}

fn render(template: &TemplatePrepared<'_>, batch: &Batch, row: &Row) -> Option<String> {
    let mut text = Vec::new();
    template.render(batch, row, &mut text).ok()?;
    String::from_utf8(text).ok().filter(|text| !text.is_empty())
}
