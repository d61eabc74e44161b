//! What guests do when nothing goes wrong.

use serde_json::json;
use suiro_test_servers::Elasticsearch;

use super::guests::{each, guest, traps_at};
use super::site;
use crate::records::{by_number, numbered};

#[test]
fn a_guest_reads_drops_sets_and_counts() {
    let server = Elasticsearch::start().unwrap();
    let odd = each(
        "(func $record (param $rec i32)
           (if (i64.eq (i64.rem_u (call $n (local.get $rec)) (i64.const 2)) (i64.const 1))
             (then (drop (call $drop (local.get $rec))) (return)))
           (drop (call $set_str (local.get $rec) (call $field (i32.const 8) (i32.const 4)) (i32.const 32) (i32.const 5))))",
    );
    let site = site(&odd, "", &server);
    site.write("app.log", numbered(0, 3000));
    let outcome = site.once();
    let ledger = outcome.all_well();
    assert_eq!((ledger.filter("guest", "in"), ledger.filter("guest", "dropped")), (3000, 1500));
    assert_eq!(ledger.output("es", "delivered"), 1500);
    let documents = by_number(&server);
    assert_eq!(documents.len(), 1500);
    assert_eq!(documents[&42], json!({ "n": 42, "text": "record 42", "seen": "other" }));
}

#[test]
fn only_the_records_that_are_selected_are_the_guests() {
    let server = Elasticsearch::start().unwrap();
    let all = each("(func $record (param $rec i32) (drop (call $drop (local.get $rec))))");
    let site = site(&all, "when = 'n < 10'", &server);
    site.write("app.log", numbered(0, 100));
    let outcome = site.once();
    let ledger = outcome.all_well();
    assert_eq!((ledger.filter("guest", "in"), ledger.filter("guest", "dropped")), (100, 10));
    assert_eq!(by_number(&server).into_keys().next(), Some(10));
}

#[test]
fn exactly_the_record_that_traps_is_set_aside() {
    let server = Elasticsearch::start().unwrap();
    let site = site(&traps_at(999), "", &server);
    site.write("app.log", numbered(0, 2000));
    let outcome = site.once();
    let ledger = outcome.ledger(1);
    ledger.assert_settled();
    assert_eq!((ledger.filter("guest", "dead_lettered"), ledger.filter("guest", "out")), (1, 1999));
    let letters = site.dead_letters("guest");
    assert_eq!((letters.len(), &letters[0]["reason"]), (1, &json!("wasm_trap")));
    assert_eq!(letters[0]["record"], json!({ "n": 999, "text": "record 999" }));
    assert!(letters[0]["detail"].as_str().unwrap().contains("unreachable"), "{}", letters[0]);
    let documents = by_number(&server);
    assert_eq!(documents.len(), 1999);
    assert!(documents.values().all(|document| document["seen"] == 1));
    assert!(outcome.stderr.contains("failed on 1 of"), "{}", outcome.stderr);
}

#[test]
fn records_are_made_rerouted_and_given_up_on() {
    let server = Elasticsearch::start().unwrap();
    let parts = "(func $record (param $rec i32) (local $n i64)
           (local.set $n (call $n (local.get $rec)))
           (if (i64.eq (local.get $n) (i64.const 1)) (then
             (drop (call $emit (local.get $rec) (i32.const 16) (i32.const 8)))))
           (if (i64.eq (local.get $n) (i64.const 2)) (then
             (drop (call $set_tag (local.get $rec) (i32.const 32) (i32.const 5)))))
           (if (i64.eq (local.get $n) (i64.const 3)) (then
             (drop (call $fail (local.get $rec) (i32.const 48) (i32.const 3))))))";
    let site = site(&each(parts), "", &server);
    let config = std::fs::read_to_string(site.path("suiro.toml")).unwrap();
    site.configure(&format!(
        "{config}match = 'app'\n[[output]]\nname = 'rest'\ntype = 'file'\nmatch = 'other'\npath = 'rest.jsonl'\n"
    ));
    site.write("app.log", numbered(0, 5));
    let outcome = site.once();
    let ledger = outcome.ledger(1);
    ledger.assert_settled();
    assert_eq!((ledger.filter("guest", "created"), ledger.filter("guest", "out")), (1, 5));
    assert_eq!(site.dead_letters("guest")[0]["detail"], "why");
    let rest = std::fs::read_to_string(site.path("rest.jsonl")).unwrap();
    assert!(rest.contains("\"n\":2") && rest.lines().count() == 1, "{rest}");
    assert_eq!(server.documents().len(), 4);
    assert!(server.documents().iter().any(|document| document.source.contains("\"n\":-1")));
}

#[test]
fn a_guest_reads_its_configuration() {
    let server = Elasticsearch::start().unwrap();
    let parts = "(global $len (mut i32) (i32.const 0))
         (func (export \"init\") (result i32)
           (global.set $len (call $config (i32.const 40) (i32.const 3) (i32.const 512) (i32.const 64)))
           (drop (call $log (i32.const 2) (i32.const 512) (global.get $len)))
           (i32.lt_s (global.get $len) (i32.const 0)))
         (func $record (param $rec i32)
           (drop (call $set_str (local.get $rec) (call $field (i32.const 40) (i32.const 3)) (i32.const 512) (global.get $len))))";
    let with = site(&each(parts), "config = { who = 'a \"friend\"', more = [1] }", &server);
    with.write("app.log", numbered(0, 10));
    let outcome = with.once();
    outcome.all_well();
    assert!(by_number(&server).values().all(|document| document["who"] == "a \"friend\""));
    assert!(outcome.stderr.contains("a \"friend\""), "{}", outcome.stderr);
    let without = site(&each(parts), "", &server);
    without.write("app.log", numbered(0, 10));
    let outcome = without.once();
    assert_eq!(outcome.code(), 1);
    assert!(
        outcome.stderr.contains("its `init` answered 1") && outcome.stderr.contains("guest.wasm"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn what_was_compiled_is_kept() {
    let server = Elasticsearch::start().unwrap();
    let site = site(&guest("(func (export \"process\") (param i32))"), "", &server);
    site.write("app.log", numbered(0, 1));
    site.once().all_well();
    let kept = || {
        std::fs::read_dir(site.path("data/wasm-cache")).unwrap().map(|file| file.unwrap().path()).collect::<Vec<_>>()
    };
    assert_eq!(kept().len(), 1);
    site.append("app.log", numbered(1, 1));
    site.once().all_well();
    assert_eq!(kept().len(), 1);
    // Damaged, it is compiled again.
    std::fs::write(&kept()[0], "nonsense").unwrap();
    site.append("app.log", numbered(2, 1));
    site.once().all_well();
    assert!(std::fs::metadata(&kept()[0]).unwrap().len() > 1000);
    assert_eq!(by_number(&server).len(), 3);
}
