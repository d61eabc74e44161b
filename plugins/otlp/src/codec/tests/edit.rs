//! Attributes changed in messages, against the same done to the unpacked records.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message;
use suiro_record::{MessageEdit, NewValue, Path, Value};

use super::*;

/// A change by its paths: what a [`MessageEdit`] is made of.
#[derive(Clone, Debug)]
enum Change {
    Rename(Path, Path),
    Set(Path, Value, bool),
    Remove(Path),
}

// === impl Change ===

impl Change {
    fn as_edit(&self) -> MessageEdit<'_> {
        match self {
            Change::Rename(from, to) => MessageEdit::Rename { from, to },
            Change::Set(path, value, replace) => MessageEdit::Set { path, value, replace: *replace },
            Change::Remove(path) => MessageEdit::Remove { path },
        }
    }

    /// What it does to an unpacked record.
    fn make(&self, batch: &mut Batch, row: usize) {
        match self {
            Change::Rename(from, to) => drop(batch.rename(row, from, to).unwrap()),
            Change::Set(path, value, replace) => {
                let there = batch.get(&batch.rows[row], &batch.resolve(path)).is_some();
                if *replace || !there {
                    batch.set(row, path, NewValue::Tree(value)).unwrap();
                }
            }
            Change::Remove(path) => {
                let resolved = batch.resolve(path);
                // The batch is changed under the look-up, which it knows how to take.
                batch.remove(row, &resolved);
            }
        }
    }
}

/// Paths as users write them, to attributes that the requests of [`arbitrary`] have or have not.
fn path(signal: Signal) -> impl Strategy<Value = Path> {
    let root = if signal == Signal::Logs { "@attributes" } else { "attributes" };
    prop_oneof![
        8 => "[a-f]".prop_map(|key| format!(".{key}")),
        2 => Just(".log".to_owned()),
        2 => Just(".\"new key\"".to_owned()),
        1 => "[a-c]\\.[a-c]".prop_map(|keys| format!(".{keys}")),
        1 => Just(format!(".{}", "x".repeat(200))),
        1 => Just(".log[0]".to_owned()),
    ]
    .prop_map(move |rest| Path::parse(&format!("{root}{rest}")).unwrap())
}

fn change(signal: Signal) -> impl Strategy<Value = Change> {
    let value = prop_oneof![
        Just(Value::Bool(true)),
        any::<i64>().prop_map(Value::Int),
        Just(Value::Float(1.5)),
        "[a-z]{0,200}".prop_map(Value::Str),
        Just(Value::Array(vec![Value::Int(1)])),
    ];
    prop_oneof![
        3 => (path(signal), path(signal)).prop_map(|(from, to)| Change::Rename(from, to)),
        2 => (path(signal), value, any::<bool>()).prop_map(|(path, value, replace)| Change::Set(path, value, replace)),
        1 => path(signal).prop_map(Change::Remove),
    ]
    .prop_filter("an index has to be there to be set", |change| match change {
        Change::Rename(_, to) | Change::Set(to, ..) => to.keys().is_some(),
        Change::Remove(_) => true,
    })
}

/// Bodies and headers as JSON, in whatever order. An edited message says that it was observed when it was read; an unpacked
/// record leaves it to whoever asks.
fn shown(batch: &Batch) -> Vec<serde_json::Value> {
    let value = |node: suiro_record::NodeRef<'_>| {
        let mut json = Vec::new();
        node.write_json(&mut json);
        let mut value: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let when_read =
            |time: &serde_json::Value| time.as_i64().is_some_and(|at| (0..100_000).contains(&(at - READ_AT)));
        if value.get("observed_time").is_some_and(when_read) {
            value.as_object_mut().unwrap().remove("observed_time");
        }
        value
    };
    let rows = batch.rows.iter();
    rows.flat_map(|row| [Some(value(batch.body(row.root()))), batch.header(row).map(value)]).flatten().collect()
}

