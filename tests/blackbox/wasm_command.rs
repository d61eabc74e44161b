//! `suiro wasm`: what somebody who writes a filter sees.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::agent::{Outcome, Site};
use crate::wasm::guests::{each, guest};

fn wasm_filters() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("wasm-filters")
}

fn module(name: &str) -> String {
    wasm_filters().join("dist").join(format!("{name}.wasm")).display().to_string()
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

/// `wasm test` of a module over this, in a folder of its own.
fn test(site: &Site, module: &str, arguments: &[&str], input: &str) -> Outcome {
    let arguments: Vec<&str> = ["wasm", "test", module].into_iter().chain(arguments.iter().copied()).collect();
    site.command_with_stdin(&arguments, input.as_bytes())
}

/// `wasm test` of a guest in the text format.
fn test_guest(guest: &str, arguments: &[&str], input: &str) -> Outcome {
    let site = Site::new("");
    site.write("guest.wasm", wat::parse_str(guest).expect("the guests are sound"));
    test(&site, "guest.wasm", arguments, input)
}

/// The numbers of the line that counts verdicts.
fn verdicts(outcome: &Outcome) -> String {
    let line = outcome.stderr.lines().find(|line| line.starts_with("records "));
    line.unwrap_or_else(|| panic!("no verdicts:\n{}", outcome.stderr))
        .split_whitespace()
        .skip(1)
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn every_committed_filter_gives_what_is_expected() {
    let fluentbit = ["--function", "stamp", "--tag", "app"];
    let message_pack = ["--function", "stamp", "--tag", "app", "--event-format", "msgpack"];
    for (module, folder, arguments) in [
        ("redact", "filters/redact", &[][..]),
        ("redact-c", "filters/redact", &[]),
        ("sample-by-key", "filters/sample-by-key", &[]),
        ("route-by-level", "filters/route-by-level", &[]),
        ("route-by-level-assemblyscript", "filters/route-by-level", &[]),
        ("split-array", "filters/split-array", &[]),
        ("enrich-csv", "filters/enrich-csv", &[]),
        ("parse-kv", "filters/parse-kv", &[]),
        ("parse-kv-go", "filters/parse-kv", &[]),
        ("example-rust", "rust/examples/no-debug", &[]),
        ("example-c", "c/example", &[]),
        ("example-assemblyscript", "assemblyscript/example", &[]),
        ("fluentbit-stamp-c", "fluentbit", &fluentbit),
        ("fluentbit-stamp-rust", "fluentbit", &fluentbit),
        ("fluentbit-stamp-go", "fluentbit", &fluentbit),
        ("fluentbit-stamp-c-msgpack", "fluentbit", &message_pack),
    ] {
        let folder = wasm_filters().join(folder);
        let expected = folder.join("expected.jsonl");
        let mut arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        arguments.extend(["--expect".to_owned(), expected.display().to_string()]);
        let config = folder.join("config.toml");
        if config.exists() {
            arguments.extend(["--config-file".to_owned(), config.display().to_string()]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let outcome = test(&Site::new(""), &self::module(module), &arguments, &read(folder.join("sample.jsonl")));
        assert_eq!(outcome.code(), 0, "{module}: {}", outcome.stderr);
        assert_eq!(outcome.stdout, read(expected), "{module}");
        for word in ["as expected", "failed 0", "fuel a record", "at its peak"] {
            assert!(outcome.stderr.contains(word), "{module}: no {word} in\n{}", outcome.stderr);
        }
    }
}

#[test]
fn what_differs_is_shown_by_record_and_field() {
    let site = Site::new("");
    site.write("want.jsonl", "{\"seen\": true, \"level\": \"info\", \"n\": 2}\n{\"n\":3,\"seen\":false}\n{\"n\":9}\n");
    let outcome = test(
        &site,
        &module("example-c"),
        &["--expect", "want.jsonl"],
        &read(wasm_filters().join("c/example/sample.jsonl")),
    );
    assert_eq!(outcome.code(), 1, "{}", outcome.stderr);
    let report = "line 3: it is not what line 2 of want.jsonl expects\n  - seen: false\n  + seen: true\n\
                  line 4: it is not what line 3 of want.jsonl expects\n  + level[0]: \"debug\"\n  - n: 9\n  + n: 4\n  + seen: true\n";
    assert!(outcome.stderr.contains(report), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("3 records: 2 differences"), "{}", outcome.stderr);
    // What came is printed all the same.
    assert_eq!(outcome.stdout.lines().count(), 3);
}

#[test]
fn verdicts_tags_logs_and_metrics_are_told() {
    // By `n`: 1 dropped, 2 another made of it, 3 another tag, 4 given up, 5 changed, else kept.
    let parts = each(
        "(func $record (param $rec i32) (local $n i64)
           (local.set $n (call $n (local.get $rec)))
           (if (i64.eq (local.get $n) (i64.const 1)) (then (drop (call $drop (local.get $rec)))))
           (if (i64.eq (local.get $n) (i64.const 2)) (then (drop (call $emit (local.get $rec) (i32.const 16) (i32.const 8)))))
           (if (i64.eq (local.get $n) (i64.const 3)) (then (drop (call $set_tag (local.get $rec) (i32.const 32) (i32.const 5)))))
           (if (i64.eq (local.get $n) (i64.const 4)) (then (drop (call $fail (local.get $rec) (i32.const 48) (i32.const 3)))))
           (if (i64.eq (local.get $n) (i64.const 5)) (then
             (drop (call $log (i32.const 1) (i32.const 32) (i32.const 5)))
             (drop (call $counter (i32.const 8) (i32.const 4) (i64.const 7)))
             (drop (call $set_i64 (local.get $rec) (call $field (i32.const 8) (i32.const 4)) (i64.const 1))))))",
    );
    let input: String = (0..6).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    let outcome = test_guest(&parts, &[], &input);
    assert_eq!(outcome.code(), 1, "a record failed: {}", outcome.stderr);
    let counts = "6 in, 5 out: kept 3, changed 1, dropped 1, emitted 1, failed 1, re-tagged 1";
    assert_eq!(verdicts(&outcome), counts, "{}", outcome.stderr);
    assert_eq!(outcome.stdout, "{\"n\":0}\n{\"n\":2}\n{\"n\":-1}\n{\"n\":3}\n{\"n\":5,\"seen\":1}\n");
    for line in ["line 5: failed: why", "log: warning: other", "tags       other 1", "metric     seen 7"] {
        assert!(outcome.stderr.lines().any(|own| own == line), "no {line:?} in\n{}", outcome.stderr);
    }
}

#[test]
fn settings_come_from_the_command_line_and_a_file() {
    let site = Site::new("");
    let sample = "{\"user\":\"jane@example.com\",\"card\":\"4111 1111 1111 1111\"}\n";
    site.write("config.toml", "emails = false\ncards = true\n");
    for (arguments, out) in [
        (&["--config", "emails=false", "--config", "cards=false"][..], sample.trim_end()),
        (&["--config-file", "config.toml", "--config", "cards=false"], sample.trim_end()),
    ] {
        let outcome = test(&site, &module("redact"), arguments, sample);
        assert_eq!((outcome.code(), outcome.stdout.trim_end()), (0, out), "{arguments:?}: {}", outcome.stderr);
    }
    let outcome = test(&site, &module("redact"), &["--config-file", "config.toml"], sample);
    assert!(outcome.stdout.contains("jane@example.com") && !outcome.stdout.contains("4111"), "{}", outcome.stdout);
    for (arguments, why) in [
        (&["--config", "emials=true"][..], "emials"),
        (&["--config", "emails"], "KEY=VALUE"),
        (&["--config-file", "none.toml"], "none.toml"),
        (&["--expect", "none.jsonl"], "none.jsonl"),
        (&["--tag", ""], "--tag"),
    ] {
        let outcome = test(&site, &module("redact"), arguments, sample);
        assert_eq!(outcome.code(), 2, "{arguments:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(why), "{arguments:?}: {}", outcome.stderr);
    }
}

#[test]
fn hostile_guests_are_bounded_and_the_record_is_named() {
    let endless = "(func $record (param $rec i32)
        (if (i64.eq (call $n (local.get $rec)) (i64.const 700)) (then (loop $more (br $more)))))";
    let hungry = "(func $record (param $rec i32)
        (if (i64.eq (call $n (local.get $rec)) (i64.const 700))
          (then (loop $more (drop (memory.grow (i32.const 64))) (br $more)))))";
    let trapping = "(func $record (param $rec i32)
        (if (i64.eq (call $n (local.get $rec)) (i64.const 700)) (then unreachable)))";
    let input: String = (0..1500).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    for (record, why) in [
        (endless, "line 701: timeout: it used up its fuel"),
        (hungry, "line 701: memory: it asked for"),
        (trapping, "line 701: trap: it aborted"),
    ] {
        let outcome = test_guest(&each(record), &[], &input);
        assert_eq!(outcome.code(), 1, "{}", outcome.stderr);
        assert!(outcome.stderr.contains(why), "no {why} in\n{}", outcome.stderr);
        let counts = "1,500 in, 1,499 out: kept 1,499, changed 0, dropped 0, emitted 0, failed 1, re-tagged 0";
        assert_eq!(verdicts(&outcome), counts);
        assert_eq!(outcome.stdout.lines().count(), 1499);
    }
    // One that loops on every record ends too.
    let outcome = test_guest(&guest("(func (export \"process\") (param i32) (loop $more (br $more)))"), &[], &input);
    assert_eq!(outcome.code(), 1, "{}", outcome.stderr);
    let counts = "1,500 in, 0 out: kept 0, changed 0, dropped 0, emitted 0, failed 1,500, re-tagged 0";
    assert_eq!(verdicts(&outcome), counts);
    assert!(outcome.stderr.contains("further records that failed"), "{}", outcome.stderr);
}

#[test]
fn a_guest_that_keeps_the_agent_busy_is_bounded_by_time() {
    // What the agent does for it costs no fuel: a large record is written out again and again.
    let busy = guest(
        "(func (export \"process\") (param i32)
           (loop $more (drop (call $json (i32.const 0) (i32.const 0) (i32.const 0))) (br $more)))",
    );
    let outcome = test_guest(&busy, &[], &format!("{{\"text\":\"{}\"}}\n", "\\n".repeat(200_000)));
    assert_eq!(outcome.code(), 1, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("line 1: timeout: it took longer than 5s"), "{}", outcome.stderr);
}

