//! Values of an interval, series by series.
//!
//! A series is a kind, a name, tags in any order, and a container. Of gauges the last value is remembered beyond the window,
//! for those that are changed by `+1` and `-1`; a point is made of it only where something was said of it. A series that is
//! not spoken of for [`REMEMBERED`] is forgotten. More series than `max_series` are refused: those that are there go on.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use suiro_sdk::Reason;

use crate::parse::{Kind, Metric};
use crate::point::{Point, Worth};
use crate::settings::{Shape, Spread};
use crate::sketch::Sketch;

/// How long a gauge nobody speaks of is remembered.
const REMEMBERED: Duration = Duration::from_secs(300);
/// Members of a set that are told apart, at most; those beyond are counted as refused.
const MAX_MEMBERS: usize = 100_000;
/// Values of a series that are kept as they came, at most.
pub(crate) const MAX_VALUES: usize = 10_000;

/// More series than `max_series`.
pub(crate) const SERIES_LIMIT: Reason = Reason("series_limit");
/// More values of one series than a window holds.
pub(crate) const VALUES_LIMIT: Reason = Reason("values_limit");

/// The window that is open.
#[derive(Debug)]
pub(crate) struct Window {
    shape: Shape,
    series: HashMap<Box<str>, Series>,
    /// Hashes members of sets; random, so that nobody can choose members that collide.
    members: RandomState,
    /// When it began, nanoseconds since 1970.
    start: i64,
    key: String,
}

#[derive(Debug)]
struct Series {
    name: Box<str>,
    kind: Kind,
    tags: Box<str>,
    container: Option<Box<str>>,
    state: State,
    /// When it was spoken of last.
    last: i64,
    /// Something was said of it in this window.
    fresh: bool,
}

#[derive(Debug)]
enum State {
    Count(f64),
    Gauge(f64),
    Set(HashSet<u64>),
    Summary(Sketch),
    Histogram(Sketch, Vec<f64>),
    Values(Vec<f64>),
}

// === impl Window ===

impl Window {
    /// An empty one that begins at `now`.
    pub(crate) fn new(shape: Shape, now: i64) -> Self {
        Window { shape, series: HashMap::new(), members: RandomState::new(), start: now, key: String::new() }
    }

    /// Counts the values of a line. The reason, and how many of them did not find room.
    pub(crate) fn add(&mut self, metric: &Metric<'_>, now: i64) -> Result<(), (Reason, usize)> {
        self.name_series(metric);
        let values = || if metric.kind == Kind::Set { 1 } else { metric.numbers().count() };
        if !self.series.contains_key(self.key.as_str()) {
            if self.series.len() >= self.shape.max_series {
                return Err((SERIES_LIMIT, values()));
            }
            self.series.insert(self.key.as_str().into(), Series::new(metric, &self.shape, now));
        }
        let Some(series) = self.series.get_mut(self.key.as_str()) else { return Ok(()) };
        series.last = now;
        series.fresh = true;
        series.add(metric, &self.shape, &self.members)
    }

    /// Calls `take` with a point for each series of which something was said, and opens the next window.
    pub(crate) fn close(&mut self, now: i64, mut take: impl FnMut(&Point<'_>)) {
        let seconds = now.saturating_sub(self.start).max(1) as f64 / 1e9;
        for series in self.series.values().filter(|series| series.fresh) {
            take(&Point {
                name: &series.name,
                kind: series.kind,
                tags: crate::parse::Tags { text: &series.tags, container: series.container.as_deref() },
                start: Some(self.start),
                time: now,
                worth: series.worth(&self.shape, seconds),
            });
        }
        let forget = now.saturating_sub(i64::try_from(REMEMBERED.as_nanos()).unwrap_or(i64::MAX));
        self.series.retain(|_, series| matches!(series.state, State::Gauge(_)) && series.last > forget);
        self.series.values_mut().for_each(|series| series.fresh = false);
        self.start = now;
    }

    /// Series of which something was said.
    pub(crate) fn len(&self) -> usize {
        self.series.values().filter(|series| series.fresh).count()
    }

    /// Writes down what tells the series from others.
    fn name_series(&mut self, metric: &Metric<'_>) {
        self.key.clear();
        self.key.push(char::from(b'0' + metric.kind as u8));
        self.key.push_str(metric.name);
        self.key.push('\0');
        push_sorted(metric.tags.text, &mut self.key);
        if let Some(container) = metric.tags.container {
            self.key.push('\0');
            self.key.push_str(container);
        }
    }
}

/// Tags in an order of their own.
fn push_sorted(tags: &str, out: &mut String) {
    if !tags.contains(',') {
        return out.push_str(tags);
    }
    let mut sorted: Vec<&str> = tags.split(',').filter(|tag| !tag.is_empty()).collect();
    sorted.sort_unstable();
    for (i, tag) in sorted.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        out.push_str(tag);
    }
}

