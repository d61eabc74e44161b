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
    pub(crate) time: i64,
    pub(crate) attributes: Option<NodeRef<'a>>,
    /// `metadata.type`: the type as its source names it.
    pub(crate) source_type: Cow<'a, str>,
    pub(crate) value: Option<f64>,
    pub(crate) values: Option<NodeRef<'a>>,
    pub(crate) count: Option<f64>,
    pub(crate) sum: Option<f64>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    pub(crate) bounds: Option<NodeRef<'a>>,
    pub(crate) buckets: Option<NodeRef<'a>>,
    pub(crate) scale: i64,
    pub(crate) zero_count: f64,
    pub(crate) zero_threshold: f64,
    pub(crate) positive: Side<'a>,
    pub(crate) negative: Side<'a>,
    pub(crate) quantiles: Option<NodeRef<'a>>,
}

/// One side of an exponential histogram.
#[derive(Clone, Copy, Default)]
pub(crate) struct Side<'a> {
    pub(crate) offset: i64,
    pub(crate) buckets: Option<NodeRef<'a>>,
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
    pub(crate) fn is_statsd(&self) -> bool {
        matches!(&*self.source_type, "timer" | "histogram" | "distribution")
    }

    /// Quantiles with their values.
    pub(crate) fn quantiles(&self) -> impl Iterator<Item = (f64, f64)> + 'a {
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
