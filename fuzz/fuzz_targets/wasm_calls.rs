//! The functions a WASM guest may call, in any order, with any arguments: nothing panics, a call that is taken back leaves
//! no trace, and what a call leaves behind is JSON.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use suiro_record::{Batch, Row, Scope, Source, Value};
use suiro_sdk::Metrics;
use suiro_wasm::{Bounds, FUNCTIONS, Surroundings, View, call};

const RECORDS: [&str; 3] = [
    r#"{"level":"info","n":1,"user":{"name":"a","tags":["x","y\n"]},"level":"twice"}"#,
    r#"{"a.b":1,"a":{"b":2},"big":123456789012345678901234567890,"nothing":null}"#,
    "{}",
];

fn batch() -> Batch {
    let source = Arc::new(Source::new("fuzz".into(), 1));
    let mut batch = Batch::new("fuzz".into(), Arc::new(Scope::new(source)), 0);
    for json in RECORDS {
        let from = batch.heap().len();
        batch.heap_mut().extend_from_slice(json.as_bytes());
        let end = batch.heap().len();
        let root = batch.parse_json(from..end).expect("it is JSON");
        batch.rows.push(Row::new(root, 0, from as u64, end as u64));
    }
    batch
}

fn text(batch: &Batch, row: &Row) -> String {
    let mut json = Vec::new();
    batch.write_json(row, &mut json);
    String::from_utf8(json).expect("records are UTF-8")
}

// A kilobyte of the guest's memory, then calls: the function, and up to five arguments of two bytes each, the last values
// of which stand for those that two bytes can't say.
fuzz_target!(|data: &[u8]| {
    let (start, calls) = data.split_at(data.len().min(1024));
    let mut memory = vec![0; 4096];
    memory[..start.len()].copy_from_slice(start);
    let around = Surroundings::new("fuzz".into(), &Value::Object(Vec::new()), Arc::new(Metrics::default()), |_, _| {});
    let mut view = View::new(Arc::new(around), Bounds { emitted: 8, bytes: 16 << 10, times: 1 });
    let mut batch = batch();
    let mut play = |view: &mut View| {
        for one in calls.chunks(11) {
            let mut args = one[1..].chunks(2).map(|bytes| match *bytes {
                [low, high] if high == 0xff => [i64::from(0x7fff_ffff), -1, i64::MIN, i64::MAX][usize::from(low % 4)],
                [low, high] => i64::from(u16::from_le_bytes([low, high]) as i16),
                _ => 0,
            });
            call(view, &mut memory, usize::from(one[0]) % FUNCTIONS.len(), || args.next().unwrap_or(0));
        }
    };
    view.begin(&mut batch);
    play(&mut view);
    view.rollback(&mut batch);
    for (row, json) in batch.rows.iter().zip(RECORDS) {
        assert_eq!(text(&batch, row), json);
    }
    view.begin(&mut batch);
    play(&mut view);
    let effects = view.commit(&mut batch);
    let mut visited = 0;
    effects.visit(&batch.rows, |_, _, row, _| {
        visited += 1;
        let json = text(&batch, row);
        assert!(serde_json::from_str::<&serde_json::value::RawValue>(&json).is_ok(), "{json}");
    });
    assert_eq!(visited, RECORDS.len() + effects.emitted());
});
