//! What the filters of the common pipelines cost, per record: about 1,000 records of 250 bytes in a batch, parsed before
//! the clock runs.

use std::sync::Arc;
use std::time::Instant;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use suiro_filters::{choose, modify, multiline};
use suiro_record::{Batch, Row, Scope, Source};
use suiro_sdk::registry::BuildFilter;
use suiro_sdk::settings::Section;
use suiro_sdk::{Custody, Filter, FilterContext, Flow, Selection};

const RECORDS: usize = 1000;

fn filter(build: BuildFilter, settings: &str) -> Box<dyn Filter> {
    let (section, diagnostics) = Section::from_text("[[filter]]", settings);
    build(&section).unwrap_or_else(|_| panic!("{}", diagnostics.render(false))).instance()
}

fn batch(lines: &[String], json: bool) -> Batch {
    let scope = Arc::new(Scope::new(Arc::new(Source::new("bench".into(), 1))));
    let mut batch = Batch::new("t".into(), scope, 0);
    let mut at = 0;
    for line in lines {
        let start = batch.heap().len();
        batch.heap_mut().extend_from_slice(line.as_bytes());
        let span = start..batch.heap().len();
        batch.heap_mut().push(b'\n');
        let root = if json { batch.parse_json(span).expect("the lines are JSON") } else { batch.text_body(span) };
        let end = at + line.len() as u64 + 1;
        batch.rows.push(Row::new(root, 0, at, end));
        at = end;
    }
    batch
}

fn json_lines() -> Vec<String> {
    let line = |i: usize| {
        format!(
            r#"{{"time":"2025-10-10T13:55:{:02}.123Z","level":"{}","service":"checkout","trace":"4bf92f3577b34da6a3ce929d0e0e47{:02x}","http":{{"method":"GET","path":"/shop/item/{i}","status":200}},"duration_ms":{}.5,"user":"u{i}","message":"request served from the cache in the usual time"}}"#,
            i % 60,
            ["info", "debug", "warn"][i % 3],
            i % 256,
            i % 90,
        )
    };
    (0..RECORDS).map(line).collect()
}

fn trace_lines() -> Vec<String> {
    let line = |i: usize| match i % 10 {
        0 => format!("2025-10-10 13:55:36 ERROR shop.Order - order {i} failed"),
        1 => "java.lang.IllegalStateException: no such order".to_owned(),
        n => format!("\tat shop.Order.step{n}(Order.java:{i}) ~[app.jar:1.2]"),
    };
    (0..RECORDS).map(line).collect()
}

fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("filters");
    group.throughput(Throughput::Elements(RECORDS as u64));
    let every_third = Selection::Rows((0..RECORDS).map(|i| i % 3 == 1).collect());
    let (json, traces) = (batch(&json_lines(), true), batch(&trace_lines(), false));
    for (name, build, settings, source, rows) in [
        ("drop a third", choose::build_drop as BuildFilter, "when = 'x'", &json, &every_third),
        ("set", modify::build, "set = { env = 'production' }", &json, &Selection::All),
        ("set a template", modify::build, "set = { at = '{service}/{http.path}' }", &json, &Selection::All),
        ("remove", modify::build, "remove = ['user']", &json, &Selection::All),
        ("set and remove", modify::build, "set = { env = 'production' }\nremove = ['user']", &json, &Selection::All),
        ("multiline java", multiline::build, "pattern = 'java'", &traces, &Selection::All),
    ] {
        let mut filter = filter(build, settings);
        group.bench_function(name, |b| {
            b.iter_batched(
                || Flow { batch: source.clone(), custody: Custody::default() },
                |mut flow| {
                    let mut cx = FilterContext::new(Instant::now());
                    filter.apply(&mut flow, rows, &mut cx);
                    filter.flush(&mut cx);
                    (flow, cx)
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
