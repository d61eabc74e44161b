//! Records to requests: what stands above them once, and each record's message.
//!
//! A record that nobody changed since it came as OTLP is copied as its message stood there, with whatever fields this
//! version does not know. Others are written from their fields. What a span or a point has beside those of the mapping, and
//! what is there of another type than its own, becomes an attribute.

use std::sync::Arc;

use suiro_record::{Batch, Row, Scope, Signal, Value};
use suiro_sdk::protobuf::{Open, close, open, put_len, put_uint};
use suiro_sdk::{Part, Rows};

use super::decode::{DROPPED, ENTITIES, SCHEMA};
use super::message::{self, Metric};
use super::value::{are_same, put_text, write_attributes};

/// Lengths guessed for what is not closed yet: those of before fit mostly.
#[derive(Debug)]
struct Lengths {
    resource: usize,
    scope: usize,
    metric: usize,
    record: usize,
}

/// A request that is being written. Until it is finished, it is none.
#[derive(Debug)]
#[must_use]
pub(crate) struct Encoder<'a, 'o> {
    signal: Signal,
    out: &'o mut Vec<u8>,
    lengths: Lengths,
    group: Option<Group<'a>>,
}

/// A scope's records.
#[derive(Debug)]
struct Group<'a> {
    scope: &'a Arc<Scope>,
    /// The record before this one.
    batch: &'a Batch,
    row: &'a Row,
    resource: Open,
    records: Open,
    metric: Option<OpenMetric>,
}

/// A metric's points.
#[derive(Debug)]
struct OpenMetric {
    metric: Open,
    data: Open,
}

// === impl Encoder ===

impl<'a, 'o> Encoder<'a, 'o> {
    /// Appends to `out`.
    pub(crate) fn new(signal: Signal, out: &'o mut Vec<u8>) -> Self {
        let lengths = Lengths { resource: 1 << 20, scope: 1 << 20, metric: 1000, record: 300 };
        Encoder { signal, out, lengths, group: None }
    }

    /// Adds the records of a part. One request after another one is one request, so what came as a request of its own and
    /// is still the same is copied as it stands.
    pub(crate) fn part(&mut self, part: &'a Part) {
        match part.batch.request() {
            Some(request) if part.rows == Rows::All => {
                self.close_resource();
                self.out.extend_from_slice(request);
            }
            _ => part.records().for_each(|row| self.record(&part.batch, row)),
        }
    }

    /// Ends it.
    pub(crate) fn finish(mut self) {
        self.close_resource();
    }

    /// Adds a record.
    pub(crate) fn record(&mut self, batch: &'a Batch, row: &'a Row) {
        let scope = batch.scope(row);
        match &self.group {
            Some(group) if std::ptr::eq(group.batch, batch) && group.row.scope == row.scope => {}
            Some(group) if Arc::ptr_eq(group.scope, scope) || is_same_scope(group.scope, scope) => {}
            Some(group) if is_same_resource(group.scope, scope) => self.next_scope(scope, batch, row),
            _ => {
                self.close_resource();
                self.open_resource(scope, batch, row);
            }
        }
        if self.signal == Signal::Metrics {
            self.enter_metric(batch, row);
        }
        if let Some(group) = &mut self.group {
            (group.batch, group.row) = (batch, row);
        }
        let number = if self.signal == Signal::Metrics { 1 } else { 2 };
        if let Some(wire) = batch.message(row) {
            put_len(number, wire, self.out);
            return;
        }
        let record = open(number, self.lengths.record, self.out);
        match self.signal {
            Signal::Logs => message::log(batch, row, self.out),
            Signal::Traces => message::span(batch, row, self.out),
            Signal::Metrics => message::point(batch, row, self.out),
        }
        self.lengths.record = close(record, self.out);
    }

    fn open_resource(&mut self, scope: &'a Arc<Scope>, batch: &'a Batch, row: &'a Row) {
        let resource = open(1, self.lengths.resource, self.out);
        let details = &scope.resource_details;
        let dropped = find(details, DROPPED).and_then(as_u64).unwrap_or(0);
        let entities = find(details, ENTITIES);
        if !scope.resource.is_empty() || dropped != 0 || entities.is_some() {
            let inner = open(1, 300, self.out);
            write_attributes(1, &scope.resource, self.out);
            put_count(2, dropped, self.out);
            if let Some(Value::Array(entities)) = entities {
                entities.iter().for_each(|entity| write_entity(entity, self.out));
            }
            close(inner, self.out);
        }
        let records = self.open_scope(scope);
        self.group = Some(Group { scope, batch, row, resource, records, metric: None });
    }

