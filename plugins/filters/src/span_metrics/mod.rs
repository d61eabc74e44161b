//! `span_metrics`: of spans, how many there are, how many failed, and how long they take.
//!
//! | setting | |
//! | --- | --- |
//! | `interval` | how often metrics are sent on; default 60 s |
//! | `tag` | of what is sent; default `span_metrics` |
//! | `prefix` | of their names; default `traces.span.metrics` |
//! | `dimensions` | attributes of the span, or of its resource where the span has none, that tell series apart; default: none |
//! | `resource` | attributes of the resource that go along as such, `service.name` in any case; default: `service.name`, `service.namespace`, `service.instance.id`, `deployment.environment.name` |
//! | `temporality` | `"cumulative"` (default) or `"delta"` |
//! | `histogram` | `"explicit"` (default), with `bounds` in seconds; or `"exponential"`, with `max_buckets`, 160 |
//! | `exemplars` | the slowest spans of each series and interval, by trace id; default 1, at most 10; 0 for none |
//! | `max_series` | default 10,000. What is beyond goes to one series with the attribute `otel.metric.overflow` |
//! | `expire` | cumulative series are forgotten so long after their last span; default 15 min |
//!
//! There are two metrics: `<prefix>.calls`, a sum, and `<prefix>.duration`, a histogram in seconds. Their attributes are
//! `service.name`, `span.name`, `span.kind` (`SPAN_KIND_SERVER`), `status.code` (`STATUS_CODE_ERROR`), and the dimensions: those
//! by which Jaeger and Grafana show the state of services.
//!
//! Spans pass on as they are, and are counted whether they are sampled later or not: put it before `tail_sample`. A span
//! without a duration is counted in `calls` only.
//!
//! # Custody
//!
//! It holds no record. A crash loses what was counted since the last interval; with `cumulative`, counts begin anew with
//! each start, and say so by their start time.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use suiro_record::{Attributes, Batch, Path, Resolved, Row, Scope, Signal, Value};
use suiro_sdk::metrics::Counter;
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Filter, FilterContext, FilterFactory, FilterSetup, FilterState, Flow, Metrics, Selection, StartError};

use crate::metric::settings::{Shape, rules, tag, temporality};
use crate::metric::table::{New, Rules};
use crate::metric::{Data, Exemplar, Kept, Made, Number, Resources, Table, Temporality, What};
use crate::spans::{Spans, fixed_path};

#[cfg(test)]
mod tests;

const RESOURCE: [&str; 4] = ["service.name", "service.namespace", "service.instance.id", "deployment.environment.name"];
const SERVICE: &str = "service.name";
/// Which metric a series is of: the first byte of its key.
const CALLS: u8 = 0;
const DURATION: u8 = 1;

/// The filter, as configured.
struct SpanMetrics {
    settings: Arc<Settings>,
    name: OnceLock<Arc<str>>,
    overflow: OnceLock<Counter>,
}

struct Settings {
    rules: Rules,
    tag: String,
    prefix: String,
    dimensions: Vec<Dimension>,
    resource: Vec<String>,
    temporality: Temporality,
    shape: Shape,
    exemplars: usize,
    span_id: Path,
}

/// An attribute that tells series apart.
struct Dimension {
    key: String,
    path: Path,
}

/// The filter at work.
struct Red {
    settings: Arc<Settings>,
    overflow: Counter,
    calls: Arc<What>,
    duration: Arc<What>,
    /// By their bytes: which metric it is, and what tells series apart.
    table: Table,
    resources: Resources,
}

