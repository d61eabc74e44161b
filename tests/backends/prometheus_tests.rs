//! From the SDK through the agent to Prometheus, written to it and scraped by it: its series are the points that were sent,
//! by the names that the OpenTelemetry specification has for Prometheus.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Value, json};

use super::agent::{self, Agent};
use super::otlp::{self, Signal};
use super::otlp_tests::door;
use super::server::{self, Server};
use super::{sdk, spans};

/// Name and labels, but for `job` and those of the scope.
type Series = (String, BTreeMap<String, String>);

/// What Prometheus has of one: its newest value, and when that was, in milliseconds.
#[derive(Clone, Debug, PartialEq)]
struct Sample {
    value: f64,
    /// Of a native histogram.
    sum: Option<f64>,
    time: u64,
}

/// The names of the instruments that emit.py makes.
fn name(metric: &str) -> &'static str {
    match metric {
        "http.requests" => "http_requests_total",
        "bytes.out" => "bytes_out_bytes_total",
        "active" => "active",
        "queue.wait" => "queue_wait_seconds",
        "request.size" => "request_size_bytes",
        "no.extremes" => "no_extremes",
        "temperature" => "temperature_celsius",
        "level" => "level",
        "disk.free" => "disk_free_bytes",
        "cpu.time" => "cpu_time_seconds_total",
        "balance" => "balance",
        other => panic!("emit.py makes no {other}"),
    }
}

/// Labels of a point. Floats and lists are written by rules of their own, and stand as `?`.
fn labels(point: &Value) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for pair in otlp::list(point, "attributes") {
        let value = &pair["value"];
        let text = match value.as_object().and_then(|value| value.iter().next()) {
            Some((kind, value)) if kind == "stringValue" || kind == "intValue" => {
                value.as_str().expect("a text").to_owned()
            }
            Some((kind, value)) if kind == "boolValue" => value.to_string(),
            _ => "?".to_owned(),
        };
        // A label without a value is none.
        if !text.is_empty() {
            labels.insert(pair["key"].as_str().expect("a key").replace([' ', '.'], "_"), text);
        }
    }
    labels
}

fn number(value: &Value) -> f64 {
    match value {
        Value::String(text) => text.parse().expect("a number"),
        value => value.as_f64().expect("a number"),
    }
}

/// The series that the points are. An exponential histogram is one, if it is `native`; otherwise its sum and count are
/// looked at, and its buckets have the bounds that its writer found best.
fn expected(sent: &[Value], native: bool) -> BTreeMap<Series, Sample> {
    let mut series = BTreeMap::new();
    for item in sent {
        let (metric, point) = (&item["record"]["metric"], &item["record"]["point"]);
        let name = name(metric["name"].as_str().expect("a name"));
        let labels = labels(point);
        let time = point["timeUnixNano"].as_str().expect("a time").parse::<u64>().expect("a time") / 1_000_000;
        let mut put = |suffix: &str, le: Option<String>, value: f64, sum: Option<f64>| {
            let mut labels = labels.clone();
            labels.extend(le.map(|le| ("le".to_owned(), le)));
            series.insert((format!("{name}{suffix}"), labels), Sample { value, sum, time });
        };
        let kind = item["record"]["kind"].as_str().expect("a kind");
        match kind {
            "histogram" => {
                let bounds = otlp::list(point, "explicitBounds").iter().map(|bound| number(bound).to_string());
                let mut count = 0.0;
                for (bucket, le) in otlp::list(point, "bucketCounts").iter().zip(bounds.chain(["+Inf".to_owned()])) {
                    count += number(bucket);
                    put("_bucket", Some(le), count, None);
                }
                put("_sum", None, number(&point["sum"]), None);
                put("_count", None, number(&point["count"]), None);
            }
            "exponentialHistogram" if native => put("", None, number(&point["count"]), Some(number(&point["sum"]))),
            "exponentialHistogram" => {
                put("_sum", None, number(&point["sum"]), None);
                put("_count", None, number(&point["count"]), None);
            }
            _ => put("", None, number(point.get("asInt").unwrap_or(&point["asDouble"])), None),
        }
    }
    series
}

