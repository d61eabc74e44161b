//! The codec against prost: any request, to records and back, in protobuf and JSON.

mod arbitrary;
mod edit;
mod hostile;
mod mapping;
mod normal;

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use proptest::prelude::*;
use prost::Message;
use suiro_record::{Batch, Scope, Signal, Source};

use self::arbitrary::Bytes;
use super::{DecodeError, Decoded, decode, encode, json};

/// When the batches of these tests were read.
pub(super) const READ_AT: i64 = 1_700_000_000_000_000_000;

pub(super) fn decoded(signal: Signal, request: &[u8]) -> Result<Decoded, DecodeError> {
    let source = Arc::new(Source::new("otlp".into(), 1));
    decode(signal, request.to_vec(), &source, &mut |scope: Arc<Scope>| {
        let mut batch = Batch::new("otlp".into(), scope, READ_AT);
        batch.signal = signal;
        batch
    })
}

/// The records of a request, all of which can be read, as they are handed over.
pub(super) fn as_read(signal: Signal, request: &[u8]) -> Result<Vec<Batch>, DecodeError> {
    let decoded = decoded(signal, request)?;
    assert_eq!(decoded.refused > 0, decoded.why.is_some());
    decoded.why.map_or(Ok(decoded.batches), Err)
}

/// As [`as_read`], unpacked.
pub(super) fn batches(signal: Signal, request: &[u8]) -> Result<Vec<Batch>, DecodeError> {
    let mut batches = as_read(signal, request)?;
    batches.iter_mut().for_each(Batch::unpack);
    Ok(batches)
}

pub(super) fn written(signal: Signal, batches: &[Batch]) -> Vec<u8> {
    let mut out = Vec::new();
    encode(signal, batches.iter().flat_map(|batch| batch.rows.iter().map(move |row| (batch, row))), &mut out);
    out
}

/// The same records, none of which knows the message it came from.
pub(super) fn rewritten(signal: Signal, batches: &[Batch]) -> Vec<u8> {
    let mut copies = batches.to_vec();
    for batch in &mut copies {
        for at in 0..batch.rows.len() {
            let row = batch.rows[at];
            batch.rows[at] = batch.copy_row(&row);
        }
    }
    written(signal, &copies)
}

/// The same, through another batch.
fn imported(signal: Signal, batches: &[Batch]) -> Vec<u8> {
    let copies: Vec<Batch> = batches
        .iter()
        .map(|batch| {
            let mut copy = batch.sibling(batch.tag.clone());
            copy.import_all(batch, &batch.rows).unwrap();
            copy
        })
        .collect();
    written(signal, &copies)
}

fn round_trip<M: Message + Default + std::fmt::Debug>(signal: Signal, request: M, normal: fn(&mut M, bool)) {
    let bytes = request.encode_to_vec();
    let batches = batches(signal, &bytes).unwrap();
    let read = |bytes: &[u8], rewritten: bool| {
        let mut message = M::decode(bytes).unwrap();
        normal(&mut message, rewritten);
        // Bytes compare where NaN does not.
        (format!("{message:?}"), message.encode_to_vec())
    };
    assert_eq!(read(&written(signal, &batches), false), read(&bytes, false));
    let packed = as_read(signal, &bytes).unwrap();
    assert_eq!(written(signal, &packed), written(signal, &batches));
    for (packed, batch) in packed.iter().zip(&batches) {
        assert!(packed.request().is_none_or(|request| request == bytes));
        let seen =
            |batch: &Batch| batch.rows.iter().map(|row| (row.time, row.time_kind, row.start)).collect::<Vec<_>>();
        assert_eq!(seen(packed), seen(batch));
        // Row by row it is what it is all at once.
        let few = batch.rows.len() / 2;
        assert_eq!(
            format!("{:?}", packed.unpacked(&packed.rows[few..])),
            format!("{:?}", batch.unpacked(&batch.rows[few..]))
        );
    }
    assert_eq!(read(&rewritten(signal, &batches), true), read(&bytes, true));
    assert_eq!(read(&imported(signal, &batches), true), read(&bytes, true));

    let mut text = Vec::new();
    json::from_protobuf(signal, &bytes, &mut text).unwrap();
    let back = json::to_protobuf(signal, &text).unwrap();
    assert_eq!(read(&back, false), read(&bytes, false), "{}", String::from_utf8_lossy(&text));

    // Two requests one after the other are one.
    let twice = [bytes.as_slice(), &bytes].concat();
    let count = |batches: &[Batch]| batches.iter().map(Batch::len).sum::<usize>();
    assert_eq!(count(&self::batches(signal, &twice).unwrap()), 2 * count(&batches));

    for batch in &batches {
        let spans: Vec<_> = batch.rows.iter().map(|row| (row.start, row.end)).collect();
        assert!(spans.is_sorted_by(|a, b| a.1 <= b.0 && a != b), "{spans:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn any_logs(bytes in proptest::collection::vec(any::<u8>(), 0..1500)) {
        round_trip::<ExportLogsServiceRequest>(Signal::Logs, Bytes::new(&bytes).logs(), normal::logs);
    }

    #[test]
    fn any_traces(bytes in proptest::collection::vec(any::<u8>(), 0..1500)) {
        round_trip::<ExportTraceServiceRequest>(Signal::Traces, Bytes::new(&bytes).traces(), normal::traces);
    }

    #[test]
    fn any_metrics(bytes in proptest::collection::vec(any::<u8>(), 0..1500)) {
        round_trip::<ExportMetricsServiceRequest>(Signal::Metrics, Bytes::new(&bytes).metrics(), normal::metrics);
    }
}
