//! Reading what is right.

use std::net::SocketAddr;

use super::*;

#[test]
fn types() {
    let (section, diagnostics) = parsed(
        r#"
        text = "a ${HOST:-none} $$5 ${NOPE:-fallback}"
        number = -1_000
        hex = 0x1F
        workers = "${WORKERS}"
        ratio = 1
        yes = true
        timeout = "1h30m"
        size = "64MiB"
        bytes = 4096
        listen = "[::1]:2020"
        relative = "certs/ca.pem"
        absolute = "/a/b"
        pattern = '^\d+$'
        one = "a"
        many = ["a", "b"]
        format = "json"
        "#,
    );
    assert_eq!(section.get("text"), Some("a loki.example $5 fallback".to_owned()));
    assert_eq!(section.get("number"), Some(-1000_i64));
    assert_eq!(section.get("hex"), Some(31_u8));
    assert_eq!(section.get("workers"), Some(4_u16));
    assert_eq!(section.get("ratio"), Some(1.0_f64));
    assert!(section.flag("yes"));
    assert!(!section.flag("no"));
    assert_eq!(section.get("timeout"), Some(Duration::from_secs(5400)));
    assert_eq!(section.get("size"), Some(ByteSize::mib(64)));
    assert_eq!(section.get("bytes"), Some(ByteSize(4096)));
    assert_eq!(section.get("listen"), Some("[::1]:2020".parse::<SocketAddr>().unwrap()));
    assert_eq!(section.get("relative"), Some(PathBuf::from("/etc/suiro/certs/ca.pem")));
    assert_eq!(section.get("absolute"), Some(PathBuf::from("/a/b")));
    assert_eq!(section.get::<regex::Regex>("pattern").unwrap().as_str(), r"^\d+$");
    assert_eq!(section.list::<String>("one"), ["a"]);
    assert_eq!(section.list::<String>("many"), ["a", "b"]);
    assert_eq!(section.get::<Vec<String>>("many").unwrap(), ["a", "b"]);
    assert_eq!(section.list::<String>("none"), Vec::<String>::new());
    assert_eq!(section.choice("format", &[("json", 1), ("raw", 2)]), Some(1));
    assert_eq!(section.within("bytes", ByteSize::kib(1)..=ByteSize::kib(4)), Some(ByteSize(4096)));
    assert_eq!(section.or("absent", 7_u64), 7);
    assert_eq!(section.finish(), Ok(()));
    assert_eq!(diagnostics.render(false), "");
}

#[test]
fn maps_keep_order_and_dotted_keys_are_paths() {
    let (section, _) = parsed(
        r#"
        z = "root"
        [set]
        zeta = "1"
        http.status = "2"
        "http.path" = "3"
        a."b.c".d = "4"
        alpha = "5"
        [set.nested]
        x = "6"
        "#,
    );
    let set = section.value("set").unwrap().entries().unwrap();
    let keys: Vec<&str> = set.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(keys, ["zeta", "http.status", "http.path", "a.\"b.c\".d", "alpha", "nested"]);
    assert_eq!(set[5].value.data(), Data::Table);
    assert_eq!(set[1].key_place.describe(), "suiro.toml:5:14");
    assert_eq!(section.value("set").unwrap().section().unwrap().label(), "`set` of suiro.toml");

    let (section, _) = parsed("labels = { job = 'app', k8s.ns = '{ns}' }\nset.a.b = 1\n");
    let labels = section.map::<String>("labels");
    assert_eq!(labels, [("job".to_owned(), "app".to_owned()), ("k8s.ns".to_owned(), "{ns}".to_owned())]);
    assert_eq!(section.map::<u8>("set"), [("a.b".to_owned(), 1)]);
}

#[test]
fn sub_tables_are_finished_with_their_parent() {
    let (section, diagnostics) = parsed("[tls]\nca = 'x'\nunknown = 1\n[[rule]]\na = 1\n[[rule]]\nb = 2\n");
    // Two readers of one table share what they ask for.
    assert!(section.section("tls").unwrap().has("ca"));
    assert!(section.section("tls").unwrap().has("unknown"));
    let rules = section.sections("rule");
    assert_eq!(rules.len(), 2);
    assert_eq!(rules[0].get("a"), Some(1_u8));
    assert!(!section.failed());
    assert!(section.finish().is_err());
    let report = diagnostics.render(false);
    assert!(report.contains("unknown setting `b` in `rule` of suiro.toml"), "{report}");
    assert_eq!(diagnostics.errors(), 1);
    // Once more changes nothing.
    assert!(section.finish().is_err());
    assert_eq!(diagnostics.render(false), report);
}

