//! A metric point, read from its record.

use std::borrow::Cow;

use suiro_record::{Batch, Kind as FieldKind, NodeRef, Row};

use crate::text::Type;

/// A point. What is absent has its default.
#[derive(Clone, Debug)]
pub(crate) struct Point<'b> {
    pub(crate) name: Cow<'b, str>,
    pub(crate) description: Cow<'b, str>,
    pub(crate) unit: Cow<'b, str>,
    pub(crate) kind: Type,
    pub(crate) delta: bool,
    /// Nanoseconds since the epoch; 0 if it is not known.
    pub(crate) start: i64,
    pub(crate) time: i64,
    /// There is no value any more.
    pub(crate) stale: bool,
    pub(crate) attributes: Option<NodeRef<'b>>,
    pub(crate) exemplars: Option<NodeRef<'b>>,
    pub(crate) data: Data,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    /// No value: the point carries exemplars, or says that it has none.
    Nothing,
    Number(f64),
    Histogram(Histogram),
    Exponential(Exponential),
    Summary(Summary),
}

/// Buckets with bounds; one more than these, the last is what is above all.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Histogram {
    pub(crate) count: u64,
    pub(crate) sum: Option<f64>,
    pub(crate) bounds: Vec<f64>,
    pub(crate) buckets: Vec<u64>,
}

/// Buckets on a scale of powers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Exponential {
    pub(crate) count: u64,
    pub(crate) sum: Option<f64>,
    pub(crate) scale: i32,
    pub(crate) zero_count: u64,
    pub(crate) zero_threshold: f64,
    pub(crate) positive: Side,
    pub(crate) negative: Side,
}

/// Buckets that follow each other, from `offset` on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Side {
    pub(crate) offset: i32,
    pub(crate) buckets: Vec<u64>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Summary {
    pub(crate) count: Option<u64>,
    pub(crate) sum: Option<f64>,
    pub(crate) quantiles: Vec<(f64, f64)>,
}

/// An exemplar, as it stands in a record.
#[derive(Clone, Debug)]
pub(crate) struct Exemplar<'b> {
    pub(crate) time: i64,
    pub(crate) value: f64,
    /// `trace_id` and `span_id` among them.
    pub(crate) labels: Vec<(Cow<'b, str>, Cow<'b, str>)>,
}

// === impl Exponential ===

impl Exponential {
    /// The same on a coarser scale: pairs of buckets are joined.
    pub(crate) fn coarsen(&mut self, scale: i32) {
        let steps = self.scale.saturating_sub(scale).clamp(0, 31);
        if steps == 0 {
            return;
        }
        self.scale -= steps;
        for side in [&mut self.positive, &mut self.negative] {
            let first = side.offset >> steps;
            let mut joined: Vec<u64> = Vec::new();
            for (i, &n) in side.buckets.iter().enumerate() {
                let at = (((i64::from(side.offset) + i as i64) >> steps) - i64::from(first)) as usize;
                if joined.len() <= at {
                    joined.resize(at + 1, 0);
                }
                joined[at] = joined[at].saturating_add(n);
            }
            (side.offset, side.buckets) = (first, joined);
        }
    }

    /// Adds what another one counted. `false`, and nothing is added: together they would have too many buckets.
    pub(crate) fn add(&mut self, mut other: Exponential) -> bool {
        let scale = self.scale.min(other.scale);
        other.coarsen(scale);
        self.coarsen(scale);
        if !self.positive.fits(&other.positive) || !self.negative.fits(&other.negative) {
            return false;
        }
        self.positive.add(&other.positive);
        self.negative.add(&other.negative);
        self.count = self.count.saturating_add(other.count);
        self.zero_count = self.zero_count.saturating_add(other.zero_count);
        self.zero_threshold = self.zero_threshold.max(other.zero_threshold);
        self.sum = self.sum.zip(other.sum).map(|(a, b)| a + b);
        true
    }
}

impl Side {
    fn range(&self) -> (i64, i64) {
        (i64::from(self.offset), i64::from(self.offset) + self.buckets.len() as i64)
    }

    fn fits(&self, other: &Side) -> bool {
        let ((a, b), (c, d)) = (self.range(), other.range());
        self.buckets.is_empty() || other.buckets.is_empty() || b.max(d) - a.min(c) <= MAX_BUCKETS as i64
    }

    fn add(&mut self, other: &Side) {
        if other.buckets.is_empty() {
            return;
        }
        if self.buckets.is_empty() {
            *self = other.clone();
            return;
        }
        let ((a, b), (c, d)) = (self.range(), other.range());
        let first = a.min(c);
        let mut sum = vec![0_u64; (b.max(d) - first) as usize];
        for (from, buckets) in [(a, &self.buckets), (c, &other.buckets)] {
            for (i, n) in buckets.iter().enumerate() {
                let slot = &mut sum[(from - first) as usize + i];
                *slot = slot.saturating_add(*n);
            }
        }
        (self.offset, self.buckets) = (self.offset.min(other.offset), sum);
    }
}

/// Buckets of a point, at most: more are refused, whatever claims to have them.
const MAX_BUCKETS: usize = 100_000;

