//! Deterministic input: record `i` of a kind is the same on every run, but for the base of its time.
//!
//! - text: Unicode, quotes, backslashes, tabs, leading and trailing blanks, and genuine repeats: every 50th line is the
//!   same.
//! - JSON: escapes, NUL, integers at the ends of 64 bits and far beyond, floats, nested and empty maps, blanks between
//!   tokens; the time under `@timestamp` in even records and under `ts` in odd ones. `refusals` makes some that the
//!   mapping of the tests can't take, and some with a duplicate key, which the JSON parser of the server refuses.
//! - Apache combined: users, escaped quotes, and `-` for what is not known.
//!
//! Times run forward by `STEP` from a base some minutes ago: Loki refuses what is a week old, ten minutes ahead, or
//! an hour behind the newest of its stream.

use std::fmt::Write as _;
use std::time::SystemTime;

use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};

/// Nanoseconds between two records: not a whole number of milliseconds, so that a time cut to those is seen.
const STEP: i64 = 100_000_037;
const LEVELS: [&str; 4] = ["info", "debug", "warn", "error"];
const MESSAGES: [&str; 8] = [
    r"plain words",
    r"caf\u00e9 \ud83d\ude80 \u4f60\u597d",
    "naïve 水路 🚰 Ω",
    r#"a \"quoted\" word, a back\\slash and a sla\/sh"#,
    r"line one\nline two\tand a tab\r",
    r"bell \u0007 and nul \u0000 and del",
    r"",
    r"{\u0022not\u0022: \u0022json\u0022}",
];
const INTEGERS: [&str; 6] = ["0", "-1", "9223372036854775807", "-9223372036854775808", "42", "1000000"];
const BIG: [&str; 4] = ["18446744073709551615", "123456789012345678901234567890", "-99999999999999999999", "7"];
const FLOATS: [&str; 6] = ["0.1", "-2.5e10", "1.0", "3.141592653589793", "1e-7", "12345.678"];

/// One JSON record.
pub(crate) struct JsonLine {
    pub(crate) text: String,
    pub(crate) seq: u64,
    pub(crate) level: &'static str,
    /// Nanoseconds since 1970.
    pub(crate) time: i64,
    /// The value of `big`, an integer that may be beyond 64 bits, as written.
    pub(crate) big: &'static str,
    /// Elasticsearch can't take it.
    pub(crate) refused: bool,
}

/// One line of an access log, and the record it is.
pub(crate) struct ApacheLine {
    pub(crate) text: String,
    pub(crate) fields: Value,
    /// Nanoseconds since 1970; whole seconds.
    pub(crate) time: i64,
}

/// The time of the first record of a file of `count`: all of them end at least ten minutes ago.
pub(crate) fn base(count: u64) -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is past 1970");
    let now = i64::try_from(now.as_nanos()).expect("the clock is before 2262");
    now - 600_000_000_000 - STEP * i64::try_from(count).expect("a small count")
}

/// `count` lines of text.
pub(crate) fn text(count: u64) -> Vec<String> {
    (0..count)
        .map(|i| match i % 50 {
            0 => "heartbeat".to_owned(),
            1 => format!("  indented, line {i}  "),
            2 => format!("line {i}\twith a tab, a \"quote\", a back\\slash and {{braces}}"),
            3 => format!("行 {i} café 🚰 naïve Ω"),
            4 => format!("line {i} \u{1b}[31mred\u{1b}[0m and \u{7f}"),
            5 => format!("{{\"not\": \"parsed\", \"line\": {i}}}"),
            6 => format!("line {i} {}", "long ".repeat(400)),
            _ => format!("2026-03-01T00:00:00Z INFO [worker-{}] request {i} took {} ms", i % 16, i * 7 % 1000),
        })
        .collect()
}

/// `count` JSON records from `base` on.
pub(crate) fn json(count: u64, base: i64, refusals: bool) -> Vec<JsonLine> {
    (0..count).map(|seq| json_line(seq, base, refusals)).collect()
}

