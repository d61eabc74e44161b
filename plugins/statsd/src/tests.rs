//! Lines, windows, and what becomes of them.

use proptest::prelude::*;
use suiro_sdk::record::{Batch, Row, Scope, Signal, Source};
use suiro_sdk::settings::Section;

use crate::notice::{write_check, write_event};
use crate::parse::{Kind, Line, Metric, ParseError, Tags, parse};
use crate::point::write_each;
use crate::settings::{Settings, Shape};
use crate::window::{SERIES_LIMIT, Window};

const SECOND: i64 = 1_000_000_000;

fn shape(text: &str) -> Shape {
    let (section, diagnostics) = Section::from_text("[[input]] statsd", text);
    let settings = Settings::read(&section);
    settings.unwrap_or_else(|_| panic!("{}", diagnostics.render(false))).shape
}

fn complaint(text: &str) -> String {
    let (section, diagnostics) = Section::from_text("[[input]] statsd", text);
    assert!(Settings::read(&section).is_err(), "{text}");
    diagnostics.render(false)
}

fn metric(line: &str) -> Metric<'_> {
    match parse(line.as_bytes()) {
        Ok(Line::Metric(metric)) => metric,
        other => panic!("{line}: {other:?}"),
    }
}

fn batch(signal: Signal) -> Batch {
    let scope = Scope::new(Source::new("in".into(), 1).into());
    let mut batch = Batch::new("t".into(), scope.into(), 0);
    batch.signal = signal;
    batch
}

fn json(batch: &Batch, row: &Row) -> String {
    let mut out = Vec::new();
    batch.write_json(row, &mut out);
    String::from_utf8(out).unwrap()
}

fn all(batch: &Batch) -> Vec<String> {
    let mut records: Vec<String> = batch.rows.iter().map(|row| json(batch, row)).collect();
    records.sort();
    records
}

/// The points of a window of ten seconds in which `lines` came.
fn window(shape: Shape, lines: &[&str]) -> Vec<String> {
    let mut window = Window::new(shape, 0);
    lines.iter().for_each(|line| window.add(&metric(line), SECOND).unwrap());
    closed(&mut window, 10 * SECOND)
}

fn closed(window: &mut Window, now: i64) -> Vec<String> {
    let mut batch = batch(Signal::Metrics);
    window.close(now, |point| point.write(&mut batch, 0).unwrap());
    assert!(batch.rows.iter().all(|row| row.time == now));
    all(&batch)
}

#[test]
fn lines_are_what_the_specification_says() {
    let plain = metric("page.views:1|c");
    assert_eq!((plain.name, plain.kind, plain.values, plain.rate), ("page.views", Kind::Count, "1", 1.0));
    let full = metric("fuel.level:0.5:-2:+3|g|@0.25|#env:dev,host,url:http://x|c:ci-83c0a99c|T1656581400|unknown");
    assert_eq!(full.kind, Kind::Gauge);
    assert_eq!(full.numbers().collect::<Vec<_>>(), [(0.5, false), (-2.0, true), (3.0, true)]);
    assert_eq!((full.rate, full.timestamp, full.tags.container), (0.25, Some(1_656_581_400), Some("83c0a99c")));
    let tags: Vec<_> = full.tags.iter().collect();
    assert_eq!(tags, [("env", Some("dev")), ("host", None), ("url", Some("http://x"))]);
    assert_eq!(metric("users:a:b c|s").values, "a:b c");
    for (kind, word) in [(Kind::Timer, "ms"), (Kind::Histogram, "h"), (Kind::Distribution, "d")] {
        assert_eq!(metric(&format!("x:1.5e3|{word}")).kind, kind);
    }
}