/// Edits packed and unpacked, of each other row. Says in how many batches it was done in messages.
fn compare<M: Message + Default + std::fmt::Debug>(
    signal: Signal,
    bytes: &[u8],
    changes: &[Change],
    normal: fn(&mut M, bool),
) -> usize {
    let edits: Vec<_> = changes.iter().map(Change::as_edit).collect();
    let mut in_messages = 0;
    let mut spare = Vec::new();
    for mut packed in as_read(signal, bytes).unwrap() {
        let mut unpacked = packed.clone();
        unpacked.unpack();
        let rows = || (0..unpacked.rows.len()).step_by(2);
        if !packed.edit_messages(rows(), &edits, &mut spare) {
            continue;
        }
        in_messages += 1;
        for row in rows().collect::<Vec<_>>() {
            changes.iter().for_each(|change| change.make(&mut unpacked, row));
        }
        let read = |batch: &Batch| {
            let mut message = M::decode(&*rewritten(signal, std::slice::from_ref(batch))).unwrap();
            normal(&mut message, true);
            (format!("{message:?}"), message.encode_to_vec())
        };
        let exactly = |sent: &[u8]| {
            let mut message = M::decode(sent).unwrap();
            normal(&mut message, false);
            (format!("{message:?}"), message.encode_to_vec())
        };
        let places = |batch: &Batch| batch.rows.iter().map(|row| (row.time, row.start, row.end)).collect::<Vec<_>>();
        assert_eq!(places(&packed), places(&unpacked));
        // As they are sent, and as whoever looks into them has them.
        let sent = written(signal, std::slice::from_ref(&packed));
        let request = packed.request().map(<[u8]>::to_vec);
        assert_eq!(exactly(&sent), exactly(&written(signal, std::slice::from_ref(&unpacked))), "{changes:?}");
        packed.unpack();
        assert_eq!(read(&packed), read(&unpacked), "{changes:?}");
        assert_eq!(shown(&packed), shown(&unpacked), "{changes:?}");
        assert_eq!(written(signal, std::slice::from_ref(&packed)), sent);
        for again in [Some(sent), request].into_iter().flatten().flat_map(|sent| batches(signal, &sent).unwrap()) {
            assert_eq!(read(&again), read(&unpacked), "{changes:?}");
        }
    }
    in_messages
}

