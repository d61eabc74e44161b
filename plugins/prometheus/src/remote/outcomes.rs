//! What the output makes of answers.

use suiro_sdk::http::test_kit::{self, Received, Reply, Server};
use suiro_sdk::settings::Section;
use suiro_sdk::{Delivery, Outcome, Reason, Verdict};

use super::output::build;
use super::tests::{batch, scope};

const OK: Reply = Reply::Answer(204, Vec::new(), Vec::new());
const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

fn points(n: usize) -> Vec<String> {
    (0..n).map(|n| format!(r#"{{"name":"g","kind":"gauge","attributes":{{"n":"{n}"}},"value":1}}"#)).collect()
}

/// Sends a delivery twice to a server that does as `script` says; the outcomes, and the requests it saw.
fn send(
    settings: &str,
    delivery: &Delivery,
    script: impl FnMut(&Received) -> Reply + Send + 'static,
) -> (Vec<Outcome>, Vec<Received>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = Server::start(script).await.unwrap();
        let text = format!("url = '{}/api/v1/write'\n{settings}", server.url);
        let (section, diagnostics) = Section::from_text("[[output]] prometheus_remote_write", &text);
        let Ok(mut output) = build(&section) else { panic!("{}", diagnostics.render(false)) };
        output.start(&test_kit::setup()).unwrap();
        let outcomes = vec![output.deliver(delivery).await, output.deliver(delivery).await];
        let requests = server.requests().clone();
        (outcomes, requests)
    })
}

fn understood() -> Reply {
    OK.with("x-prometheus-remote-write-samples-written", "1")
}

#[test]
fn a_receiver_of_2_0_gets_2_0() {
    let (outcomes, requests) = send("", &batch(scope(), &points(3)), |_| understood());
    assert_eq!(outcomes, [Outcome::Delivered, Outcome::Delivered]);
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/api/v1/write"));
        let header = |name| request.header(name).unwrap_or_default();
        assert_eq!((header("content-type"), header("content-encoding")), (V2, "snappy"));
        assert_eq!(header("x-prometheus-remote-write-version"), "2.0.0");
        let body = snap::raw::Decoder::new().decompress_vec(&request.body).unwrap();
        assert_eq!(super::tests::understood(super::Version::V2, &body).len(), 3);
    }
}

#[test]
fn one_that_does_not_show_that_it_understands_gets_1_0() {
    for stranger in [OK, Reply::text(415, "unknown")] {
        let answer = stranger.clone();
        let script =
            move |request: &Received| if request.header("content-type") == Some(V2) { answer.clone() } else { OK };
        let (outcomes, requests) = send("", &batch(scope(), &points(1)), script);
        assert_eq!(outcomes, [Outcome::Delivered, Outcome::Delivered]);
        let versions: Vec<&str> =
            requests.iter().filter_map(|r| r.header("x-prometheus-remote-write-version")).collect();
        assert_eq!(versions, ["2.0.0", "0.1.0", "0.1.0"]);
        let (outcomes, _) = send("version = '2.0'", &batch(scope(), &points(1)), move |_| stranger.clone());
        assert!(
            matches!(&outcomes[0], Outcome::Retry { degraded: true, why, .. } if why.contains("version = \"auto\""))
        );
    }
}

#[test]
fn answers_mean_what_the_table_says() {
    let answered = |status: u16, records: usize, written: Option<&'static str>| {
        let reply = move |_: &Received| {
            let reply = Reply::text(status, "out of order sample");
            match written {
                Some(n) => reply.with("x-prometheus-remote-write-samples-written", n),
                None => reply,
            }
        };
        send("version = '1.0'", &batch(scope(), &points(records)), reply).0.remove(0)
    };
    for status in [429, 500, 503] {
        assert!(matches!(answered(status, 2, None), Outcome::Retry { degraded: false, .. }), "{status}");
    }
    for status in [401, 404, 405] {
        assert!(matches!(answered(status, 2, None), Outcome::Retry { degraded: true, .. }), "{status}");
    }
    for (status, records, written) in [(400, 1, None), (400, 3, Some("0")), (409, 3, None), (422, 1, None)] {
        assert!(matches!(answered(status, records, written), Outcome::Refused { reason: Reason::REJECTED, .. }));
    }
    assert!(matches!(answered(400, 3, None), Outcome::Unidentified { rejected: None, .. }));
    assert!(matches!(answered(400, 3, Some("2")), Outcome::Unidentified { rejected: Some(1), .. }));
}

#[test]
fn large_deliveries_are_cut_and_halved() {
    let delivery = batch(scope(), &points(2000));
    let (outcomes, requests) = send("max_request = '10KiB'", &delivery, |_| understood());
    assert_eq!(outcomes[0], Outcome::Delivered);
    assert!(requests.len() > 10, "{}", requests.len());
    // A server that takes two records at a time, and one that takes none.
    let small = |request: &Received| {
        let body = snap::raw::Decoder::new().decompress_vec(&request.body).unwrap();
        if super::tests::understood(super::Version::V1, &body).len() > 2 { Reply::text(413, "") } else { OK }
    };
    let (outcomes, requests) = send("version = '1.0'", &batch(scope(), &points(7)), small);
    assert_eq!(outcomes, [Outcome::Delivered, Outcome::Delivered]);
    assert!(requests.len() >= 2 * 7);
    let (outcomes, _) = send("version = '1.0'", &batch(scope(), &points(2)), |_| Reply::text(413, ""));
    let Outcome::Partial(verdicts) = &outcomes[0] else { panic!("{outcomes:?}") };
    assert!(verdicts.iter().all(|(_, v)| matches!(v, Verdict::Refused { reason: Reason::TOO_LARGE, .. })));
}

#[test]
fn what_waits_behind_a_failure_is_not_sent_before_it() {
    let mut seen = 0;
    let script = move |_: &Received| {
        seen += 1;
        if seen == 2 { Reply::text(503, "busy") } else { understood() }
    };
    let delivery = batch(scope(), &points(2000));
    let (outcomes, _) = send("max_request = '10KiB'", &delivery, script);
    let Outcome::Partial(verdicts) = &outcomes[0] else { panic!("{outcomes:?}") };
    let first = verdicts[0].0;
    assert!(first > 0 && verdicts.iter().map(|(n, _)| *n).eq(first..2000));
    assert!(verdicts.iter().all(|(_, v)| matches!(v, Verdict::Retry { .. })));
}

#[test]
fn what_can_not_be_sent_is_set_aside_with_its_reason() {
    let mut all = points(1);
    all.extend(
        [
            r#"{"name":"d","kind":"sum","temporality":"delta","value":1}"#,
            r#"{"name":"e","kind":"exponential_histogram","temporality":"cumulative","scale":-5}"#,
            r#"{"log":"text"}"#,
        ]
        .map(str::to_owned),
    );
    let (outcomes, _) = send("", &batch(scope(), &all), |_| understood());
    let Outcome::Partial(verdicts) = &outcomes[0] else { panic!("{outcomes:?}") };
    let reasons: Vec<(usize, &str)> = verdicts
        .iter()
        .map(|(n, verdict)| match verdict {
            Verdict::Refused { reason, .. } => (*n, reason.0),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(reasons, [(1, "delta_temporality"), (2, "histogram_scale"), (3, "malformed")]);
}