/// Reads the settings.
pub fn build(settings: &Section) -> Result<Box<dyn FilterFactory>, Reported> {
    let dimensions: Vec<String> = settings.list("dimensions");
    let mut resource: Vec<String> = match settings.has("resource") {
        true => settings.list("resource"),
        false => RESOURCE.iter().map(|&key| key.to_owned()).collect(),
    };
    // Services are told apart in any case.
    if !resource.iter().any(|key| key == SERVICE) {
        resource.push(SERVICE.to_owned());
    }
    for key in ["dimensions", "resource"] {
        let list = if key == "dimensions" { &dimensions } else { &resource };
        if list.len() > 32 || list.iter().any(String::is_empty) {
            settings.error_at(key, format!("`{key}` must be up to 32 names of attributes"), "");
        }
    }
    let read = Settings {
        rules: rules(settings, true),
        tag: tag(settings, "span_metrics"),
        prefix: settings.or("prefix", "traces.span.metrics".to_owned()),
        dimensions: dimensions.into_iter().map(Dimension::new).collect(),
        resource,
        temporality: temporality(settings),
        shape: Shape::read(settings),
        exemplars: settings.within("exemplars", 0..=10_usize).unwrap_or(1),
        span_id: fixed_path("@span_id"),
    };
    if read.prefix.is_empty() {
        settings.error_at("prefix", "`prefix` is empty", "");
    }
    settings.finish()?;
    Ok(Box::new(SpanMetrics { settings: Arc::new(read), name: OnceLock::new(), overflow: OnceLock::new() }))
}

impl FilterFactory for SpanMetrics {
    fn start(&self, setup: FilterSetup) -> Result<(), StartError> {
        let _ = self.name.set(setup.name.clone());
        let _ = self.overflow.set(overflow_counter(&setup.metrics, &setup.name));
        Ok(())
    }

    fn state(&self) -> FilterState {
        FilterState::Shared
    }

    fn instance(&self) -> Box<dyn Filter> {
        let settings = self.settings.clone();
        let name = self.name.get().map_or("span_metrics", |name| name);
        let what = |suffix: &str, description: &str, unit: &str| {
            Arc::new(What {
                name: format!("{}.{suffix}", settings.prefix),
                description: description.to_owned(),
                unit: unit.to_owned(),
                metadata: None,
            })
        };
        let table = Table::new(settings.rules, Made::new(name, &settings.tag));
        Box::new(Red {
            overflow: self.overflow.get().cloned().unwrap_or_else(|| overflow_counter(&Metrics::default(), name)),
            calls: what("calls", "Spans", "{call}"),
            duration: what("duration", "Durations of spans", "s"),
            resources: Resources::new(table.made(), "suiro.span_metrics", settings.resource.clone()),
            table,
            settings,
        })
    }
}

fn overflow_counter(metrics: &Metrics, filter: &str) -> Counter {
    let help = "Spans counted in the overflow series, since there was no room for another one";
    metrics.counter("suiro_span_metrics_overflow_total", help, &[("filter", filter)])
}

