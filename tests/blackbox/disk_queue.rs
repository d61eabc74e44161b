//! A queue on disk: what it took is safe from everything but the disk itself.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use suiro_test_servers::{Elasticsearch, Fault};

use crate::agent::Site;
use crate::records::{TAIL_JSON, assert_numbered, elasticsearch, numbered};

/// A tail and an output with a queue on disk; `more` are settings of the queue.
fn site(server: &Elasticsearch, more: &str) -> Site {
    Site::new(&format!(
        "[service]\ndata_dir = 'data'\nshutdown_timeout = '300ms'\napi = {{ listen = '127.0.0.1:0' }}\n{TAIL_JSON}{}",
        elasticsearch(server, &format!("batch = {{ timeout = '10ms' }}\nqueue = {{ type = 'disk'{more} }}"))
    ))
}

fn segments(site: &Site) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(site.path("data/queue/es"))
        .expect("the queue's folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .collect();
    paths.sort();
    paths
}

/// Reads `app.log` into the queue while the server takes nothing, and stops.
fn fill(site: &Site, server: &Elasticsearch, records: u64) {
    server.faults().always(Fault::Unavailable(None));
    site.write("app.log", numbered(0, records));
    let running = site.start();
    running.wait_for_ledger("all to be on disk", |ledger| ledger.input("in", "settled") == records);
    let outcome = running.stop();
    assert_eq!(outcome.ledger(0).output("es", "in_flight"), records);
    server.faults().heal();
}

#[test]
fn a_stop_leaves_on_disk_what_nobody_takes() {
    for fsync in ["interval", "batch", "never"] {
        let server = Elasticsearch::start().unwrap();
        let site = site(&server, &format!(", fsync = '{fsync}'"));
        fill(&site, &server, 500);
        let outcome = site.once();
        let ledger = outcome.all_well();
        assert_eq!((ledger.output("es", "recovered"), ledger.input("in", "received")), (500, 0), "{fsync}");
        assert_numbered(&server, 500);
        // And the third run knows that nothing is left.
        assert_eq!(site.once().all_well().output("es", "delivered"), 0, "{fsync}");
    }
}

#[test]
fn damage_on_the_disk_is_counted_and_survived() {
    let server = Elasticsearch::start().unwrap();
    let site = site(&server, "");
    fill(&site, &server, 500);
    let path = segments(&site).remove(0);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.len() - 5;
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let outcome = site.once();
    let ledger = outcome.ledger(1);
    let lost = ledger.reason("es", "dropped", "corrupt");
    assert!(lost > 0, "{}", outcome.stderr);
    assert_eq!((ledger.output("es", "recovered"), ledger.output("es", "delivered")), (500, 500 - lost));
    assert!(outcome.stderr.contains("quarantine"), "{}", outcome.stderr);
    assert_eq!(server.len() as u64, 500 - lost);
    // Once: the next start is as good as new.
    site.append("app.log", numbered(500, 10));
    assert_eq!(site.once().all_well().output("es", "delivered"), 10);
}

#[test]
fn killed_again_and_again_with_a_queue_on_disk() {
    let server = Elasticsearch::start().unwrap();
    server.faults().random(
        7,
        300,
        vec![(2, Fault::Busy(None)), (1, Fault::ResetAfterStore), (1, Fault::ResetBeforeBody)],
    );
    let site = site(&server, ", max_size = '64KiB'");
    let stop = AtomicBool::new(false);
    let written = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                site.append("app.log", numbered(n, 20));
                n += 20;
                thread::sleep(Duration::from_millis(3));
            }
            n
        });
        for round in 1..=10_usize {
            let running = site.start();
            let before = server.len();
            running.wait_for("a record to arrive", |_| server.len() > before + round);
            running.kill();
        }
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    });
    server.faults().heal();
    site.once().all_well();
    assert_numbered(&server, written);
    assert!(segments(&site).len() <= 1, "what is settled is removed: {:?}", segments(&site));
}
