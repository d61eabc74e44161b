use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::test_kit::{READ_AT, Rig, fails, json_of, metric, names_of};

const SECOND: Duration = Duration::from_secs(1);

/// Spans through the filter: they pass.
fn pass(rig: &mut Rig, spans: &[&str]) {
    let out = rig.feed_spans(spans);
    assert_eq!(out.iter().map(|flow| flow.batch.len()).sum::<usize>(), spans.len());
    rig.take(out);
}

/// What is sent, without the parts that are the same in all tests.
fn sent(rig: &mut Rig, flows: Vec<Flow>) -> Vec<String> {
    for flow in &flows {
        assert_eq!((flow.batch.signal, flow.custody.is_empty()), (Signal::Metrics, true));
    }
    let mut points: Vec<String> =
        flows.iter().flat_map(|flow| flow.batch.rows.iter().map(|row| json_of(&flow.batch, row))).collect();
    rig.take(flows);
    points.sort();
    points
}

const SPANS: [&str; 4] = [
    r#"{"@":"1","name":"GET /","kind":"server","start":1000000000,"end":1020000000,"status":{"code":"error"}}"#,
    r#"{"@":"2","name":"GET /","kind":"server","start":1000000000,"end":1500000000,"attributes":{"tenant":"a"}}"#,
    r#"{"@":"3","name":"GET /","kind":"server","start":1000000000,"end":1300000000}"#,
    r#"{"name":"job"}"#,
];

