//! From metric points to the series of a request.
//!
//! | point | series |
//! | --- | --- |
//! | gauge, sum | one |
//! | histogram | `_bucket` with `le`, counting up, `_sum`, `_count` |
//! | exponential histogram | a native histogram |
//! | summary | one with `quantile` each, `_sum`, `_count` |
//!
//! Samples of one label set in one request are one series, in the order of their times. Delta points are refused: adding
//! them up is the filter `delta_to_cumulative`'s, since what is sent may be sent again.

use std::borrow::Cow;

use hashbrown::HashMap;
use suiro_record::{Batch, Row};

use crate::labels::{Pair, Shared};
use crate::name::{metric_name, unit_suffix};
use crate::point::{Data, Exponential, Point};
use crate::text::{STALE, Type};

/// Texts of a request, each once; the first is empty.
#[derive(Clone, Debug)]
pub(crate) struct Symbols {
    ids: HashMap<Box<str>, u32>,
    all: Vec<Box<str>>,
    /// Bytes of all of them.
    pub(crate) bytes: usize,
}

/// A series: its labels and what is to be said of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    /// Symbols of names and values, in the order of the names.
    pub(crate) labels: Vec<u32>,
    /// Milliseconds and values.
    pub(crate) samples: Vec<(i64, f64)>,
    pub(crate) histograms: Vec<(i64, Exponential, bool)>,
    pub(crate) exemplars: Vec<Exemplar>,
    pub(crate) kind: Type,
    pub(crate) help: u32,
    pub(crate) unit: u32,
    /// Milliseconds; 0 if it is not known.
    pub(crate) created: i64,
    /// The name of the metric's family, for metadata.
    pub(crate) family: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Exemplar {
    pub(crate) labels: Vec<u32>,
    pub(crate) value: f64,
    pub(crate) time: i64,
}

/// The series of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Collected {
    pub(crate) symbols: Symbols,
    pub(crate) series: Vec<Series>,
    by_labels: HashMap<Vec<u32>, usize>,
    /// About how large the request is, bytes.
    pub(crate) size: usize,
    /// Samples, histograms and exemplars.
    pub(crate) samples: usize,
}

/// Why a point can't be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsendable {
    /// It is no metric point.
    Malformed(&'static str),
    /// It counts since the last one, not since a start.
    Delta,
    /// A native histogram has no such scale.
    Scale,
}

const MS: i64 = 1_000_000;
/// Scales of native histograms.
pub(crate) const MIN_SCALE: i32 = -4;
pub(crate) const MAX_SCALE: i32 = 8;
/// The longest labels of an exemplar that Prometheus takes, in characters.
const MAX_EXEMPLAR: usize = 128;

// === impl Symbols ===

impl Default for Symbols {
    fn default() -> Self {
        Symbols { ids: HashMap::from([("".into(), 0)]), all: vec!["".into()], bytes: 0 }
    }
}

impl Symbols {
    pub(crate) fn get(&self, id: u32) -> &str {
        &self.all[id as usize]
    }

    pub(crate) fn all(&self) -> &[Box<str>] {
        &self.all
    }

    fn id(&mut self, text: &str) -> u32 {
        if let Some(&id) = self.ids.get(text) {
            return id;
        }
        let id = self.all.len() as u32;
        self.bytes += text.len() + 3;
        self.all.push(text.into());
        self.ids.insert(text.into(), id);
        id
    }
}

// === impl Collected ===

