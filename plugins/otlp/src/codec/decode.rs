//! The second pass: records of messages that were checked. Mostly they stay packed, and their nodes are built when somebody
//! looks ([`suiro_record::Batch::unpack`]). Texts and ids stay where they are in the request; the records'
//! nodes point at them.

use std::ops::Range;
use std::sync::Arc;

use suiro_record::{
    Attributes, Batch, EditError, MessageEdit, MessageEditor, Messages, Row, Scope, Signal, Source, Value,
};
use suiro_sdk::protobuf::{Fields, Raw};

use super::edit::Editor;
use super::error;
use super::index::{Group, Index, Metric, Record};
use super::record::{self, Decoder};
use super::value::{attributes_of, int};
use super::{DecodeError, Decoded, words};

/// A batch that is being filled, and what of the request its heap is to be.
struct Filling {
    batch: Batch,
    from: usize,
    to: usize,
    /// Index of the scope of the records that come now.
    scope: Option<u16>,
}

/// The records of a request. See [`super::decode`].
pub(super) fn decode(
    signal: Signal,
    request: Vec<u8>,
    source: &Arc<Source>,
    new_batch: &mut dyn FnMut(Arc<Scope>) -> Batch,
) -> Result<Decoded, DecodeError> {
    let mut index = Index::new(signal, &request)?;
    let groups = std::mem::take(&mut index.groups);
    let records = std::mem::take(&mut index.records);
    if let Some(keys_left) = index.may_stay_packed(signal, &request)
        && !records.is_empty()
    {
        let mut batch = rows(&request, source, &groups, &records, new_batch);
        *batch.heap_mut() = request;
        batch.pack(if signal == Signal::Logs { &LOGS } else { &SPANS }, index.refused == 0, keys_left);
        return Ok(Decoded { batches: vec![batch], refused: index.refused, why: index.why });
    }
    let mut filling: Vec<Filling> = Vec::new();
    for group in &groups {
        let scope = Arc::new(scope(&request, group, source));
        if let Some(last) = filling.last_mut() {
            last.scope = None;
        }
        for record in &records[group.records.clone()] {
            let metric = index.metrics.get(record.metric as usize);
            if let Some(last) = filling.last_mut().filter(|last| !last.batch.is_full())
                && last.add(signal, &request, &scope, record.span(), metric).is_ok()
            {
                continue;
            }
            // The first has all of the request, others what their own records need.
            let from = if filling.is_empty() { 0 } else { metric.map_or(record.start as usize, |m| m.span.start) };
            let mut fresh = Filling { batch: new_batch(scope.clone()), from, to: from, scope: Some(0) };
            match fresh.add(signal, &request, &scope, record.span(), metric) {
                Ok(()) => filling.push(fresh),
                Err(_) => index.refuse(1, error("a record has more different keys than it may", record.span().start)),
            }
        }
    }
    let mut batches = Vec::with_capacity(filling.len());
    // Mostly it is one batch, and the request becomes its heap.
    let mut filling = filling.into_iter();
    let first = filling.next();
    for Filling { mut batch, from, to, .. } in filling {
        let heap = batch.heap_mut();
        heap.extend_from_slice(words::ALL.as_bytes());
        heap.extend_from_slice(&request[from..to]);
        batches.push(batch);
    }
    if let Some(Filling { mut batch, .. }) = first {
        let mut heap = request;
        if signal != Signal::Logs {
            heap.extend_from_slice(words::ALL.as_bytes());
        }
        *batch.heap_mut() = heap;
        batches.insert(0, batch);
    }
    Ok(Decoded { batches, refused: index.refused, why: index.why })
}

/// Messages of log records, or of spans.
struct Packed(Signal);

static LOGS: Packed = Packed(Signal::Logs);
static SPANS: Packed = Packed(Signal::Traces);

/// A batch whose rows are the records as they stand in the request.
fn rows(
    request: &[u8],
    source: &Arc<Source>,
    groups: &[Group],
    records: &[Record],
    new_batch: &mut dyn FnMut(Arc<Scope>) -> Batch,
) -> Batch {
    let mut scopes = groups.iter().map(|group| Arc::new(scope(request, group, source)));
    // There is a record, so there is a group.
    let first = scopes.next().unwrap_or_else(|| Arc::new(Scope::new(source.clone())));
    let mut batch = new_batch(first);
    for scope in scopes {
        batch.append_scope(&scope);
    }
    batch.rows.reserve(records.len());
    for (number, group) in groups.iter().enumerate() {
        for &Record { start, end, time, .. } in &records[group.records.clone()] {
            let (time, time_kind) = record::time(&batch, time, start as usize);
            let mut row = Row::packed(start..end, time, start.into(), end.into());
            (row.time_kind, row.scope) = (time_kind, number as u16);
            batch.rows.push(row);
        }
    }
    batch
}

// === impl Packed ===

