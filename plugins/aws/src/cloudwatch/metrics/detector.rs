//! Anomaly detectors: `PutAnomalyDetector`, for metrics that are sent.
//!
//! A detector with `dimensions` is for that one metric and is put with the first delivery. One without is put for each
//! series of its metric when it is first seen, `limit` of them at most, since each is paid for. Putting one that is there
//! changes nothing, so nothing is remembered beyond a restart.
//!
//! They are put beside a delivery, which waits for them, five seconds at most, and is delivered whatever becomes of them: a
//! request that failed is made again with a later delivery, one that was refused is warned of and given up.

use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use suiro_sdk::aws::{Call, Caller, Method, ServiceError, judge};
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::time::{SECOND, parse_rfc3339, write_rfc3339};
use suiro_sdk::{Outcome, Reason};
use tokio::time::{Instant, timeout_at};

use super::head::{Dimensions, MAX_DIMENSIONS, MAX_NAME, legal};
use super::pack::Series;
use super::query;
use super::settings::namespace_check;

/// Ranges of time that a detector leaves out.
const MAX_RANGES: usize = 10;
/// Requests with one delivery.
const AT_ONCE: usize = 5;
/// For so long a delivery waits for them.
const PATIENCE: Duration = Duration::from_secs(5);
/// Until one that failed is made again.
const AGAIN: Duration = Duration::from_secs(60);
/// An answer is read so far.
const ANSWER: usize = 16 << 10;

/// A detector, as configured.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    metric: String,
    /// `None`: any.
    namespace: Option<String>,
    /// `None`: each series.
    dimensions: Option<Dimensions>,
    limit: usize,
    model: Model,
}

/// How it works.
#[derive(Clone, Debug, PartialEq)]
struct Model {
    stat: String,
    /// From, to.
    excluded: Vec<(i64, i64)>,
    timezone: Option<String>,
    periodic_spikes: Option<bool>,
}

/// What is to be put, and what was.
#[derive(Debug)]
pub(super) struct Detectors {
    wanted: Vec<Wanted>,
    state: RefCell<State>,
    /// Somebody is at it.
    busy: Cell<bool>,
}

#[derive(Debug, Default)]
struct State {
    /// By detector: the series it is for.
    known: Vec<HashSet<Series>>,
    due: VecDeque<Due>,
}

#[derive(Debug)]
struct Due {
    detector: usize,
    series: Series,
    not_before: Instant,
}

// === impl Wanted ===

impl Wanted {
    /// Reads one. `namespace` is the output's, where it is always the same.
    pub(super) fn read(settings: &Section, namespace: Option<&str>) -> Result<Wanted, Reported> {
        let metric = settings.require::<String>("metric", "\"http.errors\"").and_then(|metric| match &*metric {
            name if name.is_empty() || name.len() > MAX_NAME || legal(name).1 => {
                Err(settings.error_at("metric", "`metric` is 1 to 255 characters of ASCII", ""))
            }
            _ => Ok(metric),
        });
        let own = settings.get::<String>("namespace");
        if let Some(Err(why)) = own.as_deref().map(namespace_check) {
            settings.error_at("namespace", format!("`namespace` {why}"), "");
        }
        let namespace = own.or_else(|| namespace.map(str::to_owned));
        let dimensions = settings.has("dimensions").then(|| settings.map::<String>("dimensions"));
        let takes = |text: &str, most: usize| !text.trim().is_empty() && text.len() <= most && !legal(text).1;
        if let Some(all) = &dimensions
            && (all.len() > MAX_DIMENSIONS
                || !all.iter().all(|(name, value)| takes(name, MAX_NAME) && takes(value, 1024)))
        {
            settings.error_at("dimensions", "these are no dimensions: names and values in ASCII, 30 at most", "");
        }
        if dimensions.is_some() && namespace.is_none() {
            let help = "the output's is a template: say here what it comes to for this metric";
            settings.error_at("dimensions", "a detector with `dimensions` needs a `namespace`", help);
        }
        if dimensions.is_some() && settings.has("limit") {
            settings.error_at("limit", "a detector with `dimensions` is a single one", "leave `limit` out");
        }
        let limit = settings.within::<u64>("limit", 1..=1000).unwrap_or(10) as usize;
        let stat = settings.or("stat", "Average".to_owned());
        if stat.is_empty() || stat.len() > 50 || legal(&stat).1 {
            settings.error_at(
                "stat",
                "`stat` is a statistic of CloudWatch's",
                "such as \"Average\", \"Sum\" or \"p99\"",
            );
        }
        let ranges = settings.sections("excluded");
        if ranges.len() > MAX_RANGES {
            settings.error_at("excluded", format!("a detector takes {MAX_RANGES} ranges of time"), "");
        }
        let excluded = ranges.iter().filter_map(|range| excluded(range).ok()).collect();
        let timezone = settings.get::<String>("timezone");
        if timezone.as_deref().is_some_and(|zone| zone.is_empty() || zone.len() > 50 || legal(zone).1) {
            settings.error_at("timezone", "`timezone` is a name of the tz database", "such as \"Europe/Paris\"");
        }
        let periodic_spikes = settings.get::<bool>("periodic_spikes");
        let dimensions = dimensions.map(|mut dimensions| {
            dimensions.sort_unstable();
            dimensions
        });
        let model = Model { stat, excluded, timezone, periodic_spikes };
        Ok(Wanted { metric: metric?, namespace, dimensions, limit, model })
    }

