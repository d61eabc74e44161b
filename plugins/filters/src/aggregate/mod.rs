//! `aggregate`: of the points of one series, one an interval; with fewer attributes, of several series one.
//!
//! | setting | |
//! | --- | --- |
//! | `interval` | how often points are sent on; default 60 s |
//! | `keep` | the attributes that stay; all others go. Only one of `keep` and `remove` |
//! | `remove` | the attributes that go |
//! | `gauge` | what becomes of gauges: `"last"` (default, by time), `"avg"`, `"min"`, `"max"`, `"sum"` |
//! | `max_series` | default 10,000; points of series beyond pass as they are, counted as `failed`. Of cumulative series that become fewer, ten times as many may come in |
//! | `expire` | cumulative series are forgotten so long after their last point; default 15 min |
//!
//! | | one interval | series that become one |
//! | --- | --- | --- |
//! | delta sums, histograms, exponential histograms | add up; the start is the earliest | add up |
//! | cumulative ones | the last | what is new in each adds up, resets included |
//! | gauges | as `gauge` says | as `gauge` says |
//!
//! What is sent has the time of the last point that is in it, the tag of the first, the resource and the instrumentation
//! scope of its own, and up to 10 exemplars. Where nothing came of a series, nothing is sent. Summaries, points without a
//! value, points that contradict themselves, and histograms whose bounds are others than those of their series pass as they
//! are; the last two count as `failed`. Cumulative points of the same time as the one before, or an earlier one, count as
//! `absorbed` and change nothing.
//!
//! # Custody
//!
//! It is a custodian: points that are taken in are `absorbed`, count as settled, and **a crash loses them**, at most those of one
//! interval. An orderly end sends what there is. What is sent has no origin (`crate::metric::table`).

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use suiro_record::{Batch, Row, Scope, Signal, Value};
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Filter, FilterContext, FilterFactory, FilterSetup, FilterState, Flow, Selection, StartError};

use crate::metric::point::Read;
use crate::metric::settings::rules;
use crate::metric::step::{Last, Step};
use crate::metric::table::Rules;
use crate::metric::{Data, Made, Number, Point, Points, Series, SeriesKey, Table, Temporality, What};

/// Exemplars of a point that is sent.
const MAX_EXEMPLARS: usize = 10;
/// Tags that have a table of their own.
const MAX_TAGS: usize = 256;
/// Cumulative series that become one, on the average: what is remembered of them is bounded too.
const MAX_EACH: usize = 10;

/// The filter, as configured.
struct Aggregate {
    settings: Arc<Settings>,
    name: OnceLock<Arc<str>>,
}

struct Settings {
    rules: Rules,
    attributes: Which,
    gauge: Gauge,
}

