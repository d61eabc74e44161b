//! What two requests that say the same look like alike: empty groups left out, neighbours that share all that stands above
//! them joined, messages of nothing but defaults left out where that says the same.
//!
//! Records that were written from their fields say when they were observed, and points when they were measured, where their
//! source said 0.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, Metric};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::READ_AT;

/// What a group holds, and what makes it the same group.
trait Group {
    type Item;
    fn items(&mut self) -> &mut Vec<Self::Item>;
}

macro_rules! group {
    ($group:path, $item:path, $items:ident) => {
        impl Group for $group {
            type Item = $item;
            fn items(&mut self) -> &mut Vec<$item> {
                &mut self.$items
            }
        }
    };
}
mod proto {
    pub(super) use opentelemetry_proto::tonic::logs::v1::*;
    pub(super) use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
    pub(super) use opentelemetry_proto::tonic::trace::v1::*;
}
group!(proto::ResourceLogs, proto::ScopeLogs, scope_logs);
group!(proto::ScopeLogs, proto::LogRecord, log_records);
group!(proto::ResourceSpans, proto::ScopeSpans, scope_spans);
group!(proto::ScopeSpans, proto::Span, spans);
group!(proto::ResourceMetrics, proto::ScopeMetrics, scope_metrics);
group!(proto::ScopeMetrics, Metric, metrics);

/// Leaves out empty groups, and joins neighbours that are the same but for their items.
fn join<G: Group + Message + Clone>(groups: &mut Vec<G>) {
    let mut joined: Vec<G> = Vec::new();
    for mut group in groups.drain(..).filter(|group| !group.clone().items().is_empty()) {
        let items = std::mem::take(group.items());
        // Bytes compare where NaN does not.
        let same = joined.last_mut().filter(|last| {
            let mut bare = (*last).clone();
            bare.items().clear();
            bare.encode_to_vec() == group.encode_to_vec()
        });
        match same {
            Some(last) => last.items().extend(items),
            None => {
                group.items().extend(items);
                joined.push(group);
            }
        }
    }
    *groups = joined;
}

fn value(value: &mut AnyValue) {
    match &mut value.value {
        Some(Value::ArrayValue(list)) => list.values.iter_mut().for_each(self::value),
        Some(Value::KvlistValue(map)) => attributes(&mut map.values),
        _ => {}
    }
}

fn optional(slot: &mut Option<AnyValue>) {
    slot.iter_mut().for_each(value);
    if slot.as_ref().is_some_and(|value| value.value.is_none()) {
        *slot = None;
    }
}

fn attributes(attributes: &mut [KeyValue]) {
    attributes.iter_mut().for_each(|pair| optional(&mut pair.value));
}

fn default<M: Message + Default + PartialEq>(slot: &mut Option<M>) {
    if slot.as_ref().is_some_and(|message| *message == M::default()) {
        *slot = None;
    }
}

fn resource(resource: &mut Option<Resource>) {
    resource.iter_mut().for_each(|resource| attributes(&mut resource.attributes));
    default(resource);
}

fn scope(scope: &mut Option<InstrumentationScope>) {
    scope.iter_mut().for_each(|scope| attributes(&mut scope.attributes));
    default(scope);
}

/// What says no time is written with that of reading, and a little more by its place in the request.
fn when(time: &mut u64) {
    let read_at = READ_AT.cast_unsigned();
    if *time == 0 || (read_at..read_at + 100_000).contains(time) {
        *time = read_at;
    }
}

pub(super) fn logs(request: &mut ExportLogsServiceRequest, rewritten: bool) {
    for group in &mut request.resource_logs {
        resource(&mut group.resource);
        for logs in &mut group.scope_logs {
            scope(&mut logs.scope);
            for log in &mut logs.log_records {
                optional(&mut log.body);
                attributes(&mut log.attributes);
                if rewritten {
                    when(&mut log.observed_time_unix_nano);
                }
            }
        }
        join(&mut group.scope_logs);
    }
    join(&mut request.resource_logs);
    request.resource_logs.iter_mut().for_each(|group| join(&mut group.scope_logs));
}

pub(super) fn traces(request: &mut ExportTraceServiceRequest, _rewritten: bool) {
    for group in &mut request.resource_spans {
        resource(&mut group.resource);
        for spans in &mut group.scope_spans {
            scope(&mut spans.scope);
            for span in &mut spans.spans {
                default(&mut span.status);
                attributes(&mut span.attributes);
                span.events.iter_mut().for_each(|event| attributes(&mut event.attributes));
                span.links.iter_mut().for_each(|link| attributes(&mut link.attributes));
            }
        }
        join(&mut group.scope_spans);
    }
    join(&mut request.resource_spans);
    request.resource_spans.iter_mut().for_each(|group| join(&mut group.scope_spans));
}

