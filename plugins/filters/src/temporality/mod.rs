//! `cumulative_to_delta` and `delta_to_cumulative`: since when sums and histograms count.
//!
//! | setting | |
//! | --- | --- |
//! | `first` | of `cumulative_to_delta`: what becomes of the first point of a series. `"auto"` (default): it goes on if it says that it began after this filter did, otherwise it is dropped as `first_point`; `"keep"`; `"drop"` |
//! | `max_series` | series that are remembered; default 100,000. Points of others are dropped as `series_limit` |
//! | `expire` | a series is forgotten so long after its last point; default 15 min |
//!
//! Sums (monotonic or not), histograms and exponential histograms of the other temporality are changed in place and keep
//! their origin. Gauges, summaries and points that have the temporality already pass. So do points that say there is no
//! value. What is no point, or contradicts itself, passes and counts as `failed`.
//!
//! Series are told apart by resource, instrumentation scope, name, unit, kind, and attributes in whatever order.
//!
//! - A point of the same time as the one before is dropped as `duplicate_point`; of an earlier time, or one that begins
//!   before the one before ended (of deltas), as `out_of_order`.
//! - A cumulative series began anew where its start time changes, or where what only grows (a monotonic sum, any count of a
//!   histogram) has become less, or its bounds changed: then all of it is new. `min` and `max` of what came in between
//!   are not known, and left out.
//! - A cumulative series that is made of deltas begins where the first of them does (or, where that is not said, at its
//!   time), and begins anew where bounds change. Exponential histograms are brought to the coarser scale.
//!
//! # Custody
//!
//! It holds no record, only the last value of each series. After a restart series begin anew: the first points of
//! `cumulative_to_delta` are subject to `first`, so what was counted between the last point before and the first one after
//! is missing from deltas; what `delta_to_cumulative` makes has a new start time.

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use suiro_record::{Batch, Row, Signal};
use suiro_sdk::ledger::Reason;
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Filter, FilterContext, FilterFactory, FilterState, Flow, Selection};

use crate::metric::edit::rewrite;
use crate::metric::point::Read;
use crate::metric::settings::expire;
use crate::metric::step::{Last, Step};
use crate::metric::{Data, Point, Points, SeriesKey, Temporality};

/// A point of the time of the one before.
pub(crate) const DUPLICATE: Reason = Reason("duplicate_point");
/// A point before the last one.
pub(crate) const OUT_OF_ORDER: Reason = Reason("out_of_order");
/// The first cumulative point of a series: since when it counts is not known.
const FIRST_POINT: Reason = Reason("first_point");
/// More series than there is room for.
const SERIES_LIMIT: Reason = Reason("series_limit");

/// The filter, as configured.
#[derive(Debug)]
struct Convert(Arc<Settings>);

#[derive(Debug)]
struct Settings {
    to: Temporality,
    first: First,
    max_series: usize,
    expire: Duration,
}

/// What becomes of a series' first point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Auto,
    Keep,
    Drop,
}

/// The filter at work.
struct Converter {
    settings: Arc<Settings>,
    series: HashMap<SeriesKey, Last>,
    /// When the filter began, nanoseconds since the epoch.
    began: Option<i64>,
    next_look: Option<Instant>,
}

/// What becomes of a point.
enum Fate {
    Pass,
    Failed,
    Change(Data, Option<i64>),
    Drop(Reason),
}

/// Reads the settings of `cumulative_to_delta`.
pub fn build_to_delta(settings: &Section) -> Result<Box<dyn FilterFactory>, Reported> {
    build(settings, Temporality::Delta)
}

/// Reads the settings of `delta_to_cumulative`.
pub fn build_to_cumulative(settings: &Section) -> Result<Box<dyn FilterFactory>, Reported> {
    build(settings, Temporality::Cumulative)
}

fn build(settings: &Section, to: Temporality) -> Result<Box<dyn FilterFactory>, Reported> {
    let mut first = First::Keep;
    if to == Temporality::Delta {
        let choices = [("auto", First::Auto), ("keep", First::Keep), ("drop", First::Drop)];
        first = settings.choice("first", &choices).unwrap_or(First::Auto);
    }
    let max_series = settings.within("max_series", 1..=10_000_000_usize).unwrap_or(100_000);
    let expire = expire(settings);
    settings.finish()?;
    Ok(Box::new(Convert(Arc::new(Settings { to, first, max_series, expire }))))
}

impl FilterFactory for Convert {
    fn state(&self) -> FilterState {
        FilterState::Shared
    }

