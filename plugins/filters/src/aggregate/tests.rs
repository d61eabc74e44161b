use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::test_kit::{Rig, fails, json_of};

const SECOND: Duration = Duration::from_secs(1);

fn sent(rig: &mut Rig, flows: Vec<Flow>) -> Vec<String> {
    let mut points: Vec<String> = flows
        .iter()
        .flat_map(|flow| flow.batch.rows.iter().map(|row| format!("{} {}", row.time, json_of(&flow.batch, row))))
        .collect();
    rig.take(flows);
    points.sort();
    points
}

fn sum(time: u64, host: &str, value: &str, temporality: &str) -> String {
    format!(
        r#"{{"@":{time},"name":"n","kind":"sum","temporality":"{temporality}","monotonic":true,"start":1,"attributes":{{"path":"/","host":"{host}"}},"value":{value}}}"#
    )
}

fn gauge(time: u64, host: &str, value: &str) -> String {
    format!(r#"{{"@":{time},"name":"g","unit":"By","kind":"gauge","attributes":{{"host":"{host}"}},"value":{value}}}"#)
}

fn feed(rig: &mut Rig, points: &[String]) -> Vec<String> {
    let out = rig.feed_points(&points.iter().map(String::as_str).collect::<Vec<_>>());
    sent(rig, out)
}

#[test]
fn deltas_add_up_over_attributes_that_go() {
    let mut rig = Rig::new(build, "interval = '10s'\nremove = ['host']");
    let passed =
        feed(&mut rig, &[sum(10, "a", "1", "delta"), sum(12, "b", "2", "delta"), sum(11, "a", "0.5", "delta")]);
    assert!(passed.is_empty());
    assert_eq!(rig.totals.absorbed, 3);
    let out = rig.wait(10 * SECOND);
    assert!(out[0].custody.is_empty());
    assert_eq!((&*out[0].batch.tag, out[0].batch.scope(&out[0].batch.rows[0]).resource.len()), ("t", 1));
    let want = r#"12 {"name":"n","kind":"sum","temporality":"delta","start":1,"attributes":{"path":"/"},"monotonic":true,"value":3.5}"#;
    assert_eq!(sent(&mut rig, out), [want]);
    assert!(rig.wait(20 * SECOND).is_empty());
    rig.assert_settled();
}

#[test]
fn cumulative_points_are_the_last_or_what_is_new_of_each() {
    let mut all = Rig::new(build, "interval = '10s'");
    let mut few = Rig::new(build, "interval = '10s'\nkeep = 'path'");
    let points = [
        sum(10, "a", "5", "cumulative"),
        sum(10, "b", "100", "cumulative"),
        sum(20, "a", "7", "cumulative"),
        // The same again, one that is late, and one that began anew.
        sum(20, "a", "7", "cumulative"),
        sum(15, "a", "6", "cumulative"),
        sum(30, "b", "3", "cumulative"),
    ];
    assert!(feed(&mut all, &points).is_empty() && feed(&mut few, &points).is_empty());
    let out = all.wait(10 * SECOND);
    let host = |time: u64, host: &str, value: u64| {
        format!(
            r#"{time} {{"name":"n","kind":"sum","temporality":"cumulative","start":1,"attributes":{{"path":"/","host":"{host}"}},"monotonic":true,"value":{value}}}"#
        )
    };
    assert_eq!(sent(&mut all, out), [host(20, "a", 7), host(30, "b", 3)]);
    let one = |time: u64, value: u64| {
        format!(
            r#"{time} {{"name":"n","kind":"sum","temporality":"cumulative","start":1,"attributes":{{"path":"/"}},"monotonic":true,"value":{value}}}"#
        )
    };
    let out = few.wait(10 * SECOND);
    assert_eq!(sent(&mut few, out), [one(30, 110)]);
    assert!(feed(&mut few, &[sum(40, "b", "4", "cumulative")]).is_empty());
    let out = few.wait(10 * SECOND);
    assert_eq!(sent(&mut few, out), [one(40, 111)]);
    // Nothing came.
    assert!(few.wait(10 * SECOND).is_empty());
    all.assert_settled();
    few.assert_settled();
}

#[test]
fn gauges_as_they_are_set() {
    for (how, value) in [("last", "4"), ("avg", "3.0"), ("min", "1"), ("max", "4.5"), ("sum", "12.0")] {
        let mut rig = Rig::new(build, &format!("gauge = '{how}'\nkeep = []"));
        let points = [gauge(1, "a", "1"), gauge(4, "b", "4"), gauge(2, "a", "4.5"), gauge(3, "c", "2.5")];
        assert!(feed(&mut rig, &points).is_empty());
        let out = rig.flush();
        let want = format!(r#"4 {{"name":"g","unit":"By","kind":"gauge","value":{value}}}"#);
        assert_eq!(sent(&mut rig, out), [want], "{how}");
        rig.assert_settled();
    }
}

#[test]
fn histograms_merge() {
    let point = |time: u64, buckets: &str, bounds: &str| {
        format!(
            r#"{{"@":{time},"name":"h","kind":"histogram","temporality":"delta","count":3,"sum":1.5,"min":{time},"max":9,"bounds":{bounds},"buckets":{buckets}}}"#
        )
    };
    let exponential = |scale: i32, offset: i32| {
        format!(
            r#"{{"@":7,"name":"e","kind":"exponential_histogram","temporality":"delta","count":2,"scale":{scale},"positive":{{"offset":{offset},"buckets":[1,1]}}}}"#
        )
    };
    let mut rig = Rig::new(build, "");
    let other = point(3, "[1,2]", "[5]");
    let broken = point(4, "[1]", "[5]");
    let passed = feed(
        &mut rig,
        &[
            point(1, "[1,2,0]", "[1,2]"),
            point(2, "[0,1,2]", "[1,2.0]"),
            other,
            broken,
            exponential(1, 4),
            exponential(0, 2),
        ],
    );
    assert_eq!(passed.len(), 2, "{passed:?}");
    assert_eq!(rig.totals.failed, 2);
    let out = rig.flush();
    assert_eq!(
        sent(&mut rig, out),
        [
            r#"2 {"name":"h","kind":"histogram","temporality":"delta","count":6,"sum":3.0,"min":1.0,"max":9.0,"bounds":[1.0,2.0],"buckets":[1,3,2]}"#,
            r#"7 {"name":"e","kind":"exponential_histogram","temporality":"delta","count":4,"positive":{"offset":2,"buckets":[3,1]}}"#,
        ]
    );
    rig.assert_settled();
}

#[test]
fn what_can_not_be_merged_passes() {
    let mut rig = Rig::new(build, "max_series = 1");
    let points = [
        gauge(1, "a", "1"),
        gauge(1, "b", "1"),
        r#"{"@":1,"name":"s","kind":"summary","count":1}"#.to_owned(),
        r#"{"@":1,"name":"g","unit":"By","kind":"gauge","attributes":{"host":"a"},"flags":1}"#.to_owned(),
        r#"{"@":1,"name":"g","kind":"gauge"}"#.to_owned(),
        r#"{"@":1,"log":"x"}"#.to_owned(),
    ];
    assert_eq!(feed(&mut rig, &points).len(), 5);
    assert_eq!((rig.totals.absorbed, rig.totals.failed), (1, 3));
    let out = rig.flush();
    assert_eq!(sent(&mut rig, out).len(), 1);
    rig.assert_settled();
}

#[test]
fn mistakes_in_settings_are_named() {
    for (settings, words) in [
        ("keep = 'a'\nremove = 'b'", "exclude each other"),
        ("gauge = 'mean'", "`gauge` must be"),
        ("max_series = 0", "must be from"),
        ("intervall = '5s'", "did you mean `interval`"),
    ] {
        let report = fails(build, settings);
        assert!(report.contains(words), "{words}: {report}");
    }
}

proptest! {
    /// Deltas of any series, in any order, intervals whenever: what is sent adds up to what came, by what is left of the
    /// attributes; cumulative ones end at the sum of their last values where none begins anew.
    #[test]
    fn adds_up(batches in proptest::collection::vec((proptest::collection::vec((0u8..3, 0u8..4, 0u32..100), 1..10), 0u64..15), 1..15)) {
        let mut deltas = Rig::new(build, "interval = '10s'\nkeep = 'a'");
        let mut totals = Rig::new(build, "interval = '10s'\nkeep = 'a'");
        let mut want: BTreeMap<u8, u64> = BTreeMap::new();
        let mut by_series: BTreeMap<(u8, u8), u64> = BTreeMap::new();
        let (mut got, mut last): (BTreeMap<u8, u64>, BTreeMap<u8, u64>) = (BTreeMap::new(), BTreeMap::new());
        let mut time = 0;
        let read = |points: Vec<String>| -> Vec<(u8, u64)> {
            points.iter().map(|point| {
                let a = point.split("\"a\":").nth(1).and_then(|rest| rest.split('}').next()).and_then(|a| a.parse().ok()).expect("a");
                let value = point.split("\"value\":").nth(1).and_then(|rest| rest.split('}').next()).and_then(|v| v.parse().ok()).expect("a value");
                (a, value)
            }).collect()
        };
        for (points, wait) in batches {
            let (mut fed, mut fed_totals) = (Vec::new(), Vec::new());
            for (a, b, value) in points {
                time += 1;
                *want.entry(a).or_default() += u64::from(value);
                let total = by_series.entry((a, b)).or_default();
                *total += u64::from(value);
                let point = |temporality: &str, value: u64| format!(r#"{{"@":{time},"name":"n","kind":"sum","temporality":"{temporality}","monotonic":true,"attributes":{{"b":{b},"a":{a}}},"value":{value}}}"#);
                fed.push(point("delta", u64::from(value)));
                fed_totals.push(point("cumulative", *total));
            }
            prop_assert!(feed(&mut deltas, &fed).is_empty());
            prop_assert!(feed(&mut totals, &fed_totals).is_empty());
            let out = deltas.wait(Duration::from_secs(wait));
            read(sent(&mut deltas, out)).into_iter().for_each(|(a, value)| *got.entry(a).or_default() += value);
            let out = totals.wait(Duration::from_secs(wait));
            last.extend(read(sent(&mut totals, out)));
        }
        let out = deltas.flush();
        read(sent(&mut deltas, out)).into_iter().for_each(|(a, value)| *got.entry(a).or_default() += value);
        let out = totals.flush();
        last.extend(read(sent(&mut totals, out)));
        prop_assert_eq!(&got, &want);
        prop_assert_eq!(&last, &want);
        deltas.assert_settled();
        totals.assert_settled();
    }
}
