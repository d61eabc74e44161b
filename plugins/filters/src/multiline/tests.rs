use std::time::Duration;

use proptest::prelude::*;
use suiro_sdk::settings::{Reported, Section};

use super::*;
use crate::test_kit::{Feed, Rig, fails, id_of};

const SECOND: Duration = Duration::from_secs(1);

fn all(rig: &mut Rig, flows: Vec<Flow>) -> Vec<String> {
    let mut texts = rig.take(flows);
    let out = rig.flush();
    texts.extend(rig.take(out));
    rig.assert_settled();
    texts
}

#[test]
fn lines_join_by_start_or_by_continue() {
    let mut rig = Rig::new(build, r"start = '^\d'");
    let out = rig.feed(&["tail", "1 a", " b", "c", "2 d", "3 e"]);
    assert_eq!(all(&mut rig, out), ["tail", "1 a\n b\nc", "2 d", "3 e"]);
    let mut rig = Rig::new(build, r"continue = '^\s|\\$'");
    let out = rig.feed(&["  odd", "a", " b", "\tc", "d"]);
    assert_eq!(all(&mut rig, out), ["  odd", "a\n b\n\tc", "d"]);
    assert_eq!(rig.totals.absorbed, 2);
}

#[test]
fn a_record_goes_on_over_batches() {
    let mut rig = Rig::new(build, r"start = '^\d'");
    let first = rig.feed(&["1 a", "b"]);
    assert!(first.is_empty());
    assert_eq!((rig.totals.held, rig.feed.tracker.position().mark), (2, 0));
    let second = rig.feed(&["c"]);
    assert!(second.is_empty());
    assert_eq!((rig.totals.held, rig.feed.tracker.position().mark), (3, 0));
    let third = rig.feed(&["d", "2 e", "f", "3 g"]);
    let batch = &third[0].batch;
    assert_eq!((batch.rows[0].start, batch.rows[0].end, batch.rows[0].ordinal), (0, 10, 0));
    assert_eq!((batch.rows[1].start, batch.rows[1].end), (10, 16));
    assert_eq!(rig.feed.tracker.position().mark, 0);
    assert_eq!(rig.take(third), ["1 a\nb\nc\nd", "2 e\nf"]);
    // What is open still holds the mark.
    assert_eq!(rig.feed.tracker.position().mark, 16);
    let out = rig.flush();
    assert_eq!(rig.take(out), ["3 g"]);
    rig.assert_settled();
}

#[test]
fn a_long_stream_does_not_pile_up_custody() {
    let mut rig = Rig::new(build, r"start = '^\d'");
    for i in 0..50 {
        let out = rig.feed(&["x", &format!("{} y", i % 10), "z"]);
        assert!(out.iter().all(|flow| flow.custody.receipts().len() <= 2));
        rig.take(out);
        assert_eq!(rig.feed.tracker.open_receipts(), 1);
    }
    let out = rig.flush();
    rig.take(out);
    rig.assert_settled();
}

#[test]
fn a_quiet_source_lets_go() {
    let mut rig = Rig::new(build, r"start = '^\d'");
    let begin = rig.now;
    rig.feed.tracker.note_quiet(begin);
    let out = rig.feed(&["1 a", "b"]);
    assert!(out.is_empty());
    // The source may have more: nothing is let go, however late it is.
    for _ in 0..5 {
        assert!(rig.wait(2 * SECOND).is_empty());
    }
    // It was looked at, but not for long enough.
    rig.feed.tracker.note_quiet(rig.now);
    rig.feed.tracker.note_quiet(rig.now + SECOND / 2);
    assert!(rig.wait(2 * SECOND).is_empty());
    // Nobody looks any more: half a second of quiet stays half a second.
    assert!(rig.wait(60 * SECOND).is_empty());
    rig.feed.tracker.note_quiet(rig.now);
    let out = rig.wait(SECOND);
    assert_eq!(rig.take(out), ["1 a\nb"]);
    assert_eq!(rig.filter.deadline(), None);
    rig.assert_settled();
}

