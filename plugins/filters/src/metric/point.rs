//! A metric point as it is read from a record.

use std::sync::{Arc, LazyLock};

use sha2::{Digest as _, Sha256};
use suiro_record::{Batch, Field, Kind, NodeRef, Path, Resolved, Row, Value};

use super::exponential::Side;
use super::{Exponential, Histogram, MAX_BUCKETS, Number};
use crate::spans::fixed_path;

/// What a point says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    Gauge(Number),
    Sum { value: Number, monotonic: bool },
    Histogram(Histogram),
    Exponential(Exponential),
}

/// Since when sums and histograms count: since the last point, or since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Temporality {
    Delta,
    Cumulative,
}

/// A point.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) data: Data,
    /// Of sums and histograms.
    pub(crate) temporality: Option<Temporality>,
    pub(crate) start: Option<i64>,
    pub(crate) time: i64,
}

/// What a record of a metrics batch is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Read {
    Point(Point),
    /// One that does not add up, such as a summary, or that says there is no value.
    Other,
    /// It is not what it says it is.
    Broken,
}

/// What series a point is of: a digest of its resource, scope, name, unit, kind and attributes.
pub(crate) type SeriesKey = [u8; 32];

macro_rules! paths {
    ($($name:ident: $path:literal),* $(,)?) => {
        pub(super) struct Paths { $(pub(super) $name: Path),* }
        pub(super) static PATHS: LazyLock<Paths> = LazyLock::new(|| Paths { $($name: fixed_path($path)),* });
        /// The points of a batch.
        pub(crate) struct Points<'b> {
            batch: &'b Batch,
            /// By scope: its digest.
            scopes: Vec<Option<SeriesKey>>,
            $($name: Resolved<'static>),*
        }
        impl<'b> Points<'b> {
            pub(crate) fn of(batch: &'b Batch) -> Self {
                Points { batch, scopes: vec![None; batch.scopes().len()], $($name: batch.resolve(&PATHS.$name)),* }
            }
        }
    };
}

paths! {
    name: "name", description: "description", unit: "unit", metadata: "metadata", kind: "kind", temporality: "temporality",
    monotonic: "monotonic", start: "start", attributes: "attributes", flags: "flags", value: "value",
    exemplars: "exemplars", count: "count", sum: "sum", min: "min", max: "max", bounds: "bounds", buckets: "buckets",
    scale: "scale", zero_count: "zero_count", zero_threshold: "zero_threshold", positive: "positive",
    negative: "negative",
}

// === impl Temporality ===

impl Temporality {
    pub(crate) const CHOICES: [(&'static str, Temporality); 2] =
        [("delta", Temporality::Delta), ("cumulative", Temporality::Cumulative)];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Temporality::Delta => "delta",
            Temporality::Cumulative => "cumulative",
        }
    }
}

// === impl Data ===

impl Data {
    /// Takes in another point's; not where they don't fit together.
    pub(crate) fn merge(&mut self, other: &Data) -> bool {
        match (self, other) {
            (Data::Sum { value, monotonic }, Data::Sum { value: other, monotonic: same }) if monotonic == same => {
                *value = value.plus(*other);
                true
            }
            (Data::Histogram(own), Data::Histogram(other)) => own.merge(other),
            (Data::Exponential(own), Data::Exponential(other)) => {
                let most = own.positive.buckets.len().max(own.negative.buckets.len());
                let most = most.max(other.positive.buckets.len()).max(other.negative.buckets.len());
                own.merge(other, most.max(160));
                true
            }
            _ => false,
        }
    }

    /// What came since `before`; `None` where what only grows has become less.
    pub(crate) fn since(&self, before: &Data) -> Option<Data> {
        match (self, before) {
            (Data::Sum { value, monotonic }, Data::Sum { value: before, .. }) => {
                let fell = *monotonic && value.is_less(*before);
                (!fell).then(|| Data::Sum { value: value.minus(*before), monotonic: *monotonic })
            }
            (Data::Histogram(now), Data::Histogram(before)) => now.since(before).map(Data::Histogram),
            (Data::Exponential(now), Data::Exponential(before)) => now.since(before).map(Data::Exponential),
            _ => None,
        }
    }

