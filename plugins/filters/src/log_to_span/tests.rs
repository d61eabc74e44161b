use proptest::prelude::*;

use super::*;
use crate::spans::Spans;
use crate::test_kit::{READ_AT, Rig, fails, id_of, json_of};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn rule(more: &str) -> String {
    format!("span_name = '{{op}}'\ntrace_id = 't'\nspan_id = 's'\n{more}")
}

/// The span of one log, or `None` where it stays a log.
fn span_of(settings: &str, log: &str) -> Option<String> {
    let mut rig = Rig::new(build, settings);
    let out = rig.feed_json(&[log]);
    let made = out[0].batch.signal == Signal::Traces;
    assert_eq!(rig.totals.failed, usize::from(!made));
    let span = rig.take(out).remove(0);
    rig.assert_settled();
    if !made {
        assert_eq!(span, log);
    }
    made.then_some(span)
}

#[test]
fn all_of_a_span() {
    let settings = rule(
        "parent_span_id = 'p'\nstart = 'began'\nduration = 'took'\nkind = '{k}'\nstatus = 'http.status'\nstatus_message = 'err'\ntag = 'spans.{op}'",
    );
    let log = format!(
        r#"{{"op":"GET /","t":"{}","s":"00F067AA0BA902B7","p":"00f067aa0ba902b8","began":"2026-01-01T00:00:00Z","took":12.5,"k":"SPAN_KIND_SERVER","http":{{"status":503,"path":"/x"}},"err":"boom","user":7}}"#,
        TRACE.to_uppercase()
    );
    let mut rig = Rig::new(build, &settings);
    let out = rig.feed_json(&[&log]);
    let batch = &out[0].batch;
    let row = &batch.rows[0];
    let start = 1_767_225_600_000_000_000_i64;
    let want = format!(
        r#"{{"name":"GET /","kind":"server","parent_span_id":"00f067aa0ba902b8","start":{start},"end":{},"status":{{"code":"error","message":"boom"}},"attributes":{{"op":"GET /","k":"SPAN_KIND_SERVER","http":{{"path":"/x"}},"user":7}}}}"#,
        start + 12_500_000
    );
    assert_eq!(json_of(batch, row), want);
    let header =
        |path: &str| batch.get(row, &batch.resolve(&fixed_path(path))).and_then(|f| f.as_str()).unwrap().into_owned();
    assert_eq!((header("@trace_id"), header("@span_id")), (TRACE.to_owned(), "00f067aa0ba902b7".to_owned()));
    assert_eq!(
        (header("@service.name"), &*batch.tag, row.time),
        ("shop".to_owned(), "spans.GET /", start + 12_500_000)
    );
    assert_eq!(Spans::of(batch).times(row), Some((start, start + 12_500_000)));
    assert_eq!(row.ordinal, 1);
    assert!(id_of(batch, row).contains("-0-"));
    rig.take(out);
    rig.assert_settled();
}

