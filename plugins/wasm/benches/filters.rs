//! What the project's own filters cost, per record: `redact` and its twin in C, as they are committed, over 1,000 records
//! of 350 bytes in a batch, parsed before the clock runs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use suiro_record::{Batch, Row, Scope, Source, Value};
use suiro_sdk::Metrics;
use suiro_wasm::{Allowance, Bounds, Format, Instance, Load, Metering, Sandbox, Surroundings, Wanted};

const RECORDS: usize = 1000;

/// Records of which one in `each` says an e-mail address and a token; with `escapes` all have an escape in a text.
fn batch(each: usize, escapes: bool) -> Batch {
    let scope = Arc::new(Scope::new(Arc::new(Source::new("bench".into(), 1))));
    let mut batch = Batch::new("t".into(), scope, 0);
    for i in 0..RECORDS {
        let text = if i % each == 0 {
            "mail of jane@example.com, Bearer abcd1234efgh"
        } else {
            "served from the cache in the usual time now"
        };
        let line = format!(
            r#"{{"time":"2025-10-10T13:55:{:02}.123Z","level":"{}","service":"checkout","trace":"4bf92f3577b34da6a3ce929d0e0e47{:02x}","http":{{"method":"GET","path":"/shop/item/{i}","status":200,"agent":"Mozilla/5.0 (X11; Linux x86_64)"}},"duration_ms":{}.5,"user":"u{i}","message":"request{} {text}, nothing else to say"}}"#,
            i % 60,
            ["info", "debug", "warn"][i % 3],
            i % 256,
            i % 90,
            if escapes { "\\n" } else { "" },
        );
        let from = batch.heap().len();
        batch.heap_mut().extend_from_slice(line.as_bytes());
        let root = batch.parse_json(from..from + line.len()).expect("it is JSON");
        batch.rows.push(Row::new(root, 0, from as u64, (from + line.len()) as u64));
    }
    batch
}

fn bench(c: &mut Criterion) {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wasm-filters/dist");
    let mut group = c.benchmark_group("filters");
    group.throughput(Throughput::Elements(RECORDS as u64));
    let sources = [
        ("nothing to hide", batch(usize::MAX, false)),
        ("nothing to hide, escapes", batch(usize::MAX, true)),
        ("one in ten", batch(10, false)),
        ("all", batch(1, false)),
    ];
    for module in ["redact", "redact-c"] {
        let load = Load { path: dist.join(format!("{module}.wasm")), wanted: Wanted::default() };
        let program =
            Arc::new(load.check().and_then(|checked| checked.compile(Metering::Time, None)).expect("it loads"));
        for (name, source) in &sources {
            let around =
                Surroundings::new("bench".into(), &Value::Object(vec![]), Arc::new(Metrics::default()), |_, _| {});
            let sandbox = Sandbox { memory: 64 << 20, bounds: Bounds::default(), format: Format::Json };
            let mut instance = Instance::new(&program, &Arc::new(around), &sandbox).expect("it starts");
            let allowance = Allowance { time: Duration::from_secs(1), fuel: 0 };
            group.bench_function(format!("{module}, {name}"), |b| {
                b.iter_batched_ref(
                    || source.clone(),
                    |batch| instance.call(batch, allowance).expect("it works"),
                    BatchSize::SmallInput,
                );
            });
        }
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
