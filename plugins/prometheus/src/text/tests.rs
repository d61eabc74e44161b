//! Bodies as points.

use std::sync::Arc;

use suiro_record::{Scope, Source};

use super::*;

const NOW: i64 = 1_795_364_943_000_000_000;

fn options(format: Format) -> Options {
    Options { format, time: NOW, honor_timestamps: true, max_samples: 1_000_000 }
}

pub(crate) fn new_batch() -> Batch {
    let mut batch = Batch::new("t".into(), Arc::new(Scope::new(Arc::new(Source::new("in".into(), 1)))), NOW);
    batch.signal = suiro_record::Signal::Metrics;
    batch
}

fn parse(body: &[u8], options: Options, memory: Option<&mut Memory>) -> (Vec<String>, Report) {
    let mut points = Vec::new();
    let report = TextParser::default().parse(body, options, memory, new_batch, |batch| {
        for row in &batch.rows {
            assert!(row.end as usize <= body.len() && row.start < row.end);
            let mut json = Vec::new();
            batch.write_json(row, &mut json);
            let time = if row.time == NOW { String::new() } else { format!(" @{}", row.time) };
            points.push(String::from_utf8(json).unwrap() + &time);
        }
    });
    (points, report)
}

fn text(body: &str) -> (Vec<String>, Report) {
    parse(body.as_bytes(), options(Format::Text), None)
}

fn open_metrics(body: &str) -> (Vec<String>, Report) {
    parse(body.as_bytes(), options(Format::OpenMetrics), None)
}

#[test]
fn the_example_of_the_format() {
    let (points, report) = text(
        r#"# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3 1395066363000

# Escaping in label values:
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9

# Minimalistic line:
metric_without_timestamp_and_labels 12.47

# A weird metric from before the epoch:
something_weird{problem="division by zero"} +Inf -3982045

# A histogram, which has a pretty complex representation in the text format:
# HELP http_request_duration_seconds A histogram of the request duration.
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{le="0.05"} 24054
http_request_duration_seconds_bucket{le="0.1"} 33444
http_request_duration_seconds_bucket{le="1"} 133988
http_request_duration_seconds_bucket{le="+Inf"} 144320
http_request_duration_seconds_sum 53423
http_request_duration_seconds_count 144320

# Finally a summary, which has a complex representation, too:
# HELP rpc_duration_seconds A summary of the \\ RPC\nduration in seconds.
# TYPE rpc_duration_seconds summary
rpc_duration_seconds{quantile="0.01"} 3102
rpc_duration_seconds{quantile="0.99"} 76656
rpc_duration_seconds_sum 1.7560473e+07
rpc_duration_seconds_count 2693
"#,
    );
    assert_eq!(
        points,
        [
            r#"{"name":"http_requests_total","description":"The total number of HTTP requests.","kind":"sum","temporality":"cumulative","monotonic":true,"attributes":{"method":"post","code":"200"},"value":1027.0} @1395066363000000000"#,
            r#"{"name":"http_requests_total","description":"The total number of HTTP requests.","kind":"sum","temporality":"cumulative","monotonic":true,"attributes":{"method":"post","code":"400"},"value":3.0} @1395066363000000000"#,
            r#"{"name":"msdos_file_access_time_seconds","metadata":{"type":"unknown"},"kind":"gauge","attributes":{"path":"C:\\DIR\\FILE.TXT","error":"Cannot find file:\n\"FILE.TXT\""},"value":1458255915.0}"#,
            r#"{"name":"metric_without_timestamp_and_labels","metadata":{"type":"unknown"},"kind":"gauge","value":12.47}"#,
            // JSON has no word for infinity; the point has it.
            r#"{"name":"something_weird","metadata":{"type":"unknown"},"kind":"gauge","attributes":{"problem":"division by zero"},"value":null} @-3982045000000"#,
            r#"{"name":"http_request_duration_seconds","description":"A histogram of the request duration.","kind":"histogram","temporality":"cumulative","count":144320,"sum":53423.0,"bounds":[0.05,0.1,1.0],"buckets":[24054,9390,100544,10332]}"#,
            r#"{"name":"rpc_duration_seconds","description":"A summary of the \\ RPC\nduration in seconds.","kind":"summary","count":2693,"sum":17560473.0,"quantiles":[{"quantile":0.01,"value":3102.0},{"quantile":0.99,"value":76656.0}]}"#,
        ]
    );
    assert_eq!(report, Report { samples: 15, ..Report::default() });
}

