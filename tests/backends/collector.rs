//! Looking at what the OpenTelemetry Collector wrote to its files.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::agent;
use super::otlp::{self, Signal};
use super::server::Server;

/// Waits until `count` records of `service` are there, and returns them all.
pub(crate) fn wait(server: &Server, signal: Signal, service: &str, count: usize) -> Vec<Value> {
    agent::wait_for(
        &format!("{count} {} of {service}", signal.name()),
        || items(server, signal, service),
        |items| items.len() >= count,
    )
}

/// The records of `service` that are there.
pub(crate) fn items(server: &Server, signal: Signal, service: &str) -> Vec<Value> {
    let path = Path::new(server.word("files")).join(format!("{}.jsonl", signal.name()));
    let text = fs::read_to_string(path).unwrap_or_default();
    // The last line may be half written.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let requests: Vec<Value> = whole.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let mut items = otlp::items(signal, &requests);
    items.retain(|item| otlp::resource_text(item, "service.name") == Some(service));
    items
}