/// Attributes as applications have them: a key each, and a value.
fn tidy(attributes: &mut Vec<KeyValue>) {
    let mut seen = std::collections::HashSet::new();
    attributes.retain(|pair| !pair.key.is_empty() && seen.insert(pair.key.clone()));
    for pair in attributes {
        pair.value.get_or_insert_default();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn any_logs(
        bytes in proptest::collection::vec(any::<u8>(), 0..1500),
        changes in proptest::collection::vec(change(Signal::Logs), 1..4),
        is_tidy in any::<bool>(),
    ) {
        let mut request = Bytes::new(&bytes).logs();
        let groups = request.resource_logs.iter_mut().flat_map(|group| &mut group.scope_logs);
        let logs = groups.flat_map(|group| &mut group.log_records);
        logs.filter(|_| is_tidy).for_each(|log| tidy(&mut log.attributes));
        compare::<ExportLogsServiceRequest>(Signal::Logs, &request.encode_to_vec(), &changes, normal::logs);
    }

    #[test]
    fn any_traces(
        bytes in proptest::collection::vec(any::<u8>(), 0..1500),
        changes in proptest::collection::vec(change(Signal::Traces), 1..4),
        is_tidy in any::<bool>(),
    ) {
        let mut request = Bytes::new(&bytes).traces();
        let groups = request.resource_spans.iter_mut().flat_map(|group| &mut group.scope_spans);
        let spans = groups.flat_map(|group| &mut group.spans);
        spans.filter(|_| is_tidy).for_each(|span| tidy(&mut span.attributes));
        compare::<ExportTraceServiceRequest>(Signal::Traces, &request.encode_to_vec(), &changes, normal::traces);
    }
}

/// A request with a log of these attributes, each with its place as its value; `None` has no value.
fn request(attributes: &[(&str, Option<i64>)]) -> Vec<u8> {
    let attributes = attributes
        .iter()
        .map(|(key, value)| KeyValue {
            key: (*key).to_owned(),
            value: value.map(|n| AnyValue { value: Some(any_value::Value::IntValue(n)) }),
            ..KeyValue::default()
        })
        .collect();
    let log = LogRecord { time_unix_nano: 5, attributes, ..LogRecord::default() };
    let scope_logs = vec![ScopeLogs { log_records: vec![log.clone(), log], ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

fn at(path: &str) -> Path {
    Path::parse(&format!("@attributes.{path}")).unwrap()
}

/// The attributes of the first log, if it could be done in its message.
fn edited(attributes: &[(&str, Option<i64>)], changes: &[Change]) -> Option<Vec<(String, i64)>> {
    let bytes = request(attributes);
    let done = compare::<ExportLogsServiceRequest>(Signal::Logs, &bytes, changes, normal::logs);
    let mut batch = as_read(Signal::Logs, &bytes).unwrap().remove(0);
    let edits: Vec<_> = changes.iter().map(Change::as_edit).collect();
    assert_eq!(batch.edit_messages(0..1, &edits, &mut Vec::new()), done == 1);
    let sent = ExportLogsServiceRequest::decode(&*written(Signal::Logs, &[batch])).unwrap();
    let log = &sent.resource_logs[0].scope_logs[0].log_records[0];
    let number = |pair: &KeyValue| match pair.value.as_ref()?.value {
        Some(any_value::Value::IntValue(n)) => Some(n),
        _ => None,
    };
    let pairs = log.attributes.iter().map(|pair| (pair.key.clone(), number(pair).unwrap_or(-1))).collect();
    (done == 1).then_some(pairs)
}

#[test]
fn what_is_done_in_messages_and_what_is_not() {
    let pairs = |pairs: &[(&str, i64)]| Some(pairs.iter().map(|&(key, n)| (key.to_owned(), n)).collect::<Vec<_>>());
    let abc = [("a", Some(1)), ("b", Some(2)), ("c.d", Some(3))];
    let rename = |from: &str, to: &str| Change::Rename(at(from), at(to));
    let set = |path: &str, replace| Change::Set(at(path), Value::Int(9), replace);
    let remove = |path: &str| Change::Remove(at(path));
    for (changes, want) in [
        (vec![rename("a", "z")], pairs(&[("b", 2), ("c.d", 3), ("z", 1)])),
        (vec![rename("a", "b")], pairs(&[("b", 1), ("c.d", 3)])),
        (vec![rename("b", "a")], pairs(&[("a", 2), ("c.d", 3)])),
        (vec![rename("c.d", "z")], pairs(&[("a", 1), ("b", 2), ("z", 3)])),
        (vec![rename("z", "a")], pairs(&[("a", 1), ("b", 2), ("c.d", 3)])),
        (vec![set("a", true), set("z", true)], pairs(&[("a", 9), ("b", 2), ("c.d", 3), ("z", 9)])),
        (vec![set("a", false), set("z", false)], pairs(&[("a", 1), ("b", 2), ("c.d", 3), ("z", 9)])),
        (vec![remove("a"), remove("\"c.d\""), remove("z")], pairs(&[("b", 2)])),
        (vec![rename("a", "z"), rename("z", "y"), remove("b")], pairs(&[("c.d", 3), ("y", 1)])),
        // Below `a` there may be something.
        (vec![remove("a.x")], None),
        // What two keys say has a place of its own.
        (vec![set("x.y", true)], None),
        (vec![rename("a", "a")], None),
    ] {
        assert_eq!(edited(&abc, &changes), want, "{changes:?}");
    }
    assert_eq!(edited(&[("a", Some(1)), ("a", Some(2))], &[rename("a", "z")]), None);
    assert_eq!(edited(&[("a", Some(1)), ("b", None)], &[rename("a", "z")]), None);
    assert_eq!(edited(&[("a", Some(1))], &[remove("a")]), None, "an empty map is left");
    assert_eq!(edited(&[], &[set("a", true)]), pairs(&[("a", 9)]));
    let long = "k".repeat(128);
    assert_eq!(edited(&[("a", Some(1)), (&long, Some(2))], &[rename("a", "z")]), None);
}

#[test]
fn lengths_that_take_more_bytes_than_before() {
    let changes = [Change::Set(at("z"), Value::Str("x".repeat(40)), true)];
    // Around the lengths of two and of three bytes, for the record and for what is around it.
    for len in (60..130).chain((16_383 - 150)..16_400) {
        let key = "k".repeat(100);
        let mut request = ExportLogsServiceRequest::decode(&*request(&[(&key, Some(1))])).unwrap();
        let body = Some(AnyValue { value: Some(any_value::Value::StringValue("b".repeat(len))) });
        let logs = &mut request.resource_logs[0].scope_logs[0].log_records;
        logs.truncate(1);
        logs[0].body = body;
        let done = compare::<ExportLogsServiceRequest>(Signal::Logs, &request.encode_to_vec(), &changes, normal::logs);
        assert_eq!(done, 1);
    }
}

/// A request of which a record was refused is none any more; it can be edited all the same, and again.
#[test]
fn one_edit_after_another_of_what_is_no_request() {
    let mut request = ExportLogsServiceRequest::decode(&*request(&[("a", Some(1)), ("b", Some(2))])).unwrap();
    request.resource_logs[0].scope_logs[0].log_records[1].span_id = vec![1];
    for refused in [true, false] {
        if !refused {
            request.resource_logs[0].scope_logs[0].log_records.truncate(1);
        }
        let mut batch = decoded(Signal::Logs, &request.encode_to_vec()).unwrap().batches.remove(0);
        assert_eq!(batch.request().is_none(), refused);
        let mut spare = Vec::new();
        for change in [Change::Rename(at("a"), at("c")), Change::Remove(at("b")), Change::Rename(at("c"), at("d"))] {
            assert!(batch.edit_messages(0..1, &[change.as_edit()], &mut spare));
        }
        assert_eq!(batch.request().is_none(), refused);
        batch.unpack();
        assert_eq!(shown(&batch)[1]["attributes"], serde_json::json!({ "d": 1 }));
    }
}

/// What somebody looked into goes out without it, too, and does not stand for the message it came in any more.
#[test]
fn what_is_removed_of_an_unpacked_log_is_not_sent() {
    let mut batch = batches(Signal::Logs, &request(&[("a", Some(1)), ("secret", Some(2))])).unwrap().remove(0);
    Change::Remove(at("secret")).make(&mut batch, 0);
    let sent = ExportLogsServiceRequest::decode(&*written(Signal::Logs, &[batch])).unwrap();
    let keys: Vec<Vec<&str>> = sent.resource_logs[0].scope_logs[0]
        .log_records
        .iter()
        .map(|log| log.attributes.iter().map(|pair| &*pair.key).collect())
        .collect();
    assert_eq!(keys, [vec!["a"], vec!["a", "secret"]]);
}