    /// Whether it is for series of that metric as they are seen.
    pub(super) fn watches(&self, metric: &str) -> bool {
        self.dimensions.is_none() && self.metric == metric
    }

    /// The body of the request.
    fn write(&self, series: &Series, out: &mut Vec<u8>) {
        query::begin("PutAnomalyDetector", out);
        let mut put = |name: std::fmt::Arguments<'_>, text: &str| query::parameter(name, text, out);
        put(format_args!("SingleMetricAnomalyDetector.Namespace"), &series.namespace);
        put(format_args!("SingleMetricAnomalyDetector.MetricName"), &series.metric);
        put(format_args!("SingleMetricAnomalyDetector.Stat"), &self.model.stat);
        for (at, (name, value)) in series.dimensions.iter().enumerate() {
            let n = at + 1;
            put(format_args!("SingleMetricAnomalyDetector.Dimensions.member.{n}.Name"), name);
            put(format_args!("SingleMetricAnomalyDetector.Dimensions.member.{n}.Value"), value);
        }
        for (at, (start, end)) in self.model.excluded.iter().enumerate() {
            let n = at + 1;
            put(format_args!("Configuration.ExcludedTimeRanges.member.{n}.StartTime"), &rfc3339(*start));
            put(format_args!("Configuration.ExcludedTimeRanges.member.{n}.EndTime"), &rfc3339(*end));
        }
        if let Some(zone) = &self.model.timezone {
            put(format_args!("Configuration.MetricTimezone"), zone);
        }
        if let Some(spikes) = self.model.periodic_spikes {
            put(format_args!("MetricCharacteristics.PeriodicSpikes"), if spikes { "true" } else { "false" });
        }
    }
}

fn excluded(range: &Section) -> Result<(i64, i64), Reported> {
    let time = |key: &str| {
        range.require::<String>(key, "\"2026-12-24T00:00:00Z\"").and_then(|text| {
            // Whole seconds are what CloudWatch takes.
            let seconds = parse_rfc3339(text.as_bytes()).map(|time| time.saturating_sub(time.rem_euclid(SECOND)));
            seconds.ok_or_else(|| {
                range.error_at(key, format!("`{key}` is a time of RFC 3339"), "such as \"2026-12-24T00:00:00Z\"")
            })
        })
    };
    let (start, end) = (time("start"), time("end"));
    let (start, end) = (start?, end?);
    if start < end { Ok((start, end)) } else { Err(range.error_at("end", "it ends before it starts", "")) }
}

