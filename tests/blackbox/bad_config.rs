//! Broken configurations: all that is wrong is shown, with its place, at once.

use std::time::Duration;

use crate::agent::{Outcome, Site};

fn refused(config: &str) -> Outcome {
    let site = Site::new(config);
    let path = site.path("suiro.toml");
    let path = path.to_str().unwrap();
    let checked = site.command(&["check", "-c", path]);
    let ran = site.command(&["run", "-c", path]);
    for outcome in [&checked, &ran] {
        assert_eq!(outcome.code(), 2, "{config}\n{}", outcome.stderr);
        assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
        assert!(outcome.elapsed < Duration::from_secs(2), "{:?}", outcome.elapsed);
        assert!(outcome.stderr.len() < 64 << 10, "{} bytes of errors", outcome.stderr.len());
    }
    assert_eq!(checked.stderr, ran.stderr);
    assert!(!site.path("data").exists(), "a refused configuration changes nothing");
    checked
}

/// An output that is right.
const OUT: &str = "[[output]]\ntype = 'null'\n";

#[test]
fn all_mistakes_are_shown_at_once_with_their_places() {
    let said = refused(
        "[[input]]\ntype = 'tail'\npaht = ['app.log']\n\n\
         [[filter]]\ntype = 'dorp'\nwhen = 'true'\n\n\
         [[filter]]\ntype = 'drop'\nwhen = 'level = \"debug\"'\n\n\
         [[output]]\ntype = 'elasticsearch'\nurl = 'http://127.0.0.1:9200'\ntimeout = 5\nretry = { initial = 'soon' }\n\n\
         [[output]]\ntype = 'loki'\nlabels = { job = 'x' }\n",
    )
    .stderr;
    for wanted in
        ["paht", "`path`", "dorp", "`drop`", "level = ", "timeout", "initial", "missing setting `url`", "suiro.toml:"]
    {
        assert!(said.contains(wanted), "no {wanted} in\n{said}");
    }
}

#[test]
fn each_kind_of_mistake_is_named() {
    for (config, wanted) in [
        ("[[input]\ntype = 'stdin'\n", "suiro.toml:"),
        ("[[inptu]]\ntype = 'stdin'\n", "inptu"),
        ("[[input]]\ntype = 'stdin'\nparser = 'jsno'\n", "`json`"),
        ("[[input]]\npath = 'x'\n", "`type`"),
        ("[[output]]\ntype = 'loki'\nurl = 'nonsense'\nlabels = { job = 'x' }\n", "url"),
        ("[[output]]\ntype = 'loki'\nurl = 'http://127.0.0.1'\nlabels = { 'a-b' = 'x' }\n", "a-b"),
        ("[[output]]\ntype = 'elasticsearch'\nurl = 'http://127.0.0.1'\nindex = '{team}'\n", "index"),
        ("[[output]]\ntype = 'elasticsearch'\nurl = 'http://127.0.0.1'\nindex = 'UPPER'\n", "index"),
        ("[[output]]\ntype = 'http'\nurl = '${SUIRO_TEST_NOT_SET}'\n", "SUIRO_TEST_NOT_SET"),
        ("[[output]]\ntype = 'http'\nurl = 'http://127.0.0.1'\nauth = { user = 'x' }\n", "password"),
        ("[[output]]\ntype = 'http'\nurl = 'http://127.0.0.1'\nqueue = { max_size = 'large' }\n", "max_size"),
        ("[[output]]\nname = 'a'\ntype = 'null'\n[[output]]\nname = 'a'\ntype = 'null'\n", "`a`"),
        ("[[filter]]\ntype = 'multiline'\nstart = '('\n", "start"),
        ("[[filter]]\ntype = 'modify'\nset = { 'a[' = 1 }\n", "a["),
        ("[[filter]]\ntype = 'keep'\nwhen = 'a =~ \"(\"'\n", "when"),
        ("[service]\nworkers = 0\n", "workers"),
        ("[service]\nmemory_limt = '1MiB'\n", "`memory_limit`"),
    ] {
        let config = if config.contains("[[output]]") { config.to_owned() } else { format!("{config}{OUT}") };
        let said = refused(&format!("{config}[[input]]\nname = 'i'\ntype = 'stdin'\n")).stderr;
        assert!(said.contains(wanted), "no {wanted} in\n{said}\nfor\n{config}");
    }
}

#[test]
fn one_mistake_is_one_error() {
    const IN: &str = "[[input]]\ntype = 'stdin'\n";
    for (config, wanted) in [
        (format!("{IN}parser = 'mine'\n{OUT}[[parser]]\nname = 'mine'\ntype = 'jsno'\n"), "`jsno`"),
        (format!("{IN}parser = 'mine'\n{OUT}[[parser]]\nname = 'mine'\ntype = 'json'\ntime_key = 5\n"), "`time_key`"),
        (format!("{IN}parser = {{ pattern = '(?<a>.)' }}\n{OUT}"), "missing setting `type`"),
        (format!("{IN}parser = {{ type = 'rgx', pattern = '(?<a>.)' }}\n{OUT}"), "`regex`"),
        (format!("{IN}tag = 'app.{{level}}'\n{OUT}"), "`retag`"),
        (format!("{IN}tag = '{{@tag}}'\n{OUT}"), "@tag"),
        (format!("{IN}tag = ''\n{OUT}"), "`tag` is empty"),
        (format!("{IN}[[output]]\ntype = 'elasticsearch'\nurl = 'http://me:hunter2@127.0.0.1'\n"), "no user"),
        (format!("{IN}[[output]]\ntype = 'null'\nretry = {{ initial = '5m', max = '1s' }}\n"), "`initial`"),
        (OUT.to_owned(), "no [[input]]"),
    ] {
        let said = refused(&config).stderr;
        assert_eq!(said.matches("error: ").count(), 1, "{said}\nfor\n{config}");
        assert!(said.contains(wanted) && !said.contains("hunter2"), "no {wanted} in\n{said}\nfor\n{config}");
    }
}

#[test]
fn hostile_texts_are_refused_quickly() {
    let deep = format!("x = {}1{}\n{OUT}", "[".repeat(100_000), "]".repeat(100_000));
    let condition =
        format!("[[filter]]\ntype = 'drop'\nwhen = '{}a{}'\n{OUT}", "(".repeat(100_000), ")".repeat(100_000));
    let many = "[[input]]\ntype = 'nothing'\n".repeat(5000);
    let binary = "\u{0}\u{1}\u{7f}\u{202e}".repeat(1000);
    for config in [deep, condition, many, binary] {
        refused(&config);
    }
}

#[test]
fn files_that_are_not_there_or_are_no_text() {
    let site = Site::new(OUT);
    site.write("latin1.toml", b"# caf\xe9\n");
    std::fs::create_dir(site.path("empty.d")).unwrap();
    for (file, wanted) in [("absent.toml", "absent.toml"), ("latin1.toml", "latin1.toml"), ("empty.d", "empty.d")] {
        let outcome = site.command(&["run", "-c", file]);
        assert_eq!(outcome.code(), 2, "{file}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(wanted), "{}", outcome.stderr);
    }
}

#[test]
fn secrets_are_never_shown() {
    let said = refused(
        "[[input]]\ntype = 'stdin'\n[[output]]\ntype = 'http'\nurl = 'http://127.0.0.1'\n\
         auth = { user = 'me', password = 'hunter2', extra = 'x' }\n",
    )
    .stderr;
    assert!(said.contains("extra") && !said.contains("hunter2"), "{said}");
}
