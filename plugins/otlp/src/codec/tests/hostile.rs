//! Requests that are cut, lie about lengths, nest or are simply noise.

use proptest::prelude::*;
use prost::Message;
use suiro_record::Signal;
use suiro_sdk::protobuf::{WireType, put_len, put_tag, put_varint};

use super::arbitrary::Bytes;
use super::{batches, json, rewritten, written};
use crate::codec::schema::{LOG_RECORD, Message as Table, SPAN};
use crate::codec::{MAX_NESTING, MAX_RECORDS, index, scan};

const SIGNALS: [Signal; 3] = [Signal::Logs, Signal::Traces, Signal::Metrics];

fn sample(signal: Signal, seed: u8) -> Vec<u8> {
    let bytes: Vec<u8> = (0..2000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8 ^ seed).collect();
    let mut bytes = Bytes::new(&bytes);
    match signal {
        Signal::Logs => bytes.logs().encode_to_vec(),
        Signal::Traces => bytes.traces().encode_to_vec(),
        Signal::Metrics => bytes.metrics().encode_to_vec(),
    }
}

/// The quick look never says yes where the tables say no. Whether it says yes.
fn look(message: &[u8]) -> [bool; 2] {
    let passes = |table: &Table| index::check(message, 0..message.len(), table, 0).is_ok();
    let (log, span) = (scan::log(message).is_some(), scan::span(message).is_some());
    assert!((!log || passes(&LOG_RECORD)) && (!span || passes(&SPAN)), "{message:x?}");
    [log, span]
}

#[test]
fn the_quick_look_knows_what_is_usual() {
    for (signal, at) in [(Signal::Logs, 0), (Signal::Traces, 1)] {
        let mut records = 0;
        for seed in 0..=255 {
            for batch in super::as_read(signal, &sample(signal, seed)).unwrap() {
                records += batch.len();
                assert!(batch.is_packed() && batch.request().is_some());
                for row in &batch.rows {
                    let message = batch.message(row).unwrap();
                    assert!(look(message)[at], "{message:x?}");
                    (0..message.len()).for_each(|cut| assert!(look(&message[..cut]).len() == 2));
                }
            }
        }
        assert!(records > 400, "{records}");
    }
}

#[test]
fn what_the_quick_look_does_not_know_is_looked_at_again() {
    let mut log = Vec::new();
    put_len(4000, b"of another version", &mut log);
    assert!(scan::log(&log).is_none());
    let request = [2, 2, 1].into_iter().fold(log, |inner, number| {
        let mut outer = Vec::new();
        put_len(number, &inner, &mut outer);
        outer
    });
    let read = super::as_read(Signal::Logs, &request).unwrap();
    assert!(!read[0].is_packed());
    assert_eq!(written(Signal::Logs, &read), request);
}

/// Reads it, and writes what was read: neither may panic, and what is accepted must come out well-formed.
fn probe(signal: Signal, bytes: &[u8]) {
    if let Ok(batches) = batches(signal, bytes) {
        for out in [written(signal, &batches), rewritten(signal, &batches)] {
            let again = super::batches(signal, &out).expect("what was written can be read");
            let count = |batches: &[suiro_record::Batch]| batches.iter().map(|b| b.len()).sum::<usize>();
            assert_eq!(count(&again), count(&batches));
        }
        let mut text = Vec::new();
        json::from_protobuf(signal, bytes, &mut text).expect("what was read is well-formed");
        serde_json::from_slice::<serde_json::Value>(&text).expect("JSON");
    }
}

#[test]
fn cut_at_every_byte() {
    for signal in SIGNALS {
        for seed in [1, 77, 200] {
            let bytes = sample(signal, seed);
            for cut in 0..bytes.len() {
                probe(signal, &bytes[..cut]);
            }
        }
    }
}

#[test]
fn json_cut_at_every_byte() {
    for signal in SIGNALS {
        let mut text = Vec::new();
        json::from_protobuf(signal, &sample(signal, 77), &mut text).unwrap();
        for cut in 0..text.len() {
            assert!(json::to_protobuf(signal, &text[..cut]).is_err());
        }
    }
}

