//! What is no segment, and what wants to do harm.

use proptest::prelude::*;

use super::*;

fn refused(datagram: &[u8], format: Format) -> String {
    match batches(&[datagram], format) {
        Err(error) => error.to_string(),
        Ok(batches) => panic!("taken: {batches:?}"),
    }
}

fn with_header(document: &str) -> Vec<u8> {
    format!("{HEADER}{document}").into_bytes()
}

const IDS: &str = r#""trace_id":"1-581cf771-a006649127e371903a2de979","id":"53995c3f42cd8ad8""#;

#[test]
fn headers() {
    let document = format!(r#"{{{IDS},"name":"x","start_time":1,"end_time":2}}"#);
    for header in [
        r#"{"format":"json","version":1}"#,
        r#"{"format": "json", "version": 1}"#,
        r#" {"version":1, "format":"JSON", "more":[] } "#,
        "{\"format\":\"json\",\"version\":1}\r",
    ] {
        let datagram = format!("{header}\n{document}");
        assert_eq!(shown(&batches(&[datagram.as_bytes()], Format::Spans).unwrap()).len(), 1, "{header}");
    }
    for header in [
        "",
        "{}",
        r#"{"format":"json"}"#,
        r#"{"format":"json","version":2}"#,
        r#"{"format":"xml","version":1}"#,
        r#"{"format":"json","version":1"#,
        "stats.d:1|c",
        "\u{0}\u{1}",
    ] {
        for format in [Format::Spans, Format::Segments] {
            assert!(refused(format!("{header}\n{document}").as_bytes(), format).contains("does not begin"), "{header}");
        }
    }
    assert!(refused(document.as_bytes(), Format::Spans).contains("does not begin"));
    assert!(refused(b"", Format::Spans).contains("does not begin"));
    assert!(refused(format!("{}\n{document}", " ".repeat(2000)).as_bytes(), Format::Spans).contains("does not begin"));
    for empty in ["", " \n\t"] {
        assert!(refused(&with_header(empty), Format::Segments).contains("no document"));
    }
}

#[test]
fn what_no_format_takes() {
    for (document, why) in [
        ("{", "not JSON"),
        ("{} x", "not JSON"),
        ("[]", "a segment is a map"),
        ("7", "a segment is a map"),
        ("{}", "it has no `"),
        (r#"{"id":"53995c3f42cd8ad8"}"#, "it has no `trace_id`"),
        (r#"{"trace_id":"1-581cf771-a006649127e371903a2de979"}"#, "it has no `id`"),
        (r#"{"trace_id":"1-581cf771-a006649127e371903a2de979","id":53995}"#, "its `id` is not"),
        (r#"{"trace_id":"?","id":"53995c3f42cd8ad8"}"#, "its `trace_id` is not"),
        (&format!(r#"{{{IDS},"name":"x","start_time":"1","end_time":2}}"#), "its `start_time` is no time"),
        (&format!(r#"{{{IDS},"name":"x","start_time":1,"end_time":-2}}"#), "its `end_time` is no time"),
        (&format!(r#"{{{IDS},"name":"x","start_time":1e30,"end_time":2}}"#), "its `start_time` is no time"),
    ] {
        for format in [Format::Spans, Format::Segments] {
            let said = refused(&with_header(document), format);
            assert!(said.contains(why), "{document}: {said}");
        }
    }
    let mut bytes = with_header(&format!(r#"{{{IDS},"name":"#));
    bytes.extend_from_slice(b"\"\xff\",\"start_time\":1}");
    assert!(refused(&bytes, Format::Segments).contains("not UTF-8"));
}

#[test]
fn what_is_no_span() {
    for (members, why) in [
        (r#""start_time":1,"end_time":2"#, "it has no `name`"),
        (r#""name":7,"start_time":1,"end_time":2"#, "it has no `name`"),
        (r#""name":"x","end_time":2"#, "it has no `start_time`"),
        (r#""name":"x","start_time":1,"end_time":2,"parent_id":"x""#, "its `parent_id` is not"),
        (r#""name":"x","start_time":1,"end_time":2,"type":"subsegment""#, "needs a `parent_id`"),
        (r#""name":"x","start_time":1,"end_time":2,"subsegments":{}"#, "`subsegments` are no list"),
        (r#""name":"x","start_time":1,"end_time":2,"subsegments":[7]"#, "a subsegment: a segment is a map"),
        (
            r#""name":"x","start_time":1,"end_time":2,"subsegments":[{"name":"y","id":"53995c3f42cd8ad9","start_time":1,"end_time":2},{}]"#,
            "a subsegment: it has no `id`",
        ),
    ] {
        let said = refused(&with_header(&format!("{{{IDS},{members}}}")), Format::Spans);
        assert!(said.contains(why), "{members}: {said}");
    }
}

#[test]
fn a_datagram_that_is_refused_leaves_nothing_behind() {
    let good = with_header(&format!(r#"{{{IDS},"name":"x","start_time":1,"end_time":2}}"#));
    let bad = with_header(&format!(
        r#"{{{IDS},"name":"bad","start_time":1,"end_time":2,"subsegments":[{{"name":"y","id":"53995c3f42cd8ad9","start_time":1,"end_time":2}},{{}}]}}"#
    ));
    let mut open = |scope: Arc<Scope>| Batch::new("t".into(), scope, READ_AT);
    let mut spans = Spans::new(&mut open);
    let mut decoder = Decoder::new(Format::Spans);
    decoder.begin(Arc::new(Source::new("in".into(), 7)));
    let mut base = 0;
    for datagram in [&bad, &good, &bad, &good] {
        let _ = decoder.decode(datagram, base, &mut spans);
        base += datagram.len() as u64;
    }
    let records = shown(&spans.finish());
    assert_eq!(records.iter().map(|record| record.body["name"].clone()).collect::<Vec<_>>(), ["x", "x"]);
    assert_eq!(records[0].place, bad.len() as u64..bad.len() as u64 + 1);
}

#[test]
fn a_document_cut_off_anywhere_is_refused() {
    let whole = with_header(&format!(
        r#"{{{IDS},"name":"x","start_time":1.5,"end_time":2,"annotations":{{"a":"\u00e9"}},"subsegments":[]}}"#
    ));
    for length in 0..whole.len() {
        for format in [Format::Spans, Format::Segments] {
            refused(&whole[..length], format);
        }
    }
    assert!(batches(&[&whole], Format::Spans).is_ok());
}

#[test]
fn subsegments_nest_as_deep_as_json_may() {
    let sub = r#"{"id":"00000000000000aa","name":"n","start_time":1,"end_time":2,"subsegments":["#;
    let nested = |depth: usize| {
        let own = format!(r#"{{{IDS},"name":"x","start_time":1,"end_time":2,"subsegments":["#);
        with_header(&format!("{own}{}{}]}}", sub.repeat(depth), "]}".repeat(depth)))
    };
    assert_eq!(shown(&batches(&[&nested(62)], Format::Spans).unwrap()).len(), 63);
    assert!(refused(&nested(500), Format::Spans).contains("not JSON"));
    // As deep as may be, as an attribute.
    let lists =
        format!(r#"{{{IDS},"name":"x","start_time":1,"end_time":2,"deep":{}{}}}"#, "[".repeat(120), "]".repeat(120));
    assert_eq!(shown(&batches(&[&with_header(&lists)], Format::Spans).unwrap()).len(), 1);
}

/// Keys of which no two are the same fill tables: they are emptied, and what comes next is taken.
#[test]
fn keys_without_end() {
    let mut open = |scope: Arc<Scope>| Batch::new("t".into(), scope, READ_AT);
    let mut spans = Spans::new(&mut open);
    let mut decoder = Decoder::new(Format::Segments);
    decoder.begin(Arc::new(Source::new("in".into(), 7)));
    for burst in 0..30 {
        let keys: Vec<String> = (0..6000).map(|key| format!("\"{burst}-{key}\":0")).collect();
        let datagram = with_header(&format!("{{{IDS},{}}}", keys.join(",")));
        decoder.decode(&datagram[..], 0, &mut spans).unwrap();
    }
    assert_eq!(spans.len(), 30);
}

#[test]
fn annotations_with_keys_of_attributes_harm_nothing() {
    let record = span(
        r#","annotations":{"http.request.method":"x","aws.xray.annotations":"y"},"http":{"request":{"method":"GET"}}"#,
    );
    assert_eq!(
        record.body["attributes"]["aws.xray.annotations"],
        serde_json::json!(["http.request.method", "aws.xray.annotations"])
    );
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), headed in any::<bool>()) {
        let mut datagram = if headed { HEADER.as_bytes().to_vec() } else { Vec::new() };
        datagram.extend_from_slice(&bytes);
        for format in [Format::Spans, Format::Segments] {
            let _ = batches(&[&datagram], format);
        }
    }

    /// Members of any type where a segment has its own.
    #[test]
    fn no_json_panics(members in prop::collection::vec((member(), json_value()), 0..12)) {
        let members: String = members.iter().map(|(key, value)| format!(",\"{key}\":{value}")).collect();
        let document = with_header(&format!(r#"{{{IDS},"name":"x","start_time":1,"end_time":2{members}}}"#));
        if let Ok(batches) = batches(&[&document], Format::Spans) {
            prop_assert!(!shown(&batches).is_empty());
        }
    }
}

fn member() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "http",
        "request",
        "response",
        "status",
        "content_length",
        "client_ip",
        "x_forwarded_for",
        "aws",
        "ec2",
        "ecs",
        "eks",
        "xray",
        "sdk",
        "elastic_beanstalk",
        "cloudwatch_logs",
        "log_group",
        "operation",
        "sql",
        "url",
        "connection_string",
        "database_type",
        "cause",
        "exceptions",
        "stack",
        "path",
        "line",
        "label",
        "message",
        "annotations",
        "metadata",
        "user",
        "origin",
        "service",
        "links",
        "attributes",
        "trace_id",
        "id",
        "precursor_ids",
        "subsegments",
        "namespace",
        "type",
        "parent_id",
        "in_progress",
        "fault",
        "error",
        "throttle",
        "end_time",
        "paths",
    ])
}

fn json_value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        "-?[1-9][0-9]{0,3}(\\.[0-9]{1,4})?(e[0-9]{1,3})?",
        "[a-z \\u{e9}/:]{0,12}".prop_map(|text| format!("\"{text}\"")),
        Just("\"00000000000000aa\"".to_owned()),
        Just("\"1-581cf771-a006649127e371903a2de979\"".to_owned()),
        Just("\"aws\"".to_owned()),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((member(), inner), 0..6).prop_map(|members| {
                let members: Vec<String> = members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}
