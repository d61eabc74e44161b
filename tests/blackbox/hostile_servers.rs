//! Servers that refuse, hang, reset, or answer what nobody asked for, before each of the outputs: nothing is lost, no
//! processor spins, no memory grows, and somebody is told.

use std::time::Duration;

use suiro_test_servers::{Elasticsearch, Fault, Faults, Loki, Sink};

use crate::agent::Site;
use crate::records::{TAIL_JSON, assert_numbered, numbered};

const RECORDS: u64 = 2000;

/// A server of each kind.
struct Servers {
    es: Elasticsearch,
    loki: Loki,
    http: Sink,
}

impl Servers {
    fn start() -> Self {
        Servers { es: Elasticsearch::start().unwrap(), loki: Loki::start().unwrap(), http: Sink::start().unwrap() }
    }

    fn faults(&self) -> [&Faults; 3] {
        [self.es.faults(), self.loki.faults(), self.http.faults()]
    }

    /// A configuration with an output to each; `service` and `more` are further settings.
    fn site(&self, service: &str, more: &str) -> Site {
        let common = format!(
            "timeout = '200ms'\nretry = {{ initial = '100ms', max = '200ms' }}\n\
             batch = {{ max_records = 500, timeout = '10ms' }}\n{more}\n"
        );
        Site::new(&format!(
            "[service]\ndata_dir = 'data'\nshutdown_timeout = '10s'\napi = {{ listen = '127.0.0.1:0' }}\n{service}\n{TAIL_JSON}\
             [[output]]\nname = 'es'\ntype = 'elasticsearch'\nurl = '{}'\nindex = 'app'\nid = 'origin'\n{common}\
             [[output]]\nname = 'loki'\ntype = 'loki'\nurl = '{}'\nlabels = {{ job = 'app' }}\n{common}\
             [[output]]\nname = 'http'\ntype = 'http'\nurl = '{}/in?key=s3cret-query'\n{common}",
            self.es.url(),
            self.loki.url(),
            self.http.url()
        ))
    }
}

/// Has all servers do that for a while, and then heal. `word` is said of it in the log.
fn survives(fault: &Fault, word: &str) {
    let servers = Servers::start();
    servers.faults().iter().for_each(|faults| faults.always(fault.clone()));
    let site = servers.site("", "");
    site.write("app.log", numbered(0, RECORDS));
    let running = site.start();
    let tried = |times: u64| {
        running.wait_for_ledger("everybody to try again", |ledger| {
            ledger.input("in", "received") == RECORDS
                && ["es", "loki", "http"].iter().all(|name| ledger.output(name, "retries") >= times)
        });
    };
    tried(3);
    let before = running.memory();
    tried(12);
    running.assert_quiet(Duration::from_millis(600));
    let after = running.memory();
    assert!(
        after < before + (16 << 20) && after < 100 << 20,
        "{fault:?}: {} MiB, {} before",
        after >> 20,
        before >> 20
    );
    let said = running.stderr();
    assert!(said.contains(word), "{fault:?}: no {word} in\n{said}");
    assert!(said.len() < 64 << 10, "{fault:?}: {} bytes of log", said.len());
    assert_eq!(running.get("/api/v1/health").0, 500, "{fault:?}");
    let ledger = running.ledger();
    for name in ["es", "loki", "http"] {
        assert_eq!(
            (ledger.output(name, "in_flight"), ledger.output(name, "delivered")),
            (RECORDS, 0),
            "{fault:?} {name}"
        );
    }
    servers.faults().iter().for_each(|faults| faults.heal());
    running.wait_for_ledger("everything to be delivered", |ledger| {
        ledger.is_settled() && ["es", "loki", "http"].iter().all(|name| ledger.output(name, "delivered") == RECORDS)
    });
    running.wait_for("health to be good", |running| running.get("/api/v1/health").0 == 200);
    running.stop().all_well();
    assert_numbered(&servers.es, RECORDS);
    assert_eq!((servers.loki.len() as u64, servers.http.lines().len() as u64), (RECORDS, RECORDS), "{fault:?}");
}

#[test]
fn a_server_that_hangs() {
    survives(&Fault::Hang, "no answer in time");
}

#[test]
fn a_server_that_resets() {
    survives(&Fault::ResetBeforeBody, "the connection broke");
    survives(&Fault::ResetMidBody, "the connection broke");
}

#[test]
fn a_server_that_answers_html() {
    survives(&Fault::Html(502), "502 Bad Gateway");
}

#[test]
fn a_server_that_answers_ten_gigabytes() {
    survives(&Fault::Endless(503, 10 << 30), "503 Service Unavailable");
}

#[test]
fn a_login_page_is_no_success() {
    // A plain HTTP server may say 200 with what it likes; these two never do.
    let servers = Servers::start();
    let site = servers.site("", "");
    site.write("app.log", numbered(0, 100));
    servers.faults()[..2].iter().for_each(|faults| faults.script(vec![Fault::Html(200); 3]));
    let outcome = site.once();
    let ledger = outcome.all_well();
    assert_eq!(["es", "loki", "http"].map(|name| ledger.output(name, "delivered")), [100; 3]);
    assert_numbered(&servers.es, 100);
    assert_eq!(servers.loki.len(), 100);
}

/// Whatever is logged, of whatever trouble: what is secret is not in it.
#[test]
fn secrets_are_in_no_log() {
    let servers = Servers::start();
    for faults in servers.faults() {
        faults.script([
            Fault::Status(401, "who are you?".to_owned()),
            Fault::Html(503),
            Fault::ResetMidBody,
            Fault::Hang,
        ]);
    }
    // `dTpzM2NyZXQtYmFzaWM=` is the password as it is sent.
    let auth = "auth = { user = 'u', password = 's3cret-basic' }\nheaders = { x-token = 's3cret-header' }";
    let site = servers.site("log_level = 'trace'", auth);
    site.write("app.log", numbered(0, 100));
    let running = site.start();
    running.wait_for_ledger("everything to be delivered", |ledger| {
        ledger.is_settled() && ["es", "loki", "http"].iter().all(|name| ledger.output(name, "delivered") == 100)
    });
    let told = ["/api/v1/health", "/api/ledger", "/metrics"].map(|path| running.get(path).1).join("\n");
    let outcome = running.stop();
    outcome.all_well();
    assert!(outcome.stderr.contains("TRACE") && outcome.stderr.contains("401"), "{}", outcome.stderr);
    for (what, text) in [("the log", &outcome.stderr), ("the API", &told), ("standard output", &outcome.stdout)] {
        for secret in ["s3cret", "dTpzM2NyZXQtYmFzaWM"] {
            let line = text.lines().find(|line| line.contains(secret));
            assert!(line.is_none(), "{what} tells a secret: {line:?}");
        }
    }
    // And they did arrive.
    let body = &servers.http.bodies()[0];
    assert!(body.headers.contains(&("authorization".to_owned(), "Basic dTpzM2NyZXQtYmFzaWM=".to_owned())));
    assert!(body.headers.contains(&("x-token".to_owned(), "s3cret-header".to_owned())));
}
