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
    series: BTreeMap<Labels, Arc<AtomicU64>>,
}

/// How a series' 64 bits are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    /// Nanoseconds, shown as seconds.
    Seconds,
    /// The bits of a float.
    Gauge,
}

type Labels = Vec<(&'static str, String)>;

/// What only grows.
#[derive(Clone, Debug)]
pub struct Counter(Arc<AtomicU64>);

/// Time that only grows.
#[derive(Clone, Debug)]
pub struct Seconds(Arc<AtomicU64>);

/// What goes up and down.
#[derive(Clone, Debug)]
pub struct Gauge(Arc<AtomicU64>);

// === impl Metrics ===

impl Metrics {
    /// A counter.
    pub fn counter(&self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)]) -> Counter {
        Counter(self.series(name, help, Kind::Counter, labels))
    }

    /// A sum of times.
    pub fn seconds(&self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)]) -> Seconds {
        Seconds(self.series(name, help, Kind::Seconds, labels))
    }

    /// A gauge, 0 until it is set.
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)]) -> Gauge {
        Gauge(self.series(name, help, Kind::Gauge, labels))
    }

    fn series(
        &self,
        name: &'static str,
        help: &'static str,
        kind: Kind,
        labels: &[(&'static str, &str)],
    ) -> Arc<AtomicU64> {
        let labels: Labels = labels.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        let mut families = self.families();
        let family = families.entry(name).or_insert_with(|| Family { help, kind, series: BTreeMap::new() });
        debug_assert_eq!(family.kind, kind, "`{name}` is asked for as two kinds of metric");
        family.series.entry(labels).or_default().clone()
    }

    /// Appends all series as Prometheus text (exposition format 0.0.4).
    pub fn render(&self, out: &mut String) {
        for (name, family) in &*self.families() {
            let kind = if family.kind == Kind::Gauge { "gauge" } else { "counter" };
            // Writing to a `String` does not fail.
            let _ = writeln!(out, "# HELP {name} {}\n# TYPE {name} {kind}", family.help);
            for (labels, value) in &family.series {
                let labels: Vec<String> =
                    labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escape_label(value))).collect();
                let labels = labels.join(",");
                let bits = value.load(Relaxed);
                let _ = match family.kind {
                    Kind::Counter => writeln!(out, "{name}{{{labels}}} {bits}"),
                    Kind::Seconds => writeln!(out, "{name}{{{labels}}} {}", bits as f64 / 1e9),
                    Kind::Gauge => writeln!(out, "{name}{{{labels}}} {}", f64::from_bits(bits)),
                };
            }
        }
    }

    fn families(&self) -> MutexGuard<'_, BTreeMap<&'static str, Family>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The value of a label, as it stands between its quotes.
pub fn escape_label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

// === impl Counter ===

impl Counter {
    /// Adds.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// The sum.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

// === impl Seconds ===

impl Seconds {
    /// Adds.
    pub fn add(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }
}

// === impl Gauge ===

impl Gauge {
    /// Sets.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }

    /// The value.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
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
        metrics.seconds("c_seconds_total", "Time", &[]).add(Duration::from_millis(1500));
        let gauge = metrics.gauge("a", "Level", &[("x", "y"), ("z", "\n")]);
        gauge.set(-0.5);
        let mut text = String::new();
        metrics.render(&mut text);
        let want = "# HELP a Level\n# TYPE a gauge\na{x=\"y\",z=\"\\n\"} -0.5\n\
                    # HELP b_total Bees\n# TYPE b_total counter\nb_total{hive=\"a\\\"b\"} 5\n\
                    # HELP c_seconds_total Time\n# TYPE c_seconds_total counter\nc_seconds_total{} 1.5\n";
        assert_eq!((text.as_str(), counter.get(), gauge.get()), (want, 5, -0.5));
    }
}
