//! Broken texts, and what is said about them.

use super::*;

/// Reports to the letter.
#[test]
fn rendered_exactly() {
    let cases = [
        (
            "url = 'x'\n\nlables = { job = \"app\" }\n",
            r#"
error: unknown setting `lables` in [[output]] loki; did you mean `labels`?
 --> suiro.toml:3:1
  |
3 | lables = { job = "app" }
  | ^^^^^^

1 error in suiro.toml
"#,
        ),
        (
            "timeout = '5s'\n",
            r#"
error: missing setting `url` in [[output]] loki
 --> suiro.toml:1:1
  |
1 | timeout = '5s'
  | ^
  |
  = help: for example: url = "http://127.0.0.1:3100"

1 error in suiro.toml
"#,
        ),
        (
            // A mistyped name says enough: that it is missing, too, would be the same mistake twice.
            "urll = 'x'\n\ttimeout = 5\n",
            r#"
error: unknown setting `urll` in [[output]] loki; did you mean `url`?
 --> suiro.toml:1:1
  |
1 | urll = 'x'
  | ^^^^

error: `timeout` must be a duration such as "5s" or "500ms", found a number without a unit
 --> suiro.toml:2:12
  |
2 |     timeout = 5
  |               ^
  |
  = help: write "5s" for seconds; units are us, ms, s, m, h and d

2 errors in suiro.toml
"#,
        ),
        (
            "url = 'x'\nurl = 'y'\n",
            r#"
error: `url` is set twice
 --> suiro.toml:2:1
  |
2 | url = 'y'
  | ^^^
  |
  = note: it is set here first
 --> suiro.toml:1:1
  |
1 | url = 'x'
  | ^^^

1 error in suiro.toml
"#,
        ),
        (
            "url = 'x'\n# nine\n\n\n\n\n\n\n\npath = [\"水路\", 5, true]",
            r#"
error: an item of `path` must be a string, found the number 5
  --> suiro.toml:10:15
   |
10 | path = ["水路", 5, true]
   |                 ^

error: an item of `path` must be a string, found `true`
  --> suiro.toml:10:18
   |
10 | path = ["水路", 5, true]
   |                    ^^^^

2 errors in suiro.toml
"#,
        ),
        (
            "url = 'x'\n[retry]\ninital = '5s'\nmax = '5 s'\n",
            r#"
error: unknown setting `inital` in `retry` of [[output]] loki; did you mean `initial`?
 --> suiro.toml:3:1
  |
3 | inital = '5s'
  | ^^^^^^

error: `max` must be a duration such as "5s" or "500ms": this isn't a unit
 --> suiro.toml:4:9
  |
4 | max = '5 s'
  |         ^^
  |
  = help: units are us, ms, s, m, h and d

2 errors in suiro.toml
"#,
        ),
    ];
    for (text, expected) in cases {
        let got = report_list_paths(text);
        assert_eq!(got, expected.trim_start_matches('\n'), "\n--- for\n{text}\n--- got\n{got}");
    }
}

/// As `report`, with `path` read as a list.
fn report_list_paths(text: &str) -> String {
    let (section, diagnostics) = parsed(text);
    section.set_label("[[output]] loki");
    if section.value("path").is_some_and(|value| value.data() == Data::List) {
        section.list::<String>("path");
        let _ = section.require::<String>("url", "");
        assert!(section.finish().is_err());
    } else {
        assert!(read_loki(&section).is_err() || diagnostics.errors() > 0);
    }
    diagnostics.render(false)
}

