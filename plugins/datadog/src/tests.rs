//! The output as a whole: what is sent, and what becomes of what is answered.

use std::io::Read as _;

use proptest::prelude::*;
use serde_json::{Value, json};
use suiro_record::{Batch, Scope, Signal, Source};
use suiro_sdk::http::test_kit::{Received, Reply, Server, batch, delivery, setup};
use suiro_sdk::settings::Section;
use suiro_sdk::{Delivery, Outcome, Output, OutputSetup, Reason, Verdict};

use crate::output;
use crate::pack::{MAX_BODY, Packed};
use crate::settings::Settings;

/// 2026-11-22T16:29:03Z
const TIME: i64 = 1_795_364_943_000_000_000;
const SECONDS: i64 = 1_795_364_943;

fn read(text: &str) -> Result<Settings, String> {
    let (section, diagnostics) = Section::from_text("[[output]] datadog_metrics", text);
    Settings::read(&section).map_err(|_| diagnostics.render(false))
}

fn built(url: &str, text: &str) -> (Box<dyn Output>, OutputSetup) {
    let text = format!("url = '{url}'\napi_key = 'k3y'\n{text}");
    let (section, diagnostics) = Section::from_text("[[output]] datadog_metrics", &text);
    let Ok(mut output) = output::build(&section) else { panic!("{}", diagnostics.render(false)) };
    let setup = setup();
    output.start(&setup).unwrap();
    (output, setup)
}

fn points<L: AsRef<str>>(lines: &[L]) -> Batch {
    let mut batch = batch(lines, TIME);
    batch.signal = Signal::Metrics;
    for row in &mut batch.rows {
        row.time = TIME;
    }
    batch
}

