//! Zipkin -> record -> Zipkin, and OpenTelemetry -> Zipkin.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use suiro_record::{Batch, Row, Scope, Source, Value as Plain};

use super::{batches, written};
use crate::Format;
use crate::encode::write_span;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just("a".to_owned()), "[ -~]{1,12}", "\\PC{1,8}", Just("\"\\\u{7f}\u{0}\u{1F600}".to_owned())]
}

fn maybe<T: std::fmt::Debug + Clone>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    prop::option::of(value)
}

fn endpoint() -> impl Strategy<Value = Value> {
    let ipv4 = any::<[u8; 4]>().prop_map(|ip| std::net::Ipv4Addr::from(ip).to_string());
    let ipv6 = any::<[u8; 16]>().prop_map(|ip| std::net::Ipv6Addr::from(ip).to_string());
    (maybe(text()), maybe(ipv4), maybe(ipv6), 0..=u16::MAX).prop_map(|(service, ipv4, ipv6, port)| {
        let mut map = Map::new();
        for (key, value) in [("serviceName", service), ("ipv4", ipv4), ("ipv6", ipv6)] {
            map.extend(value.map(|value| (key.to_owned(), Value::from(value))));
        }
        if port != 0 {
            map.insert("port".to_owned(), port.into());
        }
        Value::Object(map)
    })
}

/// A tag that means nothing, or one that does and comes back as it was.
fn tag() -> impl Strategy<Value = (String, String)> {
    prop_oneof![
        6 => (text(), text()),
        1 => Just(("otel.status_code".to_owned(), "OK".to_owned())),
        1 => Just(("otel.status_code".to_owned(), "Ok".to_owned())),
        1 => text().prop_map(|text| ("otel.scope.name".to_owned(), text)),
        1 => text().prop_map(|text| ("otel.scope.version".to_owned(), text)),
        1 => text().prop_map(|text| ("w3c.tracestate".to_owned(), text)),
        1 => prop_oneof![Just("7"), Just("0"), Just("07"), Just("x"), Just("4294967296")]
            .prop_map(|n| ("otel.dropped_links_count".to_owned(), n.to_owned())),
        1 => Just(("network.peer.port".to_owned(), "80".to_owned())),
    ]
}

fn span() -> impl Strategy<Value = Value> {
    let ids = (1..u128::MAX, 1..u64::MAX, any::<u64>());
    let kind = maybe(prop_oneof![Just("CLIENT"), Just("SERVER"), Just("PRODUCER"), Just("CONSUMER")]);
    let times = (0..4_000_000_000_000_000_u64, 0..1_000_000_000_u64);
    let annotations = prop::collection::vec((1..4_000_000_000_000_000_u64, text()), 0..3);
    let rest = (annotations, prop::collection::btree_map(text(), text(), 0..2), prop::collection::vec(tag(), 0..5));
    (ids, kind, maybe(text()), times, endpoint(), endpoint(), rest, any::<[bool; 2]>()).prop_map(
        |((trace, id, parent), kind, name, (time, duration), local, remote, (annotations, plain, special), flags)| {
            let mut map = Map::new();
            let trace = if trace >> 64 == 0 { format!("{trace:016x}") } else { format!("{trace:032x}") };
            map.insert("traceId".to_owned(), trace.into());
            map.insert("id".to_owned(), format!("{id:016x}").into());
            if parent != 0 && parent != id {
                map.insert("parentId".to_owned(), format!("{parent:016x}").into());
            }
            map.extend(kind.map(|kind| ("kind".to_owned(), kind.into())));
            map.extend(name.map(|name| ("name".to_owned(), name.into())));
            for (key, time) in [("timestamp", time), ("duration", duration)] {
                if time != 0 {
                    map.insert(key.to_owned(), time.into());
                }
            }
            for (key, endpoint) in [("localEndpoint", local), ("remoteEndpoint", remote)] {
                if endpoint.as_object().is_some_and(|endpoint| !endpoint.is_empty()) {
                    map.insert(key.to_owned(), endpoint);
                }
            }
            let annotations: Vec<Value> =
                annotations.iter().map(|(time, value)| json!({ "timestamp": time, "value": value })).collect();
            if !annotations.is_empty() {
                map.insert("annotations".to_owned(), annotations.into());
            }
            let tags: Map<String, Value> = plain.into_iter().chain(special).map(|(k, v)| (k, Value::from(v))).collect();
            if !tags.is_empty() {
                map.insert("tags".to_owned(), tags.into());
            }
            for (key, flag) in ["debug", "shared"].into_iter().zip(flags) {
                if flag {
                    map.insert(key.to_owned(), true.into());
                }
            }
            Value::Object(map)
        },
    )
}

