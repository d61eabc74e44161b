//! Loki in trouble.

use serde_json::Value;
use suiro_test_servers::{Fault, Loki, LokiOptions};

use crate::agent::{Outcome, Site};
use crate::records::{TAIL_JSON, TAIL_TEXT};

fn site(server: &Loki, input: &str, more: &str) -> Site {
    Site::new(&format!(
        "{input}[[output]]\nname = 'loki'\ntype = 'loki'\nurl = '{}'\nlabels = {{ job = 'app' }}\n\
         retry = {{ initial = '10ms', max = '50ms' }}\n{more}\n",
        server.url()
    ))
}

fn lines(count: u64) -> Vec<String> {
    (0..count).map(|n| if n % 20 == 0 { "the same".to_owned() } else { format!("line {n}") }).collect()
}

#[test]
fn everything_arrives_and_repeats_are_known_by_their_time() {
    let server = Loki::start().unwrap();
    server.faults().script([
        Fault::Busy(None),
        Fault::Status(500, "empty ring".to_owned()),
        Fault::ResetAfterStore,
        Fault::StoreAndHang,
        Fault::ResetMidBody,
        Fault::ResetMidAnswer,
        Fault::Html(502),
    ]);
    let site = site(&server, TAIL_TEXT, "timeout = '300ms'\nbatch = { max_records = 100 }");
    let want = lines(500);
    site.write("app.log", want.join("\n") + "\n");
    let outcome = site.once();
    assert_eq!(outcome.all_well().output("loki", "delivered"), 500);
    let mut got = server.lines();
    let mut want = want;
    got.sort();
    want.sort();
    assert_eq!(got, want);
}

/// Scenario: a program says the same thing for ever, and its lines wait on disk. Guarantees: Loki, which takes equal lines of
/// equal times for one, has them all.
#[test]
fn repeats_survive_a_queue_on_disk() {
    repeats("", "queue = { type = 'disk' }");
}

/// As above, where the last record of each batch is held, since more lines of it may follow.
#[test]
fn repeats_survive_being_held() {
    repeats("multiline = { start = '^heart' }\n", "");
}

fn repeats(input: &str, output: &str) {
    let server = Loki::start().unwrap();
    let site = site(&server, &format!("{TAIL_TEXT}{input}"), output);
    site.write("app.log", "heartbeat\n".repeat(100_000));
    assert_eq!(site.once().all_well().output("loki", "delivered"), 100_000);
    assert_eq!(server.len(), 100_000);
}

/// Runs with records that Loki does not take all of.
fn partial(server: &Loki, more: &str, log: &str) -> (Site, Outcome) {
    let site = site(server, TAIL_JSON, more);
    site.write("app.log", log);
    let outcome = site.once();
    (site, outcome)
}

#[test]
fn what_was_partly_refused_is_kept_and_not_sent_twice() {
    let server = Loki::start().unwrap();
    // Every tenth is from another decade.
    let log: String = (0..50)
        .map(|n| {
            if n % 10 == 0 {
                format!("{{\"n\":{n},\"time\":\"2001-01-01T00:00:00Z\"}}\n")
            } else {
                format!("{{\"n\":{n}}}\n")
            }
        })
        .collect();
    let (site, outcome) = partial(&server, "", &log);
    let ledger = outcome.ledger(1);
    ledger.assert_settled();
    assert_eq!(server.len(), 45);
    assert!(ledger.reason("loki", "dead_lettered", "rejected_unidentified") > 0, "{ledger:?}");
    let letters = site.dead_letters("loki");
    let numbers: Vec<u64> = letters.iter().map(|letter| letter["record"]["n"].as_u64().unwrap()).collect();
    for n in [0, 10, 20, 30, 40] {
        assert!(numbers.contains(&n), "{n} is in {numbers:?}");
    }
    assert!(letters.iter().all(|letter| letter["ambiguous"] == true), "{letters:?}");
    assert!(letters[0]["detail"].as_str().unwrap().contains("timestamp too old"), "{}", letters[0]);
}

