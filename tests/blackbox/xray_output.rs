//! The `xray` output: spans come in as Zipkin's clients send them, and go to a server that takes what X-Ray takes, signed.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use suiro_test_servers::{Aws, Fault};

use crate::agent::{Running, Site};
use crate::traces::post;

const PUT: &str = "PutTraceSegments";

fn site(aws: &Aws, more: &str) -> Site {
    Site::new(&format!(
        "[[input]]\nname = 'in'\ntype = 'zipkin'\nlisten = '127.0.0.1:0'\n\
         [[output]]\nname = 'xray'\ntype = 'xray'\nendpoint = '{}'\nregion = 'eu-central-1'\n\
         credentials = {{ access_key_id = 'AKIDSUIROTEST', secret_access_key = 'suiro-secret' }}\n\
         retry = {{ initial = '10ms', max = '50ms' }}\nbatch.timeout = '20ms'\n{more}\n",
        aws.url()
    ))
}

/// A span with this number for an id.
fn span(n: usize) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_micros() as u64;
    json!({
        "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "id": format!("{:016x}", n + 1), "kind": "SERVER",
        "name": "get /items", "timestamp": now, "duration": 1500, "localEndpoint": { "serviceName": "shop" },
        "tags": { "http.method": "GET", "http.status_code": "200", "number": n.to_string() },
    })
}

/// Sends spans of these numbers.
fn send(agent: &Running, numbers: std::ops::Range<usize>) {
    let url = format!("http://{}/api/v2/spans", agent.listens("setting=listen "));
    let spans: Vec<Value> = numbers.map(span).collect();
    let (status, text) = post(&url, "application/json", &serde_json::to_vec(&spans).expect("JSON"));
    assert_eq!(status, 202, "{text}");
}

/// Ids of the documents that were taken.
fn ids(aws: &Aws) -> BTreeSet<String> {
    aws.look(|taken| taken.segments.iter().map(|segment| segment.id.clone()).collect())
}

fn expected(count: usize) -> BTreeSet<String> {
    (0..count).map(|n| format!("{:016x}", n + 1)).collect()
}

#[test]
fn spans_arrive_as_segments() {
    let aws = Aws::start().unwrap();
    let site = site(&aws, "annotations = ['number']");
    let agent = site.start();
    send(&agent, 0..3);
    agent.wait_for_ledger("all of it is delivered", |ledger| ledger.output("xray", "delivered") == 3);
    let ledger = agent.stop();
    assert_eq!(ledger.all_well().input("in", "received"), 3);
    let segments = aws.taken().segments;
    assert_eq!(segments.len(), 3);
    let segment = segments[1].value();
    assert_eq!(segment["name"], "shop");
    assert_eq!(segment["trace_id"], "1-4bf92f35-77b34da6a3ce929d0e0e4736");
    assert_eq!(segment["http"], json!({ "request": { "method": "GET" }, "response": { "status": 200 } }));
    assert_eq!(segment["annotations"], json!({ "number": "1" }));
    let default = &segment["metadata"]["default"];
    assert_eq!(
        (&default["otel.span.name"], &default["otel.resource.service.name"]),
        (&json!("get /items"), &json!("shop"))
    );
    assert!(aws.taken().refusals(PUT).is_empty());
}

#[test]
fn everything_arrives_whatever_goes_wrong_for_a_while() {
    let aws = Aws::start().unwrap();
    aws.faults_of(PUT).script([
        Fault::Busy(None),
        Fault::Unavailable(None),
        Fault::Named("ThrottledException".to_owned()),
        Fault::RefuseSome(3),
        Fault::ResetMidBody,
        Fault::ResetAfterStore,
        Fault::ResetMidAnswer,
        Fault::Named("ExpiredTokenException".to_owned()),
        Fault::Html(502),
        Fault::Status(413, String::new()),
        Fault::Named("AccessDeniedException".to_owned()),
        Fault::RefuseSomeWith(7, "InternalFailure".to_owned()),
    ]);
    let site = site(&aws, "queue = { type = 'disk' }\nbatch.max_records = 120");
    let agent = site.start();
    send(&agent, 0..500);
    agent.wait_for_ledger("all of it is delivered", |ledger| ledger.output("xray", "delivered") == 500);
    let outcome = agent.stop();
    let ledger = outcome.all_well();
    assert_eq!((ledger.input("in", "received"), ledger.output("xray", "routed")), (500, 500));
    assert_eq!(ids(&aws), expected(500));
}

/// Scenario: X-Ray names documents it will never take.
/// Guarantees: these are kept with its words, the others are delivered, and none is sent twice.
#[test]
fn what_is_refused_by_name_is_kept() {
    let aws = Aws::start().unwrap();
    aws.faults_of(PUT).script([Fault::RefuseSomeWith(10, "InvalidSegment".to_owned())]);
    let site = site(&aws, "");
    let agent = site.start();
    send(&agent, 0..50);
    agent.wait_for_ledger("all of it is settled", |ledger| {
        ledger.output("xray", "delivered") + ledger.reason("xray", "dead_lettered", "rejected") == 50
    });
    let outcome = agent.stop();
    let ledger = outcome.ledger(0);
    ledger.assert_settled();
    let refused = ledger.reason("xray", "dead_lettered", "rejected");
    assert!(refused >= 1, "the first of a call is refused");
    assert_eq!(ids(&aws).len() as u64, 50 - refused);
    assert_eq!(aws.taken().segment_count as u64, 50 - refused);
    let letters = site.dead_letters("xray");
    assert_eq!(letters.len() as u64, refused);
    assert!(letters[0]["detail"].as_str().unwrap().contains("InvalidSegment"), "{}", letters[0]);
}

#[test]
fn the_configuration_for_x_ray_passes_the_check() {
    let text =
        std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/xray.toml")).unwrap();
    let site = Site::new(&text);
    let outcome = site.command(&["check", "-c", "suiro.toml"]);
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
}
