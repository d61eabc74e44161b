//! Remote-write requests of both versions: any bytes are read or refused, and what is read can be sent again and read.
#![no_main]

use std::sync::Arc;

use suiro_prometheus::remote::{Version, encode, read};
use suiro_record::{Batch, Scope, Source};
use suiro_sdk::{Custody, Delivery, Part, Pool, Rows};

fn empty() -> Batch {
    Batch::new("t".into(), Arc::new(Scope::new(Arc::new(Source::new("fuzz".into(), 1)))), 1)
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for version in [Version::V1, Version::V2] {
        let mut batch = empty();
        if read(version, data, &mut batch).is_err() {
            continue;
        }
        for row in &batch.rows {
            let mut json = Vec::new();
            batch.write_json(row, &mut json);
            serde_json::from_slice::<serde_json::Value>(&json).expect("JSON");
        }
        let batch = Arc::new(Pool::default()).share(batch);
        let delivery = Delivery { parts: vec![Part { batch, rows: Rows::All, custody: Custody::default() }] };
        for body in encode(version, &delivery) {
            read(version, &body, &mut empty()).expect("what we write is a request");
        }
    }
});
