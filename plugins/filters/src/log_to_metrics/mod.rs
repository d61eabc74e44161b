//! `log_to_metrics`: counters, gauges and histograms of what logs say.
//!
//! | setting | |
//! | --- | --- |
//! | `metric` | a list of metrics, required: see below |
//! | `logs` | `"keep"` (default): logs go on. `"drop"`: those that went into a metric are dropped, as `filtered` |
//! | `interval` | how often metrics are sent on; default 60 s |
//! | `tag` | of what is sent; default `log_metrics` |
//! | `resource` | attributes of the resource that go along as such, and tell series apart; default: `service.name`, `service.namespace`, `host.name` |
//! | `temporality` | `"cumulative"` (default) or `"delta"` |
//! | `max_series` | default 10,000, of all metrics. What is beyond goes to one series a metric, with the attribute `otel.metric.overflow` |
//! | `expire` | cumulative series are forgotten so long after their last record; default 15 min |
//!
//! A metric:
//!
//! | setting | |
//! | --- | --- |
//! | `name` | required; with `description` and `unit` |
//! | `kind` | `"counter"` (default), `"gauge"` (the last value), `"histogram"` |
//! | `value` | the field that is added, set or taken in; a number, or a text that says one. Required but for counters, which count records without it |
//! | `when` | which records; default: all |
//! | `labels` | attributes: their names, and texts with fields in them. Where a field is missing, so is the attribute |
//! | `histogram`, `bounds`, `max_buckets` | of histograms: `"explicit"` with `bounds` (default: OpenTelemetry's for seconds), or `"exponential"` |
//!
//! A record that has no such value, or less than 0 for a counter, counts as `failed` and does not go into that metric. Values of
//! labels are cut at 1 KiB.
//!
//! # Custody
//!
//! It holds no record: with `logs = "drop"`, what a record said is counted and the record is settled. A crash loses what was
//! counted since the last interval.

#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use suiro_record::{Attributes, Path, PathRoot, Signal};
use suiro_sdk::lang::{Condition, Template};
use suiro_sdk::ledger::Reason;
use suiro_sdk::metrics::Counter;
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Filter, FilterContext, FilterFactory, FilterSetup, FilterState, Flow, Metrics, Selection, StartError};

use crate::metric::settings::{Shape, rules, tag, temporality};
use crate::metric::table::{New, Rules};
use crate::metric::{Data, Kept, Made, Number, Resources, Series, Table, Temporality, What};

const RESOURCE: [&str; 3] = ["service.name", "service.namespace", "host.name"];
/// Longest value of a label, bytes.
const MAX_LABEL: usize = 1024;
/// Metrics of one filter.
const MAX_METRICS: usize = 250;

/// The filter, as configured.
struct LogToMetrics {
    settings: Arc<Settings>,
    name: OnceLock<Arc<str>>,
    overflow: OnceLock<Counter>,
}

struct Settings {
    metrics: Vec<Metric>,
    drop_logs: bool,
    rules: Rules,
    tag: String,
    resource: Vec<String>,
    temporality: Temporality,
}

struct Metric {
    what: Arc<What>,
    kind: Kind,
    value: Option<Path>,
    when: Option<Condition>,
    labels: Vec<(String, Template)>,
}

enum Kind {
    Counter,
    Gauge,
    Histogram(Shape),
}

/// The filter at work.
struct Counting {
    settings: Arc<Settings>,
    overflow: Counter,
    table: Table,
    resources: Resources,
}

/// Reads the settings.
pub fn build(settings: &Section) -> Result<Box<dyn FilterFactory>, Reported> {
    let sections = settings.sections("metric");
    if sections.is_empty() && !settings.has("metric") {
        settings.missing("metric", "[{ name = \"requests\", labels = { path = \"{path}\" } }]");
    } else if !(1..=MAX_METRICS).contains(&sections.len()) {
        settings.error_at("metric", format!("`metric` must be from 1 to {MAX_METRICS} metrics"), "");
    }
    let metrics: Vec<Result<Metric, Reported>> = sections.iter().map(Metric::read).collect();
    let resource = match settings.has("resource") {
        true => settings.list("resource"),
        false => RESOURCE.iter().map(|&key| key.to_owned()).collect(),
    };
    let drop_logs = settings.choice("logs", &[("keep", false), ("drop", true)]).unwrap_or_default();
    let rules = rules(settings, true);
    let tag = tag(settings, "log_metrics");
    let temporality = temporality(settings);
    settings.finish()?;
    let metrics = metrics.into_iter().collect::<Result<_, _>>()?;
    let settings = Settings { metrics, drop_logs, rules, tag, resource, temporality };
    Ok(Box::new(LogToMetrics { settings: Arc::new(settings), name: OnceLock::new(), overflow: OnceLock::new() }))
}

// === impl Metric ===

impl Metric {
    fn read(settings: &Section) -> Result<Metric, Reported> {
        let name = settings.require::<String>("name", "\"http.requests\"");
        let description = settings.or("description", String::new());
        let unit = settings.or("unit", String::new());
        let kinds = [("counter", 0), ("gauge", 1), ("histogram", 2)];
        let kind = match settings.choice("kind", &kinds) {
            Some(2) => Kind::Histogram(Shape::read(settings)),
            Some(1) => Kind::Gauge,
            _ => Kind::Counter,
        };
        let value = settings.get::<Path>("value");
        if !settings.has("value") && !matches!(kind, Kind::Counter) {
            settings.missing("value", "\"duration\"");
        }
        let when = settings.get::<Condition>("when");
        let labels: Vec<(String, Template)> = settings.map("labels");
        if name.as_ref().is_ok_and(String::is_empty) {
            settings.error_at("name", "`name` is empty", "");
        }
        if value.as_ref().is_some_and(|path| matches!(path.root(), PathRoot::Tag | PathRoot::Input | PathRoot::Signal))
        {
            settings.error_at("value", "`value` must name a field that is a number", "");
        }
        settings.finish()?;
        let what = Arc::new(What { name: name?, description, unit, metadata: None });
        Ok(Metric { what, kind, value, when, labels })
    }

