//! Requests as they should be.

use prost::Message as _;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use suiro_test_servers::Sink;

use super::client::{self, Grpc, LOGS, METRICS, TRACES, frame, gzip, logs, points, post, spans, zstd};
use super::{addresses, site};
use crate::PATIENCE;

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// Asserts that exactly these lines arrived, in any order, each once.
fn assert_arrived(sink: &Sink, mut expected: Vec<Value>) {
    assert!(sink.wait_for_lines(expected.len(), PATIENCE), "{} of {}", sink.lines().len(), expected.len());
    let mut arrived: Vec<Value> = sink.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    arrived.sort_by_key(Value::to_string);
    expected.sort_by_key(Value::to_string);
    assert_eq!(arrived, expected);
}

fn log(n: usize) -> Value {
    json!({ "log": format!("record {n}") })
}

fn span(n: usize) -> Value {
    let (start, end) = (1_700_000_000_000_000_000_u64, 1_700_000_000_500_000_000_u64);
    json!({ "name": format!("span {n}"), "kind": "server", "start": start, "end": end })
}

fn point(n: usize) -> Value {
    json!({ "name": "queue.length", "kind": "gauge", "value": n })
}

#[test]
fn all_signals_over_grpc() {
    let sink = Sink::start().unwrap();
    let site = site(&sink, "", "");
    let running = site.start();
    let (grpc, _) = addresses(&running);
    let mut client = Grpc::connect(&grpc);
    let plain = logs(0, 10).encode_to_vec();
    // An answer without a word: success.
    assert!(client.call(LOGS, &plain).message().is_empty());
    assert!(client.call(TRACES, &spans(0, 10).encode_to_vec()).message().is_empty());
    assert!(client.call(METRICS, &points(0, 10).encode_to_vec()).message().is_empty());
    for (name, packed) in [("gzip", gzip(&logs(10, 10).encode_to_vec())), ("zstd", zstd(&logs(20, 10).encode_to_vec()))]
    {
        let answer = client.call_with(LOGS, &[("grpc-encoding", name)], &frame(1, &packed));
        assert!(answer.message().is_empty());
    }
    // Nothing at all is a request too.
    assert!(client.call(LOGS, b"").message().is_empty());
    let expected = (0..30).map(log).chain((0..10).map(span)).chain((0..10).map(point)).collect();
    assert_arrived(&sink, expected);
    let outcome = running.stop();
    assert_eq!(outcome.all_well().input("in", "received"), 50);
    assert_eq!(outcome.all_well().input("in", "turned_away"), 0);
}

