//! Guests that do everything wrong. The agent stays up, exactly the records concerned go by `on_error`, the message says
//! what the guest did, and the ledger balances.

use std::time::Duration;

use serde_json::json;
use suiro_test_servers::Elasticsearch;

use super::guests::{each, guest, traps_at};
use super::{compiled, site};
use crate::PATIENCE;
use crate::agent::Site;
use crate::ledger::Ledger;
use crate::records::{assert_numbered, by_number, numbered};

/// Of 100 records, the one whose `n` is 42 makes the guest do `what`; it is set aside, for that reason.
fn one_record(what: &str, reason: &str, detail: &str) {
    let server = Elasticsearch::start().unwrap();
    let parts = format!(
        "(func $forever (loop $again (br $again)))
         (func $deeper (param i64) (result i64) (i64.add (i64.const 1) (call $deeper (local.get 0))))
         (func $record (param $rec i32)
           (if (i64.eq (call $n (local.get $rec)) (i64.const 42)) (then {what}))
           (drop (call $set_i64 (local.get $rec) (call $field (i32.const 8) (i32.const 4)) (i64.const 1))))"
    );
    let site = site(&each(&parts), "timeout = '50ms'\nmemory = '4MiB'", &server);
    site.write("app.log", numbered(0, 100));
    let outcome = site.once();
    let ledger = outcome.ledger(1);
    ledger.assert_settled();
    let letters = site.dead_letters("guest");
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!((&letters[0]["record"]["n"], &letters[0]["reason"]), (&json!(42), &json!(reason)));
    let said = letters[0]["detail"].as_str().unwrap();
    assert!(said.contains(detail), "{said}");
    assert!(outcome.stderr.contains(detail), "{}", outcome.stderr);
    let documents = by_number(&server);
    assert_eq!((documents.len(), documents.contains_key(&42)), (99, false));
    assert!(documents.values().all(|document| document["seen"] == 1));
    assert!(outcome.elapsed < Duration::from_secs(10), "{:?}", outcome.elapsed);
}

#[test]
fn an_infinite_loop() {
    one_record("(call $forever)", "wasm_timeout", "longer than");
}

#[test]
fn recursion_without_end() {
    one_record("(drop (call $deeper (i64.const 0)))", "wasm_trap", "recursed too deep");
}

#[test]
fn memory_without_end() {
    let grow = "(loop $more (drop (memory.grow (i32.const 16))) (br $more))";
    one_record(grow, "wasm_memory", "`memory` allows 4 MiB");
}

#[test]
fn pointers_into_nowhere() {
    one_record("(drop (i32.load (i32.const -4)))", "wasm_trap", "out of bounds memory access");
}

#[test]
fn an_abort() {
    one_record("unreachable", "wasm_trap", "aborted");
}

#[test]
fn lies_to_the_functions_of_the_agent_are_answered_and_harm_nothing() {
    let server = Elasticsearch::start().unwrap();
    // Whatever they answer, the record goes on as it is.
    let parts = "(func $record (param $rec i32) (local $f i32)
       (local.set $f (call $field (i32.const 0) (i32.const 1)))
       (drop (call $get (local.get $rec) (local.get $f) (i32.const -1) (i32.const -1)))
       (drop (call $get (local.get $rec) (local.get $f) (i32.const 65535) (i32.const 100)))
       (drop (call $get (local.get $rec) (i32.const 77) (i32.const 0) (i32.const 0)))
       (drop (call $get (i32.const -5) (local.get $f) (i32.const 256) (i32.const 9)))
       (drop (call $set_str (local.get $rec) (local.get $f) (i32.const 0) (i32.const -1)))
       (drop (call $set_str (local.get $rec) (local.get $f) (i32.const 65530) (i32.const 64)))
       (i32.store (i32.const 512) (i32.const 0xfffefdfc))
       (drop (call $set_str (local.get $rec) (local.get $f) (i32.const 512) (i32.const 4)))
       (drop (call $set_tag (local.get $rec) (i32.const 0) (i32.const 0)))
       (drop (call $emit (local.get $rec) (i32.const 0) (i32.const 5)))
       (drop (call $fail (i32.const 1000000) (i32.const 0) (i32.const 1)))
       (drop (call $drop (i32.const -1)))
       (drop (call $log (i32.const 99) (i32.const 0) (i32.const 1)))
       (drop (call $counter (i32.const 0) (i32.const -1) (i64.const -1))))";
    let site = site(&each(parts), "", &server);
    site.write("app.log", numbered(0, 500));
    site.once().all_well();
    assert_numbered(&server, 500);
}

