//! The messages of OTLP 1.x, as tables: one description for the check of protobuf and for both ways of JSON.
//!
//! Not here, and so skipped as unknown fields are: profiles, and what only profiles may use (`key_strindex`,
//! `string_value_strindex`).

use suiro_record::Signal;
use suiro_sdk::protobuf::WireType;

/// A message.
#[derive(Debug)]
pub(crate) struct Message {
    /// Ascending by number, so that JSON has its usual order.
    pub(crate) fields: &'static [Field],
    /// Index into `fields` by number, or [`UNKNOWN`].
    by_number: [u8; MAX_NUMBER + 1],
    /// Counts as a level of nesting.
    pub(crate) nests: bool,
}

/// A field of a message.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) number: u32,
    /// In JSON.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) repeated: bool,
    /// One of the message's fields of which only the last counts.
    pub(crate) choice: bool,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Bool,
    /// `int32` and enums.
    Int32,
    Uint32,
    Int64,
    Uint64,
    Sint32,
    Fixed32,
    Fixed64,
    Sfixed64,
    Double,
    Text,
    Bytes,
    /// Bytes of that length, or none; hexadecimal in JSON.
    Id(usize),
    Message(&'static Message),
}

const MAX_NUMBER: usize = 16;
const UNKNOWN: u8 = u8::MAX;

// === impl Message ===

impl Message {
    const fn new(fields: &'static [Field]) -> Message {
        let mut by_number = [UNKNOWN; MAX_NUMBER + 1];
        let mut i = 0;
        while i < fields.len() {
            by_number[fields[i].number as usize] = i as u8;
            i += 1;
        }
        Message { fields, by_number, nests: false }
    }

    const fn nesting(fields: &'static [Field]) -> Message {
        Message { nests: true, ..Message::new(fields) }
    }

    /// The field of that number.
    #[inline]
    pub(crate) fn field(&self, number: u32) -> Option<&'static Field> {
        let at = *self.by_number.get(number as usize)?;
        self.fields.get(usize::from(at))
    }

    /// The field of that name.
    pub(crate) fn named(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

// === impl Kind ===

impl Kind {
    pub(crate) fn wire_type(self) -> WireType {
        match self {
            Kind::Bool | Kind::Int32 | Kind::Uint32 | Kind::Int64 | Kind::Uint64 | Kind::Sint32 => WireType::Varint,
            Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => WireType::Fixed64,
            Kind::Fixed32 => WireType::Fixed32,
            Kind::Text | Kind::Bytes | Kind::Id(_) | Kind::Message(_) => WireType::Len,
        }
    }
}

const fn one(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, repeated: false, choice: false }
}

const fn many(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, repeated: true, choice: false }
}

const fn choice(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { choice: true, ..one(number, name, kind) }
}

const TRACE_ID: Kind = Kind::Id(16);
const SPAN_ID: Kind = Kind::Id(8);

pub(crate) static ANY_VALUE: Message = Message::new(&[
    choice(1, "stringValue", Kind::Text),
    choice(2, "boolValue", Kind::Bool),
    choice(3, "intValue", Kind::Int64),
    choice(4, "doubleValue", Kind::Double),
    choice(5, "arrayValue", Kind::Message(&ARRAY_VALUE)),
    choice(6, "kvlistValue", Kind::Message(&KEY_VALUE_LIST)),
    choice(7, "bytesValue", Kind::Bytes),
]);
static ARRAY_VALUE: Message = Message::nesting(&[many(1, "values", Kind::Message(&ANY_VALUE))]);
static KEY_VALUE_LIST: Message = Message::nesting(&[many(1, "values", Kind::Message(&KEY_VALUE))]);
pub(crate) static KEY_VALUE: Message =
    Message::new(&[one(1, "key", Kind::Text), one(2, "value", Kind::Message(&ANY_VALUE))]);
static ENTITY_REF: Message = Message::new(&[
    one(1, "schemaUrl", Kind::Text),
    one(2, "type", Kind::Text),
    many(3, "idKeys", Kind::Text),
    many(4, "descriptionKeys", Kind::Text),
]);
pub(crate) static RESOURCE: Message = Message::new(&[
    many(1, "attributes", Kind::Message(&KEY_VALUE)),
    one(2, "droppedAttributesCount", Kind::Uint32),
    many(3, "entityRefs", Kind::Message(&ENTITY_REF)),
]);
pub(crate) static SCOPE: Message = Message::new(&[
    one(1, "name", Kind::Text),
    one(2, "version", Kind::Text),
    many(3, "attributes", Kind::Message(&KEY_VALUE)),
    one(4, "droppedAttributesCount", Kind::Uint32),
]);

