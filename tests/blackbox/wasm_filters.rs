//! The project's own WASM filters, as they are committed: each gives for its sample what is expected of it.
//!
//! `wasm-filters/filters/NAME` has `sample.jsonl`, `expected.jsonl`, and in `config.toml` what stands in the filter's
//! `config`; `wasm-filters/dist` has the modules and their checksums. `SUIRO_WASM_DIST` names another folder of modules.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::agent::Site;
use crate::ledger::Ledger;

fn wasm_filters() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("wasm-filters")
}

/// The modules: those that are committed, or others that were built to be compared with them.
fn module(name: &str) -> PathBuf {
    let folder = env::var_os("SUIRO_WASM_DIST").map_or_else(|| wasm_filters().join("dist"), PathBuf::from);
    folder.join(format!("{name}.wasm"))
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

/// What stands in `config.toml`, as it stands in the agent's configuration.
fn config(folder: &Path) -> String {
    let file = folder.join("config.toml");
    if !file.exists() {
        return String::new();
    }
    let nested = |line: &str| match line.strip_prefix('[') {
        Some(table) => format!("[filter.config.{table}\n"),
        None => format!("{line}\n"),
    };
    format!("[filter.config]\n{}", read(file).lines().map(nested).collect::<String>())
}

/// Runs a module of `dist` over a folder's sample, with these settings of its block and these blocks behind it; what came
/// out, and the ledger.
fn run(module: &str, folder: &Path, settings: &str, behind: &str) -> (Vec<String>, Ledger) {
    let site = Site::new(&format!(
        "[[input]]\nname = 'in'\ntype = 'tail'\ntag = 'app'\npath = 'in.jsonl'\nparser = 'json'\n\
         [[filter]]\nname = 'wasm'\ntype = 'wasm'\nmodule = '{}'\ntimeout = '10s'\n{settings}\n{}\n{behind}\n\
         [[output]]\nname = 'out'\ntype = 'file'\npath = 'out.jsonl'\nordered = true\n",
        self::module(module).display(),
        config(folder),
    ));
    let sample = read(folder.join("sample.jsonl"));
    site.write("in.jsonl", &sample);
    let outcome = site.once();
    let ledger = outcome.all_well().clone();
    assert_eq!(ledger.input("in", "received"), sample.lines().count() as u64);
    (read(site.path("out.jsonl")).lines().map(str::to_owned).collect(), ledger)
}

/// Asserts that a module gives what a folder expects.
fn check(module: &str, folder: &str, settings: &str) {
    let folder = wasm_filters().join(folder);
    let (came, ledger) = run(module, &folder, settings, "");
    let expected = read(folder.join("expected.jsonl"));
    let expected: Vec<&str> = expected.lines().collect();
    for (i, (came, expected)) in came.iter().zip(&expected).enumerate() {
        assert_eq!(came, expected, "{module}: line {}", i + 1);
    }
    assert_eq!(came.len(), expected.len(), "{module}");
    let (into, made) = (ledger.filter("wasm", "in"), ledger.filter("wasm", "created"));
    assert_eq!(into + made, came.len() as u64 + ledger.filter("wasm", "dropped"), "{module}");
    assert_eq!(ledger.output("out", "delivered"), came.len() as u64, "{module}");
}

#[test]
fn the_committed_modules_are_those_of_the_checksums() {
    let dist = wasm_filters().join("dist");
    let mut named: Vec<(String, String)> = read(dist.join("SHA256SUMS"))
        .lines()
        .map(|line| {
            line.split_once("  ").map(|(sum, name)| (name.to_owned(), sum.to_owned())).expect("a sum and a name")
        })
        .collect();
    let mut there: Vec<(String, String)> = fs::read_dir(&dist)
        .expect("it is there")
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wasm"))
        .map(|path| {
            let sum = Sha256::digest(fs::read(&path).expect("it can be read"));
            let sum = sum.iter().map(|byte| format!("{byte:02x}")).collect();
            (path.file_name().expect("it has a name").to_string_lossy().into_owned(), sum)
        })
        .collect();
    named.sort();
    there.sort();
    assert_eq!(named, there);
}

#[test]
fn every_filter_gives_what_is_expected() {
    for name in ["redact", "sample-by-key", "split-array", "enrich-csv", "parse-kv"] {
        check(name, &format!("filters/{name}"), "");
    }
}

#[test]
fn twins_in_other_languages_give_the_same() {
    check("redact-c", "filters/redact", "");
    check("parse-kv-go", "filters/parse-kv", "");
}

#[test]
fn tags_are_set_by_level() {
    let folder = wasm_filters().join("filters/route-by-level");
    let tags = read(folder.join("expected.tags"));
    let tagged = |(line, tag): (&str, &str)| format!("{},\"tag\":\"{tag}\"}}", line.strip_suffix('}').expect("a map"));
    let mut expected: Vec<String> = read(folder.join("expected.jsonl")).lines().zip(tags.lines()).map(tagged).collect();
    expected.sort();
    for module in ["route-by-level", "route-by-level-assemblyscript"] {
        // Records of several tags leave in batches of their own: only within a tag do they keep their order.
        let (mut came, ledger) = run(module, &folder, "", "[[filter]]\ntype = 'modify'\nset = { tag = '{@tag}' }\n");
        came.sort();
        assert_eq!(came, expected, "{module}");
        assert_eq!(ledger.output("out", "delivered"), expected.len() as u64, "{module}");
    }
}

#[test]
fn the_examples_of_the_sdks_do_the_same() {
    check("example-rust", "rust/examples/no-debug", "");
    check("example-c", "c/example", "");
    check("example-assemblyscript", "assemblyscript/example", "");
}

#[test]
fn filters_of_fluent_bit_run_unmodified() {
    for module in ["c", "rust", "go"] {
        check(&format!("fluentbit-stamp-{module}"), "fluentbit", "function_name = 'stamp'");
    }
    let settings = "function_name = 'stamp'\nevent_format = 'msgpack'";
    check("fluentbit-stamp-c-msgpack", "fluentbit", settings);
}

/// Guests that use every function of the interface, and trap where one does not do what it should.
#[test]
fn every_function_does_what_the_contract_says() {
    let long = "x".repeat(100);
    for (name, long_is, emitted) in [
        ("everything-c", "100", r#"{"replaced":2}"#),
        ("everything-assemblyscript", "\"100\"", r#"{"was":{"emitted":1,"s":"set"}}"#),
    ] {
        let site = Site::new(&format!(
            "[[input]]\nname = 'in'\ntype = 'tail'\ntag = 'test'\npath = 'in.jsonl'\nparser = 'json'\n\
             [[filter]]\nname = 'wasm'\ntype = 'wasm'\nmodule = '{}'\nconfig = {{ prefix = 'p-' }}\ntimeout = '10s'\non_error = 'pass'\n\
             [[output]]\nname = 'out'\ntype = 'file'\npath = 'out.jsonl'\nordered = true\n",
            module(name).display()
        ));
        let record = format!(r#"{{"s":"水","i":7,"f":1.5,"gone":0,"m":{{}},"l":["out","json","in"],"long":"{long}"}}"#);
        site.write("in.jsonl", format!("{{\"drop\":true}}\n{record}\n{{\"fail\":\"too bad\"}}\n"));
        let outcome = site.once();
        let ledger = outcome.all_well();
        let counts = ["in", "created", "dropped", "out"].map(|count| ledger.filter("wasm", count));
        assert_eq!(counts, [3, 1, 1, 3], "{name}: {}", outcome.stderr);
        let came: std::collections::BTreeSet<String> =
            read(site.path("out.jsonl")).lines().map(str::to_owned).collect();
        let deep = if name == "everything-c" { "[1]" } else { "[1,{\"x\":\"水\"}]" };
        let null = if name == "everything-c" { "null" } else { "n" };
        let changed = format!(
            r#"{{"s":"p-水","i":14,"f":0.25,"m":{{"deep":{deep}}},"l":[{{"was":"json"}},"in"],"long":{long_is},"b":true,"{null}":null}}"#
        );
        // Records of another tag leave in a batch of their own.
        let want = [changed.as_str(), emitted, r#"{"fail":"too bad"}"#].map(str::to_owned).into();
        assert_eq!(came, want, "{name}: {}", outcome.stderr);
        assert_eq!(ledger.output("out", "delivered"), 3);
    }
}

#[test]
fn settings_that_a_filter_refuses_keep_the_agent_from_starting() {
    for (module, config, why) in [
        ("redact", "{ emials = true }", "unknown setting `emials`"),
        ("redact-c", "{ emials = true }", "unknown setting"),
        ("redact", "{ patterns = { id = 'a|b' } }", "`|`"),
        ("redact-c", "{ patterns = { id = 'a|b' } }", "`|`"),
        ("parse-kv-go", "{ types = 1 }", "`types` must be true or false"),
        ("route-by-level-assemblyscript", "{}", "`tags` is missing"),
    ] {
        let site = Site::new(&format!(
            "[[input]]\ntype = 'stdin'\n[[filter]]\ntype = 'wasm'\nmodule = '{}'\nconfig = {config}\n[[output]]\ntype = 'null'\n",
            self::module(module).display()
        ));
        let outcome = site.once_with_stdin(b"{}\n");
        assert_ne!(outcome.code(), 0, "{module} {config}");
        assert!(outcome.stderr.contains(why), "{module} {config}: {}", outcome.stderr);
    }
}