/// Which attributes stay.
enum Which {
    All,
    Only(Vec<String>),
    But(Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gauge {
    Last,
    Average,
    Min,
    Max,
    Sum,
}

/// The filter at work.
struct Aggregator {
    settings: Arc<Settings>,
    name: Arc<str>,
    by_tag: BTreeMap<Arc<str>, Group>,
}

/// Points of one tag.
struct Group {
    table: Table,
    scopes: HashMap<SeriesKey, Arc<Scope>>,
    /// The last cumulative points, by the series they were of.
    last: HashMap<SeriesKey, Last>,
}

/// What became of a point.
enum Taken {
    In,
    Not,
}

/// Reads the settings.
pub fn build(settings: &Section) -> Result<Box<dyn FilterFactory>, Reported> {
    let rules = rules(settings, false);
    let attributes = match (settings.has("keep"), settings.has("remove")) {
        (true, true) => {
            settings.error_at("remove", "`keep` and `remove` exclude each other", "");
            Which::All
        }
        (true, false) => Which::Only(settings.list("keep")),
        (false, true) => Which::But(settings.list("remove")),
        (false, false) => Which::All,
    };
    let gauges =
        [("last", Gauge::Last), ("avg", Gauge::Average), ("min", Gauge::Min), ("max", Gauge::Max), ("sum", Gauge::Sum)];
    let gauge = settings.choice("gauge", &gauges).unwrap_or(Gauge::Last);
    settings.finish()?;
    Ok(Box::new(Aggregate { settings: Arc::new(Settings { rules, attributes, gauge }), name: OnceLock::new() }))
}

impl FilterFactory for Aggregate {
    fn start(&self, setup: FilterSetup) -> Result<(), StartError> {
        let _ = self.name.set(setup.name);
        Ok(())
    }

    fn state(&self) -> FilterState {
        FilterState::Shared
    }

    fn instance(&self) -> Box<dyn Filter> {
        let name = self.name.get().cloned().unwrap_or_else(|| "aggregate".into());
        Box::new(Aggregator { settings: self.settings.clone(), name, by_tag: BTreeMap::new() })
    }
}

impl Filter for Aggregator {
    fn apply(&mut self, flow: &mut Flow, rows: &Selection, cx: &mut FilterContext) {
        if flow.batch.signal != Signal::Metrics {
            return;
        }
        let Aggregator { settings, name, by_tag } = self;
        let tag = flow.batch.tag.clone();
        if !by_tag.contains_key(&tag) && by_tag.len() >= MAX_TAGS {
            cx.failed += rows.count(flow.batch.len());
            return;
        }
        let group = by_tag.entry(tag).or_insert_with_key(|tag| Group::new(settings.rules, name, tag));
        group.table.note(&flow.batch, cx.now);
        let all = std::mem::take(&mut flow.batch.rows);
        let mut points = Points::of(&flow.batch);
        let mut passing = Vec::new();
        for (i, row) in all.into_iter().enumerate() {
            let taken = if rows.has(i) { group.take(settings, &flow.batch, &mut points, &row, cx) } else { Taken::Not };
            match taken {
                Taken::In => cx.absorbed += 1,
                Taken::Not => passing.push(row),
            }
        }
        flow.batch.rows = passing;
    }

    fn deadline(&self) -> Option<Instant> {
        self.by_tag.values().filter_map(|group| group.table.deadline()).min()
    }

    fn tick(&mut self, cx: &mut FilterContext) {
        let expire = self.settings.rules.expire;
        for group in self.by_tag.values_mut() {
            group.table.tick(cx);
            group.scopes.retain(|_, scope| Arc::strong_count(scope) > 1);
            group.last.retain(|_, last| cx.now.saturating_duration_since(last.seen) < expire);
        }
        // A tag whose series are all gone is remembered no more.
        self.by_tag.retain(|_, group| group.table.deadline().is_some());
    }

    fn flush(&mut self, cx: &mut FilterContext) {
        self.by_tag.values_mut().for_each(|group| group.table.send(cx));
    }
}

// === impl Which ===

impl Which {
    fn keeps_all(&self) -> bool {
        matches!(self, Which::All)
    }

    fn keeps(&self, key: &str) -> bool {
        match self {
            Which::All => true,
            Which::Only(keys) => keys.iter().any(|kept| kept == key),
            Which::But(keys) => !keys.iter().any(|gone| gone == key),
        }
    }
}

// === impl Group ===

impl Group {
    fn new(rules: Rules, name: &str, tag: &str) -> Self {
        Group { table: Table::new(rules, Made::new(name, tag)), scopes: HashMap::new(), last: HashMap::new() }
    }

    fn take(
        &mut self,
        settings: &Settings,
        batch: &Batch,
        points: &mut Points<'_>,
        row: &Row,
        cx: &mut FilterContext,
    ) -> Taken {
        let point = match points.read(row) {
            Read::Other => return Taken::Not,
            Read::Broken => {
                cx.failed += 1;
                return Taken::Not;
            }
            Read::Point(point) => point,
        };
        let key = points.series(row, |key| settings.attributes.keeps(key));
        let cumulative = point.temporality == Some(Temporality::Cumulative);
        let remembered = settings.rules.max_series.saturating_mul(MAX_EACH);
        let crowded =
            cumulative && self.last.len() >= remembered && !self.last.contains_key(&points.series(row, |_| true));
        if crowded || self.table.is_beyond(&key) {
            cx.failed += 1;
            return Taken::Not;
        }
        let Some(news) = self.news(settings, points, row, point, cx.now) else { return Taken::In };
        let Point { data, temporality, start, time } = &news;
        let Group { table, scopes, .. } = self;
        let series = table.entry(&key, cx.now, |made| {
            let (name, description, unit, metadata) = points.description(row);
            let scope = scopes.entry(points.scope_key(row));
            let scope = scope.or_insert_with(|| Arc::new(made.scope_like(batch.scope(row))));
            let mut empty = data.clone();
            empty.clear();
            Series {
                what: Arc::new(What { name, description, unit, metadata }),
                scope: scope.clone(),
                attributes: points.attributes(row, |key| settings.attributes.keeps(key)),
                data: empty,
                temporality: temporality.unwrap_or(Temporality::Cumulative),
                exemplars: Vec::new(),
                start: *start,
                time: i64::MIN,
                weight: 0,
                fresh: true,
                seen: cx.now,
            }
        });
        if cumulative && settings.attributes.keeps_all() {
            // It says it all.
            (series.data, series.start) = (news.data, news.start);
        } else if series.take(settings.gauge, data, *time) {
            // A start that is not known of one is not known of all.
            series.start = series.start.zip(*start).map(|(a, b)| a.min(b));
        } else {
            cx.failed += 1;
            return Taken::Not;
        }
        series.time = series.time.max(news.time);
        let room = MAX_EXEMPLARS.saturating_sub(series.exemplars.len());
        series.exemplars.extend::<Vec<Value>>(points.exemplars(row, room));
        Taken::In
    }

    /// What a point brings: of a cumulative one of several series that become one, what came since the one before. `None`
    /// where that is nothing.
    fn news(
        &mut self,
        settings: &Settings,
        points: &mut Points<'_>,
        row: &Row,
        point: Point,
        now: Instant,
    ) -> Option<Point> {
        if point.temporality != Some(Temporality::Cumulative) {
            return Some(point);
        }
        match self.last.entry(points.series(row, |_| true)) {
            Entry::Vacant(entry) => {
                entry.insert(Last::new(point.clone(), now));
                Some(point)
            }
            Entry::Occupied(mut last) => match last.get_mut().step(point.clone(), now) {
                Step::Duplicate | Step::Late => None,
                Step::On(..) | Step::Reset(..) if settings.attributes.keeps_all() => Some(point),
                Step::On(data, _) | Step::Reset(data, _) => Some(Point { data, ..point }),
            },
        }
    }
}

// === impl Series ===

impl Series {
    /// Takes in a point, unless it does not fit.
    fn take(&mut self, gauge: Gauge, data: &Data, time: i64) -> bool {
        let (Data::Gauge(own), Data::Gauge(new)) = (&mut self.data, data) else { return self.data.merge(data) };
        if self.weight == 0 {
            *own = *new;
            self.weight = 1;
            return true;
        }
        match gauge {
            Gauge::Last if time >= self.time => *own = *new,
            Gauge::Last => {}
            Gauge::Min if new.is_less(*own) => *own = *new,
            Gauge::Max if own.is_less(*new) => *own = *new,
            Gauge::Min | Gauge::Max => {}
            Gauge::Sum => *own = own.plus(*new),
            Gauge::Average => {
                *own = Number::plus(*own, *new);
                self.weight += 1;
            }
        }
        true
    }
}
