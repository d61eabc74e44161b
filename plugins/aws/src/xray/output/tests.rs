//! Spans to X-Ray.

mod answers;
mod blocks;
mod from_segments;
mod limits;
mod mapping;
mod output;
mod stacks;
mod validator;

use std::sync::Arc;

use serde_json::{Value, json};
use suiro_sdk::record::{Batch, Row, Scope, Signal, Source, Value as Plain};
use suiro_sdk::settings::Section;

use super::cloud::Resource;
use super::document::Documents;
use super::settings::{Rules, Settings};
use super::span::Span;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const ID: &str = "00f067aa0ba902b7";
const PARENT: &str = "05e3ac9a4f6e3b90";
/// As X-Ray has it.
const XRAY_TRACE: &str = "1-4bf92f35-77b34da6a3ce929d0e0e4736";

fn rules(settings: &str) -> Rules {
    let (section, diagnostics) = Section::from_text("[[output]] xray", settings);
    match Settings::read(&section) {
        Ok(settings) => settings.rules,
        Err(_) => panic!("{}", diagnostics.render(false)),
    }
}

/// A batch of one span of a resource.
fn batch(resource: &Value, span: &Value) -> Batch {
    batch_of(resource, std::slice::from_ref(span), &json!({ "trace_id": TRACE, "span_id": ID }))
}

fn batch_of(resource: &Value, spans: &[Value], header: &Value) -> Batch {
    let mut scope = Scope::new(Arc::new(Source::new("in".into(), 1)));
    scope.resource = resource.as_object().unwrap().iter().map(|(key, value)| (key.clone(), plain(value))).collect();
    let mut batch = Batch::new("t".into(), Arc::new(scope), 1_700_000_000_000_000_000);
    batch.signal = Signal::Traces;
    for (n, span) in spans.iter().enumerate() {
        let mut parse = |value: &Value| {
            let from = batch.heap().len();
            batch.heap_mut().extend_from_slice(value.to_string().as_bytes());
            let to = batch.heap().len();
            batch.parse_json(from..to).unwrap()
        };
        let root = parse(span);
        let mut own = header.clone();
        if n > 0 {
            own["span_id"] = json!(format!("{:016x}", n + 1));
        }
        let header = parse(&own);
        let start = n as u64 * 100;
        let mut row = Row::new(root, batch.read_at, start, start + 50);
        assert!(batch.set_header_map(&mut row, header) || own.as_object().unwrap().is_empty());
        batch.rows.push(row);
    }
    batch
}

fn plain(value: &Value) -> Plain {
    match value {
        Value::Null => Plain::Null,
        Value::Bool(flag) => Plain::Bool(*flag),
        Value::Number(n) => n.as_i64().map_or_else(|| Plain::Float(n.as_f64().unwrap()), Plain::Int),
        Value::String(text) => Plain::Str(text.clone()),
        Value::Array(items) => Plain::Array(items.iter().map(plain).collect()),
        Value::Object(map) => Plain::Object(map.iter().map(|(key, value)| (key.clone(), plain(value))).collect()),
    }
}

/// The documents of a batch's spans, as text.
fn written(batch: &Batch, rules: &Rules) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    let mut documents = Documents::default();
    for row in &batch.rows {
        let span = Span::read(batch, row)?;
        let resource = Resource::new(batch.scope(row), rules);
        documents.clear();
        documents.add(&span, &resource, rules);
        for (bytes, id) in documents.iter() {
            let text = std::str::from_utf8(bytes).unwrap().to_owned();
            let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert_eq!(value["id"], id.to_string());
            all.push(text);
        }
    }
    Ok(all)
}

/// The documents of a span, each checked by the rules of X-Ray.
fn documents(settings: &str, resource: &Value, span: &Value) -> Vec<Value> {
    let texts = written(&batch(resource, span), &rules(settings)).unwrap();
    texts
        .iter()
        .map(|text| {
            validator::check(text).unwrap_or_else(|why| panic!("{why}: {text}"));
            serde_json::from_str(text).unwrap()
        })
        .collect()
}

/// The one document of a span.
fn document(resource: &Value, span: &Value) -> Value {
    let mut all = documents("", resource, span);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// A span with these attributes, and what is in `more`.
fn span(kind: &str, attributes: Value, more: Value) -> Value {
    let mut span = json!({
        "name": "GET /items",
        "kind": kind,
        "start": 1_480_615_200_010_000_000_i64,
        "end": 1_480_615_200_090_000_000_i64,
    });
    if attributes.as_object().is_some_and(|map| !map.is_empty()) {
        span["attributes"] = attributes;
    }
    span.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    span
}

fn none() -> Value {
    json!({})
}

/// A span of that kind with these attributes, of no resource.
fn of(kind: &str, attributes: Value) -> Value {
    document(&none(), &span(kind, attributes, none()))
}

/// The same, with a parent.
fn within(kind: &str, attributes: Value) -> Value {
    document(&none(), &span(kind, attributes, json!({ "parent_span_id": PARENT })))
}
