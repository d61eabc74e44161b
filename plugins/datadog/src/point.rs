//! A record as a metric point.

use std::borrow::Cow;

use suiro_record::{Batch, Kind, NodeRef, Row};

/// What the output looks at. See `docs/signals.md`.
#[derive(Default)]
pub(crate) struct Point<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) kind: Cow<'a, str>,
    pub(crate) unit: Cow<'a, str>,
    pub(crate) cumulative: bool,
    pub(crate) monotonic: bool,
    /// No value was recorded.
    pub(crate) unrecorded: bool,
    pub(crate) start: Option<i64>,
    pub(crate) time: i64,
    pub(crate) attributes: Option<NodeRef<'a>>,
    /// `metadata.type`: the type as its source names it.
    pub(crate) source_type: Cow<'a, str>,
    /// `metadata.interval`, seconds.
    pub(crate) interval: Option<f64>,
    pub(crate) value: Option<f64>,
    pub(crate) values: Option<NodeRef<'a>>,
    pub(crate) count: Option<f64>,
    pub(crate) sum: Option<f64>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    pub(crate) bounds: Option<NodeRef<'a>>,
    pub(crate) buckets: Option<NodeRef<'a>>,
    pub(crate) quantiles: Option<NodeRef<'a>>,
}

/// The bit of `flags` that says that no value was recorded.
const UNRECORDED: u64 = 1;

// === impl Point ===

impl<'a> Point<'a> {
    /// Reads it.
    pub(crate) fn read(batch: &'a Batch, row: &Row) -> Point<'a> {
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
                "quantiles" => point.quantiles = Some(node),
                _ => {}
            }
        }
        point
    }

    /// Whether it is StatsD's: what it counts is of its own window only.
    pub(crate) fn is_statsd(&self) -> bool {
        matches!(&*self.source_type, "timer" | "histogram" | "distribution")
    }

    /// The time it covers, whole seconds.
    pub(crate) fn seconds(&self) -> Option<u64> {
        let covered = self.start.map(|start| self.time.saturating_sub(start) as f64 / 1e9);
        // A cast of a float ends at the bounds of the integer.
        self.interval.or(covered).map(|seconds| seconds.round()).filter(|seconds| *seconds >= 1.0).map(|s| s as u64)
    }
}