pub(crate) static LOG_RECORD: Message = Message::new(&[
    one(1, "timeUnixNano", Kind::Fixed64),
    one(2, "severityNumber", Kind::Int32),
    one(3, "severityText", Kind::Text),
    one(5, "body", Kind::Message(&ANY_VALUE)),
    many(6, "attributes", Kind::Message(&KEY_VALUE)),
    one(7, "droppedAttributesCount", Kind::Uint32),
    one(8, "flags", Kind::Fixed32),
    one(9, "traceId", TRACE_ID),
    one(10, "spanId", SPAN_ID),
    one(11, "observedTimeUnixNano", Kind::Fixed64),
    one(12, "eventName", Kind::Text),
]);

pub(crate) static SPAN: Message = Message::new(&[
    one(1, "traceId", TRACE_ID),
    one(2, "spanId", SPAN_ID),
    one(3, "traceState", Kind::Text),
    one(4, "parentSpanId", SPAN_ID),
    one(5, "name", Kind::Text),
    one(6, "kind", Kind::Int32),
    one(7, "startTimeUnixNano", Kind::Fixed64),
    one(8, "endTimeUnixNano", Kind::Fixed64),
    many(9, "attributes", Kind::Message(&KEY_VALUE)),
    one(10, "droppedAttributesCount", Kind::Uint32),
    many(11, "events", Kind::Message(&EVENT)),
    one(12, "droppedEventsCount", Kind::Uint32),
    many(13, "links", Kind::Message(&LINK)),
    one(14, "droppedLinksCount", Kind::Uint32),
    one(15, "status", Kind::Message(&SPAN_STATUS)),
    one(16, "flags", Kind::Fixed32),
]);
static EVENT: Message = Message::new(&[
    one(1, "timeUnixNano", Kind::Fixed64),
    one(2, "name", Kind::Text),
    many(3, "attributes", Kind::Message(&KEY_VALUE)),
    one(4, "droppedAttributesCount", Kind::Uint32),
]);
static LINK: Message = Message::new(&[
    one(1, "traceId", TRACE_ID),
    one(2, "spanId", SPAN_ID),
    one(3, "traceState", Kind::Text),
    many(4, "attributes", Kind::Message(&KEY_VALUE)),
    one(5, "droppedAttributesCount", Kind::Uint32),
    one(6, "flags", Kind::Fixed32),
]);
static SPAN_STATUS: Message = Message::new(&[one(2, "message", Kind::Text), one(3, "code", Kind::Int32)]);

pub(crate) static METRIC: Message = Message::new(&[
    one(1, "name", Kind::Text),
    one(2, "description", Kind::Text),
    one(3, "unit", Kind::Text),
    choice(5, "gauge", Kind::Message(&GAUGE)),
    choice(7, "sum", Kind::Message(&SUM)),
    choice(9, "histogram", Kind::Message(&HISTOGRAM)),
    choice(10, "exponentialHistogram", Kind::Message(&EXPONENTIAL_HISTOGRAM)),
    choice(11, "summary", Kind::Message(&SUMMARY)),
    many(12, "metadata", Kind::Message(&KEY_VALUE)),
]);
static GAUGE: Message = Message::new(&[many(1, "dataPoints", Kind::Message(&NUMBER_POINT))]);
static SUM: Message = Message::new(&[
    many(1, "dataPoints", Kind::Message(&NUMBER_POINT)),
    one(2, "aggregationTemporality", Kind::Int32),
    one(3, "isMonotonic", Kind::Bool),
]);
static HISTOGRAM: Message = Message::new(&[
    many(1, "dataPoints", Kind::Message(&HISTOGRAM_POINT)),
    one(2, "aggregationTemporality", Kind::Int32),
]);
static EXPONENTIAL_HISTOGRAM: Message = Message::new(&[
    many(1, "dataPoints", Kind::Message(&EXPONENTIAL_HISTOGRAM_POINT)),
    one(2, "aggregationTemporality", Kind::Int32),
]);
static SUMMARY: Message = Message::new(&[many(1, "dataPoints", Kind::Message(&SUMMARY_POINT))]);
static NUMBER_POINT: Message = Message::new(&[
    one(2, "startTimeUnixNano", Kind::Fixed64),
    one(3, "timeUnixNano", Kind::Fixed64),
    choice(4, "asDouble", Kind::Double),
    many(5, "exemplars", Kind::Message(&EXEMPLAR)),
    choice(6, "asInt", Kind::Sfixed64),
    many(7, "attributes", Kind::Message(&KEY_VALUE)),
    one(8, "flags", Kind::Uint32),
]);
static HISTOGRAM_POINT: Message = Message::new(&[
    one(2, "startTimeUnixNano", Kind::Fixed64),
    one(3, "timeUnixNano", Kind::Fixed64),
    one(4, "count", Kind::Fixed64),
    one(5, "sum", Kind::Double),
    many(6, "bucketCounts", Kind::Fixed64),
    many(7, "explicitBounds", Kind::Double),
    many(8, "exemplars", Kind::Message(&EXEMPLAR)),
    many(9, "attributes", Kind::Message(&KEY_VALUE)),
    one(10, "flags", Kind::Uint32),
    one(11, "min", Kind::Double),
    one(12, "max", Kind::Double),
]);
static EXPONENTIAL_HISTOGRAM_POINT: Message = Message::new(&[
    many(1, "attributes", Kind::Message(&KEY_VALUE)),
    one(2, "startTimeUnixNano", Kind::Fixed64),
    one(3, "timeUnixNano", Kind::Fixed64),
    one(4, "count", Kind::Fixed64),
    one(5, "sum", Kind::Double),
    one(6, "scale", Kind::Sint32),
    one(7, "zeroCount", Kind::Fixed64),
    one(8, "positive", Kind::Message(&BUCKETS)),
    one(9, "negative", Kind::Message(&BUCKETS)),
    one(10, "flags", Kind::Uint32),
    many(11, "exemplars", Kind::Message(&EXEMPLAR)),
    one(12, "min", Kind::Double),
    one(13, "max", Kind::Double),
    one(14, "zeroThreshold", Kind::Double),
]);
static BUCKETS: Message = Message::new(&[one(1, "offset", Kind::Sint32), many(2, "bucketCounts", Kind::Uint64)]);
static SUMMARY_POINT: Message = Message::new(&[
    one(2, "startTimeUnixNano", Kind::Fixed64),
    one(3, "timeUnixNano", Kind::Fixed64),
    one(4, "count", Kind::Fixed64),
    one(5, "sum", Kind::Double),
    many(6, "quantileValues", Kind::Message(&QUANTILE)),
    many(7, "attributes", Kind::Message(&KEY_VALUE)),
    one(8, "flags", Kind::Uint32),
]);
static QUANTILE: Message = Message::new(&[one(1, "quantile", Kind::Double), one(2, "value", Kind::Double)]);
static EXEMPLAR: Message = Message::new(&[
    one(2, "timeUnixNano", Kind::Fixed64),
    choice(3, "asDouble", Kind::Double),
    one(4, "spanId", SPAN_ID),
    one(5, "traceId", TRACE_ID),
    choice(6, "asInt", Kind::Sfixed64),
    many(7, "filteredAttributes", Kind::Message(&KEY_VALUE)),
]);

