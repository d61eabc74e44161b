//! X-Ray's segments: datagrams are refused, or they are spans that write as JSON, and pass through as they came.
#![no_main]

use std::sync::Arc;

use suiro_aws::xray::input::{Decoder, Format};
use suiro_record::{Batch, Scope, Source};
use suiro_sdk::datagrams::Decode as _;
use suiro_sdk::spans::Spans;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // Most of what is random is no header, and says nothing more.
    let headed = [b"{\"format\":\"json\",\"version\":1}\n", data].concat();
    for format in [Format::Spans, Format::Segments] {
        let mut open = |scope: Arc<Scope>| Batch::new("t".into(), scope, 0);
        let mut spans = Spans::new(&mut open);
        let mut decoder = Decoder::new(format);
        decoder.begin(Arc::new(Source::new("in".into(), 1)));
        for datagram in [data, &headed, &headed] {
            let before = spans.len();
            let taken = decoder.decode(datagram, 0, &mut spans).is_ok();
            assert_eq!(taken, spans.len() > before);
        }
        for batch in spans.finish() {
            for row in &batch.rows {
                let mut json = Vec::new();
                batch.write_json(row, &mut json);
                let record: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
                if format == Format::Segments {
                    assert_eq!(record["xray.segment"].as_str().map(str::as_bytes), Some(data.trim_ascii()));
                }
            }
        }
    }
});