#[test]
fn records_by_the_million_have_an_end() {
    let server = Elasticsearch::start().unwrap();
    let parts = "(func $record (param $rec i32) (local $i i32)
       (if (i64.eq (call $n (local.get $rec)) (i64.const 3)) (then
         (loop $more
           (local.set $i (i32.add (local.get $i) (i32.const 1)))
           (drop (call $emit (local.get $rec) (i32.const 16) (i32.const 8)))
           (br_if $more (i32.lt_u (local.get $i) (i32.const 5000000)))))))";
    let site = site(&each(parts), "timeout = '60s'\n[[filter]]\ntype = 'drop'\nwhen = 'n == -1'", &server);
    site.write("app.log", numbered(0, 10));
    let outcome = site.once();
    let ledger = outcome.all_well();
    assert_eq!((ledger.filter("guest", "created"), ledger.filter("drop", "dropped")), (100_000, 100_000));
    assert_numbered(&server, 10);
}

#[test]
fn logging_in_a_loop_is_cut() {
    let server = Elasticsearch::start().unwrap();
    let parts = "(func $record (param $rec i32) (local $i i32)
       (loop $more
         (local.set $i (i32.add (local.get $i) (i32.const 1)))
         (drop (call $log (i32.const 1) (i32.const 32) (i32.const 5)))
         (br_if $more (i32.lt_u (local.get $i) (i32.const 1000)))))";
    let site = site(&each(parts), "timeout = '5s'", &server);
    site.write("app.log", numbered(0, 100));
    let outcome = site.once();
    outcome.all_well();
    assert!(outcome.stderr.lines().count() < 1500, "{} lines", outcome.stderr.lines().count());
    assert_numbered(&server, 100);
}

#[test]
fn on_error_decides() {
    for (on_error, code) in [("drop", 0), ("pass", 0), ("tag:app.failed", 0)] {
        let server = Elasticsearch::start().unwrap();
        let site = site(&traps_at(7), &format!("on_error = '{on_error}'"), &server);
        site.write("app.log", numbered(0, 50));
        let outcome = site.once();
        let ledger = outcome.ledger(code);
        ledger.assert_settled();
        let counts = ["out", "dropped", "failed"].map(|count| ledger.filter("guest", count));
        let documents = by_number(&server);
        match on_error {
            "drop" => assert_eq!((counts, documents.len()), ([49, 1, 0], 49)),
            _ => {
                assert_eq!((counts, documents.len()), ([50, 0, 1], 50), "{on_error}");
                assert_eq!(documents[&7].get("seen"), None);
            }
        }
        assert_eq!(documents[&8]["seen"], 1);
    }
}

#[test]
fn a_guest_that_always_fails_is_left_alone_and_the_health_says_so() {
    let server = Elasticsearch::start().unwrap();
    let site = site(&each("(func $record (param i32) (loop $again (br $again)))"), "timeout = '5ms'", &server);
    let running = site.start();
    let settled = |ledger: &Ledger, count: u64| ledger.is_settled() && ledger.input("in", "received") == count;
    for round in 0..20 {
        site.append("app.log", numbered(round * 10, 10));
        running.wait_for_ledger("the records to be dealt with", |ledger| settled(ledger, (round + 1) * 10));
    }
    let ledger = running.ledger();
    ledger.assert_settled();
    assert_eq!((ledger.filter("guest", "dead_lettered"), server.documents().len()), (200, 0));
    let reasons = site.dead_letters("guest");
    assert!(reasons.iter().any(|letter| letter["reason"] == "wasm_quarantined"));
    let (status, health) = running.get("/api/v1/health");
    assert!(status == 500 && health.contains("guest") && health.contains("longer than"), "{status} {health}");
    let (_, metrics) = running.get("/metrics");
    assert!(metrics.contains("suiro_wasm_quarantined{filter=\"guest\"} 1"), "{metrics}");
    assert!(metrics.contains("suiro_filter_dead_lettered_records_total{filter=\"guest\",reason=\"wasm_timeout\"}"));
    running.stop().ledger(0).assert_settled();
}

