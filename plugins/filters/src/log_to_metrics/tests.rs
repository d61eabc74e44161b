use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::test_kit::{READ_AT, Rig, fails, json_of, metric};

const SECOND: Duration = Duration::from_secs(1);

/// Points that are sent: name, attributes, and what they say.
fn sent(rig: &mut Rig, flows: Vec<Flow>) -> Vec<String> {
    let mut points = Vec::new();
    for flow in &flows {
        assert_eq!((flow.batch.signal, flow.custody.is_empty()), (Signal::Metrics, true));
        points.extend(flow.batch.rows.iter().map(|row| json_of(&flow.batch, row)));
    }
    rig.take(flows);
    points.sort();
    points
}

fn feed(rig: &mut Rig, logs: &[&str]) -> usize {
    let out = rig.feed_json(logs);
    rig.take(out).len()
}

#[test]
fn counters_gauges_and_histograms() {
    let settings = "interval = '10s'\ntag = 'm'\nmetric = [\
        { name = 'requests', labels = { path = '{path}', status = '{status|none}' } },\
        { name = 'bytes', unit = 'By', value = 'bytes', when = 'status == 200' },\
        { name = 'queue', kind = 'gauge', value = 'q', description = 'Length' },\
        { name = 'time', kind = 'histogram', value = 'ms', bounds = [10, 100] },\
    ]";
    let mut rig = Rig::new(build, settings);
    let logs = [
        r#"{"path":"/a","status":200,"bytes":100,"q":3,"ms":"12.5"}"#,
        r#"{"path":"/a","status":200,"bytes":"50","q":5,"ms":200}"#,
        r#"{"path":"/b","bytes":7,"q":4,"ms":1}"#,
        r#"{"status":200,"bytes":-1,"q":"x","ms":null}"#,
    ];
    assert_eq!(feed(&mut rig, &logs), 4);
    assert_eq!(rig.totals.failed, 1);
    let out = rig.wait(10 * SECOND);
    assert_eq!(&*out[0].batch.tag, "m");
    let head = |name: &str, rest: &str| format!(r#"{{"name":"{name}",{rest}}}"#);
    let sum = |path: &str, status: &str, value: u32| {
        let labels = if path.is_empty() { String::new() } else { format!(r#""path":"{path}","#) };
        let rest = format!(
            r#""kind":"sum","temporality":"cumulative","start":{READ_AT},"attributes":{{{labels}"status":"{status}"}},"monotonic":true,"value":{value}"#
        );
        head("requests", &rest)
    };
    let mut want = vec![
        sum("/a", "200", 2),
        sum("/b", "none", 1),
        sum("", "200", 1),
        head(
            "bytes",
            &format!(
                r#""unit":"By","kind":"sum","temporality":"cumulative","start":{READ_AT},"monotonic":true,"value":150"#
            ),
        ),
        head("queue", r#""description":"Length","kind":"gauge","value":4"#),
        head(
            "time",
            &format!(
                r#""kind":"histogram","temporality":"cumulative","start":{READ_AT},"count":3,"sum":213.5,"min":1.0,"max":200.0,"bounds":[10.0,100.0],"buckets":[1,1,1]"#
            ),
        ),
    ];
    want.sort();
    assert_eq!(sent(&mut rig, out), want);
    // The gauge has nothing new to say.
    let out = rig.wait(10 * SECOND);
    assert_eq!(sent(&mut rig, out).len(), 5);
    rig.assert_settled();
}

#[test]
fn logs_can_go() {
    let mut rig = Rig::new(build, "logs = 'drop'\nmetric = { name = 'n', when = 'a == 1' }");
    let out = rig.feed_json(&[r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":1}"#]);
    assert_eq!(rig.take(out), [r#"{"a":2}"#]);
    assert_eq!(rig.totals.dropped, [(Reason::FILTERED, 2)]);
    let out = rig.flush();
    assert!(sent(&mut rig, out)[0].ends_with(r#""value":2}"#));
    rig.assert_settled();
}

#[test]
fn the_resource_goes_along() {
    let mut rig = Rig::new(build, "metric = { name = 'n' }");
    feed(&mut rig, &["{}"]);
    let out = rig.flush();
    assert_eq!(out[0].batch.scope(&out[0].batch.rows[0]).resource, [("service.name".to_owned(), "shop".into())]);
    rig.take(out);
    let mut rig = Rig::new(build, "metric = { name = 'n' }\nresource = []");
    feed(&mut rig, &["{}"]);
    let out = rig.flush();
    assert!(out[0].batch.scope(&out[0].batch.rows[0]).resource.is_empty());
    rig.take(out);
    rig.assert_settled();
}

#[test]
fn labels_are_cut() {
    let mut rig = Rig::new(build, "metric = { name = 'n', labels = { l = '{l}' } }");
    feed(&mut rig, &[&format!(r#"{{"l":"{}"}}"#, "ü".repeat(1000))]);
    let out = rig.flush();
    assert!(sent(&mut rig, out)[0].contains(&format!("\"{}\"", "ü".repeat(512))));
    rig.assert_settled();
}

#[test]
fn mistakes_in_settings_are_named() {
    for (settings, words) in [
        ("", "missing setting `metric`"),
        ("metric = []", "from 1 to 250"),
        ("metric = { nam = 'x' }", "did you mean `name`"),
        ("metric = { name = '' }", "`name` is empty"),
        ("metric = { name = 'x', kind = 'gauge' }", "missing setting `value`"),
        ("metric = { name = 'x', kind = 'summary' }", "`kind` must be"),
        ("metric = { name = 'x', value = '@tag' }", "a number"),
        ("metric = { name = 'x', labels = { a = '{b' } }", "never closed"),
        ("metric = { name = 'x', bounds = [1] }", "unknown setting `bounds`"),
        ("metric = { name = 'x' }\nlogs = 'no'", "`logs` must be"),
    ] {
        let report = fails(build, settings);
        assert!(report.contains(words), "{words}: {report}");
    }
}

proptest! {
    /// Whatever labels come: no more series than there may be, and what they say adds up to what came.
    #[test]
    fn a_flood_of_labels_is_bounded(batches in proptest::collection::vec((proptest::collection::vec((0u16..60, 0u32..9), 1..12), 0u64..15), 1..15), max_series in 1usize..20) {
        let settings = format!("interval = '10s'\ntemporality = 'delta'\nmax_series = {max_series}\nmetric = {{ name = 'n', value = 'v', labels = {{ l = '{{l}}' }} }}");
        let (mut rig, metrics) = Rig::with_metrics(build, &settings);
        let mut want: BTreeMap<String, u64> = BTreeMap::new();
        let mut got: BTreeMap<String, u64> = BTreeMap::new();
        let (mut seen, mut beyond) = (std::collections::BTreeSet::new(), 0);
        let mut read = |points: Vec<String>| {
            for point in &points {
                let label = point.split("\"l\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("beyond");
                let value: u64 = point.split("\"value\":").nth(1).and_then(|v| v.trim_end_matches('}').parse().ok()).expect("a value");
                *got.entry(label.to_owned()).or_default() += value;
            }
            points.len()
        };
        let mut next = None;
        let mut now = 0;
        for (logs, wait) in batches {
            let texts: Vec<String> = logs.iter().map(|(l, v)| format!(r#"{{"l":"{l}","v":{v}}}"#)).collect();
            for (l, v) in &logs {
                next.get_or_insert(now + 10);
                // The one that stands for many takes a place once it is there.
                let is_new = !seen.contains(&Some(*l)) && seen.len() >= max_series;
                let series = if is_new { None } else { Some(*l) };
                beyond += u64::from(is_new);
                seen.insert(series);
                *want.entry(series.map_or("beyond".to_owned(), |l| l.to_string())).or_default() += u64::from(*v);
            }
            feed(&mut rig, &texts.iter().map(String::as_str).collect::<Vec<_>>());
            now += wait;
            let out = rig.wait(Duration::from_secs(wait));
            if next.is_some_and(|next| next <= now) {
                (next, seen) = (None, std::collections::BTreeSet::new());
            }
            let points = read(sent(&mut rig, out));
            prop_assert!(points <= max_series + 1, "{}", points);
        }
        let out = rig.flush();
        read(sent(&mut rig, out));
        prop_assert_eq!(&got, &want);
        prop_assert_eq!(metric(&metrics, "suiro_log_to_metrics_overflow_total{filter=\"f\"}"), Some(beyond as f64));
        rig.assert_settled();
    }
}
