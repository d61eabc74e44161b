//! What real exporters send, and what is made of it.

use serde_json::{Value, json};
use suiro_record::TimeKind;

use super::{OTEL_JSON, OTEL_PROTOBUF, READ_AT, batches, shown, written};
use crate::Format;

#[test]
fn opentelemetry_in_json_and_protobuf() {
    let json = batches(OTEL_JSON, Format::Json).unwrap();
    let spans = shown(&json);
    assert_eq!(spans.len(), 3);
    assert_eq!(
        spans[0],
        r#"{"service.name":"shop","host.ip":["192.168.0.1"],"net.host.port":31313}
{"name":"shop.checkout","version":"2.1"}
{"trace_id":"0123456789abcdeffedcba9876543210","span_id":"a1b2c3d4e5f60702"}
{"name":"charge","kind":"client","parent_span_id":"a1b2c3d4e5f60701","start":1795364943124457000,"end":1795364943128457000,"status":{"code":"error","message":"card declined"},"attributes":{"peer.service":"bank","server.address":"10.0.0.9","server.port":"8443","net.peer.name":"bank.internal","net.peer.ip":"10.0.0.9","net.peer.port":"8443","service.name":"shop","service.version":"1.4.0","host.name":"node-7","cores":"4","ratio":"0.5","canary":"true","zipkin.debug":true},"events":[{"time":1795364943125457000,"name":"{\"declined\": {\"code\": 51, \"reason\": \"funds\"}}"},{"time":1795364943125957000,"name":"{\"bare\": {}}"}]}"#
    );
    // Its scope's name comes twice, under the new name and the old one.
    assert!(spans[2].contains(r#""text":"größe \"x\"\n","load":"0.25","big":"4611686018427387904""#), "{}", spans[2]);
    assert!(spans[2].contains(r#""kind":"server""#) && !spans[2].contains("parent_span_id"), "{}", spans[2]);
    let protobuf = batches(OTEL_PROTOBUF, Format::Protobuf).unwrap();
    assert_eq!(shown(&protobuf), spans);
    for batches in [&json, &protobuf] {
        let rows = &batches[0].rows;
        assert!(rows.windows(2).all(|two| two[0].start < two[0].end && two[0].end <= two[1].start));
        assert_eq!(rows[0].time, 1_795_364_943_128_457_000);
        assert_eq!(rows[0].time_kind, TimeKind::Own);
    }
    // Out again: what came, but for the old names of the scope, a `peer.service` that is the remote endpoint now, and `kind: null`.
    let mut expected: Vec<Value> = serde_json::from_slice(OTEL_JSON).unwrap();
    for span in &mut expected {
        let tags = span["tags"].as_object_mut().unwrap();
        tags.remove("otel.library.name");
        tags.remove("otel.library.version");
        if let Some(peer) = tags.remove("peer.service") {
            span["remoteEndpoint"] = json!({ "serviceName": peer });
        }
        if span["kind"].is_null() {
            span.as_object_mut().unwrap().remove("kind");
        }
    }
    assert_eq!(written(&json), expected);
}

fn one(span: Value) -> (String, Value) {
    let text = serde_json::to_vec(&json!([span])).unwrap();
    let batches = batches(&text, Format::Json).unwrap_or_else(|error| panic!("{error}: {span}"));
    (shown(&batches).remove(0), written(&batches).remove(0))
}

#[test]
fn what_zipkin_takes_is_taken() {
    let (record, out) = one(json!({
        "traceId": "BEEF", "id": "1", "parentId": "1", "timestamp": 1.5e15, "duration": null, "name": null, "tags": { "b": true, "n": 5 },
        "annotations": null, "localEndpoint": null, "unknown": [[1, { "a": [] }]]
    }));
    assert_eq!(
        record,
        r#"{}
{}
{"trace_id":"0000000000000000000000000000beef","span_id":"0000000000000001"}
{"start":1500000000000000000,"end":1500000000000000000,"attributes":{"b":"true","n":"5"}}"#
    );
    let expected = json!({ "traceId": "000000000000beef", "id": "0000000000000001", "timestamp": 1_500_000_000_000_000_u64,
        "tags": { "n": "5", "b": "true" } });
    assert_eq!(out, expected);
}

#[test]
fn a_span_without_a_time_has_that_of_reading() {
    let span = json!({ "traceId": "1", "id": "2", "duration": 7, "shared": true });
    let text = serde_json::to_vec(&json!([span])).unwrap();
    let batches = batches(&text, Format::Json).unwrap();
    assert_eq!((batches[0].rows[0].time, batches[0].rows[0].time_kind), (READ_AT, TimeKind::Read));
    assert_eq!(written(&batches)[0]["duration"], 7);
    assert!(shown(&batches)[0].ends_with(r#"{"attributes":{"zipkin.duration":7,"zipkin.shared":true}}"#));
}

#[test]
fn status_and_error() {
    let status = |tags: Value| {
        let (record, out) = one(json!({ "traceId": "1", "id": "2", "tags": tags }));
        let body: Value = serde_json::from_str(record.lines().last().unwrap()).unwrap();
        (body["status"].clone(), body["attributes"].clone(), out["tags"].clone())
    };
    let none = Value::Null;
    // A failed span, as tracers of Zipkin's own mark it: the code is said too, from here on.
    let failed = json!({ "otel.status_code": "ERROR", "error": "boom" });
    assert_eq!(
        status(json!({ "error": "boom" })),
        (json!({ "code": "error", "message": "boom" }), none.clone(), failed.clone())
    );
    assert_eq!(status(failed.clone()), (json!({ "code": "error", "message": "boom" }), none.clone(), failed));
    let unsaid = json!({ "otel.status_code": "ERROR", "error": "" });
    assert_eq!(status(json!({ "error": "" })), (json!({ "code": "error" }), none.clone(), unsaid.clone()));
    assert_eq!(status(json!({ "otel.status_code": "ERROR" })), (json!({ "code": "error" }), none.clone(), unsaid));
    let fine = json!({ "otel.status_code": "OK" });
    assert_eq!(status(fine.clone()), (json!({ "code": "ok" }), none.clone(), fine));
    // Zipkin would take any `error` for a failure.
    assert_eq!(status(json!({ "error": "false" })), (none.clone(), json!({ "error": "false" }), none.clone()));
    let odd = json!({ "otel.status_code": "odd", "error": "x" });
    assert_eq!(status(odd.clone()), (none, odd.clone(), odd));
}

#[test]
fn endpoints_and_tags_of_the_same_name() {
    let attributes = |span: Value| {
        let (record, out) = one(span);
        let body: Value = serde_json::from_str(record.lines().last().unwrap()).unwrap();
        (body["attributes"].clone(), out)
    };
    let span = |remote: Value, tags: Value| json!({ "traceId": "0000000000000001", "id": "0000000000000002", "remoteEndpoint": remote, "tags": tags });
    // The tag keeps its name, nothing is lost, and all of it goes out as it came.
    let both = span(
        json!({ "serviceName": "a", "ipv4": "1.2.3.4", "port": 80 }),
        json!({ "peer.service": "b", "network.peer.address": "::1", "network.peer.port": "1" }),
    );
    let (map, out) = attributes(both.clone());
    assert_eq!(
        map,
        json!({
            "peer.service": "b", "network.peer.address": "::1", "network.peer.port": "1",
            "zipkin.remote_endpoint.service_name": "a", "zipkin.remote_endpoint.ipv4": "1.2.3.4", "zipkin.remote_endpoint.port": 80
        })
    );
    assert_eq!(out, both);
    let (map, out) = attributes(span(json!({ "ipv6": "::1", "port": 80 }), json!({ "a": "b" })));
    assert_eq!(map, json!({ "a": "b", "network.peer.address": "::1", "network.peer.port": 80 }));
    assert_eq!(out["remoteEndpoint"], json!({ "ipv6": "::1", "port": 80 }));
    let (_, out) = attributes(span(json!({ "ipv4": "none", "port": 80 }), json!({})));
    assert_eq!(out["remoteEndpoint"], json!({ "ipv4": "none", "port": 80 }));
}