// === impl Series ===

impl Series {
    fn new(metric: &Metric<'_>, shape: &Shape, now: i64) -> Series {
        let state = match (metric.kind, &shape.spread) {
            (Kind::Count, _) => State::Count(0.0),
            (Kind::Gauge, _) => State::Gauge(0.0),
            (Kind::Set, _) => State::Set(HashSet::new()),
            (_, Spread::Summary(_)) => State::Summary(Sketch::default()),
            (_, Spread::Histogram(bounds)) => State::Histogram(Sketch::default(), vec![0.0; bounds.len() + 1]),
            (_, Spread::Values) => State::Values(Vec::new()),
        };
        Series {
            name: metric.name.into(),
            kind: metric.kind,
            tags: metric.tags.text.into(),
            container: metric.tags.container.map(Box::from),
            state,
            last: now,
            fresh: true,
        }
    }

    fn add(&mut self, metric: &Metric<'_>, shape: &Shape, members: &RandomState) -> Result<(), (Reason, usize)> {
        let weight = 1.0 / metric.rate;
        match &mut self.state {
            State::Count(sum) => *sum += metric.numbers().map(|(value, _)| value * weight).sum::<f64>(),
            State::Gauge(last) => {
                for (value, signed) in metric.numbers() {
                    *last = if signed && shape.relative_gauges { *last + value } else { value };
                }
            }
            State::Set(set) => {
                let member = members.hash_one(metric.values);
                if set.len() >= MAX_MEMBERS && !set.contains(&member) {
                    return Err((VALUES_LIMIT, 1));
                }
                set.insert(member);
            }
            State::Summary(sketch) => metric.numbers().for_each(|(value, _)| sketch.add(value, weight)),
            State::Histogram(sketch, counts) => {
                let Spread::Histogram(bounds) = &shape.spread else { return Ok(()) };
                for (value, _) in metric.numbers() {
                    sketch.add(value, weight);
                    // A bound belongs to the bucket below it.
                    counts[bounds.partition_point(|bound| *bound < value)] += weight;
                }
            }
            State::Values(values) => {
                let room = MAX_VALUES - values.len();
                values.extend(metric.numbers().map(|(value, _)| value).take(room));
                let refused = metric.numbers().count().saturating_sub(room);
                if refused > 0 {
                    return Err((VALUES_LIMIT, refused));
                }
            }
        }
        Ok(())
    }

    fn worth<'s>(&'s self, shape: &'s Shape, seconds: f64) -> Worth<'s> {
        match (&self.state, &shape.spread) {
            (State::Count(sum), _) if shape.rates => Worth::Rate { per_second: sum / seconds, interval: seconds },
            (State::Count(sum), _) => Worth::Count(*sum),
            (State::Gauge(last), _) => Worth::Gauge(*last),
            (State::Set(set), _) => Worth::Set(set.len()),
            (State::Summary(sketch), Spread::Summary(quantiles)) => Worth::Summary { sketch, quantiles },
            (State::Histogram(sketch, counts), Spread::Histogram(bounds)) => {
                Worth::Histogram { sketch, bounds, counts }
            }
            (State::Summary(sketch) | State::Histogram(sketch, _), _) => Worth::Summary { sketch, quantiles: &[] },
            (State::Values(values), _) => Worth::Values(values),
        }
    }
}
