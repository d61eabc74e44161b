//! Bodies of `PutLogEvents`: about a megabyte of records per iteration.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use suiro_aws::cloudwatch::logs::{Encoding, Settings};
use suiro_record::Signal;
use suiro_sdk::Delivery;
use suiro_sdk::http::Buffers;
use suiro_sdk::http::test_kit::{batch, delivery};
use suiro_sdk::settings::Section;

const RECORDS: usize = 7000;
const TIME: i64 = 1_795_364_943_000_000_000;

fn text() -> Delivery {
    let lines: Vec<String> = (0..RECORDS)
        .map(|n| {
            format!(
                "2026-11-22T16:29:{:02}.{:03}Z INFO  [worker-{:02}] checkout: GET /api/v1/orders/{n} finished in {} ms, \
                 request {n:032x}",
                n % 60,
                n % 1000,
                n % 16,
                n * 37 % 900
            )
        })
        .collect();
    delivery(vec![batch(&lines, TIME)])
}

fn json() -> Delivery {
    let lines: Vec<String> = (0..RECORDS)
        .map(|n| {
            let level = ["info", "info", "info", "warn", "debug"][n % 5];
            format!(
                "{{\"level\":\"{level}\",\"trace_id\":\"{n:032x}\",\"message\":\"order {n} handled\",\"user\":\"user-{}\",\
                 \"duration_ms\":{}.5}}",
                n % 97,
                n % 300
            )
        })
        .collect();
    delivery(vec![batch(&lines, TIME)])
}

fn points() -> Delivery {
    let lines: Vec<String> = (0..RECORDS)
        .map(|n| {
            format!(
                "{{\"name\":\"m{}\",\"kind\":\"gauge\",\"unit\":\"ms\",\"attributes\":{{\"path\":\"/p/{}\"}},\"value\":{}.5}}",
                n % 50,
                n / 50,
                n % 300
            )
        })
        .collect();
    let mut batch = batch(&lines, TIME);
    batch.signal = Signal::Metrics;
    batch.rows.iter_mut().for_each(|row| row.time = TIME);
    delivery(vec![batch])
}

fn encoding(text: &str) -> Encoding {
    let (section, diagnostics) =
        Section::from_text("[[output]] cloudwatch_logs", &format!("region = 'eu-central-1'\n{text}"));
    match Settings::read(&section) {
        Ok(settings) => Encoding::new(settings),
        Err(_) => panic!("{}", diagnostics.render(false)),
    }
}

fn put_log_events(c: &mut Criterion) {
    let mut group = c.benchmark_group("put_log_events");
    for (name, settings, delivery) in [
        ("text, one stream", "log_group = 'g'\nlog_stream = 's'", text()),
        ("json, one stream", "log_group = 'g'\nlog_stream = 's'", json()),
        ("json, one field", "log_group = 'g'\nlog_stream = 's'\nlog_key = 'message'", json()),
        ("json, a stream by level", "log_group = 'g'\nlog_stream = 's-{level}'", json()),
        ("points, emf", "log_group = 'g'\nlog_stream = 's'\nformat = 'emf'\nnamespace = 'N'", points()),
    ] {
        let encoding = encoding(settings);
        let buffers = Buffers::default();
        let source: usize = delivery.parts.iter().map(|part| part.batch.heap().len()).sum();
        group.throughput(Throughput::Bytes(source as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                encoding.encode(&delivery, &buffers, |body| {
                    black_box(body);
                });
            });
        });
    }
    group.finish();
}

criterion_group!(benches, put_log_events);
criterion_main!(benches);
