//! Back-pressure: an output that takes nothing.

use std::time::Duration;

use suiro_test_servers::{Elasticsearch, Fault, Sink};

use crate::PATIENCE;
use crate::agent::Site;
use crate::records::{TAIL_JSON, assert_numbered, elasticsearch, numbered};

/// A configuration with little memory, and a second output beside `es`.
fn site(es: &Elasticsearch, sink: &Sink, queue: &str) -> Site {
    let es = elasticsearch(
        es,
        &format!("queue = {{ {queue} }}\nconcurrency = 1\nbatch = {{ max_records = 500, timeout = '20ms' }}"),
    );
    Site::new(&format!(
        "[service]\ndata_dir = 'data'\nmemory_limit = '16MiB'\nshutdown_timeout = '100ms'\napi = {{ listen = '127.0.0.1:0' }}\n\
         {TAIL_JSON}{es}\n\
         [[output]]\nname = 'http'\ntype = 'http'\nurl = '{}'\nbatch = {{ timeout = '20ms' }}\n",
        sink.url()
    ))
}

const MANY: u64 = 100_000;

#[test]
fn a_dead_output_that_blocks_makes_the_input_wait_in_bounded_memory() {
    waits("max_size = '1MiB', when_full = 'block'");
}

#[test]
fn a_full_queue_on_disk_makes_the_input_wait_too() {
    waits("type = 'disk', max_size = '1MiB', when_full = 'block'");
}

fn waits(queue: &str) {
    let (es, sink) = (Elasticsearch::start().unwrap(), Sink::start().unwrap());
    es.faults().always(Fault::Unavailable(None));
    let site = site(&es, &sink, queue);
    let running = site.start();
    let idle = running.memory();
    site.write("app.log", numbered(0, MANY));
    // It stands still when the queue is full, and the other output has what was read until then.
    let mut last = (0, 0);
    let mut still = 0;
    running.wait_for_ledger("the input to stand still", |ledger| {
        let now = (ledger.input("in", "received"), ledger.output("http", "delivered"));
        still = if now == last && now.0 > 0 && now.1 == now.0 { still + 1 } else { 0 };
        last = now;
        still > 20
    });
    assert!(last.0 < MANY, "{} of {MANY} were read, and nobody took them", last.0);
    let memory = running.memory();
    // Twice `memory_limit`: allocators keep some of what they get back.
    assert!(memory < idle + (32 << 20), "{} MiB, {} MiB before", memory >> 20, idle >> 20);
    // Waiting costs nothing: far less than a tenth of a processor.
    running.assert_quiet(Duration::from_millis(400));
    es.faults().heal();
    assert!(es.wait_for(MANY as usize, PATIENCE), "{}", running.stderr());
    running.wait_for_ledger("everything to be settled", |ledger| ledger.is_settled());
    running.stop().all_well();
    assert_numbered(&es, MANY);
    assert_eq!(sink.lines().len() as u64, MANY);
}

#[test]
fn a_dead_output_that_drops_does_not_touch_the_other() {
    for policy in ["drop_newest", "drop_oldest"] {
        let (es, sink) = (Elasticsearch::start().unwrap(), Sink::start().unwrap());
        es.faults().always(Fault::Unavailable(None));
        let site = site(&es, &sink, &format!("max_size = '4MiB', when_full = '{policy}'"));
        site.write("app.log", numbered(0, MANY));
        let running = site.start();
        assert!(sink.wait_for_lines(MANY as usize, PATIENCE), "{}", running.stderr());
        es.faults().heal();
        running.wait_for_ledger("everything to be settled", |ledger| {
            ledger.is_settled() && ledger.input("in", "received") == MANY
        });
        let outcome = running.stop();
        let ledger = outcome.all_well();
        let (delivered, dropped) = (ledger.output("es", "delivered"), ledger.reason("es", "dropped", "queue_full"));
        assert!(delivered > 0 && dropped > 0 && delivered + dropped == MANY, "{delivered} + {dropped}");
        assert_eq!((es.len() as u64, ledger.output("http", "delivered")), (delivered, MANY));
        let documents = es.documents();
        let has = |n: u64| documents.iter().any(|document| document.source.contains(&format!("\"n\":{n},")));
        match policy {
            "drop_newest" => assert!(has(0) && !has(MANY - 1)),
            _ => assert!(has(MANY - 1)),
        }
    }
}

#[test]
fn nobody_listens() {
    // A port that was free a moment ago.
    let url = Sink::start().unwrap().url();
    let es = Elasticsearch::start().unwrap();
    let site = Site::new(&format!(
        "[service]\ndata_dir = 'data'\nshutdown_timeout = '100ms'\napi = {{ listen = '127.0.0.1:0' }}\n{TAIL_JSON}{}\n\
         [[output]]\nname = 'http'\ntype = 'http'\nurl = '{url}'\nretry = {{ initial = '10ms', max = '50ms' }}\n",
        elasticsearch(&es, "batch = { timeout = '20ms' }")
    ));
    site.write("app.log", numbered(0, 100));
    let running = site.start();
    assert!(es.wait_for(100, PATIENCE));
    running.wait_for("health to be bad", |running| running.get("/api/v1/health").0 == 500);
    let (_, body) = running.get("/api/v1/health");
    assert!(body.contains("http"), "{body}");
    running.wait_for_ledger("es to be done", |ledger| ledger.output("es", "in_flight") == 0);
    let outcome = running.stop();
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
    let ledger = outcome.ledger.as_ref().unwrap();
    ledger.assert_balanced();
    assert_eq!((ledger.output("http", "in_flight"), ledger.input("in", "in_flight")), (100, 100));
    // They stayed with their file.
    let sink = Sink::start().unwrap();
    let text = std::fs::read_to_string(site.path("suiro.toml")).unwrap();
    site.configure(&text.replace(&url, &sink.url()));
    site.once().all_well();
    assert_eq!(sink.lines().len(), 100);
    assert_numbered(&es, 100);
}