#[test]
fn open_metrics_with_all_it_has() {
    let (points, report) = open_metrics(
        r#"# TYPE foo_seconds counter
# UNIT foo_seconds seconds
# HELP foo_seconds Time, \"spent\".
foo_seconds_total{a="b"} 17.0 1520879607.789 # {trace_id="0123456789abcdef0123456789abcdef",span_id="0123456789abcdef",x="\"y"} 0.5 1520879607.5
foo_seconds_total{a="c"} 1
foo_seconds_created{a="c"} 1520430000.123
foo_seconds_created{a="b"} 1520430000
# TYPE lat histogram
lat_bucket{le="1.0",a="b"} 1 # {} 0.3
lat_sum{a="c"} 7
lat_bucket{a="b",le="+Inf"} 2 # {trace_id="short"} 3 1.5
lat_count{a="b"} 2
lat_bucket{le="+Inf",a="c"} 4
lat_created{a="b"} 0.5
lat_count{a="c"} 4
# TYPE g gaugehistogram
g_bucket{le="+Inf"} 2
g_gsum -1
g_gcount 2
# TYPE build info
build_info{version="1.2"} 1
# TYPE st stateset
st{st="on"} 1
st{st="off"} 0
# EOF
"#,
    );
    assert_eq!(
        points,
        [
            r#"{"name":"foo_seconds_total","description":"Time, \"spent\".","unit":"seconds","kind":"sum","temporality":"cumulative","monotonic":true,"attributes":{"a":"b"},"value":17.0,"exemplars":[{"time":1520879607500000000,"value":0.5,"trace_id":"0123456789abcdef0123456789abcdef","span_id":"0123456789abcdef","attributes":{"x":"\"y"}}],"start":1520430000000000000} @1520879607789000000"#,
            r#"{"name":"foo_seconds_total","description":"Time, \"spent\".","unit":"seconds","kind":"sum","temporality":"cumulative","monotonic":true,"attributes":{"a":"c"},"value":1.0,"start":1520430000123000000}"#,
            r#"{"name":"lat","kind":"histogram","temporality":"cumulative","start":500000000,"attributes":{"a":"b"},"count":2,"bounds":[1.0],"buckets":[1,1],"exemplars":[{"value":0.3},{"time":1500000000,"value":3.0,"attributes":{"trace_id":"short"}}]}"#,
            r#"{"name":"lat","kind":"histogram","temporality":"cumulative","attributes":{"a":"c"},"count":4,"sum":7.0,"bounds":[],"buckets":[4]}"#,
            r#"{"name":"g","metadata":{"type":"gaugehistogram"},"kind":"histogram","count":2,"sum":-1.0,"bounds":[],"buckets":[2]}"#,
            r#"{"name":"build_info","metadata":{"type":"info"},"kind":"gauge","attributes":{"version":"1.2"},"value":1.0}"#,
            r#"{"name":"st","metadata":{"type":"stateset"},"kind":"gauge","attributes":{"st":"on"},"value":1.0}"#,
            r#"{"name":"st","metadata":{"type":"stateset"},"kind":"gauge","attributes":{"st":"off"},"value":0.0}"#,
        ]
    );
    assert_eq!(report, Report { samples: 17, ended: true, ..Report::default() });
}

#[test]
fn a_wrong_line_costs_nothing_but_itself() {
    let body = b"a 1\n  b{x=\"y\" 2\n# TYPE c colour\nc 3\r\nd{x=\"\xff\"} 4\n# TYPE h histogram\nh_bucket 1\n\
                 h_bucket{le=\"x\"} 1\nh_bucket{le=\"1\"} 5\nh_bucket{le=\"2\"} 3\nh_count 1.5\ne{x=\"1\",x=\"2\"} 1\ne 5\n# HELP\n";
    let (points, report) = parse(body, options(Format::Text), None);
    let names: Vec<&str> = points.iter().map(|point| &point[9..10]).collect();
    assert_eq!(names, ["a", "c", "e"]);
    assert_eq!(report.wrong, 9, "{report:?}");
    let first = report.first_wrong.unwrap();
    assert_eq!((first.line, first.column), (2, 11));
    assert!(first.to_string().starts_with("line 2, column 11: labels are separated"), "{first}");
}