    /// As it is before anything was taken in.
    pub(crate) fn clear(&mut self) {
        match self {
            Data::Gauge(value) => *value = Number::Int(0),
            Data::Sum { value, .. } => *value = Number::Int(0),
            Data::Histogram(histogram) => *histogram = Histogram::new(histogram.bounds.clone()),
            Data::Exponential(histogram) => *histogram = Exponential::new(),
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Data::Gauge(_) => "gauge",
            Data::Sum { .. } => "sum",
            Data::Histogram(_) => "histogram",
            Data::Exponential(_) => "exponential_histogram",
        }
    }
}

// === impl Points ===

impl<'b> Points<'b> {
    pub(crate) fn read(&self, row: &Row) -> Read {
        // No value was recorded.
        if self.integer(row, &self.flags).is_some_and(|flags| flags & 1 == 1) {
            return Read::Other;
        }
        let kind = self.text(row, &self.kind).unwrap_or_default();
        let data = match &*kind {
            "gauge" => self.number(row).map(Data::Gauge),
            "sum" => self.number(row).map(|value| Data::Sum { value, monotonic: self.is_monotonic(row) }),
            "histogram" => self.histogram(row).map(Data::Histogram),
            "exponential_histogram" => self.exponential(row).map(Data::Exponential),
            "summary" => return Read::Other,
            _ => None,
        };
        let temporality = match self.text(row, &self.temporality).as_deref() {
            Some("delta") => Some(Temporality::Delta),
            Some("cumulative") => Some(Temporality::Cumulative),
            _ => None,
        };
        match data {
            Some(data) if temporality.is_some() || matches!(data, Data::Gauge(_)) => {
                let start = self.integer(row, &self.start).filter(|&start| start > 0);
                Read::Point(Point { data, temporality, start, time: row.time })
            }
            _ => Read::Broken,
        }
    }

    /// What series it is of, where it has only those attributes for which `keep` is true.
    pub(crate) fn series(&mut self, row: &Row, keep: impl Fn(&str) -> bool) -> SeriesKey {
        let mut hash = Sha256::new();
        hash.update(self.scope_key(row));
        let mut text = Vec::new();
        for path in [&self.name, &self.unit, &self.kind, &self.temporality, &self.monotonic] {
            if let Some(field) = self.batch.get(row, path) {
                field.write_json(&mut text);
            }
            text.push(0);
        }
        let mut members: Vec<Vec<u8>> = Vec::new();
        if let Some(Field::Node(attributes)) = self.batch.get(row, &self.attributes) {
            for child in attributes.children() {
                let key = child.key().unwrap_or_default();
                if keep(key) {
                    members.push(member(key, |out| child.write_json(out)));
                }
            }
        }
        members.sort_unstable();
        members.iter().for_each(|member| text.extend_from_slice(member));
        hash.update(&text);
        hash.finalize().into()
    }

    /// What scope it is of.
    pub(crate) fn scope_key(&mut self, row: &Row) -> SeriesKey {
        let slot = usize::from(row.scope);
        if let Some(Some(key)) = self.scopes.get(slot) {
            return *key;
        }
        let scope = self.batch.scope(row);
        let mut hash = Sha256::new();
        for list in [&scope.resource, &scope.scope] {
            let mut members: Vec<Vec<u8>> =
                list.iter().map(|(key, value)| member(key, |out| value.write_json(out))).collect();
            members.sort_unstable();
            members.iter().for_each(|member| hash.update(member));
            hash.update([0]);
        }
        let key: SeriesKey = hash.finalize().into();
        self.scopes[slot] = Some(key);
        key
    }

