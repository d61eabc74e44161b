//! The output as a whole.

use serde_json::{Value, json};
use suiro_sdk::http::test_kit::{Received, Reply, Server, delivery, setup};
use suiro_sdk::ledger::read;
use suiro_sdk::record::Batch;
use suiro_sdk::settings::Section;
use suiro_sdk::{Delivery, Outcome, Output, OutputSetup, Reason, Verdict};
use suiro_test_servers::{Aws, Fault};

use super::super::build;
use super::{TRACE, batch_of, span};

fn built(url: &str, settings: &str) -> (Box<dyn Output>, OutputSetup) {
    let text = format!(
        "endpoint = '{url}'\nregion = 'eu-central-1'\n\
         credentials = {{ access_key_id = 'AKIDSUIROTEST', secret_access_key = 'suiro-secret' }}\n{settings}"
    );
    let (section, diagnostics) = Section::from_text("[[output]] xray", &text);
    let Ok(mut output) = build(&section) else { panic!("{}", diagnostics.render(false)) };
    let setup = setup();
    output.start(&setup).unwrap();
    (output, setup)
}

fn spans(count: usize, attributes: &Value) -> Batch {
    let spans: Vec<Value> = (0..count).map(|_| span("client", attributes.clone(), json!({}))).collect();
    batch_of(
        &json!({ "service.name": "shop" }),
        &spans,
        &json!({ "trace_id": TRACE, "span_id": format!("{:016x}", 1) }),
    )
}

fn many(count: usize) -> Delivery {
    delivery(vec![spans(count, &json!({}))])
}

fn sent(request: &Received) -> Vec<Value> {
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body.as_object().unwrap().len(), 1);
    let list = body["TraceSegmentDocuments"].as_array().unwrap();
    list.iter().map(|text| serde_json::from_str(text.as_str().unwrap()).unwrap()).collect()
}

const TAKEN: &str = "{\"UnprocessedTraceSegments\":[]}";

#[test]
fn settings_are_checked() {
    for (text, message) in [
        ("annotations = 'some'", "`annotations` is \"all\" or a list"),
        ("annotations = [1]", "annotations"),
        ("log_groups = 5", "log_groups"),
        ("region = 'Frankfurt'", "region"),
        ("compression = 'gzip'", "compression"),
        ("url = 'http://h'", "url"),
    ] {
        let (section, diagnostics) = Section::from_text("[[output]] xray", text);
        assert!(build(&section).is_err(), "{text}");
        let shown = diagnostics.render(false);
        assert!(shown.contains(message), "{text}: {shown}");
    }
    let (section, _) =
        Section::from_text("[[output]] xray", "annotations = ['a', 'otel.resource.b']\nlog_groups = 'g'");
    let output = build(&section).unwrap();
    assert_eq!(output.limits().max_records, 50);
}

#[tokio::test]
async fn a_call_is_as_x_ray_takes_it() {
    let server = Server::start(|_| Reply::text(200, TAKEN)).await.unwrap();
    let (output, setup) = built(&server.url, "");
    assert_eq!(output.deliver(&many(3)).await, Outcome::Delivered);
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!((requests[0].method.as_str(), requests[0].target.as_str()), ("POST", "/TraceSegments"));
    assert_eq!(requests[0].header("content-type"), Some("application/json"));
    let signature = requests[0].header("authorization").unwrap();
    assert!(
        signature.contains("AKIDSUIROTEST/") && signature.contains("/eu-central-1/xray/aws4_request"),
        "{signature}"
    );
    let ids: Vec<Value> = sent(&requests[0]).iter().map(|document| document["id"].clone()).collect();
    assert_eq!(ids, ["0000000000000001", "0000000000000002", "0000000000000003"]);
    assert_eq!(read(&setup.ledger.bytes), requests[0].body.len() as u64);
}

#[tokio::test]
async fn fifty_documents_a_call() {
    let server = Server::start(|_| Reply::text(200, TAKEN)).await.unwrap();
    let (output, _) = built(&server.url, "");
    // Two documents each, and the two stay together.
    let roots = delivery(vec![spans(51, &json!({ "aws.span.kind": "LOCAL_ROOT" })), spans(1, &json!({}))]);
    assert_eq!(output.deliver(&roots).await, Outcome::Delivered);
    let counts: Vec<usize> = server.requests().iter().map(|request| sent(request).len()).collect();
    assert_eq!(counts, [50, 50, 3]);
}

