//! Zipkin in and out.
//!
//! The fixtures were captured from the Zipkin exporters of OpenTelemetry for Python 1.45, JSON and protobuf, at a socket
//! that wrote down what came.

mod hostile;
mod real;
mod round_trip;

use std::sync::Arc;

use serde_json::Value;
use suiro_record::{Batch, Scope, Signal, Source};
use suiro_sdk::spans::Spans;

use crate::encode::write_span;
use crate::{DecodeError, Format, decode};

const OTEL_JSON: &[u8] = include_bytes!("tests/fixtures/otel-python.json");
const OTEL_PROTOBUF: &[u8] = include_bytes!("tests/fixtures/otel-python.pb");

const READ_AT: i64 = 5_000_000;

fn batches(bytes: &[u8], format: Format) -> Result<Vec<Batch>, DecodeError> {
    let mut open = |scope: Arc<Scope>| {
        let mut batch = Batch::new("t".into(), scope, READ_AT);
        batch.signal = Signal::Traces;
        batch
    };
    let mut spans = Spans::new(&mut open);
    decode(bytes, format, Arc::new(Source::new("in".into(), 7)), &mut spans)?;
    Ok(spans.finish())
}

/// Every span in lines: resource, scope, header, body.
fn shown(batches: &[Batch]) -> Vec<String> {
    let mut spans = Vec::new();
    for batch in batches {
        for row in &batch.rows {
            let mut text = Vec::new();
            for attributes in [&batch.scope(row).resource, &batch.scope(row).scope] {
                suiro_record::Value::Object(attributes.clone()).write_json(&mut text);
                text.push(b'\n');
            }
            batch.header(row).unwrap().write_json(&mut text);
            text.push(b'\n');
            batch.write_json(row, &mut text);
            spans.push(String::from_utf8(text).unwrap());
        }
    }
    spans
}

/// What is written of every span.
fn written(batches: &[Batch]) -> Vec<Value> {
    let mut spans = Vec::new();
    for batch in batches {
        for row in &batch.rows {
            let mut text = Vec::new();
            write_span(batch, row, &mut text).unwrap();
            spans.push(serde_json::from_slice(&text).unwrap());
        }
    }
    spans
}
