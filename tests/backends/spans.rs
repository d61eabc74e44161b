//! What Jaeger and Zipkin have of a service, so that two services can be compared that sent the same spans: one straight to
//! the server, one through the agent. What the server adds, changes or can't hold, it does to both.
//!
//! The SDK makes ids of the service's name. Here each is replaced by what its span is, `name at start`, and the service's
//! name by `SERVICE`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::agent;
use super::otlp;

/// The spans Jaeger has of `service`, as soon as there are `count`.
pub(crate) fn jaeger(url: &str, service: &str, count: usize) -> Vec<Value> {
    let look = || {
        let answer = get(url, "/api/traces", &[("service", service), ("limit", "1000")]);
        let mut spans = Vec::new();
        for trace in otlp::list(&answer, "data") {
            for span in otlp::list(trace, "spans") {
                let process = &trace["processes"][span["processID"].as_str().expect("a process")];
                if process["serviceName"] == service {
                    let mut span = span.clone();
                    span["process"] = process.clone();
                    // They are by trace, and say what Jaeger thinks of the spans together.
                    span["processID"] = Value::Null;
                    spans.push(span);
                }
            }
        }
        spans
    };
    let spans = agent::wait_for(&format!("{count} spans of {service} in Jaeger"), look, |spans| spans.len() >= count);
    alike(service, spans, "spanID", "traceID", "operationName", "startTime")
}

/// The spans Zipkin has of `service`, as soon as there are `count`.
pub(crate) fn zipkin(url: &str, service: &str, count: usize) -> Vec<Value> {
    // Zipkin names services in lower case.
    let look = || {
        let answer =
            get(url, "/api/v2/traces", &[("serviceName", service), ("limit", "1000"), ("lookback", "86400000")]);
        let traces = answer.as_array().expect("a list of traces");
        let spans = traces.iter().flat_map(|trace| trace.as_array().expect("a list of spans"));
        spans.filter(|span| span["localEndpoint"]["serviceName"] == service).cloned().collect::<Vec<_>>()
    };
    let spans = agent::wait_for(&format!("{count} spans of {service} in Zipkin"), look, |spans| spans.len() >= count);
    alike(service, spans, "id", "traceId", "name", "timestamp")
}

fn alike(service: &str, spans: Vec<Value>, id: &str, trace: &str, name: &str, start: &str) -> Vec<Value> {
    let mut names = BTreeMap::new();
    for span in &spans {
        let text = |key: &str| span[key].as_str().expect("a text").to_owned();
        names.insert(text(id), format!("{} at {}", text(name), span[start]));
        // The trace the SDK is told to go on with is the same for all.
        if text(trace) != "0af7651916cd43dd8448eb211c80319c" {
            names.insert(text(trace), "TRACE".to_owned());
        }
    }
    let rename = |text: &str| names.get(text).cloned().unwrap_or_else(|| text.replace(service, "SERVICE"));
    let mut spans: Vec<Value> = spans.into_iter().map(|span| renamed(span, &rename)).collect();
    spans.sort_by_cached_key(Value::to_string);
    spans
}

fn renamed(value: Value, rename: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => json!(rename(&text)),
        Value::Array(values) => values.into_iter().map(|value| renamed(value, rename)).collect(),
        Value::Object(map) => map.into_iter().map(|(name, value)| (name, renamed(value, rename))).collect(),
        other => other,
    }
}

/// The JSON that `path` answers with.
pub(crate) fn get(url: &str, path: &str, query: &[(&str, &str)]) -> Value {
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let request = ureq::Agent::from(config).get(format!("{url}{path}")).query_pairs(query.iter().copied());
    let mut answer = request.call().unwrap_or_else(|error| panic!("{url}{path}: {error}"));
    let bytes = answer.body_mut().with_config().limit(64 << 20).read_to_vec().expect("the answer can be read");
    // A service nobody has heard of is not found, and that is an answer.
    serde_json::from_slice(&bytes).unwrap_or_else(|error| {
        panic!("{url}{path}: {}: {error} in {}", answer.status(), String::from_utf8_lossy(&bytes))
    })
}