#[test]
fn units_fail_apart() {
    let (root, diagnostics) = parsed("[[output]]\nurl = 1\n[[output]]\nurl = 'x'\n[output.retry]\nx = 1\n");
    let outputs = root.units("output", "[[output]]");
    assert_eq!(outputs[0].get::<String>("url"), None);
    assert!(outputs[0].finish().is_err());
    assert_eq!(outputs[1].get::<String>("url").unwrap(), "x");
    assert!(!outputs[1].failed() && !root.failed());
    assert!(outputs[1].section_or_empty("retry").exists());
    assert!(outputs[1].finish().is_err());
    assert_eq!(diagnostics.errors(), 2);
}

#[test]
fn an_absent_table_gives_defaults_and_finishes() {
    let (section, _) = parsed("");
    let retry = section.section_or_empty("retry");
    assert!(!retry.exists());
    assert_eq!(retry.or("max", 3_u32), 3);
    assert_eq!(section.finish(), Ok(()));
}

#[test]
fn an_environment_number_is_judged_like_a_written_one() {
    let (section, diagnostics) = parsed("a = '${HOST}'\nb = '${WORKERS}0'\nc = '${NOPE:-true}'\nd = '${NOPE:-1.5}'");
    assert_eq!(section.get::<u32>("a"), None);
    assert_eq!(section.within("b", 1..=10_u32), None);
    assert!(section.flag("c"));
    assert_eq!(section.get("d"), Some(1.5));
    assert_eq!(diagnostics.errors(), 2);
    assert!(!diagnostics.render(false).contains("loki.example"), "a value of the environment is not shown");
}

#[test]
fn secrets_come_from_three_places() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("lf", b"from file\n");
    write("crlf", b"from file\r\n");
    write("bare", b"from file");
    write("two", b"from file\n\n");
    write("empty", b"\n");
    write("binary", b"\xff\xfe");
    write("large", &vec![b'x'; 70_000]);
    let text = "a = 'literal'\nb = { env = 'HOST' }\nc = { file = 'lf' }\nd = { file = 'crlf' }\ne.file = 'bare'\n\
                f = { file = 'two' }\ng = { file = 'empty' }\nh = { file = 'binary' }\ni = { file = 'large' }\n";
    let diagnostics = Diagnostics::default();
    let environment: Environment = Arc::new(|_| Some("from env".to_owned()));
    let section = parse(&Source::new("a.toml", folder.path(), text, 0), &environment, &diagnostics);
    let read = |key: &str| section.get::<Secret>(key).map(|secret| secret.expose().to_owned());
    assert_eq!(read("a").as_deref(), Some("literal"));
    assert_eq!(read("b").as_deref(), Some("from env"));
    for key in ["c", "d", "e"] {
        assert_eq!(read(key).as_deref(), Some("from file"), "{key}");
    }
    assert_eq!(read("f").as_deref(), Some("from file\n"));
    assert_eq!((read("g"), read("h"), read("i")), (None, None, None));
    let report = diagnostics.render(false);
    for words in ["is empty", "it isn't UTF-8", "it is larger than 65536 bytes"] {
        assert!(report.contains(words), "{words}\n{report}");
    }
    let secret = section.get::<Secret>("a").unwrap();
    assert_eq!(format!("{secret} {secret:?} {:?}", section.value("a")), "*** *** Some(Value(`a` at a.toml:1:5))");
}

#[test]
fn sections_cross_threads_and_print_no_values() {
    fn assert_shared<T: Send + Sync>(_: &T) {}
    let (section, diagnostics) = parsed(
        "token = 'hunter2'
x = 1
",
    );
    assert_shared(&section);
    assert_shared(&section.value("token"));
    section.error_at("x", "wrong", "");
    let printed = format!("{section:?} {:?} {diagnostics:?} {:?}", section.value("token"), section.source());
    assert!(!printed.contains("hunter2"), "{printed}");
}

#[test]
fn warnings_are_told_and_fail_nothing() {
    let (section, diagnostics) = parsed("a = 1\n");
    section.warning_at("a", "`a` is old", "use `b`");
    assert_eq!(section.finish(), Ok(()));
    assert_eq!(diagnostics.check(), Ok(()));
    assert_eq!(
        diagnostics.render(false),
        "warning: `a` is old\n --> suiro.toml:1:5\n  |\n1 | a = 1\n  |     ^\n  |\n  = help: use `b`\n\n1 warning in suiro.toml\n"
    );
}
