//! Messages as clients write them, and what is read of them.

use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;
use suiro_record::{Batch, Header, Scope, Source, TimeKind, Value};
use suiro_sdk::decompress::Decompressor;

use crate::burst::{Burst, BurstError, Refusals};
use crate::frame::{Next, Scanner};
use crate::group;

/// A message may have so many bytes.
pub const LIMIT: usize = 1 << 20;

/// A record that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    pub tag: String,
    pub body: Value,
    /// `None`: that of reading.
    pub time: Option<i64>,
    pub attributes: Option<Value>,
    pub resource: Vec<(String, Value)>,
}

/// What a burst became.
#[derive(Debug, Default)]
pub struct Outcome {
    pub records: Vec<Read>,
    pub refused: Refusals,
    pub acks: Vec<u8>,
    pub error: Option<BurstError>,
    pub batches: usize,
    /// Memory of the largest of them.
    pub largest: usize,
}

/// Where messages end in `bytes`.
pub fn ends(bytes: &[u8]) -> Vec<usize> {
    let mut scanner = Scanner::default();
    let mut ends = Vec::new();
    while let Ok(Next::Complete(end)) = scanner.next(bytes) {
        ends.push(end);
    }
    ends
}

pub fn read(bytes: &[u8]) -> Outcome {
    let mut burst = Burst::new(bytes.to_vec(), ends(bytes), 1000, LIMIT);
    let source = Arc::new(Source::new("in".into(), 1));
    let mut decompressor = Decompressor::default();
    let mut outcome = Outcome::default();
    let mut open = |tag: &[u8]| {
        let scope = Arc::new(Scope::new(source.clone()));
        Batch::new(String::from_utf8_lossy(tag).as_ref().into(), scope, 5_000_000_000)
    };
    let mut places = Vec::new();
    loop {
        match burst.next(&mut decompressor, &mut open) {
            Ok(Some(batch)) => {
                assert!(!batch.is_empty());
                outcome.batches += 1;
                outcome.largest = outcome.largest.max(group::used(&batch));
                outcome.records.extend(batch.rows.iter().map(|row| {
                    places.push(row.start..row.end);
                    record(&batch, row)
                }));
            }
            Ok(None) => break,
            Err(error) => {
                outcome.error = Some(error);
                break;
            }
        }
    }
    // No two records of a source stand in the same place, and none outside of it.
    places.sort_by_key(|place| place.start);
    assert!(places.windows(2).all(|two| two[0].end <= two[1].start && two[0].start < two[0].end), "{places:?}");
    assert!(places.last().is_none_or(|last| last.end <= burst.next_base()));
    outcome.refused = burst.take_refusals();
    outcome.acks = burst.take_acks();
    outcome
}

fn record(batch: &Batch, row: &suiro_record::Row) -> Read {
    let mut json = Vec::new();
    batch.write_json(row, &mut json);
    let header = batch.header(row).map(|header| header.to_value());
    Read {
        tag: batch.tag.to_string(),
        body: batch.body(row.root()).to_value(),
        time: (row.time_kind == TimeKind::Own).then_some(row.time),
        attributes: header.and_then(|header| header.get(Header::Attributes.name()).cloned()),
        resource: batch.scope(row).resource.clone(),
    }
}

/// A value as MessagePack.
pub fn put(out: &mut Vec<u8>, value: &Value) {
    use rmp::encode as to;
    match value {
        Value::Null => to::write_nil(out).unwrap(),
        Value::Bool(is) => to::write_bool(out, *is).unwrap(),
        Value::Int(n) => drop(to::write_sint(out, *n).unwrap()),
        Value::Uint(n) => drop(to::write_uint(out, *n).unwrap()),
        Value::Float(n) => to::write_f64(out, *n).unwrap(),
        Value::Number(_) => unreachable!("no number is a text"),
        Value::Str(text) => to::write_str(out, text).unwrap(),
        Value::Bytes(bytes) => to::write_bin(out, bytes).unwrap(),
        Value::Array(items) => {
            to::write_array_len(out, items.len() as u32).unwrap();
            items.iter().for_each(|item| put(out, item));
        }
        Value::Object(members) => {
            to::write_map_len(out, members.len() as u32).unwrap();
            for (key, value) in members {
                to::write_str(out, key).unwrap();
                put(out, value);
            }
        }
    }
}

pub fn map(members: &[(&str, Value)]) -> Value {
    Value::Object(members.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
}

/// `EventTime`.
pub fn event_time(seconds: u32, nanos: u32) -> Vec<u8> {
    let mut out = vec![0xd7, 0x00];
    out.extend(seconds.to_be_bytes());
    out.extend(nanos.to_be_bytes());
    out
}

/// `[time, record]`
pub fn event(time: &[u8], record: &Value) -> Vec<u8> {
    let mut out = vec![0x92];
    out.extend_from_slice(time);
    put(&mut out, record);
    out
}

/// A message of parts that are MessagePack already. The option is left out where it is empty.
pub fn message(tag: &str, parts: &[&[u8]], option: &[(&str, Value)]) -> Vec<u8> {
    let mut out = Vec::new();
    let length = 1 + parts.len() + usize::from(!option.is_empty());
    rmp::encode::write_array_len(&mut out, length as u32).unwrap();
    put(&mut out, &tag.into());
    parts.iter().for_each(|part| out.extend_from_slice(part));
    if !option.is_empty() {
        put(&mut out, &map(option));
    }
    out
}

pub fn list(events: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    rmp::encode::write_array_len(&mut out, events.len() as u32).unwrap();
    out.extend(events.concat());
    out
}

/// Events one behind the other, as bytes.
pub fn packed(events: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    rmp::encode::write_bin(&mut out, events).unwrap();
    out
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
