//! What a request costs: 1000 log records of 1 KB, or as many spans, decoded and encoded again; against prost.
//!
//! Throughput is records per second on one core.

use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use suiro_otlp::codec::{decode, encode, json};
use suiro_record::{Batch, Path, Signal, Source};

const RECORDS: usize = 1000;

fn text(text: impl Into<String>) -> Option<AnyValue> {
    Some(AnyValue { value: Some(Value::StringValue(text.into())) })
}

fn pair(key: &str, value: Option<AnyValue>) -> KeyValue {
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn attributes(n: usize) -> Vec<KeyValue> {
    let int = |n: usize| Some(AnyValue { value: Some(Value::IntValue(n as i64)) });
    vec![
        pair("http.request.method", text("GET")),
        pair("url.path", text(format!("/api/v1/orders/{n}"))),
        pair("http.response.status_code", int(200 + n % 4)),
        pair("client.address", text(format!("10.0.{}.{}", n % 256, n % 77))),
        pair("user_agent.original", text("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")),
        pair("server.address", text("shop.example.com")),
        pair("network.protocol.version", text("1.1")),
        pair("thread.id", int(n % 64)),
        pair("code.function.name", text("com.example.shop.OrderController.list")),
        pair("enduser.id", text(format!("user-{}", n * 7919))),
    ]
}

fn resource() -> Option<Resource> {
    let names = ["service.name", "service.version", "k8s.pod.name", "k8s.namespace.name", "host.name"];
    Some(Resource { attributes: names.map(|name| pair(name, text("a-value"))).to_vec(), ..Resource::default() })
}

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope { name: "com.example.shop".to_owned(), ..InstrumentationScope::default() })
}

fn logs() -> Vec<u8> {
    let line = "the order was listed for the customer in the time that was allowed for it; ".repeat(6);
    let log_records = (0..RECORDS)
        .map(|n| LogRecord {
            time_unix_nano: 1_700_000_000_000_000_000 + n as u64,
            observed_time_unix_nano: 1_700_000_000_000_001_000 + n as u64,
            severity_number: 9,
            severity_text: "INFO".to_owned(),
            body: text(format!("{n} {line}")),
            attributes: attributes(n),
            trace_id: vec![7; 16],
            span_id: vec![9; 8],
            ..LogRecord::default()
        })
        .collect();
    let scope_logs = vec![ScopeLogs { scope: scope(), log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { resource: resource(), scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

fn traces() -> Vec<u8> {
    let spans = (0..RECORDS)
        .map(|n| Span {
            trace_id: vec![7; 16],
            span_id: vec![9; 8],
            parent_span_id: vec![8; 8],
            name: "GET /api/v1/orders".to_owned(),
            kind: 2,
            start_time_unix_nano: 1_700_000_000_000_000_000 + n as u64,
            end_time_unix_nano: 1_700_000_000_000_001_000 + n as u64,
            attributes: attributes(n),
            ..Span::default()
        })
        .collect();
    let scope_spans = vec![ScopeSpans { scope: scope(), spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { resource: resource(), scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

fn batches(signal: Signal, request: &[u8]) -> Vec<Batch> {
    let source = Arc::new(Source::new("otlp".into(), 1));
    decode(signal, request.to_vec(), &source, &mut |scope| {
        let mut batch = Batch::new("otlp".into(), scope, 1_700_000_000_000_000_000);
        batch.signal = signal;
        batch
    })
    .expect("a request")
    .batches
}

fn written(signal: Signal, batches: &[Batch], out: &mut Vec<u8>) {
    out.clear();
    encode(signal, batches.iter().flat_map(|batch| batch.rows.iter().map(move |row| (batch, row))), out);
}

fn codec(c: &mut Criterion) {
    let (logs, traces) = (logs(), traces());
    let mut group = c.benchmark_group(format!("{} KB", logs.len() >> 10));
    group.throughput(Throughput::Elements(RECORDS as u64));
    let mut out = Vec::new();
    for (signal, request) in [(Signal::Logs, &logs), (Signal::Traces, &traces)] {
        let name = signal.name();
        group.bench_function(format!("{name}, looked at"), |b| b.iter(|| batches(signal, request).len()));
        group.bench_function(format!("{name}, decoded"), |b| {
            b.iter(|| {
                let mut batches = batches(signal, request);
                batches.iter_mut().for_each(Batch::unpack);
                batches.len()
            });
        });
        group.bench_function(format!("{name}, untouched"), |b| {
            b.iter(|| {
                written(signal, &batches(signal, request), &mut out);
                assert_eq!(out.len(), request.len());
            });
        });
        let path = if signal == Signal::Logs { "@attributes" } else { "attributes" };
        let from = Path::parse(&format!("{path}.\"enduser.id\"")).expect("a path");
        let to = Path::parse(&format!("{path}.\"user.id\"")).expect("a path");
        group.bench_function(format!("{name}, one attribute renamed"), |b| {
            b.iter(|| {
                let mut batches = batches(signal, request);
                for batch in &mut batches {
                    batch.unpack();
                    for row in 0..batch.len() {
                        assert!(batch.rename(row, &from, &to).expect("room"));
                    }
                }
                written(signal, &batches, &mut out);
                assert!(out.len() < request.len());
            });
        });
    }
    group.bench_function("logs, prost", |b| {
        b.iter(|| {
            let read = ExportLogsServiceRequest::decode(logs.as_slice()).expect("a request");
            out.clear();
            read.encode(&mut out).expect("room");
        });
    });
    group.bench_function("traces, prost", |b| {
        b.iter(|| {
            let read = ExportTraceServiceRequest::decode(traces.as_slice()).expect("a request");
            out.clear();
            read.encode(&mut out).expect("room");
        });
    });
    let mut text = Vec::new();
    json::from_protobuf(Signal::Logs, &logs, &mut text).expect("JSON");
    group.bench_function("logs, JSON to protobuf", |b| {
        b.iter(|| json::to_protobuf(Signal::Logs, &text).expect("a request").len());
    });
    group.bench_function("logs, protobuf to JSON", |b| {
        b.iter(|| {
            out.clear();
            json::from_protobuf(Signal::Logs, &logs, &mut out).expect("JSON");
        });
    });
    group.finish();
}

criterion_group!(benches, codec);
criterion_main!(benches);
