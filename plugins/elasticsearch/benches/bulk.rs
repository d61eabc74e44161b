//! Encoding of `_bulk` bodies: about a megabyte of JSON lines of 250 bytes, parsed, per iteration.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use suiro_elasticsearch::{Encoder, Settings};
use suiro_sdk::Delivery;
use suiro_sdk::http::test_kit::{batch, delivery};
use suiro_sdk::record::{NewValue, Path, TimeKind};
use suiro_sdk::settings::Section;

const RECORDS: usize = 4000;

fn lines() -> Vec<String> {
    (0..RECORDS)
        .map(|n| {
            format!(
                "{{\"ts\":\"2026-11-22T16:29:03.{:03}Z\",\"level\":\"info\",\"service\":\"checkout\",\"host\":\"node-{}\",\
                 \"trace_id\":\"{n:032x}\",\"http\":{{\"method\":\"GET\",\"path\":\"/api/v1/orders/{n}\",\"status\":200}},\
                 \"duration_ms\":{}.5,\"message\":\"request handled\"}}",
                n % 1000,
                n % 7,
                n % 300
            )
        })
        .collect()
}

/// Records with times of their own, as a parser gives them, or the one they were read at.
fn records(own_times: bool) -> Delivery {
    let mut batch = batch(&lines(), 1_795_364_943_000_000_000);
    if own_times {
        for (n, row) in batch.rows.iter_mut().enumerate() {
            row.time += n as i64 * 1_000_000;
            row.time_kind = TimeKind::Own;
        }
    }
    delivery(vec![batch])
}

/// As a filter leaves them: one field set, one removed.
fn edited() -> Delivery {
    let mut batch = batch(&lines(), 1_795_364_943_000_000_000);
    let (env, host) = (Path::key("env"), Path::key("host"));
    for row in 0..batch.rows.len() {
        let _ = batch.set(row, &env, NewValue::Str("production"));
        let host = batch.resolve(&host);
        batch.remove(row, &host);
    }
    delivery(vec![batch])
}

fn encoder(text: &str) -> Encoder {
    let (section, diagnostics) = Section::from_text("[[output]] es", &format!("url = 'http://h'\n{text}"));
    match Settings::read(&section) {
        Ok(settings) => Encoder::new(settings.index, settings.action, settings.id),
        Err(_) => panic!("{}", diagnostics.render(false)),
    }
}

fn bulk(c: &mut Criterion) {
    let mut group = c.benchmark_group("bulk");
    group.throughput(Throughput::Elements(RECORDS as u64));
    for (name, settings, delivery) in [
        ("read time", "index = 'app'", records(false)),
        ("origin, read time", "index = 'app'\nid = 'origin'", records(false)),
        ("origin, own time", "index = 'app'\nid = 'origin'", records(true)),
        ("origin, own time, dated index", "index = 'app-{@time:%Y.%m.%d}'\nid = 'origin'", records(true)),
        ("origin, own time, index of a field", "index = 'app-{service}'\nid = 'origin'", records(true)),
        ("origin, edited", "index = 'app'\nid = 'origin'", edited()),
    ] {
        let encoder = encoder(settings);
        let mut body = Vec::new();
        group.bench_function(name, |b| {
            b.iter(|| {
                body.clear();
                black_box(encoder.encode(&delivery, &mut body));
            });
        });
    }
    // What can't be saved: the bytes themselves.
    let (delivery, mut body) = (records(true), Vec::new());
    encoder("index = 'app'\nid = 'origin'").encode(&delivery, &mut body);
    let mut copy = Vec::with_capacity(body.len());
    group.bench_function("a copy of the body", |b| {
        b.iter(|| {
            copy.clear();
            copy.extend_from_slice(black_box(&body));
            black_box(&copy);
        });
    });
    group.finish();
}

criterion_group!(benches, bulk);
criterion_main!(benches);
