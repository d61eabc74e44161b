//! What comes back is what was pushed.

use std::sync::Arc;

use proptest::prelude::*;
use suiro_record::{Batch, Header, NewValue, Path, Row, Scope, Signal, Source, TimeKind, Value};
use suiro_sdk::{Custody, Part, Pool, Rows};

use super::super::decode::Decoder;
use super::super::encode::encode;
use super::super::frame::{PREFIX, Prefix};
use super::super::read_frame;

/// Everything about a record that counts.
#[derive(Debug, PartialEq)]
struct Seen {
    time: i64,
    kind: TimeKind,
    id: String,
    start: u64,
    end: u64,
    body: String,
    header: Option<String>,
    scope: Scope,
    tag: String,
    signal: Signal,
    read_at: i64,
}

fn seen(batch: &Batch, row: &Row) -> Seen {
    let text = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("UTF-8")
    };
    Seen {
        time: row.time,
        kind: row.time_kind,
        id: text(&|out| batch.origin(row).write_id(out)),
        start: row.start,
        end: row.end,
        body: text(&|out| batch.write_json(row, out)),
        header: batch.header(row).map(|header| text(&|out| header.write_json(out))),
        scope: (**batch.scope(row)).clone(),
        tag: batch.tag.to_string(),
        signal: batch.signal,
        read_at: batch.read_at,
    }
}

fn round_trip(part: &Part) {
    let encoded = encode(part);
    assert_eq!(encoded.too_large, 0);
    let mut decoder = Decoder::default();
    let mut back = Vec::new();
    for (frame, records) in &encoded.frames {
        let prefix = frame.first_chunk::<PREFIX>().and_then(Prefix::read).expect("a prefix");
        assert!(prefix.matches(&frame[PREFIX..]));
        assert_eq!(prefix.records, *records);
        let batch = decoder.decode(&frame[PREFIX..], *records, &Pool::default()).expect("a batch");
        assert_eq!(batch.len(), *records as usize);
        back.extend(batch.rows.iter().map(|row| seen(&batch, row)));
        assert!(read_frame(frame).is_some());
    }
    let pushed: Vec<Seen> = part.records().map(|row| seen(&part.batch, row)).collect();
    assert_eq!(back, pushed);
}

/// A JSON value as text, spaces, escapes, huge numbers and repeated keys included.
fn json() -> impl Strategy<Value = String> {
    let string =
        "[a-z\"\\\\\u{e9}\u{6c34}\n]{0,6}".prop_map(|text| serde_json::to_string(&text).expect("a string")).boxed();
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("123456789012345678901234567890.10".to_owned()),
        Just("-0.0e+5".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        string.clone(),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let key = string.clone();
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(" , "))),
            prop::collection::vec((key, inner), 0..4).prop_map(|members| {
                let members: Vec<String> = members.into_iter().map(|(key, value)| format!("{key}: {value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (i64::MAX as u64 + 1..).prop_map(Value::Uint),
        Just(Value::Float(2.5)),
        Just(Value::Number("1e999".to_owned())),
        ".{0,5}".prop_map(Value::Str),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            prop::collection::vec(("[a-z.]{0,3}", inner), 0..3).prop_map(Value::Object),
        ]
    })
}

#[derive(Clone, Debug)]
struct Record {
    json: String,
    time: i64,
    own: bool,
    start: u64,
    len: u64,
    ordinal: u32,
    salt: u64,
    scope: usize,
    edit: bool,
    severity: Option<String>,
    attributes: Option<Value>,
}

fn record() -> impl Strategy<Value = Record> {
    let place = (any::<u32>(), 0..1000_u64, 0..3_u32, any::<u64>(), 0..3_usize);
    let edits = (any::<bool>(), prop::option::of(".{0,8}"), prop::option::of(value()));
    (json(), any::<i64>(), any::<bool>(), place, edits).prop_map(|(json, time, own, place, edits)| Record {
        json,
        time,
        own,
        start: u64::from(place.0),
        len: place.1,
        ordinal: place.2,
        salt: place.3,
        scope: place.4,
        edit: edits.0,
        severity: edits.1,
        attributes: edits.2.map(|value| Value::Object(vec![("a.b".to_owned(), value)])),
    })
}

