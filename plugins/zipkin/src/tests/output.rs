//! The output as a whole.

use serde_json::{Value, json};
use suiro_sdk::http::test_kit::{Reply, Server, delivery, setup};
use suiro_sdk::settings::Section;
use suiro_sdk::{Outcome, Output, Reason, Verdict};

use super::{OTEL_JSON, batches, written};
use crate::{Format, output};

fn built(url: &str, settings: &str) -> Box<dyn Output> {
    let (section, diagnostics) = Section::from_text("[[output]] zipkin", &format!("url = '{url}'\n{settings}"));
    let Ok(mut output) = output::build(&section) else { panic!("{}", diagnostics.render(false)) };
    output.start(&setup()).unwrap();
    output
}

#[tokio::test]
async fn spans_arrive_as_zipkin_takes_them() {
    let server = Server::start(|_| Reply::text(202, "")).await.unwrap();
    let spans = batches(OTEL_JSON, Format::Json).unwrap();
    let expected = written(&spans);
    // A record that is no span, in the midst of them, is set aside; the others go.
    let stray = suiro_sdk::http::test_kit::batch(&["{\"a\":1}"], 0);
    let delivery = delivery(vec![stray, spans[0].clone()]);
    let output = built(&server.url, "headers = { x-shop = 'one' }");
    let detail = "this is no span for Zipkin: it has no `@trace_id`".to_owned();
    let refused = (0, Verdict::Refused { reason: Reason::MALFORMED, detail });
    assert_eq!(output.deliver(&delivery).await, Outcome::Partial(vec![refused]));
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!((requests[0].method.as_str(), requests[0].target.as_str()), ("POST", "/api/v2/spans"));
    assert_eq!(requests[0].header("content-type"), Some("application/json"));
    assert_eq!(requests[0].header("x-shop"), Some("one"));
    let sent: Vec<Value> = serde_json::from_slice(&requests[0].body).unwrap();
    assert_eq!(sent, expected);
    assert_eq!(sent[0]["localEndpoint"], json!({ "serviceName": "shop", "ipv4": "192.168.0.1", "port": 31313 }));
}

#[tokio::test]
async fn what_is_no_span_is_not_sent() {
    let server = Server::start(|_| Reply::text(202, "")).await.unwrap();
    let delivery = delivery(vec![suiro_sdk::http::test_kit::batch(&["{}", "x"], 0)]);
    let Outcome::Partial(apart) = built(&server.url, "").deliver(&delivery).await else { panic!("set aside") };
    assert_eq!(apart.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn answers_mean_what_they_say() {
    let spans = || delivery(batches(OTEL_JSON, Format::Json).unwrap());
    for (status, degraded) in
        [(404, Some(true)), (405, Some(true)), (401, Some(true)), (503, Some(false)), (429, Some(false)), (400, None)]
    {
        let server = Server::start(move |_| Reply::text(status, "no")).await.unwrap();
        match (built(&server.url, "").deliver(&spans()).await, degraded) {
            (Outcome::Retry { degraded, .. }, Some(expected)) => assert_eq!(degraded, expected, "{status}"),
            (Outcome::Refused { reason, .. }, None) => assert_eq!(reason, Reason::REJECTED),
            (outcome, _) => panic!("{status}: {outcome:?}"),
        }
    }
    let large = Server::start(|_| Reply::text(413, "")).await.unwrap();
    assert_eq!(built(&large.url, "").deliver(&spans()).await, Outcome::TooLarge);
}

#[test]
fn settings_are_checked() {
    for (text, message) in [("", "url"), ("url = 'h:9411'", "http://"), ("url = 'http://h'\nmatc = 1", "matc")] {
        let (section, diagnostics) = Section::from_text("[[output]] zipkin", text);
        assert!(output::build(&section).is_err(), "{text}");
        assert!(diagnostics.render(false).contains(message), "{text}: {}", diagnostics.render(false));
    }
}