#[test]
fn modules_that_are_none_are_refused_with_what_to_do() {
    let site = Site::new("");
    site.write("empty.wasm", "");
    site.write("text.wasm", "(module)");
    site.write("other.wasm", "#!/bin/sh\n");
    site.write("large.wasm", vec![0; 100 << 20]);
    site.write("aot.wasm", b"\0aot\x03\0\0\0");
    site.write("filter.aot", "x");
    site.write("component.wasm", b"\0asm\x0d\0\x01\0");
    let sound = compiled(&traps_at(1));
    site.write("sound.wasm", &sound);
    site.write("torn.wasm", &sound[..sound.len() / 2]);
    site.write(
        "invalid.wasm",
        compiled(&guest("(func (export \"process\") (param i32)) (func (result i32) (i64.const 0))")),
    );
    for (name, module) in [
        ("nothing", "(module)".to_owned()),
        ("import", "(module (import \"suiro_v1\" \"gett\" (func)) (memory (export \"memory\") 1) (func (export \"suiro_version\") (result i32) (i32.const 1)) (func (export \"process\") (param i32)))".to_owned()),
        ("type", "(module (import \"suiro_v1\" \"get\" (func)) (memory (export \"memory\") 1) (func (export \"suiro_version\") (result i32) (i32.const 1)) (func (export \"process\") (param i32)))".to_owned()),
        ("env", "(module (import \"env\" \"memcpyy\" (func)) (memory (export \"memory\") 1) (func (export \"suiro_version\") (result i32) (i32.const 1)) (func (export \"process\") (param i32)))".to_owned()),
        ("noprocess", "(module (memory (export \"memory\") 1) (func (export \"suiro_version\") (result i32) (i32.const 1)))".to_owned()),
        ("nomemory", "(module (func (export \"suiro_version\") (result i32) (i32.const 1)) (func (export \"process\") (param i32)))".to_owned()),
        ("big", "(module (memory (export \"memory\") 2000) (func (export \"suiro_version\") (result i32) (i32.const 1)) (func (export \"process\") (param i32)))".to_owned()),
    ] {
        site.write(&format!("{name}.wasm"), compiled(&module));
    }
    for (settings, wanted) in [
        ("module = 'absent.wasm'", "can't be read"),
        ("module = '.'", "it is a folder"),
        ("module = 'empty.wasm'", "the file is empty"),
        ("module = 'text.wasm'", "wat2wasm"),
        ("module = 'other.wasm'", "no WebAssembly"),
        ("module = 'large.wasm'", "larger than 32 MiB"),
        ("module = 'aot.wasm'", "give the .wasm it was made of"),
        ("module = 'filter.aot'", "give the .wasm it was made of"),
        ("module = 'component.wasm'", "it is a component"),
        ("module = 'torn.wasm'", "no valid WebAssembly"),
        ("module = 'invalid.wasm'", "no valid WebAssembly"),
        ("module = 'import.wasm'", "did you mean `get`?"),
        ("module = 'nothing.wasm'", "nothing that makes it a filter"),
        ("module = 'type.wasm'", "it is (i32, i32, i32, i32) -> i32"),
        ("module = 'env.wasm'", "`env.memcpyy`, which the agent does not have"),
        ("module = 'noprocess.wasm'", "does not export the function `process`"),
        ("module = 'nomemory.wasm'", "does not export its memory"),
        ("module = 'big.wasm'", "set memory = \"125MiB\""),
        ("module = 'sound.wasm'\nsha256 = '00'", "64 hexadecimal digits"),
        ("module = 'sound.wasm'\nsha256 = 'PINNED'", "`sha256` says 0000"),
        ("module = 'sound.wasm'\nabi = 'fluentbit'", "function_name"),
        ("module = 'sound.wasm'\non_error = 'dropp'", "did you mean `drop`?"),
        ("module = 'sound.wasm'\non_error = 'tag:'", "from 1 to 256"),
        ("module = 'sound.wasm'\ntimeout = '0s'", "`timeout` must be from"),
        ("module = 'sound.wasm'\nmemory = '1B'", "`memory` must be from"),
        ("module = 'sound.wasm'\ninstance = 'once'", "`instance` must be"),
        ("module = 'sound.wasm'\nwasm_path = 'x'", "Fluent Bit's name of `module`"),
        ("module = 'sound.wasm'\ntimeuot = '1s'", "did you mean `timeout`?"),
        ("config = { }", "missing setting `module`"),
        ("module = 'sound.wasm'\nconfig = 7", "a table"),
    ] {
        let pinned = "0".repeat(64);
        let settings = settings.replace("PINNED", &pinned);
        site.configure(&format!(
            "[[input]]\ntype = 'stdin'\n[[filter]]\ntype = 'wasm'\n{settings}\n[[output]]\ntype = 'null'\n"
        ));
        let outcome = site.command(&["check", "-c", "suiro.toml"]);
        assert_eq!(outcome.code(), 2, "{settings}: {}", outcome.stderr);
        assert!(
            outcome.stderr.contains(wanted) && !outcome.stderr.contains("panicked"),
            "no {wanted:?} in\n{}",
            outcome.stderr
        );
        assert!(outcome.elapsed < Duration::from_secs(5), "{settings}: {:?}", outcome.elapsed);
    }
    site.configure(
        "[[input]]\ntype = 'stdin'\n[[filter]]\ntype = 'wasm'\nmodule = 'sound.wasm'\n[[output]]\ntype = 'null'\n",
    );
    let outcome = site.command(&["check", "-c", "suiro.toml"]);
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
    assert!(!site.path("data").exists(), "a check changes nothing");
}