/// Settings of the wrong kind: the value's place, and words in the report.
#[test]
fn wrong_values() {
    let cases = [
        ("timeout = true", "1:11", "must be a duration such as \"5s\" or \"500ms\", found `true`"),
        ("timeout = 'fast'", "1:12", "a whole number is expected here"),
        ("timeout = '5'", "1:12", "the unit is missing"),
        ("timeout = \"9999999d\"", "1:12", "longer than a hundred years"),
        ("max_size = '5X'", "1:14", "this isn't a unit"),
        ("max_size = -1", "1:12", "`max_size` must not be negative"),
        ("max_size = 1.5", "1:12", "found the number 1.5"),
        ("max_size = []", "1:12", "found a list"),
        ("listen = ':2020'", "1:10", "for all interfaces write \"0.0.0.0:2020\""),
        ("listen = 'localhost:2020'", "1:10", "write \"127.0.0.1:2020\""),
        ("listen = '::1:2020'", "1:10", "an IPv6 address stands in brackets"),
        ("listen = 2020", "1:10", "found the number 2020"),
        ("listen = 1979-05-27", "1:10", "found a date or time"),
        ("pattern = 'a(b'", "1:13", "isn't a regular expression: unclosed group"),
        ("pattern = \"\\\\d\\\\d[z-a]\"", "1:19", "invalid character class range"),
        ("pattern = '(?=a)'", "1:12", "matching takes linear time"),
        ("pattern = '(\\w{900}){900}'", "1:11", "compiles to more than"),
        ("concurrency = 0", "1:15", "`concurrency` must be from 1 to 64"),
        ("concurrency = 65", "1:15", "`concurrency` must be from 1 to 64"),
        ("concurrency = -3", "1:15", "`concurrency` must not be negative"),
        ("concurrency = 4294967296", "1:15", "must be from 0 to 4294967295"),
        ("concurrency = 99999999999999999999", "1:15", "the number is too large"),
        ("concurrency = '4'", "1:15", "found a string"),
        ("concurrency = 4.0", "1:15", "must be a whole number, found the number 4"),
        ("format = 'jsn'", "1:10", "must be `protobuf` or `json`; did you mean `json`?"),
        ("format = 1", "1:10", "must be `protobuf` or `json`, found the number 1"),
        ("ordered = 'yes'", "1:11", "must be `true` or `false`, found a string"),
        ("labels = 'a'", "1:10", "`labels` must be a table, found a string"),
        ("labels = { a = 1 }", "1:16", "`a` of `labels` must be a string, found the number 1"),
        ("labels = { \"a.b\" = 'x', a.b = 'y' }", "1:27", "`a.b` is set twice in `labels`"),
        ("retry = 5", "1:9", "`retry` must be a table, found the number 5"),
        ("path = ''", "1:8", "must be a path, found an empty string"),
        ("path = \"a\\u0000b\"", "1:8", "contains a NUL byte"),
        ("token = ''", "1:9", "found an empty string"),
        ("token = 5", "1:9", "`token` must be a string, { env = \"NAME\" } or { file = \"/path\" }"),
        ("token = {}", "1:9", "exactly one of `env` and `file`"),
        ("token = { env = 'NOPE' }", "1:17", "the environment variable `NOPE` is not set"),
        ("token = { file = '/nonexistent/x' }", "1:18", "can't read the secret in /nonexistent/x"),
        ("token = { file = '/' }", "1:18", "it is a folder"),
        ("labels = { a = '${NOPE}' }", "1:17", "the environment variable `NOPE` is not set"),
        ("labels = { a = \"\\t${NOPE}\" }", "1:19", "the environment variable `NOPE` is not set"),
        ("labels = { a = '${HOST' }", "1:17", "`${` is never closed"),
        ("[[retrys]]\n", "1:3", "unknown setting `retrys` in [[output]] loki; did you mean `retry`?"),
    ];
    for (text, place, words) in cases {
        let report =
            report(&format!("{text}\nurl = 'x'\n").replace("[[retrys]]\n\nurl = 'x'", "[[retrys]]\nurl = 'x'"));
        assert!(report.contains(&format!("suiro.toml:{place}\n")), "{text}: place {place}\n{report}");
        assert!(report.contains(words), "{text}: {words}\n{report}");
    }
}