fn build(records: &[Record], attributes: &[(String, Value)], signal: Signal, keep: &[bool]) -> Part {
    let source = Arc::new(Source::new("in \"1\"".into(), u128::MAX - 5));
    let scopes: Vec<Arc<Scope>> = [
        Scope::new(source.clone()),
        Scope {
            source,
            resource: attributes.to_vec(),
            resource_details: vec![("schema_url".to_owned(), "https://example.com/1".into())],
            scope: vec![("name".to_owned(), "lib".into())],
        },
        Scope::new(Arc::new(Source::new("two".into(), 1))).with("k8s.pod.name", "p\"1"),
    ]
    .map(Arc::new)
    .into();
    let mut batch = Batch::new("tag.\u{6c34}\"".into(), scopes[0].clone(), -5);
    batch.signal = signal;
    let path: Path = Path::parse("edited").expect("a path");
    for record in records {
        let from = batch.heap().len();
        batch.heap_mut().extend_from_slice(record.json.as_bytes());
        let root = batch.parse_json(from..from + record.json.len()).expect("JSON");
        let root = batch.wrap_body(root);
        let mut row = Row::new(root, record.time, record.start, record.start + record.len);
        row.ordinal = record.ordinal;
        row.salt = if record.ordinal > 0 { record.salt } else { 0 };
        row.scope = batch.add_scope(&scopes[record.scope]);
        row.time_kind = if record.own { TimeKind::Own } else { TimeKind::Read };
        batch.rows.push(row);
        let at = batch.rows.len() - 1;
        if record.edit {
            batch.set(at, &path, NewValue::Str("line\nbreak")).expect("an edit");
        }
        if let Some(severity) = &record.severity {
            batch.set_header(at, Header::Severity, NewValue::Str(severity)).expect("a severity");
        }
        if let Some(attributes) = &record.attributes {
            batch.set_header(at, Header::Attributes, NewValue::Tree(attributes)).expect("attributes");
        }
    }
    let rows: Box<[u32]> = (0..records.len()).filter(|&i| keep[i]).map(|i| i as u32).collect();
    let rows = if rows.len() == records.len() { Rows::All } else { Rows::Some(rows) };
    Part { batch: Arc::new(Pool::default()).share(batch), rows, custody: Custody::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_batch_comes_back(
        records in prop::collection::vec(record(), 1..12),
        attributes in prop::collection::vec(("[a-z.]{1,4}", value()), 0..4),
        signal in prop::sample::select(vec![Signal::Logs, Signal::Traces, Signal::Metrics]),
        keep in prop::collection::vec(prop::bool::weighted(0.8), 12),
    ) {
        round_trip(&build(&records, &attributes, signal, &keep));
    }

    /// A payload whose checksum someone has made right: nothing in it is believed.
    #[test]
    fn a_forged_payload_is_read_or_refused(
        records in prop::collection::vec(record(), 1..5),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        count in 0..8_u32,
    ) {
        let part = build(&records, &[], Signal::Logs, &[true; 5]);
        let (frame, _) = encode(&part).frames.remove(0);
        let mut payload = frame[PREFIX..].to_vec();
        for (at, byte) in changes {
            let at = at.index(payload.len());
            payload[at] = byte;
        }
        let mut decoder = Decoder::default();
        for payload in [&payload[..], &payload[..cut.index(payload.len())]] {
            if let Ok(batch) = decoder.decode(payload, count, &Pool::default()) {
                for row in &batch.rows {
                    seen(&batch, row);
                }
            }
        }
    }
}

#[test]
fn frames_of_one_source_share_its_scope() {
    let record = Record {
        json: "{}".to_owned(),
        time: 0,
        own: false,
        start: 0,
        len: 1,
        ordinal: 0,
        salt: 0,
        scope: 1,
        edit: false,
        severity: None,
        attributes: None,
    };
    let mut decoder = Decoder::default();
    let mut decode = |record: &Record| {
        let part = build(std::slice::from_ref(record), &[], Signal::Logs, &[true]);
        let (frame, records) = encode(&part).frames.remove(0);
        decoder.decode(&frame[PREFIX..], records, &Pool::default()).expect("a batch")
    };
    let (a, b) = (decode(&record), decode(&Record { time: 1, ..record.clone() }));
    assert!(Arc::ptr_eq(a.scope(&a.rows[0]), b.scope(&b.rows[0])));
    let c = decode(&Record { scope: 2, ..record.clone() });
    assert!(!Arc::ptr_eq(a.scope(&a.rows[0]), c.scope(&c.rows[0])));
}

/// Kinds that JSON has no words for, in bodies, headers and scopes; and records beside them that are plain.
#[test]
fn every_kind_survives() {
    let odd = Value::Object(vec![
        ("bytes".to_owned(), Value::Bytes(vec![0, 255])),
        ("inf".to_owned(), Value::Array(vec![Value::Float(f64::INFINITY), Value::Float(f64::NEG_INFINITY)])),
        ("text".to_owned(), Value::Str("\0bAA==".to_owned())),
        ("float".to_owned(), Value::Float(2.5)),
    ]);
    let source = Arc::new(Source::new("in".into(), 7));
    for (body, header, scope) in (0..8).map(|bits| (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0)) {
        let plain = Scope::new(source.clone()).with("k", "\0s");
        let scope = if scope { plain.with("odd", odd.clone()) } else { plain };
        let mut batch = Batch::new("t".into(), Arc::new(scope), 5);
        let text = br#"{"a":"\u0000b"}"#;
        batch.heap_mut().extend_from_slice(text);
        for n in 0..3 {
            let root = batch.parse_json(0..text.len()).expect("JSON");
            batch.rows.push(Row::new(root, n, n.cast_unsigned(), n.cast_unsigned() + 1));
        }
        if body {
            batch.set(1, &Path::key("odd"), NewValue::Tree(&odd)).expect("room");
            batch.set(1, &Path::key("nan"), NewValue::Float(f64::NAN)).expect("room");
        }
        if header {
            let path = Path::parse("@attributes.odd").expect("a path");
            batch.set(2, &path, NewValue::Tree(&odd)).expect("room");
        }
        let part = Part { batch: Arc::new(Pool::default()).share(batch), rows: Rows::All, custody: Custody::default() };
        round_trip(&part);
        let encoded = encode(&part);
        let (frame, records) = &encoded.frames[0];
        let back = Decoder::default().decode(&frame[PREFIX..], *records, &Pool::default()).expect("a batch");
        let (old, new) = (&part.batch.rows, &back.rows);
        for (old, new) in old.iter().zip(new) {
            let odd = |batch: &Batch, row: &Row, path: &str| {
                let path = Path::parse(path).expect("a path");
                batch.get(row, &batch.resolve(&path)).map(suiro_record::Field::to_value)
            };
            for path in ["odd.bytes", "odd.inf", "odd.text", "@attributes.odd.bytes", "@odd.bytes", "@odd.inf", "a"] {
                assert_eq!(odd(&back, new, path), odd(&part.batch, old, path), "{path}");
            }
            if let Some(Value::Float(nan)) = odd(&part.batch, old, "nan") {
                assert!(matches!(odd(&back, new, "nan"), Some(Value::Float(n)) if n.to_bits() == nan.to_bits()));
            }
        }
        // What needs no more is written as it always was.
        assert_eq!(
            frame[PREFIX] == 1,
            !body && !header && !part.batch.scopes()[0].resource.iter().any(|(k, _)| k == "odd")
        );
    }
}
