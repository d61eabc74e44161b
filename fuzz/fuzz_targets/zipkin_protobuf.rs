//! Zipkin's spans in protobuf: they are refused, or they are spans that write as JSON.
#![no_main]

use std::sync::Arc;

use suiro_record::{Batch, Scope, Source};
use suiro_sdk::spans::Spans;
use suiro_zipkin::{Format, decode};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut open = |scope: Arc<Scope>| Batch::new("t".into(), scope, 0);
    let mut spans = Spans::new(&mut open);
    if decode(data, Format::Protobuf, Arc::new(Source::new("in".into(), 1)), &mut spans).is_err() {
        return;
    }
    for batch in spans.finish() {
        for row in &batch.rows {
            let mut json = Vec::new();
            batch.write_json(row, &mut json);
            serde_json::from_slice::<serde_json::Value>(&json).expect("JSON");
        }
    }
});
