//! What is sent: names, order, sizes, messages.

use proptest::prelude::*;
use serde_json::{Value, json};
use suiro_record::Batch;
use suiro_sdk::http::Buffers;
use suiro_sdk::http::test_kit::{batch, delivery};
use suiro_sdk::{Reason, Verdict};

use super::super::body::{self, Scratch};
use super::super::message::View;
use super::super::output::Encoding;
use super::super::plan::Plan;
use super::kit::{NAMES, TIME, settings};

const DAY: i64 = 86_400_000;

/// The bodies of a delivery of these batches.
fn bodies(text: &str, batches: Vec<Batch>) -> Vec<Value> {
    let mut bodies = Vec::new();
    Encoding::new(settings(text)).encode(&delivery(batches), &Buffers::default(), |body| {
        bodies.push(serde_json::from_slice(body).expect("JSON"));
    });
    bodies
}

fn messages(body: &Value) -> Vec<&str> {
    let events = body["logEvents"].as_array().expect("a list");
    events.iter().map(|event| event["message"].as_str().expect("a text")).collect()
}

#[test]
fn a_body_as_the_service_wants_it() {
    let lines = ["plain \"quoted\" \\ \t é 水", r#"{"level":"info","n":1.50}"#, r#"{"log":"one\nline"}"#, "[1, 2]"];
    let text = format!("{NAMES}entity = {{ key_attributes = {{ Type = 'Service', Name = 'a\"b' }} }}");
    assert_eq!(
        bodies(&text, vec![batch(&lines, TIME)]),
        [json!({
            "logGroupName": "/app",
            "logStreamName": "web",
            "logEvents": [
                { "timestamp": 1_795_364_943_000_i64, "message": "plain \"quoted\" \\ \t é 水" },
                { "timestamp": 1_795_364_943_000_i64, "message": r#"{"level":"info","n":1.50}"# },
                { "timestamp": 1_795_364_943_000_i64, "message": "one\nline" },
                { "timestamp": 1_795_364_943_000_i64, "message": "[1, 2]" },
            ],
            "entity": { "keyAttributes": { "Type": "Service", "Name": "a\"b" } },
        })]
    );
}

#[test]
fn a_key_is_the_message_where_it_is_there() {
    let emf = r#"{"log":"x","_aws":{"Timestamp":1,"CloudWatchMetrics":[]}}"#;
    let lines =
        [r#"{"log":"a\tb","x":1}"#, r#"{"log":"plain","x":1}"#, r#"{"log":{"deep":1}}"#, r#"{"other":1}"#, "text", emf];
    let bodies = bodies(&format!("{NAMES}log_key = 'log'"), vec![batch(&lines, TIME)]);
    assert_eq!(messages(&bodies[0]), ["a\tb", "plain", r#"{"deep":1}"#, r#"{"other":1}"#, "text", emf]);
}

#[test]
fn records_go_by_their_templates() {
    let lines =
        [r#"{"s":"a","n":1}"#, r#"{"s":"b:*","n":2}"#, r#"{"s":"b__","n":3}"#, r#"{"n":4}"#, r#"{"s":"a","n":5}"#];
    let text = "log_group = '/app/{s}'\nlog_stream = { value = 'web {s}', missing = 'drop' }\n";
    let delivery = delivery(vec![batch(&lines, TIME)]);
    let plan = Plan::new(&settings(text), &delivery);
    let streams: Vec<_> = plan.streams.iter().map(|s| (s.group.as_str(), s.stream.as_str(), s.events.len())).collect();
    // Two texts that are one name when clean are one stream.
    assert_eq!(streams, [("/app/a", "web a", 2), ("/app/b__", "web b__", 2)]);
    assert!(matches!(&plan.apart[..], [(3, Verdict::Refused { reason: Reason::MISSING_FIELD, .. })]));
}

/// A batch of texts with these times, in milliseconds.
fn timed(lines: &[(i64, String)]) -> Batch {
    let texts: Vec<&str> = lines.iter().map(|(_, text)| text.as_str()).collect();
    let mut batch = batch(&texts, TIME);
    for (row, (time, _)) in batch.rows.iter_mut().zip(lines) {
        row.time = time * 1_000_000;
    }
    batch
}

#[test]
fn events_are_in_order_and_those_of_one_time_stay_in_theirs() {
    let line = |time: i64, text: &str| (time, text.to_owned());
    let one = timed(&[line(5, "c"), line(3, "a"), line(5, "d")]);
    let two = timed(&[line(4, "b"), line(5, "e")]);
    let bodies = bodies(NAMES, vec![one, two]);
    assert_eq!(messages(&bodies[0]), ["a", "b", "c", "d", "e"]);
}

#[test]
fn a_day_is_the_most_in_one_request() {
    let line = |time: i64| (time, time.to_string());
    let days = timed(&[line(0), line(DAY), line(DAY + 1), line(2 * DAY + 1), line(2 * DAY + 2)]);
    let bodies = bodies(NAMES, vec![days]);
    let spans: Vec<usize> = bodies.iter().map(|body| messages(body).len()).collect();
    assert_eq!(spans, [2, 2, 1]);
}

#[test]
fn what_would_spoil_a_request_is_left_out_of_it() {
    let settings = settings(&format!("{NAMES}max_event = '1KiB'\noversize = 'dead_letter'"));
    let lines =
        [(1, "a".to_owned()), (2, String::new()), (3, "x".repeat(999)), (-1, "old".to_owned()), (4, "b".to_owned())];
    let delivery = delivery(vec![timed(&lines)]);
    let plan = Plan::new(&settings, &delivery);
    let views: Vec<View<'_>> = delivery.parts.iter().map(|part| View::new(&settings, &part.batch)).collect();
    let stream = &plan.streams[0];
    let mut out = Vec::new();
    let written = body::write(&settings, stream, &stream.events, &views, &mut Scratch::default(), &mut out);
    let body: Value = serde_json::from_slice(&out).expect("JSON");
    assert_eq!(messages(&body), ["a", "b"]);
    assert_eq!((written.taken, written.len()), (5, 2));
    let apart: Vec<_> = written
        .apart
        .iter()
        .map(|(number, verdict)| match verdict {
            Verdict::Refused { reason, .. } => (*number, reason.0),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(apart, [(3, "too_old"), (1, "empty_message"), (2, "too_large")]);
    let mut sent = Vec::new();
    written.sent(&stream.events).for_each(|event| stream.each_number(event, |number| sent.push(number)));
    assert_eq!(sent, [0, 4]);
}

#[test]
fn a_giant_is_cut_at_a_character_and_marked() {
    // Of 1024 bytes, 26 are the event's, 18 the marker's.
    let giant = format!("{}{}", "x".repeat(979), "水".repeat(10));
    let text = format!("{NAMES}max_event = '1KiB'");
    let cut = bodies(&text, vec![batch(&[&giant, &giant[..979]], TIME)]);
    let messages = messages(&cut[0]);
    assert_eq!(messages[0], format!("{} …[cut by suiro]", "x".repeat(979)));
    assert_eq!(messages[1], &giant[..979]);
    let whole = format!("{}é", "x".repeat(996));
    assert_eq!(bodies(&text, vec![batch(&[&whole], TIME)])[0]["logEvents"][0]["message"], whole);
}

/// What the service checks of a request.
fn assert_legal(body: &Value) {
    let events = body["logEvents"].as_array().expect("a list");
    let time = |event: &Value| event["timestamp"].as_i64().expect("a time");
    assert!(!events.is_empty() && events.len() <= 10_000);
    assert!(events.is_sorted_by_key(time));
    assert!(time(&events[events.len() - 1]) - time(&events[0]) <= DAY);
    let size: usize = messages(body).iter().map(|message| message.len() + 26).sum();
    assert!(size <= 1_048_576, "{size}");
    assert!(messages(body).iter().all(|message| !message.is_empty()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever the records are: every request is legal, and each record is in one of them, in the order of the times.
    #[test]
    fn every_request_is_legal(
        lines in prop::collection::vec(
            (0..3 * DAY, prop_oneof![
                9 => "[a-z\"\\\\é]{1,60}",
                1 => (1..1_100_000_usize).prop_map(|len| "y".repeat(len)),
            ]),
            1..80,
        ),
    ) {
        let bodies = bodies(NAMES, vec![timed(&lines)]);
        bodies.iter().for_each(assert_legal);
        let mut want: Vec<(i64, String)> = lines;
        want.sort_by_key(|(time, _)| *time);
        let mut want = want.into_iter();
        for body in &bodies {
            for event in body["logEvents"].as_array().unwrap() {
                let (time, text) = want.next().unwrap();
                prop_assert_eq!(event["timestamp"].as_i64(), Some(time));
                let message = event["message"].as_str().unwrap();
                prop_assert!(message == text || (message.len() == 1_048_550 && message.ends_with("…[cut by suiro]")));
            }
        }
        prop_assert!(want.next().is_none());
    }
}

#[test]
fn ten_thousand_events_and_no_more() {
    let lines: Vec<(i64, String)> = (0..20_001).map(|n| (n, "x".to_owned())).collect();
    let bodies = bodies(NAMES, vec![timed(&lines)]);
    assert_eq!(bodies.iter().map(|body| messages(body).len()).collect::<Vec<_>>(), [10_000, 10_000, 1]);
}

#[test]
fn a_row_may_have_any_time() {
    let mut records = batch(&["a"; 4], TIME);
    for (row, time) in records.rows.iter_mut().zip([i64::MIN, -1, 0, i64::MAX]) {
        row.time = time;
    }
    let bodies = bodies(NAMES, vec![records]);
    let times: Vec<_> = bodies.iter().map(|body| body["logEvents"][0]["timestamp"].as_i64()).collect();
    assert_eq!(times, [Some(0), Some(i64::MAX / 1_000_000)]);
}
