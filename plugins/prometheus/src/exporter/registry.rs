//! The last point of each series, by metric family.
//!
//! Cumulative points replace what was there, delta points are added to it. A series that gets no point for `expire` is
//! forgotten, and so is one whose point says that it has no value any more. There are at most `max_series`; a point of one
//! more is refused.
//!
//! What a series costs in memory: its labels as text, and 150 bytes or so; a histogram 16 bytes a bucket more.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use crate::labels::{Pair, Shared};
use crate::name::{metric_name, unit_suffix};
use crate::point::{Data, Exponential, Histogram, Point, Summary};
use crate::text::{Type, write_label_value, write_number};

/// Exemplars kept for one series.
const MAX_EXEMPLARS: usize = 64;
/// The longest labels of an exemplar OpenMetrics allows, characters.
const MAX_EXEMPLAR_CHARS: usize = 128;

/// All families.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) families: BTreeMap<String, Family>,
    series: usize,
    max_series: usize,
    expire: Duration,
}

/// Series of one name.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) kind: Type,
    pub(crate) help: String,
    pub(crate) unit: String,
    /// By their labels as they are written between braces.
    pub(crate) series: HashMap<Box<str>, Series>,
}

#[derive(Debug)]
pub(crate) struct Series {
    seen: Instant,
    /// Nanoseconds since the epoch.
    pub(crate) time: i64,
    /// 0 if it is not known.
    pub(crate) start: i64,
    pub(crate) value: Measured,
    pub(crate) exemplars: Vec<Exemplar>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Measured {
    Number(f64),
    Histogram(Histogram),
    Exponential(Exponential),
    Summary(Summary),
}

#[derive(Clone, Debug)]
pub(crate) struct Exemplar {
    /// As they are written between braces.
    pub(crate) labels: Box<str>,
    pub(crate) value: f64,
    pub(crate) time: i64,
}

/// Why a point was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There are `max_series`.
    Limit,
    /// Another metric has that name.
    Collision,
}

// === impl Registry ===

impl Registry {
    pub(crate) fn new(max_series: usize, expire: Duration) -> Self {
        Registry { families: BTreeMap::new(), series: 0, max_series, expire }
    }

    /// How many series there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.series
    }

    /// Takes a point.
    pub(crate) fn take(&mut self, point: &Point<'_>, shared: &Shared, now: Instant) -> Result<(), Refused> {
        let name = metric_name(&point.name, &point.unit, point.kind);
        let labels = write_labels(&shared.labels(point), point.kind);
        if point.stale {
            self.forget(&name, &labels);
            return Ok(());
        }
        let value = match &point.data {
            Data::Nothing => return Ok(()),
            Data::Number(value) => Measured::Number(*value),
            Data::Histogram(histogram) => Measured::Histogram(histogram.clone()),
            Data::Exponential(histogram) => Measured::Exponential(histogram.clone()),
            Data::Summary(summary) => Measured::Summary(summary.clone()),
        };
        let exemplars = exemplars(point);
        let about = (point.kind, &*point.description, unit_suffix(&point.unit, point.kind));
        self.put(&name, about, labels, point.delta, (point.start, point.time), value, exemplars, now)
    }

    /// Takes what is known of a resource.
    pub(crate) fn take_target_info(&mut self, shared: &Shared, time: i64, now: Instant) -> Result<(), Refused> {
        if shared.target_info.is_empty() {
            return Ok(());
        }
        let labels: Vec<Pair<'_>> =
            shared.target_info.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect();
        let labels = write_labels(&labels, Type::Info);
        let about = (Type::Info, "Target metadata", String::new());
        self.put("target_info", about, labels, false, (0, time), Measured::Number(1.0), Vec::new(), now)
    }

    #[expect(clippy::too_many_arguments, reason = "all of it is one point")]
    fn put(
        &mut self,
        name: &str,
        (kind, help, unit): (Type, &str, String),
        labels: Box<str>,
        delta: bool,
        (start, time): (i64, i64),
        value: Measured,
        exemplars: Vec<Exemplar>,
        now: Instant,
    ) -> Result<(), Refused> {
        if self.families.get(name).is_none_or(|family| family.kind != kind) && self.collides(name, kind) {
            return Err(Refused::Collision);
        }
        let known = self.families.get_mut(name).and_then(|family| family.series.get_mut(&labels));
        if let Some(series) = known {
            series.seen = now;
            if delta {
                series.value.add(value);
                series.time = series.time.max(time);
            } else if time >= series.time {
                (series.value, series.time, series.start) = (value, time, start);
            } else {
                return Ok(());
            }
            if !exemplars.is_empty() {
                series.exemplars = exemplars;
            }
            return Ok(());
        }
        if self.series >= self.max_series {
            self.expire(now);
        }
        if self.series >= self.max_series {
            return Err(Refused::Limit);
        }
        let family = self.families.entry(name.to_owned()).or_insert_with(|| Family {
            kind,
            help: help.to_owned(),
            unit,
            series: HashMap::new(),
        });
        family.series.insert(labels, Series { seen: now, time, start, value, exemplars });
        self.series += 1;
        Ok(())
    }

    /// Whether samples of a new family would have the name of another one's.
    fn collides(&self, name: &str, kind: Type) -> bool {
        let is_of = |name: &str, suffix: &str| {
            let base = name.strip_suffix(suffix).and_then(|base| self.families.get(base));
            base.is_some_and(|family| parts(family.kind).contains(&suffix))
        };
        self.families.contains_key(name)
            || ["_bucket", "_sum", "_count"].into_iter().any(|suffix| is_of(name, suffix))
            || parts(kind).iter().any(|suffix| self.families.contains_key(&format!("{name}{suffix}")))
    }

    /// Forgets series that got no point for long.
    pub(crate) fn expire(&mut self, now: Instant) {
        let expire = self.expire;
        let mut left = 0;
        self.families.retain(|_, family| {
            family.series.retain(|_, series| now.saturating_duration_since(series.seen) < expire);
            left += family.series.len();
            !family.series.is_empty()
        });
        self.series = left;
    }

    fn forget(&mut self, name: &str, labels: &str) {
        let Some(family) = self.families.get_mut(name) else { return };
        if family.series.remove(labels).is_some() {
            self.series -= 1;
        }
        if family.series.is_empty() {
            self.families.remove(name);
        }
    }
}

