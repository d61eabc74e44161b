//! Asking Loki what it has.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;

/// Entries of one answer; the server allows 5000.
const PAGE: usize = 1000;
const ANSWER_LIMIT: u64 = 64 * 1024 * 1024;
/// What Loki puts into a stream of its own accord.
const ADDED: [&str; 2] = ["service_name", "detected_level"];
/// The label by which Loki tells the parts of a stream that it has split because much comes in at once.
const SHARD: &str = "__stream_shard__";

/// One entry as stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    /// Nanoseconds since 1970.
    pub(crate) time: i64,
    pub(crate) line: String,
    /// Labels and structured metadata, without what Loki added.
    pub(crate) labels: BTreeMap<String, String>,
    /// The part of a split stream: what is equal is kept once in each.
    pub(crate) shard: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Stream>,
}

#[derive(Deserialize)]
struct Stream {
    stream: BTreeMap<String, String>,
    values: Vec<(String, String)>,
}

/// Every entry that `query` selects with a time in `from..to`, oldest first.
///
/// A page begins at the last time of the one before, so that entries of one time are not torn apart; those that were
/// seen are told by their content, since Loki keeps no two that are alike.
pub(crate) fn all(url: &str, query: &str, from: i64, to: i64) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut seen = HashSet::new();
    let mut start = from;
    loop {
        let page = page(url, query, start, to);
        let full = page.len() >= PAGE;
        let fresh: Vec<Entry> = page.into_iter().filter(|entry| seen.insert(entry.clone())).collect();
        assert!(!full || !fresh.is_empty(), "more than {PAGE} entries at the time {start}");
        entries.extend(fresh);
        if !full {
            return entries;
        }
        start = entries.last().expect("a full page").time;
    }
}

fn page(url: &str, query: &str, from: i64, to: i64) -> Vec<Entry> {
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let mut answer = ureq::Agent::from(config)
        .get(format!("{url}/loki/api/v1/query_range"))
        .query("query", query)
        .query("start", from.to_string())
        .query("end", to.to_string())
        .query("limit", PAGE.to_string())
        .query("direction", "forward")
        .call()
        .unwrap_or_else(|error| panic!("{url}: {error}"));
    let bytes = answer.body_mut().with_config().limit(ANSWER_LIMIT).read_to_vec().expect("the answer can be read");
    assert!(answer.status().is_success(), "{}: {}", answer.status(), String::from_utf8_lossy(&bytes));
    let answer: Answer = serde_json::from_slice(&bytes).expect("an answer to a query");

    let mut entries = Vec::new();
    for Stream { mut stream, values } in answer.data.result {
        stream.retain(|name, _| !ADDED.contains(&name.as_str()));
        let shard = stream.remove(SHARD);
        entries.extend(values.into_iter().map(|(time, line)| Entry {
            time: time.parse().expect("a time in nanoseconds"),
            line,
            labels: stream.clone(),
            shard: shard.clone(),
        }));
    }
    // Stable: within a stream the server's order stands.
    entries.sort_by_key(|entry| entry.time);
    entries
}
