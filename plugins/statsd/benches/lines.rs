//! What a line costs: parsing alone, by `cargo bench -p suiro-statsd`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use suiro_statsd::parse::parse;

fn lines(c: &mut Criterion) {
    let lines: Vec<String> = (0..1000)
        .map(|i| match i % 4 {
            0 => format!("http.requests:{i}|c|@0.5|#service:checkout,route:/cart/{},method:GET", i % 7),
            1 => format!("http.latency:{i}.5:{i}|d|#service:checkout,route:/cart/{}", i % 7),
            2 => format!("queue.depth:{i}|g"),
            _ => format!("db.time:{i}|ms|#db:orders"),
        })
        .collect();
    let mut group = c.benchmark_group("statsd");
    group.throughput(Throughput::Elements(lines.len() as u64));
    group.bench_function("parse", |b| {
        b.iter(|| lines.iter().filter(|line| parse(black_box(line.as_bytes())).is_ok()).count());
    });
    group.finish();
}

criterion_group!(benches, lines);
criterion_main!(benches);
