//! A point, before it is a record.

use suiro_record::{Attributes, Batch, EditError, NewValue, RootId, Value};

/// Points of a collection, at most. A host with 128 processors, 1,000 processes and 500 containers has about 15,000.
pub(crate) const MAX_POINTS: usize = 100_000;

/// What is measured.
#[derive(Debug)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    unit: &'static str,
    description: &'static str,
    kind: Kind,
}

/// How values are to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The value of the moment.
    Gauge,
    /// A sum that only grows.
    Counter,
    /// A sum that goes up and down: amounts that add up.
    UpDown,
}

/// Of what the points tell: the place of its resource in the collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subject(usize);

impl Subject {
    /// The host.
    pub(crate) const HOST: Subject = Subject(0);
}

/// A value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Int(i64),
    Float(f64),
}

#[derive(Debug)]
pub(crate) struct Point {
    pub(crate) metric: &'static Metric,
    pub(crate) subject: Subject,
    pub(crate) start: Option<i64>,
    pub(crate) attributes: Vec<(&'static str, Value)>,
    pub(crate) value: Number,
}

/// All that was collected at a time.
#[derive(Debug)]
pub(crate) struct Collection {
    /// Nanoseconds since the epoch: of all points.
    pub(crate) time: i64,
    /// The host was started then.
    pub(crate) boot: Option<i64>,
    /// Resource attributes, the host's first; those of others have the host's in front.
    pub(crate) resources: Vec<Attributes>,
    pub(crate) points: Vec<Point>,
    /// Points there was no room for.
    pub(crate) left_out: usize,
}

// === impl Metric ===

impl Metric {
    pub(crate) const fn gauge(name: &'static str, unit: &'static str, description: &'static str) -> Metric {
        Metric { name, unit, description, kind: Kind::Gauge }
    }

    pub(crate) const fn counter(name: &'static str, unit: &'static str, description: &'static str) -> Metric {
        Metric { name, unit, description, kind: Kind::Counter }
    }

    pub(crate) const fn up_down(name: &'static str, unit: &'static str, description: &'static str) -> Metric {
        Metric { name, unit, description, kind: Kind::UpDown }
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Number {
        // No counter of the kernel gets there.
        Number::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Number {
        Number::Float(value)
    }
}

// === impl Collection ===

impl Collection {
    /// An empty one.
    pub(crate) fn new(time: i64, boot: Option<i64>, host: Attributes) -> Collection {
        Collection { time, boot, resources: vec![host], points: Vec::new(), left_out: 0 }
    }

    /// A subject on this host, with resource attributes of its own.
    pub(crate) fn subject(&mut self, own: Attributes) -> Subject {
        let mut resource = self.resources[0].clone();
        resource.extend(own);
        self.resources.push(resource);
        Subject(self.resources.len() - 1)
    }

    /// A point of the host's.
    pub(crate) fn host<const N: usize>(
        &mut self,
        metric: &'static Metric,
        attributes: [(&'static str, Value); N],
        value: impl Into<Number>,
    ) {
        self.add(metric, Subject::HOST, self.boot, attributes, value);
    }

    /// A point of a subject whose sums began at `start`.
    pub(crate) fn add<const N: usize>(
        &mut self,
        metric: &'static Metric,
        subject: Subject,
        start: Option<i64>,
        attributes: [(&'static str, Value); N],
        value: impl Into<Number>,
    ) {
        if self.points.len() >= MAX_POINTS {
            self.left_out += 1;
            return;
        }
        // A clock that was set back: a point is not older than its start.
        let start = start.filter(|start| metric.kind != Kind::Gauge && *start <= self.time);
        self.points.push(Point { metric, subject, start, attributes: Vec::from(attributes), value: value.into() });
    }
}

// === impl Point ===

impl Point {
    /// The place of its resource in the collection.
    pub(crate) fn resource(&self) -> usize {
        self.subject.0
    }

    /// Writes it as the body of a record.
    pub(crate) fn write(self, batch: &mut Batch) -> Result<RootId, EditError> {
        let Metric { name, unit, description, kind } = *self.metric;
        let root = batch.new_object();
        batch.append(root, "name", NewValue::Str(name))?;
        batch.append(root, "description", NewValue::Str(description))?;
        batch.append(root, "unit", NewValue::Str(unit))?;
        let gauge = kind == Kind::Gauge;
        batch.append(root, "kind", NewValue::Str(if gauge { "gauge" } else { "sum" }))?;
        if !gauge {
            batch.append(root, "temporality", NewValue::Str("cumulative"))?;
        }
        if kind == Kind::Counter {
            batch.append(root, "monotonic", NewValue::Bool(true))?;
        }
        if let Some(start) = self.start {
            batch.append(root, "start", NewValue::Int(start))?;
        }
        if !self.attributes.is_empty() {
            let attributes = self.attributes.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
            batch.append(root, "attributes", NewValue::Tree(&Value::Object(attributes)))?;
        }
        let value = match self.value {
            Number::Int(value) => NewValue::Int(value),
            Number::Float(value) => NewValue::Float(value),
        };
        batch.append(root, "value", value)?;
        Ok(root)
    }
}

/// A text as an attribute.
pub(crate) fn text(text: impl Into<String>) -> Value {
    Value::Str(text.into())
}