#[test]
fn what_is_no_line_is_told_why() {
    let long = format!("{}:1|c", "n".repeat(2000));
    let many = format!("x:1|c|#{}", "a,".repeat(300));
    for (line, error) in [
        ("", ParseError::NoValue),
        ("x", ParseError::NoValue),
        (":1|c", ParseError::NoName),
        (&long, ParseError::LongName),
        ("x:1", ParseError::NoType),
        ("x:1|q", ParseError::UnknownType),
        ("x:|c", ParseError::BadNumber),
        ("x:nan|g", ParseError::BadNumber),
        ("x:inf|g", ParseError::BadNumber),
        ("x:1:|c", ParseError::BadNumber),
        ("x:|s", ParseError::NoValue),
        ("x:1|c|@0", ParseError::BadRate),
        ("x:1|c|@1.5", ParseError::BadRate),
        ("x:1|c|T-1", ParseError::BadTime),
        ("x:1|c|T99999999999999999", ParseError::BadTime),
        (&many, ParseError::ManyTags),
        ("_e{1,1}:ab", ParseError::BadLengths),
        ("_e{1,9999999999}:a|b", ParseError::BadLengths),
        ("_e{99999999999999999999,1}:a|b", ParseError::BadLengths),
        ("_e{1,1}:é|b", ParseError::BadLengths),
        ("_e{0,1}:|b", ParseError::NoName),
        ("_e{1,1}:a|bc", ParseError::BadLengths),
        ("_sc|x", ParseError::BadStatus),
        ("_sc|x|4", ParseError::BadStatus),
        ("_sc||1", ParseError::NoName),
    ] {
        assert_eq!(parse(line.as_bytes()).unwrap_err(), error, "{line}");
    }
    assert_eq!(parse(b"\xff:1|c").unwrap_err(), ParseError::NotUtf8);
    assert_eq!(parse(&[b'a'; 70_000]).unwrap_err(), ParseError::TooLong);
}

