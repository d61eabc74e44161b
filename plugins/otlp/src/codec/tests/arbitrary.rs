//! Requests made of bytes, so that fewer and smaller bytes make a smaller request.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

/// A source of choices; 0 for ever once it is used up.
pub(super) struct Bytes<'b>(&'b [u8]);

// === impl Bytes ===

impl<'b> Bytes<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Bytes(bytes)
    }

    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    fn below(&mut self, n: u8) -> u8 {
        self.byte() % n
    }

    fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    fn u64(&mut self) -> u64 {
        match self.below(4) {
            0 => 0,
            1 => u64::from(self.byte()),
            2 => 1_700_000_000_000_000_000 + u64::from(self.byte()),
            _ => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    fn u32(&mut self) -> u32 {
        self.u64() as u32
    }

    fn i32(&mut self) -> i32 {
        self.u64() as i32
    }

    fn f64(&mut self) -> f64 {
        match self.below(7) {
            0 => 0.0,
            1 => f64::NAN,
            2 => f64::INFINITY,
            3 => f64::NEG_INFINITY,
            4 => f64::from(self.byte()) / 8.0,
            5 => -0.0,
            _ => f64::from_bits(self.u64()),
        }
    }

    fn text(&mut self) -> String {
        match self.below(6) {
            0 => String::new(),
            1 => "log".to_owned(),
            2 => "水路 \"\\\n\u{1}".to_owned(),
            3 => "x".repeat(usize::from(self.byte())),
            4 => "null".to_owned(),
            _ => char::from(b'a' + self.below(26)).to_string(),
        }
    }

    fn id(&mut self, len: usize) -> Vec<u8> {
        match self.below(3) {
            0 => Vec::new(),
            1 => vec![self.byte(); len],
            _ => (0..len).map(|_| self.byte()).collect(),
        }
    }

    fn many<T>(&mut self, most: u8, mut each: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| each(self)).collect()
    }

    fn maybe<T>(&mut self, each: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.flag() { Some(each(self)) } else { None }
    }

    fn any_value(&mut self, depth: u8) -> AnyValue {
        let value = match self.below(if depth > 3 { 6 } else { 8 }) {
            0 => None,
            1 => Some(Value::StringValue(self.text())),
            2 => Some(Value::BoolValue(self.flag())),
            3 => Some(Value::IntValue(self.u64().cast_signed())),
            4 => Some(Value::DoubleValue(self.f64())),
            5 => Some(Value::BytesValue(self.many(20, Self::byte))),
            6 => Some(Value::ArrayValue(ArrayValue { values: self.many(3, |b| b.any_value(depth + 1)) })),
            _ => Some(Value::KvlistValue(KeyValueList { values: self.many(3, |b| b.pair(depth + 1)) })),
        };
        AnyValue { value }
    }

    fn pair(&mut self, depth: u8) -> KeyValue {
        KeyValue { key: self.text(), value: self.maybe(|b| b.any_value(depth)), ..KeyValue::default() }
    }

    fn attributes(&mut self) -> Vec<KeyValue> {
        self.many(4, |b| b.pair(0))
    }

    fn resource(&mut self) -> Option<Resource> {
        self.maybe(|b| Resource {
            attributes: b.attributes(),
            dropped_attributes_count: b.u32(),
            entity_refs: b.many(2, |b| EntityRef {
                schema_url: b.text(),
                r#type: b.text(),
                id_keys: b.many(2, Self::text),
                description_keys: b.many(2, Self::text),
            }),
        })
    }

    fn scope(&mut self) -> Option<InstrumentationScope> {
        self.maybe(|b| InstrumentationScope {
            name: b.text(),
            version: b.text(),
            attributes: b.attributes(),
            dropped_attributes_count: b.u32(),
        })
    }

    pub(super) fn logs(&mut self) -> ExportLogsServiceRequest {
        let resource_logs = self.many(3, |b| ResourceLogs {
            resource: b.resource(),
            scope_logs: b.many(3, |b| ScopeLogs {
                scope: b.scope(),
                log_records: b.many(3, Self::log),
                schema_url: b.text(),
            }),
            schema_url: b.text(),
        });
        ExportLogsServiceRequest { resource_logs }
    }

    fn log(&mut self) -> LogRecord {
        LogRecord {
            time_unix_nano: self.u64(),
            observed_time_unix_nano: self.u64(),
            severity_number: self.i32(),
            severity_text: self.text(),
            body: self.maybe(|b| b.any_value(0)),
            attributes: self.attributes(),
            dropped_attributes_count: self.u32(),
            flags: self.u32(),
            trace_id: self.id(16),
            span_id: self.id(8),
            event_name: self.text(),
        }
    }

    pub(super) fn traces(&mut self) -> ExportTraceServiceRequest {
        let resource_spans = self.many(3, |b| ResourceSpans {
            resource: b.resource(),
            scope_spans: b.many(3, |b| ScopeSpans {
                scope: b.scope(),
                spans: b.many(3, Self::span),
                schema_url: b.text(),
            }),
            schema_url: b.text(),
        });
        ExportTraceServiceRequest { resource_spans }
    }

    fn span(&mut self) -> Span {
        Span {
            trace_id: self.id(16),
            span_id: self.id(8),
            trace_state: self.text(),
            parent_span_id: self.id(8),
            flags: self.u32(),
            name: self.text(),
            kind: i32::from(self.below(8)) - 1,
            start_time_unix_nano: self.u64(),
            end_time_unix_nano: self.u64(),
            attributes: self.attributes(),
            dropped_attributes_count: self.u32(),
            events: self.many(2, |b| Event {
                time_unix_nano: b.u64(),
                name: b.text(),
                attributes: b.attributes(),
                dropped_attributes_count: b.u32(),
            }),
            dropped_events_count: self.u32(),
            links: self.many(2, |b| Link {
                trace_id: b.id(16),
                span_id: b.id(8),
                trace_state: b.text(),
                attributes: b.attributes(),
                dropped_attributes_count: b.u32(),
                flags: b.u32(),
            }),
            dropped_links_count: self.u32(),
            status: self.maybe(|b| Status { message: b.text(), code: i32::from(b.below(5)) - 1 }),
        }
    }

    pub(super) fn metrics(&mut self) -> ExportMetricsServiceRequest {
        let resource_metrics = self.many(2, |b| ResourceMetrics {
            resource: b.resource(),
            scope_metrics: b.many(2, |b| ScopeMetrics {
                scope: b.scope(),
                metrics: b.many(3, Self::metric),
                schema_url: b.text(),
            }),
            schema_url: b.text(),
        });
        ExportMetricsServiceRequest { resource_metrics }
    }

    fn metric(&mut self) -> Metric {
        let data = match self.below(6) {
            0 => None,
            1 => Some(Data::Gauge(Gauge { data_points: self.many(3, Self::number_point) })),
            2 => Some(Data::Sum(Sum {
                data_points: self.many(3, Self::number_point),
                aggregation_temporality: i32::from(self.below(5)) - 1,
                is_monotonic: self.flag(),
            })),
            3 => Some(Data::Histogram(Histogram {
                data_points: self.many(3, Self::histogram_point),
                aggregation_temporality: i32::from(self.below(3)),
            })),
            4 => Some(Data::ExponentialHistogram(ExponentialHistogram {
                data_points: self.many(3, Self::exponential_point),
                aggregation_temporality: i32::from(self.below(3)),
            })),
            _ => Some(Data::Summary(Summary { data_points: self.many(3, Self::summary_point) })),
        };
        Metric { name: self.text(), description: self.text(), unit: self.text(), metadata: self.attributes(), data }
    }

    fn number_point(&mut self) -> NumberDataPoint {
        let value = match self.below(3) {
            0 => None,
            1 => Some(number_data_point::Value::AsDouble(self.f64())),
            _ => Some(number_data_point::Value::AsInt(self.u64().cast_signed())),
        };
        NumberDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.u64(),
            time_unix_nano: self.u64(),
            exemplars: self.exemplars(),
            flags: self.u32(),
            value,
        }
    }

    fn exemplars(&mut self) -> Vec<Exemplar> {
        self.many(2, |b| {
            let value = match b.below(3) {
                0 => None,
                1 => Some(exemplar::Value::AsDouble(b.f64())),
                _ => Some(exemplar::Value::AsInt(b.u64().cast_signed())),
            };
            Exemplar {
                filtered_attributes: b.attributes(),
                time_unix_nano: b.u64(),
                span_id: b.id(8),
                trace_id: b.id(16),
                value,
            }
        })
    }

    fn histogram_point(&mut self) -> HistogramDataPoint {
        HistogramDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.u64(),
            time_unix_nano: self.u64(),
            count: self.u64(),
            sum: self.maybe(Self::f64),
            bucket_counts: self.many(4, Self::u64),
            explicit_bounds: self.many(3, Self::f64),
            exemplars: self.exemplars(),
            flags: self.u32(),
            min: self.maybe(Self::f64),
            max: self.maybe(Self::f64),
        }
    }

    fn exponential_point(&mut self) -> ExponentialHistogramDataPoint {
        let buckets = |b: &mut Self| Buckets { offset: b.i32(), bucket_counts: b.many(4, Self::u64) };
        ExponentialHistogramDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.u64(),
            time_unix_nano: self.u64(),
            count: self.u64(),
            sum: self.maybe(Self::f64),
            scale: self.i32(),
            zero_count: self.u64(),
            positive: self.maybe(buckets),
            negative: self.maybe(buckets),
            flags: self.u32(),
            exemplars: self.exemplars(),
            min: self.maybe(Self::f64),
            max: self.maybe(Self::f64),
            zero_threshold: self.f64(),
        }
    }

    fn summary_point(&mut self) -> SummaryDataPoint {
        SummaryDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.u64(),
            time_unix_nano: self.u64(),
            count: self.u64(),
            sum: self.f64(),
            quantile_values: self.many(3, |b| ValueAtQuantile { quantile: b.f64(), value: b.f64() }),
            flags: self.u32(),
        }
    }
}
