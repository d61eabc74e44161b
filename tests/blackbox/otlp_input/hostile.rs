//! Bodies that are not what they say, or are made to do harm.

use prost::Message as _;
use serde_json::Value;
use suiro_test_servers::Sink;

use super::client::{Grpc, LOGS, TRACES, frame, gzip, logs, post, spans, zstd};
use super::{addresses, site};
use crate::PATIENCE;

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";

/// A field of protobuf with that content.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = content.len();
    while length > 0x7f {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(content);
    out
}

/// A log record whose body is a list in a list, so many times.
fn nested(depth: usize) -> Vec<u8> {
    let mut value = Vec::new();
    for _ in 0..depth {
        // AnyValue { 5 array_value { 1 values } }
        value = field(5, &field(1, &value));
    }
    field(1, &field(2, &field(2, &field(5, &value))))
}

/// As many of the smallest of records as there is room for.
fn crumbs(size: usize) -> Vec<u8> {
    let records = field(2, b"").repeat(size / 2);
    field(1, &field(2, &records))
}

#[test]
fn what_is_malformed_is_refused_and_counted() {
    let sink = Sink::start().unwrap();
    let site = site(&sink, "max_body = '1MiB'", "");
    let running = site.start();
    let (grpc, http) = addresses(&running);
    let mut client = Grpc::connect(&grpc);
    let whole = logs(0, 10).encode_to_vec();
    let mut refused = 0;
    // Cut anywhere it is malformed, or a shorter request, which is none of ours to tell.
    for cut in (1..whole.len()).step_by(37) {
        let answer = client.call(LOGS, &whole[..cut]);
        assert_eq!(answer.code(), "3", "{cut}");
        assert_eq!(post(&http, "/v1/logs", PROTOBUF, &[], &whole[..cut]).status, 400, "{cut}");
        refused += 2;
    }
    for body in [
        &b"\xff"[..],
        b"\x0a\xff\xff\xff\xff\x0f",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"not protobuf at all",
    ] {
        let answer = post(&http, "/v1/logs", PROTOBUF, &[], body);
        assert_eq!((answer.status, answer.header("content-type")), (400, PROTOBUF));
        assert!(!answer.body.is_empty());
        refused += 1;
    }
    for body in
        ["", "{", "[]", "{\"resourceLogs\": 7}", "{\"resourceLogs\": [{\"scopeLogs\": [{\"logRecords\": [7]}]}]}"]
    {
        let answer = post(&http, "/v1/logs", JSON, &[], body.as_bytes());
        assert_eq!(answer.status, 400, "{body}");
        let said: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(said["code"], 3, "{said}");
        assert!(said["message"].as_str().unwrap().contains("can't be read"), "{said}");
        refused += 1;
    }
    for (headers, body) in [
        (vec![("grpc-encoding", "gzip")], frame(1, b"not gzip")),
        (vec![("grpc-encoding", "zstd")], frame(1, &zstd(&whole)[..20])),
        (vec![], frame(7, &whole)),
        (vec![], whole[..3].to_vec()),
    ] {
        assert_eq!(client.call_with(LOGS, &headers, &body).code(), "3");
        refused += 1;
    }
    for (path, media_type, status) in
        [("/v1/profiles", PROTOBUF, 404), ("/v1/logs", "text/plain", 415), ("/v1/logs", "application/grpc", 415)]
    {
        assert_eq!(post(&http, path, media_type, &[], &whole).status, status, "{path} {media_type}");
        refused += 1;
    }
    assert_eq!(client.call("/opentelemetry.proto.collector.logs.v1.LogsService/Import", &whole).code(), "12");
    refused += 1;
    // All the same it takes what is right.
    assert_eq!(client.call(LOGS, &whole).code(), "0");
    assert!(sink.wait_for_lines(10, PATIENCE));
    let (_, metrics) = running.get("/metrics");
    let line = format!("suiro_input_turned_away_total{{input=\"in\",reason=\"malformed\"}} {refused}");
    assert!(metrics.contains(&line), "{line}\n{metrics}");
    let outcome = running.stop();
    assert_eq!(outcome.all_well().input("in", "turned_away"), refused);
    assert_eq!(outcome.all_well().input("in", "received"), 10);
}

#[test]
fn what_is_too_large_is_refused_in_bounded_memory() {
    let sink = Sink::start().unwrap();
    let site = site(&sink, "max_body = '1MiB'", "");
    let running = site.start();
    let (grpc, http) = addresses(&running);
    let mut client = Grpc::connect(&grpc);
    let idle = running.memory();
    let zeros = vec![0; 200 << 20];
    for (name, bomb) in [("gzip", gzip(&zeros)), ("zstd", zstd(&zeros))] {
        for _ in 0..5 {
            let answer = post(&http, "/v1/traces", PROTOBUF, &[("content-encoding", name)], &bomb);
            assert_eq!(answer.status, 413, "{}", answer.text());
            let answer = client.call_with(TRACES, &[("grpc-encoding", name)], &frame(1, &bomb));
            assert_eq!(answer.code(), "8", "{answer:?}");
            assert!(answer.header("grpc-status-details-bin").is_empty(), "sending it again would not help");
        }
    }
    drop(zeros);
    let large = logs(0, 20_000).encode_to_vec();
    assert!(large.len() > 1 << 20);
    assert_eq!(post(&http, "/v1/logs", PROTOBUF, &[], &large).status, 413);
    assert_eq!(client.call(LOGS, &large).code(), "8");
    let memory = running.memory();
    assert!(memory < idle + (32 << 20), "{} MiB, {} MiB before", memory >> 20, idle >> 20);
    assert_eq!(client.call(TRACES, &spans(0, 10).encode_to_vec()).code(), "0");
    assert!(sink.wait_for_lines(10, PATIENCE));
    let outcome = running.stop();
    assert_eq!(outcome.all_well().input("in", "turned_away"), 22);
}

#[test]
fn what_is_nested_deep_or_in_crumbs_does_no_harm() {
    let sink = Sink::start().unwrap();
    let site = site(&sink, "", "");
    let running = site.start();
    let (grpc, http) = addresses(&running);
    let mut client = Grpc::connect(&grpc);
    let idle = running.memory();
    for depth in [1000, 20_000] {
        let answer = client.call(LOGS, &nested(depth));
        // The record alone is refused, or the request.
        assert!(answer.code() == "3" || !answer.message().is_empty(), "{depth}");
        let (open, close) = ("{\"arrayValue\":{\"values\":[".repeat(depth), "]}}".repeat(depth));
        let json =
            format!("{{\"resourceLogs\":[{{\"scopeLogs\":[{{\"logRecords\":[{{\"body\":{open}{close}}}]}}]}}]}}");
        let answer = post(&http, "/v1/logs", JSON, &[], json.as_bytes());
        assert!(answer.status == 400 || answer.text().contains("rejectedLogRecords"), "{}", answer.text());
    }
    // A million records of two bytes each; more than that is refused.
    let answer = client.call(LOGS, &crumbs(10 << 20));
    assert_eq!(answer.code(), "3", "{answer:?}");
    let memory = running.memory();
    assert!(memory < idle + (256 << 20), "{} MiB, {} MiB before", memory >> 20, idle >> 20);
    assert_eq!(client.call(LOGS, &logs(0, 10).encode_to_vec()).code(), "0");
    assert!(sink.wait_for_lines(10, PATIENCE));
    running.stop().all_well();
}