    fn next_scope(&mut self, scope: &'a Arc<Scope>, batch: &'a Batch, row: &'a Row) {
        self.close_metric();
        let Some(group) = self.group.take() else { return };
        put_text(3, text_of(&group.scope.scope, SCHEMA), self.out);
        self.lengths.scope = close(group.records, self.out);
        let records = self.open_scope(scope);
        self.group = Some(Group { scope, batch, row, resource: group.resource, records, metric: None });
    }

    fn open_scope(&mut self, scope: &Scope) -> Open {
        let records = open(2, self.lengths.scope, self.out);
        let scope = &scope.scope;
        let (name, version) = (text_of(scope, "name"), text_of(scope, "version"));
        let dropped = find(scope, DROPPED).and_then(as_u64).unwrap_or(0);
        let attributes = match find(scope, "attributes") {
            Some(Value::Object(attributes)) => attributes.as_slice(),
            _ => &[],
        };
        if !name.is_empty() || !version.is_empty() || dropped != 0 || !attributes.is_empty() {
            let inner = open(1, 60, self.out);
            put_text(1, name, self.out);
            put_text(2, version, self.out);
            write_attributes(3, attributes, self.out);
            put_count(4, dropped, self.out);
            close(inner, self.out);
        }
        records
    }

    fn close_resource(&mut self) {
        self.close_metric();
        let Some(group) = self.group.take() else { return };
        put_text(3, text_of(&group.scope.scope, SCHEMA), self.out);
        self.lengths.scope = close(group.records, self.out);
        put_text(3, text_of(&group.scope.resource_details, SCHEMA), self.out);
        self.lengths.resource = close(group.resource, self.out);
    }

    /// Goes on with the metric that is open, or begins the record's.
    fn enter_metric(&mut self, batch: &Batch, row: &Row) {
        let metric = Metric::of(batch, row);
        if let Some(group) = &self.group
            && group.metric.is_some()
            && metric.is_same(&Metric::of(group.batch, group.row))
        {
            return;
        }
        self.close_metric();
        let Some(group) = &mut self.group else { return };
        let open_metric = open(2, self.lengths.metric, self.out);
        metric.write_head(self.out);
        let data = open(metric.kind(), self.lengths.metric, self.out);
        group.metric = Some(OpenMetric { metric: open_metric, data });
    }

    fn close_metric(&mut self) {
        let Some(group) = &mut self.group else { return };
        let Some(OpenMetric { metric, data }) = group.metric.take() else { return };
        let of = Metric::of(group.batch, group.row);
        of.write_data_tail(self.out);
        close(data, self.out);
        of.write_tail(self.out);
        self.lengths.metric = close(metric, self.out);
    }
}

fn is_same_resource(a: &Scope, b: &Scope) -> bool {
    are_same(&a.resource, &b.resource) && are_same(&a.resource_details, &b.resource_details)
}

fn is_same_scope(a: &Scope, b: &Scope) -> bool {
    are_same(&a.scope, &b.scope) && is_same_resource(a, b)
}

fn find<'a>(attributes: &'a [(String, Value)], name: &str) -> Option<&'a Value> {
    attributes.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value)
}

fn text_of<'a>(attributes: &'a [(String, Value)], name: &str) -> &'a [u8] {
    find(attributes, name).and_then(Value::as_str).unwrap_or_default().as_bytes()
}

fn as_u64(value: &Value) -> Option<u64> {
    match value {
        Value::Int(n) => u64::try_from(*n).ok(),
        Value::Uint(n) => Some(*n),
        Value::Number(text) => text.parse().ok(),
        _ => None,
    }
}

fn put_count(number: u32, n: u64, out: &mut Vec<u8>) {
    if n != 0 {
        put_uint(number, n.min(u64::from(u32::MAX)), out);
    }
}

fn write_entity(entity: &Value, out: &mut Vec<u8>) {
    let Value::Object(members) = entity else { return };
    let message = open(3, 60, out);
    put_text(1, text_of(members, SCHEMA), out);
    put_text(2, text_of(members, "type"), out);
    for (number, name) in [(3, "id_keys"), (4, "description_keys")] {
        if let Some(Value::Array(keys)) = find(members, name) {
            keys.iter().filter_map(Value::as_str).for_each(|key| put_len(number, key.as_bytes(), out));
        }
    }
    close(message, out);
}
