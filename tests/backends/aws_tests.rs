//! From files and SDKs through the agent to moto, which stands for AWS, and back by Amazon's SDK: record by record.

use std::io::Read as _;

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use super::agent::{self, Agent, Outcome, tail};
use super::otlp::{self, Signal};
use super::otlp_tests::door;
use super::{aws, input, sdk, server};

const LINES: u64 = 3000;

/// Asserts that all went well, and that so many records were delivered.
#[track_caller]
fn settled(run: &Outcome, records: usize) {
    run.ledger.assert_settled();
    assert!(run.status.success(), "{}\n{}", run.status, run.stderr);
    let records = u64::try_from(records).expect("not many");
    assert_eq!(run.ledger.output("out").delivered, records, "{}", run.stderr);
}

/// JSON lines, and an agent that reads them into this output.
fn json_lines(output: &str) -> (Vec<input::JsonLine>, Outcome) {
    let lines = input::json(LINES, input::base(LINES), false);
    let agent = Agent::new(|folder| tail(folder, "in", "json", lines.iter().map(|line| line.text.as_str())) + output);
    let run = agent.run();
    (lines, run)
}

/// Sorted, for two lists that hold the same in any order.
fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort();
    list
}

/// Scenario: text and JSON lines to CloudWatch Logs, streams by level, group made on demand.
/// Guarantees: every event has its line, byte by byte, and its time in milliseconds; each stream is in the order of times.
#[test]
fn events_of_cloudwatch_are_the_lines() {
    let (Some(python), Some(moto)) = (server::python(), server::moto()) else { return };
    let names =
        "log_group = 'agent/{@input}'\nlog_stream = 'level-{level|none}'\ncreate_group = true\nretention_days = 7\n";
    let (lines, run) = json_lines(&aws::output("cloudwatch_logs", &moto.url, names));
    settled(&run, lines.len());
    let events = aws::ask(python, "logs", &moto.url, &["agent/in"]);
    let events = events.as_array().expect("a list");
    let arrived = events.iter().map(|event| {
        let time = event["time"].as_i64().expect("a time");
        (aws::text(event, "stream").to_owned(), time, aws::text(event, "message").to_owned())
    });
    let sent = lines.iter().map(|line| (format!("level-{}", line.level), line.time / 1_000_000, line.text.clone()));
    assert_eq!(sorted(arrived.collect()), sorted(sent.collect()));

    let text = input::text(LINES);
    let names = "log_group = 'agent/text'\nlog_stream = 'all'\ncreate_group = true\nconcurrency = 1\n";
    let output = aws::output("cloudwatch_logs", &moto.url, names);
    let agent = Agent::new(|folder| tail(folder, "in", "", text.iter().map(String::as_str)) + &output);
    settled(&agent.run(), text.len());
    let events = aws::ask(python, "logs", &moto.url, &["agent/text"]);
    let arrived: Vec<&str> =
        events.as_array().expect("a list").iter().map(|event| aws::text(event, "message")).collect();
    assert_eq!(arrived, text);
}

/// Scenario: JSON lines to a Kinesis stream of two shards, by a partition key of the record's.
/// Guarantees: every record is one, with its key.
#[test]
fn records_of_kinesis_are_the_lines() {
    let (Some(python), Some(moto)) = (server::python(), server::moto()) else { return };
    aws::ask(python, "prepare", &moto.url, &["kinesis"]);
    // moto counts sequence numbers without a lock: of two requests at once, one overwrites records of the other.
    let more = "stream = 'kinesis'\npartition_key = '{level}'\nconcurrency = 1\n";
    let (lines, run) = json_lines(&aws::output("kinesis", &moto.url, more));
    settled(&run, lines.len());
    let records = aws::ask(python, "stream", &moto.url, &["kinesis"]);
    let arrived = records.as_array().expect("a list").iter();
    let arrived = arrived.map(|record| (aws::text(record, "key").to_owned(), aws::bytes(record, "data")));
    let sent = lines.iter().map(|line| (line.level.to_owned(), line.text.clone().into_bytes()));
    assert_eq!(sorted(arrived.collect()), sorted(sent.collect()));
}

/// Scenario: JSON lines to a delivery stream of Firehose, which puts them into S3.
/// Guarantees: the objects together are the lines.
#[test]
fn firehose_puts_the_lines_into_s3() {
    let (Some(python), Some(moto)) = (server::python(), server::moto()) else { return };
    aws::ask(python, "prepare", &moto.url, &["firehose"]);
    let (lines, run) = json_lines(&aws::output("firehose", &moto.url, "stream = 'firehose'\n"));
    settled(&run, lines.len());
    let objects = aws::ask(python, "objects", &moto.url, &["firehose-delivered"]);
    let mut arrived = Vec::new();
    for object in objects.as_array().expect("a list") {
        let bytes = String::from_utf8(aws::bytes(object, "data")).expect("lines are UTF-8");
        assert!(bytes.ends_with('\n'), "a line without an end");
        arrived.extend(bytes.lines().map(str::to_owned));
    }
    assert_eq!(sorted(arrived), sorted(lines.into_iter().map(|line| line.text).collect()));
}

