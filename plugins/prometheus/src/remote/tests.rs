//! Points to requests and back, and what an independent decoder makes of them.

use std::sync::Arc;

use proptest::prelude::*;
use prost::Message as _;
use suiro_record::{Batch, Row, Scope, Source, TimeKind};
use suiro_sdk::Delivery;
use suiro_sdk::http::test_kit::delivery;

use super::decode::{Version, Written, read};
use super::output::encode;

/// The messages as `prost` derives them, for an opinion of its own.
mod oracle {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(in crate::remote) struct WriteRequest {
        #[prost(message, repeated, tag = "1")]
        pub(super) timeseries: Vec<TimeSeries>,
        #[prost(message, repeated, tag = "3")]
        pub(super) metadata: Vec<MetricMetadata>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(in crate::remote) struct TimeSeries {
        #[prost(message, repeated, tag = "1")]
        pub(super) labels: Vec<Label>,
        #[prost(message, repeated, tag = "2")]
        pub(super) samples: Vec<Sample>,
        #[prost(message, repeated, tag = "3")]
        pub(super) exemplars: Vec<Exemplar>,
        #[prost(message, repeated, tag = "4")]
        pub(super) histograms: Vec<Histogram>,
    }

    #[derive(Clone, PartialEq, Eq, prost::Message)]
    pub(in crate::remote) struct Label {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(string, tag = "2")]
        pub(super) value: String,
    }

    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub(in crate::remote) struct Sample {
        #[prost(double, tag = "1")]
        pub(super) value: f64,
        #[prost(int64, tag = "2")]
        pub(super) timestamp: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(in crate::remote) struct Exemplar {
        #[prost(message, repeated, tag = "1")]
        pub(super) labels: Vec<Label>,
        #[prost(double, tag = "2")]
        pub(super) value: f64,
        #[prost(int64, tag = "3")]
        pub(super) timestamp: i64,
    }

    #[derive(Clone, PartialEq, Eq, prost::Message)]
    pub(in crate::remote) struct MetricMetadata {
        #[prost(int32, tag = "1")]
        pub(super) kind: i32,
        #[prost(string, tag = "2")]
        pub(super) metric_family_name: String,
        #[prost(string, tag = "4")]
        pub(super) help: String,
        #[prost(string, tag = "5")]
        pub(super) unit: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(in crate::remote) struct Histogram {
        #[prost(uint64, optional, tag = "1")]
        pub(super) count_int: Option<u64>,
        #[prost(double, optional, tag = "2")]
        pub(super) count_float: Option<f64>,
        #[prost(double, tag = "3")]
        pub(super) sum: f64,
        #[prost(sint32, tag = "4")]
        pub(super) schema: i32,
        #[prost(double, tag = "5")]
        pub(super) zero_threshold: f64,
        #[prost(uint64, optional, tag = "6")]
        pub(super) zero_count_int: Option<u64>,
        #[prost(double, optional, tag = "7")]
        pub(super) zero_count_float: Option<f64>,
        #[prost(message, repeated, tag = "8")]
        pub(super) negative_spans: Vec<BucketSpan>,
        #[prost(sint64, repeated, tag = "9")]
        pub(super) negative_deltas: Vec<i64>,
        #[prost(double, repeated, tag = "10")]
        pub(super) negative_counts: Vec<f64>,
        #[prost(message, repeated, tag = "11")]
        pub(super) positive_spans: Vec<BucketSpan>,
        #[prost(sint64, repeated, tag = "12")]
        pub(super) positive_deltas: Vec<i64>,
        #[prost(double, repeated, tag = "13")]
        pub(super) positive_counts: Vec<f64>,
        #[prost(int32, tag = "14")]
        pub(super) reset_hint: i32,
        #[prost(int64, tag = "15")]
        pub(super) timestamp: i64,
        #[prost(double, repeated, tag = "16")]
        pub(super) custom_values: Vec<f64>,
    }

    #[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
    pub(in crate::remote) struct BucketSpan {
        #[prost(sint32, tag = "1")]
        pub(super) offset: i32,
        #[prost(uint32, tag = "2")]
        pub(super) length: u32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(in crate::remote) struct Request {
        #[prost(string, repeated, tag = "4")]
        pub(super) symbols: Vec<String>,
        #[prost(message, repeated, tag = "5")]
        pub(super) timeseries: Vec<TimeSeriesV2>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(in crate::remote) struct TimeSeriesV2 {
        #[prost(uint32, repeated, tag = "1")]
        pub(super) labels_refs: Vec<u32>,
        #[prost(message, repeated, tag = "2")]
        pub(super) samples: Vec<Sample>,
        #[prost(message, repeated, tag = "3")]
        pub(super) histograms: Vec<Histogram>,
        #[prost(message, repeated, tag = "4")]
        pub(super) exemplars: Vec<ExemplarV2>,
        #[prost(message, optional, tag = "5")]
        pub(super) metadata: Option<MetadataV2>,
        #[prost(int64, tag = "6")]
        pub(super) created_timestamp: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(in crate::remote) struct ExemplarV2 {
        #[prost(uint32, repeated, tag = "1")]
        pub(super) labels_refs: Vec<u32>,
        #[prost(double, tag = "2")]
        pub(super) value: f64,
        #[prost(int64, tag = "3")]
        pub(super) timestamp: i64,
    }

    #[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
    pub(in crate::remote) struct MetadataV2 {
        #[prost(int32, tag = "1")]
        pub(super) kind: i32,
        #[prost(uint32, tag = "3")]
        pub(super) help_ref: u32,
        #[prost(uint32, tag = "4")]
        pub(super) unit_ref: u32,
    }
}

const SECOND: i64 = 1_000_000_000;

pub(super) fn scope() -> Scope {
    Scope::new(Arc::new(Source::new("in".into(), 1)))
}

fn empty() -> Batch {
    Batch::new("t".into(), Arc::new(scope()), 0)
}

/// Points written as JSON, the first at second 1, the next at second 2.
pub(super) fn batch(scope: Scope, points: &[String]) -> Delivery {
    let mut batch = Batch::new("t".into(), Arc::new(scope), 0);
    for (n, point) in points.iter().enumerate() {
        let from = batch.heap().len();
        batch.heap_mut().extend_from_slice(point.as_bytes());
        let root = batch.parse_json(from..from + point.len()).expect(point);
        let mut row = Row::new(root, (n as i64 + 1) * SECOND, n as u64, n as u64 + 1);
        row.time_kind = TimeKind::Own;
        batch.rows.push(row);
    }
    delivery(vec![batch])
}

fn decode(version: Version, body: &[u8]) -> (Vec<String>, Written) {
    let mut batch = empty();
    let written = read(version, body, &mut batch).unwrap();
    let shown = |row: &Row| {
        assert!(row.end as usize <= body.len() + 1 && row.start < row.end);
        let mut json = Vec::new();
        batch.write_json(row, &mut json);
        let resource = &batch.scope(row).resource;
        let resource: String = resource.iter().map(|(key, value)| format!(" {key}={}", value.to_text())).collect();
        format!("{}@{}{resource}", String::from_utf8(json).unwrap(), row.time / 1_000_000)
    };
    (batch.rows.iter().map(shown).collect(), written)
}

/// A request as it is understood by another, with labels as `name=value`.
pub(super) fn understood(version: Version, body: &[u8]) -> Vec<(String, oracle::TimeSeries)> {
    let series = match version {
        Version::V1 => oracle::WriteRequest::decode(body).unwrap().timeseries,
        Version::V2 => {
            let request = oracle::Request::decode(body).unwrap();
            assert_eq!(request.symbols[0], "");
            let labels = |refs: &[u32]| {
                let symbol = |id: u32| request.symbols[id as usize].clone();
                refs.chunks(2).map(|pair| oracle::Label { name: symbol(pair[0]), value: symbol(pair[1]) }).collect()
            };
            let series = |series: &oracle::TimeSeriesV2| oracle::TimeSeries {
                labels: labels(&series.labels_refs),
                samples: series.samples.clone(),
                histograms: series.histograms.clone(),
                exemplars: series
                    .exemplars
                    .iter()
                    .map(|e| oracle::Exemplar {
                        labels: labels(&e.labels_refs),
                        value: e.value,
                        timestamp: e.timestamp,
                    })
                    .collect(),
            };
            request.timeseries.iter().map(series).collect()
        }
    };
    let named = |series: oracle::TimeSeries| {
        assert!(series.labels.is_sorted_by(|a, b| a.name < b.name), "{:?}", series.labels);
        let labels: Vec<String> = series.labels.iter().map(|label| format!("{}={}", label.name, label.value)).collect();
        (labels.join(","), series)
    };
    series.into_iter().map(named).collect()
}

#[test]
fn series_of_all_kinds_as_another_reads_them() {
    let points = [
        r#"{"name":"http.requests","unit":"1","description":"All","kind":"sum","monotonic":true,"temporality":"cumulative","start":500000000,"attributes":{"http.method":"GET"},"value":5,"exemplars":[{"time":900000000,"value":1,"trace_id":"ab"}]}"#,
        r#"{"name":"lat","unit":"s","kind":"histogram","temporality":"cumulative","count":6,"sum":1.5,"bounds":[0.5,1],"buckets":[1,2,3],"exemplars":[{"value":0.7,"span_id":"cd"}]}"#,
        r#"{"name":"q","kind":"summary","count":2,"sum":3,"quantiles":[{"quantile":0.5,"value":1}]}"#,
        r#"{"name":"http.requests","kind":"sum","monotonic":true,"temporality":"cumulative","attributes":{"http.method":"GET"},"value":9}"#,
        r#"{"name":"gone","kind":"gauge","flags":1}"#,
        r#"{"name":"d","kind":"sum","temporality":"delta","value":1}"#,
        r#"{"name":"exp","kind":"exponential_histogram","temporality":"cumulative","count":8,"sum":2,"scale":2,"zero_count":1,"zero_threshold":0.5,"positive":{"offset":-1,"buckets":[2,0,3,0,0,0,1]},"negative":{"offset":4,"buckets":[1]}}"#,
    ]
    .map(str::to_owned);
    let delivery = batch(scope().with("service.name", "cart").with("service.instance.id", "i"), &points);
    for version in [Version::V1, Version::V2] {
        let body = encode(version, &delivery).remove(0);
        let series = understood(version, &body);
        let own = "instance=i,job=cart";
        let find = |labels: &str| {
            &series.iter().find(|(found, _)| found == labels).unwrap_or_else(|| panic!("{labels}: {series:#?}")).1
        };
        let counter = find(&format!("__name__=http_requests_total,http_method=GET,{own}"));
        assert_eq!(
            counter.samples,
            [oracle::Sample { value: 5.0, timestamp: 1000 }, oracle::Sample { value: 9.0, timestamp: 4000 }]
        );
        assert_eq!((counter.exemplars[0].labels[0].value.as_str(), counter.exemplars[0].timestamp), ("ab", 900));
        for (labels, value, exemplars) in [
            (format!("__name__=lat_seconds_bucket,{own},le=0.5"), 1.0, 0),
            (format!("__name__=lat_seconds_bucket,{own},le=1.0"), 3.0, 1),
            (format!("__name__=lat_seconds_bucket,{own},le=+Inf"), 6.0, 0),
            (format!("__name__=lat_seconds_sum,{own}"), 1.5, 0),
            (format!("__name__=lat_seconds_count,{own}"), 6.0, 0),
            (format!("__name__=q,{own},quantile=0.5"), 1.0, 0),
            (format!("__name__=q_sum,{own}"), 3.0, 0),
            (format!("__name__=q_count,{own}"), 2.0, 0),
        ] {
            let series = find(&labels);
            assert_eq!((series.samples[0].value, series.exemplars.len()), (value, exemplars), "{labels}");
        }
        assert_eq!(find(&format!("__name__=gone,{own}")).samples[0].value.to_bits(), crate::text::STALE);
        let native = &find(&format!("__name__=exp,{own}")).histograms[0];
        assert_eq!(
            (native.count_int, native.schema, native.zero_count_int, native.timestamp),
            (Some(8), 2, Some(1), 7000)
        );
        let span = |offset, length| oracle::BucketSpan { offset, length };
        assert_eq!(native.positive_spans, [span(0, 3), span(3, 1)]);
        assert_eq!(native.positive_deltas, [2, -2, 3, -2]);
        assert_eq!((&native.negative_spans[..], &native.negative_deltas[..]), (&[span(5, 1)][..], &[1][..]));
        assert_eq!(series.len(), 11, "{series:#?}");
    }
    let metadata = oracle::WriteRequest::decode(&encode(Version::V1, &delivery)[0][..]).unwrap().metadata;
    let counter = metadata.iter().find(|m| m.metric_family_name == "http_requests_total").unwrap();
    assert_eq!(counter.kind, 1);
    let request = oracle::Request::decode(&encode(Version::V2, &delivery)[0][..]).unwrap();
    assert_eq!(request.timeseries[0].metadata.map(|m| m.kind), Some(1));
}

#[test]
fn what_another_writes_is_read() {
    let label = |name: &str, value: &str| oracle::Label { name: name.to_owned(), value: value.to_owned() };
    let sample = |value, timestamp| oracle::Sample { value, timestamp };
    let stale = f64::from_bits(crate::text::STALE);
    let request = oracle::WriteRequest {
        timeseries: vec![
            oracle::TimeSeries {
                labels: vec![
                    label("__name__", "reqs_total"),
                    label("instance", "i"),
                    label("job", "a/b"),
                    label("x", "é"),
                ],
                samples: vec![sample(1.5, 1000), sample(stale, 2000)],
                exemplars: vec![oracle::Exemplar {
                    labels: vec![label("trace_id", "0123456789abcdef0123456789abcdef"), label("k", "v")],
                    value: 0.5,
                    timestamp: 999,
                }],
                histograms: vec![],
            },
            oracle::TimeSeries {
                labels: vec![label("x", "no name")],
                samples: vec![sample(1.0, 1)],
                ..Default::default()
            },
            oracle::TimeSeries {
                labels: vec![label("__name__", "custom")],
                histograms: vec![
                    oracle::Histogram {
                        count_int: Some(3),
                        sum: 2.5,
                        schema: -53,
                        positive_spans: vec![oracle::BucketSpan { offset: 1, length: 2 }],
                        positive_deltas: vec![1, 1],
                        custom_values: vec![1.0, 2.0],
                        timestamp: 5,
                        ..Default::default()
                    },
                    oracle::Histogram { count_float: Some(2.5), schema: 0, timestamp: 6, ..Default::default() },
                ],
                ..Default::default()
            },
            oracle::TimeSeries {
                labels: vec![label("__name__", "lat_bucket"), label("le", "1.0")],
                samples: vec![sample(4.0, 7)],
                ..Default::default()
            },
        ],
        metadata: vec![
            oracle::MetricMetadata {
                kind: 1,
                metric_family_name: "reqs".into(),
                help: "All".into(),
                unit: String::new(),
            },
            oracle::MetricMetadata { kind: 3, metric_family_name: "lat".into(), ..Default::default() },
        ],
    };
    let (points, written) = decode(Version::V1, &request.encode_to_vec());
    let resource = " service.namespace=a service.name=b service.instance.id=i";
    assert_eq!(
        points,
        [
            format!(r#"{{"name":"reqs_total","description":"All","kind":"sum","temporality":"cumulative","monotonic":true,"attributes":{{"x":"é"}},"value":1.5}}@1000{resource}"#),
            format!(r#"{{"name":"reqs_total","description":"All","kind":"sum","temporality":"cumulative","monotonic":true,"attributes":{{"x":"é"}},"flags":1,"value":null,"exemplars":[{{"time":999000000,"value":0.5,"trace_id":"0123456789abcdef0123456789abcdef","attributes":{{"k":"v"}}}}]}}@2000{resource}"#),
            r#"{"name":"custom","metadata":{"type":"unknown"},"kind":"histogram","temporality":"cumulative","count":3,"sum":2.5,"bounds":[1.0,2.0],"buckets":[0,1,2]}@5"#.replace(r#""metadata":{"type":"unknown"},"#, ""),
            r#"{"name":"lat_bucket","metadata":{"type":"histogram"},"kind":"gauge","attributes":{"le":"1.0"},"value":4.0}@7"#.to_owned(),
        ]
    );
    assert_eq!((written.samples, written.histograms, written.exemplars, written.refused), (3, 1, 1, 2));
    assert!(written.first_refused.unwrap().starts_with("a series has no label `__name__`, at byte "));
}

#[test]
fn the_stale_marker_keeps_its_bits() {
    let mut batch = empty();
    let points = [r#"{"name":"a","kind":"gauge","flags":1}"#.to_owned()];
    let body = encode(Version::V2, &self::batch(scope(), &points)).remove(0);
    read(Version::V2, &body, &mut batch).unwrap();
    let path = suiro_record::Path::key("value");
    let value = batch.get(&batch.rows[0], &batch.resolve(&path)).and_then(|field| field.as_f64());
    assert_eq!(value.map(f64::to_bits), Some(crate::text::STALE));
}

#[test]
fn hostile_requests_are_refused_and_bounded() {
    let read = |version, body: &[u8]| read(version, body, &mut empty());
    let symbols = |symbols: &[&str], refs: Vec<u32>| {
        let series =
            oracle::TimeSeriesV2 { labels_refs: refs, samples: vec![Default::default()], ..Default::default() };
        let symbols = symbols.iter().map(|s| (*s).to_owned()).collect();
        oracle::Request { symbols, timeseries: vec![series] }.encode_to_vec()
    };
    for (body, what) in [
        (symbols(&["", "__name__", "a"], vec![1, 2, 1]), "no value"),
        (symbols(&["", "__name__", "a"], vec![1, 9]), "no symbol"),
        (symbols(&["x"], vec![]), "first symbol"),
        (symbols(&["", "__name__"], vec![1; 10_000]), "256 labels"),
        (b"\x2a\xff\xff\xff\xff\x0f".to_vec(), "beyond the end"),
        (b"\x22\x01\xff".to_vec(), "UTF-8"),
    ] {
        let error = read(Version::V2, &body).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    }
    let native = |histogram: oracle::Histogram| {
        let labels = vec![oracle::Label { name: "__name__".into(), value: "h".into() }];
        let series = oracle::TimeSeries { labels, histograms: vec![histogram], ..Default::default() };
        let body = oracle::WriteRequest { timeseries: vec![series], ..Default::default() }.encode_to_vec();
        read(Version::V1, &body).unwrap().first_refused.unwrap()
    };
    let span = |offset, length| oracle::BucketSpan { offset, length };
    for (histogram, what) in [
        (oracle::Histogram { positive_spans: vec![span(0, u32::MAX)], ..Default::default() }, "more buckets"),
        (
            oracle::Histogram {
                positive_spans: vec![span(0, 1), span(i32::MAX, 1)],
                positive_deltas: vec![1, 1],
                ..Default::default()
            },
            "20,000",
        ),
        (
            oracle::Histogram {
                positive_spans: vec![span(0, 1), span(-5, 1)],
                positive_deltas: vec![1, 1],
                ..Default::default()
            },
            "overlap",
        ),
        (
            oracle::Histogram { positive_spans: vec![span(0, 1)], positive_deltas: vec![-1], ..Default::default() },
            "less than nothing",
        ),
        (oracle::Histogram { positive_deltas: vec![1], ..Default::default() }, "more counts"),
        (oracle::Histogram { schema: 9, ..Default::default() }, "schema"),
        (oracle::Histogram { schema: -53, custom_values: vec![2.0, 1.0], ..Default::default() }, "ascend"),
    ] {
        let why = native(histogram);
        assert!(why.contains(what), "{why}");
    }
}

/// Attributes in the order of their names.
fn attributes() -> impl Strategy<Value = String> {
    proptest::collection::btree_map("[a-d][a-z_]{0,3}", "[a-zé\\\\\"]{1,4}", 0..4).prop_map(|map| {
        if map.is_empty() {
            return String::new();
        }
        let pairs: Vec<String> = map.iter().map(|(k, v)| format!("{k:?}:{v:?}")).collect();
        format!(r#","attributes":{{{}}}"#, pairs.join(","))
    })
}

/// Counts without empty buckets at the ends.
fn buckets() -> impl Strategy<Value = Vec<u64>> {
    proptest::collection::vec(prop_oneof![2 => Just(0_u64), 3 => 1..1000_u64], 0..20).prop_map(|mut counts| {
        while counts.last() == Some(&0) {
            counts.pop();
        }
        let first = counts.iter().position(|n| *n > 0).unwrap_or(0);
        counts.split_off(first)
    })
}

/// A point as it comes back.
fn point() -> impl Strategy<Value = String> {
    let number =
        (0..4_usize, attributes(), -1e6..1e6_f64, "[A-Za-z ]{0,5}").prop_map(|(kind, attributes, value, help)| {
            let help = if help.is_empty() { String::new() } else { format!(r#","description":"{help}""#) };
            let head = match kind {
                0 => format!(r#""name":"c_total"{help},"kind":"sum","temporality":"cumulative","monotonic":true"#),
                1 => format!(r#""name":"g"{help},"kind":"gauge""#),
                2 => format!(r#""name":"u"{help},"metadata":{{"type":"unknown"}},"kind":"gauge""#),
                _ => format!(r#""name":"i_info"{help},"metadata":{{"type":"info"}},"kind":"gauge""#),
            };
            format!(r#"{{{head}{attributes},"value":{value:?}}}"#)
        });
    let side = |key: &'static str| {
        (buckets(), -50..50_i32).prop_map(move |(buckets, offset)| {
            if buckets.is_empty() {
                String::new()
            } else {
                format!(r#","{key}":{{"offset":{offset},"buckets":{buckets:?}}}"#).replace(", ", ",")
            }
        })
    };
    let native = (attributes(), -4..9_i32, 0..5_u64, side("positive"), side("negative")).prop_map(
        |(attributes, scale, zero, positive, negative)| {
            let zero = if zero == 0 { String::new() } else { format!(r#","zero_count":{zero},"zero_threshold":0.25"#) };
            format!(
                r#"{{"name":"h","kind":"exponential_histogram","temporality":"cumulative"{attributes},"count":7,"sum":1.5,"scale":{scale}{zero}{positive}{negative}}}"#
            )
        },
    );
    prop_oneof![number, native]
}

proptest! {
    #[test]
    fn points_come_back_as_they_were(points in proptest::collection::vec(point(), 0..8)) {
        for version in [Version::V1, Version::V2] {
            // Each in a request of its own: what is said of a metric is said once a request.
            for (n, point) in points.iter().enumerate() {
                let body = encode(version, &batch(scope(), std::slice::from_ref(point))).remove(0);
                let (back, written) = decode(version, &body);
                prop_assert_eq!(&back, &[format!("{point}@1000")], "{} {:?}", n, version);
                prop_assert_eq!(written.refused, 0);
                understood(version, &body);
            }
        }
    }

    #[test]
    fn any_bytes_are_read(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        for version in [Version::V1, Version::V2] {
            let _ = read(version, &body, &mut empty());
        }
    }

    #[test]
    fn broken_requests_are_read(points in proptest::collection::vec(point(), 1..3), at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        for version in [Version::V1, Version::V2] {
            let mut body = encode(version, &batch(scope(), &points)).remove(0);
            let at = at.index(body.len());
            body[at] = byte;
            let _ = read(version, &body, &mut empty());
            let _ = read(version, &body[..at], &mut empty());
        }
    }
}