/// What stands behind the name of a family in the names of its samples.
fn parts(kind: Type) -> &'static [&'static str] {
    match kind {
        Type::Histogram | Type::GaugeHistogram => &["_bucket", "_sum", "_count"],
        Type::Summary => &["_sum", "_count"],
        _ => &[],
    }
}

impl Measured {
    /// Adds what was counted since.
    fn add(&mut self, more: Measured) {
        match (&mut *self, more) {
            (Measured::Number(sum), Measured::Number(more)) => *sum += more,
            (Measured::Histogram(sum), Measured::Histogram(more)) if sum.bounds == more.bounds => {
                sum.count = sum.count.saturating_add(more.count);
                sum.sum = sum.sum.zip(more.sum).map(|(a, b)| a + b);
                for (sum, more) in sum.buckets.iter_mut().zip(more.buckets) {
                    *sum = sum.saturating_add(more);
                }
            }
            (Measured::Exponential(sum), Measured::Exponential(more)) => {
                if !sum.add(more.clone()) {
                    *sum = more;
                }
            }
            // Other bounds: it begins anew, as after a restart.
            (_, more) => *self = more,
        }
    }
}

/// Labels as they stand between braces. Those the family gives a meaning of its own are called `exported_...`.
fn write_labels(labels: &[Pair<'_>], kind: Type) -> Box<str> {
    let mut out = Vec::new();
    for (name, value) in labels {
        let reserved = match kind {
            Type::Histogram | Type::GaugeHistogram => name == "le",
            Type::Summary => name == "quantile",
            _ => false,
        };
        if !out.is_empty() {
            out.push(b',');
        }
        if reserved {
            out.extend_from_slice(b"exported_");
        }
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"=\"");
        write_label_value(value.as_bytes(), &mut out);
        out.push(b'"');
    }
    String::from_utf8(out).unwrap_or_default().into()
}

fn exemplars(point: &Point<'_>) -> Vec<Exemplar> {
    let short = |exemplar: &crate::point::Exemplar<'_>| {
        let chars: usize = exemplar.labels.iter().map(|(k, v)| k.chars().count() + v.chars().count()).sum();
        chars <= MAX_EXEMPLAR_CHARS
    };
    let exemplar = |mut exemplar: crate::point::Exemplar<'_>| {
        exemplar.labels.sort_unstable();
        exemplar.labels.dedup_by(|a, b| a.0 == b.0);
        let labels = write_labels(&exemplar.labels, Type::Gauge);
        Exemplar { labels, value: exemplar.value, time: exemplar.time }
    };
    point.exemplars().filter(short).take(MAX_EXEMPLARS).map(exemplar).collect()
}

impl Exemplar {
    /// Behind a sample of OpenMetrics.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b" # {");
        out.extend_from_slice(self.labels.as_bytes());
        out.extend_from_slice(b"} ");
        write_number(self.value, out);
        if self.time != 0 {
            out.push(b' ');
            super::render::write_seconds(self.time, out);
        }
    }
}