#[tokio::test]
async fn what_is_no_span_is_set_aside() {
    let server = Server::start(|_| Reply::text(200, TAKEN)).await.unwrap();
    let (output, _) = built(&server.url, "");
    let stray = || suiro_sdk::http::test_kit::batch(&["{\"a\":1}"], 0);
    let detail = "this is no span for X-Ray: it has no `@trace_id`".to_owned();
    let refused = Verdict::Refused { reason: Reason::MALFORMED, detail };
    let mixed = delivery(vec![stray(), spans(1, &json!({})), stray()]);
    assert_eq!(output.deliver(&mixed).await, Outcome::Partial(vec![(0, refused.clone()), (2, refused.clone())]));
    assert_eq!(sent(&server.requests()[0]).len(), 1);
    assert_eq!(output.deliver(&delivery(vec![stray()])).await, Outcome::Partial(vec![(0, refused)]));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn segments_of_x_rays_own_pass_as_they_are() {
    let server = Server::start(|_| Reply::text(200, TAKEN)).await.unwrap();
    let (output, _) = built(&server.url, "");
    let own = "{ \"id\":\"00000000000000ff\", \"name\":\"a{b}\", \"subsegments\": [ ] }";
    let bodies = [
        json!({ "xray.segment": own, "name": "other", "start": 1 }),
        // No JSON, no map, too long: the span's fields are sent.
        json!({ "xray.segment": "{x", "name": "one", "start": 1, "end": 2 }),
        json!({ "xray.segment": "[1]", "name": "two", "start": 1, "end": 2 }),
        json!({ "xray.segment": format!("{{\"a\":\"{}\"}}", "x".repeat(66_000)), "name": "three", "start": 1, "end": 2 }),
    ];
    let batch = batch_of(&json!({}), &bodies, &json!({ "trace_id": TRACE, "span_id": "0000000000000001" }));
    assert_eq!(output.deliver(&delivery(vec![batch])).await, Outcome::Delivered);
    let body: Value = serde_json::from_slice(&server.requests()[0].body).unwrap();
    assert_eq!(body["TraceSegmentDocuments"][0], own);
    let documents = sent(&server.requests()[0]);
    let names: Vec<&str> = documents.iter().map(|document| document["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["a{b}", "one", "two", "three"]);
}

#[tokio::test]
async fn answers_good_and_bad() {
    let cases = [
        (Reply::text(200, TAKEN), Some(Outcome::Delivered)),
        (Reply::text(503, ""), None),
        (Reply::text(400, "{\"__type\":\"ThrottledException\",\"message\":\"slow\"}"), None),
        (Reply::Broken(200, TAKEN.into()), None),
        (Reply::Endless(200), None),
        (Reply::Reset, None),
        (Reply::Silent, None),
    ];
    for (reply, expected) in cases {
        let script = reply.clone();
        let server = Server::start(move |_| script.clone()).await.unwrap();
        let (output, _) = built(&server.url, "timeout = '500ms'");
        let got = output.deliver(&many(2)).await;
        match expected {
            Some(expected) => assert_eq!(got, expected, "{reply:?}"),
            None => assert!(matches!(got, Outcome::Retry { degraded: false, .. }), "{reply:?}: {got:?}"),
        }
    }
    let invalid = Reply::text(400, "{\"__type\":\"InvalidRequestException\",\"message\":\"no\"}");
    let server = Server::start(move |_| invalid.clone()).await.unwrap();
    let got = built(&server.url, "").0.deliver(&many(2)).await;
    let refused = |n: usize| {
        let detail = "400 Bad Request: InvalidRequestException: no".to_owned();
        (n, Verdict::Refused { reason: Reason::REJECTED, detail })
    };
    assert_eq!(got, Outcome::Partial(vec![refused(0), refused(1)]));
    for (status, body) in [
        (403, "{\"__type\":\"AccessDeniedException\",\"message\":\"no\"}"),
        (403, "{\"__type\":\"UnrecognizedClientException\",\"message\":\"no\"}"),
        // A proxy's page: no span is to blame.
        (404, "<html>no such page</html>"),
        (400, ""),
    ] {
        let server = Server::start(move |_| Reply::text(status, body)).await.unwrap();
        let got = built(&server.url, "").0.deliver(&many(2)).await;
        assert!(matches!(got, Outcome::Retry { degraded: true, .. }), "{got:?}");
        assert_eq!(server.requests().len(), 1);
    }
}

/// Scenario: the second of three calls fails.
/// Guarantees: what the first took stands, the rest is tried again, nothing more is asked.
#[tokio::test]
async fn a_later_call_that_fails_leaves_the_earlier_ones() {
    let mut calls = 0;
    let server = Server::start(move |_| {
        calls += 1;
        if calls == 2 { Reply::text(503, "") } else { Reply::text(200, TAKEN) }
    })
    .await
    .unwrap();
    let (output, _) = built(&server.url, "");
    let Outcome::Partial(verdicts) = output.deliver(&many(130)).await else { panic!("partial") };
    assert_eq!(verdicts.iter().map(|(n, _)| *n).collect::<Vec<_>>(), (50..130).collect::<Vec<_>>());
    for (_, verdict) in &verdicts {
        assert!(matches!(verdict, Verdict::Retry { why, .. } if why.contains("503")), "{verdict:?}");
    }
    assert_eq!(server.requests().len(), 2);
}

/// Scenario: X-Ray refuses a whole call for the sake of one document in it, or for its size.
/// Guarantees: only that span is refused, and the others are taken, each once.
#[tokio::test]
async fn a_document_that_spoils_its_call_is_found() {
    let invalid = Reply::text(400, "{\"__type\":\"InvalidRequestException\",\"message\":\"no\"}");
    for (reply, reason) in [(invalid, Reason::REJECTED), (Reply::text(413, ""), Reason::TOO_LARGE)] {
        let spoils = |request: &Received| sent(request).iter().any(|document| document["id"] == "0000000000000043");
        let answer = move |request: &Received| if spoils(request) { reply.clone() } else { Reply::text(200, TAKEN) };
        let server = Server::start(answer).await.unwrap();
        let (output, _) = built(&server.url, "");
        let Outcome::Partial(verdicts) = output.deliver(&many(130)).await else { panic!("partial") };
        assert!(
            matches!(&verdicts[..], [(0x42, Verdict::Refused { reason: told, .. })] if *told == reason),
            "{verdicts:?}"
        );
        let requests = server.requests();
        let taken: usize = requests.iter().filter(|request| !spoils(request)).map(|request| sent(request).len()).sum();
        assert_eq!(taken, 129);
    }
}

#[tokio::test]
async fn a_server_that_checks_everything_takes_it() {
    let aws = Aws::start().unwrap();
    let (output, _) = built(&aws.url(), "annotations = ['n']");
    let attributes =
        json!({ "aws.span.kind": "LOCAL_ROOT", "http.method": "GET", "n": 1, "large": "x".repeat(80_000) });
    let events =
        json!([{ "name": "exception", "attributes": { "exception.message": "é", "exception.stacktrace": "a\nb" } }]);
    let all = [span("client", attributes, json!({ "events": events })), span("server", json!({}), json!({ "end": 0 }))];
    let batch =
        || batch_of(&json!({ "service.name": "shop" }), &all, &json!({ "trace_id": TRACE, "span_id": super::ID }));
    assert_eq!(output.deliver(&delivery(vec![batch()])).await, Outcome::Delivered);
    assert_eq!(aws.taken().segment_count, 3);
    // Throttled document by document: the first of the three, which is the first record's.
    aws.faults_of("PutTraceSegments").script([Fault::RefuseSome(3)]);
    let Outcome::Partial(verdicts) = output.deliver(&delivery(vec![batch()])).await else { panic!("partial") };
    assert!(matches!(&verdicts[..], [(0, Verdict::Retry { .. })]), "{verdicts:?}");
    assert_eq!(aws.taken().segment_count, 5);
}
