//! What real clients send.

use suiro_record::{Field, NewValue, Path, Value};

use super::{CLIENT_UDP, LIB, LIB_EMIT, OTEL_HTTP, OTEL_UDP, batches, shown};
use crate::{Form, Protocol};

#[test]
fn opentelemetry_over_http() {
    let spans = shown(&batches(OTEL_HTTP, Protocol::Binary, Form::Batch).unwrap());
    let process =
        r#""service.name":"shop","service.version":"1.4.0","host.name":"node-7","cores":4,"ratio":0.5,"canary":true"#;
    let expected = [
        format!(
            r#"{{"service.name":"shop"}}
{{"name":"shop.checkout","version":"2.1"}}
{{"trace_id":"0123456789abcdeffedcba9876543210","span_id":"a1b2c3d4e5f60702"}}
{{"name":"charge","kind":"client","parent_span_id":"a1b2c3d4e5f60701","flags":1,"start":1795364943124457000,"end":1795364943128457000,"status":{{"code":"error","message":"card declined"}},"attributes":{{"peer.service":"bank","server.address":"10.0.0.9","server.port":8443,"net.peer.name":"bank.internal","net.peer.ip":"10.0.0.9","net.peer.port":8443,{process}}},"events":[{{"time":1795364943125457000,"attributes":{{"code":51,"reason":"funds","message":"declined"}}}},{{"time":1795364943125957000,"attributes":{{"message":"bare"}}}}],"links":[{{"trace_id":"aaaabbbbccccddddeeeeffff00001111","span_id":"1122334455667788","attributes":{{"opentracing.ref_type":"follows_from"}}}}]}}"#
        ),
        format!(
            r#"{{"service.name":"shop"}}
{{"name":"shop.checkout","version":"2.1"}}
{{"trace_id":"0123456789abcdeffedcba9876543210","span_id":"a1b2c3d4e5f60703"}}
{{"name":"render","kind":"internal","parent_span_id":"a1b2c3d4e5f60701","flags":1,"start":1795364943129457000,"end":1795364943129459000,"status":{{"code":"ok"}},"attributes":{{{process}}}}}"#
        ),
        format!(
            r#"{{"service.name":"shop"}}
{{"name":"shop.checkout","version":"2.1"}}
{{"trace_id":"0123456789abcdeffedcba9876543210","span_id":"a1b2c3d4e5f60701"}}
{{"name":"GET /cart","kind":"server","flags":1,"start":1795364943123457000,"end":1795364943132457000,"attributes":{{"http.request.method":"GET","http.response.status_code":200,"sizes":"(1, 2, 3)","text":"größe \"x\"\n","load":0.25,"big":4611686018427387904,"neg":-5,"yes":true,{process}}}}}"#
        ),
    ];
    assert_eq!(spans, expected);
    // The same spans in the compact protocol.
    assert_eq!(shown(&batches(OTEL_UDP, Protocol::Compact, Form::Message).unwrap()), expected);
}

#[test]
fn jaegers_own_client_over_udp() {
    let batches = batches(CLIENT_UDP, Protocol::Compact, Form::Message).unwrap();
    let spans = shown(&batches);
    let [reserve, notify, place] = &spans[..] else { panic!("{spans:?}") };
    for span in [reserve, notify, place] {
        let head = r#"{"service.name":"orders","jaeger.version":"Python-4.8.0","ip":"#;
        assert!(span.starts_with(head) && span.contains(r#","host.name":"vm"}"#), "{span}");
        // 64 bits of trace id, zeros in front.
        assert!(span.contains(r#"{"trace_id":"0000000000000000d11011c5580b1f1d","#), "{span}");
    }
    assert!(reserve.contains(r#""parent_span_id":"cfae6044879fbf08","flags":1"#), "{reserve}");
    assert!(reserve.contains(r#""attributes":{"sampling.priority":1,"jaeger.debug":true}"#), "{reserve}");
    assert!(!reserve.contains("links"), "{reserve}");
    // What follows from a span has it as its parent too, as in Jaeger.
    assert!(notify.contains(r#""parent_span_id":"cfae6044879fbf08""#), "{notify}");
    let link = r#""links":[{"trace_id":"0000000000000000d11011c5580b1f1d","span_id":"cfae6044879fbf08","attributes":{"opentracing.ref_type":"follows_from"}}]"#;
    assert!(notify.contains(link), "{notify}");
    assert!(place.contains(r#""kind":"server""#) && place.contains(r#""status":{"code":"error"}"#), "{place}");
    assert!(place.contains(r#""name":"oops","attributes":{"message":"no stock","n":3}"#), "{place}");
    assert!(place.contains(r#""http.status_code":500,"amount":12.5"#), "{place}");
    // Places in the source do not overlap and go up: ids of records are made of them.
    let rows = &batches[0].rows;
    assert!(rows[0].start > 1000 && rows.windows(2).all(|two| two[0].start < two[0].end && two[0].end <= two[1].start));
    assert_eq!(rows[2].time, 1_795_618_651_926_123_000);
}

#[test]
fn every_type_of_tag_in_both_protocols() {
    for (bytes, protocol, form) in [
        (LIB[0], Protocol::Binary, Form::Batch),
        (LIB[1], Protocol::Compact, Form::Batch),
        (LIB_EMIT[0], Protocol::Binary, Form::Message),
        (LIB_EMIT[1], Protocol::Compact, Form::Message),
    ] {
        let mut batches = batches(bytes, protocol, form).unwrap();
        let [span] = &shown(&batches)[..] else { panic!("one span") };
        assert_eq!(
            span,
            r#"{"service.name":"queue","ip":"10.1.2.3"}
{}
{"trace_id":"0000000000000000fffffffffffffffe","span_id":"ffffffffffffffff"}
{"name":"send","kind":"producer","parent_span_id":"0000000000000007","flags":1,"start":1795364943123456000,"end":1795364943124956000,"attributes":{"raw":"AP8B","nan":null,"on":false,"min":-9223372036854775808,"jaeger.debug":true},"events":[{"time":1795364943123999000,"name":"sent","attributes":{"topic":"orders"}}],"links":[{"trace_id":"00000000000000060000000000000005","span_id":"0000000000000008","attributes":{"opentracing.ref_type":"follows_from"}}]}"#
        );
        let batch = &mut batches[0];
        let value = |path: &str| {
            let path = Path::parse(path).unwrap();
            batch.get(&batch.rows[0], &batch.resolve(&path)).map(Field::to_value)
        };
        assert_eq!(value("attributes.raw"), Some(Value::Bytes(vec![0, 255, 1])));
        assert!(matches!(value("attributes.nan"), Some(Value::Float(nan)) if nan.is_nan()));
        assert_eq!(value("@service.name"), Some(Value::Str("queue".to_owned())));
        assert_eq!(value("@trace_id"), Some(Value::Str("0000000000000000fffffffffffffffe".to_owned())));
        // A record like any other: it can be changed.
        batch.set(0, &Path::parse("attributes.on").unwrap(), NewValue::Bool(true)).unwrap();
        assert!(shown(&batches)[0].contains(r#""on":true"#));
    }
}