    fn empty(&self) -> Data {
        match &self.kind {
            Kind::Counter => Data::Sum { value: Number::Int(0), monotonic: true },
            Kind::Gauge => Data::Gauge(Number::Int(0)),
            Kind::Histogram(shape) => shape.empty(),
        }
    }

    /// Takes in a value of the time `time`.
    fn add(&self, series: &mut Series, value: Number, time: i64) {
        match (&mut series.data, &self.kind) {
            (Data::Sum { value: sum, .. }, _) => *sum = sum.plus(value),
            (Data::Gauge(last), _) if time >= series.time => {
                *last = value;
                series.time = time;
            }
            (Data::Gauge(_), _) => {}
            (data, Kind::Histogram(shape)) => shape.record(data, value.as_f64()),
            _ => {}
        }
    }
}

// === impl LogToMetrics ===

impl FilterFactory for LogToMetrics {
    fn start(&self, setup: FilterSetup) -> Result<(), StartError> {
        let _ = self.name.set(setup.name.clone());
        let _ = self.overflow.set(overflow_counter(&setup.metrics, &setup.name));
        Ok(())
    }

    fn state(&self) -> FilterState {
        FilterState::Shared
    }

    fn instance(&self) -> Box<dyn Filter> {
        let name = self.name.get().map_or("log_to_metrics", |name| name);
        let table = Table::new(self.settings.rules, Made::new(name, &self.settings.tag));
        Box::new(Counting {
            settings: self.settings.clone(),
            overflow: self.overflow.get().cloned().unwrap_or_else(|| overflow_counter(&Metrics::default(), name)),
            resources: Resources::new(table.made(), "suiro.log_to_metrics", self.settings.resource.clone()),
            table,
        })
    }
}

fn overflow_counter(metrics: &Metrics, filter: &str) -> Counter {
    let help = "Values that went into an overflow series, since there was no room for another one";
    metrics.counter("suiro_log_to_metrics_overflow_total", help, &[("filter", filter)])
}

impl Filter for Counting {
    fn apply(&mut self, flow: &mut Flow, rows: &Selection, cx: &mut FilterContext) {
        if flow.batch.signal != Signal::Logs {
            return;
        }
        self.table.note(&flow.batch, cx.now);
        let settings = self.settings.clone();
        let batch = &flow.batch;
        let Counting { table, resources, overflow, .. } = self;
        let mut kept: Vec<Option<Kept>> = vec![None; batch.scopes().len()];
        let mut counted = vec![false; batch.len()];
        let mut failed = vec![false; batch.len()];
        let (mut key, mut text) = (Vec::new(), Vec::new());
        for (number, metric) in settings.metrics.iter().enumerate() {
            let when = metric.when.as_ref().map(|when| when.prepare(batch));
            let value_path = metric.value.as_ref().map(|path| batch.resolve(path));
            let labels: Vec<_> = metric.labels.iter().map(|(_, template)| template.prepare(batch)).collect();
            for at in rows.iter(batch.len()) {
                let row = &batch.rows[at];
                if when.as_ref().is_some_and(|when| !when.matches(batch, row)) {
                    continue;
                }
                let value = match &value_path {
                    None => Some(Number::Int(1)),
                    Some(path) => batch.get(row, path).and_then(Number::said_by),
                };
                let value =
                    value.filter(|value| !(matches!(metric.kind, Kind::Counter) && value.is_less(Number::Int(0))));
                let Some(value) = value else {
                    failed[at] = true;
                    continue;
                };
                counted[at] = true;
                let slot = &mut kept[usize::from(row.scope)];
                let (scope, resource) = slot.get_or_insert_with(|| resources.kept(table.made(), batch.scope(row)));
                key.clear();
                key.push(number as u8);
                key.extend_from_slice(resource);
                let mut attributes = Attributes::new();
                for ((name, _), label) in metric.labels.iter().zip(&labels) {
                    text.clear();
                    if label.render(batch, row, &mut text).is_ok() {
                        let text = cut(&text);
                        key.extend_from_slice(text.as_bytes());
                        attributes.push((name.clone(), text.into()));
                    } else {
                        // No text has this byte.
                        key.push(0xfe);
                    }
                    key.push(0xff);
                }
                let beyond = table.is_beyond(&key);
                overflow.add(u64::from(beyond));
                let scope = if beyond { &resources.none } else { &*scope };
                let new = New { what: &metric.what, scope, data: metric.empty(), temporality: settings.temporality };
                metric.add(table.series(&key, beyond, cx.now, &new, || attributes), value, row.time);
            }
        }
        cx.failed += failed.iter().filter(|&&failed| failed).count();
        if settings.drop_logs {
            let mut counted = counted.iter();
            let before = flow.batch.rows.len();
            flow.batch.rows.retain(|_| !counted.next().is_some_and(|&counted| counted));
            cx.drop_records(Reason::FILTERED, before - flow.batch.rows.len());
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.table.deadline()
    }

    fn tick(&mut self, cx: &mut FilterContext) {
        self.table.tick(cx);
        self.resources.forget();
    }

    fn flush(&mut self, cx: &mut FilterContext) {
        self.table.send(cx);
    }
}

/// A text of at most [`MAX_LABEL`] bytes.
fn cut(text: &[u8]) -> &str {
    let text = std::str::from_utf8(text).unwrap_or_default();
    let mut end = text.len().min(MAX_LABEL);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
