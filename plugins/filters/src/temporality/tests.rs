use super::*;
use crate::test_kit::{READ_AT, Rig, fails, json_of};

const SECOND: Duration = Duration::from_secs(1);

/// A sum, time and start in units that begin when the filter does.
fn sum(time: i64, start: Option<i64>, value: &str, temporality: &str) -> String {
    let start = start.map_or(String::new(), |start| format!(r#""start":{},"#, READ_AT + start));
    format!(
        r#"{{"@":{},"name":"n","kind":"sum","monotonic":true,{start}"temporality":"{temporality}","value":{value}}}"#,
        READ_AT + time
    )
}

/// `start value` of what goes on, starts as above.
fn feed(rig: &mut Rig, points: &[String]) -> Vec<String> {
    let out = rig.feed_points(&points.iter().map(String::as_str).collect::<Vec<_>>());
    let field = |json: &str, key: &str| {
        json.split(&format!("\"{key}\":")).nth(1).and_then(|rest| rest.split([',', '}']).next()).map(str::to_owned)
    };
    let read = |json: String| {
        let start =
            field(&json, "start").map_or("-".to_owned(), |start| (start.parse::<i64>().unwrap() - READ_AT).to_string());
        format!("{start} {}", field(&json, "value").unwrap())
    };
    let all = out.iter().flat_map(|flow| flow.batch.rows.iter().map(|row| read(json_of(&flow.batch, row)))).collect();
    rig.take(out);
    all
}

fn dropped(rig: &Rig, reason: Reason) -> usize {
    rig.totals.dropped.iter().filter(|(dropped, _)| *dropped == reason).map(|(_, n)| n).sum()
}

#[test]
fn to_deltas() {
    let mut rig = Rig::new(build_to_delta, "");
    let cumulative = |time, start, value: &str| sum(time, start, value, "cumulative");
    // It began before the filter: since when it counts is not known.
    assert!(feed(&mut rig, &[cumulative(10, Some(-5), "100")]).is_empty());
    let points = [
        cumulative(20, Some(-5), "103"),
        cumulative(20, Some(-5), "103"),
        cumulative(15, Some(-5), "102"),
        cumulative(30, Some(-5), "103.5"),
        // It began anew: by its start, and by its value.
        cumulative(40, Some(35), "200"),
        cumulative(50, Some(35), "7"),
        cumulative(60, None, "9"),
    ];
    assert_eq!(feed(&mut rig, &points), ["10 3", "20 0.5", "35 200", "40 7", "50 2"]);
    assert_eq!((dropped(&rig, DUPLICATE), dropped(&rig, OUT_OF_ORDER), dropped(&rig, FIRST_POINT)), (1, 1, 1));
    rig.assert_settled();
}

#[test]
fn the_first_point_is_kept_where_its_start_is_known() {
    for (first, out) in [("auto", &["0 5"][..]), ("keep", &["0 5", "- 6"]), ("drop", &[])] {
        let mut rig = Rig::new(build_to_delta, &format!("first = '{first}'"));
        let other = sum(10, None, "6", "cumulative").replace("\"n\"", "\"m\"");
        assert_eq!(feed(&mut rig, &[sum(10, Some(0), "5", "cumulative"), other]), out, "{first}");
        assert_eq!(dropped(&rig, FIRST_POINT), 2 - out.len());
        rig.assert_settled();
    }
}

#[test]
fn to_totals() {
    let mut rig = Rig::new(build_to_cumulative, "");
    let delta = |time, start, value: &str| sum(time, start, value, "delta");
    let points = [
        delta(10, Some(5), "1"),
        delta(20, Some(10), "2"),
        delta(20, Some(10), "2"),
        delta(15, Some(10), "2"),
        // It begins before the one before ended.
        delta(25, Some(19), "2"),
        delta(40, Some(30), "0.5"),
        delta(50, None, "1"),
    ];
    assert_eq!(feed(&mut rig, &points), ["5 1", "5 3", "5 3.5", "5 4.5"]);
    assert_eq!((dropped(&rig, DUPLICATE), dropped(&rig, OUT_OF_ORDER)), (1, 2));
    rig.assert_settled();
}

#[test]
fn histograms_too() {
    let histogram = |time: i64, counts: &str, count: u32, bounds: &str, temporality: &str| {
        format!(
            r#"{{"@":{time},"name":"h","kind":"histogram","temporality":"{temporality}","count":{count},"sum":{count}.0,"min":1,"max":2,"bounds":{bounds},"buckets":{counts}}}"#
        )
    };
    let run = |build, points: &[String]| {
        let mut rig = Rig::new(build, "");
        let out = rig.feed_points(&points.iter().map(String::as_str).collect::<Vec<_>>());
        let out = rig.take(out);
        assert_eq!(rig.totals.failed, 0);
        rig.assert_settled();
        out
    };
    let cumulative = |time, counts, count, bounds| histogram(time, counts, count, bounds, "cumulative");
    let out = run(
        build_to_delta,
        &[
            cumulative(1, "[1,2]", 3, "[5]"),
            cumulative(2, "[1,4]", 5, "[5]"),
            cumulative(3, "[1,1]", 2, "[5]"),
            cumulative(4, "[9]", 9, "[]"),
        ],
    );
    assert_eq!(
        out,
        [
            r#"{"name":"h","kind":"histogram","temporality":"delta","count":2,"sum":2.0,"bounds":[5.0],"buckets":[0,2],"start":1}"#,
            // Less than before, and other bounds: it began anew.
            r#"{"name":"h","kind":"histogram","temporality":"delta","count":2,"sum":2.0,"min":1.0,"max":2.0,"bounds":[5.0],"buckets":[1,1],"start":2}"#,
            r#"{"name":"h","kind":"histogram","temporality":"delta","count":9,"sum":9.0,"min":1.0,"max":2.0,"bounds":[],"buckets":[9],"start":3}"#,
        ]
    );
    let delta = |time, counts, count, bounds| histogram(time, counts, count, bounds, "delta");
    let out = run(
        build_to_cumulative,
        &[delta(1, "[1,2]", 3, "[5]"), delta(2, "[1,4]", 5, "[5]"), delta(3, "[1,1]", 2, "[6]")],
    );
    assert_eq!(
        out[1..],
        [
            r#"{"name":"h","kind":"histogram","temporality":"cumulative","count":8,"sum":8.0,"min":1.0,"max":2.0,"bounds":[5.0],"buckets":[2,6],"start":1}"#,
            r#"{"name":"h","kind":"histogram","temporality":"cumulative","count":2,"sum":2.0,"min":1.0,"max":2.0,"bounds":[6.0],"buckets":[1,1],"start":2}"#,
        ]
    );
    let exponential = |time: i64, scale: i32, offset: i32, counts: &str, count: u32, temporality: &str| {
        format!(
            r#"{{"@":{time},"name":"e","kind":"exponential_histogram","temporality":"{temporality}","count":{count},"scale":{scale},"zero_count":1,"positive":{{"offset":{offset},"buckets":{counts}}}}}"#
        )
    };
    let out = run(
        build_to_delta,
        &[exponential(1, 1, 2, "[1,1]", 3, "cumulative"), exponential(2, 0, 1, "[4,1]", 6, "cumulative")],
    );
    assert_eq!(
        out,
        [
            r#"{"name":"e","kind":"exponential_histogram","temporality":"delta","count":3,"positive":{"offset":1,"buckets":[2,1]},"start":1}"#
        ]
    );
    let out = run(
        build_to_cumulative,
        &[exponential(1, 1, 2, "[1,1]", 3, "delta"), exponential(2, 0, 1, "[4,1]", 6, "delta")],
    );
    assert_eq!(
        out[1],
        r#"{"name":"e","kind":"exponential_histogram","temporality":"cumulative","count":9,"zero_count":2,"positive":{"offset":1,"buckets":[6,1]},"start":1}"#
    );
}

#[test]
fn others_pass() {
    let points = [
        r#"{"name":"g","kind":"gauge","value":1}"#,
        r#"{"name":"s","kind":"summary","count":1}"#,
        r#"{"name":"n","kind":"sum","temporality":"delta","value":5}"#,
        r#"{"name":"n","kind":"sum","temporality":"cumulative","flags":1}"#,
        r#"{"name":"n","kind":"sum","temporality":"cumulative"}"#,
        r#"{"name":"n","kind":"sum","value":1}"#,
        r#"{"name":"n","kind":"histogram","temporality":"cumulative","count":-1}"#,
        r#"{"name":"n","kind":"exponential_histogram","temporality":"cumulative","scale":99}"#,
        r#"{"logs":"x"}"#,
    ];
    let mut rig = Rig::new(build_to_delta, "");
    let out = rig.feed_points(&points);
    assert_eq!(rig.take(out), points);
    assert_eq!(rig.totals.failed, 5);
    rig.assert_settled();
}

#[test]
fn series_are_bounded_and_expire() {
    let mut rig = Rig::new(build_to_cumulative, "max_series = 2\nexpire = '10s'");
    let named = |time, name: &str| sum(time, None, "1", "delta").replace("\"n\"", &format!("\"{name}\""));
    assert_eq!(feed(&mut rig, &[named(1, "a"), named(1, "b"), named(1, "c"), named(2, "a")]), ["1 1", "1 1", "1 2"]);
    assert_eq!(dropped(&rig, SERIES_LIMIT), 1);
    assert!(rig.wait(11 * SECOND).is_empty() && rig.filter.deadline().is_none());
    assert_eq!(feed(&mut rig, &[named(3, "a"), named(3, "c")]), ["3 1", "3 1"]);
    rig.assert_settled();
}

#[test]
fn series_are_told_apart() {
    let mut rig = Rig::new(build_to_cumulative, "");
    let with = |time, attributes: &str| {
        sum(time, Some(0), "1", "delta").replace("\"value\"", &format!("\"attributes\":{attributes},\"value\""))
    };
    let points = [
        with(1, r#"{"a":1,"b":"x"}"#),
        with(2, r#"{"b":"x","a":1}"#).replace("\"start\":1700000000000000000", "\"start\":1700000000000000001"),
        with(1, r#"{"a":"1","b":"x"}"#),
        with(1, r#"{"a":1}"#),
        with(1, r#"{"a":1}"#).replace("\"kind\"", "\"unit\":\"s\",\"kind\""),
    ];
    assert_eq!(feed(&mut rig, &points), ["0 1", "0 2", "0 1", "0 1", "0 1"]);
    rig.assert_settled();
}

#[test]
fn mistakes_in_settings_are_named() {
    assert!(fails(build_to_delta, "first = 'kep'").contains("did you mean `keep`"));
    assert!(fails(build_to_cumulative, "first = 'keep'").contains("unknown setting `first`"));
    assert!(fails(build_to_cumulative, "expire = '1ms'").contains("must be from"));
}
