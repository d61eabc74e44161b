//! The output as a whole.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;
use suiro_sdk::http::test_kit::{Reply, Server, batch, delivery, setup};
use suiro_sdk::ledger::read;
use suiro_sdk::settings::Section;
use suiro_sdk::{Delivery, Outcome, Output, OutputSetup, Reason, Rows};

use crate::encode::Format;
use crate::output;

fn built(url: &str, settings: &str) -> (Box<dyn Output>, OutputSetup) {
    let (section, diagnostics) = Section::from_text("[[output]] http", &format!("url = '{url}'\n{settings}"));
    let Ok(mut output) = output::build(&section) else { panic!("{}", diagnostics.render(false)) };
    let setup = setup();
    output.start(&setup).unwrap();
    (output, setup)
}

fn three() -> Delivery {
    delivery(vec![batch(&["{\"a\": 1}", "plain \"text\""], 0), batch(&["{\"log\":\"tab\\there\"}"], 0)])
}

fn written(format: Format, delivery: &Delivery) -> String {
    let mut out = Vec::new();
    format.write(delivery, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn each_format() {
    let delivery = three();
    assert_eq!(
        written(Format::JsonLines, &delivery),
        "{\"a\": 1}\n{\"log\":\"plain \\\"text\\\"\"}\n{\"log\":\"tab\\there\"}\n"
    );
    assert_eq!(
        written(Format::Json, &delivery),
        "[{\"a\": 1},{\"log\":\"plain \\\"text\\\"\"},{\"log\":\"tab\\there\"}]"
    );
    assert_eq!(written(Format::Raw, &delivery), "{\"a\": 1}\nplain \"text\"\ntab\there\n");
}

#[test]
fn settings_are_checked() {
    for (text, message) in [
        ("method = 'GET'", "POST"),
        ("format = 'xml'", "json_lines"),
        ("auth = { user = 'x' }", "password"),
        ("auth = { api_key = 'x' }", "api_key"),
        ("indx = 1", "indx"),
    ] {
        let (section, diagnostics) = Section::from_text("[[output]] http", &format!("url = 'http://h'\n{text}"));
        assert!(output::build(&section).is_err(), "{text}");
        assert!(diagnostics.render(false).contains(message), "{text}: {}", diagnostics.render(false));
    }
}

#[tokio::test]
async fn a_request_is_sent_as_configured() {
    let server = Server::start(|_| Reply::text(202, "thanks")).await.unwrap();
    let (output, setup) = built(&format!("{}/in?x=1", server.url), "method = 'PUT'\nformat = 'json'");
    assert_eq!(output.deliver(&three()).await, Outcome::Delivered);
    let (output, _) = built(&server.url, "headers = { content-type = 'application/json' }");
    assert_eq!(output.deliver(&three()).await, Outcome::Delivered);
    let requests = server.requests();
    assert_eq!((requests[0].method.as_str(), requests[0].target.as_str()), ("PUT", "/in?x=1"));
    assert_eq!(requests[0].header("content-type"), Some("application/json"));
    assert_eq!(read(&setup.ledger.bytes), requests[0].body.len() as u64);
    let types: Vec<_> = requests[1].headers.iter().filter(|(name, _)| name == "content-type").collect();
    assert_eq!(types, [&("content-type".to_owned(), "application/json".to_owned())]);
}

#[tokio::test]
async fn answers_good_and_bad() {
    let refused = |detail: &str| Outcome::Refused { reason: Reason::REJECTED, detail: detail.to_owned() };
    let retry = |why: &str, after: Option<u64>, degraded| Outcome::Retry {
        why: why.to_owned(),
        after: after.map(Duration::from_secs),
        degraded,
    };
    let cases = [
        (Reply::text(200, ""), Some(Outcome::Delivered)),
        (Reply::text(204, ""), Some(Outcome::Delivered)),
        (Reply::Broken(200, b"x".to_vec()), Some(Outcome::Delivered)),
        (Reply::Endless(200), Some(Outcome::Delivered)),
        (Reply::text(429, "slow").with("Retry-After", "2"), Some(retry("429 Too Many Requests: slow", Some(2), false))),
        (Reply::text(503, "<p>no</p>"), Some(retry("503 Service Unavailable: no", None, false))),
        (Reply::text(401, ""), Some(retry("401 Unauthorized", None, true))),
        (Reply::text(413, ""), Some(Outcome::TooLarge)),
        (Reply::text(400, "what?"), Some(refused("400 Bad Request: what?"))),
        (Reply::Endless(503), None),
        (Reply::Broken(503, b"x".to_vec()), None),
        (Reply::Reset, None),
        (Reply::Silent, None),
    ];
    for (reply, expected) in cases {
        let script = reply.clone();
        let server = Server::start(move |_| script.clone()).await.unwrap();
        let (output, _) = built(&server.url, "timeout = '300ms'");
        let got = output.deliver(&three()).await;
        match expected {
            Some(expected) => assert_eq!(got, expected, "{reply:?}"),
            None => assert!(matches!(got, Outcome::Retry { degraded: false, .. }), "{reply:?}: {got:?}"),
        }
    }
}

proptest! {
    /// Every record of a delivery stands in the body exactly once, in order.
    #[test]
    fn each_record_once(kept in prop::collection::vec(prop::collection::vec(any::<bool>(), 1..20), 1..4)) {
        let mut expected = Vec::new();
        let mut number = 0;
        let mut batches = Vec::new();
        let mut rows = Vec::new();
        for part in &kept {
            let lines: Vec<String> = part.iter().enumerate().map(|(i, _)| format!("{{\"n\":{}}}", number + i)).collect();
            let taken: Vec<usize> = (0..part.len()).filter(|&i| part[i]).collect();
            expected.extend(taken.iter().map(|i| (number + i) as u64));
            rows.push(Rows::Some(taken.iter().map(|&i| i as u32).collect()));
            batches.push(batch(&lines, 0));
            number += part.len();
        }
        let mut delivery = delivery(batches);
        for (part, rows) in delivery.parts.iter_mut().zip(rows) {
            part.rows = rows;
        }
        let numbers = |values: Vec<Value>| -> Vec<u64> { values.iter().map(|v| v["n"].as_u64().unwrap()).collect() };
        for format in [Format::JsonLines, Format::Raw] {
            let text = written(format, &delivery);
            let values = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            prop_assert_eq!(numbers(values), expected.clone());
        }
        prop_assert_eq!(numbers(serde_json::from_str(&written(Format::Json, &delivery)).unwrap()), expected);
    }
}
