//! What goes in, and what is to come out.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use suiro_test_servers::Elasticsearch;

/// Lines of JSON, numbered from `from` on.
pub(crate) fn numbered(from: u64, count: u64) -> String {
    (from..from + count).map(|n| format!("{{\"n\":{n},\"text\":\"record {n}\"}}\n")).collect()
}

/// Asserts that each of the records `0..count` is there once, and says what was written.
pub(crate) fn assert_numbered(server: &Elasticsearch, count: u64) {
    let mut seen: BTreeMap<u64, u32> = BTreeMap::new();
    for document in server.documents() {
        let value: Value = serde_json::from_str(&document.source).expect("JSON");
        let n = value["n"].as_u64().unwrap_or_else(|| panic!("no number in {value}"));
        assert_eq!(value["text"], format!("record {n}"));
        *seen.entry(n).or_default() += 1;
    }
    let wrong: Vec<(u64, u32)> =
        (0..count).map(|n| (n, seen.get(&n).copied().unwrap_or(0))).filter(|(_, times)| *times != 1).collect();
    assert!(wrong.is_empty(), "{} of {count} are not there once: {:?}", wrong.len(), &wrong[..wrong.len().min(10)]);
    assert_eq!(seen.len() as u64, count, "there is more than was written");
}

/// The documents, by the number under `n`, without the time the output adds.
pub(crate) fn by_number(server: &Elasticsearch) -> BTreeMap<u64, Value> {
    let mut documents = BTreeMap::new();
    for document in server.documents() {
        let mut value: Value = serde_json::from_str(&document.source).expect("JSON");
        let time = value.as_object_mut().and_then(|map| map.remove("@timestamp"));
        assert!(time.is_some_and(|time| time.as_str().is_some_and(|time| time.ends_with('Z'))), "{value}");
        let n = value["n"].as_u64().unwrap_or_else(|| panic!("no number in {value}"));
        assert_eq!(documents.insert(n, value), None, "{n} is there twice");
    }
    documents
}

/// A tail of `app.log` as JSON.
pub(crate) const TAIL_JSON: &str = "[[input]]\nname = 'in'\ntype = 'tail'\ntag = 'app'\npath = ['app.log']\nparser = 'json'\nscan_interval = '100ms'\n";

/// A tail of `app.log` as text.
pub(crate) const TAIL_TEXT: &str =
    "[[input]]\nname = 'in'\ntype = 'tail'\ntag = 'app'\npath = ['app.log']\nscan_interval = '100ms'\n";

/// An output to this server that is quick to try again; `more` are further settings.
pub(crate) fn elasticsearch(server: &Elasticsearch, more: &str) -> String {
    format!(
        "[[output]]\nname = 'es'\ntype = 'elasticsearch'\nurl = '{}'\nindex = 'app'\nid = 'origin'\n\
         retry = {{ initial = '10ms', max = '50ms' }}\n{more}\n",
        server.url()
    )
}

/// What `{"a":1}` is called in an assertion.
pub(crate) fn text(value: &str) -> Value {
    json!({ "log": value })
}