#[test]
fn duplicates_and_old_samples_are_left_out() {
    let (points, report) = text("a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 2\na{x=\"1\"} 3\nb 1\na{x=\"1\"} 4\n");
    assert_eq!((points.len(), report.duplicates), (3, 2));
    assert!(points[0].ends_with(r#""value":1.0}"#));
    let histogram = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"1\"} 1\nh_count 1\nh_count 2\n";
    let (points, report) = text(&format!("{histogram}a 1\n{histogram}"));
    assert_eq!((points.len(), report.duplicates), (2, 5));

    let mut memory = Memory::default();
    let mut parser = TextParser::default();
    let mut scrape = |body: &str| {
        let mut points = 0;
        let report = parser.parse(body.as_bytes(), options(Format::Text), Some(&mut memory), new_batch, |batch| {
            points += batch.len();
        });
        (points, report.out_of_order, report.repeated)
    };
    let histogram = |time: u32| format!("# TYPE h histogram\nh_bucket{{le=\"+Inf\"}} 1 {time}\nh_count 1 {time}\n");
    assert_eq!(scrape("a 1 1000\nb 1 1000\nc 1\n"), (3, 0, 0));
    assert_eq!(scrape("a 2 1000\nb 1 999\nc 1\n"), (1, 1, 1));
    assert_eq!(scrape("a 2 1001\nb 1 1001\nc 1\n"), (3, 0, 0));
    // What was not there is forgotten.
    assert_eq!(scrape(&histogram(5)), (1, 0, 0));
    assert_eq!(scrape(&format!("{}a 2 5\n", histogram(4))), (1, 1, 0));
}

#[test]
fn timestamps_may_be_ignored_and_samples_are_bounded() {
    let quiet = Options { honor_timestamps: false, ..options(Format::Text) };
    assert!(parse(b"a 1 5\n", quiet, None).0[0].ends_with('}'));
    let few = Options { max_samples: 2, ..options(Format::Text) };
    let (points, report) = parse(b"a 1\nb 1\nc 1\nd 1\n", few, None);
    assert_eq!((points.len(), report.over_limit), (2, true));
}

#[test]
fn numbers_that_json_has_no_word_for_are_kept() {
    let mut bits = Vec::new();
    TextParser::default().parse(b"a NaN\nb -Inf\n", options(Format::Text), None, new_batch, |batch| {
        let path = suiro_record::Path::key("value");
        let path = batch.resolve(&path);
        bits.extend(batch.rows.iter().map(|row| batch.get(row, &path).unwrap().as_f64().unwrap().to_bits()));
    });
    assert_eq!(bits, [NAN, f64::NEG_INFINITY.to_bits()]);
}

#[test]
fn a_large_body_comes_in_several_batches() {
    let mut body = String::new();
    for family in 0..40 {
        body += &format!("# HELP h{family} help \\\\ {family}\n# TYPE h{family} histogram\n");
        for n in 0..500 {
            for le in ["1", "2", "+Inf"] {
                body += &format!("h{family}_bucket{{n=\"{n}\",esc=\"\\\"\",le=\"{le}\"}} {n}\n");
            }
            body +=
                &format!("h{family}_sum{{esc=\"\\\"\",n=\"{n}\"}} 5\nh{family}_count{{n=\"{n}\",esc=\"\\\"\"}} {n}\n");
        }
    }
    let mut batches = 0;
    let mut points = 0;
    let report = TextParser::default().parse(body.as_bytes(), options(Format::Text), None, new_batch, |batch| {
        batches += 1;
        for row in &batch.rows {
            let mut json = Vec::new();
            batch.write_json(row, &mut json);
            let (family, n) = (points / 500, points % 500);
            let want = format!(
                r#"{{"name":"h{family}","description":"help \\ {family}","kind":"histogram","temporality":"cumulative","attributes":{{"n":"{n}","esc":"\""}},"count":{n},"sum":5.0,"bounds":[1.0,2.0],"buckets":[{n},0,0]}}"#
            );
            assert_eq!(String::from_utf8(json).unwrap(), want);
            points += 1;
        }
    });
    assert_eq!((points, report.samples, report.wrong), (20_000, 100_000, 0));
    assert!(batches >= body.len() >> 20, "{batches}");
}

#[test]
fn more_label_names_than_a_batch_has_room_for() {
    let body: String = (0..70_000).map(|n| format!("a{{l{n}=\"x\"}} 1\n")).collect();
    let (points, report) = text(&body);
    assert_eq!(points.len() + report.wrong, 70_000);
    assert!(report.wrong < 6000 && report.first_wrong.unwrap().what.contains("label names"));
    // Those that have none are not lost with them.
    assert_eq!(text(&(body + "b 1\n")).0.last().unwrap().as_bytes()[9], b'b');
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        parse(&body, options(Format::OpenMetrics), None);
    }

    #[test]
    fn nearly_right_lines_are_read(body in "(# (TYPE|HELP|UNIT) [ab] ?(histogram|summary|counter)?\n|[ab](_bucket|_sum|_count|_created)?[{](le|quantile|x)=\"[0-9a\\\\\"]{0,3}\",?[}] [0-9.]{1,3}( 5)?( # [{][}] 1)?\n){0,12}") {
        let (points, report) = text(&body);
        proptest::prop_assert!(points.len() <= report.samples);
        open_metrics(&body);
    }
}