// === impl Point ===

impl<'b> Point<'b> {
    /// Reads a record. `Err` says why it is no metric point.
    pub(crate) fn read(batch: &'b Batch, row: &Row) -> Result<Point<'b>, &'static str> {
        let mut fields = Fields::default();
        let (mut name, mut description, mut unit) = (None, None, None);
        let (mut kind, mut metadata, mut temporality) = (None, None, None);
        let (mut monotonic, mut start, mut flags) = (false, 0, 0);
        let (mut attributes, mut exemplars) = (None, None);
        for field in batch.body(row.root()).children() {
            match field.key().unwrap_or_default() {
                "name" => name = field.as_str(),
                "description" => description = field.as_str(),
                "unit" => unit = field.as_str(),
                "kind" => kind = field.as_str(),
                "metadata" => {
                    metadata = field.children().filter(|f| f.key() == Some("type")).last().and_then(|f| f.as_str())
                }
                "temporality" => temporality = field.as_str(),
                "monotonic" => monotonic = field.as_bool().unwrap_or(false),
                "start" => start = field.as_i64().unwrap_or(0),
                "flags" => flags = field.as_i64().unwrap_or(0),
                "attributes" => attributes = Some(field),
                "exemplars" => exemplars = Some(field),
                other => fields.note(other, field),
            }
        }
        let name = name.filter(|name| !name.is_empty()).ok_or("a metric point has a `name`")?;
        let stale = flags & 1 != 0;
        let source_type = metadata.as_deref().unwrap_or_default();
        let (kind, data) = match kind.as_deref().unwrap_or_default() {
            "gauge" => {
                let kind = match source_type {
                    "unknown" => Type::Unknown,
                    "info" => Type::Info,
                    "stateset" => Type::StateSet,
                    _ => Type::Gauge,
                };
                (kind, fields.number(stale)?)
            }
            "sum" => (if monotonic { Type::Counter } else { Type::Gauge }, fields.number(stale)?),
            "histogram" => {
                let kind = if source_type == "gaugehistogram" { Type::GaugeHistogram } else { Type::Histogram };
                (kind, Data::Histogram(fields.histogram()?))
            }
            "exponential_histogram" => (Type::Histogram, Data::Exponential(fields.exponential()?)),
            "summary" => (Type::Summary, Data::Summary(fields.summary()?)),
            _ => return Err("a metric point's `kind` is gauge, sum, histogram, exponential_histogram or summary"),
        };
        Ok(Point {
            name,
            description: description.unwrap_or_default(),
            unit: unit.unwrap_or_default(),
            kind,
            delta: temporality.as_deref() == Some("delta"),
            start,
            time: row.time,
            stale,
            attributes,
            exemplars,
            data,
        })
    }

    /// Its exemplars.
    pub(crate) fn exemplars(&self) -> impl Iterator<Item = Exemplar<'b>> + '_ {
        self.exemplars.into_iter().flat_map(NodeRef::children).filter_map(|exemplar| {
            let (mut time, mut value, mut labels) = (0, None, Vec::new());
            for field in exemplar.children() {
                match field.key().unwrap_or_default() {
                    "time" => time = field.as_i64().unwrap_or(0),
                    "value" => value = number(field),
                    id @ ("trace_id" | "span_id") => {
                        if let Some(text) = field.as_str() {
                            labels.push((Cow::Borrowed(id), text));
                        }
                    }
                    "attributes" => labels.extend(field.children().map(|label| {
                        let name = crate::name::label_name(label.key().unwrap_or_default());
                        (name, value_text(label))
                    })),
                    _ => {}
                }
            }
            Some(Exemplar { time, value: value?, labels })
        })
    }
}

