//! What was taken, for tests to look at.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::AwsOptions;

/// All that was taken so far.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// By name.
    pub log_groups: BTreeMap<String, LogGroup>,
    /// In the order they were made.
    pub log_anomaly_detectors: Vec<LogAnomalyDetector>,
    /// Segments, in the order they arrived.
    pub segments: Vec<Segment>,
    /// Segments taken, those whose content is not kept included.
    pub segment_count: usize,
    /// The bodies of calls for sampling targets.
    pub sampling_statistics: Vec<Value>,
    /// By stream. What a shard has is in the order it arrived.
    pub kinesis: BTreeMap<String, Vec<KinesisRecord>>,
    /// By delivery stream.
    pub firehose: BTreeMap<String, Vec<DeliveryRecord>>,
    /// Records of Kinesis and Firehose taken, those whose content is not kept included.
    pub record_count: usize,
    /// By bucket and key.
    pub objects: BTreeMap<(String, String), Object>,
    /// Ids of uploads in parts that were begun and neither completed nor aborted.
    pub open_uploads: BTreeSet<String>,
    /// In the order they arrived.
    pub metrics: Vec<MetricDatum>,
    /// In the order they were put; a second one of a metric and statistic replaces the first.
    pub metric_anomaly_detectors: Vec<MetricAnomalyDetector>,
    /// What services that are not looked into were sent: OTLP endpoints, `aps`, `es`, `aoss`, `osis`.
    pub signed: Vec<SignedRequest>,
    /// Every call that no fault answered, in order.
    pub calls: Vec<Call>,
}

/// A call and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// `logs`, as signatures call it.
    pub service: String,
    /// `PutLogEvents`
    pub action: String,
    /// The code of its error; `None`: it was taken.
    pub refused: Option<String>,
}

/// A log group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogGroup {
    /// `STANDARD`
    pub class: String,
    /// The key its events are encrypted with.
    pub kms_key: Option<String>,
    /// Names and values.
    pub tags: BTreeMap<String, String>,
    /// Days events are kept; `None`: for ever.
    pub retention: Option<i64>,
    /// Milliseconds since 1970.
    pub created: i64,
    /// By name, in the order events arrived.
    pub streams: BTreeMap<String, Vec<LogEvent>>,
    /// Events taken, those whose content is not kept included.
    pub count: usize,
    /// Entities that came with events: their key attributes.
    pub entities: BTreeSet<BTreeMap<String, String>>,
}

/// A log event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEvent {
    /// Milliseconds since 1970.
    pub time: i64,
    /// As sent.
    pub message: String,
}

/// A detector of a log group's anomalies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogAnomalyDetector {
    /// Its own.
    pub arn: String,
    /// Of the group it watches.
    pub group_arn: String,
    /// The request, whole.
    pub settings: Value,
}

/// A segment or a subsegment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// As sent.
    pub document: String,
    /// 16 hex digits.
    pub id: String,
    /// `1-xxxxxxxx-xxxxxxxxxxxxxxxxxxxxxxxx`
    pub trace_id: String,
}

/// A record of a Kinesis stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KinesisRecord {
    /// By which its shard is chosen.
    pub partition_key: String,
    /// Its content.
    pub data: Vec<u8>,
    /// `shardId-000000000000`
    pub shard: String,
    /// Grows within the stream.
    pub sequence_number: String,
}

/// A record of a delivery stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// Its content.
    pub data: Vec<u8>,
}

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// As sent: a `Content-Encoding` is not undone.
    pub data: Vec<u8>,
    /// With the quotes.
    pub etag: String,
    /// What the client said of it; names in lower case: `content-type`, `content-encoding`, `x-amz-*` and others.
    pub headers: BTreeMap<String, String>,
    /// Into how many parts it was uploaded; 0: by a single request.
    pub parts: usize,
}

/// A datum of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricDatum {
    /// `Shop`
    pub namespace: String,
    /// `requests`
    pub name: String,
    /// In the order sent.
    pub dimensions: Vec<(String, String)>,
    /// Milliseconds since 1970; the time of arrival where none was sent.
    pub time: i64,
    /// One of the service's units, `None` by default.
    pub unit: String,
    /// 1 or 60.
    pub resolution: i64,
    /// Values and how often each was seen. A single value has the count 1.
    pub values: Vec<(f64, f64)>,
    /// What was sent in the place of values.
    pub statistics: Option<Statistics>,
}

/// A statistic set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistics {
    /// How many samples.
    pub samples: f64,
    /// Their sum.
    pub sum: f64,
    /// The smallest.
    pub minimum: f64,
    /// The largest.
    pub maximum: f64,
}

/// A detector of a metric's anomalies.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricAnomalyDetector {
    /// Of the metric; empty for one of metric math.
    pub namespace: String,
    /// Of the metric; empty for one of metric math.
    pub metric: String,
    /// Of the metric, in the order sent.
    pub dimensions: Vec<(String, String)>,
    /// `Average`
    pub statistic: String,
    /// Time ranges it does not learn from, in milliseconds since 1970.
    pub excluded: Vec<(i64, i64)>,
    /// `MetricTimezone`
    pub time_zone: Option<String>,
}

/// A request of a service that is not looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRequest {
    /// As its signature calls it.
    pub service: String,
    /// Without the query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Decoded.
    pub body: Vec<u8>,
}

// === impl Taken ===

impl Taken {
    pub(super) fn new(options: &AwsOptions) -> Self {
        Taken {
            kinesis: options.kinesis_streams.keys().map(|name| (name.clone(), Vec::new())).collect(),
            firehose: options.delivery_streams.iter().map(|name| (name.clone(), Vec::new())).collect(),
            ..Taken::default()
        }
    }

    /// The events of a stream, none where there is no such stream.
    pub fn log_events(&self, group: &str, stream: &str) -> &[LogEvent] {
        self.log_groups.get(group).and_then(|group| group.streams.get(stream)).map_or(&[], Vec::as_slice)
    }

    /// Events of all groups, those whose content is not kept included.
    pub fn log_event_count(&self) -> usize {
        self.log_groups.values().map(|group| group.count).sum()
    }

    /// The object at this key.
    pub fn object(&self, bucket: &str, key: &str) -> Option<&Object> {
        self.objects.get(&(bucket.to_owned(), key.to_owned()))
    }

    /// The objects of a bucket, by key.
    pub fn objects_of(&self, bucket: &str) -> BTreeMap<&str, &Object> {
        let own = self.objects.iter().filter(|((own, _), _)| own == bucket);
        own.map(|((_, key), object)| (key.as_str(), object)).collect()
    }

    /// Codes of the calls of this action that were refused, in order.
    pub fn refusals(&self, action: &str) -> Vec<&str> {
        let calls = self.calls.iter().filter(|call| call.action == action);
        calls.filter_map(|call| call.refused.as_deref()).collect()
    }
}

// === impl Segment ===

impl Segment {
    /// The document as JSON.
    pub fn value(&self) -> Value {
        // It was looked at before it was taken.
        serde_json::from_str(&self.document).unwrap_or_default()
    }
}
