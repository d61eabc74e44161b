//! Configurations as users write them, good and bad.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use suiro_sdk::settings::MAX_FILE_BYTES;

use super::*;

fn types() -> KnownTypes {
    KnownTypes {
        inputs: vec!["tail", "stdin", "generate"],
        filters: vec!["keep", "drop", "modify"],
        outputs: vec!["loki", "elasticsearch", "stdout"],
        parsers: vec!["regex", "json"],
    }
}

fn environment() -> Environment {
    Arc::new(|name| (name == "HOME").then(|| "/home/someone".to_owned()))
}

/// Merges texts named `a.toml`, `b.toml` and so on.
fn merged(texts: &[&str]) -> (Config, Diagnostics) {
    let diagnostics = Diagnostics::default();
    let files = texts.iter().zip('a'..).enumerate();
    let files = files.map(|(rank, (text, name))| Source::new(format!("{name}.toml"), "/etc/suiro", text, rank as u32));
    (merge(files.collect(), &types(), &environment(), &diagnostics), diagnostics)
}

fn report(texts: &[&str]) -> String {
    merged(texts).1.render(false)
}

fn names(blocks: &[Block]) -> Vec<&str> {
    blocks.iter().map(|block| block.name.as_str()).collect()
}

#[test]
fn a_whole_configuration() {
    let (config, diagnostics) = merged(&[r#"
        [service]
        data_dir = "state"
        memory_limit = "32MiB"
        shutdown_timeout = "5s"
        workers = 2
        api = { listen = "127.0.0.1:0" }
        log_level = "debug"

        [[input]]
        type = "tail"
        path = ["/var/log/*.log"]
        [[input.filter]]
        type = "drop"
        when = 'level == "debug"'

        [[input]]
        type = "stdin"
        name = "console"

        [[filter]]
        type = "keep"

        [[output]]
        type = "loki"
        url = "http://127.0.0.1:3100"
        [[output.filter]]
        type = "modify"
        [[output.filter]]
        type = "modify"

        [[parser]]
        name = "mine"
        type = "regex"
        pattern = '(?<a>.)'

        [[test]]
        anything = 1
    "#]);
    assert_eq!(diagnostics.render(false), "");
    assert_eq!(
        config.service,
        Service {
            data_dir: "/etc/suiro/state".into(),
            memory_limit: 32 << 20,
            shutdown_timeout: Duration::from_secs(5),
            workers: 2,
            api: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            log_level: LogLevel::Debug,
        }
    );
    assert_eq!(names(&config.inputs), ["tail", "console"]);
    assert_eq!(names(&config.inputs[0].filters), ["tail.drop"]);
    assert_eq!(names(&config.filters), ["keep"]);
    assert_eq!(names(&config.outputs[0].filters), ["loki.modify", "loki.modify.2"]);
    assert_eq!((config.parsers[0].name.as_str(), config.parsers[0].type_name.as_str()), ("mine", "regex"));
    assert_eq!(config.tests.len(), 1);
    let input = &config.inputs[0];
    assert_eq!((input.kind, input.section.label().as_str()), (Kind::Input, "[[input]] tail"));
    assert_eq!(config.inputs[1].section.label(), "[[input]] stdin (console)");
    assert_eq!(input.section.list::<String>("path"), ["/var/log/*.log"]);
    assert_eq!(input.section.finish(), Ok(()), "type, name and filter are known");
    assert_eq!(config.outputs[0].section.finish().is_err(), diagnostics.errors() == 1, "url was not asked for");
}

#[test]
fn defaults() {
    let (config, diagnostics) = merged(&[""]);
    assert_eq!(diagnostics.errors() + diagnostics.warnings(), 0);
    let service = config.service;
    assert_eq!((service.memory_limit, service.workers), (64 << 20, 1));
    assert_eq!(service.shutdown_timeout, Duration::from_secs(25));
    assert_eq!(service.api, Some(SocketAddr::from(([127, 0, 0, 1], 2020))));
    assert_eq!(service.log_level.as_str(), "info");
    for (text, api) in [("api = true", service.api), ("api = false", None), ("api = {}", service.api)] {
        assert_eq!(merged(&[&format!("[service]\n{text}")]).0.service.api, api, "{text}");
    }
}

#[test]
fn names_are_made_unique_and_leave_given_ones_alone() {
    let (config, diagnostics) = merged(&[
        "[[input]]\ntype='tail'\n[[input]]\ntype='tail'\n[[filter]]\ntype='tail'\n",
        "[[input]]\ntype='stdin'\nname='tail'\n[[input]]\ntype='tail'\nname='tail.3'\n[[output]]\ntype='stdout'\nname='tail'",
    ]);
    assert_eq!(names(&config.inputs), ["tail.2", "tail.4", "tail", "tail.3"]);
    assert_eq!(names(&config.outputs), ["tail"], "kinds have names of their own");
    assert_eq!(diagnostics.errors(), 1, "only that no filter is of type tail");
}

#[test]
fn files_merge_in_order() {
    let (config, _) = merged(&[
        "[[filter]]\ntype='drop'\n[service]\nworkers = 3\n",
        "[[filter]]\ntype='keep'\n[service]\nlog_level='warn'\n",
    ]);
    assert_eq!(names(&config.filters), ["drop", "keep"]);
    assert_eq!((config.service.workers, config.service.log_level), (3, LogLevel::Warn));
}

#[test]
fn told_exactly() {
    let cases: [(&[&str], &str); 3] = [
        (
            &["[[output]]\ntype = 'lokki'\n"],
            r#"
error: unknown type `lokki` in [[output]]; did you mean `loki`?
 --> a.toml:2:8
  |
2 | type = 'lokki'
  |        ^^^^^^^
  |
  = help: outputs are `elasticsearch`, `loki` and `stdout`

1 error in a.toml
"#,
        ),
        (
            &["[service]\nworkers = 2\n", "\n[service]\nworkers = 3\n"],
            r#"
error: `workers` is set in two files
 --> b.toml:3:1
  |
3 | workers = 3
  | ^^^^^^^
  |
  = help: keep one of them
  = note: it is set here first
 --> a.toml:2:1
  |
2 | workers = 2
  | ^^^^^^^

1 error in b.toml
"#,
        ),
        (
            &["[service]\napi = { listen = '0.0.0.0:2020' }\n"],
            r#"
warning: the API can be reached by others: 0.0.0.0:2020 isn't a loopback address
 --> a.toml:2:18
  |
2 | api = { listen = '0.0.0.0:2020' }
  |                  ^^^^^^^^^^^^^^
  |
  = help: it shows counters and the names of inputs and outputs to all who can connect

1 warning in a.toml
"#,
        ),
    ];
    for (texts, expected) in cases {
        let got = report(texts);
        assert_eq!(got, expected.trim_start_matches('\n'), "\n--- got\n{got}");
    }
}

#[test]
fn told_in_words() {
    let cases: [(&str, &str, &str); 21] = [
        ("[[ouput]]\n", "1:3", "unknown table `ouput`; did you mean `output`?"),
        ("[[outputs]]\n", "1:3", "did you mean `output`?"),
        ("[sinks]\n", "1:2", "unknown name `sinks` at the top of the file"),
        ("workers = 2\n", "1:1", "`workers` is a setting of [service]"),
        ("[output]\ntype='loki'\n", "1:2", "it takes double brackets"),
        ("output = 5\n", "1:10", "`output` must be a table: [[output]], found the number 5"),
        ("output = [5]\n", "1:11", "an item of `output` must be a table, found the number 5"),
        ("[[service]]\n", "1:1", "it takes single brackets"),
        ("[[input]]\npath='x'\n", "1:1", "missing setting `type` in [[input]]"),
        ("[[input]]\ntipe='tail'\n", "2:1", "unknown setting `tipe`"),
        ("[[input]]\ntype=5\n", "2:6", "`type` must be a string, found the number 5"),
        ("[[input]]\ntype='loki'\n", "2:6", "there is no input of type `loki`, it is an output"),
        ("[[input]]\ntype='xyz'\n", "2:6", "inputs are `generate`, `stdin` and `tail`"),
        ("[[input]]\ntype='tail'\n[[input.filter]]\ntype='drp'\n", "4:6", "in [[input.filter]]; did you mean `drop`?"),
        ("[[input]]\ntype='tail'\nname='a/b'\n", "3:6", "`name` must be of letters"),
        ("[[input]]\ntype='tail'\nname='..'\n", "3:6", "`name` must be of letters"),
        (
            "[[input]]\ntype='tail'\nname='a'\n[[input]]\ntype='tail'\nname='a'\n",
            "6:6",
            "there are two inputs named `a`",
        ),
        ("[[parser]]\ntype='regex'\n", "1:1", "missing setting `name` in [[parser]]"),
        ("[service]\nworkers = 65\n", "2:11", "`workers` must be from 1 to 64"),
        ("[service]\nlog_level = 'verbose'\n", "2:13", "must be `error`, `warn`, `info`, `debug` or `trace`"),
        (
            "[service]\napi = { lisen = 'x' }\n",
            "2:9",
            "unknown setting `lisen` in `api` of [service]; did you mean `listen`?",
        ),
    ];
    for (text, place, words) in cases {
        let report = report(&[text]);
        assert!(report.contains(&format!("a.toml:{place}\n")), "{text}: place {place}\n{report}");
        assert!(report.contains(words), "{text}: {words}\n{report}");
        assert!(report.ends_with("1 error in a.toml\n"), "{text}\n{report}");
    }
}

#[test]
fn all_mistakes_of_all_files_at_once() {
    let report = report(&[
        "[service]\nworkers = 'two'\nmemory = 1\n[[input]]\ntype = 'tial'\n",
        "[[output]]\ntype = 'loki'\nname = 'a b'\n[[filters]]\nurl = \"x\n",
    ]);
    let places: Vec<&str> = report.lines().filter_map(|line| line.trim().strip_prefix("--> ")).collect();
    assert_eq!(places, ["a.toml:2:11", "a.toml:3:1", "a.toml:5:8", "b.toml:3:8", "b.toml:4:3", "b.toml:5:9"]);
    assert!(report.ends_with("6 errors in a.toml and b.toml\n"), "{report}");
}

// === files ===

fn loaded(paths: &[&Path]) -> (Config, String) {
    let diagnostics = Diagnostics::default();
    let paths: Vec<PathBuf> = paths.iter().map(|path| (*path).to_owned()).collect();
    let config = load(&paths, &types(), &environment(), &diagnostics);
    let report = diagnostics.render(false);
    assert_eq!(report.is_empty(), diagnostics.errors() + diagnostics.warnings() == 0);
    (config, report)
}

#[test]
fn folders_are_read_in_the_order_of_names() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("20-b.toml", "[[filter]]\ntype='drop'\n");
    write("10-a.toml", "[service]\ndata_dir='state'\n[[filter]]\ntype='keep'\n");
    write("30-c.conf", "not read");
    write(".hidden.toml", "not read");
    std::fs::create_dir(folder.path().join("folder.toml")).unwrap();
    let other = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(other.path(), "[[filter]]\ntype='modify'\n").unwrap();

    let (config, report) = loaded(&[other.path(), folder.path()]);
    assert_eq!(report, "");
    assert_eq!(names(&config.filters), ["modify", "keep", "drop"]);
    assert_eq!(config.service.data_dir, folder.path().join("state"));
    assert_eq!(config.files.len(), 3);

    let (config, report) = loaded(&[folder.path(), &folder.path().join("10-a.toml")]);
    assert!(report.contains("warning") && report.contains("given twice and read once"), "{report}");
    assert_eq!(names(&config.filters), ["keep", "drop"]);
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("large.toml"), vec![b'#'; MAX_FILE_BYTES + 1]).unwrap();
    std::fs::write(path("limit.toml"), vec![b'#'; MAX_FILE_BYTES]).unwrap();
    std::fs::write(path("binary.toml"), b"[service]\nworkers = \xff\xfe\x00").unwrap();
    std::fs::write(path("good.toml"), "[[filter]]\ntype='keep'\n").unwrap();
    std::fs::create_dir(path("empty")).unwrap();
    let files = [
        path("large.toml"),
        path("limit.toml"),
        path("binary.toml"),
        path("none.toml"),
        path("empty"),
        path("good.toml"),
    ];
    let (config, report) = loaded(&files.each_ref().map(PathBuf::as_path));
    for words in [
        "large.toml: it is larger than 1 MiB",
        "binary.toml:2:11\n",
        "the file isn't UTF-8 text",
        "can't read",
        "none.toml: No such file or directory",
        "empty holds no *.toml file",
        "4 errors in",
    ] {
        assert!(report.contains(words), "{words}\n{report}");
    }
    assert_eq!(names(&config.filters), ["keep"]);
}

#[test]
fn an_endless_file_is_refused() {
    let (_, report) = loaded(&[Path::new("/dev/zero")]);
    assert!(report.contains("can't read /dev/zero: it is larger than 1 MiB"), "{report}");
}

proptest::proptest! {
    #[test]
    fn any_bytes_as_a_file(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        loaded(&[file.path()]);
    }

    #[test]
    fn any_tables(
        lines in proptest::collection::vec(
            proptest::sample::select(vec![
                "[[input]]", "[[output]]", "[output]", "[[output.filter]]", "[input.filter]", "[service]", "[[service]]", "[[test]]", "[[parser]]",
                "type = 'tail'", "type = 'loki'", "type = 1", "name = 'a'", "name = ''", "filter = 1", "filter = [1]", "api = 1",
                "api.listen = 1", "workers = 0", "output = 1", "x", "= 1", "[[a", "[", "'''", "service = 1", "input = [{}]",
            ]),
            0..12,
        ),
    ) {
        let text = lines.join("\n");
        let (config, _) = merged(&[&text, &text]);
        for block in config.inputs.iter().chain(&config.outputs).chain(&config.filters).chain(&config.parsers) {
            let _ = block.section.finish();
        }
    }
}