#[test]
fn all_signals_over_http() {
    let sink = Sink::start().unwrap();
    let site = site(&sink, "", "");
    let running = site.start();
    let (_, http) = addresses(&running);
    for (path, body) in [
        ("/v1/logs", logs(0, 10).encode_to_vec()),
        ("/v1/traces", spans(0, 10).encode_to_vec()),
        ("/v1/metrics", points(0, 10).encode_to_vec()),
        ("/v1/logs", vec![]),
    ] {
        let answer = post(&http, path, PROTOBUF, &[], &body);
        assert_eq!((answer.status, answer.header("content-type"), &answer.body[..]), (200, PROTOBUF, &b""[..]));
    }
    for (name, packed) in [("gzip", gzip(&logs(10, 10).encode_to_vec())), ("zstd", zstd(&logs(20, 10).encode_to_vec()))]
    {
        let answer = post(&http, "/v1/logs", PROTOBUF, &[("content-encoding", name)], &packed);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    for (path, body) in [
        ("/v1/logs", serde_json::to_vec(&logs(30, 10)).unwrap()),
        ("/v1/traces", serde_json::to_vec(&spans(10, 10)).unwrap()),
        ("/v1/metrics", serde_json::to_vec(&points(10, 10)).unwrap()),
        ("/v1/logs", b"{}".to_vec()),
    ] {
        let answer = post(&http, path, "application/json; charset=utf-8", &[], &body);
        assert_eq!((answer.status, answer.header("content-type"), &answer.text()[..]), (200, JSON, "{}"));
    }
    let expected = (0..40).map(log).chain((0..20).map(span)).chain((0..20).map(point)).collect();
    assert_arrived(&sink, expected);
    running.stop().all_well();
}

#[test]
fn over_tls_with_credentials() {
    let sink = Sink::start().unwrap();
    let settings = "tls = { cert_file = 'cert.pem', key_file = 'key.pem' }\nauth = { bearer = { file = 'token' } }";
    let site = site(&sink, settings, "");
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    site.write("cert.pem", certificate.pem());
    site.write("key.pem", key.serialize_pem());
    site.write("token", "pa55\n");
    let running = site.start();
    let (grpc, http) = addresses(&running);
    let mut client = Grpc::connect_tls(&grpc, &certificate);
    let body = frame(0, &logs(0, 10).encode_to_vec());
    assert_eq!(client.call_with(LOGS, &[], &body).status, 401);
    assert_eq!(client.call_with(LOGS, &[("authorization", "Bearer pa54")], &body).status, 401);
    let answer = client.call_with(LOGS, &[("authorization", "Bearer pa55")], &body);
    assert_eq!(answer.code(), "0");
    assert!(client::try_post(&http, "/v1/logs", &[("content-type", JSON)], b"{}").is_none(), "it speaks TLS");
    assert_arrived(&sink, (0..10).map(log).collect());
    let outcome = running.stop();
    assert!(!outcome.stderr.contains("pa5"), "{}", outcome.stderr);
    assert_eq!((outcome.all_well().input("in", "received"), outcome.all_well().input("in", "turned_away")), (10, 3));
}

#[test]
fn a_record_that_is_broken_is_refused_alone() {
    let sink = Sink::start().unwrap();
    let site = site(&sink, "", "");
    let running = site.start();
    let (grpc, http) = addresses(&running);
    let mut request = spans(0, 10);
    request.resource_spans[0].scope_spans[0].spans[3].span_id = vec![1, 2, 3];
    request.resource_spans[0].scope_spans[0].spans[5].trace_id = vec![0; 17];
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
    let answer = Grpc::connect(&grpc).call(TRACES, &request.encode_to_vec());
    let partial = ExportTraceServiceResponse::decode(answer.message()).unwrap().partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 2);
    assert!(partial.error_message.contains("id"), "{}", partial.error_message);
    let answer = post(&http, "/v1/traces", JSON, &[], &serde_json::to_vec(&request).unwrap());
    let said: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, &said["partialSuccess"]["rejectedSpans"]), (200, &json!("2")), "{said}");
    let whole = || (0..10).filter(|n| *n != 3 && *n != 5).map(span);
    assert_arrived(&sink, whole().chain(whole()).collect());
    let outcome = running.stop();
    assert_eq!((outcome.all_well().input("in", "received"), outcome.all_well().input("in", "turned_away")), (16, 4));
}

#[test]
fn whoever_comes_to_the_wrong_door_is_told() {
    let sink = Sink::start().unwrap();
    let site = site(&sink, "", "");
    let running = site.start();
    let (grpc, http) = addresses(&running);
    let answer = post(&grpc, "/v1/logs", PROTOBUF, &[], b"");
    assert_eq!(answer.status, 415);
    assert!(answer.text().contains(&format!("OTLP over HTTP is at {http}")), "{}", answer.text());
    let answer = Grpc::connect(&http).call(LOGS, b"");
    assert_eq!(answer.status, 415);
    assert!(answer.text().contains(&format!("gRPC is at {grpc}")), "{}", answer.text());
    let answer = Grpc::connect(&grpc).call("/opentelemetry.proto.collector.logs.v1.LogsService/Import", b"");
    assert_eq!(answer.code(), "12");
    assert!(answer.header("grpc-message").contains("Export"), "{answer:?}");
    for (path, kind, status, text) in [
        ("/v1/log", PROTOBUF, 404, "/v1/logs, /v1/traces and /v1/metrics"),
        ("/", "text/html", 404, "/v1/logs"),
        ("/v1/logs", "text/plain", 415, "application/x-protobuf or application/json"),
        ("/v1/logs", "", 415, "no content-type"),
    ] {
        let answer = post(&http, path, kind, &[], b"");
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.text().contains(text), "{}", answer.text());
    }
    running.stop().all_well();
}

#[test]
fn a_port_in_use_is_an_error_that_names_the_setting() {
    let sink = Sink::start().unwrap();
    let first = site(&sink, "", "");
    let running = first.start();
    let (grpc, _) = addresses(&running);
    let text = std::fs::read_to_string(first.path("suiro.toml")).unwrap();
    let second = crate::agent::Site::new(&text);
    second.configure(&text.replacen("grpc = '127.0.0.1:0'", &format!("grpc = '{grpc}'"), 1));
    let outcome = second.command(&["run", "-c", "suiro.toml"]);
    assert_ne!(outcome.code(), 0);
    assert!(outcome.stderr.contains(&format!("`grpc`: can't listen on {grpc}")), "{}", outcome.stderr);
    running.stop().all_well();
}