#[test]
fn a_source_that_ended_lets_go() {
    let mut rig = Rig::new(build, "start = '^1'");
    rig.feed.tracker.will_look();
    let out = rig.feed(&["1 a"]);
    assert!(out.is_empty());
    assert!(rig.wait(5 * SECOND).is_empty());
    rig.feed.tracker.end();
    let out = rig.wait(SECOND);
    assert_eq!(rig.take(out), ["1 a"]);
    rig.assert_settled();
}

#[test]
fn a_record_that_comes_line_by_line_does_not_take_all_receipts() {
    let mut rig = Rig::new(build, "start = '^1'\nmax_lines = 1000000");
    let mut texts = Vec::new();
    for i in 0..1500 {
        let out = rig.feed(&[if i == 0 { "1" } else { "x" }]);
        texts.extend(rig.take(out));
        assert!(rig.feed.tracker.open_receipts() <= 1024);
    }
    assert_eq!(texts, [format!("1{}", "\nx".repeat(1023))]);
    let out = rig.flush();
    rig.take(out);
    rig.assert_settled();
}

#[test]
fn a_source_that_does_not_say_goes_by_the_clock() {
    let mut rig = Rig::new(build, "start = '^1'\ntimeout = '3s'");
    let out = rig.feed(&["1 a"]);
    assert!(out.is_empty());
    assert!(rig.wait(2 * SECOND).is_empty());
    let out = rig.feed(&["b"]);
    assert!(out.is_empty());
    assert!(rig.wait(2 * SECOND).is_empty());
    let out = rig.wait(SECOND);
    assert_eq!(rig.take(out), ["1 a\nb"]);
    rig.assert_settled();
}

#[test]
fn bounds_cut() {
    let mut rig = Rig::new(build, "start = '^1'\nmax_lines = 3\nmax_bytes = '1KiB'");
    let long = "x".repeat(600);
    let out = rig.feed(&["1", "a", "b", "c", "d", "1", &long, &long, &"y".repeat(5000), "1"]);
    let texts = all(&mut rig, out);
    assert_eq!(texts, ["1\na\nb", "c\nd", &format!("1\n{long}"), &long, &"y".repeat(5000), "1"]);
    let mut rig = Rig::new(build, "start = '^1'\nmax_held = '10KiB'");
    let mut others: Vec<Feed> = (10..16).map(Feed::new).collect();
    for feed in &mut others {
        let flow = feed.batch(&["1 a"], false);
        let out = rig.apply(flow, &Selection::All);
        rig.take(out);
    }
    assert_eq!((rig.totals.held, rig.totals.out), (4, 2));
    let out = rig.flush();
    rig.take(out);
    assert!(others.iter().all(|feed| feed.ledger.in_flight() == 0));
}

#[test]
fn blank_lines_stay_inside_and_go_outside() {
    let mut rig = Rig::new(build, "pattern = 'java'");
    let out = rig.feed(&["", "", "a", "", " b", "", "  ", "c", ""]);
    assert_eq!(all(&mut rig, out), ["a\n\n b", "c"]);
    assert_eq!(rig.totals.dropped, [(BLANK_LINE, 2)]);
    let mut rig = Rig::new(build, "pattern = 'java'");
    let out = rig.feed(&["a"]);
    assert!(out.is_empty());
    let out = rig.feed(&["", " b", ""]);
    assert_eq!(all(&mut rig, out), ["a\n\n b"]);
}