/// Tags that OpenTelemetry says something with: what comes out may be said otherwise, and then stays so.
fn meaning() -> impl Strategy<Value = (String, String)> {
    let key = prop::sample::select(vec![
        "error",
        "otel.status_code",
        "otel.library.name",
        "otel.library.version",
        "otel.scope.name",
        "peer.service",
        "network.peer.address",
        "network.peer.port",
        "server.address",
        "db.name",
        "service.name",
        "zipkin.debug",
    ]);
    let value = prop::sample::select(vec!["", "ERROR", "OK", "true", "false", "1.2.3.4", "::1", "80", "a"]);
    (key, value).prop_map(|(key, value)| (key.to_owned(), value.to_owned()))
}

fn through(spans: &[Value]) -> Vec<Value> {
    written(&batches(&serde_json::to_vec(spans).unwrap(), Format::Json).unwrap())
}

proptest! {
    #[test]
    fn what_comes_in_goes_out(spans in prop::collection::vec(span(), 0..5)) {
        prop_assert_eq!(through(&spans), spans);
    }

    #[test]
    fn what_went_through_once_stays_as_it_is(span in span(), tags in prop::collection::vec(meaning(), 0..6)) {
        let mut span = span;
        let map = span.as_object_mut().unwrap();
        let own = map.entry("tags").or_insert_with(|| json!({})).as_object_mut().unwrap();
        own.extend(tags.into_iter().map(|(key, value)| (key, Value::from(value))));
        let once = through(&[span]);
        prop_assert_eq!(through(&once), once);
    }
}

/// A span of OpenTelemetry's as Zipkin gets it.
fn from_otel(resource: &[(&str, Plain)], record: &str, header: &str) -> Result<Value, String> {
    let mut scope = Scope::new(Arc::new(Source::new("in".into(), 1)));
    scope.resource = resource.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    scope.scope = vec![("name".to_owned(), Plain::from("lib"))];
    let mut batch = Batch::new("t".into(), Arc::new(scope), 0);
    let mut parse = |text: &str| {
        let from = batch.heap().len();
        batch.heap_mut().extend_from_slice(text.as_bytes());
        batch.parse_json(from..from + text.len()).unwrap()
    };
    let (root, header) = (parse(record), parse(header));
    let mut row = Row::new(root, 0, 0, 1);
    assert!(batch.set_header_map(&mut row, header));
    let mut out = b"before".to_vec();
    match write_span(&batch, &row, &mut out) {
        Ok(()) => Ok(serde_json::from_slice(&out[6..]).unwrap()),
        Err(why) => {
            assert_eq!(out, b"before");
            Err(why)
        }
    }
}

const HEADER: &str = r#"{"trace_id":"0123456789abcdeffedcba9876543210","span_id":"a1b2c3d4e5f60702"}"#;

