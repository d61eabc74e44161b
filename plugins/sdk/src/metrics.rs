//! Metrics that plugins keep beside the ledger, for `/metrics`.
//!
//! A plugin asks for a series once and gets a handle: adding to it is one atomic operation. Families are named here, by
//! whoever asks first; a series is its family and its labels, and asking twice gives the same one. The name of a family is
//! `suiro_<plugin>_<what>[_total]`, as in the ledger's own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// All series of all plugins.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<BTreeMap<&'static str, Family>>);

#[derive(Debug)]
struct Family {
    help: &'static str,
    kind: Kind,
    series: BTreeMap<Labels, Series>,
}

/// One number; of a histogram, one per bucket and the sum behind them.
type Series = Arc<[AtomicU64]>;

/// What a series' numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    /// The bits of a float.
    Gauge,
    /// Times by bucket, and the nanoseconds of all.
    Histogram,
}

type Labels = Vec<(&'static str, String)>;

/// Upper bounds of a histogram's buckets, nanoseconds; the last bucket has none.
const BUCKETS: [u64; 12] = {
    const US: u64 = 1000;
    const MS: u64 = 1000 * US;
    [10 * US, 30 * US, 100 * US, 300 * US, MS, 3 * MS, 10 * MS, 30 * MS, 100 * MS, 300 * MS, 1000 * MS, 10_000 * MS]
};
/// Where a histogram's sum stands.
const SUM: usize = BUCKETS.len() + 1;

/// What only grows.
#[derive(Clone, Debug)]
pub struct Counter(Series);

/// What goes up and down.
#[derive(Clone, Debug)]
pub struct Gauge(Series);

/// How long something took, each time.
#[derive(Clone, Debug)]
pub struct Histogram(Series);

// === impl Metrics ===

impl Metrics {
    /// A counter.
    pub fn counter(&self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)]) -> Counter {
        Counter(self.series(name, help, Kind::Counter, labels))
    }

    /// A gauge, 0 until it is set.
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)]) -> Gauge {
        Gauge(self.series(name, help, Kind::Gauge, labels))
    }

    /// A histogram of times.
    pub fn histogram(&self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)]) -> Histogram {
        Histogram(self.series(name, help, Kind::Histogram, labels))
    }

    fn series(&self, name: &'static str, help: &'static str, kind: Kind, labels: &[(&'static str, &str)]) -> Series {
        let labels: Labels = labels.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        let mut families = self.families();
        let family = families.entry(name).or_insert_with(|| Family { help, kind, series: BTreeMap::new() });
        debug_assert_eq!(family.kind, kind, "`{name}` is asked for as two kinds of metric");
        let numbers = if kind == Kind::Histogram { SUM + 1 } else { 1 };
        let empty = || (0..numbers).map(|_| AtomicU64::new(0)).collect();
        family.series.entry(labels).or_insert_with(empty).clone()
    }

    /// Appends all series as Prometheus text (exposition format 0.0.4).
    pub fn render(&self, out: &mut String) {
        for (name, family) in &*self.families() {
            let kind = match family.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            // Writing to a `String` does not fail.
            let _ = writeln!(out, "# HELP {name} {}\n# TYPE {name} {kind}", family.help);
            for (labels, numbers) in &family.series {
                let labels: Vec<String> =
                    labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escape_label(value))).collect();
                let labels = labels.join(",");
                let bits = numbers[0].load(Relaxed);
                let _ = match family.kind {
                    Kind::Counter => writeln!(out, "{name}{{{labels}}} {bits}"),
                    Kind::Gauge => writeln!(out, "{name}{{{labels}}} {}", f64::from_bits(bits)),
                    Kind::Histogram => render_histogram(name, &labels, numbers, out),
                };
            }
        }
    }

    fn families(&self) -> MutexGuard<'_, BTreeMap<&'static str, Family>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn render_histogram(name: &str, labels: &str, numbers: &[AtomicU64], out: &mut String) -> std::fmt::Result {
    let comma = if labels.is_empty() { "" } else { "," };
    let mut count = 0;
    for (i, number) in numbers[..SUM].iter().enumerate() {
        count += number.load(Relaxed);
        match BUCKETS.get(i) {
            Some(&bound) => {
                writeln!(out, "{name}_bucket{{{labels}{comma}le=\"{}\"}} {count}", bound as f64 / 1e9)?;
            }
            None => writeln!(out, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {count}")?,
        }
    }
    let sum = numbers[SUM].load(Relaxed) as f64 / 1e9;
    writeln!(out, "{name}_sum{{{labels}}} {sum}\n{name}_count{{{labels}}} {count}")
}

/// The value of a label, as it stands between its quotes.
pub fn escape_label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

// === impl Counter ===

impl Counter {
    /// Adds.
    pub fn add(&self, n: u64) {
        self.0[0].fetch_add(n, Relaxed);
    }

    /// The sum.
    pub fn get(&self) -> u64 {
        self.0[0].load(Relaxed)
    }
}

// === impl Gauge ===

impl Gauge {
    /// Sets.
    pub fn set(&self, value: f64) {
        self.0[0].store(value.to_bits(), Relaxed);
    }

    /// The value.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0[0].load(Relaxed))
    }
}

// === impl Histogram ===

impl Histogram {
    /// Takes note of a time.
    pub fn observe(&self, time: Duration) {
        let time = nanoseconds(time);
        let bucket = BUCKETS.partition_point(|&bound| bound < time);
        self.0[bucket].fetch_add(1, Relaxed);
        self.0[SUM].fetch_add(time, Relaxed);
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_shown_by_family() {
        let metrics = Metrics::default();
        let counter = metrics.counter("b_total", "Bees", &[("hive", "a\"b")]);
        counter.add(2);
        metrics.counter("b_total", "Bees", &[("hive", "a\"b")]).add(3);
        let gauge = metrics.gauge("a", "Level", &[("x", "y"), ("z", "\n")]);
        gauge.set(-0.5);
        let mut text = String::new();
        metrics.render(&mut text);
        let want = "# HELP a Level\n# TYPE a gauge\na{x=\"y\",z=\"\\n\"} -0.5\n\
                    # HELP b_total Bees\n# TYPE b_total counter\nb_total{hive=\"a\\\"b\"} 5\n";
        assert_eq!((text.as_str(), counter.get(), gauge.get()), (want, 5, -0.5));
    }

    #[test]
    fn a_histogram_counts_up_to_each_bound() {
        let metrics = Metrics::default();
        let histogram = metrics.histogram("d_seconds", "Times", &[("x", "y")]);
        for micros in [1, 10, 11, 2_000, 20_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let mut text = String::new();
        metrics.render(&mut text);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..3],
            ["# HELP d_seconds Times", "# TYPE d_seconds histogram", "d_seconds_bucket{x=\"y\",le=\"0.00001\"} 2",]
        );
        for line in ["le=\"0.00003\"} 3", "le=\"0.001\"} 3", "le=\"0.003\"} 4", "le=\"10\"} 4", "le=\"+Inf\"} 5"] {
            let line = format!("d_seconds_bucket{{x=\"y\",{line}");
            assert!(lines.contains(&line.as_str()), "{line} in {text}");
        }
        assert_eq!(lines[lines.len() - 2..], ["d_seconds_sum{x=\"y\"} 20.002022", "d_seconds_count{x=\"y\"} 5"]);
        assert_eq!(lines.len(), 2 + BUCKETS.len() + 1 + 2);
    }
}
