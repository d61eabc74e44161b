//! Points as pages.

use std::sync::Arc;

use proptest::prelude::*;
use suiro_record::{Batch, Row, Scope, Source, TimeKind};
use suiro_sdk::http::test_kit::delivery;

use super::*;
use crate::text::{Options, TextParser};

const SECOND: i64 = 1_000_000_000;

fn scope() -> Scope {
    Scope::new(Arc::new(Source::new("in".into(), 1)))
}

/// A batch of points, written as JSON; one a second.
fn batch(scope: Scope, points: &[&str]) -> Batch {
    let mut batch = Batch::new("t".into(), Arc::new(scope), 0);
    batch.signal = Signal::Metrics;
    for (n, point) in points.iter().enumerate() {
        let from = batch.heap().len();
        batch.heap_mut().extend_from_slice(point.as_bytes());
        let root = batch.parse_json(from..from + point.len()).expect(point);
        let mut row = Row::new(root, (n as i64 + 1) * SECOND, n as u64, n as u64 + 1);
        row.time_kind = TimeKind::Own;
        batch.rows.push(row);
    }
    batch
}

fn exporter(settings: &str) -> Exporter {
    let (section, diagnostics) = Section::from_text("[[output]] prometheus_exporter", settings);
    Exporter::read(&section).unwrap_or_else(|_| panic!("{}", diagnostics.render(false)))
}

fn page(exporter: &Exporter, format: Format) -> String {
    String::from_utf8(exporter.shop.page(format)).unwrap()
}