/// As above, where the records of a delivery are of several streams.
#[test]
fn what_was_partly_refused_is_kept_and_marked_stream_by_stream() {
    let server = Loki::start().unwrap();
    // Stream 0 has old records among its own, stream 1 has not.
    let log: String = (0..40)
        .map(|n| match n % 4 {
            0 => format!("{{\"n\":{n},\"s\":0,\"time\":\"2001-01-01T00:00:00Z\"}}\n"),
            2 => format!("{{\"n\":{n},\"s\":0}}\n"),
            _ => format!("{{\"n\":{n},\"s\":1}}\n"),
        })
        .collect();
    let site = site(&server, TAIL_JSON, "structured_metadata = { n = '{n}' }");
    let text = std::fs::read_to_string(site.path("suiro.toml")).unwrap();
    site.configure(&text.replace("job = 'app'", "job = 'app', s = '{s}'"));
    site.write("app.log", log);
    let outcome = site.once();
    let ledger = outcome.ledger(1);
    ledger.assert_settled();
    assert_eq!(server.len(), 30);
    let refused = ledger.reason("loki", "dead_lettered", "rejected_unidentified");
    assert_eq!((refused, ledger.output("loki", "delivered")), (20, 20));
    let letters = site.dead_letters("loki");
    assert_eq!(letters.len(), 20);
    assert!(letters.iter().all(|letter| letter["ambiguous"] == true && letter["record"]["s"] == 0), "{letters:?}");
}

#[test]
fn a_block_is_not_a_success() {
    let options = LokiOptions { multi_tenant: true, blocked: vec!["team-a".to_owned()], ..Default::default() };
    let server = Loki::with(options).unwrap();
    let (site, outcome) = partial(&server, "tenant = 'team-a'", "{\"n\":1}\n{\"n\":2}\n");
    let ledger = outcome.ledger(1);
    ledger.assert_settled();
    assert_eq!((ledger.output("loki", "delivered"), ledger.output("loki", "dead_lettered")), (0, 2));
    assert!(site.dead_letters("loki")[0]["detail"].as_str().unwrap().contains("260"));
}

#[test]
fn each_tenant_gets_its_own() {
    let server = Loki::with(LokiOptions { multi_tenant: true, ..Default::default() }).unwrap();
    let log: String = (0..40).map(|n| format!("{{\"n\":{n},\"team\":\"{}\"}}\n", ["a", "b"][n % 2])).collect();
    let (_, outcome) = partial(&server, "tenant = 'team-{team}'\nline = '{n}'", &log);
    outcome.all_well();
    let streams = server.streams();
    assert_eq!(streams.iter().map(|stream| stream.tenant.as_str()).collect::<Vec<_>>(), ["team-a", "team-b"]);
    assert!(streams.iter().all(|stream| stream.entries.len() == 20));
}

#[test]
fn requests_beyond_the_limits_are_cut() {
    let options = LokiOptions { rate: 14_000, burst: 20_000, max_message: 15_000, ..Default::default() };
    let server = Loki::with(options).unwrap();
    let site = site(&server, TAIL_TEXT, "");
    let want: Vec<String> = (0..800).map(|n| format!("line {n} {}", "x".repeat(60))).collect();
    site.write("app.log", want.join("\n") + "\n");
    let outcome = site.once();
    let ledger = outcome.ledger(0);
    ledger.assert_settled();
    assert_eq!(server.len(), 800);
    let mut got = server.lines();
    let mut want = want;
    got.sort();
    want.sort();
    assert_eq!(got, want);
}

#[test]
fn metadata_arrives() {
    let server = Loki::start().unwrap();
    let more = "structured_metadata = { trace = '{trace}', absent = '{nope}' }\nline = '{n}'";
    let (_, outcome) = partial(&server, more, "{\"n\":1,\"trace\":\"abc\"}\n{\"n\":2}\n");
    outcome.all_well();
    let entries = &server.streams()[0].entries;
    assert_eq!(entries[0].metadata, [("trace".to_owned(), "abc".to_owned())]);
    assert_eq!((entries[1].line.as_str(), entries[1].metadata.len()), ("2", 0));
    assert!(serde_json::from_str::<Value>(&entries[0].line).is_ok());
}
