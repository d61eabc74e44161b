//! What a batch costs: criterion for the single steps, then the race of whole jobs against a `serde_json::Value` tree
//! ([`ratio`]), printed at the end.
//!
//! `cargo bench -p suiro-record`; `cargo bench -p suiro-record -- --ratio` for the race alone.

mod corpus;
mod job;
mod ratio;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use suiro_record::Path;

const CHUNK: usize = 256 << 10;

fn steps(c: &mut Criterion) {
    let text = corpus::lines(CHUNK);
    let paths = job::Paths::new();
    let mut parsed = job::empty();
    job::parse(&mut parsed, &text);
    let tree = job::tree_parse(&text);
    let mut out = Vec::new();

    let mut group = c.benchmark_group("parse");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("batch", |b| {
        let mut batch = job::empty();
        b.iter(|| job::parse(&mut batch, &text));
    });
    group.bench_function("tree", |b| b.iter(|| black_box(job::tree_parse(&text)).len()));
    group.finish();

    let mut group = c.benchmark_group("look-up");
    group.throughput(Throughput::Elements(parsed.len() as u64));
    for (name, path) in [("top", "trace_id"), ("nested", "http.status"), ("absent", "no.such.field")] {
        let path = Path::parse(path).expect("a path");
        group.bench_function(name, |b| {
            b.iter(|| {
                let path = parsed.resolve(&path);
                parsed.rows.iter().filter(|row| parsed.get(row, &path).is_some()).count()
            });
        });
    }
    group.bench_function("nested, tree", |b| {
        b.iter(|| tree.iter().filter(|v| v.get("http").and_then(|h| h.get("status")).is_some()).count());
    });
    group.finish();

    let mut group = c.benchmark_group("edit");
    group.throughput(Throughput::Elements(parsed.len() as u64));
    group.bench_function("set, remove nested, read", |b| {
        b.iter_batched_ref(|| parsed.clone(), |batch| job::edit(batch, &paths), BatchSize::LargeInput);
    });
    group.bench_function("rename", |b| {
        let (from, to) = (Path::key("host"), Path::key("hostname"));
        let rename = |batch: &mut suiro_record::Batch| {
            (0..batch.len()).filter(|&row| batch.rename(row, &from, &to).is_ok_and(|moved| moved)).count()
        };
        b.iter_batched_ref(|| parsed.clone(), rename, BatchSize::LargeInput);
    });
    group.finish();

    let mut edited = parsed.clone();
    job::edit(&mut edited, &paths);
    let mut group = c.benchmark_group("encode");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("untouched", |b| b.iter(|| job::encode(&parsed, &mut out)));
    group.bench_function("edited", |b| b.iter(|| job::encode(&edited, &mut out)));
    group.bench_function("tree", |b| b.iter(|| job::tree_encode(&tree, &mut out)));
    group.finish();

    let mut group = c.benchmark_group("clone");
    group.throughput(Throughput::Elements(parsed.len() as u64));
    group.bench_function("batch", |b| b.iter(|| black_box(parsed.clone()).len()));
    group.bench_function("tree", |b| b.iter(|| black_box(tree.clone()).len()));
    group.bench_function("compact", |b| {
        let thinned = || {
            let mut batch = parsed.clone();
            let mut i = 0;
            batch.rows.retain(|_| {
                i += 1;
                i % 4 == 0
            });
            batch
        };
        b.iter_batched_ref(thinned, |batch| batch.compact(), BatchSize::LargeInput);
    });
    group.finish();
}

fn main() {
    if !std::env::args().any(|arg| arg == "--ratio") {
        let mut criterion = Criterion::default().configure_from_args();
        steps(&mut criterion);
        criterion.final_summary();
    }
    // `cargo test --benches` only wants to know that it runs.
    if !std::env::args().any(|arg| arg == "--test" || arg == "--list") {
        ratio::run();
    }
}
