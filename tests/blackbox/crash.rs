//! SIGKILL, and what is there afterwards. `cargo xtask torture` does the same for minutes.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use suiro_test_servers::{Elasticsearch, Fault};

use crate::PATIENCE;
use crate::agent::Site;
use crate::records::{TAIL_JSON, assert_numbered, elasticsearch, numbered};

#[test]
fn what_was_sent_and_not_answered_is_sent_again_under_the_same_id() {
    let server = Elasticsearch::start().unwrap();
    let site = Site::new(&format!("{TAIL_JSON}{}", elasticsearch(&server, "batch = { max_records = 100 }")));
    site.write("app.log", numbered(0, 1000));
    server.faults().always(Fault::StoreAndHang);
    let running = site.start();
    assert!(server.wait_for(100, PATIENCE));
    running.kill();
    server.faults().heal();
    let outcome = site.once();
    assert_eq!(outcome.all_well().input("in", "received"), 1000);
    assert_numbered(&server, 1000);
    // What the server had stored, and perhaps what it was still storing when the agent died.
    assert!((100..=1000).contains(&server.conflicts()), "{}", server.conflicts());
}

#[test]
fn settled_records_are_not_read_again() {
    let server = Elasticsearch::start().unwrap();
    let site = Site::new(&format!("{TAIL_JSON}{}", elasticsearch(&server, "batch = { timeout = '20ms' }")));
    site.write("app.log", numbered(0, 1000));
    let running = site.start();
    running.wait_for_ledger("all to be settled", |ledger| ledger.input("in", "settled") == 1000);
    // The position follows at leisure; a stop is not waited for.
    running.wait_for("the checkpoint", |_| {
        let journal = fs::read_to_string(site.path("data/checkpoints/in/0.journal")).unwrap_or_default();
        let size = fs::metadata(site.path("app.log")).unwrap().len();
        journal.contains(&format!("\"mark\":{size}"))
    });
    running.kill();
    site.append("app.log", numbered(1000, 10));
    let outcome = site.once();
    assert_eq!(outcome.all_well().input("in", "received"), 10);
    assert_numbered(&server, 1010);
    assert_eq!(server.conflicts(), 0);
}

#[test]
fn killed_again_and_again_while_all_else_goes_wrong() {
    let server = Elasticsearch::start().unwrap();
    server.faults().random(
        11,
        400,
        vec![
            (2, Fault::Busy(None)),
            (1, Fault::Unavailable(None)),
            (2, Fault::RefuseSome(2)),
            (1, Fault::ResetBeforeBody),
            (1, Fault::ResetAfterStore),
            (1, Fault::ResetMidAnswer),
            (1, Fault::StoreAndHang),
        ],
    );
    let site = Site::new(&format!(
        "{TAIL_JSON}[[filter]]\ntype = 'retag'\ntag = 'x'\n{}",
        elasticsearch(&server, "batch = { max_records = 50, timeout = '10ms' }\ntimeout = '300ms'")
    ));
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
        for round in 1..=12_usize {
            let running = site.start();
            let before = server.len();
            // Something must get through in each life: then the next is sure to find something to do again.
            running.wait_for("a record to arrive", |_| server.len() > before + round);
            running.kill();
        }
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    });
    server.faults().heal();
    site.once().all_well();
    assert_numbered(&server, written);
    assert_eq!(site.once().all_well().input("in", "received"), 0);
}

#[test]
fn what_is_in_a_disk_queue_outlives_its_file() {
    let server = Elasticsearch::start().unwrap();
    server.faults().always(Fault::Unavailable(None));
    let site = Site::new(&format!("{TAIL_JSON}{}", elasticsearch(&server, "queue = { type = 'disk' }")));
    site.write("app.log", numbered(0, 1000));
    let running = site.start();
    running.wait_for_ledger("all to be on disk", |ledger| ledger.input("in", "settled") == 1000);
    running.kill();
    fs::remove_file(site.path("app.log")).unwrap();
    server.faults().heal();
    let outcome = site.once();
    let ledger = outcome.all_well();
    assert_eq!(ledger.output("es", "delivered"), 1000);
    assert_eq!(ledger.output("es", "recovered") + ledger.input("in", "received"), 1000);
    assert_numbered(&server, 1000);
}

#[test]
fn a_kill_while_a_group_of_lines_is_held_loses_none_of_it() {
    let server = Elasticsearch::start().unwrap();
    let site = Site::new(&format!(
        "[[input]]\nname = 'in'\ntype = 'tail'\npath = 'app.log'\nmultiline = {{ start = '^\\[', timeout = '1h' }}\n{}",
        elasticsearch(&server, "batch = { timeout = '10ms' }")
    ));
    let groups: Vec<String> = (0..20).map(|n| format!("[{n}] begins\n  goes on\n  ends {n}")).collect();
    site.write("app.log", groups.join("\n") + "\n");
    let running = site.start();
    // The last group waits for a line that may still belong to it.
    assert!(server.wait_for(19, PATIENCE));
    running.wait_for_ledger("19 groups to be settled", |ledger| ledger.output("es", "delivered") == 19);
    running.kill();
    let outcome = site.once();
    outcome.all_well();
    let mut got: Vec<String> = server
        .documents()
        .iter()
        .map(|document| {
            serde_json::from_str::<serde_json::Value>(&document.source).unwrap()["log"].as_str().unwrap().to_owned()
        })
        .collect();
    let mut want = groups;
    got.sort();
    want.sort();
    assert_eq!(got, want);
}
