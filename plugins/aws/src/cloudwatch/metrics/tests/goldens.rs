//! What becomes of each kind of point.

use suiro_record::{Scope, Source};
use suiro_sdk::http::test_kit::delivery;
use suiro_sdk::{Reason, Verdict};

use super::kit::{accept, lines, packed, points, read, reasons, settings};

/// What is said of a point `m` beside its dimensions and its time.
fn said(more: &str, line: &str) -> Vec<String> {
    let all = lines(&settings(more), points(&[line]));
    let rest = all.into_iter().filter(|line| !line.contains(".MetricName=") && !line.contains(".Timestamp="));
    rest.map(|line| line.strip_prefix("1.").unwrap_or(&line).replace("member.", "")).collect()
}

#[test]
fn a_request_is_what_cloudwatch_reads() {
    let settings = settings("storage_resolution = '1s'");
    let line = r#"{"name":"http.time","kind":"gauge","unit":"ms","attributes":{"b":"x y","a":1,"none":null,"e":""},"value":2.5}"#;
    let (forms, _) = packed(&settings, &delivery(vec![points(&[line])]));
    let pairs: Vec<String> = forms[0].iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(
        pairs,
        [
            "Action=PutMetricData",
            "Version=2010-08-01",
            "Namespace=Shop",
            "MetricData.member.1.MetricName=http.time",
            "MetricData.member.1.Dimensions.member.1.Name=a",
            "MetricData.member.1.Dimensions.member.1.Value=1",
            "MetricData.member.1.Dimensions.member.2.Name=b",
            "MetricData.member.1.Dimensions.member.2.Value=x y",
            "MetricData.member.1.Timestamp=2026-11-22T16:29:03Z",
            "MetricData.member.1.Unit=Milliseconds",
            "MetricData.member.1.StorageResolution=1",
            "MetricData.member.1.Value=2.5",
        ]
    );
}