/// What isn't TOML: each mistake once, where it is, and what follows read all the same.
#[test]
fn syntax() {
    let cases: [(&str, &[(&str, &str)]); 13] = [
        ("url = \"x\nurll = 1\n", &[("1:9", "the string is never closed"), ("2:1", "unknown setting `urll`")]),
        ("url = loki\n", &[("1:7", "a string must be quoted")]),
        (
            "url = 'x'\ntimeout = 5s\nurll = 1",
            &[("2:11", "a string must be quoted"), ("3:1", "unknown setting `urll`")],
        ),
        ("url\ntimeout = 5", &[("1:4", "`=` and a value are expected"), ("2:11", "without a unit")]),
        ("url = \ntimeout = 5", &[("1:7", "a string must be quoted"), ("2:11", "without a unit")]),
        ("url = 'x' 'y'\ntimeout = 5", &[("1:11", "unexpected"), ("2:11", "without a unit")]),
        (
            "path = ['a', 'b'\ntimeout = 5\nformat = 'jsn'\n",
            &[("1:8", "this `[` is never closed"), ("2:11", "without a unit"), ("3:10", "did you mean `json`")],
        ),
        (
            "retry = { initial = '5s'\n[labels]\na = 1\n",
            &[("1:9", "this `{` is never closed"), ("3:5", "must be a string")],
        ),
        ("url = '''x\ntimeout = 5\n", &[("1:7", "this `'''` is never closed")]),
        ("url = 'x'\npattern = \"\\d\"\ntimeout = 5", &[("2:13", "this isn't an escape"), ("3:11", "without a unit")]),
        (
            "url = 'x'\n[retry\nmax = 1\n[labels]\na = 1",
            &[("2:7", "the header is never closed"), ("5:5", "must be a string")],
        ),
        ("url = 'x'\nurl.a = 1\n", &[("2:1", "cannot extend value of type string")]),
        ("url = 'x' # \u{1}\ntimeout = 5", &[("1:13", "invalid comment character"), ("2:11", "without a unit")]),
    ];
    for (text, expected) in cases {
        let report = report(text);
        for (place, words) in expected {
            assert!(report.contains(&format!("suiro.toml:{place}\n")), "{text}: place {place}\n{report}");
            assert!(report.contains(words), "{text}: {words}\n{report}");
        }
        assert_eq!(report.matches("error: ").count(), expected.len(), "{text}\n{report}");
    }
}

#[test]
fn five_mistakes_at_once_in_the_order_of_the_text() {
    let report = report(
        "timeout = 5\npattern = '['\nlabels = { a = \"${NOPE}\" }\npath = ['x'\nlisten = 'x'\nconcurrency = 65\n",
    );
    let places: Vec<&str> = report.lines().filter_map(|line| line.trim().strip_prefix("--> suiro.toml:")).collect();
    assert_eq!(places, ["1:11", "2:12", "3:17", "4:8", "5:10", "6:15"]);
    assert!(report.ends_with("\n6 errors in suiro.toml\n"), "{report}");
}

#[test]
fn colours_change_nothing_but_colour() {
    let (section, diagnostics) = parsed("urll = 'x'\ntimeout = 5\n");
    assert!(read_loki(&section).is_err());
    let coloured = diagnostics.render(true);
    assert!(coloured.contains("\x1b[1;31merror\x1b[0m"));
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once('\x1b') {
        plain.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    plain.push_str(rest);
    assert_eq!(plain, diagnostics.render(false));
}

#[test]
fn errors_inside_strings_are_placed_through_escapes_and_variables() {
    for (text, offset, len, place, carets) in [
        ("a = 'level = x'", 6, 1, "1:12", 1),
        ("a = \"p \\\"q\\\" = x\"", 6, 1, "1:14", 1),
        ("a = \"${HOST} = x\"", 13, 1, "1:14", 1),
        ("a = \"b ${HOST} c\"", 2, 5, "1:8", 7),
        ("a = \"\"\"\nfirst\n  second\"\"\"", 8, 6, "3:3", 6),
        ("a = \"\"\"\r\nfirst \\\r\n   second\"\"\"", 6, 6, "3:4", 6),
        ("a = '水路x'", 6, 1, "1:8", 1),
        ("a = 'x'", 99, 99, "1:7", 1),
        ("a = 'x'", usize::MAX, usize::MAX, "1:7", 1),
    ] {
        let (section, diagnostics) = parsed(text);
        section.value("a").unwrap().error_in_string(offset, len, "wrong", "");
        let report = diagnostics.render(false);
        assert!(report.contains(&format!("suiro.toml:{place}\n")), "{text}\n{report}");
        assert_eq!(report.matches('^').count(), carets, "{text}\n{report}");
    }
}