impl Messages for Packed {
    fn unpack(&self, batch: &mut Batch) {
        let Packed(signal) = *self;
        let mut request = std::mem::take(batch.heap_mut());
        let mut rows = std::mem::take(&mut batch.rows);
        let decoder = Decoder { request: &request, words: request.len(), shift: 0, signal };
        for row in &mut rows {
            // It was seen to that there is room.
            let built = decoder.record(batch, row.message(), None);
            debug_assert!(built.is_ok(), "{built:?}");
            *row = row.with_values_of(built.unwrap_or_else(|_| Row::new(batch.new_object(), 0, 0, 0)));
        }
        if signal != Signal::Logs {
            request.extend_from_slice(words::ALL.as_bytes());
        }
        *batch.heap_mut() = request;
        batch.rows = rows;
    }

    fn editor<'e>(&self, edits: &'e [MessageEdit<'e>]) -> Option<Box<dyn MessageEditor + 'e>> {
        Editor::new(self.0, edits).map(|editor| Box::new(editor) as Box<dyn MessageEditor>)
    }
}

// === impl Filling ===

impl Filling {
    fn add(
        &mut self,
        signal: Signal,
        request: &[u8],
        scope: &Arc<Scope>,
        span: Range<usize>,
        metric: Option<&Metric>,
    ) -> Result<(), EditError> {
        // The words stand behind the whole request, or in front of a part of it.
        let (words, shift) = match self.from {
            0 => (request.len(), 0),
            from => (from.wrapping_sub(words::ALL.len()), words::ALL.len().wrapping_sub(from)),
        };
        let batch = &mut self.batch;
        let mark = batch.mark();
        let decoder = Decoder { request, words, shift, signal };
        let mut row = decoder.record(batch, span.clone(), metric).inspect_err(|_| batch.cut(mark))?;
        let number = match self.scope {
            Some(number) => number,
            None => batch.append_scope(scope).ok_or(EditError::Full)?,
        };
        self.scope = Some(number);
        row.scope = number;
        batch.rows.push(row);
        self.to = metric.map_or(span.end, |metric| metric.span.end);
        Ok(())
    }
}

fn scope(request: &[u8], group: &Group, source: &Arc<Source>) -> Scope {
    let text = |span: &Range<usize>| String::from_utf8_lossy(&request[span.clone()]).into_owned();
    let mut scope = Scope::new(source.clone());
    scope.resource = attributes_of(request, group.resource.clone(), 1);
    let details = &mut scope.resource_details;
    let mut entities = Vec::new();
    for field in Fields::new(request, group.resource.clone()) {
        match (field.number, field.value) {
            (2, Raw::Varint(n)) => set(details, DROPPED, int(u64::from(n as u32))),
            (3, Raw::Len(span)) => entities.push(entity(request, span)),
            _ => {}
        }
    }
    if !group.resource_schema.is_empty() {
        set(details, SCHEMA, Value::Str(text(&group.resource_schema)));
    }
    if !entities.is_empty() {
        details.push((ENTITIES.to_owned(), Value::Array(entities)));
    }
    let attributes = attributes_of(request, group.scope.clone(), 3);
    for field in Fields::new(request, group.scope.clone()) {
        match (field.number, field.value) {
            (1, Raw::Len(span)) if !span.is_empty() => set(&mut scope.scope, "name", Value::Str(text(&span))),
            (2, Raw::Len(span)) if !span.is_empty() => set(&mut scope.scope, "version", Value::Str(text(&span))),
            (4, Raw::Varint(n)) => set(&mut scope.scope, DROPPED, int(u64::from(n as u32))),
            _ => {}
        }
    }
    if !attributes.is_empty() {
        scope.scope.push(("attributes".to_owned(), Value::Object(attributes)));
    }
    if !group.scope_schema.is_empty() {
        set(&mut scope.scope, SCHEMA, Value::Str(text(&group.scope_schema)));
    }
    scope
}

pub(super) const DROPPED: &str = "dropped_attributes_count";
pub(super) const SCHEMA: &str = "schema_url";
pub(super) const ENTITIES: &str = "entity_refs";

/// `EntityRef { 1 schema_url, 2 type, 3 id_keys, 4 description_keys }`
fn entity(request: &[u8], span: Range<usize>) -> Value {
    let mut members = Vec::new();
    let (mut ids, mut descriptions) = (Vec::new(), Vec::new());
    for field in Fields::new(request, span) {
        let Raw::Len(span) = field.value else { continue };
        let text = Value::Str(String::from_utf8_lossy(&request[span]).into_owned());
        match field.number {
            1 => set(&mut members, SCHEMA, text),
            2 => set(&mut members, "type", text),
            3 => ids.push(text),
            4 => descriptions.push(text),
            _ => {}
        }
    }
    for (name, texts) in [("id_keys", ids), ("description_keys", descriptions)] {
        if !texts.is_empty() {
            members.push((name.to_owned(), Value::Array(texts)));
        }
    }
    Value::Object(members)
}

/// Sets what a field says; a default says nothing.
fn set(attributes: &mut Attributes, name: &str, value: Value) {
    attributes.retain(|(known, _)| known != name);
    if value != Value::Int(0) {
        attributes.push((name.to_owned(), value));
    }
}