macro_rules! export {
    ($request:ident, $resource:ident, $scope:ident, $resources:literal, $scopes:literal, $records:literal, $record:ident,
     $response:ident, $partial:ident, $rejected:literal) => {
        static $scope: Message = Message::new(&[
            one(1, "scope", Kind::Message(&SCOPE)),
            many(2, $records, Kind::Message(&$record)),
            one(3, "schemaUrl", Kind::Text),
        ]);
        static $resource: Message = Message::new(&[
            one(1, "resource", Kind::Message(&RESOURCE)),
            many(2, $scopes, Kind::Message(&$scope)),
            one(3, "schemaUrl", Kind::Text),
        ]);
        static $request: Message = Message::new(&[many(1, $resources, Kind::Message(&$resource))]);
        static $partial: Message = Message::new(&[one(1, $rejected, Kind::Int64), one(2, "errorMessage", Kind::Text)]);
        static $response: Message = Message::new(&[one(1, "partialSuccess", Kind::Message(&$partial))]);
    };
}
export!(
    LOGS,
    RESOURCE_LOGS,
    SCOPE_LOGS,
    "resourceLogs",
    "scopeLogs",
    "logRecords",
    LOG_RECORD,
    LOGS_ANSWER,
    LOGS_PARTIAL,
    "rejectedLogRecords"
);
export!(
    TRACES,
    RESOURCE_SPANS,
    SCOPE_SPANS,
    "resourceSpans",
    "scopeSpans",
    "spans",
    SPAN,
    TRACES_ANSWER,
    TRACES_PARTIAL,
    "rejectedSpans"
);
export!(
    METRICS,
    RESOURCE_METRICS,
    SCOPE_METRICS,
    "resourceMetrics",
    "scopeMetrics",
    "metrics",
    METRIC,
    METRICS_ANSWER,
    METRICS_PARTIAL,
    "rejectedDataPoints"
);

/// The `Export*ServiceRequest` of a signal.
pub(crate) fn request(signal: Signal) -> &'static Message {
    match signal {
        Signal::Logs => &LOGS,
        Signal::Traces => &TRACES,
        Signal::Metrics => &METRICS,
    }
}

/// The `Export*ServiceResponse` of a signal.
pub(crate) fn response(signal: Signal) -> &'static Message {
    match signal {
        Signal::Logs => &LOGS_ANSWER,
        Signal::Traces => &TRACES_ANSWER,
        Signal::Metrics => &METRICS_ANSWER,
    }
}
