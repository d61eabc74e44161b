//! Reading of scrapes: 100,000 series each.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use suiro_prometheus::text::{Format, Options, TextParser};
use suiro_sdk::Pool;
use suiro_sdk::record::{Scope, Source};

const SERIES: usize = 100_000;

/// What an exporter of a busy cluster looks like: families of 500 series with four labels, some without any.
fn plain() -> String {
    let mut body = String::new();
    for n in 0..SERIES {
        let family = n / 500;
        if n % 500 == 0 {
            body += &format!(
                "# HELP container_memory_usage_bytes_{family} Current memory usage, caches included, in bytes.\n\
                 # TYPE container_memory_usage_bytes_{family} gauge\n"
            );
        }
        body += &format!(
            "container_memory_usage_bytes_{family}{{namespace=\"team-{}\",pod=\"checkout-7d9f8b6c5-x{n:05}\",\
             container=\"server\",image=\"registry.example.com/checkout:1.{}\"}} {}\n",
            n % 17,
            n % 9,
            n * 4096
        );
    }
    body
}

/// Histograms: 10 buckets, a sum and a count.
fn histograms() -> String {
    let mut body = String::new();
    for n in 0..SERIES / 12 {
        if n % 100 == 0 {
            let family = n / 100;
            body += &format!(
                "# HELP http_request_duration_seconds_{family} How long requests took.\n\
                 # TYPE http_request_duration_seconds_{family} histogram\n"
            );
        }
        let family = n / 100;
        let labels = format!("service=\"cart\",method=\"GET\",path=\"/api/v1/orders/{n}\",code=\"200\"");
        for (i, le) in ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf"].iter().enumerate() {
            body += &format!("http_request_duration_seconds_{family}_bucket{{{labels},le=\"{le}\"}} {}\n", n * (i + 1));
        }
        body += &format!(
            "http_request_duration_seconds_{family}_sum{{{labels}}} {}.53\n\
             http_request_duration_seconds_{family}_count{{{labels}}} {}\n",
            n * 3,
            n * 10
        );
    }
    body
}

fn parse(c: &mut Criterion) {
    let mut group = c.benchmark_group("scrape");
    group.sample_size(20);
    for (name, body) in [("gauges, 4 labels", plain()), ("histograms", histograms())] {
        group.throughput(Throughput::Bytes(body.len() as u64));
        let pool = Arc::new(Pool::default());
        let scope = Arc::new(Scope::new(Arc::new(Source::new("scrape".into(), 7))));
        let options = Options { format: Format::Text, time: 1, honor_timestamps: true, max_samples: 1_000_000 };
        let mut parser = TextParser::default();
        group.bench_function(name, |b| {
            b.iter(|| {
                let report = parser.parse(
                    body.as_bytes(),
                    options,
                    None,
                    || pool.batch("t".into(), scope.clone(), 1),
                    |batch| pool.recycle(black_box(batch)),
                );
                assert_eq!(report.wrong, 0);
                report
            });
        });
    }
    group.finish();
}

criterion_group!(benches, parse);
criterion_main!(benches);