/// What Prometheus has of a job, but for `target_info`.
fn seen(server: &Server, job: &str) -> BTreeMap<Series, Sample> {
    let query = format!("{{job=\"{job}\",__name__!=\"target_info\"}}[10m]");
    let answer = spans::get(&server.url, "/api/v1/query", &[("query", &query)]);
    let mut series = BTreeMap::new();
    for one in otlp::list(&answer["data"], "result") {
        let mut labels: BTreeMap<String, String> =
            serde_json::from_value(one["metric"].clone()).expect("labels are texts");
        let name = labels.remove("__name__").expect("a name");
        labels.remove("job");
        // Whom Prometheus scraped.
        labels.remove("instance");
        let scope = labels.remove("otel_scope_name").expect("the label of the scope");
        assert!(scope.starts_with("suiro."), "{scope}");
        labels.remove("otel_scope_version");
        for (key, value) in &mut labels {
            // Those that are written by rules of their own.
            if ["float", "whole_float", "texts", "integers", "floats", "flags"].contains(&key.as_str()) {
                "?".clone_into(value);
            } else if key == "le" && value != "+Inf" {
                *value = value.parse::<f64>().expect("a bound").to_string();
            }
        }
        let newest = |name: &str| otlp::list(one, name).last().cloned();
        let time = |at: &Value| (number(at) * 1000.0).round();
        let sample = match (newest("values"), newest("histograms")) {
            (Some(value), _) => Sample { value: number(&value[1]), sum: None, time: time(&value[0]) as u64 },
            (None, Some(native)) => Sample {
                value: number(&native[1]["count"]),
                sum: Some(number(&native[1]["sum"])),
                time: time(&native[0]) as u64,
            },
            (None, None) => panic!("a series without a sample: {one}"),
        };
        series.insert((name, labels), sample);
    }
    series
}

#[track_caller]
fn assert_alike(arrived: &BTreeMap<Series, Sample>, sent: &BTreeMap<Series, Sample>) {
    for (series, sample) in sent {
        let arrived = arrived.get(series).unwrap_or_else(|| panic!("{series:?} is missing from {:#?}", arrived.keys()));
        // Sums are of floats in another order.
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(b.abs());
        assert!(near(arrived.value, sample.value), "{series:?}: {arrived:?}, sent {sample:?}");
        assert!(
            near(arrived.sum.unwrap_or(0.0), sample.sum.unwrap_or(0.0)),
            "{series:?}: {arrived:?}, sent {sample:?}"
        );
    }
    let more: Vec<_> = arrived.keys().filter(|series| !sent.contains_key(*series)).collect();
    assert!(more.is_empty(), "nobody sent {more:?}");
}

fn assert_target_info(server: &Server, job: &str) {
    let query = format!("target_info{{job=\"{job}\"}}[10m]");
    let answer = spans::get(&server.url, "/api/v1/query", &[("query", &query)]);
    let info = &otlp::list(&answer["data"], "result")[0]["metric"];
    assert_eq!((&info["service_version"], &info["host_cpus"]), (&json!("1.2.3-β"), &json!("8")), "{info}");
}

/// Every exemplar Prometheus has of the job is one that was sent. It keeps the newest ones only.
fn assert_exemplars(server: &Server, job: &str, sent: &[Value]) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is past 1970").as_secs();
    let (start, end) = ((now - 600).to_string(), (now + 60).to_string());
    let query = [("query", &*format!("{{job=\"{job}\"}}")), ("start", &*start), ("end", &*end)];
    let answer = spans::get(&server.url, "/api/v1/query_exemplars", &query);
    let found: Vec<&Value> =
        otlp::list(&answer, "data").iter().flat_map(|series| otlp::list(series, "exemplars")).collect();
    assert!(!found.is_empty(), "{answer}");
    let points = sent.iter().map(|item| &item["record"]["point"]);
    let known: Vec<&Value> = points.flat_map(|point| otlp::list(point, "exemplars")).collect();
    for exemplar in found {
        let is = |known: &&Value| {
            known["spanId"] == exemplar["labels"]["span_id"]
                && known["traceId"] == exemplar["labels"]["trace_id"]
                && number(known.get("asInt").unwrap_or(&known["asDouble"])) == number(&exemplar["value"])
        };
        assert!(known.iter().any(is), "nobody sent {exemplar}");
    }
}

