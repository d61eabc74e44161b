//! `examples/aws-fan-out`: its configuration, between servers that stand for those it names.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use suiro_test_servers::{Aws, Elasticsearch, Loki, Sink};

use crate::agent::Site;

fn configuration() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/aws-fan-out/suiro.toml")).unwrap()
}

#[test]
fn the_configuration_passes_the_check() {
    let outcome = Site::new(&configuration()).command(&["check", "-c", "suiro.toml"]);
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
}

/// Scenario: log lines and spans through the one pipeline.
/// Guarantees: every line but those of debug is in Loki, Elasticsearch and CloudWatch Logs, every span at X-Ray and behind OTLP, and
/// nowhere else.
#[test]
fn logs_are_in_three_places_and_traces_in_two() {
    let (loki, elasticsearch) = (Loki::start().unwrap(), Elasticsearch::start().unwrap());
    let (aws, otlp) = (Aws::start().unwrap(), Sink::start().unwrap());
    let account = format!(
        "region = 'eu-central-1'\nendpoint = '{}'\n\
         credentials = {{ access_key_id = 'AKIDSUIROTEST', secret_access_key = 'suiro-secret' }}\n",
        aws.url()
    );
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut config = configuration();
    for (from, to) in [
        ("${OTLP_LISTEN:-127.0.0.1:4318}", format!("127.0.0.1:{port}")),
        ("${LOKI_URL:-http://127.0.0.1:3100}", loki.url()),
        ("${ELASTICSEARCH_URL:-http://127.0.0.1:9200}", elasticsearch.url()),
        ("${OTLP_URL:-http://127.0.0.1:14318}", otlp.url()),
        ("type = \"cloudwatch_logs\"\n", format!("type = \"cloudwatch_logs\"\n{account}")),
        ("type = \"xray\"\n", format!("type = \"xray\"\n{account}")),
    ] {
        assert!(config.contains(from), "{from}");
        config = config.replace(from, &to);
    }
    let site = Site::new(&config);
    let lines = (0..20).map(|n| {
        let level = ["debug", "info", "error", "warn"][n % 4];
        format!("{{\"level\":\"{level}\",\"n\":{n}}}\n")
    });
    site.write("shop.log", lines.collect::<String>());
    let agent = site.start();
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    let span = |n: u32| {
        json!({
            "traceId": format!("{:032x}", 77), "spanId": format!("{:016x}", n + 1), "name": "GET /", "kind": 2,
            "startTimeUnixNano": time.to_string(), "endTimeUnixNano": (time + 1_000_000).to_string(),
        })
    };
    let spans: Vec<Value> = (0..7).map(span).collect();
    let request = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] });
    ureq::post(format!("http://127.0.0.1:{port}/v1/traces"))
        .header("content-type", "application/json")
        .send(request.to_string())
        .unwrap();
    agent.wait_for("all is everywhere", |_| {
        let (events, segments) = aws.look(|taken| (taken.log_event_count(), taken.segment_count));
        [loki.len(), elasticsearch.len(), events, segments] == [15, 15, 15, 7] && otlp.requests() > 0
    });
    agent.stop().all_well();
    assert_eq!((loki.len(), elasticsearch.len()), (15, 15));
    let sent: usize =
        otlp.bodies().iter().map(|body| String::from_utf8_lossy(&body.bytes).matches("spanId").count()).sum();
    assert_eq!(sent, 7);
    let taken = aws.taken();
    assert_eq!((taken.log_event_count(), taken.segment_count), (15, 7));
    let group = &taken.log_groups["/shop/checkout"];
    assert_eq!(group.retention, Some(30));
    assert!(group.streams.keys().eq(["level-error", "level-info", "level-warn"]), "{:?}", group.streams.keys());
}
