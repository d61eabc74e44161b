//! Series that a filter makes: bounded, and sent on every interval.
//!
//! Points that a filter makes of other records have no origin: what they were made of is many. They stand under a source of
//! the filter's own, whose incarnation is new with each start, at positions that count up. So their ids never repeat, and
//! nobody waits for them: their custody is empty.
//!
//! The time of day comes from the batches (when they were read) and goes on by the clock of the calls in between: filters
//! read no clock of their own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use suiro_record::{Attributes, Batch, EditError, NewValue, Row, Scope, Signal, Source, TimeKind, Value};
use suiro_sdk::{Custody, FilterContext, Flow};

use super::edit::append_data;
use super::{Data, Number, Temporality};

/// Points in a batch that is sent on.
const MAX_POINTS: usize = 4096;
/// Scopes in one.
const MAX_SCOPES: usize = 256;
/// Attribute of the series that stands for all for which there is no room, as OpenTelemetry names it.
const OVERFLOW: &str = "otel.metric.overflow";

/// What a metric is, but for its values.
#[derive(Debug)]
pub(crate) struct What {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) unit: String,
    pub(crate) metadata: Option<Value>,
}

/// A value that stands for many.
#[derive(Clone, Debug)]
pub(crate) struct Exemplar {
    pub(crate) time: i64,
    pub(crate) value: f64,
    pub(crate) trace_id: Option<String>,
    pub(crate) span_id: Option<String>,
}

/// One series.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) what: Arc<What>,
    pub(crate) scope: Arc<Scope>,
    pub(crate) attributes: Attributes,
    pub(crate) data: Data,
    /// Of sums and histograms.
    pub(crate) temporality: Temporality,
    pub(crate) exemplars: Vec<Value>,
    pub(crate) start: Option<i64>,
    /// Of the last value; where the filter's points are of the time they are sent, 0.
    pub(crate) time: i64,
    /// Values that a gauge is the sum of: to be divided by it.
    pub(crate) weight: u64,
    /// Something came since it was last sent.
    pub(crate) fresh: bool,
    pub(crate) seen: Instant,
}

/// What a series begins with.
pub(crate) struct New<'a> {
    pub(crate) what: &'a Arc<What>,
    pub(crate) scope: &'a Arc<Scope>,
    pub(crate) data: Data,
    pub(crate) temporality: Temporality,
}

/// How a table's series are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) interval: Duration,
    pub(crate) max_series: usize,
    /// Cumulative series are forgotten so long after they were last added to.
    pub(crate) expire: Duration,
    /// Cumulative series are sent also when nothing came.
    pub(crate) repeat: bool,
}

/// All series of a filter.
pub(crate) struct Table {
    rules: Rules,
    series: HashMap<Vec<u8>, Series>,
    made: Made,
    next: Option<Instant>,
    /// A time of day, and when it was.
    clock: Option<(i64, Instant)>,
    /// When cumulative series that are made anew begin.
    sent: Option<i64>,
}

/// Where made points say they are from.
pub(crate) struct Made {
    source: Arc<Source>,
    next: u64,
    /// Tag of their batches, unless each has its own.
    tag: Arc<str>,
}

/// Batches that are being made.
#[derive(Default)]
struct Out {
    batches: Vec<Batch>,
    failed: usize,
}

// === impl Exemplar ===

impl Exemplar {
    pub(crate) fn to_value(&self) -> Value {
        let mut members =
            vec![("time".to_owned(), Value::Int(self.time)), ("value".to_owned(), Value::Float(self.value))];
        let mut text = |key: &str, text: &Option<String>| {
            members.extend(text.as_ref().map(|text| (key.to_owned(), Value::Str(text.clone()))));
        };
        text("trace_id", &self.trace_id);
        text("span_id", &self.span_id);
        Value::Object(members)
    }
}

// === impl Made ===

