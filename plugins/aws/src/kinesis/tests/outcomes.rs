//! What becomes of what is answered.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use suiro_sdk::http::test_kit::{Received, Reply, Server, batch, delivery, setup};
use suiro_sdk::settings::Section;
use suiro_sdk::{Delivery, Outcome, Output, Reason, Verdict};

use super::ACCOUNT;
use crate::kinesis::output;

fn built(firehose: bool, url: &str) -> Box<dyn Output> {
    let text = format!("{ACCOUNT}endpoint = '{url}'\nstream = 'app'\ntimeout = '500ms'\n");
    let (section, diagnostics) = Section::from_text("[[output]] kinesis", &text);
    let built = if firehose { output::build_firehose(&section) } else { output::build_kinesis(&section) };
    let Ok(mut output) = built else { panic!("{}", diagnostics.render(false)) };
    output.start(&setup()).unwrap();
    output
}

fn five() -> Delivery {
    delivery(vec![batch(&["a", "b", "c"], 0), batch(&["d", "e"], 0)])
}

fn records(request: &Received) -> usize {
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    body["Records"].as_array().unwrap().len()
}

/// An answer to each record: an error where there is a code.
fn entries(firehose: bool, codes: &[&str]) -> Reply {
    let entry = |code: &&str| match *code {
        "" => json!({ "SequenceNumber": "1", "ShardId": "shardId-000000000000", "RecordId": "r" }),
        code => json!({ "ErrorCode": code, "ErrorMessage": "Rate exceeded\nfor shard" }),
    };
    let entries: Vec<Value> = codes.iter().map(entry).collect();
    let failed = codes.iter().filter(|code| !code.is_empty()).count();
    let body = match firehose {
        true => json!({ "FailedPutCount": failed, "Encrypted": false, "RequestResponses": entries }),
        false => json!({ "FailedRecordCount": failed, "Records": entries }),
    };
    Reply::text(200, body.to_string())
}

fn error(status: u16, code: &str, message: &str) -> Reply {
    Reply::text(status, json!({ "__type": code, "message": message }).to_string())
}

async fn outcome(firehose: bool, reply: Reply) -> Outcome {
    let server = Server::start(move |_| reply.clone()).await.unwrap();
    built(firehose, &server.url).deliver(&five()).await
}

#[tokio::test]
async fn only_what_was_not_taken_is_tried_again() {
    const SLOW: &str = "ProvisionedThroughputExceededException";
    for firehose in [false, true] {
        assert_eq!(outcome(firehose, entries(firehose, &[""; 5])).await, Outcome::Delivered);
        let some = outcome(firehose, entries(firehose, &["", SLOW, "", "", "InternalFailure"])).await;
        let retry = |code: &str| {
            let why = format!("{code}: Rate exceeded for shard");
            Verdict::Retry { why, after: None, degraded: false }
        };
        assert_eq!(some, Outcome::Partial(vec![(1, retry(SLOW)), (4, retry("InternalFailure"))]));
        // An answer that can't be believed: nobody knows what was taken.
        for reply in [
            entries(firehose, &[""; 4]),
            Reply::text(200, "<html>welcome</html>"),
            Reply::text(200, "{}"),
            Reply::text(200, ""),
            Reply::Broken(200, b"{\"Records\":[{".to_vec()),
        ] {
            let got = outcome(firehose, reply.clone()).await;
            assert!(matches!(got, Outcome::Retry { degraded: false, .. }), "{reply:?}: {got:?}");
        }
    }
}

