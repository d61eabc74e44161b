//! A record as a metric point.

use std::borrow::Cow;

use suiro_record::{Batch, Kind, NodeRef, Row};

/// What the output looks at. See `docs/signals.md`.
#[derive(Default)]
pub(super) struct Point<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) kind: Cow<'a, str>,
    pub(super) unit: Cow<'a, str>,
    pub(super) cumulative: bool,
    pub(super) monotonic: bool,
    /// No value was recorded.
    pub(super) unrecorded: bool,
    pub(super) time: i64,
    pub(super) attributes: Option<NodeRef<'a>>,
    /// `metadata.type`: the type as its source names it.
    pub(super) source_type: Cow<'a, str>,
    pub(super) value: Option<f64>,
    pub(super) values: Option<NodeRef<'a>>,
    pub(super) count: Option<f64>,
    pub(super) sum: Option<f64>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    pub(super) bounds: Option<NodeRef<'a>>,
    pub(super) buckets: Option<NodeRef<'a>>,
    pub(super) scale: i64,
    pub(super) zero_count: f64,
    pub(super) zero_threshold: f64,
    pub(super) positive: Side<'a>,
    pub(super) negative: Side<'a>,
    pub(super) quantiles: Option<NodeRef<'a>>,
}

/// One side of an exponential histogram.
#[derive(Clone, Copy, Default)]
pub(super) struct Side<'a> {
    pub(super) offset: i64,
    pub(super) buckets: Option<NodeRef<'a>>,
}

/// The bit of `flags` that says that no value was recorded.
const UNRECORDED: u64 = 1;

// === impl Point ===

impl<'a> Point<'a> {
    /// Reads it.
    pub(super) fn read(batch: &'a Batch, row: &Row) -> Point<'a> {
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
                "attributes" => point.attributes = Some(node).filter(|node| node.kind() == Kind::Object),
                "metadata" => {
                    for node in node.children().filter(|node| node.key() == Some("type")) {
                        point.source_type = text(node);
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
    pub(super) fn is_statsd(&self) -> bool {
        matches!(&*self.source_type, "timer" | "histogram" | "distribution")
    }

    /// Quantiles with their values.
    pub(super) fn quantiles(&self) -> impl Iterator<Item = (f64, f64)> + 'a {
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