#[test]
fn calls_and_durations() {
    let mut rig = Rig::new(build, "interval = '10s'\nbounds = [0.1, 1]\ntag = 'red'");
    pass(&mut rig, &SPANS);
    let out = rig.wait(10 * SECOND);
    assert_eq!(&*out[0].batch.tag, "red");
    let batch = &out[0].batch;
    let scope = batch.scope(&batch.rows[0]);
    assert_eq!(scope.resource, [("service.name".to_owned(), "shop".into())]);
    assert_eq!(batch.rows[0].time, READ_AT + 10_000_000_000);
    let points = sent(&mut rig, out);
    let start = READ_AT;
    let own = |span: &str, kind: &str, status: &str| {
        format!(
            r#""start":{start},"attributes":{{"service.name":"shop","span.name":"{span}","span.kind":"SPAN_KIND_{kind}","status.code":"STATUS_CODE_{status}"}}"#
        )
    };
    let calls = |own: String, n: u32| {
        format!(
            r#"{{"name":"traces.span.metrics.calls","description":"Spans","unit":"{{call}}","kind":"sum","temporality":"cumulative",{own},"monotonic":true,"value":{n}}}"#
        )
    };
    let times = |own: String, rest: &str| {
        format!(
            r#"{{"name":"traces.span.metrics.duration","description":"Durations of spans","unit":"s","kind":"histogram","temporality":"cumulative",{own},{rest}}}"#
        )
    };
    let mut want = vec![
        calls(own("GET /", "SERVER", "ERROR"), 1),
        calls(own("GET /", "SERVER", "UNSET"), 2),
        calls(own("job", "UNSPECIFIED", "UNSET"), 1),
        times(
            own("GET /", "SERVER", "ERROR"),
            r#""count":1,"sum":0.02,"min":0.02,"max":0.02,"bounds":[0.1,1.0],"buckets":[1,0,0],"exemplars":[{"time":1020000000,"value":0.02,"trace_id":"00000000000000000000000000000001"}]"#,
        ),
        times(
            own("GET /", "SERVER", "UNSET"),
            r#""count":2,"sum":0.8,"min":0.3,"max":0.5,"bounds":[0.1,1.0],"buckets":[0,2,0],"exemplars":[{"time":1500000000,"value":0.5,"trace_id":"00000000000000000000000000000002"}]"#,
        ),
    ];
    want.sort();
    assert_eq!(points, want);
    // Cumulative ones are said again, also where nothing came; exemplars are not.
    pass(&mut rig, &SPANS[..1]);
    let out = rig.wait(10 * SECOND);
    let points = sent(&mut rig, out);
    assert_eq!(points.len(), 5);
    assert!(points[0].ends_with(r#""value":2}"#) && points[1].ends_with(r#""value":2}"#), "{points:?}");
    assert_eq!(points.iter().filter(|point| point.contains("exemplars")).count(), 1);
    assert_eq!(rig.totals.created, 10);
    rig.assert_settled();
}

#[test]
fn deltas_say_only_what_is_new() {
    let mut rig = Rig::new(build, "interval = '10s'\ntemporality = 'delta'\nexemplars = 0\nbounds = [1]");
    pass(&mut rig, &SPANS[..1]);
    let out = rig.wait(10 * SECOND);
    assert!(sent(&mut rig, out)[0].contains(&format!(r#""start":{READ_AT},"#)));
    // No series is left.
    assert!(rig.filter.deadline().is_none());
    assert!(rig.wait(7 * SECOND).is_empty());
    pass(&mut rig, &SPANS[..1]);
    let out = rig.flush();
    let points = sent(&mut rig, out);
    assert!(points[0].contains(&format!(r#""start":{},"#, READ_AT + 10_000_000_000)), "{points:?}");
    assert!(points[0].ends_with(r#""value":1}"#), "{points:?}");
    rig.assert_settled();
}

#[test]
fn dimensions_are_of_the_span_or_its_resource() {
    let mut rig =
        Rig::new(build, "dimensions = ['tenant', 'service.name', 'none']\nhistogram = 'exponential'\nmax_buckets = 4");
    pass(&mut rig, &SPANS[1..3]);
    let out = rig.flush();
    let points = sent(&mut rig, out);
    assert_eq!(points.len(), 4);
    assert!(
        points[1].contains(r#""status.code":"STATUS_CODE_UNSET","tenant":"a","service.name":"shop"}"#),
        "{points:?}"
    );
    assert!(
        points[3].contains(r#""kind":"exponential_histogram""#) && points[3].contains(r#""scale":20"#),
        "{points:?}"
    );
    rig.assert_settled();
}

#[test]
fn series_are_bounded_and_expire() {
    let (mut rig, metrics) =
        Rig::with_metrics(build, "max_series = 3\ninterval = '10s'\nexpire = '15s'\nexemplars = 0\nbounds = []");
    for i in 0..50 {
        pass(&mut rig, &[&format!(r#"{{"name":"{i}","start":1,"end":2}}"#)]);
    }
    let out = rig.wait(10 * SECOND);
    let points = sent(&mut rig, out);
    // Two series of the first span, one and a half of the second, and those of all others.
    assert_eq!(points.len(), 6, "{points:?}");
    let over = r#""attributes":{"otel.metric.overflow":true}"#;
    let calls: Vec<&String> = points.iter().filter(|point| point.contains(over)).collect();
    assert_eq!(calls.len(), 2);
    assert!(calls[0].ends_with(r#""value":48}"#) && calls[1].contains(r#""count":48"#), "{calls:?}");
    assert_eq!(metric(&metrics, "suiro_span_metrics_overflow_total{filter=\"f\"}"), Some(48.0));
    let out = rig.wait(10 * SECOND);
    assert_eq!(sent(&mut rig, out).len(), 6);
    assert!(rig.wait(10 * SECOND).is_empty() && rig.filter.deadline().is_none());
    rig.assert_settled();
}

#[test]
fn the_slowest_are_exemplars() {
    let mut exemplars = Vec::new();
    for (i, value) in [3.0, 1.0, 2.0, 5.0, 0.5].into_iter().enumerate() {
        let make = || Exemplar { time: i as i64, value, trace_id: None, span_id: Some("s".into()) };
        keep_slowest(&mut exemplars, 2, value, make);
    }
    let mut times: Vec<i64> = exemplars
        .iter()
        .filter_map(|e| e.get("time").and_then(|t| if let Value::Int(t) = t { Some(*t) } else { None }))
        .collect();
    times.sort_unstable();
    assert_eq!(times, [0, 3]);
    let mut none = Vec::new();
    keep_slowest(&mut none, 0, 1.0, || unreachable!("none are wanted"));
    assert!(none.is_empty());
}

#[test]
fn logs_pass_uncounted() {
    let mut rig = Rig::new(build, "");
    let out = rig.feed_json(&[r#"{"name":"x"}"#]);
    assert_eq!(names_of(&out), ["x"]);
    rig.take(out);
    assert!(rig.flush().is_empty());
    rig.assert_settled();
}

#[test]
fn mistakes_in_settings_are_named() {
    for (settings, words) in [
        ("bounds = [2, 1]", "must grow"),
        ("histogram = 'exponential'\nbounds = [1]", "has no `bounds`"),
        ("max_buckets = 5", "for exponential"),
        ("tag = ''", "from 1 to 256"),
        ("prefix = ''", "is empty"),
        ("dimensions = ['']", "names of attributes"),
        ("temporality = 'deltas'", "did you mean `delta`"),
        ("interval = 5", "write \"5s\""),
    ] {
        let report = fails(build, settings);
        assert!(report.contains(words), "{words}: {report}");
    }
}

proptest! {
    /// However spans come and intervals end: what deltas say adds up to what came.
    #[test]
    fn deltas_add_up(batches in proptest::collection::vec((proptest::collection::vec((0u8..6, 0u64..3000), 1..12), 0u64..25), 1..20), max_series in 1usize..8) {
        let mut rig = Rig::new(build, &format!("interval = '10s'\ntemporality = 'delta'\nmax_series = {max_series}\nexemplars = 0\nbounds = [0.5, 1, 2]"));
        let (mut count, mut millis) = (0, 0);
        let mut sums: BTreeMap<String, u64> = BTreeMap::new();
        let mut total = 0.0;
        let mut read = |points: Vec<String>| {
            for point in points {
                let value: serde_like::Point = serde_like::parse(&point);
                if let Some(sum) = value.sum {
                    *sums.entry("duration".into()).or_default() += value.count;
                    total += sum;
                } else {
                    *sums.entry("calls".into()).or_default() += value.count;
                }
            }
        };
        for (spans, wait) in batches {
            let texts: Vec<String> = spans.iter().map(|(name, ms)| format!(r#"{{"name":"{name}","start":0,"end":{}}}"#, ms * 1_000_000)).collect();
            count += spans.len() as u64;
            millis += spans.iter().map(|(_, ms)| ms).sum::<u64>();
            pass(&mut rig, &texts.iter().map(String::as_str).collect::<Vec<_>>());
            let out = rig.wait(Duration::from_secs(wait));
            read(sent(&mut rig, out));
        }
        let out = rig.flush();
        read(sent(&mut rig, out));
        prop_assert_eq!(sums.get("calls").copied(), Some(count));
        prop_assert_eq!(sums.get("duration").copied(), Some(count));
        prop_assert!((total - millis as f64 / 1000.0).abs() < 1e-6);
        rig.assert_settled();
    }
}

/// Numbers out of the text of a point.
mod serde_like {
    pub(super) struct Point {
        pub(super) count: u64,
        pub(super) sum: Option<f64>,
    }

    pub(super) fn parse(json: &str) -> Point {
        let number = |key: &str| -> Option<f64> {
            let rest = json.split(&format!("\"{key}\":")).nth(1)?;
            rest.split([',', '}']).next()?.parse().ok()
        };
        let count = number("count").or(number("value")).expect("a count") as u64;
        Point { count, sum: number("sum") }
    }
}
