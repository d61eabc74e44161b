//! The work that is timed, once on the batch and once on a `serde_json::Value` tree.

use std::sync::Arc;

use serde_json::Value;
use suiro_record::{Batch, NewValue, Path, Row, Scope, Source, Utf8Report};

const ACTION: &[u8] = b"{\"create\":{}}\n";

/// What the job does to each record.
pub(crate) struct Paths {
    pub(crate) level: Path,
    pub(crate) cluster: Path,
    pub(crate) email: Path,
    pub(crate) status: Path,
}

impl Paths {
    pub(crate) fn new() -> Self {
        let path = |text| Path::parse(text).expect("a path");
        Paths { level: path("level"), cluster: path("cluster"), email: path("user.email"), status: path("http.status") }
    }
}

pub(crate) fn empty() -> Batch {
    let source = Arc::new(Source::new("in".into(), 1));
    Batch::new("app".into(), Arc::new(Scope::new(source)), 0)
}

/// Reads a chunk into the batch: bytes, UTF-8, lines, JSON.
pub(crate) fn parse(batch: &mut Batch, chunk: &[u8]) {
    let scope = batch.scopes()[0].clone();
    batch.reset(batch.tag.clone(), scope, 0);
    batch.heap_mut().extend_from_slice(chunk);
    assert_eq!(batch.check_utf8(0), Utf8Report::Valid);
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', chunk) {
        let root = batch.parse_json(start..end).expect("JSON");
        batch.rows.push(Row::new(root, 0, start as u64, end as u64));
        start = end + 1;
    }
}

pub(crate) fn encode(batch: &Batch, out: &mut Vec<u8>) {
    out.clear();
    for row in &batch.rows {
        out.extend_from_slice(ACTION);
        batch.write_json(row, out);
        out.push(b'\n');
    }
}

/// Parse, drop debug, set one field, remove a nested one, read one, encode as Elasticsearch bulk.
pub(crate) fn job(batch: &mut Batch, paths: &Paths, chunk: &[u8], out: &mut Vec<u8>) -> i64 {
    parse(batch, chunk);
    drop_debug(batch, &paths.level);
    let sum = edit(batch, paths);
    encode(batch, out);
    sum
}

pub(crate) fn drop_debug(batch: &mut Batch, level: &Path) {
    let level = batch.resolve(level);
    let mut rows = std::mem::take(&mut batch.rows);
    rows.retain(|row| !batch.get(row, &level).is_some_and(|field| field.str_eq("debug")));
    batch.rows = rows;
}

pub(crate) fn edit(batch: &mut Batch, paths: &Paths) -> i64 {
    let mut sum = 0;
    let (email, status) = (batch.resolve(&paths.email), batch.resolve(&paths.status));
    for row in 0..batch.rows.len() {
        batch.set(row, &paths.cluster, NewValue::Str("prod-1")).expect("room");
        batch.remove(row, &email);
        sum += batch.get(&batch.rows[row], &status).and_then(|field| field.as_i64()).unwrap_or(0);
    }
    sum
}

/// The same on a tree.
pub(crate) fn tree_job(chunk: &[u8], out: &mut Vec<u8>) -> i64 {
    out.clear();
    let mut sum = 0;
    for line in chunk.split_inclusive(|&b| b == b'\n') {
        let mut value: Value = serde_json::from_slice(line).expect("JSON");
        if value["level"] == "debug" {
            continue;
        }
        if let Value::Object(map) = &mut value {
            map.insert("cluster".to_owned(), Value::String("prod-1".to_owned()));
            if let Some(Value::Object(user)) = map.get_mut("user") {
                user.remove("email");
            }
        }
        sum += value["http"]["status"].as_i64().unwrap_or(0);
        out.extend_from_slice(ACTION);
        serde_json::to_writer(&mut *out, &value).expect("a Vec takes all");
        out.push(b'\n');
    }
    sum
}

pub(crate) fn tree_parse(chunk: &[u8]) -> Vec<Value> {
    chunk.split_inclusive(|&b| b == b'\n').map(|line| serde_json::from_slice(line).expect("JSON")).collect()
}

pub(crate) fn tree_encode(values: &[Value], out: &mut Vec<u8>) {
    out.clear();
    for value in values {
        out.extend_from_slice(ACTION);
        serde_json::to_writer(&mut *out, value).expect("a Vec takes all");
        out.push(b'\n');
    }
}

/// Parse and encode, nothing between.
pub(crate) fn tree_copy(chunk: &[u8], out: &mut Vec<u8>) {
    out.clear();
    for line in chunk.split_inclusive(|&b| b == b'\n') {
        let value: Value = serde_json::from_slice(line).expect("JSON");
        out.extend_from_slice(ACTION);
        serde_json::to_writer(&mut *out, &value).expect("a Vec takes all");
        out.push(b'\n');
    }
}