#[test]
fn modules_that_cannot_start_are_an_error_of_their_own() {
    let keep = each("(func $record (param i32))");
    let init = |body: &str| {
        keep.replacen("(func $record", &format!("(func (export \"init\") (result i32) {body}) (func $record"), 1)
    };
    for (guest, why) in [
        (init("(i32.const 7)"), "its `init` answered 7"),
        (init("unreachable"), "it aborted"),
        (
            keep.replace("(i32.const 1))\n           (func $n", "(i32.const 2))\n           (func $n"),
            "it wants version 2",
        ),
    ] {
        let outcome = test_guest(&guest, &[], "{}\n");
        assert_eq!(outcome.code(), 2, "{}", outcome.stderr);
        assert!(outcome.stderr.contains(why), "no {why} in\n{}", outcome.stderr);
    }
    let site = Site::new("");
    let outcome = test(&site, "none.wasm", &[], "{}\n");
    assert_eq!(outcome.code(), 2, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("none.wasm: it can't be read"), "{}", outcome.stderr);
}

#[test]
fn lines_that_are_no_records_are_told_and_passed() {
    let keep = each("(func $record (param i32))");
    let outcome = test_guest(&keep, &[], "plain\n\n{\"a\":1}\n");
    assert_eq!(
        (outcome.code(), outcome.stdout.as_str()),
        (0, "{\"log\":\"plain\"}\n{\"a\":1}\n"),
        "{}",
        outcome.stderr
    );
    assert!(outcome.stderr.contains("1 line was no JSON"), "{}", outcome.stderr);
    let outcome = test_guest(&keep, &[], "");
    assert_eq!(outcome.code(), 0);
    assert!(outcome.stderr.contains("no records"), "{}", outcome.stderr);
}