/// Scenario: JSON lines to S3, compressed and not, under keys by the level; and one object in parts.
/// Guarantees: what the objects below a key hold is the lines of that level; an object in parts is whole.
#[test]
fn objects_hold_the_lines() {
    let (Some(python), Some(moto)) = (server::python(), server::moto()) else { return };
    for compression in ["gzip", "none"] {
        let bucket = format!("s3-{compression}");
        aws::ask(python, "prepare", &moto.url, &[&bucket]);
        let more = format!("bucket = '{bucket}'\nkey = 'level={{level}}/'\ncompression = '{compression}'\n");
        let (lines, run) = json_lines(&aws::output("s3", &moto.url, &more));
        settled(&run, lines.len());
        let mut arrived = Vec::new();
        for (key, text) in objects(&aws::ask(python, "objects", &moto.url, &[&bucket])) {
            let level = key.split('/').next().unwrap_or_default().trim_start_matches("level=").to_owned();
            arrived.extend(text.lines().map(|line| (level.clone(), line.to_owned())));
        }
        let sent = lines.into_iter().map(|line| (line.level.to_owned(), line.text));
        assert_eq!(sorted(arrived), sorted(sent.collect()), "{compression}");
    }

    aws::ask(python, "prepare", &moto.url, &["s3-parts"]);
    let filler = "0123456789abcdef".repeat(64);
    let text: Vec<String> = (0..14_000).map(|n| format!("{n} {filler}")).collect();
    let more = "bucket = 's3-parts'\nkey = 'x/'\ncompression = 'none'\nformat = 'raw'\npart_size = '5MiB'\nconcurrency = 1\n\
                batch = { max_bytes = '16MiB', timeout = '30s' }\n";
    let output = aws::output("s3", &moto.url, more);
    let agent = Agent::new(|folder| tail(folder, "in", "", text.iter().map(String::as_str)) + &output);
    settled(&agent.run(), text.len());
    let listed = aws::ask(python, "objects", &moto.url, &["s3-parts"]);
    let in_parts = |object: &Value| aws::text(object, "etag").contains('-');
    assert!(listed.as_array().expect("a list").iter().any(in_parts), "no object came in parts");
    let arrived =
        objects(&listed).into_iter().flat_map(|(_, text)| text.lines().map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(sorted(arrived.collect()), sorted(text));
}

/// Keys and texts of objects, decompressed.
fn objects(listed: &Value) -> Vec<(String, String)> {
    let plain = |object: &Value| {
        let bytes = aws::bytes(object, "data");
        let mut text = String::new();
        let read = match object["encoding"].as_str() {
            Some("gzip") => GzDecoder::new(&bytes[..]).read_to_string(&mut text),
            _ => (&bytes[..]).read_to_string(&mut text),
        };
        read.expect("what it says it is");
        (aws::text(object, "key").to_owned(), text)
    };
    listed.as_array().expect("a list").iter().map(plain).collect()
}

/// Scenario: gauges over OTLP, each with an attribute, to CloudWatch's metrics.
/// Guarantees: every point is there under its name and dimensions, with its value and unit.
#[test]
fn points_are_metrics_of_cloudwatch() {
    let (Some(python), Some(moto)) = (server::python(), server::moto()) else { return };
    let door = door();
    let more = "namespace = 'Backends'\ndimensions = ['zone']\nresource_dimensions = []\n";
    let agent = Agent::new(|_| door.input.clone() + &aws::output("cloudwatch_metrics", &moto.url, more));
    let time = (input::base(0) / 1_000_000_000 * 1_000_000_000).to_string();
    let point = |n: i32| {
        json!({ "timeUnixNano": time, "asDouble": f64::from(n) * 0.25 - 3.0,
        "attributes": [{ "key": "zone", "value": { "stringValue": format!("zone {}", n % 10) } }] })
    };
    let metric = |name: i32| {
        json!({ "name": format!("gauge.{name}"), "unit": "By",
        "gauge": { "dataPoints": (0..10).map(|n| point(10 * name + n)).collect::<Vec<_>>() } })
    };
    let metrics: Vec<Value> = (0..8).map(metric).collect();
    let request = json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": metrics }] }] });
    let (run, ()) = agent.serve(door.port, || {
        let answer = ureq::post(format!("{}/v1/metrics", door.http)).header("content-type", "application/json");
        answer.send(request.to_string()).expect("the agent takes the points");
    });
    settled(&run, 80);
    let found = aws::ask(python, "metrics", &moto.url, &["Backends"]);
    let arrived = found.as_array().expect("a list").iter().map(|metric| {
        let [point] = otlp::list(metric, "points") else { panic!("not one point: {metric}") };
        json!([
            metric["name"],
            metric["dimensions"],
            point["SampleCount"],
            point["Sum"],
            point["Minimum"],
            point["Unit"]
        ])
    });
    let sent = (0..80).map(|n| {
        let (value, zone) = (f64::from(n) * 0.25 - 3.0, format!("zone {}", n % 10));
        json!([format!("gauge.{}", n / 10), [{ "Name": "zone", "Value": zone }], 1.0, value, value, "Bytes"])
    });
    otlp::assert_same_set(arrived.collect(), sent.collect());
}

/// Scenario: spans from OpenTelemetry's SDK to X-Ray.
/// Guarantees: every span is one document with its ids, its parent and its times to the microsecond; one that is a server's, or
/// has no parent, is a segment of the service, any other a subsegment; what failed says so.
#[test]
fn spans_are_documents_of_xray() {
    let (Some(python), Some(moto)) = (server::python(), server::moto()) else { return };
    let door = door();
    let agent = Agent::new(|_| door.input.clone() + &aws::output("xray", &moto.url, "annotations = ['n']\n"));
    let (run, sent) = agent.serve(door.port, || sdk::send(python, "otlp-grpc", Signal::Traces, &door.grpc, "to-xray"));
    settled(&run, sent.len());
    let trace = |span: &Value| {
        let id = aws::text(span, "traceId");
        format!("1-{}-{}", &id[..8], &id[8..])
    };
    let ids = sorted(sent.iter().map(|span| trace(&span["record"])).collect::<Vec<_>>());
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut unique = ids.clone();
    unique.dedup();
    let documents = aws::ask(python, "traces", &moto.url, &unique);
    let documents: Vec<Value> = documents.as_array().expect("a list").iter().map(parsed).collect();
    let arrived = documents.iter().map(|document| {
        let microseconds = |name: &str| (document[name].as_f64().expect("a time") * 1e6).round();
        json!({
            "trace": document["trace_id"], "id": document["id"], "parent": document["parent_id"],
            "start": microseconds("start_time"), "end": microseconds("end_time"),
            "subsegment": document["type"] == "subsegment", "fault": document["fault"] == true,
            "n": document["annotations"]["n"],
        })
    });
    let wanted = sent.iter().map(|span| {
        let span = &span["record"];
        let microseconds = |name: &str| (aws::text(span, name).parse::<f64>().expect("a time") / 1e3).round();
        // Attributes of kind int are texts in OTLP's JSON.
        let n = otlp::attribute(span, "n").and_then(|n| n["intValue"].as_str()?.parse::<i64>().ok());
        let parent = span.get("parentSpanId");
        json!({
            "trace": trace(span), "id": span["spanId"], "parent": parent,
            "start": microseconds("startTimeUnixNano"), "end": microseconds("endTimeUnixNano"),
            "subsegment": parent.is_some() && span["kind"].as_f64() != Some(2.0), "fault": span["status"]["code"].as_f64() == Some(2.0), "n": n,
        })
    });
    otlp::assert_same_set(arrived.collect(), wanted.collect());
    let server =
        documents.iter().find(|document| document.get("type").is_none() && document.get("parent_id").is_none());
    assert_eq!(server.map(|server| &server["name"]), Some(&json!("to-xray")));
    let failed = documents.iter().find(|document| document["fault"] == true).expect("one failed");
    assert_eq!(failed["cause"]["exceptions"][0]["message"], "no such räum");
}

fn parsed(document: &Value) -> Value {
    serde_json::from_str(document.as_str().expect("a text")).expect("a JSON document")
}

/// Scenario: X-Ray's SDK sends to the agent as to the daemon, which passes segments on as they are, and asks it for sampling
/// rules.
/// Guarantees: the documents that arrive are those the SDK wrote, byte by byte; the rules are the service's, asked for with the
/// agent's signature.
#[test]
fn segments_of_xrays_sdk_pass_untouched() {
    let (Some(python), Some(moto)) = (server::python(), server::moto()) else { return };
    let service = suiro_test_servers::Aws::start().expect("a server");
    let port = agent::free_port();
    let agent = Agent::new(|_| {
        format!(
            "[[input]]\ntype = 'xray'\nname = 'in'\ntag = 'sdk'\nudp = '127.0.0.1:{port}'\ntcp = '127.0.0.1:{port}'\n\
             format = 'segments'\nregion = 'eu-central-1'\nendpoint = '{}'\n\
             credentials = {{ access_key_id = 'AKIDSUIROTEST', secret_access_key = 'suiro-secret' }}\n\n{}",
            service.url(),
            aws::output("xray", &moto.url, "batch = { timeout = '100ms' }\n")
        )
    });
    let (run, (documents, arrived)) = agent.serve(port, || {
        let mut sent = aws::client(python, &["xray", &format!("127.0.0.1:{port}")]);
        let rules = sent.pop().expect("it says which rules there are");
        assert_eq!(rules, json!({ "rules": ["Default"], "targets": ["Default"] }));
        let ids =
            sorted(sent.iter().map(|document| aws::text(&parsed(document), "trace_id").to_owned()).collect::<Vec<_>>());
        let mut ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        ids.dedup();
        let look = || aws::ask(python, "traces", &moto.url, &ids).as_array().expect("a list").clone();
        let arrived = agent::wait_for("the documents of X-Ray's SDK", look, |found| found.len() >= sent.len());
        (sent, arrived)
    });
    settled(&run, documents.len());
    otlp::assert_same_set(arrived, documents);
    assert_eq!((service.calls_of("GetSamplingRules"), service.calls_of("GetSamplingTargets")), (1, 1));
}
