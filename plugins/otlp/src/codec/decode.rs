//! The second pass: records of messages that were checked. Texts and ids stay where they are in the request; the records'
//! nodes point at them.

use std::ops::Range;
use std::sync::Arc;

use suiro_record::{Attributes, Batch, EditError, Scope, Signal, Source, Value};

use super::index::{Group, Index};
use super::record::Decoder;
use super::value::{attributes_of, int};
use super::wire::{Raw, Reader, error};
use super::{DecodeError, Decoded, words};

/// The records of a request. See [`super::decode`].
pub(super) fn decode(
    signal: Signal,
    mut request: Vec<u8>,
    source: &Arc<Source>,
    new_batch: &mut dyn FnMut(Arc<Scope>) -> Batch,
) -> Result<Decoded, DecodeError> {
    let mut index = Index::new(signal, &request)?;
    let groups = std::mem::take(&mut index.groups);
    let records = std::mem::take(&mut index.records);
    let words = request.len();
    if signal != Signal::Logs {
        request.extend_from_slice(words::ALL.as_bytes());
    }
    let decoder = Decoder { request: &request, words, signal };
    let mut batches: Vec<Batch> = Vec::new();
    for group in &groups {
        let scope = Arc::new(scope(&request, group, source));
        for record in &records[group.records.clone()] {
            let metric = index.metrics.get(record.metric as usize);
            let add = |batch: &mut Batch| -> Result<(), EditError> {
                let mark = batch.mark();
                let mut row = decoder.record(batch, record.span(), metric).inspect_err(|_| batch.cut(mark))?;
                row.scope = batch.try_add_scope(&scope).ok_or(EditError::Full)?;
                batch.rows.push(row);
                Ok(())
            };
            if let Some(batch) = batches.last_mut().filter(|batch| !batch.is_full())
                && add(batch).is_ok()
            {
                continue;
            }
            let mut fresh = new_batch(scope.clone());
            match add(&mut fresh) {
                Ok(()) => batches.push(fresh),
                Err(_) => index.refuse(1, error("a record has more different keys than it may", record.span().start)),
            }
        }
    }
    // Mostly it is one batch, and the request becomes its heap.
    if let Some((first, others)) = batches.split_first_mut() {
        for other in others {
            other.heap_mut().extend_from_slice(&request);
        }
        *first.heap_mut() = request;
    }
    Ok(Decoded { batches, refused: index.refused, why: index.why })
}

fn scope(request: &[u8], group: &Group, source: &Arc<Source>) -> Scope {
    let text = |span: &Range<usize>| String::from_utf8_lossy(&request[span.clone()]).into_owned();
    let mut scope = Scope::new(source.clone());
    scope.resource = attributes_of(request, group.resource.clone(), 1);
    let details = &mut scope.resource_details;
    let mut entities = Vec::new();
    let mut reader = Reader::new(request, group.resource.clone());
    while let Ok(Some(field)) = reader.next() {
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
    let mut reader = Reader::new(request, group.scope.clone());
    while let Ok(Some(field)) = reader.next() {
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
    let mut reader = Reader::new(request, span);
    while let Ok(Some(field)) = reader.next() {
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
