//! Guests of Fluent Bit's interface.

use serde_json::json;
use suiro_test_servers::Elasticsearch;

use super::site;
use crate::records::{by_number, numbered};

/// A filter whose body sees `$rec`, `$len` and the digit `$d` at `digit` of the record; what it gives back is the result.
fn filter(parts: &str, digit: u32, body: &str) -> String {
    format!(
        "(module
           {parts}
           (memory (export \"memory\") 1)
           (func (export \"a_filter\")
             (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32) (param $rec i32) (param $len i32)
             (result i32) (local $d i32)
             (local.set $d (i32.load8_u (i32.add (local.get $rec) (i32.const {digit}))))
             {body}))"
    )
}

#[test]
fn json_goes_in_and_comes_back() {
    let server = Elasticsearch::start().unwrap();
    let body = "(if (i32.eq (local.get $d) (i32.const 0x31)) (then (return (i32.const 0))))
       (if (i32.eq (local.get $d) (i32.const 0x32)) (then (return (i32.const 64))))
       (if (i32.eq (local.get $d) (i32.const 0x33)) (then unreachable))
       (if (i32.eq (local.get $d) (i32.const 0x34)) (then (return (i32.const 16))))
       (if (i32.eq (local.get $d) (i32.const 0x35)) (then (return (i32.const 80))))
       (if (i32.eq (local.get $d) (i32.const 0x36)) (then (return (i32.const -1))))
       (if (i32.ne (i32.load8_u (i32.add (local.get $rec) (local.get $len))) (i32.const 0)) (then unreachable))
       (if (i32.ne (i32.load8_u (local.get $tag)) (i32.const 0x61)) (then unreachable))
       (if (i32.ne (local.get $tag_len) (i32.const 3)) (then unreachable))
       (if (i32.lt_u (local.get $sec) (i32.const 1600000000)) (then unreachable))
       (local.get $rec)";
    let data = "(data (i32.const 16) \"{\\22n\\22:400,\\22who\\22:\\22fluent\\22}\\00\") (data (i32.const 64) \"not json\\00\")";
    let site = site(&filter(data, 5, body), "", &server);
    site.write("app.log", numbered(0, 10));
    let outcome = site.once();
    let ledger = outcome.ledger(1);
    ledger.assert_settled();
    let counts = ["out", "dropped", "dead_lettered"].map(|count| ledger.filter("guest", count));
    // 1, and the empty text of 5, are dropped; 2 is no JSON, 3 traps, 6 points nowhere.
    assert_eq!(counts, [5, 2, 3]);
    let documents = by_number(&server);
    assert_eq!(documents[&400], json!({ "n": 400, "who": "fluent" }));
    assert_eq!(documents[&7], json!({ "n": 7, "text": "record 7" }));
    let mut letters: Vec<(u64, String)> = site
        .dead_letters("guest")
        .iter()
        .map(|letter| (letter["record"]["n"].as_u64().unwrap(), format!("{}: {}", letter["reason"], letter["detail"])))
        .collect();
    letters.sort();
    assert!(letters[0].1.contains("wasm_failed") && letters[0].1.contains("not json"), "{letters:?}");
    assert!(letters[1].1.contains("wasm_trap"), "{letters:?}");
    assert!(letters[2].1.contains("without an end"), "{letters:?}");
}

#[test]
fn messagepack_goes_in_and_comes_back_as_long_as_its_value_is() {
    let server = Elasticsearch::start().unwrap();
    // {"n":0,"t":"a\0b"}: the length is the value's, not up to the first NUL.
    let parts = "(data (i32.const 16) \"\\82\\a1n\\00\\a1t\\a3a\\00b\")
       (global $free (mut i32) (i32.const 4096))
       (func (export \"malloc\") (param i32) (result i32)
         (global.get $free) (global.set $free (i32.add (global.get $free) (local.get 0))))
       (func (export \"free\") (param i32))";
    let body = "(if (i32.eq (local.get $d) (i32.const 0)) (then (return (i32.const 16)))) (local.get $rec)";
    let site = site(&filter(parts, 3, body), "event_format = 'msgpack'\nfunction_name = 'a_filter'", &server);
    site.write("app.log", numbered(0, 10));
    let outcome = site.once();
    outcome.all_well();
    let documents = by_number(&server);
    assert_eq!(documents.len(), 10);
    assert_eq!(documents[&0], json!({ "n": 0, "t": "a\u{0}b" }));
    assert_eq!(documents[&9], json!({ "n": 9, "text": "record 9" }));
}

#[test]
fn c_programs_find_a_library() {
    let server = Elasticsearch::start().unwrap();
    let imports = "(import \"env\" \"malloc\" (func $malloc (param i32) (result i32)))
       (import \"env\" \"free\" (func $free (param i32)))
       (import \"env\" \"strlen\" (func $strlen (param i32) (result i32)))
       (import \"env\" \"sprintf\" (func $sprintf (param i32 i32 i32) (result i32)))
       (import \"env\" \"puts\" (func $puts (param i32) (result i32)))
       (data (i32.const 16) \"{\\22n\\22:%d,\\22len\\22:%d,\\22who\\22:\\22%s\\22}\\00\")
       (data (i32.const 64) \"printed by the guest\\00\")";
    let body = "(local $out i32)
       (local.set $out (call $malloc (i32.const 200)))
       (i32.store (i32.const 128) (i32.sub (local.get $d) (i32.const 0x30)))
       (i32.store (i32.const 132) (call $strlen (local.get $rec)))
       (i32.store (i32.const 136) (i32.const 64))
       (drop (call $sprintf (local.get $out) (i32.const 16) (i32.const 128)))
       (if (i32.eq (local.get $d) (i32.const 0x30)) (then (drop (call $puts (i32.const 64)))))
       (call $free (local.get $out))
       (local.get $out)";
    let body = body.replace("(local $out i32)", "");
    let guest = filter(imports, 5, &body).replace("(local $d i32)", "(local $d i32) (local $out i32)");
    let site = site(&guest, "", &server);
    site.write("app.log", numbered(0, 10));
    let outcome = site.once();
    outcome.all_well();
    assert!(outcome.stderr.contains("printed by the guest"), "{}", outcome.stderr);
    let record = "{\"n\":3,\"text\":\"record 3\"}";
    assert_eq!(by_number(&server)[&3], json!({ "n": 3, "len": record.len(), "who": "printed by the guest" }));
}

#[test]
fn runtimes_find_what_they_need_of_wasi() {
    let server = Elasticsearch::start().unwrap();
    let parts = "(import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))
       (import \"wasi_snapshot_preview1\" \"clock_time_get\" (func $clock (param i32 i64 i32) (result i32)))
       (import \"wasi_snapshot_preview1\" \"random_get\" (func $random (param i32 i32) (result i32)))
       (import \"wasi_snapshot_preview1\" \"path_open\"
         (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
       (import \"wasi_snapshot_preview1\" \"fd_prestat_get\" (func $prestat (param i32 i32) (result i32)))
       (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))
       (data (i32.const 16) \"hello from the runtime\\n\")
       (func (export \"_initialize\")
         (i32.store (i32.const 128) (i32.const 16)) (i32.store (i32.const 132) (i32.const 23))
         (if (call $write (i32.const 2) (i32.const 128) (i32.const 1) (i32.const 140)) (then unreachable))
         (if (call $clock (i32.const 0) (i64.const 1) (i32.const 144)) (then unreachable))
         (if (i64.lt_s (i64.load (i32.const 144)) (i64.const 1600000000000000000)) (then unreachable))
         (if (call $random (i32.const 160) (i32.const 8)) (then unreachable))
         (if (i32.ne (call $random (i32.const -1) (i32.const 8)) (i32.const 21)) (then unreachable))
         (if (i32.ne (call $prestat (i32.const 3) (i32.const 160)) (i32.const 8)) (then unreachable))
         (if (i32.eqz (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 4) (i32.const 0) (i64.const 0)
              (i64.const 0) (i32.const 0) (i32.const 160))) (then unreachable)))";
    let body = "(if (i32.eq (local.get $d) (i32.const 0x35)) (then (call $exit (i32.const 3)))) (local.get $rec)";
    let site = site(&filter(parts, 5, body), "", &server);
    site.write("app.log", numbered(0, 10));
    let outcome = site.once();
    outcome.ledger(1).assert_settled();
    assert!(outcome.stderr.contains("hello from the runtime"), "{}", outcome.stderr);
    let letters = site.dead_letters("guest");
    assert_eq!((letters.len(), &letters[0]["record"]["n"]), (1, &json!(5)));
    assert!(letters[0]["detail"].as_str().unwrap().contains("proc_exit(3)"), "{}", letters[0]);
    assert_eq!(by_number(&server).len(), 9);
}

#[test]
fn a_runtime_that_takes_all_new_memory_for_its_own_harms_no_record() {
    let server = Elasticsearch::start().unwrap();
    // As Go's does: what it grows begins, it believes, where it grew last.
    let parts = "(global $end (mut i32) (i32.const 65536))";
    let body = "(drop (memory.grow (i32.const 1)))
       (memory.fill (global.get $end) (i32.const 0) (i32.const 65536))
       (global.set $end (i32.add (global.get $end) (i32.const 65536)))
       (if (i32.ne (i32.load8_u (local.get $rec)) (i32.const 0x7b)) (then unreachable))
       (local.get $rec)";
    let site = site(&filter(parts, 5, body), "", &server);
    site.write("app.log", numbered(0, 200));
    let outcome = site.once();
    outcome.all_well();
    assert!(!outcome.stderr.contains("failed on"), "{}", outcome.stderr);
    assert_eq!(by_number(&server).len(), 200);
}
