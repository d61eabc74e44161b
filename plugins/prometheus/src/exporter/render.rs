//! The registry as text: format 0.0.4, or OpenMetrics 1.0.

use std::io::Write as _;

use super::registry::{Exemplar, Family, Measured, Registry, Series};
use crate::point::{Exponential, Histogram};
use crate::text::{Format, Type, write_bound, write_help, write_number};

/// What is written, and how.
struct Page<'o> {
    out: &'o mut Vec<u8>,
    open: bool,
    timestamps: bool,
}

/// Appends all families.
pub(crate) fn render(registry: &Registry, format: Format, timestamps: bool, out: &mut Vec<u8>) {
    let open = format == Format::OpenMetrics;
    let mut page = Page { out, open, timestamps };
    for (name, family) in &registry.families {
        page.family(registry, name, family);
    }
    if open {
        out.extend_from_slice(b"# EOF\n");
    }
}

impl Page<'_> {
    fn family(&mut self, registry: &Registry, name: &str, family: &Family) {
        let mut kind = family.kind;
        let mut told = name;
        if self.open {
            // There a family's name has no suffix, and two can't share one.
            let base = match kind {
                Type::Counter => name.strip_suffix("_total"),
                Type::Info => name.strip_suffix("_info"),
                _ => Some(name),
            };
            match base {
                Some(base) if base == name || !registry.families.contains_key(base) => told = base,
                _ => kind = Type::Unknown,
            }
        }
        let word = match (kind, self.open) {
            (Type::Counter, _) => "counter",
            (Type::Histogram, _) | (Type::GaugeHistogram, false) => "histogram",
            (Type::GaugeHistogram, true) => "gaugehistogram",
            (Type::Summary, _) => "summary",
            (Type::Info, true) => "info",
            (Type::StateSet, true) => "stateset",
            (Type::Unknown, true) => "unknown",
            (Type::Unknown, false) => "untyped",
            (Type::Gauge | Type::Info | Type::StateSet, _) => "gauge",
        };
        if !family.help.is_empty() {
            self.text(format_args!("# HELP {told} "));
            write_help(family.help.as_bytes(), self.open, self.out);
            self.out.push(b'\n');
        }
        self.text(format_args!("# TYPE {told} {word}\n"));
        let with_unit = |unit: &str| told.strip_suffix(unit).is_some_and(|head| head.ends_with('_'));
        if self.open && !family.unit.is_empty() && with_unit(&family.unit) && kind != Type::Info {
            self.text(format_args!("# UNIT {told} {}\n", family.unit));
        }
        let mut all: Vec<(&str, &Series)> = family.series.iter().map(|(labels, series)| (&**labels, series)).collect();
        all.sort_unstable_by_key(|(labels, _)| *labels);
        for (labels, series) in all {
            self.series(name, told, kind, labels, series);
        }
    }

    fn series(&mut self, name: &str, told: &str, kind: Type, labels: &str, series: &Series) {
        let last = series.exemplars.last();
        match &series.value {
            Measured::Number(value) => {
                let exemplar = last.filter(|_| kind == Type::Counter);
                self.sample(name, "", labels, None, *value, series, exemplar);
            }
            Measured::Histogram(histogram) => self.histogram(name, kind, labels, series, &steps(histogram)),
            Measured::Exponential(histogram) => {
                let (count, sum) = (histogram.count, histogram.sum);
                self.histogram(name, kind, labels, series, &(powers(histogram), count, sum));
            }
            Measured::Summary(summary) => {
                for &(quantile, value) in &summary.quantiles {
                    self.sample(name, "", labels, Some(("quantile", quantile)), value, series, None);
                }
                if let Some(sum) = summary.sum {
                    self.sample(name, "_sum", labels, None, sum, series, None);
                }
                if let Some(count) = summary.count {
                    self.sample(name, "_count", labels, None, count as f64, series, None);
                }
            }
        }
        if self.open && series.start > 0 && matches!(kind, Type::Counter | Type::Histogram | Type::Summary) {
            self.text(format_args!("{told}_created"));
            self.braces(labels, None);
            self.out.push(b' ');
            write_seconds(series.start, self.out);
            self.out.push(b'\n');
        }
    }

    fn histogram(&mut self, name: &str, kind: Type, labels: &str, series: &Series, steps: &Steps) {
        let (steps, count, sum) = steps;
        let gauge = kind == Type::GaugeHistogram && self.open;
        let mut low = f64::NEG_INFINITY;
        let last = [(f64::INFINITY, *count)];
        for &(bound, below) in steps.iter().chain(&last) {
            let exemplar = series.exemplars.iter().rev().find(|e| e.value > low && e.value <= bound);
            self.sample(name, "_bucket", labels, Some(("le", bound)), below as f64, series, exemplar);
            low = bound;
        }
        if let Some(sum) = sum {
            self.sample(name, if gauge { "_gsum" } else { "_sum" }, labels, None, *sum, series, None);
        }
        self.sample(name, if gauge { "_gcount" } else { "_count" }, labels, None, *count as f64, series, None);
    }

    #[expect(clippy::too_many_arguments, reason = "all of it is one line")]
    fn sample(
        &mut self,
        name: &str,
        suffix: &str,
        labels: &str,
        more: Option<(&str, f64)>,
        value: f64,
        series: &Series,
        exemplar: Option<&Exemplar>,
    ) {
        self.text(format_args!("{name}{suffix}"));
        self.braces(labels, more);
        self.out.push(b' ');
        write_number(value, self.out);
        if self.timestamps {
            self.out.push(b' ');
            if self.open {
                write_seconds(series.time, self.out);
            } else {
                self.text(format_args!("{}", series.time.div_euclid(1_000_000)));
            }
        }
        if let (true, Some(exemplar)) = (self.open, exemplar) {
            exemplar.write(self.out);
        }
        self.out.push(b'\n');
    }

    fn braces(&mut self, labels: &str, more: Option<(&str, f64)>) {
        if labels.is_empty() && more.is_none() {
            return;
        }
        self.out.push(b'{');
        self.out.extend_from_slice(labels.as_bytes());
        if let Some((name, value)) = more {
            let comma = if labels.is_empty() { "" } else { "," };
            self.text(format_args!("{comma}{name}=\""));
            write_bound(value, self.out);
            self.out.push(b'"');
        }
        self.out.push(b'}');
    }

    fn text(&mut self, text: std::fmt::Arguments<'_>) {
        // A vector takes everything.
        let _ = self.out.write_fmt(text);
    }
}

