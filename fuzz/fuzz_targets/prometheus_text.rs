//! Prometheus's text formats: any bytes are read, within bounds, into records that can be written.
#![no_main]

use std::sync::Arc;

use suiro_prometheus::text::{Format, Memory, Options, TextParser};
use suiro_record::{Batch, Scope, Source};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let scope = Arc::new(Scope::new(Arc::new(Source::new("fuzz".into(), 1))));
    let mut parser = TextParser::default();
    let mut memory = Memory::default();
    for format in [Format::Text, Format::OpenMetrics] {
        let options = Options { format, time: 1, honor_timestamps: true, max_samples: 10_000 };
        let mut points = 0;
        let new = || Batch::new("t".into(), scope.clone(), 1);
        let report = parser.parse(data, options, Some(&mut memory), new, |batch| {
            points += batch.len();
            for row in &batch.rows {
                assert!(row.start < row.end && row.end as usize <= data.len());
                let mut json = Vec::new();
                batch.write_json(row, &mut json);
                serde_json::from_slice::<serde_json::Value>(&json).expect("JSON");
            }
        });
        assert!(points <= report.samples);
    }
});
