//! The output as a whole: what is sent, and what becomes of what is answered.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use suiro_sdk::http::test_kit::{Received, Reply, Server, batch, delivery, setup};
use suiro_sdk::ledger::read;
use suiro_sdk::record::{NewValue, Path, TimeKind};
use suiro_sdk::settings::Section;
use suiro_sdk::{Delivery, Outcome, Output, OutputSetup, Reason, Rows, Verdict};

use crate::encode::{Encoded, Encoder};
use crate::output;
use crate::settings::Settings;

/// 2026-11-22T16:29:03Z
const TIME: i64 = 1_795_364_943_000_000_000;

fn encoder(settings: &str) -> Encoder {
    let (section, diagnostics) = Section::from_text("[[output]] es", &format!("url = 'http://h'\n{settings}"));
    let Ok(settings) = Settings::read(&section) else { panic!("{}", diagnostics.render(false)) };
    Encoder::new(settings.index, settings.action, settings.id)
}

fn encode(settings: &str, delivery: &Delivery) -> (Vec<String>, Encoded) {
    let mut body = Vec::new();
    let encoded = encoder(settings).encode(delivery, &mut body);
    let text = String::from_utf8(body).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    (text.lines().map(str::to_owned).collect(), encoded)
}

fn built(url: &str, settings: &str) -> (Box<dyn Output>, OutputSetup) {
    let text = format!("url = {url}\nindex = 'app'\nid = 'origin'\n{settings}");
    let (section, diagnostics) = Section::from_text("[[output]] es", &text);
    let Ok(mut output) = output::build(&section) else { panic!("{}", diagnostics.render(false)) };
    let setup = setup();
    output.start(&setup).unwrap();
    (output, setup)
}

fn three() -> Delivery {
    delivery(vec![batch(&["{\"n\":0}", "{\"n\":1}"], TIME), batch(&["{\"n\":2}"], TIME)])
}

/// Delivers three records to a server that answers like this.
async fn outcome(reply: Reply) -> Outcome {
    let server = Server::start(move |_| reply.clone()).await.unwrap();
    let (output, setup) = built(&format!("'{}'", server.url), "timeout = '2s'");
    let outcome = output.deliver(&three()).await;
    assert_eq!(read(&setup.ledger.bytes), server.requests()[0].body.len() as u64);
    outcome
}

async fn says(status: u16, body: &Value) -> Outcome {
    outcome(Reply::text(status, body.to_string())).await
}

#[test]
fn a_body_is_action_and_source() {
    let mut changed = batch(&["{\"a\": 1, \"b\":[2]}", "plain \"text\"", "{}", "{\"@timestamp\":\"mine\"}"], TIME);
    changed.rows[1].time = TIME + 5_000_000;
    changed.rows[1].time_kind = TimeKind::Own;
    changed.set(0, &Path::parse("c").unwrap(), NewValue::Str("é")).unwrap();
    let (lines, encoded) = encode("id = 'origin'", &delivery(vec![changed]));
    let head = "{\"create\":{\"_index\":\"logs-suiro-default\",\"_id\":\"AAAAAAAAAAAAAAAAAAAABw-";
    assert_eq!(
        lines,
        [
            format!("{head}0-1e\"}}}}"),
            "{\"@timestamp\":\"2026-11-22T16:29:03Z\",\"a\": 1, \"b\":[2],\"c\":\"é\"}".to_owned(),
            format!("{head}2s-1e\"}}}}"),
            "{\"@timestamp\":\"2026-11-22T16:29:03.005Z\",\"log\":\"plain \\\"text\\\"\"}".to_owned(),
            format!("{head}5k-1e\"}}}}"),
            "{\"@timestamp\":\"2026-11-22T16:29:03.000000200Z\"}".to_owned(),
            format!("{head}8c-1e\"}}}}"),
            "{\"@timestamp\":\"mine\"}".to_owned(),
        ]
    );
    assert_eq!(encoded.sent, [0, 1, 2, 3]);
    assert!(encoded.apart.is_empty());
}

#[test]
fn times_are_written_as_everywhere() {
    let times = [0, 5_000_000, 5_000_000, 123_456_000, 123_456_789, 1, 999_999_999, 1_000_000_000, -1, 60_000_000_000];
    let mut times = times.map(|after| TIME + after).to_vec();
    times.extend([i64::MIN, i64::MAX, 0, -1]);
    let mut read = batch(&["{}"; 14], TIME);
    for (row, time) in read.rows.iter_mut().zip(&times) {
        row.time = *time;
    }
    let (lines, _) = encode("", &delivery(vec![read]));
    for (line, time) in lines.iter().skip(1).step_by(2).zip(times) {
        let mut expected = b"{\"@timestamp\":\"".to_vec();
        suiro_sdk::time::write_rfc3339(time, &mut expected);
        expected.extend_from_slice(b"\"}");
        assert_eq!(line.as_bytes(), expected);
    }
}