#[test]
fn both_formats_of_all_kinds() {
    let points = [
        r#"{"name":"http.requests","description":"Re\"quests\n","unit":"{request}","kind":"sum","monotonic":true,"temporality":"cumulative","start":1500000000,"attributes":{"http.method":"GET"},"value":5,"exemplars":[{"time":1500000000,"value":1,"trace_id":"ab","attributes":{"k":"v"}}]}"#,
        r#"{"name":"mem","unit":"By","kind":"gauge","attributes":{"x":"a\"b\\c\nd"},"value":-0.5}"#,
        r#"{"name":"lat","unit":"s","kind":"histogram","temporality":"cumulative","attributes":{"a":"b"},"count":6,"sum":1.5,"bounds":[0.5,1],"buckets":[1,2,3],"exemplars":[{"value":0.7,"span_id":"cd"}]}"#,
        r#"{"name":"q","kind":"summary","count":2,"sum":3,"quantiles":[{"quantile":0.5,"value":1},{"quantile":1,"value":null}]}"#,
        r#"{"name":"build_info","metadata":{"type":"info"},"kind":"gauge","attributes":{"v":"1"},"value":1}"#,
        r#"{"name":"un","metadata":{"type":"unknown"},"kind":"gauge","value":1e300}"#,
        r#"{"name":"exp","kind":"exponential_histogram","temporality":"cumulative","count":8,"sum":2,"scale":0,"zero_count":1,"positive":{"offset":-1,"buckets":[2,0,3]},"negative":{"offset":1,"buckets":[1,1]}}"#,
    ];
    let exporter = exporter("");
    let scope = scope().with("service.name", "cart").with("service.instance.id", "i").with("region", "eu");
    let delivery = delivery(vec![batch(scope, &points)]);
    assert_eq!(exporter.take(&delivery), Outcome::Delivered);
    let own = r#"instance="i",job="cart""#;
    let want = format!(
        "# TYPE build_info gauge\nbuild_info{{{own},v=\"1\"}} 1\n\
         # TYPE exp histogram\nexp_bucket{{{own},le=\"-4.0\"}} 1\nexp_bucket{{{own},le=\"-2.0\"}} 2\n\
         exp_bucket{{{own},le=\"0.0\"}} 3\nexp_bucket{{{own},le=\"1.0\"}} 5\nexp_bucket{{{own},le=\"4.0\"}} 8\n\
         exp_bucket{{{own},le=\"+Inf\"}} 8\nexp_sum{{{own}}} 2\nexp_count{{{own}}} 8\n\
         # HELP http_requests_total Re\"quests\\n\n# TYPE http_requests_total counter\n\
         http_requests_total{{http_method=\"GET\",{own}}} 5\n\
         # TYPE lat_seconds histogram\nlat_seconds_bucket{{a=\"b\",{own},le=\"0.5\"}} 1\n\
         lat_seconds_bucket{{a=\"b\",{own},le=\"1.0\"}} 3\nlat_seconds_bucket{{a=\"b\",{own},le=\"+Inf\"}} 6\n\
         lat_seconds_sum{{a=\"b\",{own}}} 1.5\nlat_seconds_count{{a=\"b\",{own}}} 6\n\
         # TYPE mem_bytes gauge\nmem_bytes{{{own},x=\"a\\\"b\\\\c\\nd\"}} -0.5\n\
         # TYPE q summary\nq{{{own},quantile=\"0.5\"}} 1\nq{{{own},quantile=\"1.0\"}} NaN\nq_sum{{{own}}} 3\nq_count{{{own}}} 2\n\
         # HELP target_info Target metadata\n# TYPE target_info gauge\ntarget_info{{{own},region=\"eu\"}} 1\n\
         # TYPE un untyped\nun{{{own}}} 1e300\n"
    );
    assert_eq!(page(&exporter, Format::Text), want);
    let open = page(&exporter, Format::OpenMetrics);
    for lines in [
        "# HELP http_requests Re\\\"quests\\n\n# TYPE http_requests counter\n\
         http_requests_total{http_method=\"GET\",instance=\"i\",job=\"cart\"} 5 # {k=\"v\",trace_id=\"ab\"} 1 1.5\n\
         http_requests_created{http_method=\"GET\",instance=\"i\",job=\"cart\"} 1.5\n",
        "# TYPE lat_seconds histogram\n# UNIT lat_seconds seconds\n",
        "le=\"1.0\"} 3 # {span_id=\"cd\"} 0.7\n",
        "# TYPE build info\nbuild_info{",
        "# TYPE target info\n",
        "# TYPE un unknown\n",
    ] {
        assert!(open.contains(lines), "{lines}\n---\n{open}");
    }
    assert!(open.ends_with("# EOF\n"));
    // What is written is read, line by line.
    for (format, text) in [(Format::Text, want), (Format::OpenMetrics, open)] {
        let options = Options { format, time: 0, honor_timestamps: true, max_samples: 1000 };
        let new = || Batch::new("t".into(), Arc::new(self::scope()), 0);
        let mut points = 0;
        let report = TextParser::default().parse(text.as_bytes(), options, None, new, |batch| points += batch.len());
        assert_eq!((report.wrong, points), (0, 8), "{report:?}");
    }
}

