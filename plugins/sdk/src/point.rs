//! A metric point as outputs read it: the fields of `docs/signals.md`, each as its record has it.
//!
//! Lists and maps are not copied. A text, a number or a boolean of another type than its field's is as if it were absent, and
//! so are `attributes` and `values`; whoever looks into another list or map finds what is there.

use std::borrow::Cow;

use suiro_record::{Batch, Kind, NodeRef, Row};

/// A point. What is absent has its default.
#[derive(Default)]
pub struct Point<'a> {
    /// `name`
    pub name: Cow<'a, str>,
    /// `gauge`, `sum`, `histogram`, …
    pub kind: Cow<'a, str>,
    /// `unit`
    pub unit: Cow<'a, str>,
    /// `temporality` is `cumulative`.
    pub cumulative: bool,
    /// `monotonic`
    pub monotonic: bool,
    /// No value was recorded.
    pub unrecorded: bool,
    /// Nanoseconds since the epoch.
    pub start: Option<i64>,
    /// Nanoseconds since the epoch.
    pub time: i64,
    /// `attributes`, a map.
    pub attributes: Option<NodeRef<'a>>,
    /// `metadata.type`: the type as its source names it.
    pub source_type: Cow<'a, str>,
    /// `metadata.interval`, seconds.
    pub interval: Option<f64>,
    /// `value`
    pub value: Option<f64>,
    /// `values`, a list: single values that were not aggregated.
    pub values: Option<NodeRef<'a>>,
    /// `count`
    pub count: Option<f64>,
    /// `sum`
    pub sum: Option<f64>,
    /// `min`
    pub min: Option<f64>,
    /// `max`
    pub max: Option<f64>,
    /// `bounds` of a histogram's buckets.
    pub bounds: Option<NodeRef<'a>>,
    /// `buckets`: what a histogram counted in each.
    pub buckets: Option<NodeRef<'a>>,
    /// `scale` of an exponential histogram, and what else it has.
    pub scale: i64,
    /// `zero_count`
    pub zero_count: f64,
    /// `zero_threshold`
    pub zero_threshold: f64,
    /// `positive`
    pub positive: Side<'a>,
    /// `negative`
    pub negative: Side<'a>,
    /// `quantiles` of a summary; see [`Point::quantiles`].
    pub quantiles: Option<NodeRef<'a>>,
}

/// One side of an exponential histogram.
#[derive(Clone, Copy, Default)]
pub struct Side<'a> {
    /// Index of the first bucket.
    pub offset: i64,
    /// What was counted in each.
    pub buckets: Option<NodeRef<'a>>,
}

/// The bit of `flags` that says that no value was recorded.
const UNRECORDED: u64 = 1;

// === impl Point ===

impl<'a> Point<'a> {
    /// Reads it.
    pub fn read(batch: &'a Batch, row: &Row) -> Point<'a> {
        let mut point = Point { time: row.time, ..Point::default() };
        let text = |node: NodeRef<'a>| node.as_str().unwrap_or_default();
        for node in batch.body(row.root()).children() {
            match node.key().unwrap_or_default() {
                "name" => point.name = text(node),
                "kind" => point.kind = text(node),
                "unit" => point.unit = text(node),
                "temporality" => point.cumulative = node.str_eq("cumulative"),
                "monotonic" => point.monotonic = node.as_bool() == Some(true),
                "flags" => point.unrecorded = node.as_u64().is_some_and(|flags| flags & UNRECORDED != 0),
                "start" => point.start = node.as_i64(),
                "attributes" => point.attributes = Some(node).filter(|node| node.kind() == Kind::Object),
                "metadata" => {
                    for node in node.children() {
                        match node.key().unwrap_or_default() {
                            "type" => point.source_type = text(node),
                            "interval" => point.interval = node.as_f64(),
                            _ => {}
                        }
                    }
                }
                "value" => point.value = node.as_f64(),
                "values" => point.values = Some(node).filter(|node| node.kind() == Kind::Array),
                "count" => point.count = node.as_f64(),
                "sum" => point.sum = node.as_f64(),
                "min" => point.min = node.as_f64(),
                "max" => point.max = node.as_f64(),
                "bounds" => point.bounds = Some(node),
                "buckets" => point.buckets = Some(node),
                "scale" => point.scale = node.as_i64().unwrap_or(0),
                "zero_count" => point.zero_count = node.as_f64().unwrap_or(0.0),
                "zero_threshold" => point.zero_threshold = node.as_f64().unwrap_or(0.0),
                "positive" => point.positive = Side::read(node),
                "negative" => point.negative = Side::read(node),
                "quantiles" => point.quantiles = Some(node),
                _ => {}
            }
        }
        point
    }

    /// Whether it is StatsD's: what it counts is of its own window only.
    pub fn is_statsd(&self) -> bool {
        matches!(&*self.source_type, "timer" | "histogram" | "distribution")
    }

    /// The time it covers, whole seconds; `None` below one.
    pub fn seconds(&self) -> Option<u64> {
        let covered = self.start.map(|start| self.time.saturating_sub(start) as f64 / 1e9);
        // A cast of a float ends at the bounds of the integer.
        self.interval.or(covered).map(|seconds| seconds.round()).filter(|seconds| *seconds >= 1.0).map(|s| s as u64)
    }

    /// Quantiles with their values.
    pub fn quantiles(&self) -> impl Iterator<Item = (f64, f64)> + 'a {
        self.quantiles.into_iter().flat_map(NodeRef::children).map(|quantile| {
            let member = |name| quantile.children().find(|node| node.key() == Some(name)).and_then(NodeRef::as_f64);
            // What is 0 may be left out.
            (member("quantile").unwrap_or(0.0), member("value").unwrap_or(0.0))
        })
    }
}

// === impl Side ===

impl<'a> Side<'a> {
    fn read(node: NodeRef<'a>) -> Side<'a> {
        let mut side = Side::default();
        for node in node.children() {
            match node.key().unwrap_or_default() {
                "offset" => side.offset = node.as_i64().unwrap_or(0),
                "buckets" => side.buckets = Some(node),
                _ => {}
            }
        }
        side
    }
}
