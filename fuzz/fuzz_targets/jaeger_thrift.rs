//! Jaeger's Thrift in both protocols, bare and as a message: it is refused, or it is spans that write as JSON, in memory that
//! is in proportion.
#![no_main]

use std::sync::Arc;

use suiro_jaeger::{Form, Protocol, decode};
use suiro_record::{Batch, Scope, Source};
use suiro_sdk::spans::Spans;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let source = Arc::new(Source::new("in".into(), 1));
    for protocol in [Protocol::Binary, Protocol::Compact] {
        for form in [Form::Batch, Form::Message] {
            let mut open = |scope: Arc<Scope>| Batch::new("t".into(), scope, 0);
            let mut spans = Spans::new(&mut open);
            if decode(data, protocol, form, &source, 0, &mut spans).is_err() {
                continue;
            }
            assert!(spans.used() <= 32 * data.len() + 1024, "{} for {}", spans.used(), data.len());
            for batch in spans.finish() {
                for row in &batch.rows {
                    let mut json = Vec::new();
                    batch.write_json(row, &mut json);
                    serde_json::from_slice::<serde_json::Value>(&json).expect("JSON");
                }
            }
        }
    }
});
