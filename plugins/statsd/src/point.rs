//! A metric point as a record: `docs/signals.md`.

use suiro_sdk::record::{Batch, EditError, NewValue, Row, TimeKind, Value};

use crate::parse::{Kind, Metric, Tags};
use crate::sketch::Sketch;

/// A point to be written.
#[derive(Debug)]
pub(crate) struct Point<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: Kind,
    pub(crate) tags: Tags<'a>,
    /// When the window began, nanoseconds since 1970.
    pub(crate) start: Option<i64>,
    /// When it ended, or what the line says.
    pub(crate) time: i64,
    pub(crate) worth: Worth<'a>,
}

/// What was counted.
#[derive(Debug)]
pub(crate) enum Worth<'a> {
    Count(f64),
    Rate { per_second: f64, interval: f64 },
    Gauge(f64),
    Set(usize),
    Summary { sketch: &'a Sketch, quantiles: &'a [f64] },
    Histogram { sketch: &'a Sketch, bounds: &'a [f64], counts: &'a [f64] },
    Values(&'a [f64]),
}

/// A map of text to value.
fn map<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// A number as the integer it is, if it is one.
fn number(value: f64) -> Value {
    // Beyond 2^53 a float says less than its digits.
    if value.fract() == 0.0 && value.abs() < 9e15 { Value::Int(value as i64) } else { Value::Float(value) }
}

fn floats(values: impl IntoIterator<Item = f64>) -> Value {
    Value::Array(values.into_iter().map(Value::Float).collect())
}

/// Tags as attributes: one without a value is `true`.
pub(crate) fn attributes(tags: Tags<'_>) -> Vec<(String, Value)> {
    let tag = |(key, value): (&str, Option<&str>)| (key.to_owned(), value.map_or(Value::Bool(true), Value::from));
    let container = tags.container.map(|id| ("container.id".to_owned(), Value::from(id)));
    tags.iter().map(tag).chain(container).collect()
}

// === impl Point ===

impl Point<'_> {
    /// Appends the record, number `at` of its origin.
    pub(crate) fn write(&self, batch: &mut Batch, at: u64) -> Result<(), EditError> {
        let root = batch.new_object();
        let mut put = |key: &str, value: NewValue<'_>| batch.append(root, key, value);
        put("name", NewValue::Str(self.name))?;
        if self.kind == Kind::Timer && !matches!(self.worth, Worth::Rate { .. }) {
            put("unit", NewValue::Str("ms"))?;
        }
        put("kind", NewValue::Str(self.worth.kind()))?;
        if let Worth::Count(_) | Worth::Histogram { .. } = self.worth {
            put("temporality", NewValue::Str("delta"))?;
        }
        if let Worth::Count(_) = self.worth {
            put("monotonic", NewValue::Bool(true))?;
        }
        if let Some(start) = self.start {
            put("start", NewValue::Int(start))?;
        }
        let attributes = Value::Object(attributes(self.tags));
        put("attributes", NewValue::Tree(&attributes))?;
        let kind = match self.kind {
            Kind::Count if matches!(self.worth, Worth::Rate { .. }) => Some("rate"),
            Kind::Count => Some("count"),
            Kind::Gauge => None,
            Kind::Timer => Some("timer"),
            Kind::Histogram => Some("histogram"),
            Kind::Distribution => Some("distribution"),
            Kind::Set => Some("set"),
        };
        match (kind, &self.worth) {
            (Some(kind), Worth::Rate { interval, .. }) => {
                let metadata = map([("type", kind.into()), ("interval", Value::Float(*interval))]);
                put("metadata", NewValue::Tree(&metadata))?;
            }
            (Some(kind), _) => put("metadata", NewValue::Tree(&map([("type", kind.into())])))?,
            (None, _) => {}
        }
        match &self.worth {
            Worth::Count(value) | Worth::Gauge(value) => put("value", NewValue::Tree(&number(*value)))?,
            Worth::Rate { per_second, .. } => put("value", NewValue::Float(*per_second))?,
            Worth::Set(members) => put("value", NewValue::Uint(*members as u64))?,
            Worth::Summary { sketch, quantiles } => {
                put("count", NewValue::Uint(sketch.count.round() as u64))?;
                put("sum", NewValue::Float(sketch.sum))?;
                let quantile = |at: &f64| {
                    let value = match *at {
                        0.0 => sketch.min,
                        1.0 => sketch.max,
                        at => sketch.quantile(at),
                    };
                    map([("quantile", Value::Float(*at)), ("value", Value::Float(value.unwrap_or_default()))])
                };
                put("quantiles", NewValue::Tree(&Value::Array(quantiles.iter().map(quantile).collect())))?;
            }
            Worth::Histogram { sketch, bounds, counts } => {
                // Each bucket is rounded; the count is their sum, as whoever reads it expects.
                let counts: Vec<u64> = counts.iter().map(|count| count.round() as u64).collect();
                put("count", NewValue::Uint(counts.iter().sum()))?;
                put("sum", NewValue::Float(sketch.sum))?;
                for (key, value) in [("min", sketch.min), ("max", sketch.max)] {
                    if let Some(value) = value {
                        put(key, NewValue::Float(value))?;
                    }
                }
                put("bounds", NewValue::Tree(&floats(bounds.iter().copied())))?;
                put("buckets", NewValue::Tree(&Value::Array(counts.into_iter().map(Value::Uint).collect())))?;
            }
            Worth::Values(values) => put("values", NewValue::Tree(&floats(values.iter().copied())))?,
        }
        let mut row = Row::new(root, self.time, at, at + 1);
        row.time_kind = TimeKind::Own;
        batch.rows.push(row);
        Ok(())
    }
}

// === impl Worth ===

impl Worth<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Worth::Count(_) => "sum",
            Worth::Rate { .. } | Worth::Gauge(_) | Worth::Set(_) => "gauge",
            Worth::Summary { .. } | Worth::Values(_) => "summary",
            Worth::Histogram { .. } => "histogram",
        }
    }
}

/// Writes each value of a line as a point of its own. Says how many.
pub(crate) fn write_each(metric: &Metric<'_>, now: i64, batch: &mut Batch, at: u64) -> Result<u64, EditError> {
    let time = metric.timestamp.map_or(now, |seconds| seconds.saturating_mul(1_000_000_000));
    let mut written = 0;
    let mut point = |kind, worth| {
        let point = Point { name: metric.name, kind, tags: metric.tags, start: None, time, worth };
        point.write(batch, at + written)?;
        written += 1;
        Ok(())
    };
    match metric.kind {
        Kind::Set => point(Kind::Set, Worth::Set(1))?,
        Kind::Count => {
            metric.numbers().try_for_each(|(value, _)| point(Kind::Count, Worth::Count(value / metric.rate)))?;
        }
        Kind::Gauge => metric.numbers().try_for_each(|(value, _)| point(Kind::Gauge, Worth::Gauge(value)))?,
        kind => {
            let values: Vec<f64> = metric.numbers().map(|(value, _)| value).collect();
            point(kind, Worth::Values(&values))?;
        }
    }
    Ok(written)
}
