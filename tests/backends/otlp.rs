//! OTLP requests as JSON, taken apart so that two ways to write the same can be compared.
//!
//! A request becomes a list of items, one for each log record, span or metric point, with all that is around it. What
//! says nothing is left out of each (0, `""`, `false`, empty lists, values without a kind), except where a field's being there
//! is what it says. Numbers are floats, since JSON's `3` and `3.0` are one; 64-bit integers are texts in OTLP's JSON.

use serde_json::{Map, Value, json};

/// What is there is said to be there, whatever it is.
const PRESENCE: [&str; 12] = [
    "stringValue",
    "boolValue",
    "intValue",
    "doubleValue",
    "bytesValue",
    "arrayValue",
    "kvlistValue",
    "asInt",
    "asDouble",
    "sum",
    "min",
    "max",
];

/// Names of one signal's groups in OTLP's JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Logs,
    Traces,
    Metrics,
}

impl Signal {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Signal::Logs => "logs",
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
        }
    }

    fn groups(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Signal::Logs => ("resourceLogs", "scopeLogs", "logRecords"),
            Signal::Traces => ("resourceSpans", "scopeSpans", "spans"),
            Signal::Metrics => ("resourceMetrics", "scopeMetrics", "metrics"),
        }
    }
}

/// Every record of `requests`, in an order of its own: servers keep none across requests.
pub(crate) fn items(signal: Signal, requests: &[Value]) -> Vec<Value> {
    let (resources, scopes, records) = signal.groups();
    let mut items = Vec::new();
    for request in requests {
        for resource in list(request, resources) {
            for scope in list(resource, scopes) {
                for record in list(scope, records) {
                    let around = |record: Value| {
                        let mut item = json!({
                            "resource": resource.get("resource"), "resource_schema": resource.get("schemaUrl"),
                            "scope": scope.get("scope"), "scope_schema": scope.get("schemaUrl"), "record": record,
                        });
                        tidy(&mut item);
                        item
                    };
                    match signal {
                        Signal::Metrics => items.extend(points(record).into_iter().map(around)),
                        Signal::Logs | Signal::Traces => items.push(around(record.clone())),
                    }
                }
            }
        }
    }
    items.sort_by_cached_key(Value::to_string);
    items
}

/// The value of a text attribute of a resource.
pub(crate) fn resource_text<'a>(item: &'a Value, key: &str) -> Option<&'a str> {
    attribute(&item["resource"], key)?.get("stringValue")?.as_str()
}

/// The `AnyValue` of an attribute of something that has `attributes`.
pub(crate) fn attribute<'a>(of: &'a Value, key: &str) -> Option<&'a Value> {
    list(of, "attributes").iter().find(|pair| pair["key"] == key).map(|pair| &pair["value"])
}

pub(crate) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Asserts that two lists are the same, and shows the first of each that the other has not.
#[track_caller]
pub(crate) fn assert_same(arrived: &[Value], sent: &[Value]) {
    let first = |of: &[Value], not_in: &[Value]| of.iter().find(|item| !not_in.contains(item)).cloned();
    if arrived != sent {
        panic!(
            "{} arrived, {} were sent\nonly arrived: {:#}\nonly sent: {:#}",
            arrived.len(),
            sent.len(),
            first(arrived, sent).unwrap_or_default(),
            first(sent, arrived).unwrap_or_default()
        );
    }
}

/// The same, whatever their order.
#[track_caller]
pub(crate) fn assert_same_set(mut arrived: Vec<Value>, mut sent: Vec<Value>) {
    arrived.sort_by_cached_key(Value::to_string);
    sent.sort_by_cached_key(Value::to_string);
    assert_same(&arrived, &sent);
}

/// Sorts all attributes in it by their keys.
pub(crate) fn sort_attributes(value: &mut Value) {
    match value {
        Value::Object(map) => map.values_mut().for_each(sort_attributes),
        Value::Array(values) => {
            values.iter_mut().for_each(sort_attributes);
            if values.iter().all(|value| value.get("key").is_some()) {
                values.sort_by_cached_key(|pair| pair["key"].to_string());
            }
        }
        _ => {}
    }
}

/// The points of a metric, each with what the metric says of all of them.
fn points(metric: &Value) -> Vec<Value> {
    let kinds = ["gauge", "sum", "histogram", "exponentialHistogram", "summary"];
    let kind = kinds.into_iter().find(|kind| metric.get(kind).is_some()).expect("a metric has data");
    let mut about = metric.clone();
    about[kind].as_object_mut().expect("data is an object").remove("dataPoints");
    list(&metric[kind], "dataPoints")
        .iter()
        .map(|point| json!({ "metric": about, "point": point, "kind": kind }))
        .collect()
}

/// Leaves out what says nothing.
pub(crate) fn tidy(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(tidy);
            map.retain(|key, value| PRESENCE.contains(&key.as_str()) || !is_empty(value));
        }
        Value::Array(values) => values.iter_mut().for_each(tidy),
        Value::Number(number) => *value = json!(number.as_f64()),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(yes) => !yes,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty() || text == "0",
        Value::Array(values) => values.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// Rewrites the ids that the protobuf library wrote as base64 to what OTLP's JSON has, lower case hexadecimal.
pub(crate) fn ids_of_protobuf(value: &mut Value) {
    match value {
        Value::Object(map) => {
            hexadecimal(map);
            map.values_mut().for_each(ids_of_protobuf);
        }
        Value::Array(values) => values.iter_mut().for_each(ids_of_protobuf),
        _ => {}
    }
}

fn hexadecimal(map: &mut Map<String, Value>) {
    for name in ["traceId", "spanId", "parentSpanId"] {
        if let Some(Value::String(text)) = map.get_mut(name) {
            *text = base64(text).iter().map(|byte| format!("{byte:02x}")).collect();
        }
    }
}

/// Undoes base64.
pub(crate) fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for digit in text.bytes().take_while(|byte| *byte != b'=') {
        let digit = DIGITS.iter().position(|known| *known == digit).expect("a digit of base64");
        bits = bits << 6 | u32::try_from(digit).expect("below 64");
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).expect("8 bits"));
        }
    }
    bytes
}