/// Bounds with how many are no higher; how many there are, and their sum.
type Steps = (Vec<(f64, u64)>, u64, Option<f64>);

fn steps(histogram: &Histogram) -> Steps {
    let mut below = 0_u64;
    let mut steps = Vec::with_capacity(histogram.bounds.len());
    for (bound, n) in histogram.bounds.iter().zip(&histogram.buckets) {
        below = below.saturating_add(*n);
        steps.push((*bound, below));
    }
    (steps, histogram.count.max(below), histogram.sum)
}

/// Bounds at the buckets that hold something. The text formats have no word for a native histogram.
fn powers(histogram: &Exponential) -> Vec<(f64, u64)> {
    let base = |index: i64| 2_f64.powf(index as f64 * 2_f64.powi(-histogram.scale));
    let mut steps: Vec<(f64, u64)> = Vec::new();
    let mut below = 0_u64;
    let negative = &histogram.negative;
    for (i, &n) in negative.buckets.iter().enumerate().rev().filter(|(_, n)| **n > 0) {
        below = below.saturating_add(n);
        steps.push((-base(i64::from(negative.offset) + i as i64), below));
    }
    if histogram.zero_count > 0 {
        below = below.saturating_add(histogram.zero_count);
        steps.push((histogram.zero_threshold.max(0.0), below));
    }
    let positive = &histogram.positive;
    for (i, &n) in positive.buckets.iter().enumerate().filter(|(_, n)| **n > 0) {
        below = below.saturating_add(n);
        steps.push((base(i64::from(positive.offset) + i as i64 + 1), below));
    }
    // Bounds beyond all floats are the last bucket's; two that round to one are one.
    steps.retain(|(bound, _)| bound.is_finite());
    steps.dedup_by(|later, first| {
        let same = later.0 <= first.0;
        if same {
            first.1 = later.1;
        }
        same
    });
    steps
}

/// Seconds with as many digits of their fraction as there are.
pub(crate) fn write_seconds(nanos: i64, out: &mut Vec<u8>) {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    let mut text = format!("{sign}{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    out.extend_from_slice(text.as_bytes());
}
