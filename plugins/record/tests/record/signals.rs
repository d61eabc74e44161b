//! A span and a metric point are records too: the OpenTelemetry data model's names in the body, the header beside it.

use suiro_record::{Batch, Header, NewValue, Path, Row, Signal, Value};

use crate::bodies::{empty, written};

fn object(members: Vec<(&str, Value)>) -> Value {
    Value::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn record(batch: &mut Batch, time: i64, members: Vec<(&str, Value)>) {
    let root = batch.new_object();
    for (key, value) in &members {
        batch.append(root, key, NewValue::Tree(value)).unwrap();
    }
    batch.rows.push(Row::new(root, time, 0, 0));
}

fn text(batch: &Batch, path: &str) -> String {
    let path = Path::parse(path).unwrap();
    let mut out = Vec::new();
    match batch.get(&batch.rows[0], &batch.resolve(&path)) {
        Some(field) => field.write_text(&mut out),
        None => out.extend_from_slice(b"absent"),
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn a_span_is_built_and_read_back() {
    const START: i64 = 1_790_000_000_000_000_001;
    let mut batch = empty();
    batch.signal = Signal::Traces;
    let link = object(vec![
        ("trace_id", "0af7651916cd43dd8448eb211c80319c".into()),
        ("span_id", "b7ad6b7169203331".into()),
        ("attributes", object(vec![("reason", "retry".into())])),
    ]);
    let event = object(vec![
        ("time", Value::Uint(u64::MAX)),
        ("name", "exception".into()),
        ("attributes", object(vec![("exception.type", "Timeout".into())])),
    ]);
    record(
        &mut batch,
        START + 5_000_000,
        vec![
            ("name", "GET /orders/{id}".into()),
            ("kind", "server".into()),
            ("parent_span_id", "00f067aa0ba902b7".into()),
            ("start", Value::Int(START)),
            ("end", Value::Int(START + 5_000_000)),
            ("status", object(vec![("code", "error".into()), ("message", "no answer".into())])),
            (
                "attributes",
                object(vec![("http.request.method", "GET".into()), ("http.response.status_code", 504.into())]),
            ),
            ("events", Value::Array(vec![event])),
            ("links", Value::Array(vec![link])),
        ],
    );
    batch.set_header(0, Header::TraceId, NewValue::Str("5b8efff798038103d269b633813fc60c")).unwrap();
    batch.set_header(0, Header::SpanId, NewValue::Str("eee19b7ec3c1b174")).unwrap();

    for (path, expected) in [
        ("@signal", "traces"),
        ("@trace_id", "5b8efff798038103d269b633813fc60c"),
        ("@span_id", "eee19b7ec3c1b174"),
        ("name", "GET /orders/{id}"),
        ("start", "1790000000000000001"),
        ("status.code", "error"),
        ("attributes.http.response.status_code", "504"),
        ("events[0].time", "18446744073709551615"),
        ("events[0].attributes.exception.type", "Timeout"),
        ("links[-1].span_id", "b7ad6b7169203331"),
        ("links[1].span_id", "absent"),
    ] {
        assert_eq!(text(&batch, path), expected, "{path}");
    }
    // Filters work on it as on any record.
    let path = |text| Path::parse(text).unwrap();
    batch.set(0, &path("attributes.env"), NewValue::Str("prod")).unwrap();
    batch.set(0, &path("status.code"), NewValue::Str("unset")).unwrap();
    batch.remove(0, &batch.resolve(&path("events[0].attributes.exception.type")));
    batch.remove(0, &batch.resolve(&path("links")));
    assert_eq!(
        written(&batch, 0),
        concat!(
            r#"{"name":"GET /orders/{id}","kind":"server","parent_span_id":"00f067aa0ba902b7","#,
            r#""start":1790000000000000001,"end":1790000000005000001,"status":{"code":"unset","message":"no answer"},"#,
            r#""attributes":{"http.request.method":"GET","http.response.status_code":504,"env":"prod"},"#,
            r#""events":[{"time":18446744073709551615,"name":"exception","attributes":{}}]}"#
        )
    );
}

#[test]
fn a_metric_point_is_built_and_read_back() {
    let mut batch = empty();
    batch.signal = Signal::Metrics;
    let exemplar = object(vec![
        ("time", Value::Int(3)),
        ("value", Value::Float(0.25)),
        ("trace_id", "5b8efff798038103d269b633813fc60c".into()),
        ("attributes", object(vec![])),
    ]);
    record(
        &mut batch,
        9,
        vec![
            ("name", "http.server.request.duration".into()),
            ("unit", "s".into()),
            ("kind", "histogram".into()),
            ("temporality", "cumulative".into()),
            ("attributes", object(vec![("http.route", "/orders/{id}".into())])),
            ("start", Value::Int(1)),
            ("count", Value::Uint(u64::MAX)),
            ("sum", Value::Float(12.0)),
            ("bounds", Value::Array(vec![Value::Float(0.5), Value::Float(1.0)])),
            ("buckets", Value::Array(vec![Value::Uint(u64::MAX - 2), Value::Uint(1), Value::Uint(1)])),
            ("exemplars", Value::Array(vec![exemplar])),
        ],
    );
    for (path, expected) in [
        ("@signal", "metrics"),
        ("@time", "9"),
        ("name", "http.server.request.duration"),
        ("temporality", "cumulative"),
        ("attributes.http.route", "/orders/{id}"),
        ("count", "18446744073709551615"),
        ("sum", "12.0"),
        ("bounds[1]", "1.0"),
        ("buckets[0]", "18446744073709551613"),
        ("exemplars[0].value", "0.25"),
    ] {
        assert_eq!(text(&batch, path), expected, "{path}");
    }
    let json = written(&batch, 0);
    assert!(json.ends_with(
        r#""exemplars":[{"time":3,"value":0.25,"trace_id":"5b8efff798038103d269b633813fc60c","attributes":{}}]}"#
    ));
    // A gauge's point, imported beside it, keeps what no JSON number of 64 bits could.
    let mut other = batch.sibling("gauges".into());
    record(
        &mut other,
        10,
        vec![("name", "queue".into()), ("value", Value::Int(i64::MIN)), ("raw", Value::Bytes(vec![1, 2]))],
    );
    let row = other.import(&batch, &batch.rows[0]).unwrap();
    assert_eq!(written(&other, row), json);
    assert_eq!(written(&other, 0), r#"{"name":"queue","value":-9223372036854775808,"raw":"AQI="}"#);
}
