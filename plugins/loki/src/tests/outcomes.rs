//! What becomes of what is answered.

use std::collections::BTreeSet;
use std::time::Duration;

use suiro_sdk::http::test_kit::{Reply, Server, batch, delivery};
use suiro_sdk::ledger::read;
use suiro_sdk::{Delivery, Outcome, Reason, Verdict};

use super::{TIME, built, decode};

/// Records 0 and 2 are in stream `a`, record 1 is in stream `b`.
fn three() -> Delivery {
    let first = batch(&["{\"l\":\"a\",\"n\":0}", "{\"l\":\"b\",\"n\":1}"], TIME);
    delivery(vec![first, batch(&["{\"l\":\"a\",\"n\":2}"], TIME)])
}

const LABELS: &str = "labels = { l = '{l}' }\nline = '{n}'\ntimeout = '2s'";

/// Delivers three records; stream `a` is answered like this, `b` with 204.
async fn outcome(reply: Reply) -> Outcome {
    let server = Server::start(move |request| {
        if decode(&request.body)[0].labels == "{l=\"a\"}" { reply.clone() } else { Reply::text(204, "") }
    })
    .await
    .unwrap();
    let (output, setup) = built(&server.url, LABELS);
    let outcome = output.deliver(&three()).await;
    let sent: usize = server.requests().iter().map(|request| request.body.len()).sum();
    assert_eq!(read(&setup.ledger.bytes), sent as u64);
    outcome
}

/// Delivers three records in one request.
async fn together(status: u16, text: &str) -> Outcome {
    let text = text.to_owned();
    let server = Server::start(move |_| Reply::text(status, text.clone())).await.unwrap();
    let (output, _) = built(&server.url, "labels = { job = 'x' }");
    output.deliver(&three()).await
}

#[tokio::test]
async fn a_request_is_what_loki_expects() {
    let server = Server::start(|_| Reply::text(204, "")).await.unwrap();
    let (output, setup) = built(&server.url, &format!("{LABELS}\ntenant = 'team-1'"));
    assert_eq!(output.deliver(&three()).await, Outcome::Delivered);
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    for request in requests.iter() {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/loki/api/v1/push"));
        assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
        assert_eq!(request.header("content-encoding"), None);
        assert_eq!(request.header("x-scope-orgid"), Some("team-1"));
    }
    assert!(setup.ledger.altered.snapshot().is_empty());
}

#[tokio::test]
async fn json_can_be_compressed() {
    let server = Server::start(|_| Reply::text(204, "")).await.unwrap();
    let (output, _) = built(&server.url, "labels = { job = 'x' }\nformat = 'json'\ncompression = 'gzip'");
    assert_eq!(output.deliver(&three()).await, Outcome::Delivered);
    assert_eq!(server.requests()[0].header("content-type"), Some("application/json"));
    assert_eq!(server.requests()[0].header("content-encoding"), Some("gzip"));
}

#[tokio::test]
async fn each_stream_has_its_own_answer() {
    let retry = |why: &str, after| Verdict::Retry { why: why.to_owned(), after, degraded: false };
    let perhaps = |detail: &str| Verdict::Unidentified { rejected: true, detail: detail.to_owned() };
    let refused = |reason, detail: &str| Verdict::Refused { reason, detail: detail.to_owned() };
    let cases = [
        (
            Reply::text(429, "Per stream rate limit exceeded"),
            retry("429 Too Many Requests: Per stream rate limit exceeded", None),
        ),
        (Reply::text(503, "").with("Retry-After", "7"), retry("503 Service Unavailable", Some(Duration::from_secs(7)))),
        (
            Reply::text(400, "entry for stream '{l=\"a\"}' has timestamp too old: x\n"),
            perhaps("entry for stream '{l=\"a\"}' has timestamp too old: x"),
        ),
        (
            Reply::text(400, "couldn't parse labels: 1:3"),
            refused(Reason::REJECTED, "400 Bad Request: couldn't parse labels: 1:3"),
        ),
        (
            Reply::text(260, "ingestion blocked"),
            refused(Reason("blocked"), "260 <unknown status code>: ingestion blocked"),
        ),
    ];
    for (reply, verdict) in cases {
        assert_eq!(outcome(reply).await, Outcome::Partial(vec![(0, verdict.clone()), (2, verdict)]));
    }
    for reply in [Reply::Reset, Reply::Endless(500), Reply::Silent] {
        let got = outcome(reply).await;
        let Outcome::Partial(verdicts) = &got else { panic!("{got:?}") };
        assert!(matches!(&verdicts[..], [(0, Verdict::Retry { .. }), (2, Verdict::Retry { .. })]), "{got:?}");
    }
    for reply in [Reply::Endless(204), Reply::Broken(200, b"x".to_vec())] {
        assert_eq!(outcome(reply).await, Outcome::Delivered);
    }
}

#[tokio::test]
async fn one_request_has_one_outcome() {
    let text = "max entry size '262144' bytes exceeded for stream '{job=\"x\"}'";
    assert_eq!(together(400, text).await, Outcome::Unidentified { rejected: None, detail: text.to_owned() });
    for head in ["snappy: corrupt input", "tenant ID 'x' is too long", "multiple org IDs present", "proto: x"] {
        assert!(matches!(together(400, head).await, Outcome::Refused { reason: Reason::REJECTED, .. }));
    }
    assert!(matches!(together(422, "error at least one valid stream").await, Outcome::Refused { .. }));
    for (status, text) in
        [(404, "404 page not found"), (405, ""), (302, ""), (200, "<html>Log in</html>"), (401, "no org id")]
    {
        assert!(matches!(together(status, text).await, Outcome::Retry { degraded: true, .. }), "{status}");
    }
}

