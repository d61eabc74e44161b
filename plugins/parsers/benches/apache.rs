//! The built-in parser beside a loop around the `regex` crate over the same lines, both in one run. Throughput is of the
//! text of the lines.
//!
//! - `split`: lines to records in a batch, as an input does it.
//! - `regex parser`: the parser `regex` with the same fields.
//! - `regex loop`: nothing but `captures_read` line by line, building nothing: what any agent around that crate pays at
//!   least.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use suiro_parsers::apache::Apache;
use suiro_record::{Batch, Scope, Source};
use suiro_sdk::Parser;
use suiro_sdk::settings::Section;

/// As fast as that crate gets at these lines: no alternation, no Unicode, one pass.
const PATTERN: &str = r#"^(?<host>[^ ]+) (?<ident>[^ ]+) (?<user>[^ ]+) \[(?<time>[^\]]+)\] "(?<method>[^ "]+) (?<path>[^ "]+) (?<protocol>[^ "]+)" (?<status>[0-9]+) (?<size>[^ ]+) "(?<referer>[^"]*)" "(?<agent>[^"]*)"$"#;

/// About a megabyte of lines that differ in every field.
fn lines() -> Vec<String> {
    const AGENTS: [&str; 3] = [
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
        "curl/8.5.0",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
    ];
    (0..5000)
        .map(|i| {
            let user = if i % 5 == 0 { "alice" } else { "-" };
            let referer = if i % 3 == 0 { "-" } else { "https://www.example.com/search?q=shoes" };
            format!(
                "203.0.{}.{} - {user} [10/Oct/2025:13:{:02}:{:02} +0000] \"GET /shop/item/{i}?ref=start HTTP/1.1\" {} {} \"{referer}\" \"{}\"",
                i % 250, i % 199, i / 60 % 60, i % 60, [200, 304, 404][i % 3], i * 37 % 90_000, AGENTS[i % 3],
            )
        })
        .collect()
}

fn batch(lines: &[String]) -> Batch {
    let scope = Arc::new(Scope::new(Arc::new(Source::new("bench".into(), 1))));
    let mut batch = Batch::new("t".into(), scope, 0);
    lines.iter().for_each(|line| batch.heap_mut().extend_from_slice(line.as_bytes()));
    batch
}

fn parse_all(parser: &dyn Parser, batch: &mut Batch, lines: &[String]) {
    let mut at = 0;
    for line in lines {
        let end = at + line.len();
        black_box(parser.parse(batch, at..end).expect("the lines match"));
        at = end;
    }
}

fn bench(c: &mut Criterion) {
    let lines = lines();
    let bytes: usize = lines.iter().map(String::len).sum();
    let mut group = c.benchmark_group("apache_combined");
    group.throughput(Throughput::Bytes(bytes as u64));

    let mut filled = batch(&lines);
    let scope = filled.scopes()[0].clone();
    let mut run = |name: &str, parser: &dyn Parser| {
        group.bench_function(name, |b| {
            b.iter(|| {
                // The memory goes round, as it does through the pool.
                filled.reset("t".into(), scope.clone(), 0);
                lines.iter().for_each(|line| filled.heap_mut().extend_from_slice(line.as_bytes()));
                parse_all(parser, &mut filled, &lines);
            });
        });
    };
    run("split", &Apache::default());
    let (section, _) = Section::from_text("parser", &format!("pattern = '''{PATTERN}'''"));
    let regex = suiro_parsers::regex::build(&section).expect("the pattern is one");
    run("regex parser", &*regex);

    let regex = regex::bytes::Regex::new(&format!("(?-u){PATTERN}")).expect("the pattern is one");
    let mut locations = regex.capture_locations();
    group.bench_function("regex loop", |b| {
        b.iter(|| {
            for line in &lines {
                black_box(regex.captures_read(&mut locations, line.as_bytes()).expect("the lines match"));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
