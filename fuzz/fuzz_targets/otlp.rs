//! Requests of OTLP: what is taken must come out well-formed, as it came and rewritten, with as many records; and as JSON, and
//! from JSON. The first byte chooses the signal and the encoding.
#![no_main]

use std::sync::Arc;

use suiro_otlp::codec::answer::{Encoding, PartialSuccess, Status};
use suiro_otlp::codec::{decode, encode, json};
use suiro_record::{Batch, Signal, Source};

fn batches(signal: Signal, request: &[u8]) -> Option<Vec<Batch>> {
    let source = Arc::new(Source::new("in".into(), 1));
    decode(signal, request.to_vec(), &source, &mut |scope| {
        let mut batch = Batch::new("t".into(), scope, 1);
        batch.signal = signal;
        batch
    })
    .ok()
    .map(|decoded| decoded.batches)
}

fn written(signal: Signal, batches: &[Batch]) -> Vec<u8> {
    let mut out = Vec::new();
    encode(signal, batches.iter().flat_map(|batch| batch.rows.iter().map(move |row| (batch, row))), &mut out);
    out
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&choice, data)) = data.split_first() else { return };
    let signal = [Signal::Logs, Signal::Traces, Signal::Metrics][usize::from(choice % 3)];
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        let _ = PartialSuccess::read(signal, encoding, data);
        let _ = Status::read(encoding, data);
    }
    let request = if choice & 0x80 == 0 { Ok(data.to_vec()) } else { json::to_protobuf(signal, data) };
    let Ok(request) = request else { return };
    let Some(mut read) = batches(signal, &request) else { return };
    let count = |batches: &[Batch]| batches.iter().map(Batch::len).sum::<usize>();
    let records = count(&read);
    assert_eq!(count(&batches(signal, &written(signal, &read)).expect("a request")), records);
    for batch in &mut read {
        batch.unpack();
        for at in 0..batch.len() {
            let row = batch.rows[at];
            batch.rows[at] = batch.copy_row(&row);
        }
    }
    let again = written(signal, &read);
    assert_eq!(count(&batches(signal, &again).expect("a request")), records);
    let mut text = Vec::new();
    json::from_protobuf(signal, &again, &mut text).expect("what was written can be read");
});