    fn instance(&self) -> Box<dyn Filter> {
        Box::new(Converter { settings: self.0.clone(), series: HashMap::new(), began: None, next_look: None })
    }
}

impl Filter for Converter {
    fn apply(&mut self, flow: &mut Flow, rows: &Selection, cx: &mut FilterContext) {
        if flow.batch.signal != Signal::Metrics {
            return;
        }
        self.began.get_or_insert(flow.batch.read_at);
        let batch = &mut flow.batch;
        let fates = self.fates(batch, rows, cx.now);
        let all = std::mem::take(&mut batch.rows);
        for (row, fate) in all.into_iter().zip(fates) {
            match fate {
                Fate::Drop(reason) => cx.drop_records(reason, 1),
                Fate::Pass => batch.rows.push(row),
                Fate::Failed => {
                    cx.failed += 1;
                    batch.rows.push(row);
                }
                Fate::Change(data, start) => {
                    batch.rows.push(row);
                    let at = batch.rows.len() - 1;
                    if rewrite(batch, at, &data, self.settings.to, start).is_err() {
                        cx.failed += 1;
                    }
                }
            }
        }
        if self.next_look.is_none() && !self.series.is_empty() {
            self.next_look = Some(cx.now + self.settings.expire);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.next_look
    }

    fn tick(&mut self, cx: &mut FilterContext) {
        let expire = self.settings.expire;
        self.series.retain(|_, last| cx.now.saturating_duration_since(last.seen) < expire);
        self.next_look = (!self.series.is_empty()).then(|| cx.now + expire / 2);
    }
}

// === impl Converter ===

impl Converter {
    fn fates(&mut self, batch: &Batch, rows: &Selection, now: Instant) -> Vec<Fate> {
        let mut points = Points::of(batch);
        let fate = |(at, row): (usize, &Row)| {
            if !rows.has(at) {
                return Fate::Pass;
            }
            match points.read(row) {
                Read::Other => Fate::Pass,
                Read::Broken => Fate::Failed,
                Read::Point(point) if point.temporality.is_none_or(|own| own == self.settings.to) => Fate::Pass,
                Read::Point(point) => {
                    let key = points.series(row, |_| true);
                    self.convert(key, point, now)
                }
            }
        };
        batch.rows.iter().enumerate().map(fate).collect()
    }

    fn convert(&mut self, key: SeriesKey, point: Point, now: Instant) -> Fate {
        let Converter { settings, series, began, .. } = self;
        let room = series.len() < settings.max_series;
        match series.entry(key) {
            Entry::Occupied(last) => match settings.to {
                Temporality::Delta => to_delta(last.into_mut(), point, now),
                Temporality::Cumulative => to_cumulative(last.into_mut(), point, now),
            },
            Entry::Vacant(_) if !room => Fate::Drop(SERIES_LIMIT),
            Entry::Vacant(entry) => {
                let Point { data, start, time, .. } = point.clone();
                if settings.to == Temporality::Cumulative {
                    // Its total so far.
                    let begun = Point { start: Some(start.unwrap_or(time)), ..point };
                    let start = begun.start;
                    entry.insert(Last::new(begun, now));
                    return Fate::Change(data, start);
                }
                entry.insert(Last::new(point, now));
                let keep = match settings.first {
                    First::Keep => true,
                    First::Drop => false,
                    First::Auto => start.zip(*began).is_some_and(|(start, began)| start >= began),
                };
                if keep { Fate::Change(data, start) } else { Fate::Drop(FIRST_POINT) }
            }
        }
    }
}

fn to_delta(last: &mut Last, point: Point, now: Instant) -> Fate {
    match last.step(point, now) {
        Step::On(data, from) => Fate::Change(data, Some(from)),
        Step::Reset(data, from) => Fate::Change(data, from),
        Step::Duplicate => Fate::Drop(DUPLICATE),
        Step::Late => Fate::Drop(OUT_OF_ORDER),
    }
}

fn to_cumulative(total: &mut Last, point: Point, now: Instant) -> Fate {
    let own = &mut total.point;
    if point.time == own.time {
        return Fate::Drop(DUPLICATE);
    }
    if point.time < own.time || point.start.is_some_and(|start| start < own.time) {
        return Fate::Drop(OUT_OF_ORDER);
    }
    if own.data.merge(&point.data) {
        own.time = point.time;
    } else {
        *own = Point { start: Some(point.start.unwrap_or(own.time)), ..point };
    }
    total.seen = now;
    Fate::Change(own.data.clone(), own.start)
}
