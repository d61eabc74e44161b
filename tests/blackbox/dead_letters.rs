//! What will not be delivered is set aside, with its reason.

use serde_json::Value;
use suiro_test_servers::{Elasticsearch, ElasticsearchOptions, Fault};

use crate::agent::Site;
use crate::records::{TAIL_JSON, assert_numbered, elasticsearch, numbered};

#[test]
fn refused_records_are_set_aside_each_with_what_the_server_said() {
    let server = Elasticsearch::start().unwrap();
    let site = Site::new(&format!("{TAIL_JSON}{}", elasticsearch(&server, "")));
    let bad = |n: u64| match n % 20 {
        7 => Some("document_parsing_exception: failed to parse field [refuse_me] of type [long]"),
        13 => Some("Duplicate field 'n'"),
        _ => None,
    };
    let log: String = (0..200)
        .map(|n| match n % 20 {
            7 => format!("{{\"n\":{n},\"refuse_me\":true}}\n"),
            13 => format!("{{\"n\":0,\"n\":{n}}}\n"),
            _ => format!("{{\"n\":{n}}}\n"),
        })
        .collect();
    site.write("app.log", log);
    let outcome = site.once();
    let ledger = outcome.ledger(1);
    ledger.assert_settled();
    assert_eq!((ledger.output("es", "delivered"), ledger.reason("es", "dead_lettered", "rejected")), (180, 20));
    assert_eq!(server.len(), 180);
    let letters = site.dead_letters("es");
    assert_eq!(letters.len(), 20);
    for (letter, n) in letters.iter().zip((0..200).filter(|n| bad(*n).is_some())) {
        // Of equal keys the last counts.
        assert_eq!(letter["record"]["n"], n);
        let detail = letter["detail"].as_str().unwrap();
        assert!(detail.contains(bad(n).unwrap()), "{detail}");
        assert_eq!((&letter["reason"], &letter["ambiguous"]), (&Value::from("rejected"), &Value::from(false)));
        assert_eq!(
            (letter["tag"].as_str(), letter["input"].as_str(), letter["block"].as_str()),
            (Some("app"), Some("in"), Some("es"))
        );
        assert!(letter["id"].as_str().unwrap().contains('-') && letter["at"].as_str().unwrap().ends_with('Z'));
    }
    // Settled is settled: the next run does not try them again.
    assert_eq!(site.once().all_well().input("in", "received"), 0);
}

#[test]
fn a_record_too_large_by_itself_does_not_hold_up_the_others() {
    let server = Elasticsearch::with(ElasticsearchOptions { max_body: 4 << 10, ..Default::default() }).unwrap();
    let site = Site::new(&format!("{TAIL_JSON}{}", elasticsearch(&server, "")));
    let large = format!("{{\"n\":1000,\"text\":\"{}\"}}\n", "x".repeat(5000));
    site.write("app.log", numbered(0, 50) + &large + &numbered(50, 50));
    let outcome = site.once();
    let ledger = outcome.ledger(1);
    ledger.assert_settled();
    assert_eq!(ledger.reason("es", "dead_lettered", "too_large"), 1);
    assert_numbered(&server, 100);
    assert_eq!(site.dead_letters("es")[0]["record"]["n"], 1000);
}

#[test]
fn attempts_have_an_end_where_the_configuration_says_so() {
    let server = Elasticsearch::start().unwrap();
    server.faults().always(Fault::Unavailable(None));
    let output = elasticsearch(&server, "").replace("max = '50ms' }", "max = '50ms', max_attempts = 3 }");
    let site = Site::new(&format!("{TAIL_JSON}{output}"));
    site.write("app.log", numbered(0, 10));
    let outcome = site.once();
    let ledger = outcome.ledger(1);
    ledger.assert_settled();
    assert_eq!((server.requests(), ledger.reason("es", "dead_lettered", "retries_exhausted")), (3, 10));
    let letters = site.dead_letters("es");
    assert_eq!(letters.len(), 10);
    assert!(letters[0]["detail"].as_str().unwrap().contains("503"), "{}", letters[0]);
}

#[test]
fn a_destination_that_can_not_be_made_is_a_reason() {
    let server = Elasticsearch::start().unwrap();
    let output = elasticsearch(&server, "").replace("index = 'app'", "index = 'app-{team}'");
    let site = Site::new(&format!("{TAIL_JSON}{output}"));
    site.write("app.log", "{\"n\":0,\"team\":\"a\"}\n{\"n\":1}\n{\"n\":2,\"team\":\"../x\"}\n");
    let outcome = site.once();
    let ledger = outcome.ledger(1);
    ledger.assert_settled();
    assert_eq!((ledger.output("es", "delivered"), ledger.output("es", "dead_lettered")), (1, 2));
    assert_eq!(server.documents()[0].index, "app-a");
    let reasons: Vec<Value> = site.dead_letters("es").into_iter().map(|letter| letter["reason"].clone()).collect();
    assert!(reasons.iter().all(|reason| reason.as_str().is_some_and(|reason| reason != "rejected")), "{reasons:?}");
}

#[test]
fn a_full_dead_letter_drops_and_counts() {
    let server = Elasticsearch::start().unwrap();
    let site = Site::new(&format!(
        "{TAIL_JSON}{}",
        elasticsearch(&server, "dead_letter = { path = 'letters', max_size = '2KiB' }")
    ));
    let log: String = (0..40).map(|n| format!("{{\"n\":{n},\"refuse_me\":true}}\n")).collect();
    site.write("app.log", log);
    let outcome = site.once();
    let ledger = outcome.ledger(1);
    ledger.assert_settled();
    let (kept, dropped) = (ledger.output("es", "dead_lettered"), ledger.reason("es", "dropped", "dead_letter_full"));
    assert!(kept > 0 && dropped > 0 && kept + dropped == 40, "{kept} + {dropped}");
    assert!(outcome.stderr.contains("dead letter"), "{}", outcome.stderr);
}
