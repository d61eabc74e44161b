//! What a call of a guest costs, per record: 1,000 records of some 350 bytes in a batch, parsed before the clock runs. The
//! guests are written in the text format, so that what is measured is the agent's side.

use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use suiro_record::{Batch, Row, Scope, Source, Value};
use suiro_sdk::Metrics;
use suiro_wasm::{Allowance, Bounds, Format, Instance, Load, Metering, Sandbox, Surroundings, Wanted};

const RECORDS: usize = 1000;

/// The parts all guests have; `$record` is called for each record.
fn guest(record: &str) -> String {
    format!(
        r#"(module
          (import "suiro_v1" "field" (func $field (param i32 i32) (result i32)))
          (import "suiro_v1" "get" (func $get (param i32 i32 i32 i32) (result i32)))
          (import "suiro_v1" "set_str" (func $set_str (param i32 i32 i32 i32) (result i32)))
          (import "suiro_v1" "set_i64" (func $set_i64 (param i32 i32 i64) (result i32)))
          (import "suiro_v1" "each" (func $each (param i32 i32) (result i32)))
          (import "suiro_v1" "next" (func $next (param i32 i32) (result i32)))
          (import "suiro_v1" "drop" (func $drop (param i32) (result i32)))
          (memory (export "memory") 1)
          (data (i32.const 0) "level\00\00\00marked")
          (global $level (mut i32) (i32.const 0))
          (global $marked (mut i32) (i32.const 0))
          (func (export "suiro_version") (result i32) (i32.const 1))
          (func (export "init") (result i32)
            (global.set $level (call $field (i32.const 0) (i32.const 5)))
            (global.set $marked (call $field (i32.const 8) (i32.const 6)))
            (i32.const 0))
          (func (export "process") (param $count i32) (local $rec i32)
            (block $done (loop $next_record
              (br_if $done (i32.ge_u (local.get $rec) (local.get $count)))
              (call $record (local.get $rec))
              (local.set $rec (i32.add (local.get $rec) (i32.const 1)))
              (br $next_record))))
          {record})"#
    )
}

fn batch() -> Batch {
    let scope = Arc::new(Scope::new(Arc::new(Source::new("bench".into(), 1))));
    let mut batch = Batch::new("t".into(), scope, 0);
    for i in 0..RECORDS {
        let line = format!(
            r#"{{"time":"2025-10-10T13:55:{:02}.123Z","level":"{}","service":"checkout","trace":"4bf92f3577b34da6a3ce929d0e0e47{:02x}","http":{{"method":"GET","path":"/shop/item/{i}","status":200,"agent":"Mozilla/5.0 (X11; Linux x86_64)"}},"duration_ms":{}.5,"user":"u{i}","message":"request served from the cache in the usual time, nothing else to say"}}"#,
            i % 60,
            ["info", "debug", "warn"][i % 3],
            i % 256,
            i % 90,
        );
        let from = batch.heap().len();
        batch.heap_mut().extend_from_slice(line.as_bytes());
        let root = batch.parse_json(from..from + line.len()).expect("it is JSON");
        batch.rows.push(Row::new(root, 0, from as u64, (from + line.len()) as u64));
    }
    batch
}

fn bench(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut group = c.benchmark_group("wasm");
    group.throughput(Throughput::Elements(RECORDS as u64));
    let source = batch();
    for (name, record) in [
        ("nothing", "(func $record (param i32))"),
        (
            "read a field and keep",
            "(func $record (param $rec i32)
               (drop (call $get (local.get $rec) (global.get $level) (i32.const 256) (i32.const 64))))",
        ),
        (
            "read a field and drop a third",
            "(func $record (param $rec i32)
               (drop (call $get (local.get $rec) (global.get $level) (i32.const 256) (i32.const 64)))
               (if (i32.eq (i32.load8_u (i32.const 256)) (i32.const 100))
                 (then (drop (call $drop (local.get $rec))))))",
        ),
        (
            "read a field and set one",
            "(func $record (param $rec i32)
               (drop (call $get (local.get $rec) (global.get $level) (i32.const 256) (i32.const 64)))
               (drop (call $set_i64 (local.get $rec) (global.get $marked) (i64.const 1))))",
        ),
        (
            "look at every text",
            "(func $record (param $rec i32) (local $len i32)
               (drop (call $each (local.get $rec) (i32.const 16)))
               (block $done (loop $more
                 (br_if $done (i32.lt_s (call $next (i32.const 256) (i32.const 4096)) (i32.const 0)))
                 (br $more))))",
        ),
        (
            "rewrite every text",
            "(func $record (param $rec i32) (local $len i32)
               (drop (call $each (local.get $rec) (i32.const 16)))
               (block $done (loop $more
                 (local.set $len (call $next (i32.const 256) (i32.const 4096)))
                 (br_if $done (i32.lt_s (local.get $len) (i32.const 0)))
                 (drop (call $set_str (local.get $rec) (i32.const 0x7fffffff) (i32.const 256) (local.get $len)))
                 (br $more))))",
        ),
    ] {
        let path = folder.path().join("guest.wasm");
        std::fs::write(&path, wat::parse_str(guest(record)).expect("the guests are sound"))
            .expect("the folder takes it");
        let load = Load { path, wanted: Wanted::default() };
        let program =
            Arc::new(load.check().and_then(|checked| checked.compile(Metering::Time, None)).expect("it loads"));
        let around = Surroundings::new("bench".into(), &Value::Object(vec![]), Arc::new(Metrics::default()), |_, _| {});
        let sandbox = Sandbox { memory: 64 << 20, bounds: Bounds::default(), format: Format::Json };
        let mut instance = Instance::new(&program, &Arc::new(around), &sandbox).expect("it starts");
        let allowance = Allowance { time: Duration::from_secs(1), fuel: 0 };
        group.bench_function(name, |b| {
            b.iter_batched_ref(
                || source.clone(),
                |batch| instance.call(batch, allowance).expect("it works"),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