    pub(crate) fn text(&self, row: &Row, path: &Resolved<'_>) -> Option<std::borrow::Cow<'b, str>> {
        self.batch.get(row, path)?.as_str()
    }

    /// What a metric says of all its points: name, description, unit, metadata.
    pub(crate) fn description(&self, row: &Row) -> (String, String, String, Option<Value>) {
        let text = |path| self.text(row, path).unwrap_or_default().into_owned();
        let metadata = self.batch.get(row, &self.metadata).map(Field::to_value);
        (text(&self.name), text(&self.description), text(&self.unit), metadata)
    }

    /// Its attributes for which `keep` is true.
    pub(crate) fn attributes(&self, row: &Row, keep: impl Fn(&str) -> bool) -> Vec<(String, Value)> {
        let Some(Field::Node(attributes)) = self.batch.get(row, &self.attributes) else { return Vec::new() };
        let of = |child: NodeRef<'_>| Some((child.key()?.to_owned(), child.to_value()));
        attributes.children().filter_map(of).filter(|(key, _)| keep(key)).collect()
    }

    /// Some of its exemplars.
    pub(crate) fn exemplars(&self, row: &Row, most: usize) -> Vec<Value> {
        match self.batch.get(row, &self.exemplars) {
            Some(Field::Node(list)) => list.children().take(most).map(NodeRef::to_value).collect(),
            _ => Vec::new(),
        }
    }

    fn is_monotonic(&self, row: &Row) -> bool {
        self.batch.get(row, &self.monotonic).and_then(Field::as_bool).unwrap_or(false)
    }

    fn number(&self, row: &Row) -> Option<Number> {
        Number::of(self.batch.get(row, &self.value)?)
    }

    fn integer(&self, row: &Row, path: &Resolved<'_>) -> Option<i64> {
        self.batch.get(row, path)?.as_i64()
    }

    fn count(&self, row: &Row, path: &Resolved<'_>) -> Option<u64> {
        match self.batch.get(row, path) {
            None => Some(0),
            Some(Field::Node(node)) => node.as_u64(),
            Some(_) => None,
        }
    }

    fn float(&self, row: &Row, path: &Resolved<'_>) -> Option<f64> {
        self.batch.get(row, path)?.as_f64()
    }

    fn list<T>(&self, row: &Row, path: &Resolved<'_>, of: impl Fn(NodeRef<'b>) -> Option<T>) -> Option<Vec<T>> {
        match self.batch.get(row, path) {
            None => Some(Vec::new()),
            Some(Field::Node(node)) => list_of(node, of),
            Some(_) => None,
        }
    }

    fn histogram(&self, row: &Row) -> Option<Histogram> {
        let bounds: Arc<[f64]> = self.list(row, &self.bounds, NodeRef::as_f64)?.into();
        let buckets = self.list(row, &self.buckets, NodeRef::as_u64)?;
        let ordered = bounds.windows(2).all(|pair| pair[0] < pair[1]);
        if !ordered || (buckets.len() != bounds.len() + 1 && !(buckets.is_empty() && bounds.is_empty())) {
            return None;
        }
        let float = |path| self.float(row, path);
        let (sum, min, max) = (float(&self.sum), float(&self.min), float(&self.max));
        Some(Histogram { count: self.count(row, &self.count)?, sum, min, max, bounds, buckets })
    }

    fn exponential(&self, row: &Row) -> Option<Exponential> {
        let float = |path| self.float(row, path);
        let read = Exponential {
            count: self.count(row, &self.count)?,
            sum: float(&self.sum),
            min: float(&self.min),
            max: float(&self.max),
            scale: i32::try_from(self.integer(row, &self.scale).unwrap_or(0)).ok()?,
            zero_count: self.count(row, &self.zero_count)?,
            zero_threshold: float(&self.zero_threshold).unwrap_or(0.0),
            positive: self.side(row, &self.positive)?,
            negative: self.side(row, &self.negative)?,
        };
        read.is_sound().then_some(read)
    }

    fn side(&self, row: &Row, path: &Resolved<'_>) -> Option<Side> {
        let Some(field) = self.batch.get(row, path) else { return Some(Side::default()) };
        let Field::Node(node) = field else { return None };
        let mut side = Side::default();
        for child in node.children() {
            match child.key() {
                Some("offset") => side.offset = i32::try_from(child.as_i64()?).ok()?,
                Some("buckets") => side.buckets = list_of(child, NodeRef::as_u64)?,
                _ => {}
            }
        }
        (node.kind() == Kind::Object).then_some(side)
    }
}

fn list_of<'b, T>(node: NodeRef<'b>, of: impl Fn(NodeRef<'b>) -> Option<T>) -> Option<Vec<T>> {
    let items = node.children().take(MAX_BUCKETS + 1).map(of).collect::<Option<Vec<T>>>()?;
    (node.kind() == Kind::Array && items.len() <= MAX_BUCKETS).then_some(items)
}

/// A member of a map, so that no two maps have the same bytes.
fn member(key: &str, value: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    suiro_record::write_json_str(key, &mut out);
    out.push(b':');
    value(&mut out);
    out.push(b',');
    out
}