fn json_line(seq: u64, base: i64, refusals: bool) -> JsonLine {
    let i = usize::try_from(seq).expect("a small count");
    let time = base + STEP * i64::try_from(seq).expect("a small count");
    let level = LEVELS[i % LEVELS.len()];
    let big = BIG[i % BIG.len()];
    let wrong_type = refusals && seq % 500 == 499;
    let duplicate_key = refusals && seq % 700 == 699;

    // Blanks between the tokens of some: what nobody edits keeps them.
    let (open, colon, comma) = if i % 7 == 3 { ("{ ", " : ", " ,\t") } else { ("{", ":", ",") };
    let time_key = if i % 2 == 0 { "@timestamp" } else { "ts" };
    let n = if wrong_type { "\"not a number\"" } else { INTEGERS[i % INTEGERS.len()] };
    let float = FLOATS[i % FLOATS.len()];
    let mut text = String::from(open);
    for (key, value) in [
        ("seq", seq.to_string()),
        (time_key, format!("\"{}\"", rfc3339(time))),
        ("level", format!("\"{level}\"")),
        ("msg", format!("\"{}\"", MESSAGES[i % MESSAGES.len()])),
        ("n", n.to_owned()),
        ("big", big.to_owned()),
        ("f", float.to_owned()),
        ("old", format!("\"was old {seq}\"")),
        ("yes", if i % 3 == 0 { "true" } else { "false" }.to_owned()),
        ("nothing", "null".to_owned()),
    ] {
        write!(text, "\"{key}\"{colon}{value}{comma}").expect("a string takes all");
    }
    if duplicate_key {
        write!(text, "\"twice\"{colon}1{comma}\"twice\"{colon}2{comma}").expect("a string takes all");
    }
    write!(
        text,
        "\"nest\"{colon}{{\"gone\"{colon}{{\"x\"{colon}1}}{comma}\
         \"b.c\"{colon}[1{comma}{{\"deep\"{colon}[[{float}]{comma}null]}}{comma}true{comma}\"s{seq}\"]{comma}\
         \"Ω\"{colon}{{}}{comma}\"empty\"{colon}[]}}}}"
    )
    .expect("a string takes all");
    JsonLine { text, seq, level, time, big, refused: wrong_type || duplicate_key }
}

/// `count` lines of an access log from `base` on.
pub(crate) fn apache(count: u64, base: i64) -> Vec<ApacheLine> {
    (0..count)
        .map(|i| {
            let seconds = (base + STEP * i64::try_from(i).expect("a small count")) / 1_000_000_000;
            let stamp = Timestamp::from_second(seconds).expect("a time of this century").to_zoned(TimeZone::UTC);
            let stamp = stamp.strftime("%d/%b/%Y:%H:%M:%S %z").to_string();
            let host = format!("10.{}.{}.{}", i / 65_536 % 256, i / 256 % 256, i % 256);
            let user = if i % 5 == 0 { "jürgen" } else { "-" };
            let method = ["GET", "POST", "HEAD"][usize::try_from(i % 3).expect("below 3")];
            let path = format!("/item/{i}?q=%C3%BC&n={}", i % 10);
            let status = [200, 304, 404, 500][usize::try_from(i % 4).expect("below 4")];
            let size = if i % 6 == 1 { "-".to_owned() } else { (i * 31).to_string() };
            let referer = if i % 7 == 2 { "-" } else { "https://example.org/a b" };
            let agent = if i % 9 == 4 { r#"says \"hi\" {x}"# } else { "Mozilla/5.0 (X11; Linux x86_64) 水路/1.0" };
            let text = format!(
                "{host} - {user} [{stamp}] \"{method} {path} HTTP/1.1\" {status} {size} \"{referer}\" \"{agent}\""
            );
            let mut fields = json!({
                "host": host, "time": stamp, "method": method, "path": path, "protocol": "HTTP/1.1", "status": status,
                "agent": agent,
            });
            // What the server wrote as `-` is not there.
            for (name, text) in [("user", user), ("referer", referer)] {
                if text != "-" {
                    fields[name] = text.into();
                }
            }
            if let Ok(size) = size.parse::<u64>() {
                fields["size"] = size.into();
            }
            ApacheLine { text, fields, time: seconds * 1_000_000_000 }
        })
        .collect()
}

/// `2026-11-22T10:00:00.1Z`: as many digits as it takes.
pub(crate) fn rfc3339(nanoseconds: i64) -> String {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).expect("a time of this century").to_string()
}
