//! Bad input: nothing ends, nothing grows, nothing is lost in silence.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use suiro_test_servers::{Elasticsearch, Sink};

use crate::PATIENCE;
use crate::agent::Site;
use crate::records::{TAIL_JSON, TAIL_TEXT, elasticsearch};

fn to_sink(input: &str, sink: &Sink) -> Site {
    Site::new(&format!(
        "{input}[[output]]\nname = 'http'\ntype = 'http'\nurl = '{}'\nbatch = {{ timeout = '20ms' }}\n",
        sink.url()
    ))
}

#[test]
fn a_missing_file_is_told_of_and_read_once_it_is_there() {
    let sink = Sink::start().unwrap();
    let site = to_sink(TAIL_TEXT, &sink);
    let running = site.start();
    running.wait_for("a word about it", |running| running.stderr().contains("no file matches"));
    site.write("app.log", "hello\n");
    assert!(sink.wait_for_lines(1, PATIENCE), "{}", running.stderr());
    running.wait_for_ledger("it to be settled", |ledger| ledger.is_settled());
    running.stop().all_well();
    // At once, too.
    fs::remove_file(site.path("app.log")).unwrap();
    assert_eq!(site.once().all_well().input("in", "received"), 0);
}

#[test]
fn what_is_no_file_is_left_alone_and_the_others_are_read() {
    let sink = Sink::start().unwrap();
    let site = to_sink("[[input]]\nname = 'in'\ntype = 'tail'\npath = ['logs', 'link', 'good.log']\n", &sink);
    fs::create_dir(site.path("logs")).unwrap();
    std::os::unix::fs::symlink(site.path("nowhere"), site.path("link")).unwrap();
    site.write("good.log", "hello\n");
    let outcome = site.once();
    assert_eq!(outcome.all_well().input("in", "received"), 1);
    assert!(outcome.stderr.contains("folder"), "{}", outcome.stderr);
}

#[test]
fn a_file_that_may_not_be_read_is_told_of() {
    use std::os::unix::fs::PermissionsExt;
    let sink = Sink::start().unwrap();
    let site = to_sink("[[input]]\nname = 'in'\ntype = 'tail'\npath = ['secret.log', 'good.log']\n", &sink);
    site.write("secret.log", "hidden\n");
    site.write("good.log", "hello\n");
    fs::set_permissions(site.path("secret.log"), fs::Permissions::from_mode(0o000)).unwrap();
    // Root may read everything.
    let readable = fs::read(site.path("secret.log")).is_ok();
    let outcome = site.once();
    assert_eq!(outcome.all_well().input("in", "received"), if readable { 2 } else { 1 });
    assert!(readable || outcome.stderr.contains("secret.log"), "{}", outcome.stderr);
}

#[test]
fn binary_garbage_arrives_as_text() {
    let sink = Sink::start().unwrap();
    let site = to_sink(TAIL_TEXT, &sink);
    // Every byte, every pair with a line end in it, and some noise.
    let mut bytes: Vec<u8> = Vec::new();
    for byte in 0..=255_u8 {
        bytes.extend([b'<', byte, b'>', 0xff, 0xc0, byte, b'\n']);
    }
    let mut state = 1_u32;
    for _ in 0..200_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes.push((state >> 24) as u8);
    }
    bytes.push(b'\n');
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    site.write("app.log", &bytes);
    let outcome = site.once();
    let ledger = outcome.all_well();
    // Lines with nothing in them are none.
    let received = ledger.input("in", "received");
    assert!(received <= lines && received > lines / 2, "{received} of {lines}");
    assert!(ledger.input("in", "invalid_utf8") > 0);
    assert_eq!(ledger.output("http", "delivered"), received);
    let got = sink.lines();
    assert_eq!(got.len() as u64, received);
    assert!(got.iter().all(|line| serde_json::from_str::<Value>(line).is_ok_and(|value| value["log"].is_string())));
}

#[test]
fn a_line_of_a_hundred_megabytes_is_cut_and_what_follows_is_read() {
    let sink = Sink::start().unwrap();
    let site = to_sink(TAIL_TEXT, &sink);
    let mut bytes = b"before\n".to_vec();
    bytes.resize(bytes.len() + (100 << 20), b'x');
    bytes.extend_from_slice(b"\nafter\n");
    site.write("app.log", &bytes);
    drop(bytes);
    let running = site.start();
    assert!(sink.wait_for_lines(3, PATIENCE), "{}", running.stderr());
    running.wait_for_ledger("it to be settled", |ledger| ledger.is_settled() && ledger.input("in", "received") == 3);
    let memory = running.memory();
    assert!(memory < 150 << 20, "{} MiB", memory >> 20);
    let outcome = running.stop();
    let ledger = outcome.all_well();
    assert_eq!(ledger.input("in", "long_lines"), 1);
    let abandoned = ledger.input("in", "abandoned_bytes");
    assert!(((98 << 20)..=(100 << 20)).contains(&abandoned), "{abandoned}");
    let lines = sink.lines();
    // Requests may overtake one another.
    let [before, after] = ["before", "after"].map(|word| lines.iter().filter(|line| line.contains(word)).count());
    assert!((before, after) == (1, 1) && lines.iter().all(|line| line.len() < 2 << 20));
}

