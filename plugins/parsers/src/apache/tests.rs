use proptest::prelude::*;
use suiro_sdk::OnParseError;

use super::*;
use crate::test_kit::{build_with, decode, fails};

const COMBINED: &str = r#"192.0.2.7 - frank [10/Oct/2000:13:55:36 -0700] "GET /a_pb.gif?x=1 HTTP/1.0" 200 2326 "http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)""#;

fn parse(lines: &[&str]) -> Vec<String> {
    decode(Arc::new(Apache::default()), OnParseError::Drop, lines).bodies
}

#[test]
fn combined_and_common() {
    assert_eq!(
        parse(&[COMBINED]),
        [
            r#"{"host":"192.0.2.7","user":"frank","time":"10/Oct/2000:13:55:36 -0700","method":"GET","path":"/a_pb.gif?x=1","protocol":"HTTP/1.0","status":200,"size":2326,"referer":"http://www.example.com/start.html","agent":"Mozilla/4.08 [en] (Win98; I ;Nav)"}"#
        ]
    );
    let (common, _) = COMBINED.split_once(" \"http").unwrap();
    assert_eq!(parse(&[common, &format!("{common}\r")]).len(), 2);
    let decoded = decode(Arc::new(Apache::default()), OnParseError::Keep, &[COMBINED]);
    assert_eq!(decoded.times, [Some(971_211_336_000_000_000)]);
    let without = decode(build_with(build, "keep_time = false"), OnParseError::Keep, &[COMBINED]);
    assert!(!without.bodies[0].contains("time"), "{}", without.bodies[0]);
    assert_eq!(without.times, decoded.times);
}

