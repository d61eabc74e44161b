//! A `_bulk` request: all its action lines are read before the first document is stored, since one that is wrong stops
//! them all.

use std::sync::atomic::Ordering;

use serde::Deserialize;

use super::items::{Filter, Item, Items};
use super::{Document, Indices, Node, check, failure};
use crate::http::{Answer, Request};

/// Most bytes of an id.
const MAX_ID: usize = 512;

/// `{"create":{"_index":"a","_id":"b"}}`
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action<'a> {
    #[serde(borrow)]
    Create(Target<'a>),
    #[serde(borrow)]
    Index(Target<'a>),
}

#[derive(Deserialize)]
struct Target<'a> {
    #[serde(borrow, default)]
    _index: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, default)]
    _id: Option<std::borrow::Cow<'a, str>>,
}

/// What is to be done with one document.
struct Operation<'a> {
    create: bool,
    index: String,
    id: Option<String>,
    source: &'a [u8],
}

// === impl Node ===

impl Node {
    /// The answer's body, or the refusal of the whole.
    pub(super) fn bulk(&self, request: &Request, refuse_every: Option<usize>) -> Result<Vec<u8>, Box<Answer>> {
        let path = request.head.path.trim_start_matches('/');
        let default_index = path.strip_suffix("/_bulk").unwrap_or_default();
        let operations = read(&request.body, default_index)?;
        let filter = Filter::parse(request.head.parameter("filter_path").as_deref());
        let mut items = Items::new(filter);
        let mut stored = Vec::new();
        self.indices.change(|indices| {
            for (number, operation) in operations.iter().enumerate() {
                let name = if operation.create { "create" } else { "index" };
                let refuse = refuse_every.is_some_and(|every| number % every == 0);
                let (item, new) = self.apply(indices, operation, refuse);
                match item.status {
                    200..=299 => {}
                    409 => drop(self.conflicts.fetch_add(1, Ordering::Relaxed)),
                    _ => drop(self.refused.fetch_add(1, Ordering::Relaxed)),
                }
                if new && self.options.observer.is_some() {
                    stored.push((number, item.id.clone()));
                }
                items.push(name, &item);
            }
            // Under the lock: observers hear of documents in the order in which they came.
            if let Some(observer) = &self.options.observer {
                for (number, id) in &stored {
                    let operation = &operations[*number];
                    observer(&operation.index, id.as_deref().unwrap_or_default(), operation.source);
                }
            }
        });
        Ok(items.finish())
    }

    /// Does it, and says whether there is a new document now.
    fn apply(&self, indices: &mut Indices, operation: &Operation<'_>, refuse: bool) -> (Item, bool) {
        let Operation { create, index, id, source } = operation;
        let refused = |status, kind: &str, reason: String, cause: Option<(&str, String)>| {
            (Item::refused(index, id.clone(), status, kind, reason, cause), false)
        };
        if refuse {
            let reason = "rejected execution of primary operation [coordinating_and_primary_bytes=77000000, \
                          primary_operation_bytes=1000, max_coordinating_and_primary_bytes=77850214]";
            return refused(429, "es_rejected_execution_exception", reason.to_owned(), None);
        }
        if let Err(reason) = check::index_name(index) {
            let reason = format!("Invalid index name [{index}], {reason}");
            return (Item::refused(index, None, 400, "invalid_index_name_exception", reason, None), false);
        }
        if self.options.data_streams && !create {
            let reason = "only write ops with an op_type of create are allowed in data streams".to_owned();
            return refused(400, "illegal_argument_exception", reason, None);
        }
        if id.as_ref().is_some_and(String::is_empty) {
            let reason = "if _id is specified it must not be empty".to_owned();
            return refused(400, "illegal_argument_exception", reason, None);
        }
        if let Err(wrong) = check::document(source, self.options.data_streams) {
            let reason = match &wrong.field {
                Some(field) => {
                    format!("failed to parse field {field} in document with id '{}'", id.as_deref().unwrap_or("?"))
                }
                None => "failed to parse".to_owned(),
            };
            return refused(400, "document_parsing_exception", reason, Some((wrong.kind, wrong.reason)));
        }
        let known = indices.by_id.entry(index.clone()).or_default();
        if let Some(id) = id
            && let Some(&place) = known.get(id)
        {
            if *create {
                let reason = format!("[{id}]: version conflict, document already exists (current version [1])");
                return refused(409, "version_conflict_engine_exception", reason, None);
            }
            if let Some(document) = indices.documents.get_mut(place) {
                document.source = String::from_utf8_lossy(source).into_owned();
            }
            return (Item::stored(index, id, 200, place as u64), false);
        }
        let id = match id {
            Some(id) => id.clone(),
            None => {
                indices.generated += 1;
                format!("generated-{:08}", indices.generated)
            }
        };
        let place = indices.documents.len();
        known.insert(id.clone(), place);
        indices.count += 1;
        if self.options.keep_sources {
            let source = String::from_utf8_lossy(source).into_owned();
            indices.documents.push(Document { index: index.clone(), id: id.clone(), source });
        }
        (Item::stored(index, &id, 201, indices.count), true)
    }
}

fn read<'a>(body: &'a [u8], default_index: &str) -> Result<Vec<Operation<'a>>, Box<Answer>> {
    let poisoned = |kind: &str, reason: &str| Err(Box::new(failure(400, kind, reason)));
    if body.is_empty() {
        return poisoned("parse_exception", "request body is required");
    }
    let Some(body) = body.strip_suffix(b"\n") else {
        return poisoned("illegal_argument_exception", "The bulk request must be terminated by a newline [\\n]");
    };
    let mut lines = body.split(|byte| *byte == b'\n');
    let mut operations = Vec::new();
    let mut number = 0;
    let mut invalid = Vec::new();
    while let Some(line) = lines.next() {
        number += 1;
        if line.is_empty() {
            continue;
        }
        let (create, target) = match serde_json::from_slice(line) {
            Ok(Action::Create(target)) => (true, target),
            Ok(Action::Index(target)) => (false, target),
            Err(error) => {
                let reason = format!(
                    "Malformed action/metadata line [{number}], expected one of [create, delete, index, update] but found \
                     [{error}]"
                );
                return poisoned("illegal_argument_exception", &reason);
            }
        };
        number += 1;
        let Some(source) = lines.next() else {
            return poisoned("illegal_argument_exception", "The bulk request must be terminated by a newline [\\n]");
        };
        let index = target._index.map_or_else(|| default_index.to_owned(), std::borrow::Cow::into_owned);
        let id = target._id.map(std::borrow::Cow::into_owned);
        if index.is_empty() {
            invalid.push("index is missing".to_owned());
        }
        if let Some(id) = id.as_ref().filter(|id| id.len() > MAX_ID) {
            invalid.push(format!("id [{id}] is too long, must be no longer than 512 bytes but was: {}", id.len()));
        }
        operations.push(Operation { create, index, id, source });
    }
    if invalid.is_empty() {
        return Ok(operations);
    }
    let list: String = invalid.iter().zip(1..).map(|(text, n)| format!(" {n}: {text};")).collect();
    poisoned("action_request_validation_exception", &format!("Validation Failed:{list}"))
}