/// Path and items of a request.
type Body = (&'static str, Vec<Value>);

/// The bodies for these points, and what is not sent.
fn packed(settings: &str, delivery: &Delivery) -> (Vec<Body>, Vec<(usize, Verdict)>) {
    let settings = read(&format!("api_key = 'k'\n{settings}")).unwrap();
    let packed = Packed::new(&settings, delivery);
    let body = |piece| {
        let mut body = Vec::new();
        packed.write(piece, &mut body);
        assert!(body.len() <= MAX_BODY);
        let value: Value = serde_json::from_slice(&body).unwrap();
        value["series"].as_array().unwrap().clone()
    };
    (packed.pieces.iter().map(|piece| (piece.route.path(), body(piece))).collect(), packed.apart)
}

fn series(line: &str) -> Vec<Value> {
    let (bodies, apart) = packed("", &delivery(vec![points(&[line])]));
    assert!(apart.is_empty(), "{line}: {apart:?}");
    bodies.into_iter().flat_map(|(_, items)| items).collect()
}

/// Name, type and value of each series.
fn brief(line: &str) -> Vec<(String, u64, f64)> {
    let one = |item: &Value| {
        let value = item["points"][0]["value"].as_f64().unwrap();
        (item["metric"].as_str().unwrap().to_owned(), item["type"].as_u64().unwrap(), value)
    };
    series(line).iter().map(one).collect()
}

fn plain(request: &Received) -> Value {
    assert_eq!(request.header("content-encoding"), Some("deflate"));
    let mut text = String::new();
    flate2::read::ZlibDecoder::new(&request.body[..]).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn types_keep_their_meaning() {
    let start = TIME - 10_000_000_000;
    let count = format!(
        r#"{{"name":"hits","kind":"sum","temporality":"delta","monotonic":true,"start":{start},"attributes":{{"env":"dev","blue":null,"n":[1,"b"],"t":true}},"metadata":{{"type":"count"}},"value":5}}"#
    );
    assert_eq!(
        series(&count),
        [json!({
            "metric": "hits", "type": 1, "points": [{ "timestamp": SECONDS, "value": 5 }], "interval": 10,
            "tags": ["env:dev", "blue", "n:1", "n:b", "t:true"]
        })]
    );
    let rate = r#"{"name":"r","kind":"gauge","metadata":{"type":"rate","interval":10.0},"value":2.5}"#;
    assert_eq!(
        series(rate),
        [
            json!({ "metric": "r", "type": 2, "points": [{ "timestamp": SECONDS, "value": 2.5 }], "interval": 10, "tags": [] })
        ]
    );
    let gauge = r#"{"name":"g","kind":"gauge","unit":"By","value":-3}"#;
    assert_eq!(
        series(gauge),
        [
            json!({ "metric": "g", "type": 3, "points": [{ "timestamp": SECONDS, "value": -3 }], "unit": "byte", "tags": [] })
        ]
    );
    let set = r#"{"name":"s","kind":"gauge","metadata":{"type":"set"},"value":2}"#;
    assert_eq!(brief(set), [("s".to_owned(), 3, 2.0)]);
    let level = r#"{"name":"l","kind":"sum","temporality":"cumulative","value":7}"#;
    assert_eq!(brief(level), [("l".to_owned(), 3, 7.0)]);
}

#[test]
fn a_distribution_is_one_at_the_other_end_too() {
    let line = r#"{"name":"d","kind":"summary","attributes":{"a":"1"},"metadata":{"type":"distribution"},"values":[1.5,2.0,3.0]}"#;
    let (bodies, _) = packed("", &delivery(vec![points(&[line])]));
    let item = json!({ "metric": "d", "points": [[SECONDS, [1.5, 2, 3]]], "tags": ["a:1"] });
    assert_eq!(bodies, [("/api/v1/distribution_points", vec![item])]);
    // A client sent a third of them.
    let line = r#"{"name":"d","kind":"summary","count":6,"values":[1,2]}"#;
    assert_eq!(series(line)[0]["points"], json!([[SECONDS, [1, 1, 1, 2, 2, 2]]]));
}

#[test]
fn histograms_and_summaries_are_several_series() {
    let line = r#"{"name":"h","kind":"histogram","temporality":"delta","unit":"s","count":3,"sum":6,"min":1,"max":3,"bounds":[1,2.5],"buckets":[1,0,2]}"#;
    let names = |name: &str, kind, value| (name.to_owned(), kind, value);
    assert_eq!(
        brief(line),
        [
            names("h.count", 1, 3.0),
            names("h.sum", 1, 6.0),
            names("h.min", 3, 1.0),
            names("h.max", 3, 3.0),
            names("h.bucket", 1, 1.0),
            names("h.bucket", 1, 2.0),
        ]
    );
    let items = series(line);
    assert_eq!(items[4]["tags"], json!(["lower_bound:-inf", "upper_bound:1"]));
    assert_eq!(items[5]["tags"], json!(["lower_bound:2.5", "upper_bound:inf"]));
    assert_eq!((&items[0]["unit"], &items[1]["unit"]), (&Value::Null, &json!("second")));
    let quantiles = r#""count":4,"sum":10,"quantiles":[{"quantile":0.0,"value":1},{"quantile":0.5,"value":2},{"quantile":0.57,"value":2.5},{"quantile":0.999,"value":3},{"quantile":1,"value":4}]"#;
    let gauges = [
        names("t.min", 3, 1.0),
        names("t.median", 3, 2.0),
        names("t.57percentile", 3, 2.5),
        names("t.99.9percentile", 3, 3.0),
        names("t.max", 3, 4.0),
    ];
    let statsd = brief(&format!(r#"{{"name":"t","kind":"summary","metadata":{{"type":"timer"}},{quantiles}}}"#));
    assert_eq!(statsd[..3], [names("t.count", 1, 4.0), names("t.sum", 1, 10.0), names("t.avg", 3, 2.5)]);
    assert_eq!(statsd[3..], gauges);
    let other = brief(&format!(r#"{{"name":"t","kind":"summary",{quantiles}}}"#));
    assert_eq!(other[..2], [names("t.count", 3, 4.0), names("t.sum", 3, 10.0)]);
    assert_eq!(other[2..], gauges);
}

#[test]
fn what_datadog_has_no_type_for_is_set_aside() {
    let lines = [
        r#"{"name":"a","kind":"sum","temporality":"cumulative","monotonic":true,"value":1}"#,
        r#"{"name":"b","kind":"histogram","temporality":"cumulative","count":1}"#,
        r#"{"name":"c","kind":"gauge","flags":1,"value":1}"#,
        r#"{"name":"d","kind":"gauge"}"#,
        r#"{"kind":"gauge","value":1}"#,
        r#"{"name":"f","kind":"other","value":1}"#,
        r#"{"name":"g","kind":"gauge","value":1e999}"#,
        "no metric at all",
        r#"{"name":"i","kind":"gauge","value":1}"#,
        r#"{"name":"j","kind":"summary","values":[]}"#,
    ];
    let (bodies, apart) = packed("", &delivery(vec![points(&lines)]));
    assert_eq!((bodies.len(), bodies[0].1.len()), (1, 1));
    assert_eq!(bodies[0].1[0]["metric"], "i");
    let reasons: Vec<(usize, &str)> = apart
        .iter()
        .map(|(n, verdict)| match verdict {
            Verdict::Refused { reason, .. } | Verdict::Drop(reason) => (*n, reason.0),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        reasons,
        [
            (0, "cumulative"),
            (1, "cumulative"),
            (2, "no_value"),
            (3, "no_value"),
            (4, "malformed"),
            (5, "malformed"),
            (6, "malformed"),
            (7, "malformed"),
            (9, "no_value"),
        ]
    );
}

#[test]
fn hosts_and_tags_come_from_the_resource_and_the_settings() {
    let source = std::sync::Arc::new(Source::new("in".into(), 1));
    let scope = Scope::new(source).with("host.name", "web\"1").with("service.name", "shop").with("rack", "r1");
    let mut batch =
        points(&[r#"{"name":"g","kind":"gauge","value":1}"#, r#"{"name":"d","kind":"summary","values":[1]}"#]);
    batch.replace_scope(0, scope.into());
    let delivery = delivery(vec![batch]);
    let (bodies, _) = packed("tags = ['env:prod']", &delivery);
    assert_eq!(bodies[0].1[0]["tags"], json!(["env:prod", "service:shop"]));
    assert_eq!(bodies[0].1[0]["resources"], json!([{ "name": "web\"1", "type": "host" }]));
    assert_eq!(bodies[1].1[0]["host"], "web\"1");
    let (bodies, _) = packed("resource_tags = true\nhost = 'h-{@rack}'", &delivery);
    assert_eq!(bodies[0].1[0]["tags"], json!(["service:shop", "rack:r1"]));
    assert_eq!(bodies[0].1[0]["resources"], json!([{ "name": "h-r1", "type": "host" }]));
    let (bodies, _) = packed("host = '{@missing}'", &delivery);
    assert_eq!(bodies[0].1[0].get("resources"), None);
}

#[test]
fn a_point_larger_than_a_request_is_set_aside() {
    let values = "1234567890.5,".repeat(60_000);
    let line = format!(r#"{{"name":"d","kind":"summary","values":[{}]}}"#, values.trim_end_matches(','));
    let (bodies, apart) = packed("", &delivery(vec![points(&[&line[..], r#"{"name":"g","kind":"gauge","value":1}"#])]));
    assert_eq!(bodies.len(), 1);
    assert!(matches!(&apart[..], [(0, Verdict::Refused { reason: Reason::TOO_LARGE, .. })]));
}

#[test]
fn settings_are_checked() {
    for (text, message) in [
        ("site = 'datadoghq.eu'", "api_key"),
        ("api_key = 'k'\nsite = 'x'\nurl = 'http://h'", "both `site` and `url`"),
        ("api_key = 'k'\nsite = 'evil.example/x'", "name of a Datadog site"),
        ("api_key = \"k\\nx: y\"", "no HTTP header"),
        ("api_key = 'k'\ncompression = 'zip'", "deflate"),
        ("api_key = 'k'\ntags = ['']", "can't be empty"),
        ("api_key = 'k'\nurl = 'ftp://h'", "can't be spoken to"),
        ("api_key = 'k'\nindx = 1", "indx"),
    ] {
        let shown = read(text).expect_err(text);
        assert!(shown.contains(message), "{text}:\n{shown}");
    }
    let url = |text: &str| read(&format!("api_key = 'k3y'\n{text}")).unwrap().client.endpoints[0].url().to_string();
    assert_eq!(url(""), "https://api.datadoghq.com/");
    assert_eq!(url("site = 'us5.datadoghq.com'"), "https://api.us5.datadoghq.com/");
    assert_eq!(url("url = 'http://127.0.0.1:1/dd'"), "http://127.0.0.1:1/dd");
    assert!(!format!("{:?}", read("api_key = 'k3y'").unwrap()).contains("k3y"));
}

fn mixed() -> Delivery {
    let lines = [
        r#"{"name":"g","kind":"gauge","value":1}"#,
        r#"{"name":"a","kind":"sum","temporality":"cumulative","monotonic":true,"value":1}"#,
        r#"{"name":"d","kind":"summary","values":[1]}"#,
    ];
    delivery(vec![points(&lines)])
}

#[tokio::test]
async fn requests_are_as_the_intake_wants_them() {
    let server = Server::start(|_| Reply::text(202, r#"{"errors":[]}"#)).await.unwrap();
    let (output, setup) = built(&server.url, "");
    let outcome = output.deliver(&mixed()).await;
    assert!(matches!(&outcome, Outcome::Partial(v) if v.len() == 1 && v[0].0 == 1), "{outcome:?}");
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    for (request, path) in requests.iter().zip(["/api/v2/series", "/api/v1/distribution_points"]) {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", path));
        assert_eq!(request.header("dd-api-key"), Some("k3y"));
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(plain(request)["series"].as_array().unwrap().len(), 1);
    }
    let sent: usize = requests.iter().map(|request| request.body.len()).sum();
    assert_eq!(suiro_sdk::ledger::read(&setup.ledger.bytes), sent as u64);
}

#[tokio::test]
async fn answers_good_and_bad() {
    let kind = |outcome: &Outcome| match outcome {
        Outcome::Delivered => "delivered",
        Outcome::Retry { degraded: false, .. } => "retry",
        Outcome::Retry { degraded: true, .. } => "degraded",
        Outcome::TooLarge => "too large",
        Outcome::Refused { .. } => "refused",
        Outcome::Unidentified { .. } => "unidentified",
        Outcome::Partial(_) => "partial",
    };
    for (reply, expected) in [
        (Reply::text(202, r#"{"errors": []}"#), "delivered"),
        (Reply::text(202, r#"{"status":"ok"}"#), "delivered"),
        (Reply::text(202, r#"{"errors":["a point is too old"]}"#), "unidentified"),
        (Reply::text(200, "<html>log in"), "degraded"),
        (Reply::text(408, ""), "retry"),
        (Reply::text(429, ""), "retry"),
        (Reply::text(503, ""), "retry"),
        (Reply::text(403, r#"{"errors":["Forbidden"]}"#), "degraded"),
        (Reply::text(404, ""), "degraded"),
        (Reply::text(413, ""), "too large"),
        (Reply::text(400, "bad"), "refused"),
        (Reply::Reset, "retry"),
    ] {
        let script = reply.clone();
        let server = Server::start(move |_| script.clone()).await.unwrap();
        let (output, _) = built(&server.url, "timeout = '5s'");
        let one = delivery(vec![points(&[r#"{"name":"g","kind":"gauge","value":1}"#])]);
        assert_eq!(kind(&output.deliver(&one).await), expected, "{reply:?}");
    }
}

#[tokio::test]
async fn what_is_too_large_goes_in_halves_and_one_path_does_not_hold_the_other_up() {
    let server = Server::start(|request: &Received| {
        if request.target.starts_with("/api/v1") {
            Reply::text(503, "")
        } else if plain(request)["series"].as_array().map_or(0, Vec::len) > 2 {
            Reply::text(413, "")
        } else {
            Reply::text(202, r#"{"errors":[]}"#)
        }
    })
    .await
    .unwrap();
    let (output, _) = built(&server.url, "");
    let mut lines: Vec<String> = (0..9).map(|n| format!(r#"{{"name":"g{n}","kind":"gauge","value":{n}}}"#)).collect();
    lines.insert(4, r#"{"name":"d","kind":"summary","values":[1]}"#.to_owned());
    let outcome = output.deliver(&delivery(vec![points(&lines)])).await;
    assert!(matches!(&outcome, Outcome::Partial(v) if matches!(&v[..], [(4, Verdict::Retry { .. })])), "{outcome:?}");
    let mut names: Vec<String> = Vec::new();
    for request in server.requests().iter().filter(|request| request.target.starts_with("/api/v2")) {
        let value = plain(request);
        let items = value["series"].as_array().unwrap();
        if items.len() <= 2 {
            names.extend(items.iter().map(|item| item["metric"].as_str().unwrap().to_owned()));
        }
    }
    names.sort();
    assert_eq!(names, (0..9).map(|n| format!("g{n}")).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Every record is sent once or set aside, whatever its name, tags and numbers are; and no body is too large.
    #[test]
    fn each_record_once(
        records in proptest::collection::vec(
            (".{0,20}", prop_oneof![Just("gauge"), Just("sum"), Just("summary"), Just("x")], any::<f64>(), ".{0,3000}"), 1..300
        )
    ) {
        let lines: Vec<String> = records
            .iter()
            .map(|(name, kind, value, tag)| {
                let values = if *kind == "summary" { json!([value]) } else { Value::Null };
                json!({ "name": name, "kind": kind, "value": value, "values": values, "attributes": { "t": tag } }).to_string()
            })
            .collect();
        let (bodies, apart) = packed("", &delivery(vec![points(&lines)]));
        let sent: usize = bodies.iter().map(|(_, items)| items.len()).sum();
        prop_assert_eq!(sent + apart.len(), lines.len());
    }
}