impl Made {
    /// By the filter `name`, with the tag `tag`.
    pub(crate) fn new(name: &str, tag: &str) -> Made {
        Made { source: Arc::new(Source::new(name.into(), rand::random())), next: 0, tag: tag.into() }
    }

    /// A scope for made records: that resource.
    pub(crate) fn scope(&self, resource: Attributes) -> Scope {
        Scope { resource, ..Scope::new(self.source.clone()) }
    }

    /// A scope like `other`, for made records.
    pub(crate) fn scope_like(&self, other: &Scope) -> Scope {
        Scope { source: self.source.clone(), ..other.clone() }
    }

    fn row(&mut self, batch: &mut Batch, time: i64) -> Row {
        let mut row = Row::new(batch.new_object(), time, self.next, self.next + 1);
        row.time_kind = TimeKind::Own;
        self.next += 1;
        row
    }
}

// === impl Table ===

impl Table {
    pub(crate) fn new(rules: Rules, made: Made) -> Self {
        Table { rules, series: HashMap::new(), made, next: None, clock: None, sent: None }
    }

    pub(crate) fn made(&self) -> &Made {
        &self.made
    }

    /// A batch came.
    pub(crate) fn note(&mut self, batch: &Batch, now: Instant) {
        let time = self.time(now).unwrap_or(i64::MIN).max(batch.read_at);
        self.clock = Some((time, now));
        if self.sent.is_none() {
            self.sent = Some(time);
        }
    }

    /// What time it is, if a batch ever came.
    fn time(&self, now: Instant) -> Option<i64> {
        let (time, then) = self.clock?;
        let since = i64::try_from(now.saturating_duration_since(then).as_nanos()).unwrap_or(i64::MAX);
        Some(time.saturating_add(since))
    }

    /// Since when series count that are made now: for deltas, since the last were sent.
    fn start(&self, temporality: Temporality, now: Instant) -> Option<i64> {
        match temporality {
            Temporality::Delta => self.sent,
            Temporality::Cumulative => self.time(now),
        }
    }

    /// A series of a metric that a filter makes, whose number is the key's first byte; or, where it is `beyond` what there
    /// is room for, the one that stands for all of those.
    pub(crate) fn series(
        &mut self,
        key: &[u8],
        beyond: bool,
        now: Instant,
        new: &New<'_>,
        attributes: impl FnOnce() -> Attributes,
    ) -> &mut Series {
        let start = self.start(new.temporality, now);
        let key = if beyond { &key[..1] } else { key };
        self.entry(key, now, |_| Series {
            what: new.what.clone(),
            scope: new.scope.clone(),
            attributes: if beyond { vec![(OVERFLOW.to_owned(), Value::Bool(true))] } else { attributes() },
            data: new.data.clone(),
            temporality: new.temporality,
            exemplars: Vec::new(),
            start,
            time: 0,
            weight: 1,
            fresh: true,
            seen: now,
        })
    }

    /// Whether there is no room for a series of that key.
    pub(crate) fn is_beyond(&self, key: &[u8]) -> bool {
        !self.has(key) && !self.has_room()
    }

    pub(crate) fn has(&self, key: &[u8]) -> bool {
        self.series.contains_key(key)
    }

    /// Whether there is room for another series.
    pub(crate) fn has_room(&self) -> bool {
        self.series.len() < self.rules.max_series
    }

