//! What real clients send, and what nobody should.
//!
//! The fixtures were captured from real clients (at a socket that wrote down what came):
//!
//! | fixture | made by |
//! | --- | --- |
//! | `otel-python-http` | the Jaeger exporter of OpenTelemetry for Python 1.21, over HTTP (binary) |
//! | `otel-python-udp` | the same, over UDP (compact) |
//! | `jaeger-client-udp` | `jaeger-client` 4.8 for Python, over UDP (compact) |
//! | `thrift-lib-*` | Apache Thrift 0.25 for Python with Jaeger's generated types: every type of tag, 64-bit ids, references |

mod hostile;
mod real;

use std::sync::Arc;

use suiro_record::{Batch, Scope, Signal, Source};
use suiro_sdk::spans::Spans;

use crate::{DecodeError, Form, Protocol, decode};

const OTEL_HTTP: &[u8] = include_bytes!("tests/fixtures/otel-python-http.thrift");
const OTEL_UDP: &[u8] = include_bytes!("tests/fixtures/otel-python-udp.thrift");
const CLIENT_UDP: &[u8] = include_bytes!("tests/fixtures/jaeger-client-udp.thrift");
/// Binary and compact.
const LIB: [&[u8]; 2] = [
    include_bytes!("tests/fixtures/thrift-lib-batch-binary.thrift"),
    include_bytes!("tests/fixtures/thrift-lib-batch-compact.thrift"),
];
const LIB_EMIT: [&[u8]; 2] = [
    include_bytes!("tests/fixtures/thrift-lib-emit-binary.thrift"),
    include_bytes!("tests/fixtures/thrift-lib-emit-compact.thrift"),
];

fn batches(bytes: &[u8], protocol: Protocol, form: Form) -> Result<Vec<Batch>, DecodeError> {
    let source = Arc::new(Source::new("in".into(), 7));
    let mut open = |scope: Arc<Scope>| {
        let mut batch = Batch::new("t".into(), scope, 0);
        batch.signal = Signal::Traces;
        batch
    };
    let mut spans = Spans::new(&mut open);
    let count = decode(bytes, protocol, form, &source, 1000, &mut spans)?;
    assert_eq!(count, spans.len());
    Ok(spans.finish())
}

/// Every span in one line: resource, scope, header, body.
fn shown(batches: &[Batch]) -> Vec<String> {
    let mut lines = Vec::new();
    for batch in batches {
        for row in &batch.rows {
            let mut line = Vec::new();
            for attributes in [&batch.scope(row).resource, &batch.scope(row).scope] {
                suiro_record::Value::Object(attributes.clone()).write_json(&mut line);
                line.push(b'\n');
            }
            batch.header(row).unwrap().write_json(&mut line);
            line.push(b'\n');
            batch.write_json(row, &mut line);
            lines.push(String::from_utf8(line).unwrap());
        }
    }
    lines
}
