//! What answers mean for the records.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use serde_json::{Value, json};
use suiro_record::{Batch, Signal};
use suiro_sdk::http::test_kit::{Reply, batch, delivery};
use suiro_sdk::{Outcome, Verdict};
use tokio::time::Instant;

use super::kit::{NAMES, Rig, TIME, answer, fine, refusal};

/// Numbers with the first word of what becomes of them.
fn verdicts(outcome: &Outcome) -> Vec<(usize, &str)> {
    let Outcome::Partial(verdicts) = outcome else { panic!("{outcome:?}") };
    verdicts
        .iter()
        .map(|(number, verdict)| match verdict {
            Verdict::Retry { degraded, .. } => (*number, if *degraded { "retry, degraded" } else { "retry" }),
            Verdict::Refused { reason, .. } => (*number, reason.0),
            Verdict::Drop(reason) => (*number, reason.0),
            Verdict::Unidentified { .. } => (*number, "unidentified"),
        })
        .collect()
}

/// A server that says this once, and then nothing more.
fn once(first: Reply) -> impl FnMut(&str, &Value) -> Reply {
    let mut first = Some(first);
    move |_, _| first.take().unwrap_or_else(fine)
}

#[tokio::test]
async fn a_request_is_signed_and_has_the_body_that_was_written() {
    let rig = Rig::new(&format!("{NAMES}format = 'emf'\nnamespace = 'N'"), |_, _| fine()).await;
    assert_eq!(rig.deliver(&delivery(vec![batch(&["a", "b"], TIME)])).await, Outcome::Delivered);
    let requests = rig.server.requests();
    let request = &requests[0];
    assert_eq!(request.header("x-amz-target"), Some("Logs_20140328.PutLogEvents"));
    assert_eq!(request.header("x-amzn-logs-format"), Some("json/emf"));
    let authorization = request.header("authorization").expect("a signature");
    assert!(
        authorization.contains("AKIDSUIROTEST") && authorization.contains("/eu-central-1/logs/"),
        "{authorization}"
    );
    assert_eq!(request.header("content-length"), Some(request.body.len().to_string().as_str()));
    assert!(request.text().contains(r#""message":"b""#));
    assert_eq!(rig.ledger.bytes.load(Relaxed), request.body.len() as u64);
}

#[tokio::test]
async fn what_is_rejected_by_its_place_is_refused() {
    let rejected = json!({ "rejectedLogEventsInfo": {
        "tooOldLogEventEndIndex": 1, "expiredLogEventEndIndex": 2, "tooNewLogEventStartIndex": 3,
    } });
    let rig = Rig::new(NAMES, once(answer(&rejected))).await;
    // The empty one is not in the request: places count without it.
    let outcome = rig.deliver(&delivery(vec![batch(&["a", "", "b", "c", "d"], TIME)])).await;
    let want = [(0, "too_old"), (1, "empty_message"), (2, "expired"), (4, "too_new")];
    assert_eq!(verdicts(&outcome), want);
}

#[tokio::test]
async fn a_missing_stream_is_made_once_and_its_group_if_it_may_be() {
    let made = Arc::new(AtomicUsize::new(0));
    let groups = made.clone();
    let script = move |action: &str, _: &Value| match (action, groups.load(Relaxed)) {
        ("PutLogEvents", 0..2) => refusal("ResourceNotFoundException", "The specified log group does not exist."),
        ("CreateLogStream", 0) => refusal("ResourceNotFoundException", "The specified log group does not exist."),
        ("CreateLogStream" | "CreateLogGroup", _) => {
            groups.fetch_add(1, Relaxed);
            fine()
        }
        _ => fine(),
    };
    let more = "create_group = true\nretention_days = 30\nlog_class = 'infrequent_access'\ntags = { team = 'shop' }";
    let rig = Rig::new(&format!("{NAMES}{more}"), script).await;
    // Two deliveries find it missing at the same time.
    let (one, two) = (delivery(vec![batch(&["a"], TIME)]), delivery(vec![batch(&["b"], TIME)]));
    let outcomes = tokio::join!(rig.deliver(&one), rig.deliver(&two));
    assert_eq!(outcomes, (Outcome::Delivered, Outcome::Delivered));
    assert_eq!(made.load(Relaxed), 2);
    let count = |of: &str| rig.actions().iter().filter(|action| *action == of).count();
    assert_eq!((count("CreateLogGroup"), count("CreateLogStream"), count("PutRetentionPolicy")), (1, 2, 1));
    let group = &rig.bodies("CreateLogGroup")[0];
    let want = json!({ "logGroupName": "/app", "logGroupClass": "INFREQUENT_ACCESS", "tags": { "team": "shop" } });
    assert_eq!(*group, want);
    assert_eq!(rig.bodies("PutRetentionPolicy")[0], json!({ "logGroupName": "/app", "retentionInDays": 30 }));
}

#[tokio::test]
async fn a_group_that_is_there_already_is_fine() {
    let mut puts = 0;
    let script = move |action: &str, _: &Value| match action {
        "PutLogEvents" => {
            puts += 1;
            if puts == 1 { refusal("ResourceNotFoundException", "no stream") } else { fine() }
        }
        _ => refusal("ResourceAlreadyExistsException", "it exists"),
    };
    let rig = Rig::new(&format!("{NAMES}create_group = true\nretention_days = 1"), script).await;
    assert_eq!(rig.deliver(&delivery(vec![batch(&["a"], TIME)])).await, Outcome::Delivered);
    assert_eq!(rig.actions(), ["PutLogEvents", "CreateLogStream", "PutLogEvents"]);
}

#[tokio::test]
async fn one_stream_in_trouble_does_not_stop_the_others() {
    let script = |_: &str, body: &Value| match body["logStreamName"].as_str() {
        Some("s-gone") => refusal("ResourceNotFoundException", "The specified log group does not exist."),
        Some("s-busy") => refusal("ThrottlingException", "Rate exceeded"),
        Some("s-denied") => refusal("AccessDeniedException", "no policy allows it"),
        _ => fine(),
    };
    let rig = Rig::new("log_group = '/app'\nlog_stream = 's-{s}'\n", script).await;
    let record = |s: &str| format!(r#"{{"s":"{s}"}}"#);
    let lines: Vec<String> = ["gone", "fine", "busy", "denied", "fine"].map(record).into();
    let outcome = rig.deliver(&delivery(vec![batch(&lines, TIME)])).await;
    assert_eq!(verdicts(&outcome), [(0, "retry, degraded"), (2, "retry"), (3, "retry, degraded")]);
    let Outcome::Partial(said) = &outcome else { panic!("{outcome:?}") };
    let Verdict::Retry { why, .. } = &said[0].1 else { panic!("{said:?}") };
    assert!(why.contains("`/app` does not exist") && why.contains("create_group = true"), "{why}");
    // They are left alone for a moment; the others are not.
    let before = rig.actions().len();
    let outcome = rig.deliver(&delivery(vec![batch(&lines, TIME)])).await;
    assert_eq!(verdicts(&outcome), [(0, "retry, degraded"), (2, "retry"), (3, "retry, degraded")]);
    assert_eq!(rig.actions()[before..], ["PutLogEvents"]);
    // A delivery with nothing else does not hold back the output either.
    let outcome = rig.deliver(&delivery(vec![batch(&lines[2..3], TIME)])).await;
    assert_eq!(verdicts(&outcome), [(0, "retry")]);
}

#[tokio::test]
async fn what_concerns_everybody_holds_everybody() {
    for (code, is_degraded) in [
        ("UnrecognizedClientException", true),
        ("ExpiredTokenException", false),
        ("InvalidSignatureException", true),
        ("ServiceUnavailableException", false),
    ] {
        let rig = Rig::new("log_group = '/app'\nlog_stream = 's-{s}'\n", move |_, _| refusal(code, "no")).await;
        let lines = [r#"{"s":1}"#, "{}", r#"{"s":2}"#];
        let outcome = rig.deliver(&delivery(vec![batch(&lines, TIME)])).await;
        match outcome {
            Outcome::Retry { why, degraded, .. } => {
                assert!(why.contains(code) && degraded == is_degraded, "{code}: {why}, {degraded}");
            }
            other => panic!("{code}: {other:?}"),
        }
    }
    let rig = Rig::new(NAMES, |_, _| Reply::Reset).await;
    let outcome = rig.deliver(&delivery(vec![batch(&["a"], TIME)])).await;
    assert!(matches!(outcome, Outcome::Retry { degraded: false, .. }), "{outcome:?}");
    let rig = Rig::new(&format!("{NAMES}timeout = '50ms'"), |_, _| Reply::Silent).await;
    let outcome = rig.deliver(&delivery(vec![batch(&["a"], TIME)])).await;
    assert_eq!(verdicts(&outcome), [(0, "retry")]);
}

#[tokio::test]
async fn trouble_of_everybody_is_met_once() {
    let script = |_: &str, _: &Value| refusal("UnrecognizedClientException", "no");
    let rig = Rig::new("log_group = '/app'\nlog_stream = 's-{s}'\n", script).await;
    let lines: Vec<String> = (0..100).map(|n| format!(r#"{{"s":{n}}}"#)).collect();
    let outcome = rig.deliver(&delivery(vec![batch(&lines, TIME)])).await;
    assert!(matches!(outcome, Outcome::Retry { degraded: true, .. }), "{outcome:?}");
    // Those under way already.
    assert!(rig.actions().len() <= 16, "{}", rig.actions().len());
}

#[tokio::test]
async fn what_no_service_of_aws_wrote_refuses_no_event() {
    let page = "<html><body>400 The plain HTTP request was sent to HTTPS port</body></html>";
    for (status, body) in [(400, page), (404, page), (405, ""), (404, r#"{"message":"Not Found"}"#), (200, page)] {
        let rig = Rig::new(NAMES, move |_, _| Reply::text(status, body)).await;
        match rig.deliver(&delivery(vec![batch(&["a", "b"], TIME)])).await {
            Outcome::Retry { why, degraded: true, .. } => assert!(why.contains("`endpoint`"), "{status}: {why}"),
            other => panic!("{status}: {other:?}"),
        }
        assert_eq!(rig.actions().len(), 1);
    }
}

/// From here on time is what the program waits for: whoever waits for an answer is the only one left.
fn never() -> Reply {
    tokio::time::pause();
    Reply::Silent
}

#[tokio::test]
async fn a_request_may_take_as_long_as_timeout_says() {
    let rig = Rig::new(&format!("{NAMES}timeout = '10m'"), |_, _| never()).await;
    let begun = Instant::now();
    let outcome = rig.deliver(&delivery(vec![batch(&["a"], TIME)])).await;
    assert_eq!(verdicts(&outcome), [(0, "retry")]);
    assert!((600..660).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_event_that_spoils_a_request_is_found() {
    let script = |_: &str, body: &Value| {
        let events = body["logEvents"].as_array().expect("events");
        if events.iter().any(|event| event["message"] == "bad") {
            refusal("InvalidParameterException", "Log event too large")
        } else {
            fine()
        }
    };
    let rig = Rig::new(NAMES, script).await;
    let mut lines = vec!["good"; 100];
    lines[17] = "bad";
    lines[80] = "bad";
    let outcome = rig.deliver(&delivery(vec![batch(&lines, TIME)])).await;
    assert_eq!(verdicts(&outcome), [(17, "rejected"), (80, "rejected")]);
    // Each event was taken once.
    let good = rig
        .bodies("PutLogEvents")
        .iter()
        .filter(|body| !body.to_string().contains("bad"))
        .map(|body| body["logEvents"].as_array().map_or(0, Vec::len))
        .sum::<usize>();
    assert_eq!(good, 98);
}

#[tokio::test]
async fn what_is_wrong_with_all_of_a_request_does_not_cost_a_request_each() {
    let rig = Rig::new(NAMES, |_, _| refusal("InvalidParameterException", "no")).await;
    let lines = vec!["x"; 5000];
    let outcome = rig.deliver(&delivery(vec![batch(&lines, TIME)])).await;
    assert_eq!(verdicts(&outcome).len(), 5000);
    assert!(rig.actions().len() < 200, "{}", rig.actions().len());
}

#[tokio::test]
async fn what_is_too_large_is_halved_to_the_end() {
    let script = |_: &str, body: &Value| match body["logEvents"].as_array().map_or(0, Vec::len) {
        1 => fine(),
        _ => refusal("RequestEntityTooLargeException", "too large"),
    };
    let rig = Rig::new(NAMES, script).await;
    // More often than for an event that is invalid.
    let lines = vec!["good"; 66];
    assert_eq!(rig.deliver(&delivery(vec![batch(&lines, TIME)])).await, Outcome::Delivered);
}

#[tokio::test]
async fn old_answers_are_still_understood() {
    let rig = Rig::new(NAMES, once(refusal("DataAlreadyAcceptedException", "again"))).await;
    assert_eq!(rig.deliver(&delivery(vec![batch(&["a"], TIME)])).await, Outcome::Delivered);
    let rig = Rig::new(NAMES, once(refusal("InvalidSequenceTokenException", "no"))).await;
    assert_eq!(verdicts(&rig.deliver(&delivery(vec![batch(&["a"], TIME)])).await), [(0, "retry")]);
}

#[tokio::test]
async fn a_refused_entity_costs_no_event() {
    let refused = json!({ "rejectedEntityInfo": { "errorType": "InvalidTypeValue" } });
    let entity = "entity = { key_attributes = { Type = 'Service', Name = 'shop' } }";
    let rig = Rig::new(&format!("{NAMES}{entity}"), once(answer(&refused))).await;
    assert_eq!(rig.deliver(&delivery(vec![batch(&["a"], TIME)])).await, Outcome::Delivered);
    assert_eq!(rig.bodies("PutLogEvents")[0]["entity"]["keyAttributes"]["Name"], "shop");
}

#[tokio::test]
async fn cut_events_are_counted_when_they_are_delivered() {
    let rig = Rig::new(&format!("{NAMES}max_event = '1KiB'"), once(Reply::text(500, ""))).await;
    let giants = delivery(vec![batch(&["x".repeat(2000), "y".to_owned(), "z".repeat(999)], TIME)]);
    assert!(matches!(rig.deliver(&giants).await, Outcome::Retry { .. }));
    assert_eq!(rig.altered("event_cut"), 0);
    assert_eq!(rig.deliver(&giants).await, Outcome::Delivered);
    assert_eq!(rig.altered("event_cut"), 2);
}

/// A batch of gauges with these names.
fn gauges<N: AsRef<str>>(names: &[N]) -> Batch {
    let line = |name: &N| format!(r#"{{"name":"{}","kind":"gauge","value":1}}"#, name.as_ref());
    let mut batch = batch(&names.iter().map(line).collect::<Vec<_>>(), TIME);
    batch.signal = Signal::Metrics;
    batch
}

#[tokio::test]
async fn altered_points_are_counted_when_they_are_delivered() {
    let rig =
        Rig::new(&format!("{NAMES}format = 'emf'\nnamespace = 'N'"), once(refusal("ThrottlingException", "no"))).await;
    let points = delivery(vec![gauges(&["é", "plain"])]);
    assert_eq!(verdicts(&rig.deliver(&points).await), [(0, "retry"), (1, "retry")]);
    assert_eq!(rig.altered("dimensions_altered"), 0);
    // They are left alone for a moment.
    rig.deliver(&points).await;
    assert_eq!(rig.altered("dimensions_altered"), 0);
    let other = Rig::new(&format!("{NAMES}format = 'emf'\nnamespace = 'N'"), |_, _| fine()).await;
    assert_eq!(other.deliver(&points).await, Outcome::Delivered);
    assert_eq!(other.altered("dimensions_altered"), 1);
}

#[tokio::test]
async fn documents_fit_into_small_events() {
    let text = format!("{NAMES}format = 'emf'\nnamespace = 'N'\nmax_event = '2KiB'");
    let rig = Rig::new(&text, |_, _| fine()).await;
    let names: Vec<String> = (0..100).map(|n| format!("{}{n}", "x".repeat(200))).collect();
    assert_eq!(rig.deliver(&delivery(vec![gauges(&names)])).await, Outcome::Delivered);
}

const ARN: &str = "arn:aws:logs:eu-central-1:123456789012:log-group:/app";

/// A service that describes two groups, and has these detectors.
fn describing(detectors: &'static [&'static str]) -> impl FnMut(&str, &Value) -> Reply {
    move |action, _| match action {
        "DescribeLogGroups" => answer(&json!({ "logGroups": [
            { "logGroupName": "/app", "arn": format!("{ARN}:*"), "logGroupArn": ARN },
            { "logGroupName": "/app/more", "arn": format!("{ARN}/more:*"), "logGroupArn": format!("{ARN}/more") },
        ] })),
        "ListLogAnomalyDetectors" => {
            let all: Vec<Value> = detectors.iter().map(|arn| json!({ "logGroupArnList": [arn] })).collect();
            answer(&json!({ "anomalyDetectors": all }))
        }
        _ => fine(),
    }
}

#[tokio::test]
async fn a_group_gets_its_anomaly_detector_once() {
    let detector =
        "anomaly_detector = { frequency = '5m', filter_pattern = 'ERROR', visibility_days = 21, name = 'n' }";
    let rig = Rig::new(&format!("{NAMES}{detector}"), describing(&[])).await;
    for _ in 0..3 {
        assert_eq!(rig.deliver(&delivery(vec![batch(&["a"], TIME)])).await, Outcome::Delivered);
    }
    let want = json!({
        "logGroupArnList": [ARN], "detectorName": "n", "evaluationFrequency": "FIVE_MIN", "filterPattern": "ERROR",
        "anomalyVisibilityTime": 21,
    });
    assert_eq!(rig.bodies("CreateLogAnomalyDetector"), [want]);
    // One that is there already is left alone.
    let rig = Rig::new(&format!("{NAMES}{detector}"), describing(&[ARN])).await;
    assert_eq!(rig.deliver(&delivery(vec![batch(&["a"], TIME)])).await, Outcome::Delivered);
    assert_eq!(rig.bodies("CreateLogAnomalyDetector").len(), 0);
}

#[tokio::test]
async fn without_its_anomaly_detector_a_group_takes_events_all_the_same() {
    let script = |action: &str, _: &Value| match action {
        "PutLogEvents" => fine(),
        _ => refusal("AccessDeniedException", "no"),
    };
    let rig = Rig::new(&format!("{NAMES}anomaly_detector = {{}}"), script).await;
    for _ in 0..3 {
        assert_eq!(rig.deliver(&delivery(vec![batch(&["a"], TIME)])).await, Outcome::Delivered);
    }
    // It is not asked for with each delivery.
    assert_eq!(rig.bodies("DescribeLogGroups").len(), 1);
}

#[tokio::test]
async fn a_delivery_does_not_wait_long_for_an_anomaly_detector() {
    let script = |action: &str, _: &Value| if action == "PutLogEvents" { fine() } else { never() };
    let rig = Rig::new(&format!("{NAMES}anomaly_detector = {{}}"), script).await;
    let begun = Instant::now();
    assert_eq!(rig.deliver(&delivery(vec![batch(&["a"], TIME)])).await, Outcome::Delivered);
    assert!((5..15).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}
