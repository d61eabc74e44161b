//! What nobody should send.

use proptest::prelude::*;

use super::{OTEL_JSON, OTEL_PROTOBUF, batches, shown, written};
use crate::Format;

fn json(text: &str) -> String {
    batches(text.as_bytes(), Format::Json).expect_err("it is refused").to_string()
}

fn protobuf(bytes: &[u8]) -> String {
    batches(bytes, Format::Protobuf).expect_err("it is refused").to_string()
}

#[test]
fn says_what_is_wrong_with_json() {
    let span = |fields: &str| format!(r#"[{{"traceId":"1","id":"1"}},{{"traceId":"1","id":"1",{fields}}}]"#);
    for (text, what) in [
        ("", "EOF while parsing a value"),
        ("{}", "a list of spans of Zipkin's version 2"),
        ("[", "EOF while parsing a list"),
        ("[1]", "span 0 of the list (byte 1)"),
        ("[] x", "trailing characters"),
        (r#"[{"id":"1"}]"#, "missing field `traceId`"),
        (r#"[{"traceId":"1"}]"#, "missing field `id`"),
        (r#"[{"traceId":1,"id":"1"}]"#, "expected a text"),
        (r#"[{"traceId":"","id":"1"}]"#, "`traceId`: \"\" is no id of up to 32 hexadecimal digits"),
        (r#"[{"traceId":"0000","id":"1"}]"#, "`traceId` is 0"),
        (r#"[{"traceId":"1","id":"0"}]"#, "`id` is 0"),
        (r#"[{"traceId":"+1","id":"1"}]"#, "`traceId`: \"+1\" is no id"),
        (r#"[{"traceId":"1","id":"11112222333344445"}]"#, "`id`: \"11112222333344445\" is no id of up to 16"),
        (&format!(r#"[{{"traceId":"{}","id":"1"}}]"#, "é".repeat(1000)), "is no id"),
        (&span(r#""parentId":"x""#), "span 1 of the list (byte 26): `parentId`: \"x\" is no id"),
        (&span(r#""kind":"client""#), "`kind`: \"client\" is none of CLIENT"),
        (&span(r#""timestamp":-1"#), "expected a whole number that is not negative"),
        (&span(r#""timestamp":1.5"#), "expected a whole number that is not negative"),
        (&span(r#""timestamp":1e300"#), "expected a whole number that is not negative"),
        (&span(r#""timestamp":NaN"#), "expected"),
        (
            &span(r#""timestamp":18446744073709551615"#),
            "`timestamp`: 18446744073709551615 microseconds are out of range",
        ),
        (&span(r#""timestamp":9223372036854775,"duration":1"#), "add up to a time out of range"),
        (&span(r#""localEndpoint":{"port":65536}"#), "`localEndpoint`: 65536 is no port"),
        (r#"[["1","2"]]"#, "a span is a map"),
        (&span(r#""remoteEndpoint":5"#), "invalid type"),
        (&span(r#""tags":{"a":null}"#), "expected a text"),
        (&span(r#""tags":{"a":["x"]}"#), "expected a text"),
        (&span(r#""annotations":[{"value":"x"}]"#), "missing field `timestamp`"),
        (&span(r#""annotations":[{"timestamp":0,"value":"x"}]"#), "an annotation has no `timestamp`"),
        (&span(r#""binaryAnnotations":[]"#), "version 1"),
        (&span(r#""name":"a","name":"b""#), "duplicate field `name`"),
        (&span(r#""name":"\ud800""#), "unexpected end of hex escape"),
    ] {
        let why = json(text);
        assert!(why.contains(what), "{what}: {why}");
        assert!(why.len() < 500, "{why}");
    }
    assert!(batches(b"[{\"traceId\":\"1\",\"id\":\"1\",\"name\":\"\xff\"}]", Format::Json).is_err());
    // Deep and long, where nobody asks for it.
    let deep = span(&format!("\"x\":{}{}", "[".repeat(100_000), "]".repeat(100_000)));
    assert_eq!(shown(&batches(deep.as_bytes(), Format::Json).unwrap()).len(), 2);
    assert!(json(&span(&format!("\"tags\":{}", "[".repeat(100_000)))).contains("expected value"));
    assert!(json(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))).contains("span 0"));
}

#[test]
fn of_a_tag_that_comes_twice_the_last_stays() {
    let text = br#"[{"traceId":"1","id":"1","tags":{"a":"1","b":"2","a":"3"}}]"#;
    assert!(shown(&batches(text, Format::Json).unwrap())[0].ends_with(r#"{"attributes":{"b":"2","a":"3"}}"#));
}

#[test]
fn a_huge_list_is_many_batches() {
    let span =
        |n: usize| format!(r#"{{"traceId":"{:x}","id":"1","localEndpoint":{{"serviceName":"s{}"}}}}"#, n + 1, n % 700);
    let spans: Vec<String> = (0..20_000).map(span).collect();
    let batches = batches(format!("[{}]", spans.join(",")).as_bytes(), Format::Json).unwrap();
    assert!(batches.len() > 10, "{}", batches.len());
    assert!(batches.iter().all(|batch| batch.used() < 2 << 20 && batch.scopes().len() <= 256));
    let written = written(&batches);
    assert_eq!(written.len(), 20_000);
    assert_eq!(written[12_345]["localEndpoint"]["serviceName"], "s445");
}

/// A message of one field.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()][..], bytes].concat()
}

#[test]
fn says_what_is_wrong_with_protobuf() {
    let ids = [field(1, &[0, 0, 0, 0, 0, 0, 0, 1]), field(3, &[0, 0, 0, 0, 0, 0, 0, 2])].concat();
    let span = |more: &[u8]| field(1, &[&ids[..], more].concat());
    assert_eq!(shown(&batches(&span(&[]), Format::Protobuf).unwrap()).len(), 1);
    assert!(batches(&[], Format::Protobuf).unwrap().is_empty());
    let negative = [0x20, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    for (bytes, what) in [
        (b"[]".to_vec(), "byte 0: a field has a wire type that can't be"),
        (vec![10], "byte 1: it ends within a number"),
        (vec![10, 0xff, 0xff, 0xff, 0xff, 15], "byte 1: a length goes beyond the end"),
        (vec![10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], "a length goes beyond the end"),
        (vec![10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], "longer than 64 bits"),
        (vec![11], "a field has a wire type that can't be"),
        (vec![2, 0], "a field has a number that can't be"),
        (vec![8, 1], "`spans` is no message"),
        (field(1, &[]), "`traceId` is 0"),
        (field(1, &field(1, &[1; 7])), "`trace_id` is not 8 or 16 bytes"),
        (field(1, &field(3, &[1; 9])), "`id` is not 8 bytes"),
        (span(&field(2, &[1])), "`parent_id` is not 8 bytes"),
        (span(&[0x20, 5]), "there is no kind 5"),
        (span(&[0x28, 5]), "field 5 of a span is of the wrong type"),
        (span(&[&[0x31][..], &[0xff; 8]].concat()), "`timestamp`: 18446744073709551615 microseconds are out of range"),
        (span(&field(8, &field(2, &[1; 5]))), "`ipv4` is not 4 bytes"),
        (span(&field(8, &field(3, &[1; 5]))), "`ipv6` is not 16 bytes"),
        (span(&field(9, &negative)), "-1 is no port"),
        (span(&field(10, &field(2, b"x"))), "an annotation has no `timestamp`"),
        (span(&field(11, &[8, 1])), "field 1 of a tag is of the wrong type"),
    ] {
        let why = protobuf(&bytes);
        assert!(why.contains(what), "{what}: {why}");
    }
    for length in 1..OTEL_PROTOBUF.len() {
        // Cut between two spans it is a shorter list.
        if let Ok(batches) = batches(&OTEL_PROTOBUF[..length], Format::Protobuf) {
            assert!(shown(&batches).len() < 3);
        }
    }
    for length in 0..OTEL_JSON.len() {
        assert!(batches(&OTEL_JSON[..length], Format::Json).is_err());
    }
}

proptest! {
    /// Whatever comes, nothing panics.
    #[test]
    fn anything_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = batches(&bytes, Format::Json);
        let _ = batches(&bytes, Format::Protobuf);
    }

    /// Real requests with a few bytes changed.
    #[test]
    fn nearly_right_is_survived(json in any::<bool>(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let (bytes, format) = if json { (OTEL_JSON, Format::Json) } else { (OTEL_PROTOBUF, Format::Protobuf) };
        let mut bytes = bytes.to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(batches) = batches(&bytes, format) {
            let used: usize = batches.iter().map(suiro_record::Batch::used).sum();
            prop_assert!(used < 20 * bytes.len() + 1000, "{used} for {}", bytes.len());
            written(&batches);
        }
    }
}