/// Scenario: the SDK's metrics, by remote write in both versions' settings that Prometheus 2.42 can be met with.
/// Guarantees: every point is there, with its time, the exponential histogram as a native one; resource and exemplars too.
#[test]
fn what_is_written_to_prometheus_is_what_was_sent() {
    let (Some(python), Some(to)) = (server::python(), server::prometheus()) else { return };
    for version in ["auto", "1.0"] {
        let (door, job) = (door(), format!("written-{version}"));
        let agent = Agent::new(|_| {
            format!(
                "{}[[output]]\ntype = 'prometheus_remote_write'\nname = 'out'\nurl = '{}/api/v1/write'\nversion = '{version}'\n",
                door.input, to.url
            )
        });
        let (run, sent) = agent.serve(door.port, || sdk::send(python, "otlp-grpc", Signal::Metrics, &door.grpc, &job));
        run.ledger.assert_settled();
        assert!(run.status.success(), "{}\n{}", run.status, run.stderr);
        assert_eq!(run.ledger.output("out").delivered, u64::try_from(sent.len()).expect("not many"), "{}", run.stderr);
        let expected = expected(&sent, true);
        let seen = seen(to, &job);
        assert_alike(&seen, &expected);
        for (series, sample) in &expected {
            assert_eq!(seen[series].time, sample.time, "{series:?}");
        }
        assert_target_info(to, &job);
        assert_exemplars(to, &job, &sent);
    }
}

/// Something Prometheus scrapes as long as the value is there.
struct Target(PathBuf);

impl Target {
    fn new(server: &Server, name: &str, port: u16) -> Target {
        let path = Path::new(server.word("targets")).join(format!("{name}.json"));
        fs::write(&path, json!([{ "targets": [format!("127.0.0.1:{port}")] }]).to_string()).expect("a list of targets");
        Target(path)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Scenario: the same, scraped by Prometheus from the agent.
/// Guarantees: every point is there; resource and exemplars too.
#[test]
fn what_prometheus_scrapes_is_what_was_sent() {
    let (Some(python), Some(to)) = (server::python(), server::prometheus()) else { return };
    let (door, port) = (door(), agent::free_port());
    let agent = Agent::new(|_| {
        format!("{}[[output]]\ntype = 'prometheus_exporter'\nname = 'out'\nlisten = '127.0.0.1:{port}'\n", door.input)
    });
    let (run, (sent, expected, seen)) = agent.serve(door.port, || {
        let sent = sdk::send(python, "otlp-grpc", Signal::Metrics, &door.grpc, "scraped");
        let _target = Target::new(to, "scraped", port);
        let expected = expected(&sent, false);
        let seen = agent::wait_for(
            &format!("{} series to be scraped", expected.len()),
            || {
                let mut seen = seen(to, "scraped");
                // OpenMetrics tells since when a sum is one in a series of its own.
                seen.retain(|(name, _), _| name != "request_size_bytes_bucket" && !name.ends_with("_created"));
                seen
            },
            |seen| seen.len() >= expected.len(),
        );
        (sent, expected, seen)
    });
    run.ledger.assert_settled();
    assert!(run.status.success(), "{}\n{}", run.status, run.stderr);
    assert_eq!(run.ledger.input("in").received, u64::try_from(sent.len()).expect("not many"));
    assert_alike(&seen, &expected);
    assert_target_info(to, "scraped");
    assert_exemplars(to, "scraped", &sent);
}