#[test]
fn a_guest_that_traps_in_init_keeps_the_agent_from_starting() {
    let server = Elasticsearch::start().unwrap();
    let guest =
        guest("(func (export \"process\") (param i32)) (func $boom (export \"init\") (result i32) unreachable)");
    let site = site(&guest, "", &server);
    site.write("app.log", numbered(0, 10));
    let outcome = site.once();
    assert_eq!(outcome.code(), 1);
    assert!(outcome.stderr.contains("guest.wasm") && outcome.stderr.contains("boom"), "{}", outcome.stderr);
}

#[test]
fn a_module_is_replaced_while_running_and_a_broken_one_is_not_taken() {
    let server = Elasticsearch::start().unwrap();
    let marks = |value: u32| {
        each(&format!(
            "(func $record (param $rec i32)
               (drop (call $set_i64 (local.get $rec) (call $field (i32.const 8) (i32.const 4)) (i64.const {value}))))"
        ))
    };
    let site = site(&marks(1), "", &server);
    let running = site.start();
    let mut n = 0;
    let mut feed_until = |what: &str, done: &mut dyn FnMut() -> bool| {
        running.wait_for(what, |_| {
            site.append("app.log", numbered(n, 1));
            n += 1;
            assert!(server.wait_for(n as usize, PATIENCE));
            done()
        });
    };
    let replace = |bytes: &[u8]| {
        site.write("new", bytes);
        site.rename("new", "guest.wasm");
    };
    let last = || by_number(&server).into_values().next_back().map(|document| document["seen"].clone());
    feed_until("the first", &mut || last() == Some(json!(1)));
    replace(&compiled(&marks(2)));
    feed_until("the second", &mut || last() == Some(json!(2)));
    replace(b"\0asm, but not really");
    feed_until("the complaint", &mut || running.get("/api/v1/health").1.contains("the module before it goes on"));
    assert_eq!(last(), Some(json!(2)));
    let (_, metrics) = running.get("/metrics");
    for (name, value) in [("reloads", 1), ("failed_reloads", 1)] {
        assert!(metrics.contains(&format!("suiro_wasm_{name}_total{{filter=\"guest\"}} {value}")), "{metrics}");
    }
    replace(&compiled(&marks(3)));
    feed_until("the third", &mut || last() == Some(json!(3)));
    assert_eq!(running.get("/api/v1/health").0, 200);
    let outcome = running.stop();
    let ledger = outcome.all_well();
    assert_eq!((ledger.filter("guest", "in"), ledger.output("es", "delivered")), (n, n));
    assert_numbered_but_for_seen(&server, n);
}

fn assert_numbered_but_for_seen(server: &Elasticsearch, count: u64) {
    let documents = by_number(server);
    assert_eq!(documents.len() as u64, count);
    assert!(documents.iter().all(|(n, document)| document["text"] == format!("record {n}")));
}