#[test]
fn deltas_add_up_and_cumulative_points_replace() {
    let exporter = exporter("timestamps = true");
    let sum = |temporality: &str, value: u32| {
        format!(
            r#"{{"name":"{temporality}","kind":"sum","monotonic":true,"temporality":"{temporality}","value":{value}}}"#
        )
    };
    let histogram = |bounds: &str| {
        format!(
            r#"{{"name":"h","kind":"histogram","temporality":"delta","count":3,"sum":1,"bounds":[{bounds}],"buckets":[1,2]}}"#
        )
    };
    let points =
        [sum("delta", 5), sum("delta", 2), sum("cumulative", 5), sum("cumulative", 2), histogram("1"), histogram("1")];
    let texts: Vec<&str> = points.iter().map(String::as_str).collect();
    assert_eq!(exporter.take(&delivery(vec![batch(scope(), &texts)])), Outcome::Delivered);
    let shown = page(&exporter, Format::Text);
    for line in [
        "cumulative_total 2 4000\n",
        "delta_total 7 2000\n",
        "h_bucket{le=\"1.0\"} 2 6000\n",
        "h_count 6 6000\n",
        "h_sum 2 6000\n",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    // One that is older than what is there changes nothing; other bounds begin anew.
    let old = batch(scope(), &[&sum("cumulative", 1), &histogram("2")]);
    exporter.take(&delivery(vec![old]));
    let shown = page(&exporter, Format::Text);
    assert!(shown.contains("cumulative_total 2 4000\n") && shown.contains("h_count 3 6000\n"), "{shown}");
}

#[test]
fn series_are_bounded_and_forgotten() {
    let exporter = exporter("max_series = 2\nexpire = '1s'");
    let gauge = |name: &str, more: &str| format!(r#"{{"name":"{name}","kind":"gauge","value":1{more}}}"#);
    let points = [gauge("a", ""), gauge("b", ""), gauge("c", ""), gauge("a", ""), r#"{"name":"x"}"#.to_owned()];
    let texts: Vec<&str> = points.iter().map(String::as_str).collect();
    let Outcome::Partial(verdicts) = exporter.take(&delivery(vec![batch(scope(), &texts)])) else { panic!() };
    assert_eq!(verdicts[0], (2, Verdict::Drop(SERIES_LIMIT)));
    assert!(matches!(verdicts[1], (4, Verdict::Refused { reason: Reason::MALFORMED, .. })), "{verdicts:?}");
    // A point without a value any more makes room.
    let points = [r#"{"name":"a","kind":"gauge","flags":1}"#.to_owned(), gauge("c", "")];
    let texts: Vec<&str> = points.iter().map(String::as_str).collect();
    assert_eq!(exporter.take(&delivery(vec![batch(scope(), &texts)])), Outcome::Delivered);
    let mut registry = exporter.shop.registry();
    assert_eq!(registry.len(), 2);
    registry.expire(Instant::now() + Duration::from_secs(2));
    assert_eq!((registry.len(), registry.families.len()), (0, 0));
}

#[test]
fn names_that_would_be_two_metrics_are_told_apart() {
    let exporter = exporter("");
    let points = [
        r#"{"name":"a.b","kind":"gauge","value":1}"#,
        r#"{"name":"a_b","kind":"histogram","count":1}"#,
        r#"{"name":"h","kind":"histogram","count":1}"#,
        r#"{"name":"h_count","kind":"gauge","value":1}"#,
        r#"{"name":"s_sum","kind":"gauge","value":1}"#,
        r#"{"name":"s","kind":"summary"}"#,
        r#"{"name":"c","kind":"gauge","value":1}"#,
        r#"{"name":"c","kind":"sum","monotonic":true,"value":1}"#,
    ];
    let Outcome::Partial(verdicts) = exporter.take(&delivery(vec![batch(scope(), &points)])) else { panic!() };
    let dropped: Vec<usize> = verdicts.iter().map(|(n, _)| *n).collect();
    assert_eq!(dropped, [1, 3, 5]);
    assert!(verdicts.iter().all(|(_, verdict)| *verdict == Verdict::Drop(NAME_COLLISION)));
    // In OpenMetrics a counter's family would be named like the gauge.
    let open = page(&exporter, Format::OpenMetrics);
    assert!(open.contains("# TYPE c gauge\nc 1\n# TYPE c_total unknown\nc_total 1\n"), "{open}");
}

#[test]
fn the_format_is_the_one_asked_for() {
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,\
                      text/plain;version=0.0.4;q=0.4,*/*;q=0.1";
    assert_eq!(format_of(prometheus), Format::OpenMetrics);
    for accept in
        ["", "*/*", "text/plain", "application/openmetrics-text;q=0", "text/plain, application/openmetrics-text;q=0.5"]
    {
        assert_eq!(format_of(accept), Format::Text, "{accept}");
    }
}

#[test]
fn settings_are_checked() {
    for (text, message) in [
        ("path = 'metrics'", "/metrics"),
        ("expire = '0s'", "expire"),
        ("max_series = 0", "max_series"),
        ("listen = 'x'", "listen"),
        ("lissen = '127.0.0.1:1'", "lissen"),
    ] {
        let (section, diagnostics) = Section::from_text("[[output]] prometheus_exporter", text);
        assert!(Exporter::read(&section).is_err(), "{text}");
        assert!(diagnostics.render(false).contains(message), "{text}");
    }
}

/// A point as it comes back from a page.
fn point() -> impl Strategy<Value = String> {
    let attributes = proptest::collection::btree_map("[a-d][a-z_]{0,3}", "[a-zé\\\\\"\n]{1,4}", 0..4).prop_map(|map| {
        let pairs: Vec<String> = map.iter().map(|(k, v)| format!("{}:{}", json(k), json(v))).collect();
        if map.is_empty() { String::new() } else { format!(r#","attributes":{{{}}}"#, pairs.join(",")) }
    });
    let help = "[A-Za-z\\\\\"\n]{0,5}"
        .prop_map(|help| if help.is_empty() { String::new() } else { format!(r#","description":{}"#, json(&help)) });
    let buckets = proptest::collection::vec(0..1000_u64, 1..6);
    (0..5_usize, attributes, help, -1e9..1e9_f64, buckets).prop_map(|(kind, attributes, help, value, buckets)| {
        let value = format!("{value:?}");
        match kind {
            0 => format!(r#"{{"name":"c_total"{help},"kind":"sum","temporality":"cumulative","monotonic":true{attributes},"value":{value}}}"#),
            1 => format!(r#"{{"name":"g"{help},"kind":"gauge"{attributes},"value":{value}}}"#),
            2 => format!(r#"{{"name":"u"{help},"metadata":{{"type":"unknown"}},"kind":"gauge"{attributes},"value":{value}}}"#),
            3 => format!(
                r#"{{"name":"s"{help},"kind":"summary"{attributes},"count":3,"sum":{value},"quantiles":[{{"quantile":0.5,"value":{value}}}]}}"#
            ),
            _ => {
                let bounds: Vec<f64> = (1..buckets.len()).map(|n| n as f64 / 4.0).collect();
                let count: u64 = buckets.iter().sum();
                format!(
                    r#"{{"name":"h"{help},"kind":"histogram","temporality":"cumulative"{attributes},"count":{count},"sum":{value},"bounds":{},"buckets":{}}}"#,
                    format!("{bounds:?}").replace(", ", ","),
                    format!("{buckets:?}").replace(", ", ",")
                )
            }
        }
    })
}

fn json(text: &str) -> String {
    let mut out = Vec::new();
    suiro_record::write_json_str(text, &mut out);
    String::from_utf8(out).unwrap()
}

proptest! {
    #[test]
    fn a_page_is_read_back_as_the_points_it_shows(point in point()) {
        let exporter = exporter("timestamps = true");
        prop_assert_eq!(exporter.take(&delivery(vec![batch(scope(), &[&point])])), Outcome::Delivered);
        for format in [Format::Text, Format::OpenMetrics] {
            let text = page(&exporter, format);
            let options = Options { format, time: 0, honor_timestamps: true, max_samples: 1000 };
            let new = || Batch::new("t".into(), Arc::new(scope()), 0);
            let mut back = Vec::new();
            let report = TextParser::default().parse(text.as_bytes(), options, None, new, |batch| {
                for row in &batch.rows {
                    let mut out = Vec::new();
                    batch.write_json(row, &mut out);
                    back.push((row.time, String::from_utf8(out).unwrap()));
                }
            });
            prop_assert_eq!(report.wrong, 0, "{}", text);
            prop_assert_eq!(&back, &[(SECOND, point.clone())], "{}", text);
        }
    }
}
