//! Texts nobody would write: nothing panics, nothing leaks, nothing grows.

use proptest::prelude::*;

use super::*;

/// Everything a reader can do to a text.
fn exercise(text: &str) -> String {
    let (section, diagnostics) = parsed(text);
    let _ = read_loki(&section);
    for key in section.keys() {
        let value = section.value(&key).unwrap();
        let _ = value.entries();
        let _ = value.items();
        value.error_in_string(3, 5, "x", "y");
        value.expected("something else");
        let _ = section.sections(&key);
        let _ = section.units(&key, "[[unit]]");
        section.place_of_key(&key).unwrap().describe();
    }
    let _ = section.finish();
    diagnostics.render(true);
    diagnostics.render(false)
}

fn soup() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "url",
        "token",
        "=",
        " = ",
        "\n",
        "\r\n",
        "\"",
        "'",
        "\"\"\"",
        "'''",
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        ",",
        ".",
        "#",
        "\\",
        "\\u00e9",
        "$",
        "${",
        "${HOST}",
        "${NOPE:-x}",
        "$$",
        "}",
        "水",
        "\t",
        "\u{0}",
        "\u{feff}",
        "\u{202e}",
        "1",
        "-",
        "0x",
        "1e999",
        "true",
        "1979-05-27",
        "a.b",
        "retry",
        "[retry]\n",
        "[[output]]\n",
        "x = 1\n",
        "labels = { a = 'b' }\n",
    ]);
    prop::collection::vec(pieces, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        exercise(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn anything_like_toml(text in soup()) {
        exercise(&text);
    }

    #[test]
    fn a_good_line_is_read_whatever_comes_before(noise in "[a-zA-Z0-9 .,;:!?$%&()*+/<>@^_`|~\\\\}#-]{0,40}") {
        // A line of noise that opens no table and no string of several lines costs at most itself.
        let (section, _) = parsed(&format!("{noise}\nconcurrency = 7\n"));
        prop_assert_eq!(section.get("concurrency"), Some(7_u8));
    }

    #[test]
    fn what_is_written_is_read(value in "[^\\p{C}$]{0,40}") {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
        let (section, diagnostics) = parsed(&format!("url = \"{escaped}\""));
        prop_assert_eq!(section.get("url"), Some(value), "{}", diagnostics.render(false));
    }

    #[test]
    fn reports_are_the_same_each_time(text in soup()) {
        prop_assert_eq!(exercise(&text), exercise(&text));
    }

    #[test]
    fn a_secret_is_never_shown(
        template in prop::sample::select(vec![
            "token = \"S\"\n", "tokne = 'S'\n", "token = 'S", "token = S\n", "token = [\"S\"]\n", "x = { token = \"S\" \n",
            "url = \"http://u:S@h\"\nurl = 1\n", "token = \"\"\"\nS\n\"\"\" x\n", "headers = { Authorization = \"S\" x }\n",
            "token = \"\"\"\nS\\q\n\"\"\"\n", "x.token = \"\"\"\nS\\q\nb", "token = ['a',\n'S\u{1}']\n", "token = \"S\" \"S\"\n", "auth.pasword = 'S'\n", "[[a]]\ntoken = \"S\\q\"\n", "timeout = 5\ntoken = 'S'\n",
        ]),
        noise in "[a-z =]{0,10}",
    ) {
        let text = template.replace('S', "hunter2correcthorse");
        for text in [format!("{text}{noise}"), format!("{noise}\n{text}")] {
            let report = exercise(&text);
            prop_assert!(!report.contains("hunter2"), "{text}\n{report}");
        }
    }
}

#[test]
fn nesting_is_bounded() {
    let brackets = "[".repeat(70_000);
    let dots = vec!["a"; 70_000].join(".");
    // What the parser bounds apart, multiplied: 70 braces around keys of 70 parts.
    let both = format!("x = {}1{}", format!("{{ {} = ", vec!["a"; 70].join(".")).repeat(70), " }".repeat(70));
    let headers = format!("[{}]\nx = 1\n", vec!["a"; 60].join("."));
    for text in [format!("x = {brackets}"), format!("{dots} = 1"), format!("[{dots}]"), both, headers] {
        let report = exercise(&text);
        assert!(report.contains("error"), "{report}");
        assert!(report.len() < 100_000, "{}", report.len());
    }
}

#[test]
fn a_long_line_is_shown_around_the_mistake() {
    let filler = "x".repeat(500_000);
    let report = report(&format!("labels = {{ a = '{filler}', b = 5, c = '{filler}' }}\nurl = 'x'"));
    assert!(report.len() < 2000, "{}", report.len());
    let lines: Vec<&str> = report.lines().collect();
    let at = lines[4].find('^').unwrap();
    let column = lines[4][..at].chars().count();
    assert_eq!(lines[3].chars().nth(column), Some('5'), "{report}");
}

#[test]
fn garbage_is_refused_briefly() {
    for garbage in [
        "=\n".repeat(100_000),
        "a b c d\n".repeat(50_000),
        "]".repeat(500_000),
        "\"".repeat(300_001),
        "x=1\n".repeat(100_000),
    ] {
        let started = std::time::Instant::now();
        let report = exercise(&garbage);
        assert!(report.contains(" in suiro.toml"), "{}", &report[..report.len().min(300)]);
        assert!(report.len() < 100_000, "{}", report.len());
        assert!(started.elapsed() < Duration::from_secs(20), "{:?} for {:?}", started.elapsed(), &garbage[..9]);
    }
}

#[test]
fn many_unknown_settings_are_counted_not_kept() {
    let text: String = (0..5000).map(|n| format!("k{n} = 1\n")).collect();
    let report = exercise(&text);
    assert!(report.contains("and ") && report.contains(" more\n"), "the rest is counted");
    assert!(report.matches("error: ").count() <= MAX_KEPT);
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let report = report("url = 'x'\nbad\u{202e}\u{1b}[2J = \"\u{1b}]0;title\u{7}\"\n\"k\\u001b[31m\" = 1\n");
    assert!(!report.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{report:?}");
}

#[test]
fn a_byte_order_mark_shifts_nothing() {
    let report = report("\u{feff}urll = 'x'\n");
    assert!(report.contains("suiro.toml:1:1\n  |\n1 | urll = 'x'\n  | ^^^^\n"), "{report}");
}