#[test]
fn dashes_are_absent() {
    let line = r#"h - - [10/Oct/2000:13:55:36 -0700] "-" 408 - "-" "-""#;
    assert_eq!(parse(&[line]), [r#"{"host":"h","time":"10/Oct/2000:13:55:36 -0700","status":408}"#]);
    let line = r#"h id - [10/Oct/2000:13:55:36 -0700] "" - 000 "" """#;
    assert_eq!(parse(&[line]), [r#"{"host":"h","ident":"id","time":"10/Oct/2000:13:55:36 -0700","size":0}"#]);
}

#[test]
fn requests_of_all_kinds() {
    for (request, fields) in [
        ("GET / HTTP/2.0", r#""method":"GET","path":"/","protocol":"HTTP/2.0""#),
        ("get /a b c HTTP/1.1", r#""method":"get","path":"/a b c","protocol":"HTTP/1.1""#),
        ("GET /old", r#""method":"GET","path":"/old""#),
        ("M-SEARCH * HTTP/1.1", r#""method":"M-SEARCH","path":"*","protocol":"HTTP/1.1""#),
        ("GET  HTTP/1.1", r#""request":"GET  HTTP/1.1""#),
        ("GET HTTP/1.1", r#""request":"GET HTTP/1.1""#),
        (r"\x16\x03\x01", r#""request":"\\x16\\x03\\x01""#),
        (r#"GET /a\" HTTP/1.1"#, r#""method":"GET","path":"/a\\\"","protocol":"HTTP/1.1""#),
        (r"GET /a\\", r#""method":"GET","path":"/a\\\\""#),
        ("GET", r#""request":"GET""#),
        (" / HTTP/1.1", r#""request":" / HTTP/1.1""#),
    ] {
        let line = format!(r#"h - - [10/Oct/2000:13:55:36 -0700] "{request}" 200 1"#);
        let want = format!(r#"{{"host":"h","time":"10/Oct/2000:13:55:36 -0700",{fields},"status":200,"size":1}}"#);
        assert_eq!(parse(&[&line]), [want], "{request}");
    }
}

#[test]
fn users_and_agents_may_be_odd() {
    let line = COMBINED.replace("frank", "a [b] c [1").replace("(Win98", "\\\"Win98\\\" ü");
    let body = &parse(&[&line])[0];
    assert!(body.contains(r#""user":"a [b] c [1""#), "{body}");
    assert!(body.contains(r#""agent":"Mozilla/4.08 [en] \\\"Win98\\\" ü; I ;Nav)""#), "{body}");
    // Nor can a user's name stand for the time.
    for name in ["x [01/", "x [01/] y", "x [10/Oct/2000:13:55:36 -0700] y", "x [10/Oct/2000:13:55:36 -0700] \\\"GET"] {
        let line = COMBINED.replace("frank", name);
        let body = &parse(&[&line])[0];
        assert!(body.contains(r#""time":"10/Oct/2000:13:55:36 -0700","method":"GET""#), "{body}");
    }
    // A time that is none leaves the record its time of reading.
    let line = COMBINED.replace("10/Oct", "99/Oct");
    let decoded = decode(Arc::new(Apache::default()), OnParseError::Drop, &[&line]);
    assert_eq!((decoded.bodies.len(), decoded.times[0]), (1, None));
}

#[test]
fn other_lines_do_not_match() {
    let other = [
        "",
        "-",
        "h - -",
        "h - - [10/Oct/2000:13:55:36 -0700]",
        r#"h - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1"#,
        r#"h - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1\"#,
        r#"h - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" abc 1"#,
        r#"h - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200"#,
        r#"h - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 1x"#,
        r#"h - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 1234567890123456789"#,
        r#"h - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 1 "a""#,
        r#"h - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 1 "a" "b" 7"#,
        r#"h - -[10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 1"#,
    ];
    let decoded = decode(Arc::new(Apache::default()), OnParseError::Keep, &other);
    // An empty line is no record at all.
    assert_eq!(decoded.parse_errors as usize, other.len() - 1);
    assert_eq!(decoded.bodies[1], r#"{"log":"h - -"}"#);
    assert!(fails(build, "time_key = 'x'").contains("unknown setting `time_key`"));
}

/// The same grammar as a regular expression.
const REGEX: &str = r#"(?x)^(?<host>[^\ ]+)\ (?<ident>[^\ ]+)\ (?<user>.*?)\ \[(?<time>\d[^\]\[]/[^\]\[]*)\]
    \ "(?:[^"\\]|\\.)*"\ (?:\d{1,18}|-)\ (?:\d{1,18}|-)
    (?:\ "(?<referer>(?:[^"\\]|\\.)*)"\ "(?<agent>(?:[^"\\]|\\.)*)")?\s*$"#;

proptest! {
    #[test]
    fn agrees_with_a_regular_expression(
        host in "[a-z:.-]{1,5}", user in "[a-z \\[\\]0-9/-]{0,9}", time in "[0-9]{1,2}/[a-zA-Z0-9 :]{0,9}",
        request in "[A-Z /\\\\\"x-]{0,12}", status in "[0-9-]{0,4}", size in "[0-9-]{0,20}",
        tail in "( \"[a\\\\\" -]{0,4}\"){0,3}",
    ) {
        let line = format!("{host} - {user} [{time}] \"{request}\" {status} {size}{tail}");
        let want = regex::Regex::new(REGEX).unwrap();
        let want = want.captures(&line);
        let got = split(line.as_bytes());
        prop_assert_eq!(got.is_ok(), want.is_some(), "{}: {:?}", line, got);
        if let (Ok(fields), Some(want)) = (got, want) {
            for (field, name) in [(HOST, "host"), (USER, "user"), (TIME, "time"), (REFERER, "referer"), (AGENT, "agent")] {
                let text = &line[fields.0[field].start as usize..fields.0[field].end as usize];
                let want = want.name(name).map_or("", |m| m.as_str());
                prop_assert_eq!(text, if want == "-" { "" } else { want }, "{} of {}", name, line);
            }
        }
    }

    #[test]
    fn no_line_breaks_it(line in "\\PC{0,80}", head in 0usize..140) {
        let head = head.min(COMBINED.len());
        let _ = split(line.as_bytes());
        let _ = split(format!("{}{line}", &COMBINED[..head]).as_bytes());
    }
}