#[test]
fn without_an_id_the_server_gives_one() {
    let (lines, _) = encode("action = 'index'\nindex = 'a'", &three());
    assert_eq!(lines[0], "{\"index\":{\"_index\":\"a\"}}");
    let (lines, _) =
        encode("id = '{n|x}-{m}'\nindex = 'a'", &delivery(vec![batch(&["{\"m\":\"\\\"q\"}", "{}"], TIME)]));
    assert_eq!(lines[0], "{\"create\":{\"_index\":\"a\",\"_id\":\"x-\\\"q\"}}");
    assert_eq!(lines[2], "{\"create\":{\"_index\":\"a\"}}");
}

#[test]
fn records_without_a_destination_stay_behind() {
    let lines = ["{\"s\":\"web\"}", "{}", "{\"s\":\"Not/An Index\"}", "{\"s\":\"db\"}"];
    let (sent, encoded) = encode("index = 'app-{s}-{@time:%Y.%m.%d}'", &delivery(vec![batch(&lines, TIME)]));
    assert_eq!(sent[0], "{\"create\":{\"_index\":\"app-web-2026.11.22\"}}");
    assert_eq!(sent[2], "{\"create\":{\"_index\":\"app-db-2026.11.22\"}}");
    assert_eq!(encoded.sent, [0, 3]);
    let reasons: Vec<(usize, Reason)> = encoded
        .apart
        .iter()
        .map(|(n, verdict)| match verdict {
            Verdict::Refused { reason, detail } => {
                assert!(detail.starts_with("`index`: "), "{detail}");
                (*n, *reason)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(reasons, [(1, Reason::MISSING_FIELD), (2, Reason::NOT_ALLOWED)]);

    let settings = "index = { value = 'app-{s}', missing = 'drop' }";
    let (_, encoded) = encode(settings, &delivery(vec![batch(&["{}"], TIME)]));
    assert_eq!(encoded.apart, [(0, Verdict::Drop(Reason::MISSING_FIELD))]);
}

#[test]
fn an_id_that_would_poison_the_request_stays_behind() {
    let long = format!("{{\"i\":\"{}\"}}", "x".repeat(513));
    let fits = format!("{{\"i\":\"{}\"}}", "x".repeat(512));
    let (lines, encoded) = encode("id = '{i}'", &delivery(vec![batch(&[long, fits], TIME)]));
    assert_eq!((lines.len(), &encoded.sent[..]), (2, &[1][..]));
    assert!(matches!(&encoded.apart[0], (0, Verdict::Refused { reason: Reason::TOO_LARGE, .. })));
}

#[test]
fn settings_are_checked() {
    for (text, message) in [
        ("index = 'Upper'", "index"),
        ("index = '{s}'", "index"),
        ("id = 'constant'", "same id"),
        ("id = '{'", "id"),
        ("action = 'delete'", "create"),
        ("indx = 'a'", "index"),
    ] {
        let (section, diagnostics) = Section::from_text("[[output]] es", &format!("url = 'http://h'\n{text}"));
        assert!(Settings::read(&section).is_err(), "{text}");
        assert!(diagnostics.render(false).contains(message), "{text}: {}", diagnostics.render(false));
    }
    let (section, _) = Section::from_text("[[output]] es", "url = ['http://a', 'https://b/x']\npipeline = 'p q'");
    let urls: Vec<String> =
        Settings::read(&section).unwrap().client.endpoints.iter().map(|e| e.url().to_string()).collect();
    assert_eq!(urls[0], "http://a/_bulk?filter_path=errors%2Citems.*.status%2Citems.*.error&pipeline=p+q");
    assert!(urls[1].starts_with("https://b/x/_bulk?"));
}

#[tokio::test]
async fn all_well() {
    assert_eq!(outcome(Reply::text(200, "{\"errors\":false,\"items\":[]}")).await, Outcome::Delivered);
    assert_eq!(says(200, &json!({ "took": 3, "errors": false })).await, Outcome::Delivered);
}

#[tokio::test]
async fn items_speak_for_their_records() {
    let error = |reason: &str| json!({ "type": "t", "reason": reason, "caused_by": { "type": "c", "reason": "r" } });
    let bulk = |items: &[(u16, Option<Value>)]| {
        let items: Vec<Value> = items.iter().map(|(s, e)| json!({ "create": { "status": s, "error": e } })).collect();
        json!({ "errors": true, "items": items })
    };
    let got = says(200, &bulk(&[(201, None), (400, Some(error("bad\nfield"))), (429, Some(error("busy")))])).await;
    assert_eq!(
        got,
        Outcome::Partial(vec![
            (1, Verdict::Refused { reason: Reason::REJECTED, detail: "400 t: bad field: c: r".to_owned() }),
            (2, Verdict::Retry { why: "429 t: busy: c: r".to_owned(), after: None, degraded: false }),
        ])
    );
    let conflicts = bulk(&[(409, Some(error("conflict"))), (409, None), (409, Some(json!("text")))]);
    assert_eq!(says(200, &conflicts).await, Outcome::Delivered);
    let got = says(200, &bulk(&[(503, None), (403, None), (404, None)])).await;
    let Outcome::Partial(verdicts) = got else { panic!("{got:?}") };
    assert!(matches!(&verdicts[0].1, Verdict::Retry { degraded: false, .. }));
    assert!(matches!(&verdicts[1].1, Verdict::Retry { degraded: true, .. }));
    assert!(matches!(&verdicts[2].1, Verdict::Refused { reason: Reason::REJECTED, .. }));
    // One item too few: nobody knows whose.
    let got = says(200, &bulk(&[(201, None), (400, None)])).await;
    assert!(
        matches!(&got, Outcome::Retry { why, .. } if why.contains("speaks of 2 records, and 3 were sent")),
        "{got:?}"
    );
}

#[tokio::test]
async fn a_conflict_on_the_servers_own_id_is_no_delivery() {
    let server = Server::start(|_| Reply::text(200, "{\"errors\":true,\"items\":[{\"create\":{\"status\":409}}]}"))
        .await
        .unwrap();
    let (section, _) = Section::from_text("[[output]] es", &format!("url = '{}'", server.url));
    let mut output = output::build(&section).unwrap();
    output.start(&setup()).unwrap();
    let got = output.deliver(&delivery(vec![batch(&["x"], TIME)])).await;
    assert!(matches!(got, Outcome::Partial(v) if matches!(v[0].1, Verdict::Refused { .. })));
}

#[tokio::test]
async fn whole_requests_that_fail() {
    let rejected = |asked: u64| {
        let reason = format!(
            "rejected execution of coordinating operation [coordinating_and_primary_bytes=0, replica_bytes=0, all_bytes=0, \
             coordinating_operation_bytes={asked}, max_coordinating_and_primary_bytes=77850214]"
        );
        json!({ "error": { "type": "rejected_execution_exception", "reason": reason }, "status": 429 })
    };
    assert_eq!(says(429, &rejected(80_102_472)).await, Outcome::TooLarge);
    assert!(matches!(says(429, &rejected(1000)).await, Outcome::Retry { degraded: false, .. }));
    assert_eq!(outcome(Reply::text(413, "")).await, Outcome::TooLarge);
    let poisoned = json!({ "error": { "type": "action_request_validation_exception", "reason": "id" }, "status": 400 });
    assert_eq!(says(400, &poisoned).await, Outcome::TooLarge);
    let other = json!({ "error": { "type": "parse_exception", "reason": "x" }, "status": 400 });
    assert!(matches!(says(400, &other).await, Outcome::Refused { reason: Reason::REJECTED, .. }));
    let no_handler = json!({ "error": "no handler found for uri [/x/_bulk] and method [POST]" });
    for (status, body) in [
        (400, &no_handler),
        (404, &json!({})),
        (405, &json!({})),
        (406, &json!({})),
        (401, &json!({})),
        (403, &json!({})),
    ] {
        let got = says(status, body).await;
        assert!(matches!(got, Outcome::Retry { degraded: true, .. }), "{status}: {got:?}");
    }
    let got = outcome(Reply::text(429, "slow down").with("retry-after", "9")).await;
    let why = "429 Too Many Requests: slow down".to_owned();
    assert_eq!(got, Outcome::Retry { why, after: Some(Duration::from_secs(9)), degraded: false });
    for status in [500, 502, 503, 504] {
        assert!(matches!(outcome(Reply::text(status, "")).await, Outcome::Retry { degraded: false, .. }));
    }
}

#[tokio::test]
async fn answers_that_are_none() {
    let got = outcome(Reply::text(200, "<html><body>Please <b>log in</b></body></html>")).await;
    assert!(matches!(&got, Outcome::Retry { why, degraded: true, .. } if why.contains("Please log in")), "{got:?}");
    for reply in [Reply::Broken(200, b"{\"errors\":tr".to_vec()), Reply::Reset] {
        assert!(matches!(outcome(reply).await, Outcome::Retry { .. }));
    }
    // 10 GB for three records: perhaps they are fewer GB for one.
    assert_eq!(outcome(Reply::Endless(200)).await, Outcome::TooLarge);
    assert!(matches!(outcome(Reply::Endless(500)).await, Outcome::Retry { .. }));
    let deep = format!("{{\"errors\":true,\"items\":{}", "[".repeat(100_000));
    assert!(matches!(outcome(Reply::text(200, deep)).await, Outcome::Retry { .. }));
}

#[tokio::test]
async fn nothing_to_send_is_no_request() {
    let server = Server::start(|_| Reply::text(200, "")).await.unwrap();
    let (section, _) = Section::from_text("[[output]] es", &format!("url = '{}'\nindex = 'a-{{x}}'", server.url));
    let mut output = output::build(&section).unwrap();
    output.start(&setup()).unwrap();
    let got = output.deliver(&three()).await;
    assert!(matches!(got, Outcome::Partial(verdicts) if verdicts.len() == 3));
    assert_eq!(server.connections(), 0);
}

/// A server that judges each item by a digit in it, as the script of the digits says, and knows its ids.
fn fickle(seen: &mut BTreeSet<String>, request: &Received) -> Reply {
    let text = request.text();
    let lines: Vec<&str> = text.lines().collect();
    let mut errors = false;
    let items: Vec<Value> = lines
        .chunks(2)
        .map(|pair| {
            let action: Value = serde_json::from_str(pair[0]).unwrap();
            let source: Value = serde_json::from_str(pair[1]).unwrap();
            let id = action["create"]["_id"].as_str().unwrap().to_owned();
            let status = match source["n"].as_u64().unwrap() % 4 {
                0 => 400,
                1 => 429,
                _ if !seen.insert(id) => 409,
                _ => 201,
            };
            errors |= status != 201;
            json!({ "create": { "status": status } })
        })
        .collect();
    Reply::text(200, json!({ "errors": errors, "items": items }).to_string())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every record of a delivery is in the body exactly once, or set apart; and verdicts carry the right numbers.
    #[test]
    fn each_record_is_answered_for_once(records in prop::collection::vec((0_u8..4, any::<bool>(), any::<bool>()), 1..40), cuts in 1_usize..5) {
        // A record: what the server does with it, whether it has an index, whether it is in the delivery at all.
        let batches: Vec<_> = records
            .chunks(records.len().div_ceil(cuts))
            .map(|chunk| {
                let lines: Vec<String> = chunk
                    .iter()
                    .map(|(n, has, _)| if *has { format!("{{\"n\":{n},\"s\":\"x\"}}") } else { format!("{{\"n\":{n}}}") })
                    .collect();
                batch(&lines, TIME)
            })
            .collect();
        let mut starts = 0;
        let batches: Vec<_> = batches
            .into_iter()
            .map(|mut batch| {
                for row in &mut batch.rows {
                    (row.start, row.end) = (starts, starts + 1);
                    starts += 1;
                }
                batch
            })
            .collect();
        let mut delivery = delivery(batches);
        let mut taken: Vec<(u8, bool)> = Vec::new();
        let mut all = records.iter();
        for part in &mut delivery.parts {
            let kept: Box<[u32]> = (0..part.batch.rows.len() as u32)
                .filter(|_| all.next().is_some_and(|(n, has, kept)| { if *kept { taken.push((*n, *has)); } *kept }))
                .collect();
            part.rows = Rows::Some(kept);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (first, again) = runtime.block_on(async {
            let mut seen = BTreeSet::new();
            let server = Server::start(move |request| fickle(&mut seen, request)).await.unwrap();
            let (section, _) = Section::from_text(
                "[[output]] es",
                &format!("url = '{}'\nindex = 'a-{{s}}'\nid = 'origin'", server.url),
            );
            let mut output = output::build(&section).unwrap();
            output.start(&setup()).unwrap();
            (output.deliver(&delivery).await, output.deliver(&delivery).await)
        });
        let expected: Vec<(usize, &str)> = taken
            .iter()
            .enumerate()
            .filter_map(|(i, (n, has))| match (has, n) {
                (false, _) => Some((i, "apart")),
                (_, 0) => Some((i, "refused")),
                (_, 1) => Some((i, "retry")),
                _ => None,
            })
            .collect();
        for outcome in [first, again] {
            let verdicts = match outcome {
                Outcome::Delivered => Vec::new(),
                Outcome::Partial(verdicts) => verdicts,
                other => panic!("{other:?}"),
            };
            let got: Vec<(usize, &str)> = verdicts
                .iter()
                .map(|(i, verdict)| {
                    let what = match verdict {
                        Verdict::Refused { reason: Reason::MISSING_FIELD, .. } => "apart",
                        Verdict::Refused { .. } => "refused",
                        Verdict::Retry { .. } => "retry",
                        Verdict::Unidentified { .. } => "perhaps",
                        Verdict::Drop(_) => "drop",
                    };
                    (*i, what)
                })
                .collect();
            prop_assert_eq!(&got, &expected);
        }
    }
}