#[test]
fn lengths_that_are_lies() {
    for signal in SIGNALS {
        for len in [1, 127, 1 << 31, u64::from(u32::MAX), 1 << 62, u64::MAX] {
            for around in 0..3 {
                let mut bytes = Vec::new();
                put_tag(1, WireType::Len, &mut bytes);
                put_varint(len, &mut bytes);
                for _ in 0..around {
                    let mut outer = Vec::new();
                    put_len(2, &bytes, &mut outer);
                    bytes = outer;
                }
                let mut outer = Vec::new();
                put_len(1, &bytes, &mut outer);
                assert!(batches(signal, &outer).is_err() || around > 2, "{signal:?} {len} {around}");
            }
        }
    }
}

/// A log record with a body of so many lists in each other.
fn nested(levels: usize) -> Vec<u8> {
    let mut value = Vec::new();
    for _ in 0..levels {
        let (mut list, mut any) = (Vec::new(), Vec::new());
        put_len(1, &value, &mut list);
        put_len(5, &list, &mut any);
        value = any;
    }
    let (mut log, mut scope, mut resource, mut request) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    put_len(5, &value, &mut log);
    put_len(2, &log, &mut scope);
    put_len(2, &scope, &mut resource);
    put_len(1, &resource, &mut request);
    request
}

#[test]
fn values_that_nest() {
    let deepest = batches(Signal::Logs, &nested(MAX_NESTING)).unwrap();
    assert_eq!(written(Signal::Logs, &deepest), nested(MAX_NESTING));
    let again = batches(Signal::Logs, &rewritten(Signal::Logs, &deepest)).unwrap();
    assert_eq!(format!("{again:?}"), format!("{deepest:?}"));
    assert!(batches(Signal::Logs, &nested(MAX_NESTING + 1)).is_err());
    assert!(batches(Signal::Logs, &nested(50_000)).is_err());
    let deep = format!(r#"{{"resourceLogs":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(json::to_protobuf(Signal::Logs, deep.as_bytes()).is_err());
}

#[test]
fn more_records_than_a_request_may_have() {
    let (mut scope, mut resource, mut request) = (Vec::new(), Vec::new(), Vec::new());
    (0..=MAX_RECORDS).for_each(|_| put_len(2, &[], &mut scope));
    put_len(2, &scope, &mut resource);
    put_len(1, &resource, &mut request);
    let error = batches(Signal::Logs, &request).unwrap_err();
    assert!(error.to_string().contains("more records"), "{error}");
}

#[test]
fn ids_and_texts_that_are_none() {
    let log = |field: &dyn Fn(&mut Vec<u8>)| {
        let (mut log, mut scope, mut resource, mut request) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        field(&mut log);
        put_len(2, &log, &mut scope);
        put_len(2, &scope, &mut resource);
        put_len(1, &resource, &mut request);
        batches(Signal::Logs, &request)
    };
    assert!(log(&|out| put_len(9, &[7; 16], out)).is_ok());
    assert!(log(&|out| put_len(9, &[], out)).is_ok());
    for len in [1, 8, 15, 17, 32] {
        assert!(log(&|out| put_len(9, &vec![7; len], out)).is_err(), "{len}");
    }
    assert!(log(&|out| put_len(3, b"\xff", out)).is_err());
    assert!(log(&|out| put_len(6, b"\x0a\x01\xff", out)).is_err());
    assert!(log(&|out| put_varint(9 << 3, out)).is_err());
    // Not ours to know.
    assert!(log(&|out| put_len(4000, b"\xff", out)).is_ok());
}

/// A record with more different keys than a batch can hold is refused; records that share them out go into several batches.
#[test]
fn more_keys_than_a_batch_holds() {
    let request = |records: usize, keys: usize| {
        let (mut scope, mut resource, mut request) = (Vec::new(), Vec::new(), Vec::new());
        for record in 0..records {
            let mut log = Vec::new();
            for key in 0..keys {
                let mut pair = Vec::new();
                put_len(1, format!("{record}.{key}").as_bytes(), &mut pair);
                put_len(6, &pair, &mut log);
            }
            put_len(2, &log, &mut scope);
        }
        put_len(2, &scope, &mut resource);
        put_len(1, &resource, &mut request);
        request
    };
    assert!(batches(Signal::Logs, &request(1, 66_000)).unwrap_err().to_string().contains("keys"));
    let bytes = request(3, 30_000);
    let batches = batches(Signal::Logs, &bytes).unwrap();
    assert_eq!(batches.iter().map(|batch| batch.len()).collect::<Vec<_>>(), [2, 1]);
    // The second has its own part of the request, and no more.
    assert!(batches[1].heap().len() < bytes.len() / 2);
    assert_eq!(batches[0].rows.len() + batches[1].rows.len(), 3);
    for out in [written(Signal::Logs, &batches), rewritten(Signal::Logs, &batches)] {
        assert_eq!(super::batches(Signal::Logs, &out).unwrap().iter().map(|batch| batch.len()).sum::<usize>(), 3);
    }
}

/// The same of metric points, whose names and words stand elsewhere than they do.
#[test]
fn points_with_more_keys_than_a_batch_holds() {
    let (mut scope, mut resource, mut request) = (Vec::new(), Vec::new(), Vec::new());
    for metric in 0..3 {
        let (mut point, mut gauge, mut message) = (Vec::new(), Vec::new(), Vec::new());
        for key in 0..40_000 {
            let mut pair = Vec::new();
            put_len(1, format!("{metric}.{key}").as_bytes(), &mut pair);
            put_len(7, &pair, &mut point);
        }
        put_len(1, &point, &mut gauge);
        put_len(1, format!("metric {metric}").as_bytes(), &mut message);
        put_len(5, &gauge, &mut message);
        put_len(2, &message, &mut scope);
    }
    put_len(2, &scope, &mut resource);
    put_len(1, &resource, &mut request);
    let batches = batches(Signal::Metrics, &request).unwrap();
    assert_eq!(batches.len(), 3);
    for (n, batch) in batches.iter().enumerate() {
        let get = |key: &str| batch.get(&batch.rows[0], &batch.resolve(&suiro_record::Path::key(key))).unwrap();
        assert!(get("name").str_eq(&format!("metric {n}")) && get("kind").str_eq("gauge"), "{n}");
    }
    assert_eq!(written(Signal::Metrics, &batches), request);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn noise(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        SIGNALS.into_iter().for_each(|signal| probe(signal, &bytes));
    }

    #[test]
    fn noise_quickly(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        look(&bytes);
    }

    #[test]
    fn a_message_with_bytes_changed(
        seed in any::<u8>(), changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4)
    ) {
        for signal in [Signal::Logs, Signal::Traces] {
            for batch in super::as_read(signal, &sample(signal, seed)).unwrap() {
                for row in &batch.rows {
                    let mut message = batch.message(row).unwrap().to_vec();
                    for (at, to) in &changes {
                        if !message.is_empty() {
                            let at = at.index(message.len());
                            message[at] = *to;
                        }
                    }
                    look(&message);
                }
            }
        }
    }

    #[test]
    fn a_request_with_a_byte_changed(seed in any::<u8>(), at in any::<proptest::sample::Index>(), to in any::<u8>()) {
        for signal in SIGNALS {
            let mut bytes = sample(signal, seed);
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = to;
                probe(signal, &bytes);
            }
        }
    }

    #[test]
    fn noise_of_json(text in r#"[\[\]{}:,"0-9a-zA-Z.\\-]{0,60}"#) {
        for signal in SIGNALS {
            let _ = json::to_protobuf(signal, text.as_bytes());
        }
    }
}

