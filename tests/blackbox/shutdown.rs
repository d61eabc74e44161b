//! The end: SIGTERM, `--once`, and what is said about it.

use std::time::Duration;

use suiro_test_servers::{Elasticsearch, Fault, Sink};

use crate::PATIENCE;
use crate::agent::Site;
use crate::records::{TAIL_JSON, TAIL_TEXT, assert_numbered, elasticsearch, numbered};

#[test]
fn what_is_on_its_way_is_delivered_before_the_end() {
    let server = Elasticsearch::start().unwrap();
    // It would wait for more for an hour.
    let site = Site::new(&format!("{TAIL_JSON}{}", elasticsearch(&server, "batch = { timeout = '1h' }")));
    site.write("app.log", numbered(0, 1000));
    let running = site.start();
    running.wait_for_ledger("all to be read", |ledger| ledger.input("in", "received") == 1000);
    assert!(server.len() < 1000);
    let outcome = running.stop();
    assert_eq!(outcome.all_well().output("es", "delivered"), 1000);
    assert_numbered(&server, 1000);
    assert!(outcome.stderr.contains("stopped"), "{}", outcome.stderr);
}

#[test]
fn an_output_in_trouble_is_waited_for_so_long_and_no_longer() {
    let server = Elasticsearch::start().unwrap();
    server.faults().always(Fault::Hang);
    let site = Site::new(&format!(
        "[service]\ndata_dir = 'data'\nshutdown_timeout = '500ms'\napi = {{ listen = '127.0.0.1:0' }}\n{TAIL_JSON}{}",
        elasticsearch(&server, "batch = { timeout = '10ms' }")
    ));
    site.write("app.log", numbered(0, 100));
    let running = site.start();
    running.wait_for("a request", |_| server.requests() > 0);
    let began = std::time::Instant::now();
    let outcome = running.stop();
    assert!(
        began.elapsed() >= Duration::from_millis(400) && began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    let ledger = outcome.ledger(0);
    assert_eq!((ledger.input("in", "in_flight"), ledger.output("es", "in_flight")), (100, 100));
    assert!(outcome.stderr.contains("100 records were still on their way"), "{}", outcome.stderr);
    server.faults().heal();
    site.once().all_well();
    assert_numbered(&server, 100);
}

#[test]
fn a_second_interrupt_ends_it_at_once() {
    let server = Elasticsearch::start().unwrap();
    server.faults().always(Fault::Hang);
    let site = Site::new(&format!(
        "[service]\ndata_dir = 'data'\nshutdown_timeout = '1h'\napi = {{ listen = '127.0.0.1:0' }}\n{TAIL_JSON}{}",
        elasticsearch(&server, "batch = { timeout = '10ms' }")
    ));
    site.write("app.log", numbered(0, 100));
    let running = site.start();
    running.wait_for("a request", |_| server.requests() > 0);
    running.interrupt();
    running.wait_for("it to say so", |running| running.stderr().contains("gets 3600s"));
    running.interrupt();
    let outcome = running.end();
    let ledger = outcome.ledger(0);
    assert_eq!((ledger.input("in", "in_flight"), ledger.output("es", "in_flight")), (100, 100));
    server.faults().heal();
    site.once().all_well();
    assert_numbered(&server, 100);
}

#[test]
fn a_run_to_the_end_shows_the_ledger_on_one_screen() {
    let server = Elasticsearch::start().unwrap();
    let site = Site::new(&format!(
        "{TAIL_JSON}[[filter]]\nname = 'odd'\ntype = 'drop'\nwhen = 'n in [1, 3, 5]'\n\
         [[filter]]\nname = 'vain'\ntype = 'modify'\nwhen = 'n < 10'\nset = {{ 'list[5]' = 1 }}\n{}",
        elasticsearch(&server, "")
    ));
    site.write("app.log", numbered(0, 1200));
    let outcome = site.once();
    outcome.all_well();
    for wanted in [
        "received 1,200 = settled 1,200",
        "odd",
        "dropped 3 (filtered 3)",
        "(failed 7)",
        "delivered 1,197",
        "The ledger balances.",
    ] {
        assert!(outcome.stderr.contains(wanted), "no {wanted} in\n{}", outcome.stderr);
    }
    assert!(outcome.stderr.lines().count() < 25, "{}", outcome.stderr);
    assert!(outcome.stdout.is_empty(), "{}", outcome.stdout);
}

#[test]
fn a_last_line_without_an_end_counts_when_all_is_read() {
    let sink = Sink::start().unwrap();
    let site = Site::new(&format!("{TAIL_TEXT}[[output]]\nname = 'http'\ntype = 'http'\nurl = '{}'\n", sink.url()));
    site.write("app.log", "one\ntwo");
    assert_eq!(site.once().all_well().output("http", "delivered"), 2);
    assert!(sink.lines()[1].contains("two"));
}

#[test]
fn what_comes_after_a_restart_is_read_and_nothing_else() {
    let server = Elasticsearch::start().unwrap();
    let site = Site::new(&format!("{TAIL_JSON}{}", elasticsearch(&server, "batch = { timeout = '20ms' }")));
    for round in 0..4_u64 {
        site.append("app.log", numbered(round * 25, 25));
        let running = site.start();
        assert!(server.wait_for((round as usize + 1) * 25, PATIENCE), "{}", running.stderr());
        running.wait_for_ledger("it to be settled", |ledger| ledger.is_settled());
        assert_eq!(running.stop().all_well().input("in", "received"), 25);
    }
    assert_numbered(&server, 100);
    assert_eq!(server.conflicts(), 0);
}

#[test]
fn an_idle_agent_idles() {
    let site = Site::new(&format!("{TAIL_JSON}[[output]]\ntype = 'null'\n"));
    site.write("app.log", numbered(0, 10));
    let running = site.start();
    running.wait_for_ledger("it to be read", |ledger| ledger.input("in", "settled") == 10);
    let (before, began) = (running.processor_time(), std::time::Instant::now());
    running.wait_for("a second to pass", |_| began.elapsed().as_millis() > 1000);
    let spent = running.processor_time() - before;
    assert!(spent.as_millis() < 200, "{spent:?} in {:?}", began.elapsed());
    running.stop().all_well();
}