#[test]
fn opentelemetry_goes_out_as_its_specification_has_it() {
    let record = r#"{"name":"charge","kind":"client","parent_span_id":"","trace_state":"a=b","flags":257,
        "start":1795364943124457999,"end":1795364943124458500,"status":{"code":"error"},
        "attributes":{"server.address":"bank.example","i":5,"f":2.5,"t":true,"l":["a",1],"m":{"x":null},"error":false,
            "network.peer.port":443,"region":"own"},
        "dropped_attributes_count":2,
        "events":[{"time":1795364943124457999,"name":"e \"1\"","attributes":{"k":"v","n":1}},{"name":"bare"}],
        "links":[{"trace_id":"aaaabbbbccccddddeeeeffff00001111","span_id":"1122334455667788","attributes":{"w":"r"},"dropped_attributes_count":3}]}"#;
    let ips = Plain::Array(vec![Plain::from("10.0.0.1"), Plain::from("10.0.0.2"), Plain::from("::1")]);
    let resource = [
        ("service.name", Plain::from("shop")),
        ("region", Plain::from("eu")),
        ("zone", Plain::from("a")),
        ("host.ip", ips),
        ("raw", Plain::Bytes(vec![0, 255])),
        ("nan", Plain::Float(f64::NAN)),
    ];
    let expected = json!({
        "traceId": "0123456789abcdeffedcba9876543210", "id": "a1b2c3d4e5f60702", "kind": "CLIENT", "name": "charge",
        "timestamp": 1_795_364_943_124_457_u64, "duration": 1,
        "localEndpoint": { "serviceName": "shop", "ipv4": "10.0.0.1", "ipv6": "::1" },
        "remoteEndpoint": { "serviceName": "bank.example" },
        "annotations": [
            { "timestamp": 1_795_364_943_124_457_u64, "value": r#""e \"1\"":{"k":"v","n":1}"# },
            { "timestamp": 1_795_364_943_124_457_u64, "value": "bare" },
        ],
        "tags": {
            "server.address": "bank.example", "i": "5", "f": "2.5", "t": "true", "l": r#"["a",1]"#, "m": r#"{"x":null}"#,
            "network.peer.port": "443", "region": "own", "zone": "a", "raw": "AP8=", "nan": "NaN",
            "host.ip": r#"["10.0.0.1","10.0.0.2","::1"]"#,
            "otel.scope.name": "lib", "otel.status_code": "ERROR", "error": "", "w3c.tracestate": "a=b",
            "otel.dropped_attributes_count": "2",
            "otlp.link.0": r#"aaaabbbbccccddddeeeeffff00001111|1122334455667788||{"w":"r"}|3"#,
        },
    });
    assert_eq!(from_otel(&resource, record, HEADER).unwrap(), expected);
    // A server's span does not name its peer by its own address.
    let server = from_otel(&[], r#"{"kind":"server","attributes":{"server.address":"me"}}"#, HEADER).unwrap();
    assert!(server.get("remoteEndpoint").is_none() && server.get("localEndpoint").is_none(), "{server}");
    let internal = from_otel(&[], r#"{"kind":"internal","start":5000,"end":4000}"#, HEADER).unwrap();
    assert!(internal.get("kind").is_none() && internal.get("duration").is_none(), "{internal}");
}

#[test]
fn what_is_no_span_says_why() {
    for (record, header, why) in [
        (r#"{"log":"x"}"#, "{}", "it has no `@trace_id`"),
        ("{}", r#"{"trace_id":"01"}"#, "it has no `@span_id`"),
        ("{}", r#"{"trace_id":"01","span_id":"a1b2c3d4e5f60702"}"#, "`@trace_id` is \"01\", which is no id"),
        ("{}", &HEADER.replace("a1b2", "+1b2"), "`@span_id` is \"+1b2c3d4e5f60702\", which is no id"),
        ("{}", &HEADER.replace("a1b2c3d4e5f60702", "0000000000000000"), "`@span_id` is"),
        (r#"{"parent_span_id":"xyz"}"#, HEADER, "`parent_span_id` is \"xyz\""),
    ] {
        let error = from_otel(&[], record, header).unwrap_err();
        assert!(error.contains(why), "{why}: {error}");
    }
}