#[test]
fn a_broken_record_is_refused_alone() {
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::metrics::v1::{
        Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data,
    };
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

    let span = |id: &[u8]| Span { trace_id: vec![1; 16], span_id: id.to_vec(), ..Span::default() };
    let spans = vec![span(&[1; 8]), span(&[2; 7]), span(&[3; 8]), span(&[4; 9])];
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let request =
        ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] };
    let decoded = super::decoded(Signal::Traces, &request.encode_to_vec()).unwrap();
    assert_eq!((decoded.batches[0].len(), decoded.refused), (2, 2));
    assert!(decoded.why.unwrap().to_string().contains("id"));

    let point = |start: u64| NumberDataPoint { start_time_unix_nano: start, ..NumberDataPoint::default() };
    let metric = |name: &str, points: usize| Metric {
        name: name.to_owned(),
        data: Some(Data::Gauge(Gauge { data_points: vec![point(1); points] })),
        ..Metric::default()
    };
    let scope_metrics =
        vec![ScopeMetrics { metrics: vec![metric("one", 1), metric("b~d", 3)], ..ScopeMetrics::default() }];
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }],
    };
    let mut bytes = request.encode_to_vec();
    let tilde = bytes.iter().position(|byte| *byte == b'~').unwrap();
    bytes[tilde] = 0xff;
    let decoded = super::decoded(Signal::Metrics, &bytes).unwrap();
    assert_eq!((decoded.batches[0].len(), decoded.refused), (1, 3));
}