#[test]
fn a_line_without_an_end_that_grows_for_ever_does_not_grow_memory() {
    let sink = Sink::start().unwrap();
    let site = to_sink(TAIL_TEXT, &sink);
    site.write("app.log", "first\n");
    let running = site.start();
    assert!(sink.wait_for_lines(1, PATIENCE));
    for _ in 0..40 {
        site.append("app.log", vec![b'x'; 1 << 20]);
    }
    site.append("app.log", "\nlast\n");
    assert!(sink.wait_for_lines(3, PATIENCE), "{}", running.stderr());
    running.wait_for_ledger("it to be settled", |ledger| ledger.is_settled());
    assert!(running.memory() < 150 << 20, "{} MiB", running.memory() >> 20);
    assert_eq!(running.stop().all_well().input("in", "long_lines"), 1);
    assert!(sink.lines()[2].contains("last"));
}

#[test]
fn hostile_json_is_kept_as_text_or_passed_on_as_it_is() {
    let server = Elasticsearch::start().unwrap();
    let site = Site::new(&format!("{TAIL_JSON}{}", elasticsearch(&server, "")));
    let not_json = [
        "{".repeat(100_000),
        "[".repeat(100_000),
        r#"{"a":"#.repeat(5000),
        r#"{"a":1,}"#.to_owned(),
        r#"{"a":01}"#.to_owned(),
        r#"{"a":NaN}"#.to_owned(),
        r#"{"a":"\x"}"#.to_owned(),
        r#"{"a":"\ud8"}"#.to_owned(),
        r#"{'a':1}"#.to_owned(),
        r#"{"a":1} trailing"#.to_owned(),
        "{\"a\":\"\u{1}\"}".to_owned(),
        "nul".to_owned(),
        "\u{feff}{\"a\":1}".to_owned(),
        r#"{"a":"\ud800 alone"}"#.to_owned(),
    ];
    let json = [
        format!(r#"{{"k":{}}}"#, "9".repeat(300)),
        format!(r#"{{"k":"{}"}}"#, "\\u0041".repeat(10_000)),
        format!(r#"{{{}}}"#, (0..3000).map(|n| format!(r#""k{n}":{n}"#)).collect::<Vec<_>>().join(",")),
        r#"{"k":{"":0,"a.b":{"a":{"b":[[],{}]}}}}"#.to_owned(),
        r#"{"__proto__":1,"constructor":null,"k\u0000":"\u0000"}"#.to_owned(),
    ];
    let all: Vec<&str> = not_json.iter().chain(&json).map(String::as_str).collect();
    site.write("app.log", all.join("\n") + "\n");
    let outcome = site.once();
    let ledger = outcome.ledger.as_ref().unwrap();
    ledger.assert_settled();
    assert_eq!(ledger.input("in", "received"), all.len() as u64, "{}", outcome.stderr);
    assert_eq!(ledger.input("in", "parse_errors"), not_json.len() as u64);
    // All is at the server or, where the server wants none of it, set aside.
    let stored: BTreeSet<String> = server.documents().into_iter().map(|document| document.source).collect();
    let letters = site.dead_letters("es");
    assert_eq!(stored.len() + letters.len(), all.len());
    assert_eq!(ledger.output("es", "dead_lettered"), letters.len() as u64);
    for text in &not_json {
        let kept =
            |value: &Value| value["log"].as_str().is_some_and(|log| log.starts_with(&text[..text.len().min(1000)]));
        let at_server = stored.iter().any(|source| serde_json::from_str(source).is_ok_and(|value: Value| kept(&value)));
        assert!(at_server || letters.iter().any(|letter| kept(&letter["record"])), "{}", &text[..text.len().min(80)]);
    }
}

#[test]
fn numbers_that_no_machine_holds_keep_their_text() {
    let sink = Sink::start().unwrap();
    let site = to_sink(&format!("{TAIL_JSON}[[filter]]\ntype = 'modify'\nset = {{ b = 1 }}\n"), &sink);
    site.write("app.log", "{\"a\":[1e99999,-0.0,123456789012345678901234567890.10]}\n");
    site.once().all_well();
    assert_eq!(sink.lines(), [r#"{"a":[1e99999,-0.0,123456789012345678901234567890.10],"b":1}"#]);
}

#[test]
fn a_parser_that_never_matches_costs_nothing_but_a_counter() {
    let sink = Sink::start().unwrap();
    for parser in ["'apache_combined'", "'json'", "{ type = 'regex', pattern = '^(?<never>\\d{40})$' }"] {
        let site = to_sink(&format!("{TAIL_TEXT}parser = {parser}\n"), &sink);
        let before = sink.lines().len();
        let log: String = (0..2000).map(|n| format!("line {n} is nothing of the kind\n")).collect();
        site.write("app.log", log);
        let outcome = site.once();
        let ledger = outcome.all_well();
        assert_eq!((ledger.input("in", "received"), ledger.input("in", "parse_errors")), (2000, 2000), "{parser}");
        assert_eq!(sink.lines().len() - before, 2000);
        assert!(outcome.stderr.len() < 8 << 10, "one word about it is enough:\n{}", outcome.stderr);
    }
}

#[test]
fn a_data_folder_that_can_not_be_written_is_told_of_at_the_start() {
    let site = Site::new(
        "[service]\ndata_dir = 'file/below'\napi = false\n[[input]]\ntype = 'tail'\npath = 'x.log'\n[[output]]\ntype = 'null'\n",
    );
    site.write("file", "not a folder");
    let outcome = site.once();
    assert_eq!(outcome.code(), 1);
    assert!(outcome.stderr.contains("data_dir"), "{}", outcome.stderr);
}