#[tokio::test]
async fn a_lone_record_that_is_refused_is_known() {
    let server = Server::start(|_| Reply::text(400, "entry too far behind")).await.unwrap();
    let (output, _) = built(&server.url, "labels = { job = 'x' }");
    let got = output.deliver(&delivery(vec![batch(&["x"], TIME)])).await;
    assert!(matches!(got, Outcome::Refused { reason: Reason::REJECTED, .. }));
}

#[tokio::test]
async fn all_that_fails_waits_for_the_longest() {
    let server = Server::start(|request| {
        let wait = if decode(&request.body)[0].labels == "{l=\"a\"}" { "3" } else { "5" };
        Reply::text(429, "").with("Retry-After", wait)
    })
    .await
    .unwrap();
    let (output, _) = built(&server.url, LABELS);
    let got = output.deliver(&three()).await;
    assert!(matches!(got, Outcome::Retry { after: Some(wait), degraded: false, .. } if wait == Duration::from_secs(5)));
}

#[tokio::test]
async fn what_is_too_large_is_halved_until_it_fits() {
    for (status, text) in [
        (413, ""),
        (
            500,
            "rpc error: code = ResourceExhausted desc = grpc: received message larger than max (5526446 vs. 4194304)",
        ),
        (
            429,
            "ingestion rate limit exceeded for user fake (limit: 10 bytes/sec) while attempting to ingest '4' lines totaling '99' bytes, x",
        ),
    ] {
        let server = Server::start(move |request| {
            let entries = &decode(&request.body)[0].entries;
            let fits = entries.len() <= 2 && entries.iter().all(|entry| entry.line != "giant");
            if fits { Reply::text(204, "") } else { Reply::text(status, text) }
        })
        .await
        .unwrap();
        let (output, _) = built(&server.url, "labels = { job = 'x' }");
        let got = output.deliver(&delivery(vec![batch(&["0", "1", "2", "3", "4", "giant", "6"], TIME)])).await;
        assert!(
            matches!(&got, Outcome::Partial(v) if matches!(v[..], [(5, Verdict::Refused { reason: Reason::TOO_LARGE, .. })])),
            "{got:?}"
        );
        let stored: Vec<String> = server
            .requests()
            .iter()
            .map(|request| decode(&request.body).remove(0).entries)
            .filter(|entries| entries.len() <= 2 && entries.iter().all(|entry| entry.line != "giant"))
            .flatten()
            .map(|entry| entry.line)
            .collect();
        assert_eq!(stored, ["0", "1", "2", "3", "4", "6"]);
    }
}

#[tokio::test]
async fn tenants_are_kept_apart() {
    let server = Server::start(|_| Reply::text(204, "")).await.unwrap();
    let text = "labels = { job = 'x' }\nline = '{n}'\nstreams_per_request = 10\ntenant = { value = '{t}', allow = ['team-*'] }";
    let (output, _) = built(&server.url, text);
    let lines = [
        "{\"t\":\"team-a\",\"n\":0}",
        "{\"n\":1}",
        "{\"t\":\"team-b\",\"n\":2}",
        "{\"t\":\"root\",\"n\":3}",
        "{\"t\":\"team-a\",\"n\":4}",
    ];
    let got = output.deliver(&delivery(vec![batch(&lines, TIME)])).await;
    let Outcome::Partial(verdicts) = &got else { panic!("{got:?}") };
    assert!(matches!(
        &verdicts[..],
        [
            (1, Verdict::Refused { reason: Reason::MISSING_FIELD, .. }),
            (3, Verdict::Refused { reason: Reason::NOT_ALLOWED, .. })
        ]
    ));
    let sent: BTreeSet<(String, Vec<String>)> = server
        .requests()
        .iter()
        .map(|request| {
            let lines = decode(&request.body)[0].lines().iter().map(|line| (*line).to_owned()).collect();
            (request.header("x-scope-orgid").unwrap().to_owned(), lines)
        })
        .collect();
    let of = |tenant: &str, lines: &[&str]| (tenant.to_owned(), lines.iter().map(|line| (*line).to_owned()).collect());
    assert_eq!(sent, BTreeSet::from([of("team-a", &["0", "4"]), of("team-b", &["2"])]));
}

#[tokio::test]
async fn records_that_lost_labels_are_counted() {
    let server = Server::start(|_| Reply::text(204, "")).await.unwrap();
    let (output, setup) = built(&server.url, "labels = { job = 'x', l = '{l}' }\nmax_streams = 2");
    let lines = ["{\"l\":1}", "{\"l\":2}", "{\"l\":3}", "{\"l\":4}", "{\"l\":3}", "{}"];
    assert_eq!(output.deliver(&delivery(vec![batch(&lines, TIME)])).await, Outcome::Delivered);
    assert_eq!(setup.ledger.altered.snapshot().into_iter().collect::<Vec<_>>(), [("labels_limited", 3)]);
    // Those without a label and those that lost it are one stream.
    assert_eq!(server.requests().len(), 3);
}