impl Collected {
    /// Adds a record's series.
    pub(crate) fn add(&mut self, batch: &Batch, row: &Row, shared: &Shared) -> Result<(), Unsendable> {
        let point = Point::read(batch, row).map_err(Unsendable::Malformed)?;
        if point.delta {
            return Err(Unsendable::Delta);
        }
        let exponential = match &point.data {
            Data::Exponential(e) if e.scale < MIN_SCALE => return Err(Unsendable::Scale),
            Data::Exponential(e) => {
                let mut histogram = e.clone();
                histogram.coarsen(MAX_SCALE);
                Some(histogram)
            }
            _ => None,
        };
        let family = metric_name(&point.name, &point.unit, point.kind);
        let labels = shared.labels(&point);
        let mut adding = Adding::new(self, &point, &family, &labels);
        let stale = f64::from_bits(STALE);
        match &point.data {
            Data::Nothing => {
                if point.exemplars().next().is_some() {
                    let at = adding.series("", None);
                    adding.exemplars(at, |_| true);
                }
            }
            Data::Number(value) => {
                let value = if point.stale { stale } else { *value };
                adding.sample("", None, value, |_| true);
            }
            Data::Histogram(histogram) => {
                let mut below = 0_u64;
                let mut low = f64::NEG_INFINITY;
                for (i, bound) in histogram.bounds.iter().enumerate() {
                    below = below.saturating_add(histogram.buckets.get(i).copied().unwrap_or(0));
                    let value = if point.stale { stale } else { below as f64 };
                    adding.sample("_bucket", Some(("le", *bound)), value, |v| v > low && v <= *bound);
                    low = *bound;
                }
                let count = if point.stale { stale } else { histogram.count as f64 };
                adding.sample("_bucket", Some(("le", f64::INFINITY)), count, |v| v > low);
                if let Some(sum) = histogram.sum {
                    adding.sample("_sum", None, if point.stale { stale } else { sum }, |_| false);
                }
                adding.sample("_count", None, count, |_| false);
            }
            Data::Exponential(_) => {
                if let Some(histogram) = exponential {
                    adding.histogram(histogram);
                }
            }
            Data::Summary(summary) => {
                for &(quantile, value) in &summary.quantiles {
                    adding.sample("", Some(("quantile", quantile)), if point.stale { stale } else { value }, |_| false);
                }
                for (suffix, value) in [("_sum", summary.sum), ("_count", summary.count.map(|n| n as f64))] {
                    if let Some(value) = value {
                        adding.sample(suffix, None, if point.stale { stale } else { value }, |_| false);
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds what is known of a resource.
    pub(crate) fn add_target_info(&mut self, shared: &Shared, time: i64) {
        if shared.target_info.is_empty() {
            return;
        }
        let mut labels = vec![self.symbols.id("__name__"), self.symbols.id("target_info")];
        for (name, value) in &shared.target_info {
            labels.extend([self.symbols.id(name), self.symbols.id(value)]);
        }
        let family = self.symbols.id("target_info");
        let help = self.symbols.id("Target metadata");
        let at = self.find(labels);
        let series = &mut self.series[at];
        (series.kind, series.family, series.help) = (Type::Info, family, help);
        let time = time / MS;
        match series.samples.last_mut() {
            Some((last, _)) => *last = time.max(*last),
            None => {
                series.samples.push((time, 1.0));
                self.samples += 1;
                self.size += 16;
            }
        }
    }

    fn find(&mut self, labels: Vec<u32>) -> usize {
        if let Some(&at) = self.by_labels.get(&labels) {
            return at;
        }
        let at = self.series.len();
        // As 1.0 has it, with all texts in it; 2.0 takes less.
        self.size += 24 + labels.iter().map(|&id| self.symbols.get(id).len() + 4).sum::<usize>();
        self.series.push(Series { labels: labels.clone(), ..Series::default() });
        self.by_labels.insert(labels, at);
        at
    }

    /// Puts the samples of each series in the order of their times. Of two at the same time the first stays.
    pub(crate) fn sort(&mut self) {
        for series in &mut self.series {
            if !series.samples.is_sorted_by(|a, b| a.0 < b.0) {
                series.samples.sort_by_key(|(time, _)| *time);
                series.samples.dedup_by_key(|(time, _)| *time);
            }
            if !series.histograms.is_sorted_by(|a, b| a.0 < b.0) {
                series.histograms.sort_by_key(|(time, ..)| *time);
                series.histograms.dedup_by_key(|(time, ..)| *time);
            }
            series.exemplars.sort_by_key(|exemplar| exemplar.time);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.series.is_empty()
    }
}

/// A point whose series are being added.
struct Adding<'a, 'p> {
    to: &'a mut Collected,
    point: &'a Point<'p>,
    name: &'a str,
    labels: &'a [Pair<'a>],
    family: u32,
    help: u32,
    unit: u32,
}

impl<'a, 'p> Adding<'a, 'p> {
    fn new(to: &'a mut Collected, point: &'a Point<'p>, name: &'a str, labels: &'a [Pair<'a>]) -> Self {
        let family = to.symbols.id(name);
        let help = to.symbols.id(&point.description);
        let unit = to.symbols.id(&unit_suffix(&point.unit, point.kind));
        Adding { to, point, name, labels, family, help, unit }
    }

    fn series(&mut self, suffix: &str, more: Option<(&str, f64)>) -> usize {
        let symbols = &mut self.to.symbols;
        let name: Cow<'_, str> =
            if suffix.is_empty() { self.name.into() } else { format!("{}{suffix}", self.name).into() };
        let bound = more.map(|(label, value)| (label, number_text(value)));
        let mut pairs: smallvec::SmallVec<[(&str, &str); 16]> = smallvec::smallvec![("__name__", &*name)];
        pairs.extend(self.labels.iter().map(|(name, value)| (&**name, &**value)));
        if let Some((label, value)) = &bound {
            pairs.retain(|(name, _)| name != label);
            pairs.push((label, value));
        }
        pairs.sort_unstable();
        let labels = pairs.iter().flat_map(|(name, value)| [symbols.id(name), symbols.id(value)]).collect();
        let at = self.to.find(labels);
        let series = &mut self.to.series[at];
        (series.kind, series.family, series.help, series.unit) = (self.point.kind, self.family, self.help, self.unit);
        if matches!(self.point.kind, Type::Counter | Type::Histogram | Type::Summary) {
            series.created = self.point.start / MS;
        }
        at
    }

    fn sample(&mut self, suffix: &str, more: Option<(&str, f64)>, value: f64, takes: impl Fn(f64) -> bool) {
        let at = self.series(suffix, more);
        self.to.series[at].samples.push((self.point.time / MS, value));
        self.to.samples += 1;
        self.to.size += 20;
        self.exemplars(at, takes);
    }

    fn histogram(&mut self, histogram: Exponential) {
        let at = self.series("", None);
        self.to.size += 64 + 3 * (histogram.positive.buckets.len() + histogram.negative.buckets.len());
        self.to.samples += 1;
        self.to.series[at].histograms.push((self.point.time / MS, histogram, self.point.stale));
        self.exemplars(at, |_| true);
    }

    fn exemplars(&mut self, at: usize, takes: impl Fn(f64) -> bool) {
        for exemplar in self.point.exemplars().filter(|exemplar| takes(exemplar.value)) {
            let length: usize = exemplar.labels.iter().map(|(k, v)| k.chars().count() + v.chars().count()).sum();
            if length > MAX_EXEMPLAR {
                continue;
            }
            let mut pairs = exemplar.labels;
            pairs.sort_unstable();
            pairs.dedup_by(|a, b| a.0 == b.0);
            let symbols = &mut self.to.symbols;
            let labels = pairs.iter().flat_map(|(name, value)| [symbols.id(name), symbols.id(value)]).collect();
            let time = if exemplar.time == 0 { self.point.time } else { exemplar.time } / MS;
            self.to.series[at].exemplars.push(Exemplar { labels, value: exemplar.value, time });
            self.to.size += 32 + length;
        }
    }
}

/// A bound as Prometheus writes it: `1` is `1.0` there.
fn number_text(value: f64) -> String {
    let mut out = Vec::new();
    crate::text::write_bound(value, &mut out);
    String::from_utf8(out).unwrap_or_default()
}