/// What an attribute says, as the value of a label.
pub(crate) fn value_text(node: NodeRef<'_>) -> Cow<'_, str> {
    if let Some(text) = node.as_str() {
        return text;
    }
    let mut out = Vec::new();
    node.write_text(&mut out);
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

/// A number; `null` is the NaN that JSON has no word for.
fn number(node: NodeRef<'_>) -> Option<f64> {
    if node.kind() == FieldKind::Null { Some(f64::from_bits(crate::text::NAN)) } else { node.as_f64() }
}

fn count(node: NodeRef<'_>) -> Option<u64> {
    let whole = |n: f64| ((0.0..1.8e19).contains(&n) && n.fract() == 0.0).then_some(n as u64);
    node.as_u64().or_else(|| node.as_f64().and_then(whole))
}

/// The fields that depend on the kind.
#[derive(Default)]
struct Fields<'b> {
    value: Option<NodeRef<'b>>,
    count: Option<NodeRef<'b>>,
    sum: Option<NodeRef<'b>>,
    bounds: Option<NodeRef<'b>>,
    buckets: Option<NodeRef<'b>>,
    scale: Option<NodeRef<'b>>,
    zero_count: Option<NodeRef<'b>>,
    zero_threshold: Option<NodeRef<'b>>,
    positive: Option<NodeRef<'b>>,
    negative: Option<NodeRef<'b>>,
    quantiles: Option<NodeRef<'b>>,
}

impl<'b> Fields<'b> {
    fn note(&mut self, key: &str, field: NodeRef<'b>) {
        let place = match key {
            "value" => &mut self.value,
            "count" => &mut self.count,
            "sum" => &mut self.sum,
            "bounds" => &mut self.bounds,
            "buckets" => &mut self.buckets,
            "scale" => &mut self.scale,
            "zero_count" => &mut self.zero_count,
            "zero_threshold" => &mut self.zero_threshold,
            "positive" => &mut self.positive,
            "negative" => &mut self.negative,
            "quantiles" => &mut self.quantiles,
            _ => return,
        };
        *place = Some(field);
    }

    fn number(&self, stale: bool) -> Result<Data, &'static str> {
        match self.value.map(number) {
            Some(Some(value)) => Ok(Data::Number(value)),
            None if stale => Ok(Data::Number(f64::from_bits(crate::text::STALE))),
            None => Ok(Data::Nothing),
            Some(None) => Err("the point's `value` is no number"),
        }
    }

    fn sum(&self) -> Option<f64> {
        self.sum.and_then(number)
    }

    fn count(&self) -> u64 {
        self.count.and_then(count).unwrap_or(0)
    }

    fn histogram(&self) -> Result<Histogram, &'static str> {
        let bounds = floats(self.bounds)?;
        let buckets = counts(self.buckets)?;
        if !buckets.is_empty() && buckets.len() != bounds.len() + 1 {
            return Err("a histogram has one bucket more than bounds, or none");
        }
        if !bounds.is_sorted_by(|a, b| a < b) {
            return Err("the bounds of a histogram ascend");
        }
        Ok(Histogram { count: self.count(), sum: self.sum(), bounds, buckets })
    }

    fn exponential(&self) -> Result<Exponential, &'static str> {
        let scale = self.scale.and_then(NodeRef::as_i64).unwrap_or(0);
        Ok(Exponential {
            count: self.count(),
            sum: self.sum(),
            scale: i32::try_from(scale).map_err(|_| "`scale` is out of range")?,
            zero_count: self.zero_count.and_then(count).unwrap_or(0),
            zero_threshold: self.zero_threshold.and_then(number).unwrap_or(0.0),
            positive: side(self.positive)?,
            negative: side(self.negative)?,
        })
    }

    fn summary(&self) -> Result<Summary, &'static str> {
        let mut quantiles = Vec::new();
        for item in self.quantiles.into_iter().flat_map(NodeRef::children).take(MAX_BUCKETS) {
            let get = |key: &str| item.children().filter(|field| field.key() == Some(key)).last().and_then(number);
            quantiles.push((get("quantile").unwrap_or(0.0), get("value").unwrap_or(0.0)));
        }
        Ok(Summary { count: self.count.and_then(count), sum: self.sum(), quantiles })
    }
}

fn side(node: Option<NodeRef<'_>>) -> Result<Side, &'static str> {
    let Some(node) = node else { return Ok(Side::default()) };
    let get = |key: &str| node.children().filter(|field| field.key() == Some(key)).last();
    let offset = get("offset").and_then(NodeRef::as_i64).unwrap_or(0);
    let offset = i32::try_from(offset).map_err(|_| "`offset` is out of range")?;
    Ok(Side { offset, buckets: counts(get("buckets"))? })
}

fn list<T>(node: Option<NodeRef<'_>>, read: impl Fn(NodeRef<'_>) -> Option<T>) -> Result<Vec<T>, &'static str> {
    let mut out = Vec::new();
    for item in node.into_iter().flat_map(NodeRef::children) {
        if out.len() >= MAX_BUCKETS {
            return Err("the point has more than 100,000 buckets");
        }
        out.push(read(item).ok_or("a bucket is no number")?);
    }
    Ok(out)
}

fn floats(node: Option<NodeRef<'_>>) -> Result<Vec<f64>, &'static str> {
    list(node, number)
}

fn counts(node: Option<NodeRef<'_>>) -> Result<Vec<u64>, &'static str> {
    list(node, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(scale: i32, offset: i32, buckets: &[u64]) -> Exponential {
        let count = buckets.iter().sum();
        Exponential {
            count,
            sum: Some(1.0),
            scale,
            positive: Side { offset, buckets: buckets.to_vec() },
            ..Exponential::default()
        }
    }

    #[test]
    fn coarser_scales_join_buckets() {
        let mut fine = histogram(10, -3, &[1, 2, 3, 4]);
        fine.coarsen(8);
        assert_eq!((fine.scale, fine.positive), (8, Side { offset: -1, buckets: vec![6, 4] }));
    }

    #[test]
    fn histograms_add_up_on_the_coarser_scale() {
        let mut sum = histogram(1, 0, &[1, 1]);
        assert!(sum.add(histogram(0, 2, &[5])));
        assert_eq!((sum.count, sum.scale, sum.positive.offset, sum.sum), (7, 0, 0, Some(2.0)));
        assert_eq!(sum.positive.buckets, [2, 0, 5]);
        assert!(!sum.add(histogram(0, i32::MAX - 1, &[1])) && sum.count == 7);
    }
}