impl Filter for Red {
    fn apply(&mut self, flow: &mut Flow, rows: &Selection, cx: &mut FilterContext) {
        if flow.batch.signal != Signal::Traces {
            return;
        }
        self.table.note(&flow.batch, cx.now);
        let settings = self.settings.clone();
        let batch = &flow.batch;
        let spans = Spans::of(batch);
        let paths: Vec<Resolved<'_>> =
            settings.dimensions.iter().map(|dimension| batch.resolve(&dimension.path)).collect();
        let span_id = batch.resolve(&settings.span_id);
        let mut kept: Vec<Option<Kept>> = vec![None; batch.scopes().len()];
        let mut key = Vec::new();
        let Red { table, resources, overflow, calls, duration, .. } = self;
        for at in rows.iter(batch.len()) {
            let row = &batch.rows[at];
            let slot = &mut kept[usize::from(row.scope)];
            let (scope, resource) = slot.get_or_insert_with(|| resources.kept(table.made(), batch.scope(row)));
            key.clear();
            key.push(CALLS);
            key.extend_from_slice(resource);
            for text in [&*spans.name(row), &*spans.kind(row), &*spans.status(row)] {
                key.extend_from_slice(text.as_bytes());
                key.push(0xff);
            }
            for (dimension, path) in settings.dimensions.iter().zip(&paths) {
                if let Some(value) = dimension.of(batch, row, path) {
                    value.write_json(&mut key);
                }
                key.push(0xff);
            }
            let attributes = || attributes_of(&settings, scope, &spans, batch, row, &paths);
            let beyond = table.is_beyond(&key);
            overflow.add(u64::from(beyond));
            let scope = if beyond { &resources.none } else { &*scope };
            let temporality = settings.temporality;
            let one = Data::Sum { value: Number::Int(0), monotonic: true };
            let new = New { what: calls, scope, data: one, temporality };
            if let Data::Sum { value, .. } = &mut table.series(&key, beyond, cx.now, &new, attributes).data {
                *value = value.plus(Number::Int(1));
            }
            let Some((start, end)) = spans.times(row) else { continue };
            let seconds = end.saturating_sub(start) as f64 / 1e9;
            key[0] = DURATION;
            let new = New { what: duration, scope, data: settings.shape.empty(), temporality };
            let duration = table.series(&key, beyond, cx.now, &new, attributes);
            settings.shape.record(&mut duration.data, seconds);
            keep_slowest(&mut duration.exemplars, settings.exemplars, seconds, || Exemplar {
                time: end,
                value: seconds,
                trace_id: spans.trace_id(row).map(|id| format!("{id:032x}")),
                span_id: batch.get(row, &span_id).and_then(|id| id.as_str()).map(|id| id.into_owned()),
            });
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

// === impl Dimension ===

impl Dimension {
    fn new(key: String) -> Self {
        let quoted = key.replace('\\', "\\\\").replace('"', "\\\"");
        let path = Path::parse(&format!("attributes.\"{quoted}\"")).unwrap_or_else(|_| fixed_path("attributes"));
        Dimension { key, path }
    }

    fn of(&self, batch: &Batch, row: &Row, path: &Resolved<'_>) -> Option<Value> {
        match batch.get(row, path) {
            Some(field) => Some(field.to_value()),
            None => batch.scope(row).resource.iter().rev().find(|(key, _)| *key == self.key).map(|(_, v)| v.clone()),
        }
    }
}

fn attributes_of(
    settings: &Settings,
    scope: &Scope,
    spans: &Spans<'_>,
    batch: &Batch,
    row: &Row,
    paths: &[Resolved<'_>],
) -> Attributes {
    let kind = match &*spans.kind(row) {
        "server" => "SPAN_KIND_SERVER",
        "client" => "SPAN_KIND_CLIENT",
        "producer" => "SPAN_KIND_PRODUCER",
        "consumer" => "SPAN_KIND_CONSUMER",
        "internal" => "SPAN_KIND_INTERNAL",
        _ => "SPAN_KIND_UNSPECIFIED",
    };
    let status = match &*spans.status(row) {
        "ok" => "STATUS_CODE_OK",
        "error" => "STATUS_CODE_ERROR",
        _ => "STATUS_CODE_UNSET",
    };
    let service = scope.resource.iter().find(|(key, _)| key == SERVICE).cloned();
    let own = [("span.name", &*spans.name(row)), ("span.kind", kind), ("status.code", status)];
    let own = own.into_iter().map(|(key, value)| (key.to_owned(), Value::from(value)));
    let dimensions = settings.dimensions.iter().zip(paths);
    let dimensions =
        dimensions.filter_map(|(dimension, path)| Some((dimension.key.clone(), dimension.of(batch, row, path)?)));
    service.into_iter().chain(own).chain(dimensions).collect()
}

/// Keeps the slowest few.
fn keep_slowest(exemplars: &mut Vec<Value>, most: usize, value: f64, make: impl FnOnce() -> Exemplar) {
    let value_of = |exemplar: &Value| match exemplar.get("value") {
        Some(Value::Float(value)) => *value,
        _ => 0.0,
    };
    if exemplars.len() < most {
        exemplars.push(make().to_value());
        return;
    }
    let least = exemplars.iter_mut().min_by(|a, b| value_of(a).total_cmp(&value_of(b)));
    if let Some(least) = least.filter(|least| value_of(least) < value) {
        *least = make().to_value();
    }
}