#[test]
fn inspect_tells_what_a_module_is_and_what_it_lacks() {
    let site = Site::new("");
    let good = fs::read(module("redact")).expect("it is there");
    site.write("truncated.wasm", &good[..good.len() / 2]);
    site.write("old.aot", b"\0aot\x01\x02");
    site.write("text.wasm", "(module)");
    site.write("empty.wasm", "");
    let wat = |name: &str, text: &str| site.write(name, wat::parse_str(text).expect("it is sound"));
    wat("nothing.wasm", "(module (memory (export \"memory\") 1))");
    wat(
        "broken.wasm",
        "(module (import \"suiro_v1\" \"feild\" (func (param i32 i32) (result i32)))
           (import \"wbg\" \"log\" (func))
           (memory 1) (func (export \"suiro_version\") (result i32) (i32.const 1)) (func (export \"process\") (param i64)))",
    );
    wat(
        "two.wasm",
        "(module (memory (export \"memory\") 1)
           (func $f (export \"a\") (export \"b\") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0)))",
    );
    for (file, arguments, code, words) in [
        (
            module("redact").as_str(),
            &[][..],
            0,
            &["interface  suiro_v1", "suiro_v1.set_str: (i32, i32, i32, i32) -> i32", "It is a filter"][..],
        ),
        (&module("parse-kv-go"), &[], 0, &["interface  suiro_v1", "wasi_snapshot_preview1.clock_time_get"]),
        (&module("fluentbit-stamp-c"), &[], 0, &["fluentbit, function `stamp`", "env.malloc"]),
        ("two.wasm", &[], 1, &["several functions", "`a` and `b`", "function_name"]),
        ("two.wasm", &["--function", "b"], 0, &["fluentbit, function `b`"]),
        (
            "broken.wasm",
            &[],
            1,
            &[
                "interface  suiro_v1",
                "`suiro_v1.feild`",
                "did you mean `field`?",
                "`wbg.log`",
                "wasm-bindgen",
                "does not export its memory",
                "exports `process` as (i64) -> (); it must be (i32) -> ()",
            ],
        ),
        ("nothing.wasm", &[], 1, &["exports nothing that makes it a filter", "`suiro_version` and `process`"]),
        ("truncated.wasm", &[], 1, &["no valid WebAssembly", "is the file complete?"]),
        ("old.aot", &[], 1, &["another runtime (.aot)", "the .wasm it was made of"]),
        ("text.wasm", &[], 1, &["no WebAssembly", "wat2wasm"]),
        ("empty.wasm", &[], 1, &["the file is empty"]),
        (".", &[], 1, &["it is a folder"]),
    ] {
        let arguments: Vec<&str> = ["wasm", "inspect", file].into_iter().chain(arguments.iter().copied()).collect();
        let outcome = site.command(&arguments);
        assert_eq!(outcome.code(), code, "{file}: {}{}", outcome.stdout, outcome.stderr);
        for word in words {
            let said = outcome.stdout.replace('"', "`");
            assert!(said.contains(word), "{file}: no {word:?} in\n{}", outcome.stdout);
        }
    }
    assert_eq!(site.command(&["wasm", "inspect", "none.wasm"]).code(), 2);
}

#[test]
fn bench_measures_the_calls() {
    let site = Site::new("");
    let sample = read(wasm_filters().join("filters/route-by-level/sample.jsonl"));
    let config = wasm_filters().join("filters/route-by-level/config.toml").display().to_string();
    let module = module("route-by-level");
    let arguments = ["wasm", "bench", &module, "--config-file", &config, "--seconds", "1"];
    let outcome = site.command_with_stdin(&arguments, sample.as_bytes());
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
    let number = |head: &str| -> f64 {
        let line = outcome.stdout.lines().find(|line| line.starts_with(head));
        let line = line.unwrap_or_else(|| panic!("no {head} in\n{}", outcome.stdout));
        line[head.len()..].split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number")
    };
    // Eleven records, ninety times.
    assert_eq!(number("records"), 990.0, "{}", outcome.stdout);
    assert!(number("cost") > 0.0 && number("rate") > 0.0 && number("empty call") > 0.0, "{}", outcome.stdout);
    assert_eq!(site.command_with_stdin(&arguments, b"").code(), 2);
    site.write("trap.wasm", wat::parse_str(each("(func $record (param i32) unreachable)")).expect("it is sound"));
    let outcome = site.command_with_stdin(&["wasm", "bench", "trap.wasm"], b"{}\n");
    assert_eq!(outcome.code(), 1, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("suiro wasm test"), "{}", outcome.stderr);
}

#[test]
fn new_writes_a_folder_for_each_language() {
    let site = Site::new("");
    for (language, files) in [
        ("rust", &["Cargo.toml", "src/lib.rs", "suiro-filter/src/lib.rs", "suiro-filter/macros/src/lib.rs"][..]),
        ("go", &["go.mod", "main.go", "main_test.go", "suiro-filter/suiro.go"]),
        ("assemblyscript", &["package.json", "filter.ts", "filter.test.mjs", "suiro-filter/assembly/index.ts"]),
        ("c", &["filter.c", "suiro-filter/suiro_filter.h"]),
    ] {
        let name = format!("my-{language}");
        let outcome = site.command(&["wasm", "new", &name, "--lang", language, "--on-error", "tag:failed"]);
        assert_eq!(outcome.code(), 0, "{language}: {}", outcome.stderr);
        let all = [
            "Makefile",
            "README.md",
            "filter.toml",
            ".gitignore",
            "sample.jsonl",
            "expected.jsonl",
            "suiro-filter/LICENSE",
        ];
        for file in files.iter().chain(&all) {
            let text = read(site.path(&name).join(file));
            assert!(!text.contains("{{name}}") && !text.contains("{{snake}}"), "{language}: {file}");
        }
        assert!(read(site.path(&name).join("filter.toml")).contains("on_error = \"tag:failed\""), "{language}");
        // Nothing is overwritten.
        let outcome = site.command(&["wasm", "new", &name, "--lang", language]);
        assert_eq!(outcome.code(), 2, "{language}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("exists already"), "{language}: {}", outcome.stderr);
    }
    for (arguments, why) in [
        (&["../up", "--lang", "c"][..], "can't be a filter's name"),
        (&["Upper", "--lang", "c"], "lower-case"),
        (&["match", "--lang", "rust"], "meaning of its own"),
        (&["fine", "--lang", "pascal"], "pascal"),
        (&["fine"], "--lang"),
        (&["fine", "--lang", "c", "--on-error", "dorp"], "did you mean `drop`?"),
    ] {
        let arguments: Vec<&str> = ["wasm", "new"].into_iter().chain(arguments.iter().copied()).collect();
        let outcome = site.command(&arguments);
        assert_eq!(outcome.code(), 2, "{arguments:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(why), "{arguments:?}: {}", outcome.stderr);
    }
    assert!(!site.path("fine").exists() && !site.path("../up").exists());
}

/// In C, whose toolchain is the smallest; those of the other languages take packages from elsewhere.
#[test]
fn a_new_folder_builds_passes_its_test_and_runs_in_the_agent() {
    let runs =
        |program: &str| Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    let clang = ["clang", "clang-19"].into_iter().find(|clang| runs(clang));
    let Some(clang) = clang.filter(|_| runs("make") && (runs("wasm-ld") || runs("wasm-ld-19"))) else {
        eprintln!("skip: no 'clang' with 'wasm-ld', or no 'make', on PATH");
        return;
    };
    let site = Site::new(
        "[[input]]\nname = 'in'\ntype = 'tail'\npath = 'in.jsonl'\nparser = 'json'\n\
         [[output]]\nname = 'out'\ntype = 'file'\npath = 'out.jsonl'\nordered = true\n",
    );
    assert_eq!(site.command(&["wasm", "new", "mine", "--lang", "c"]).code(), 0);
    let folder = site.path("mine");
    let make = Command::new("make")
        .arg("test")
        .arg(format!("CLANG={clang}"))
        .arg(format!("SUIRO={}", env!("CARGO_BIN_EXE_suiro")))
        .current_dir(&folder)
        .output()
        .expect("make runs");
    let said = String::from_utf8_lossy(&make.stderr);
    assert!(make.status.success(), "{said}");
    assert!(said.contains("3 records: as expected"), "{said}");
    // The block it wrote, beside another configuration.
    fs::copy(folder.join("sample.jsonl"), site.path("in.jsonl")).expect("it can be copied");
    let agent = read(site.path("suiro.toml")) + &read(folder.join("filter.toml"));
    fs::copy(folder.join("mine.wasm"), site.path("mine.wasm")).expect("it can be copied");
    site.configure(&agent);
    let ledger = site.once().all_well().clone();
    assert_eq!(read(site.path("out.jsonl")), read(folder.join("expected.jsonl")));
    assert_eq!((ledger.filter("mine", "in"), ledger.output("out", "delivered")), (4, 3));
}