#[test]
fn numbers_are_values() {
    assert_eq!(said("", r#"{"name":"m","kind":"gauge","value":-3}"#), ["Value=-3"]);
    assert_eq!(
        said("", r#"{"name":"m","kind":"sum","temporality":"delta","monotonic":true,"unit":"{request}","value":5}"#),
        ["Unit=Count", "Value=5"]
    );
    assert_eq!(said("", r#"{"name":"m","kind":"sum","temporality":"cumulative","value":7}"#), ["Value=7"]);
    let rate = r#"{"name":"m","kind":"gauge","metadata":{"type":"rate","interval":10.0},"value":0.5}"#;
    assert_eq!(said("", rate), ["Unit=Count/Second", "Value=0.5"]);
    // Nanoseconds are microseconds, and what is nearer to nothing than CloudWatch can tell is nothing.
    assert_eq!(said("", r#"{"name":"m","kind":"gauge","unit":"ns","value":1500}"#), ["Unit=Microseconds", "Value=1.5"]);
    assert_eq!(said("", r#"{"name":"m","kind":"gauge","value":1e-200}"#), ["Value=0"]);
}

#[test]
fn sums_since_a_start_are_refused_unless_the_settings_say_otherwise() {
    let sum = r#"{"name":"m","kind":"sum","temporality":"cumulative","monotonic":true,"value":7}"#;
    let histogram = r#"{"name":"m","kind":"histogram","temporality":"cumulative","count":1,"sum":1}"#;
    let cumulative = Reason("cumulative");
    assert_eq!(reasons(&settings(""), points(&[sum, histogram])), [(0, cumulative), (1, cumulative)]);
    assert_eq!(said("cumulative = 'as_is'", sum), ["Value=7"]);
    assert_eq!(reasons(&settings("cumulative = 'as_is'"), points(&[histogram])), [(0, cumulative)]);
}

#[test]
fn histograms_are_values_or_statistics() {
    let line = r#"{"name":"m","kind":"histogram","temporality":"delta","unit":"s","count":5,"sum":13.25,"min":0.5,"max":9,"bounds":[1,2,3],"buckets":[2,2,0,1]}"#;
    assert_eq!(
        said("", line),
        [
            "Unit=Seconds",
            "Values.1=0.5",
            "Values.2=0.75",
            "Values.3=1.5",
            "Values.4=9",
            "Counts.1=1",
            "Counts.2=1",
            "Counts.3=2",
            "Counts.4=1",
        ]
    );
    let statistics = |count, sum, min, max| {
        vec![
            format!("StatisticValues.SampleCount={count}"),
            format!("StatisticValues.Sum={sum}"),
            format!("StatisticValues.Minimum={min}"),
            format!("StatisticValues.Maximum={max}"),
        ]
    };
    assert_eq!(said("histograms = 'statistics'", line)[1..], statistics("5", "13.25", "0.5", "9"));
    // Without buckets there is no more to be had.
    let bare = r#"{"name":"m","kind":"histogram","temporality":"delta","count":4,"sum":6,"min":1,"max":3}"#;
    assert_eq!(said("", bare), statistics("4", "6", "1", "3"));
    let barer = r#"{"name":"m","kind":"histogram","temporality":"delta","count":4,"sum":6}"#;
    assert_eq!(said("", barer), statistics("4", "6", "1.5", "1.5"));
}

#[test]
fn exponential_histograms_are_values() {
    // Of scale 0, bucket 1 is (2, 4], bucket 2 is (4, 8]; on the other side [-2, -1).
    let line = r#"{"name":"m","kind":"exponential_histogram","temporality":"delta","count":7,"sum":13.5,"scale":0,"zero_count":1,"positive":{"offset":1,"buckets":[2,2]},"negative":{"offset":0,"buckets":[2]}}"#;
    // -1.5 * 2 + 0 + 3 * 2 + 6 * 2 = 15 were it the middle of each; lows add up to 8, highs to 22.
    let all = lines(&settings(""), points(&[line]));
    let values: Vec<f64> =
        all.iter().filter_map(|line| line.strip_prefix("1.Values.member.")?.split_once('=')?.1.parse().ok()).collect();
    let share = (13.5 - 8.0) / 14.0;
    let want = [-2.0 + share, 0.0, 2.0 + 2.0 * share, 4.0 + 4.0 * share];
    assert!(values.iter().zip(want).all(|(got, want)| (got - want).abs() < 1e-12), "{values:?} {want:?}");
    assert_eq!(values.len(), 4);
}

#[test]
fn summaries_are_what_they_count() {
    let quantiles =
        r#""count":10,"sum":50,"quantiles":[{"value":1},{"quantile":0.5,"value":4},{"quantile":1,"value":9}]"#;
    let statsd = format!(r#"{{"name":"m","kind":"summary","metadata":{{"type":"timer"}},{quantiles}}}"#);
    let statistics = [
        "StatisticValues.SampleCount=10",
        "StatisticValues.Sum=50",
        "StatisticValues.Minimum=1",
        "StatisticValues.Maximum=9",
    ];
    assert_eq!(said("", &statsd), statistics);
    let other = format!(r#"{{"name":"m","kind":"summary",{quantiles}}}"#);
    assert_eq!(said("summaries = 'statistics'", &other), statistics);
    let (forms, _) = packed(&settings(""), &delivery(vec![points(&[&other])]));
    let brief: Vec<(String, f64)> =
        accept(&forms[0]).into_iter().map(|datum| (datum.dimensions["quantile"].clone(), datum.sum)).collect();
    assert_eq!(brief, [("0".to_owned(), 1.0), ("0.5".to_owned(), 4.0), ("1".to_owned(), 9.0)]);
    // Its count and sum are since a start.
    let (forms, _) = packed(&settings("cumulative = 'as_is'"), &delivery(vec![points(&[&other])]));
    let names: Vec<String> = accept(&forms[0]).into_iter().map(|datum| datum.name).collect();
    assert_eq!(names, ["m", "m", "m", "m.count", "m.sum"]);
}

#[test]
fn raw_values_are_counted() {
    let line = r#"{"name":"m","kind":"summary","count":8,"metadata":{"type":"distribution"},"values":[2,1,2,7.5]}"#;
    let (forms, _) = packed(&settings(""), &delivery(vec![points(&[line])]));
    let data = accept(&forms[0]);
    // Each stands for two.
    assert_eq!((data.len(), data[0].count, data[0].sum), (1, 8.0, 25.0));
}

#[test]
fn points_of_one_metric_and_minute_are_one_datum() {
    let line = |value: i64| format!(r#"{{"name":"m","kind":"gauge","attributes":{{"a":"1"}},"value":{value}}}"#);
    let mut batch = points(&[&line(1), &line(2), &line(2), r#"{"name":"m","kind":"gauge","value":5}"#]);
    batch.rows[1].time += 10_000_000_000;
    assert_eq!(
        lines(&settings(""), batch.clone()).into_iter().filter(|line| !line.contains("Dimensions")).collect::<Vec<_>>(),
        [
            "1.MetricName=m",
            "1.Timestamp=2026-11-22T16:29:00Z",
            "1.Values.member.1=1",
            "1.Values.member.2=2",
            "1.Counts.member.1=1",
            "1.Counts.member.2=2",
            "2.MetricName=m",
            "2.Timestamp=2026-11-22T16:29:00Z",
            "2.Value=5",
        ]
    );
    // Where seconds are kept, they are told apart.
    let (forms, _) = packed(&settings("storage_resolution = '1s'"), &delivery(vec![batch]));
    assert_eq!(accept(&forms[0]).len(), 3);
}

#[test]
fn what_cloudwatch_would_refuse_is_not_sent() {
    let lines = [
        r#"{"name":"ok","kind":"gauge","value":1}"#,
        r#"{"name":"old","kind":"gauge","value":1}"#,
        r#"{"name":"new","kind":"gauge","value":1}"#,
        r#"{"name":"huge","kind":"gauge","value":1e200}"#,
        r#"{"name":"none","kind":"gauge","flags":1}"#,
        r#"{"name":"inf","kind":"gauge","value":1e999}"#,
        r#"{"name":"","kind":"gauge","value":1}"#,
        r#"{"name":"x","kind":"count","value":1}"#,
        r#"{"name":"x","kind":"histogram","temporality":"delta","bounds":[2,1],"buckets":[1,1,1]}"#,
        r#"{"name":"x","kind":"summary","metadata":{"type":"timer"},"count":0,"sum":0}"#,
        r#"{"name":"x","kind":"exponential_histogram","temporality":"delta","scale":99,"positive":{"buckets":[1]}}"#,
    ];
    let many: Vec<String> = (0..31).map(|n| format!(r#""d{n}":"x""#)).collect();
    let many = format!(r#"{{"name":"many","kind":"gauge","value":1,"attributes":{{{}}}}}"#, many.join(","));
    let mut all: Vec<&str> = lines.to_vec();
    all.push(&many);
    let mut batch = points(&all);
    batch.rows[1].time -= 14 * 86_400 * 1_000_000_000;
    batch.rows[2].time += 2 * 3600 * 1_000_000_000;
    let want = [
        (1, "too_old"),
        (2, "too_new"),
        (3, "out_of_range"),
        (4, "no_value"),
        (5, "not_finite"),
        (6, "malformed"),
        (7, "malformed"),
        (8, "malformed"),
        (9, "no_value"),
        (10, "malformed"),
        (11, "too_many_dimensions"),
    ];
    assert_eq!(reasons(&settings(""), batch), want.map(|(number, reason)| (number, Reason(reason))));
}

#[test]
fn a_time_before_all_minutes_is_too_old() {
    let mut batch = points(&[r#"{"name":"m","kind":"gauge","value":1}"#]);
    batch.rows[0].time = i64::MIN;
    assert_eq!(reasons(&settings(""), batch), [(0, Reason("too_old"))]);
}

#[test]
fn a_namespace_that_can_not_be_is_named() {
    let settings = read("namespace = 'Shop/{ns}'").unwrap();
    let batch = points(&[r#"{"name":"m","kind":"gauge","value":1}"#]);
    let (_, apart) = packed(&settings, &delivery(vec![batch]));
    let [(0, Verdict::Refused { detail, .. })] = &apart[..] else { panic!("{apart:?}") };
    assert!(detail.starts_with("`namespace`: "), "{detail}");
}

#[test]
fn dimensions_come_from_the_point_and_its_resource() {
    let scope = Scope::new(std::sync::Arc::new(Source::new("in".into(), 1)));
    let scope = scope.with("service.name", "shop").with("host.name", "web1").with("rack", "r1").with("a", "resource");
    let mut batch = points(&[r#"{"name":"m","kind":"gauge","value":1,"attributes":{"a":"1","b.c":true,":d":"x"}}"#]);
    batch.replace_scope(0, scope.into());
    let of = |text: &str| -> Vec<String> {
        let (forms, _) = packed(&settings(text), &delivery(vec![batch.clone()]));
        let pairs = accept(&forms[0]).remove(0).dimensions;
        pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    };
    assert_eq!(of(""), ["_d=x", "a=1", "b.c=true", "host.name=web1", "service.name=shop"]);
    assert_eq!(of("dimensions = ['b.*']\nresource_dimensions = ['rack']"), ["b.c=true", "rack=r1"]);
    assert_eq!(
        of("resource_dimensions = '*'"),
        ["_d=x", "a=1", "b.c=true", "host.name=web1", "rack=r1", "service.name=shop"]
    );
    assert_eq!(of("dimensions = []\nresource_dimensions = []"), Vec::<String>::new());
}

#[test]
fn namespaces_are_requests_of_their_own() {
    let settings = super::kit::read("namespace = 'Shop/{attributes.team}'").unwrap();
    let line = |team: &str| format!(r#"{{"name":"m","kind":"gauge","value":1,"attributes":{{"team":"{team}"}}}}"#);
    let lines = [line("a"), line("b"), line("a"), r#"{"name":"m","kind":"gauge","value":1}"#.to_owned(), line("é")];
    let (forms, apart) = packed(&settings, &delivery(vec![points(&lines)]));
    let names: Vec<&str> = forms.iter().map(|form| form[2].1.as_str()).collect();
    assert_eq!(names, ["Shop/a", "Shop/b"]);
    assert_eq!(apart.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [3, 4]);
}