#[test]
fn each_type_keeps_its_meaning() {
    let lines = [
        "hits:1|c|#b:2,a:1",
        "hits:2|c|@0.5|#a:1,b:2",
        "temp:5|g",
        "temp:+2|g",
        "temp:-10|g",
        "users:anna|s",
        "users:ben|s",
        "users:anna|s",
    ];
    let tail = r#""start":0,"attributes":"#;
    assert_eq!(
        window(shape(""), &lines),
        [
            format!(
                r#"{{"name":"hits","kind":"sum","temporality":"delta","monotonic":true,{tail}{{"b":"2","a":"1"}},"metadata":{{"type":"count"}},"value":5}}"#
            ),
            format!(r#"{{"name":"temp","kind":"gauge",{tail}{{}},"value":-3}}"#),
            format!(r#"{{"name":"users","kind":"gauge",{tail}{{}},"metadata":{{"type":"set"}},"value":2}}"#),
        ]
    );
    let rate = window(shape("counters = 'rate'"), &["hits:25|c"]);
    assert!(rate[0].contains(r#""kind":"gauge""#) && rate[0].contains(r#""type":"rate","interval":10.0"#), "{rate:?}");
    assert!(rate[0].ends_with(r#""value":2.5}"#), "{rate:?}");
    let absolute = window(shape("gauge_signs = 'absolute'"), &["temp:5|g", "temp:-10|g"]);
    assert!(absolute[0].ends_with(r#""value":-10}"#));
}

#[test]
fn spreads_are_what_the_settings_say() {
    let lines = ["t:10:20|ms", "t:30|ms|@0.5", "t:0|ms"];
    let summary = window(shape("percentiles = [50]"), &lines);
    let head = r#"{"name":"t","unit":"ms","kind":"summary","start":0,"attributes":{},"metadata":{"type":"timer"},"#;
    assert!(summary[0].starts_with(head), "{summary:?}");
    assert!(summary[0].contains(r#""count":5,"sum":90.0,"quantiles":[{"quantile":0.0,"value":0.0},"#), "{summary:?}");
    assert!(summary[0].ends_with(r#"{"quantile":1.0,"value":30.0}]}"#), "{summary:?}");
    let histogram = window(shape("distributions = 'histogram'\nbounds = [10, 20]"), &lines);
    let tail = r#""count":5,"sum":90.0,"min":0.0,"max":30.0,"bounds":[10.0,20.0],"buckets":[2,1,2]}"#;
    assert!(histogram[0].ends_with(tail), "{histogram:?}");
    let values = window(shape("distributions = 'values'"), &["d:1:2|d", "d:3|d"]);
    assert!(values[0].ends_with(r#""metadata":{"type":"distribution"},"values":[1.0,2.0,3.0]}"#), "{values:?}");
}

#[test]
fn a_window_forgets_all_but_gauges_and_is_bounded() {
    let mut window = Window::new(shape("max_series = 2"), 0);
    let add = |window: &mut Window, line: &str, now| window.add(&metric(line), now);
    add(&mut window, "g:5|g", 1).unwrap();
    add(&mut window, "c:5|c", 1).unwrap();
    assert_eq!(add(&mut window, "d:1:2:3|d", 1), Err((SERIES_LIMIT, 3)));
    add(&mut window, "c:1|c", 2).unwrap();
    assert_eq!(closed(&mut window, 10 * SECOND).len(), 2);
    assert_eq!(closed(&mut window, 20 * SECOND).len(), 0, "nothing was said");
    add(&mut window, "g:+1|g", 25 * SECOND).unwrap();
    let points = closed(&mut window, 30 * SECOND);
    assert!(points.len() == 1 && points[0].contains(r#""value":6"#) && points[0].contains("20000000000"), "{points:?}");
    // After five minutes it is as if nothing had ever been said.
    assert_eq!(closed(&mut window, 400 * SECOND).len(), 0);
    add(&mut window, "g:+1|g", 401 * SECOND).unwrap();
    assert!(closed(&mut window, 410 * SECOND)[0].contains(r#""value":1"#));
}

#[test]
fn without_aggregation_each_value_is_a_point() {
    let mut batch = batch(Signal::Metrics);
    let mut at = 0;
    for line in ["c:1:2|c|@0.5", "g:-1|g|T5", "s:x|s", "d:1:2|d|#a"] {
        at += write_each(&metric(line), 7, &mut batch, at).unwrap();
    }
    let rows = &batch.rows;
    assert_eq!((at, rows.len()), (5, 5));
    assert_eq!(
        rows.iter().map(|row| (row.start, row.time)).collect::<Vec<_>>(),
        [(0, 7), (1, 7), (2, 5 * SECOND), (3, 7), (4, 7)]
    );
    assert!(json(&batch, &rows[1]).ends_with(r#""value":4}"#));
    assert!(json(&batch, &rows[2]).ends_with(r#""value":-1}"#));
    assert!(json(&batch, &rows[4]).contains(r#""attributes":{"a":true}"#));
}

#[test]
fn events_and_checks_are_logs() {
    let mut batch = batch(Signal::Logs);
    let line = r"_e{5,7}:Title|a\nb: c|d:100|h:web1|k:x|p:low|s:deploy|t:error|#env:prod,blue|c:abc";
    let Ok(Line::Event(event)) = parse(line.as_bytes()) else { panic!("{line}") };
    write_event(&event, 7, &mut batch, 0).unwrap();
    let line = r"_sc|db.up|2|d:200|h:db1|#env:prod|m:no\nanswer";
    let Ok(Line::Check(check)) = parse(line.as_bytes()) else { panic!("{line}") };
    write_check(&check, 7, &mut batch, 1).unwrap();
    assert_eq!(
        json(&batch, &batch.rows[0]),
        concat!(
            r#"{"type":"event","title":"Title","text":"a\nb: c","host":"web1","aggregation_key":"x","priority":"low","#,
            r#""source_type":"deploy","alert_type":"error","tags":{"env":"prod","blue":true,"container.id":"abc"}}"#
        )
    );
    assert_eq!(
        json(&batch, &batch.rows[1]),
        r#"{"type":"service_check","name":"db.up","status":"critical","message":"no\nanswer","host":"db1","tags":{"env":"prod"}}"#
    );
    assert_eq!((batch.rows[0].time, batch.rows[1].time), (100 * SECOND, 200 * SECOND));
    let mut header = Vec::new();
    batch.header(&batch.rows[0]).unwrap().write_json(&mut header);
    assert_eq!(header, br#"{"severity":"ERROR","severity_number":17}"#);
}

#[test]
fn settings_that_make_no_sense_are_told() {
    for (text, message) in [
        ("udp = false", "would listen nowhere"),
        ("percentiles = [101]", "from 0 to 100"),
        ("distributions = 'histogram'", "bounds"),
        ("distributions = 'histogram'\nbounds = [2, 1]", "must ascend"),
        ("bounds = [1]", "are of histograms"),
        ("distributions = 'values'\npercentiles = [5]", "are of summaries"),
        ("aggregate = false\ninterval = '5s'", "has no use"),
        ("aggregate = false\ncounters = 'rate'", "a rate needs an interval"),
        ("interval = '1ms'", "interval"),
        ("max_series = 0", "max_series"),
    ] {
        let shown = complaint(text);
        assert!(shown.contains(message), "{text}:\n{shown}");
    }
    assert_eq!(shape("aggregate = false").interval, None);
}

fn word() -> impl Strategy<Value = String> {
    "[a-zA-Z_.é-]{1,12}"
}

proptest! {
    #[test]
    fn any_metric_is_read_as_it_was_written(
        name in word(),
        values in proptest::collection::vec(-1e9..1e9_f64, 1..5),
        kind in 0..5_usize,
        rate in proptest::option::of(0.001..=1.0_f64),
        tags in proptest::collection::vec((word(), proptest::option::of(word())), 0..5),
        container in proptest::option::of(word()),
        timestamp in proptest::option::of(0..4_000_000_000_i64),
    ) {
        let (kind, word) = [
            (Kind::Count, "c"), (Kind::Gauge, "g"), (Kind::Timer, "ms"), (Kind::Histogram, "h"), (Kind::Distribution, "d"),
        ][kind];
        let texts: Vec<String> = values.iter().map(f64::to_string).collect();
        let written: Vec<String> = tags.iter().map(|(key, value)| match value {
            Some(value) => format!("{key}:{value}"),
            None => key.clone(),
        }).collect();
        let written = written.join(",");
        let mut line = format!("{name}:{}|{word}", texts.join(":"));
        rate.iter().for_each(|rate| line.push_str(&format!("|@{rate}")));
        if !tags.is_empty() {
            line.push_str(&format!("|#{written}"));
        }
        container.iter().for_each(|id| line.push_str(&format!("|c:{id}")));
        timestamp.iter().for_each(|time| line.push_str(&format!("|T{time}")));
        let read = metric(&line);
        prop_assert_eq!(read.numbers().map(|(value, _)| value).collect::<Vec<_>>(), values);
        prop_assert_eq!((read.name, read.kind, read.rate), (&*name, kind, rate.unwrap_or(1.0)));
        let container = container.as_deref().map(|id| id.strip_prefix("ci-").unwrap_or(id)).filter(|id| !id.is_empty());
        prop_assert_eq!((read.timestamp, read.tags), (timestamp, Tags { text: &written, container }));
        let tags: Vec<_> = tags.iter().map(|(key, value)| (&**key, value.as_deref())).collect();
        prop_assert_eq!(read.tags.iter().collect::<Vec<_>>(), tags);
    }

    /// Whatever comes is a line or an error, and a line can be written.
    #[test]
    fn hostile_lines_do_no_harm(
        line in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            "[_esc{},:|#@T0-9.+-]{0,60}".prop_map(String::into_bytes),
            "_e\\{[0-9]{1,3},[0-9]{1,3}\\}:.{0,40}".prop_map(String::into_bytes),
        ]
    ) {
        let mut batch = batch(Signal::Metrics);
        match parse(&line) {
            Ok(Line::Metric(metric)) => {
                write_each(&metric, 1, &mut batch, 0).unwrap();
                let mut window = Window::new(shape(""), 0);
                window.add(&metric, 1).unwrap();
                window.close(2, |point| point.write(&mut batch, 0).unwrap());
            }
            Ok(Line::Event(event)) => write_event(&event, 1, &mut batch, 0).unwrap(),
            Ok(Line::Check(check)) => write_check(&check, 1, &mut batch, 0).unwrap(),
            Err(_) => {}
        }
    }
}