#[tokio::test]
async fn whole_requests_that_failed() {
    for (reply, degraded, word) in [
        (error(400, "ProvisionedThroughputExceededException", "Rate exceeded"), false, "Rate exceeded"),
        (error(400, "com.amazonaws#LimitExceededException", ""), false, "LimitExceeded"),
        (error(500, "InternalFailure", ""), false, "InternalFailure"),
        (error(503, "ServiceUnavailableException", "Slow down."), false, "Slow down"),
        (error(400, "ServiceUnavailableException", "Slow down."), false, "Slow down"),
        (error(400, "ResourceNotFoundException", "Stream app under account 1 not found."), true, "mend `stream`"),
        (error(400, "KMSAccessDeniedException", "no"), true, "KMSAccessDenied"),
        (error(400, "ResourceInUseException", "being created"), true, "`app`"),
        (
            error(400, "InvalidArgumentException", "This operation is not permitted on KinesisStreamAsSource"),
            true,
            "not permitted",
        ),
        (error(400, "AccessDeniedException", "not authorized"), true, "AccessDenied"),
        (Reply::text(404, "<h1>no such page</h1>"), true, "endpoint"),
        (Reply::text(502, "<h1>bad gateway</h1>"), false, "502"),
        (Reply::Reset, false, ""),
        (Reply::Silent, false, "in time"),
    ] {
        for firehose in [false, true] {
            let got = outcome(firehose, reply.clone()).await;
            let Outcome::Retry { why, degraded: is_degraded, after: None } = got else { panic!("{reply:?}: {got:?}") };
            assert!(is_degraded == degraded && why.contains(word), "{reply:?}: {why}");
        }
    }
}

/// Scenario: the service refuses a request for what one of its records is.
/// Guarantees: that one is found and set aside, the others are delivered.
#[tokio::test]
async fn one_bad_record_does_not_take_the_others_with_it() {
    let server = Server::start(|request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        // "d\n" and {"log":"d"} in base64.
        if body["Records"].as_array().unwrap().iter().any(|record| record["Data"] == "eyJsb2ciOiJkIn0=") {
            error(400, "InvalidArgumentException", "1 validation error detected")
        } else {
            entries(false, &vec![""; records(request)])
        }
    });
    let server = server.await.unwrap();
    let got = built(false, &server.url).deliver(&five()).await;
    let Outcome::Partial(verdicts) = got else { panic!("{got:?}") };
    let [(3, Verdict::Refused { reason: Reason::REJECTED, detail })] = &verdicts[..] else { panic!("{verdicts:?}") };
    assert!(detail.contains("validation error"), "{detail}");
}

/// Scenario: a delivery needs three requests, and the service is in trouble from the second on.
/// Guarantees: what the first carried is delivered, the rest is tried again, and the service was not asked a third time.
#[tokio::test]
async fn a_service_in_trouble_is_asked_once() {
    let asked = std::sync::Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let server = Server::start(move |request| match count.fetch_add(1, Ordering::Relaxed) {
        0 => entries(false, &vec![""; records(request)]),
        _ => error(400, "ThrottlingException", "slow").with("Retry-After", "3"),
    });
    let server = server.await.unwrap();
    let lines: Vec<String> = (0..1_200).map(|n| n.to_string()).collect();
    let got = built(false, &server.url).deliver(&delivery(vec![batch(&lines, 0)])).await;
    let Outcome::Partial(verdicts) = got else { panic!("{got:?}") };
    assert!(verdicts.iter().map(|(number, _)| *number).eq(500..1_200));
    let later = Some(Duration::from_secs(3));
    assert!(verdicts.iter().all(|(_, verdict)| matches!(verdict, Verdict::Retry { after, .. } if *after == later)));
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn requests_are_signed_and_addressed() {
    for (firehose, target) in [(false, "Kinesis_20131202.PutRecords"), (true, "Firehose_20150804.PutRecordBatch")] {
        let server = Server::start(move |request| entries(firehose, &vec![""; records(request)])).await.unwrap();
        assert_eq!(built(firehose, &server.url).deliver(&five()).await, Outcome::Delivered);
        let requests = server.requests();
        let [request] = &requests[..] else { panic!("{} requests", requests.len()) };
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/"));
        assert_eq!(request.header("x-amz-target"), Some(target));
        assert_eq!(request.header("content-type"), Some("application/x-amz-json-1.1"));
        let scope = if firehose { "/eu-central-1/firehose/aws4_request" } else { "/eu-central-1/kinesis/aws4_request" };
        assert!(request.header("authorization").is_some_and(|signature| signature.contains(scope)));
    }
}
