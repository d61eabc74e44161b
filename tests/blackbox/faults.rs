//! Servers in trouble: everything arrives all the same, and once.

use std::time::Duration;

use suiro_test_servers::{Elasticsearch, ElasticsearchOptions, Fault, Sink};

use crate::agent::{Outcome, Site};
use crate::records::{TAIL_JSON, assert_numbered, elasticsearch, numbered};

/// Sends 600 records in requests of at most 100 while the first requests meet these faults.
fn through(faults: Vec<Fault>, more: &str) -> (Elasticsearch, Outcome) {
    let server = Elasticsearch::start().unwrap();
    let site = Site::new(&format!(
        "{TAIL_JSON}{}",
        elasticsearch(&server, &format!("batch = {{ max_records = 100, timeout = '20ms' }}\n{more}"))
    ));
    site.write("app.log", numbered(0, 600));
    let n = faults.len() as u64;
    server.faults().script(faults);
    let outcome = site.once();
    let ledger = outcome.all_well();
    assert_eq!(ledger.output("es", "delivered"), 600);
    assert_eq!(server.faults().seen().values().sum::<u64>(), n, "every fault came");
    assert_numbered(&server, 600);
    (server, outcome)
}

#[test]
fn a_storm_of_429_and_503() {
    let mut faults = vec![Fault::Busy(None); 10];
    faults.extend(vec![Fault::Unavailable(None); 10]);
    let (server, outcome) = through(faults, "");
    assert_eq!(outcome.ledger.as_ref().unwrap().output("es", "retries"), 20);
    assert!(outcome.stderr.contains("429"), "{}", outcome.stderr);
    assert_eq!(server.conflicts(), 0);
}

#[test]
fn the_wait_a_server_asks_for_is_kept() {
    let (_, outcome) = through(vec![Fault::Busy(Some(1))], "");
    assert!(outcome.elapsed >= Duration::from_secs(1), "{:?}", outcome.elapsed);
}

#[test]
fn connections_that_end_at_every_place() {
    let faults = vec![
        Fault::ResetBeforeBody,
        Fault::ResetMidBody,
        Fault::ResetAfterStore,
        Fault::ResetMidAnswer,
        Fault::ResetAfterStore,
        Fault::ResetBeforeBody,
    ];
    let (server, _) = through(faults, "compression = 'gzip'");
    assert_eq!(server.conflicts(), 300, "what was stored is sent again, and known by its id");
}

#[test]
fn single_records_refused_for_now_are_sent_again_alone() {
    let (server, outcome) = through(vec![Fault::RefuseSome(3); 8], "");
    assert_eq!(server.conflicts(), 0, "what was taken is not sent again");
    assert!(outcome.ledger.unwrap().output("es", "retries") >= 8);
    assert!(server.refused() > 8 * 5);
}

#[test]
fn a_server_that_never_answers() {
    let (server, _) = through(vec![Fault::StoreAndHang, Fault::Hang, Fault::StoreAndHang], "timeout = '300ms'");
    assert_eq!(server.conflicts(), 200);
}

#[test]
fn answers_in_html() {
    let (_, outcome) = through(vec![Fault::Html(502), Fault::Html(200), Fault::Html(503)], "");
    assert!(outcome.stderr.contains("502"), "{}", outcome.stderr);
}

#[test]
fn answers_of_ten_gigabytes() {
    let ten = 10 << 30;
    let (_, outcome) = through(vec![Fault::Endless(503, ten), Fault::Endless(500, ten)], "timeout = '5s'");
    // Reading it all would take longer than that.
    assert!(outcome.elapsed < Duration::from_secs(20), "{:?}", outcome.elapsed);
}

#[test]
fn a_success_without_end_is_no_success() {
    // Too long to be an answer about 100 records: asked again in halves.
    let (_, outcome) = through(vec![Fault::Endless(200, 10 << 30)], "timeout = '5s'");
    assert!(outcome.elapsed < Duration::from_secs(20), "{:?}", outcome.elapsed);
}

#[test]
fn requests_too_large_are_cut() {
    let server = Elasticsearch::with(ElasticsearchOptions { max_body: 8 << 10, ..Default::default() }).unwrap();
    let site = Site::new(&format!("{TAIL_JSON}{}", elasticsearch(&server, "")));
    site.write("app.log", numbered(0, 600));
    let outcome = site.once();
    assert_eq!(outcome.all_well().output("es", "delivered"), 600);
    assert_numbered(&server, 600);
    assert!(server.requests() > 6);
}

