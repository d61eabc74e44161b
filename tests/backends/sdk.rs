//! The OpenTelemetry SDK for Python as a source, through `python/emit.py`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::SystemTime;

use serde_json::Value;

use super::otlp::{self, Signal};
use super::server::Server;

/// When all that is sent in this run happened, but for metrics: two minutes ago, in seconds since 1970.
static TIME: LazyLock<u64> = LazyLock::new(|| {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is past 1970");
    now.as_secs() - 120
});

/// Lets the SDK send through `exporter` to `endpoint` as the service `service`. Returns what it sent, as
/// items of OTLP; its exporter said that all went well.
pub(crate) fn send(python: &Server, exporter: &str, signal: Signal, endpoint: &str, service: &str) -> Vec<Value> {
    let time = TIME.to_string();
    let environment = if exporter.starts_with("jaeger") { "venv-jaeger" } else { "venv" };
    let run = Command::new(Path::new(&python.url).join(environment).join("bin/python"))
        .args(["-W", "ignore", python.word("script"), exporter, signal.name(), endpoint, service, &time])
        .stdin(Stdio::null())
        .output()
        .expect("Python starts");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{exporter} of {}: {}\n{said}", signal.name(), run.status);
    let requests: Vec<Value> = String::from_utf8(run.stdout)
        .expect("JSON is UTF-8")
        .lines()
        .map(|line| {
            let mut request = serde_json::from_str(line).expect("a request a line");
            otlp::ids_of_protobuf(&mut request);
            request
        })
        .collect();
    let items = otlp::items(signal, &requests);
    assert!(!items.is_empty(), "the SDK sent nothing\n{said}");
    items
}
