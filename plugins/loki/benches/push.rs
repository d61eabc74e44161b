//! Encoding of push requests: about a megabyte of text lines of 150 bytes per iteration.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use suiro_loki::{Encoding, Settings};
use suiro_sdk::Delivery;
use suiro_sdk::http::Buffers;
use suiro_sdk::http::test_kit::{batch, delivery};
use suiro_sdk::settings::Section;

const RECORDS: usize = 7000;

fn text() -> Delivery {
    let lines: Vec<String> = (0..RECORDS)
        .map(|n| {
            format!(
                "10.0.{}.{} - - [22/Nov/2026:16:29:{:02} +0000] \"GET /api/v1/orders/{n} HTTP/1.1\" 200 {} \
                 \"https://example.com/cart\" \"Mozilla/5.0 (X11; Linux x86_64)\"",
                n % 7,
                n % 251,
                n % 60,
                n * 37 % 9000
            )
        })
        .collect();
    delivery(vec![batch(&lines, 1_795_364_943_000_000_000)])
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
    delivery(vec![batch(&lines, 1_795_364_943_000_000_000)])
}

fn encoding(text: &str) -> Encoding {
    let (section, diagnostics) = Section::from_text("[[output]] loki", &format!("url = 'http://h'\n{text}"));
    match Settings::read(&section) {
        Ok(settings) => Encoding::new(settings),
        Err(_) => panic!("{}", diagnostics.render(false)),
    }
}

fn push(c: &mut Criterion) {
    let mut group = c.benchmark_group("push");
    group.throughput(Throughput::Elements(RECORDS as u64));
    for (name, settings, delivery) in [
        ("text, one stream", "labels = { job = 'app' }", text()),
        ("text, one stream, json", "labels = { job = 'app' }\nformat = 'json'", text()),
        ("json, one stream", "labels = { job = 'app' }", json()),
        ("json, level as label", "labels = { job = 'app', level = '{level}' }", json()),
        (
            "json, level as label, trace_id as metadata",
            "labels = { job = 'app', level = '{level}' }\nstructured_metadata = { trace_id = '{trace_id}' }",
            json(),
        ),
    ] {
        let encoding = encoding(settings);
        let buffers = Buffers::default();
        group.bench_function(name, |b| {
            b.iter(|| {
                encoding.encode(&delivery, &buffers, |body| {
                    black_box(body);
                });
            });
        });
    }
    // What can't be saved: snappy, over the same bytes in one piece.
    let plain: Vec<u8> = text().parts[0].batch.heap().to_vec();
    let mut snappy = snap::raw::Encoder::new();
    let mut packed = vec![0; snap::raw::max_compress_len(plain.len())];
    group.bench_function("snappy alone, of the text", |b| {
        b.iter(|| black_box(snappy.compress(&plain, &mut packed)));
    });
    group.finish();
}

criterion_group!(benches, push);
criterion_main!(benches);
