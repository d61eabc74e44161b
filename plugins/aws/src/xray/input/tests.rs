//! Segments in.

mod api;
mod datagrams;
mod documents;
mod hostile;
mod passed;

use std::sync::Arc;

use serde_json::Value;
use suiro_record::{Batch, Scope, Signal, Source, TimeKind};
use suiro_sdk::datagrams::Decode as _;
use suiro_sdk::spans::Spans;

use super::{DecodeError, Decoder, Format};

const READ_AT: i64 = 5_000_000;
const HEADER: &str = "{\"format\":\"json\",\"version\":1}\n";

/// One record.
#[derive(Debug, PartialEq)]
struct Shown {
    resource: Value,
    header: Value,
    body: Value,
    time: i64,
    /// The record says when it was.
    own_time: bool,
    place: std::ops::Range<u64>,
}

/// What datagrams, one after the other, become.
fn batches(datagrams: &[&[u8]], format: Format) -> Result<Vec<Batch>, DecodeError> {
    let mut open = |scope: Arc<Scope>| {
        let mut batch = Batch::new("t".into(), scope, READ_AT);
        batch.signal = Signal::Traces;
        batch
    };
    let mut spans = Spans::new(&mut open);
    let mut decoder = Decoder::new(format);
    decoder.begin(Arc::new(Source::new("in".into(), 7)));
    let mut base = 0;
    for datagram in datagrams {
        decoder.decode(datagram, base, &mut spans)?;
        base += datagram.len() as u64;
    }
    Ok(spans.finish())
}

fn shown(batches: &[Batch]) -> Vec<Shown> {
    let mut all = Vec::new();
    for batch in batches {
        for row in &batch.rows {
            let json = |write: &dyn Fn(&mut Vec<u8>)| -> Value {
                let mut text = Vec::new();
                write(&mut text);
                serde_json::from_slice(&text).expect("JSON")
            };
            let resource = suiro_record::Value::Object(batch.scope(row).resource.clone());
            all.push(Shown {
                resource: json(&|out| resource.write_json(out)),
                header: json(&|out| batch.header(row).expect("a header").write_json(out)),
                body: json(&|out| batch.write_json(row, out)),
                time: row.time,
                own_time: row.time_kind == TimeKind::Own,
                place: row.start..row.end,
            });
        }
    }
    all
}

/// What one document becomes.
fn records(document: &str, format: Format) -> Vec<Shown> {
    let datagram = format!("{HEADER}{document}");
    shown(&batches(&[datagram.as_bytes()], format).unwrap_or_else(|error| panic!("{error}: {document}")))
}

/// The one span of a document with these members beside what each has.
fn span(members: &str) -> Shown {
    let document = format!(
        r#"{{"id":"53995c3f42cd8ad8","trace_id":"1-581cf771-a006649127e371903a2de979","name":"shop","start_time":1478293361,"end_time":1478293362{members}}}"#
    );
    let mut records = records(&document, Format::Spans);
    assert_eq!(records.len(), 1);
    records.remove(0)
}

/// Its attributes.
fn attributes(members: &str) -> Value {
    span(members).body["attributes"].clone()
}