#[test]
fn times_in_many_ways() {
    let log = |rest: &str| format!(r#"{{"op":"x","t":"{TRACE}","s":"00f067aa0ba902b7",{rest}}}"#);
    let times = |settings: &str, rest: &str| {
        let span = span_of(&rule(settings), &log(rest))?;
        let field = |key: &str| -> i64 {
            span.split(&format!("\"{key}\":")).nth(1).unwrap().split([',', '}']).next().unwrap().parse().unwrap()
        };
        Some((field("start"), field("end")))
    };
    const S: i64 = 1_000_000_000;
    let at = 1_700_000_000 * S;
    assert_eq!(times("start = 'a'\nend = 'b'", r#""a":1700000000,"b":1700000000.25"#), Some((at, at + S / 4)));
    assert_eq!(times("start = 'a'\nend = 'b'", r#""a":1700000000000,"b":"1700000001000""#), Some((at, at + S)));
    assert_eq!(
        times("start = 'a'\nduration = 'd'\nduration_unit = 's'", r#""a":1700000000,"d":"1.5""#),
        Some((at, at + S * 3 / 2))
    );
    assert_eq!(times("end = 'a'\nduration = 'd'", r#""a":1700000000,"d":"1m30.5s""#), Some((at - 90_500_000_000, at)));
    assert_eq!(times("duration = 'd'", r#""d":"250µs""#), Some((READ_AT - 250_000, READ_AT)));
    assert_eq!(times("start = 'a'", r#""a":1600000000"#), Some((1_600_000_000 * S, READ_AT)));
    for (settings, rest) in [
        ("start = 'a'\nend = 'b'", r#""a":1700000001,"b":1700000000"#),
        ("start = 'a'\nend = 'b'", r#""a":1700000001"#),
        ("start = 'a'", r#""a":"yesterday""#),
        ("start = 'a'", r#""a":-5"#),
        ("duration = 'd'", r#""d":-5"#),
        ("duration = 'd'", r#""d":"5 parsecs""#),
        ("duration = 'd'", r#""d":1e300"#),
    ] {
        assert_eq!(times(settings, rest), None, "{rest}");
    }
}

#[test]
fn what_is_no_span_stays_a_log() {
    let settings = rule("duration = 'd'\nparent_span_id = 'p'\nkind = '{k|}'");
    let log = |t: &str, s: &str, rest: &str| format!(r#"{{"t":"{t}","s":"{s}","d":1{rest}}}"#);
    let good = "00f067aa0ba902b7";
    for (log, is_span) in [
        (log(TRACE, good, r#","op":"x""#), true),
        (log("a3ce929d0e0e4736", good, r#","op":"x""#), true),
        (log("4bf92f35-77b3-4da6-a3ce-929d0e0e4736", good, r#","op":"x""#), true),
        (log("1-5759e988-bd862e3fe1be46a994272793", good, r#","op":"x""#), true),
        (log(TRACE, good, r#","op":"x","p":"""#), true),
        (log(TRACE, good, r#","op":"x","p":"0000000000000000","k":"client""#), true),
        (log(TRACE, good, ""), false),
        (log(TRACE, good, r#","op":"""#), false),
        (log(TRACE, good, r#","op":"x","p":"xyz""#), false),
        (log(TRACE, good, r#","op":"x","k":"butler""#), false),
        (log("", good, r#","op":"x""#), false),
        (log("00000000000000000000000000000000", good, r#","op":"x""#), false),
        (log(&TRACE[1..], good, r#","op":"x""#), false),
        (log(TRACE, "0000000000000000", r#","op":"x""#), false),
        (log(TRACE, "ü0f067aa0ba902b", r#","op":"x""#), false),
    ] {
        assert_eq!(span_of(&settings, &log).is_some(), is_span, "{log}");
    }
}

#[test]
fn statuses() {
    for (value, code) in [
        ("true", Some("error")),
        ("false", None),
        ("500", Some("error")),
        ("404", None),
        ("\"OK\"", Some("ok")),
        ("\"STATUS_CODE_ERROR\"", Some("error")),
        ("\"unset\"", None),
        ("\"503\"", Some("error")),
        ("[]", None),
    ] {
        let log = format!(r#"{{"op":"x","t":"{TRACE}","s":"00f067aa0ba902b7","d":1,"e":{value}}}"#);
        let span = span_of(&rule("duration = 'd'\nstatus = 'e'"), &log).unwrap();
        let want = code.map(|code| format!(r#""status":{{"code":"{code}"}}"#));
        assert_eq!(want.is_some(), span.contains("\"status\""), "{span}");
        assert!(span.contains(&want.unwrap_or_default()), "{span}");
    }
}

#[test]
fn attributes_can_be_named() {
    let log = format!(r#"{{"op":"x","t":"{TRACE}","s":"00f067aa0ba902b7","d":1,"a":{{"b":[1]}},"c":2}}"#);
    let span = span_of(&rule("duration = 'd'\nattributes = { 'http.b' = 'a.b', x = 'none' }"), &log).unwrap();
    assert!(span.ends_with(r#""attributes":{"http.b":[1]}}"#), "{span}");
    let span = span_of(&rule("duration = 'd'\nattributes = {}"), &log).unwrap();
    assert!(!span.contains("attributes"), "{span}");
}

#[test]
fn both_can_go_on() {
    let mut rig = Rig::new(build, &rule("duration = 'd'\nlogs = 'keep'"));
    let log = format!(r#"{{"op":"x","t":"{TRACE}","s":"00f067aa0ba902b7","d":1}}"#);
    let out = rig.feed_json(&[&log, "{}"]);
    assert_eq!((out.len(), rig.totals.created, rig.totals.failed), (2, 1, 1));
    assert_ne!(id_of(&out[0].batch, &out[0].batch.rows[0]), id_of(&out[1].batch, &out[1].batch.rows[0]));
    let mut out = out.into_iter();
    // One of them waits: so does the source.
    out.next().unwrap().custody.settle();
    assert_eq!(rig.feed.tracker.position().mark, 0);
    out.next().unwrap().custody.settle();
    rig.assert_settled();
}

#[test]
fn mistakes_in_settings_are_named() {
    for (settings, words) in [
        ("duration = 'd'", "missing setting `span_name`"),
        ("span_name = 'x'", "missing setting `duration`"),
        ("span_name = 'x'\nend = 'e'", "missing setting `start`"),
        ("span_name = 'x'\nstart = 'a'\nend = 'b'\nduration = 'c'", "leave one of the three out"),
        ("span_name = 'x'\nstart = 'a'\nduration_unit = 's'", "needs `duration`"),
        ("span_name = 'x'\nstart = 'a'\nkind = 'butler'", "no kind of span"),
        ("span_name = 'x'\nstart = 'a'\nattributes = 'all'", "\"rest\" or a table"),
        ("span_name = 'x'\nstart = 'a'\ntag = ''", "from 1 to 256"),
        ("span_name = 'x'\nstart = 'a'\nlogs = 'no'", "`logs` must be"),
    ] {
        let report = fails(build, settings);
        assert!(report.contains(words), "{words}: {report}");
    }
}

proptest! {
    /// Whatever logs come, tags and mixtures: each goes on once, as a span or as itself, and each is waited for.
    #[test]
    fn each_goes_on_once(logs in proptest::collection::vec((any::<bool>(), any::<bool>(), 0u8..3), 1..20), keep: bool) {
        let logs_as = if keep { "keep" } else { "drop" };
        let mut rig = Rig::new(build, &rule(&format!("duration = 'd'\ntag = 'x.{{g}}'\nlogs = '{logs_as}'")));
        let texts: Vec<String> = logs.iter().enumerate().map(|(i, (sound, _, g))| {
            let t = if *sound { TRACE } else { "no" };
            format!(r#"{{"op":"{i}","t":"{t}","s":"00f067aa0ba902b7","d":1,"g":{g}}}"#)
        }).collect();
        let flow = rig.feed.batch(&texts.iter().map(String::as_str).collect::<Vec<_>>(), true);
        let out = rig.apply(flow, &Selection::Rows(logs.iter().map(|(_, selected, _)| *selected).collect()));
        let (mut spans, mut same) = (Vec::new(), Vec::new());
        for flow in &out {
            for row in &flow.batch.rows {
                prop_assert!(rig.feed.tracker.position().mark <= row.start);
                let json = json_of(&flow.batch, row);
                if flow.batch.signal == Signal::Traces { spans.push((flow.batch.tag.to_string(), json)) } else { same.push(json) }
            }
        }
        let made: Vec<usize> = (0..logs.len()).filter(|&i| logs[i].0 && logs[i].1).collect();
        let stays: Vec<&String> = (0..logs.len()).filter(|&i| keep || !(logs[i].0 && logs[i].1)).map(|i| &texts[i]).collect();
        prop_assert_eq!(same.iter().collect::<Vec<_>>(), stays);
        prop_assert_eq!(spans.len(), made.len());
        for i in made {
            let name = format!(r#"{{"name":"{i}","#);
            let wanted = format!("x.{}", logs[i].2);
            let is_there = spans.iter().any(|(tag, json)| json.starts_with(&name) && *tag == wanted);
            prop_assert!(is_there, "{}", i);
        }
        rig.take(out);
        rig.assert_settled();
    }
}