#[test]
fn requests_beyond_what_the_node_bears_are_cut() {
    // It says 429, and would for ever.
    let server = Elasticsearch::with(ElasticsearchOptions { max_coordinating: 8 << 10, ..Default::default() }).unwrap();
    let site = Site::new(&format!("{TAIL_JSON}{}", elasticsearch(&server, "")));
    site.write("app.log", numbered(0, 600));
    let outcome = site.once();
    assert_eq!(outcome.all_well().output("es", "delivered"), 600);
    assert_numbered(&server, 600);
}

#[test]
fn a_server_that_wants_a_password_gets_it() {
    let authorization = Some("Basic dXNlcjpwYXNz".to_owned());
    let server = Elasticsearch::with(ElasticsearchOptions { authorization, ..Default::default() }).unwrap();
    let config = |password: &str| {
        let auth = format!(
            "auth = {{ user = 'user', password = '{password}' }}\nretry = {{ initial = '10ms', max = '50ms' }}"
        );
        let output = elasticsearch(&server, "").replace("retry = { initial = '10ms', max = '50ms' }", &auth);
        format!(
            "[service]\ndata_dir = 'data'\nshutdown_timeout = '100ms'\napi = {{ listen = '127.0.0.1:0' }}\n{TAIL_JSON}{output}"
        )
    };
    let site = Site::new(&config("wrong"));
    site.write("app.log", numbered(0, 100));
    let running = site.start();
    running.wait_for("health to be bad", |running| running.get("/api/v1/health").0 == 500);
    assert!(!running.get("/api/v1/health").1.contains("wrong"), "secrets are not shown");
    let outcome = running.stop();
    assert_eq!(outcome.code(), 0);
    outcome.ledger.as_ref().unwrap().assert_balanced();
    assert!(!outcome.stderr.contains("wrong"), "{}", outcome.stderr);
    assert!(server.is_empty());
    site.configure(&config("pass"));
    assert_eq!(site.once().all_well().output("es", "delivered"), 100);
    assert_numbered(&server, 100);
}

#[test]
fn what_is_to_be_in_order_is_whatever_happens() {
    for queue in ["", "queue = { type = 'disk' }\n"] {
        let server = Sink::start().unwrap();
        server.faults().script([
            Fault::Busy(None),
            Fault::ResetBeforeBody,
            Fault::Status(413, "too much".to_owned()),
            Fault::Unavailable(None),
            Fault::Hang,
        ]);
        server.faults().script_fine(2);
        server.faults().script([Fault::Html(502), Fault::Status(413, "too much".to_owned()), Fault::ResetMidBody]);
        let site = Site::new(&format!(
            "{TAIL_JSON}[[output]]\nname = 'http'\ntype = 'http'\nurl = '{}'\ntimeout = '300ms'\nordered = true\n\
             retry = {{ initial = '10ms', max = '50ms' }}\nbatch = {{ max_records = 40, timeout = '10ms' }}\n{queue}",
            server.url()
        ));
        let records = numbered(0, 500);
        site.write("app.log", &records);
        assert_eq!(site.once().all_well().output("http", "delivered"), 500);
        assert!(server.lines().iter().eq(records.lines()), "{queue}");
        assert_eq!(server.faults().seen().values().sum::<u64>(), 8);
    }
}

#[test]
fn a_plain_server_in_trouble() {
    let server = Sink::start().unwrap();
    server.faults().script([
        Fault::Busy(None),
        Fault::Unavailable(None),
        Fault::Status(500, "oops".to_owned()),
        Fault::ResetBeforeBody,
        Fault::ResetMidBody,
        Fault::Hang,
        Fault::Html(502),
        Fault::Endless(503, 10 << 30),
    ]);
    let site = Site::new(&format!(
        "{TAIL_JSON}[[output]]\nname = 'http'\ntype = 'http'\nurl = '{}'\ntimeout = '500ms'\ncompression = 'gzip'\n\
         retry = {{ initial = '10ms', max = '50ms' }}\nbatch = {{ max_records = 50 }}\n",
        server.url()
    ));
    site.write("app.log", numbered(0, 500));
    let outcome = site.once();
    assert_eq!(outcome.all_well().output("http", "delivered"), 500);
    let mut lines = server.lines();
    lines.sort();
    lines.dedup();
    // None of these faults stores, so nothing is there twice.
    assert_eq!((lines.len(), server.lines().len()), (500, 500));
}
