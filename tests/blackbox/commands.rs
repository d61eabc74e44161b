//! `check`, `list`, and the command line itself.

use crate::agent::Site;

#[test]
fn check_shows_the_order_in_which_records_pass() {
    let site = Site::new(
        "[[input]]\nname = 'first'\ntype = 'tail'\npath = 'a.log'\nmultiline = 'java'\n\
         [[filter]]\nname = 'one'\ntype = 'drop'\nwhen = 'level == \"debug\"'\n\
         [[filter]]\nname = 'two'\ntype = 'modify'\nset = { a = 1 }\n\
         [[output]]\nname = 'last'\ntype = 'null'\n",
    );
    let outcome = site.command(&["check", "-c", "suiro.toml"]);
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
    let places: Vec<usize> = ["first", "one", "two", "last"]
        .map(|name| outcome.stdout.find(name).unwrap_or_else(|| panic!("{}", outcome.stdout)))
        .to_vec();
    assert!(places.is_sorted(), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("level == \"debug\""), "{}", outcome.stdout);
    assert!(!site.path("data").exists(), "a check changes nothing");
}

#[test]
fn check_warns_of_what_never_meets() {
    let tail = "[[input]]\nname = 'in'\ntype = 'tail'\npath = 'a.log'\n";
    let taking = |glob: &str| format!("[[output]]\nname = 'out'\ntype = 'null'\nmatch = '{glob}'\n");
    let filter = |glob: &str| format!("[[filter]]\nname = 'thin'\ntype = 'drop'\nmatch = '{glob}'\nwhen = 'a == 1'\n");
    for (config, warning) in [
        (tail.to_owned(), Some("no [[output]]")),
        (format!("{tail}tag = 'app'\n{}", taking("kube.*")), Some("input `in` reads: its tag is `app`")),
        (format!("{tail}tag = 'app.{{@file.name}}'\n{}", taking("kube.*")), Some("its tags begin with `app.`")),
        (format!("{tail}tag = 'app.{{@file.name}}'\n{}", taking("app.a.*")), None),
        (format!("{tail}tag = 'app'\n{}{}", taking("*"), filter("ap")), Some("filter `thin` never")),
        (format!("{tail}tag = 'app'\n{}{}", taking("*"), filter("ap*")), None),
        (format!("{tail}tag = 'app'\n{}[[filter]]\ntype = 'retag'\ntag = 'kube.x'\n", taking("kube.*")), None),
    ] {
        let outcome = Site::new(&config).command(&["check", "-c", "suiro.toml"]);
        assert_eq!(outcome.code(), 0, "{}\nfor\n{config}", outcome.stderr);
        assert_eq!(outcome.stderr.contains("warning"), warning.is_some(), "{}\nfor\n{config}", outcome.stderr);
        assert!(outcome.stderr.contains(warning.unwrap_or_default()), "{}\nfor\n{config}", outcome.stderr);
    }
}

#[test]
fn several_files_merge_in_the_order_of_their_names() {
    let site = Site::new("[[output]]\nname = 'out'\ntype = 'stdout'\n");
    std::fs::create_dir(site.path("conf.d")).unwrap();
    site.write("conf.d/20.toml", "[[filter]]\nname = 'later'\ntype = 'modify'\nset = { by = 'later' }\n");
    site.write("conf.d/10.toml", "[[filter]]\nname = 'sooner'\ntype = 'modify'\nset = { by = 'sooner' }\n");
    site.write("conf.d/30.toml", "[[input]]\ntype = 'stdin'\n");
    site.write("conf.d/notes.txt", "not a configuration");
    let outcome = site.command(&["check", "-c", "suiro.toml", "-c", "conf.d"]);
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
    assert!(outcome.stdout.find("sooner") < outcome.stdout.find("later"), "{}", outcome.stdout);
}

#[test]
fn list_names_every_plugin_with_a_word_about_it() {
    let site = Site::new("");
    let all = site.command(&["list"]);
    assert_eq!(all.code(), 0);
    for name in [
        "tail",
        "stdin",
        "forward",
        "generate",
        "json",
        "regex",
        "apache_combined",
        "keep",
        "drop",
        "modify",
        "split",
        "multiline",
        "dedupe",
        "retag",
        #[cfg(feature = "wasm")]
        "wasm",
        "elasticsearch",
        "loki",
        "http",
        "file",
        "stdout",
        "null",
    ] {
        let line = all.stdout.lines().find(|line| line.split_whitespace().next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("no {name} in\n{}", all.stdout));
        assert!(line.split_whitespace().count() > 3, "{line}");
    }
    let outputs = site.command(&["list", "outputs"]);
    assert!(outputs.stdout.contains("loki") && !outputs.stdout.contains("multiline"), "{}", outputs.stdout);
}

#[test]
fn a_wrong_command_line_is_an_error_of_its_own() {
    let site = Site::new("");
    for arguments in [&["rnu"][..], &["run"], &["run", "--onec", "-c", "x"], &[]] {
        let outcome = site.command(arguments);
        assert_eq!(outcome.code(), 2, "{arguments:?}: {}", outcome.stderr);
    }
    assert_eq!(site.command(&["--help"]).code(), 0);
    assert!(site.command(&["--version"]).stdout.starts_with("suiro "));
}