    /// The series of that key, new if need be: the caller has seen to it that there is room.
    pub(crate) fn entry(&mut self, key: &[u8], now: Instant, make: impl FnOnce(&Made) -> Series) -> &mut Series {
        if self.next.is_none() {
            self.next = Some(now + self.rules.interval);
        }
        let Table { series, made, .. } = self;
        let series = series.entry_ref(key).or_insert_with(|| make(made));
        series.fresh = true;
        series.seen = now;
        series
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// The interval is over: sends what there is.
    pub(crate) fn tick(&mut self, cx: &mut FilterContext) {
        let Some(next) = self.next.filter(|next| *next <= cx.now) else { return };
        self.send(cx);
        let passed = cx.now.duration_since(next).as_nanos() / self.rules.interval.as_nanos();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        self.next = (!self.series.is_empty()).then(|| next + self.rules.interval.saturating_mul(passed + 1));
    }

    /// Sends what there is.
    pub(crate) fn send(&mut self, cx: &mut FilterContext) {
        let time = self.time(cx.now).unwrap_or_default();
        let Table { rules, series, made, .. } = self;
        let mut out = Out::default();
        series.retain(|_, series| {
            let keeps = matches!(series.data, Data::Sum { .. } | Data::Histogram(_) | Data::Exponential(_))
                && series.temporality == Temporality::Cumulative;
            if series.fresh || (keeps && rules.repeat) {
                out.push(made, series, time);
            }
            series.fresh = false;
            series.exemplars.clear();
            keeps && cx.now.saturating_duration_since(series.seen) < rules.expire
        });
        self.sent = Some(time);
        cx.failed += out.failed;
        for batch in out.batches.into_iter().filter(|batch| !batch.is_empty()) {
            cx.created += batch.len();
            cx.emit(Flow { batch, custody: Custody::default() });
        }
    }
}

// === impl Out ===

impl Out {
    /// Adds a point.
    fn push(&mut self, made: &mut Made, series: &Series, now: i64) {
        let fits = self
            .batches
            .last()
            .is_some_and(|batch| batch.len() < MAX_POINTS && batch.scopes().len() <= MAX_SCOPES && !batch.is_full());
        if !fits {
            let mut batch = Batch::new(made.tag.clone(), series.scope.clone(), now);
            batch.signal = Signal::Metrics;
            self.batches.push(batch);
        }
        let Some(batch) = self.batches.last_mut() else { return };
        if write(batch, made, series, now).is_ok() {
            return;
        }
        // It has no room, for another key perhaps: a fresh one has.
        let mut batch = Batch::new(made.tag.clone(), series.scope.clone(), now);
        batch.signal = Signal::Metrics;
        self.failed += usize::from(write(&mut batch, made, series, now).is_err());
        self.batches.push(batch);
    }
}

fn write(batch: &mut Batch, made: &mut Made, series: &Series, now: i64) -> Result<(), EditError> {
    let What { name, description, unit, metadata } = &*series.what;
    let time = if series.time == 0 { now } else { series.time };
    let mut row = made.row(batch, time);
    let root = row.root();
    row.scope = batch.try_add_scope(&series.scope).ok_or(EditError::Full)?;
    batch.append(root, "name", NewValue::Str(name))?;
    for (key, text) in [("description", description), ("unit", unit)] {
        if !text.is_empty() {
            batch.append(root, key, NewValue::Str(text))?;
        }
    }
    if let Some(metadata) = metadata {
        batch.append(root, "metadata", NewValue::Tree(metadata))?;
    }
    batch.append(root, "kind", NewValue::Str(series.data.kind()))?;
    if !matches!(series.data, Data::Gauge(_)) {
        batch.append(root, "temporality", NewValue::Str(series.temporality.name()))?;
        if let Some(start) = series.start {
            batch.append(root, "start", NewValue::Int(start.min(time)))?;
        }
    }
    if !series.attributes.is_empty() {
        batch.append(root, "attributes", NewValue::Tree(&Value::Object(series.attributes.clone())))?;
    }
    match &series.data {
        Data::Gauge(sum) if series.weight > 1 => {
            append_data(batch, root, &Data::Gauge(Number::Float(sum.as_f64() / series.weight as f64)))?;
        }
        data => append_data(batch, root, data)?,
    }
    if !series.exemplars.is_empty() {
        batch.append(root, "exemplars", NewValue::Tree(&Value::Array(series.exemplars.clone())))?;
    }
    batch.rows.push(row);
    Ok(())
}