#[test]
fn other_fields_are_the_first_lines() {
    let mut rig = Rig::new(build, "start = '^1'\npath = 'm.text'");
    let out = rig.feed_json(&[
        r#"{"m":{"text":"1 \"a\""},"n":1}"#,
        r#"{"m":{"text":"b"},"n":2}"#,
        r#"{"other":true}"#,
        r#"{"m":{"text":"c"},"n":3}"#,
    ]);
    assert_eq!(rig.take(out), [r#"{"m":{"text":"1 \"a\"\nb"},"n":1}"#, r#"{"other":true}"#]);
    let out = rig.feed_json(&[r#"{"m":{"text":"d"},"x":4}"#, r#"{"m":{"text":"1"}}"#]);
    assert_eq!(all(&mut rig, out), [r#"{"m":{"text":"c\nd"},"n":3}"#, r#"{"m":{"text":"1"}}"#]);
}

#[test]
fn lines_together_in_the_heap_are_not_copied() {
    let mut rig = Rig::new(build, "start = '^1'");
    let mut flow = rig.feed.batch(&["1 a", "b", "c", "1"], false);
    let before = flow.batch.heap().len();
    let mut cx = FilterContext::new(rig.now);
    rig.filter.apply(&mut flow, &Selection::All, &mut cx);
    assert_eq!(flow.batch.heap().len(), before);
    assert_eq!(flow.batch.sole_text(flow.batch.rows[0].root()), Some(&b"1 a\nb\nc"[..]));
    flow.custody.settle();
    let mut cx = FilterContext::new(rig.now);
    rig.filter.flush(&mut cx);
    cx.emitted.into_iter().for_each(|flow| flow.custody.settle());
    assert_eq!(rig.feed.ledger.in_flight(), 0);
}

#[test]
fn sources_and_tags_do_not_mix() {
    let mut rig = Rig::new(build, "start = '^1'");
    let mut other = Feed::new(8);
    let mut out = Vec::new();
    for (lines, mine) in [(["1 a", "b"], true), (["1 x", "y"], false), (["c", "1 d"], true), (["z", "1 w"], false)] {
        let flow = if mine { rig.feed.batch(&lines, false) } else { other.batch(&lines, false) };
        let flows = rig.apply(flow, &Selection::All);
        out.extend(rig.take(flows));
    }
    let mut tagged = rig.feed.batch(&["e"], false);
    tagged.batch.tag = "u".into();
    let flows = rig.apply(tagged, &Selection::All);
    out.extend(rig.take(flows));
    assert_eq!(all_sorted(out), ["1 a\nb\nc", "1 x\ny\nz"]);
    let flows = rig.flush();
    let rest = rig.take(flows);
    assert_eq!(all_sorted(rest), ["1 d", "1 w", "e"]);
    rig.assert_settled();
    assert_eq!(other.ledger.in_flight(), 0);
}

fn of_an_input(settings: &Section) -> Result<Box<dyn FilterFactory>, Reported> {
    match settings.value("multiline") {
        Some(value) => multiline_from_value(&value),
        None => build(settings),
    }
}

#[test]
fn a_gap_in_the_source_of_an_input_ends_a_record() {
    let mut rig = Rig::new(of_an_input, "multiline = 'java'");
    let mut texts = Vec::new();
    for lines in [&["a", "", " b", ""][..], &["", " c", "d"]] {
        let out = rig.feed(lines);
        texts.extend(rig.take(out));
    }
    let out = rig.flush();
    texts.extend(rig.take(out));
    assert_eq!(texts, ["a\n\n b\n\n\n c", "d"]);
    rig.assert_settled();
    for (settings, want) in
        [("multiline = { start = '^1' }", vec!["1 a", "b", "1 c\nd"]), ("start = '^1'", vec!["1 a\nb", "1 c\nd"])]
    {
        let mut rig = Rig::new(of_an_input, settings);
        let out = rig.feed(&["1 a"]);
        assert!(out.is_empty());
        // What stood here was settled before a restart.
        rig.feed.read += 100;
        let out = rig.feed(&["b", "1 c", "d"]);
        assert_eq!(all(&mut rig, out), want);
    }
}

fn all_sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts
}

#[test]
fn mistakes_in_settings_are_named() {
    for (settings, words) in [
        ("", "missing setting `pattern`"),
        ("pattern = 'jav'", "did you mean `java`"),
        ("pattern = 'java'\nstart = '^a'", "in two ways"),
        ("start = '('", "isn't a regular expression"),
        ("start = 'a'\ntimeout = '1ms'", "must be from"),
        ("start = 'a'\nmax_lines = 1", "must be from"),
        ("start = 'a'\npath = '@tag'", "the record's own"),
    ] {
        let report = fails(build, settings);
        assert!(report.contains(words), "{words}: {report}");
    }
    for (text, good) in [
        ("multiline = 'java'", true),
        ("multiline = { start = '^a', timeout = '2s' }", true),
        ("multiline = 'perl'", false),
        ("multiline = 5", false),
        ("multiline = { start = '^a', tiemout = '2s' }", false),
        ("multiline = {}", false),
    ] {
        let (section, diagnostics) = Section::from_text("[[input]]", text);
        let built = section.value("multiline").map(|value| multiline_from_value(&value).is_ok());
        assert_eq!((built, section.finish().is_ok()), (Some(good), good), "{text}: {}", diagnostics.render(false));
    }
}

/// Records as text, first and last byte, and id.
type Records = Vec<(String, u64, u64, String)>;

/// The lines in batches of those sizes, and what came of them. Checks after each step that the source is nowhere settled
/// where no record went out.
fn chunked(settings: &str, lines: &[String], sizes: &[usize]) -> Records {
    let mut rig = Rig::new(build, settings);
    let total: usize = lines.iter().map(|line| line.len() + 1).sum();
    let mut covered = vec![false; total];
    let mut at = 0;
    for line in lines {
        // A blank line may be no record, and belongs to none where it is the last.
        covered[at..=at + line.len()].fill(line.trim().is_empty());
        at += line.len() + 1;
    }
    let mut out = Vec::new();
    let mut rest = lines;
    let mut sizes = sizes.iter().cycle();
    loop {
        let n = (*sizes.next().unwrap_or(&1)).clamp(1, rest.len().max(1)).min(rest.len());
        let (now, later) = rest.split_at(n);
        let flows = match now {
            [] => rig.flush(),
            now => rig.feed(&now.iter().map(String::as_str).collect::<Vec<_>>()),
        };
        for flow in &flows {
            for row in &flow.batch.rows {
                let text = flow.batch.sole_text(row.root()).unwrap();
                out.push((String::from_utf8_lossy(text).into_owned(), row.start, row.end, id_of(&flow.batch, row)));
                covered[row.start as usize..row.end as usize].fill(true);
            }
        }
        rig.take(flows);
        let position = rig.feed.tracker.position();
        let settled = std::iter::once(0..position.mark).chain(position.settled);
        for range in settled {
            assert!(covered[range.start as usize..range.end as usize].iter().all(|&covered| covered), "{range:?}");
        }
        if now.is_empty() {
            break;
        }
        rest = later;
    }
    rig.assert_settled();
    out
}

proptest! {
    /// Any cut of lines into batches gives the same records, ids included.
    #[test]
    fn batches_make_no_difference(
        lines in proptest::collection::vec("[ab1]?[ {:.)]?(Error)?[a ]?", 1..30),
        sizes in proptest::collection::vec(1usize..6, 1..6),
        settings in proptest::sample::select(vec![
            "start = '^1'", "continue = '^[ b]'", "pattern = 'java'", "pattern = 'python'", "pattern = 'go'",
            "start = '^1'\nmax_lines = 3", "continue = '^.?$'\nmax_lines = 4",
        ]),
    ) {
        let whole = chunked(settings, &lines, &[lines.len()]);
        let parts = chunked(settings, &lines, &sizes);
        prop_assert_eq!(&whole, &parts);
        let mut texts: Vec<&str> = whole.iter().flat_map(|(text, ..)| text.split('\n')).collect();
        texts.retain(|line| !line.trim().is_empty());
        let mut want: Vec<&str> = lines.iter().map(String::as_str).collect();
        want.retain(|line| !line.trim().is_empty());
        prop_assert_eq!(texts, want);
    }
}