fn rfc3339(time: i64) -> String {
    let mut text = Vec::new();
    write_rfc3339(time, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

// === impl Detectors ===

impl Detectors {
    /// These are to be put.
    pub(super) fn new(wanted: Vec<Wanted>) -> Detectors {
        let mut state = State { known: vec![HashSet::new(); wanted.len()], due: VecDeque::new() };
        for (detector, one) in wanted.iter().enumerate() {
            if let (Some(dimensions), Some(namespace)) = (&one.dimensions, &one.namespace) {
                let (metric, namespace) = (one.metric.clone(), namespace.clone());
                let series = Series { namespace, metric, dimensions: dimensions.clone() };
                state.due.push_back(Due { detector, series, not_before: Instant::now() });
            }
        }
        Detectors { wanted, state: RefCell::new(state), busy: Cell::new(false) }
    }

    /// Takes note of series that are sent.
    pub(super) fn note(&self, seen: Vec<Series>) {
        if seen.is_empty() {
            return;
        }
        let State { known, due } = &mut *self.state.borrow_mut();
        for series in seen {
            for (detector, one) in self.wanted.iter().enumerate() {
                let is_it =
                    one.watches(&series.metric) && one.namespace.as_ref().is_none_or(|own| *own == series.namespace);
                let known = &mut known[detector];
                if !is_it || known.contains(&series) {
                    continue;
                }
                if known.len() == one.limit {
                    continue;
                }
                known.insert(series.clone());
                if known.len() == one.limit {
                    tracing::info!(
                        "anomaly detectors for {} series of the metric {} are put, and no more: `limit` is reached",
                        one.limit,
                        one.metric
                    );
                }
                due.push_back(Due { detector, series: series.clone(), not_before: Instant::now() });
            }
        }
    }

    /// Puts some of those that are due.
    pub(super) async fn put(&self, caller: &Caller) {
        if self.wanted.is_empty() || self.busy.replace(true) {
            return;
        }
        let deadline = Instant::now() + PATIENCE;
        for _ in 0..AT_ONCE {
            let next = {
                let mut state = self.state.borrow_mut();
                let ready = state.due.front().is_some_and(|due| due.not_before <= Instant::now());
                if ready { state.due.pop_front() } else { None }
            };
            let Some(due) = next else { break };
            let is_done = timeout_at(deadline, self.put_one(caller, &due)).await.unwrap_or_else(|_| {
                let Series { namespace, metric, .. } = &due.series;
                tracing::warn!("no answer in time about the anomaly detector of {namespace} {metric}: it is put later");
                false
            });
            if !is_done {
                let again = Due { not_before: Instant::now() + AGAIN, ..due };
                self.state.borrow_mut().due.push_back(again);
                // What ails one ails the others.
                break;
            }
        }
        self.busy.set(false);
    }

    /// Puts one; false: it is to be tried again.
    async fn put_one(&self, caller: &Caller, due: &Due) -> bool {
        let wanted = &self.wanted[due.detector];
        let mut body = caller.buffer();
        wanted.write(&due.series, &mut body.bytes);
        let call = Call {
            method: Method::POST,
            path: "/",
            target: None,
            content_type: query::CONTENT_TYPE,
            headers: &[],
            body,
            limit: ANSWER,
        };
        let outcome = match caller.call(call).await {
            Ok(answer) => match ServiceError::of(&answer) {
                // The account has all it may have: that is no throttling.
                Some(error) if error.code.starts_with("LimitExceeded") => {
                    Outcome::Refused { reason: Reason::REJECTED, detail: answer.summary() }
                }
                _ => judge(&answer),
            },
            Err(failure) => failure.into_outcome(),
        };
        let Series { namespace, metric, dimensions } = &due.series;
        match outcome {
            Outcome::Delivered => {
                tracing::info!(
                    "the anomaly detector of {namespace} {metric} {dimensions:?} ({}) is put",
                    wanted.model.stat
                );
                true
            }
            Outcome::Retry { why, .. } => {
                tracing::warn!(
                    "the anomaly detector of {namespace} {metric} can't be put now, and will be tried again: {why}"
                );
                false
            }
            Outcome::Refused { detail, .. } | Outcome::Unidentified { detail, .. } => {
                tracing::warn!("the anomaly detector of {namespace} {metric} {dimensions:?} is refused: {detail}");
                true
            }
            Outcome::Partial(_) | Outcome::TooLarge => {
                tracing::warn!(
                    "the anomaly detector of {namespace} {metric} {dimensions:?} is refused: it is too large"
                );
                true
            }
        }
    }
}