pub(super) fn metrics(request: &mut ExportMetricsServiceRequest, rewritten: bool) {
    for group in &mut request.resource_metrics {
        resource(&mut group.resource);
        for metrics in &mut group.scope_metrics {
            scope(&mut metrics.scope);
            for metric in &mut metrics.metrics {
                attributes(&mut metric.metadata);
                points(metric, rewritten);
            }
            metrics.metrics.retain(|metric| count(metric) > 0);
            join_metrics(&mut metrics.metrics);
        }
        join(&mut group.scope_metrics);
    }
    join(&mut request.resource_metrics);
    for group in &mut request.resource_metrics {
        join(&mut group.scope_metrics);
        group.scope_metrics.iter_mut().for_each(|metrics| join_metrics(&mut metrics.metrics));
    }
}

macro_rules! each_point {
    ($metric:expr, $point:ident, $exemplars:ident, $each:expr) => {
        match &mut $metric.data {
            Some(Data::Gauge(data)) => data.data_points.iter_mut().for_each(|$point| {
                let $exemplars = &mut $point.exemplars;
                $each
            }),
            Some(Data::Sum(data)) => data.data_points.iter_mut().for_each(|$point| {
                let $exemplars = &mut $point.exemplars;
                $each
            }),
            Some(Data::Histogram(data)) => data.data_points.iter_mut().for_each(|$point| {
                let $exemplars = &mut $point.exemplars;
                $each
            }),
            Some(Data::ExponentialHistogram(data)) => data.data_points.iter_mut().for_each(|$point| {
                let $exemplars = &mut $point.exemplars;
                $each
            }),
            Some(Data::Summary(data)) => data.data_points.iter_mut().for_each(|$point| {
                let $exemplars: &mut Vec<Exemplar> = &mut Vec::new();
                $each
            }),
            None => {}
        }
    };
}

fn points(metric: &mut Metric, rewritten: bool) {
    each_point!(metric, point, exemplars, {
        exemplars.iter_mut().for_each(|exemplar| attributes(&mut exemplar.filtered_attributes));
        attributes(&mut point.attributes);
        if rewritten {
            when(&mut point.time_unix_nano);
        }
    });
}

fn count(metric: &Metric) -> usize {
    match &metric.data {
        Some(Data::Gauge(data)) => data.data_points.len(),
        Some(Data::Sum(data)) => data.data_points.len(),
        Some(Data::Histogram(data)) => data.data_points.len(),
        Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
        Some(Data::Summary(data)) => data.data_points.len(),
        None => 0,
    }
}

/// Joins neighbours that say the same of their points.
fn join_metrics(metrics: &mut Vec<Metric>) {
    let bare = |metric: &Metric| {
        let mut bare = metric.clone();
        match &mut bare.data {
            Some(Data::Gauge(data)) => data.data_points.clear(),
            Some(Data::Sum(data)) => data.data_points.clear(),
            Some(Data::Histogram(data)) => data.data_points.clear(),
            Some(Data::ExponentialHistogram(data)) => data.data_points.clear(),
            Some(Data::Summary(data)) => data.data_points.clear(),
            None => {}
        }
        bare
    };
    let mut joined: Vec<Metric> = Vec::new();
    for metric in metrics.drain(..) {
        let same = joined.last_mut().filter(|last| {
            let (a, b) = (bare(last), bare(&metric));
            a.encode_to_vec() == b.encode_to_vec()
        });
        match (same.map(|last| &mut last.data), metric.data.clone()) {
            (Some(Some(Data::Gauge(data))), Some(Data::Gauge(more))) => data.data_points.extend(more.data_points),
            (Some(Some(Data::Sum(data))), Some(Data::Sum(more))) => data.data_points.extend(more.data_points),
            (Some(Some(Data::Histogram(data))), Some(Data::Histogram(more))) => {
                data.data_points.extend(more.data_points);
            }
            (Some(Some(Data::ExponentialHistogram(data))), Some(Data::ExponentialHistogram(more))) => {
                data.data_points.extend(more.data_points);
            }
            (Some(Some(Data::Summary(data))), Some(Data::Summary(more))) => data.data_points.extend(more.data_points),
            _ => joined.push(metric),
        }
    }
    *metrics = joined;
}
