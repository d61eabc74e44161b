use proptest::prelude::*;

use super::*;
use crate::test_kit::{Rig, fails, id_of, json_of};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn repetitions_join_the_first() {
    let mut rig = Rig::new(build, "key = 'a'\ncount_field = 'n'");
    let out = rig.feed_json(&[r#"{"a":1,"t":1}"#, r#"{"a":2,"t":2}"#, r#"{"a":1,"t":3}"#, r#"{"b":1}"#]);
    assert_eq!(rig.take(out), [r#"{"b":1}"#]);
    assert!(rig.wait(9 * SECOND).is_empty());
    let out = rig.feed_json(&[r#"{"a":1,"t":4}"#, r#"{"a":3}"#]);
    assert!(out.is_empty());
    let out = rig.wait(SECOND);
    assert_eq!(rig.take(out), [r#"{"a":1,"t":1,"n":3}"#, r#"{"a":2,"t":2}"#]);
    // The window is over: the same again is a new one.
    let out = rig.feed_json(&[r#"{"a":1,"t":5}"#]);
    assert!(out.is_empty());
    let out = rig.flush();
    assert_eq!(rig.take(out), [r#"{"a":3}"#, r#"{"a":1,"t":5}"#]);
    assert_eq!((rig.totals.absorbed, rig.totals.failed), (2, 0));
    rig.assert_settled();
}

#[test]
fn what_is_held_is_settled_unless_durable() {
    for durable in [false, true] {
        let mut rig = Rig::new(build, &format!("durable = {durable}"));
        let out = rig.feed(&["a", "b", "a"]);
        assert!(out.is_empty());
        let position = rig.feed.tracker.position();
        assert_eq!(position.mark, if durable { 0 } else { rig.feed.read });
        assert_eq!(rig.feed.ledger.in_flight(), if durable { 3 } else { 0 });
        let out = rig.wait(10 * SECOND);
        assert_eq!(out[0].custody.is_empty(), !durable);
        assert_eq!(rig.take(out), ["a", "b"]);
        rig.assert_settled();
    }
}

#[test]
fn a_durable_one_waits_for_its_own_record_alone() {
    let mut rig = Rig::new(build, "durable = true\nkey = 'a'");
    let out = rig.feed_json(&[r#"{"b":1}"#, r#"{"a":1}"#, r#"{"b":2}"#]);
    rig.take(out);
    assert_eq!(rig.feed.tracker.position().mark, 8);
    let out = rig.feed_json(&[r#"{"a":1}"#]);
    rig.take(out);
    assert_eq!(rig.feed.tracker.position().settled.first(), Some(&(16..32)));
    let out = rig.flush();
    rig.take(out);
    rig.assert_settled();
}

#[test]
fn keys_can_be_texts() {
    let mut rig = Rig::new(build, "key = '{a|-}/{@tag}'");
    rig.feed_json(&[r#"{"a":"x"}"#, r#"{"a":"x","b":1}"#, r#"{"c":1}"#, r#"{"c":2}"#]);
    let out = rig.flush();
    assert_eq!(rig.take(out), [r#"{"a":"x"}"#, r#"{"c":1}"#]);
    rig.assert_settled();
}

#[test]
fn too_much_goes_early() {
    let mut rig = Rig::new(build, "max_held = 3");
    let out = rig.feed(&["a", "b"]);
    assert!(out.is_empty());
    let out = rig.feed(&["c", "d", "a"]);
    assert_eq!(rig.take(out), ["a", "b"]);
    assert_eq!(rig.totals.held, 2);
    // Alone it is too much for the filter: it goes through.
    let out = rig.feed(&["e", "f", "g", "h"]);
    assert_eq!(rig.take(out), ["c", "d", "e", "f", "g", "h"]);
    let mut small = Rig::new(build, "max_bytes = '64KiB'");
    let long = "x".repeat(40_000);
    for i in 0..10 {
        let out = small.feed(&[&format!("{i}{long}")]);
        small.take(out);
    }
    assert!(small.totals.held <= 2, "{}", small.totals.held);
    let out = small.flush();
    small.take(out);
    assert_eq!(small.totals.out, 10);
    small.assert_settled();
    rig.assert_settled();
}

#[test]
fn a_count_makes_another_record() {
    let mut rig = Rig::new(build, "count_field = 'n'");
    rig.feed_json(&[r#"{"a":1}"#, r#"{"a":1}"#, r#"{"a":2}"#]);
    let out = rig.flush();
    let batch = &out[0].batch;
    assert_eq!((batch.rows[0].ordinal, batch.rows[1].ordinal), (1, 0));
    assert_ne!(id_of(batch, &batch.rows[0]), id_of(batch, &batch.rows[1]));
    assert_eq!(json_of(batch, &batch.rows[0]), r#"{"a":1,"n":2}"#);
    rig.take(out);
    rig.assert_settled();
}

#[test]
fn mistakes_in_settings_are_named() {
    assert!(fails(build, "key = []").contains("is an empty list"));
    assert!(fails(build, "key = 'a..b'").contains("field name"));
    assert!(fails(build, "key = '{a'").contains("never closed"));
    assert!(fails(build, "window = '1ms'").contains("must be from"));
    assert!(fails(build, "count_field = '@tag'").contains("the record's own"));
}

#[derive(Clone, Debug)]
enum Do {
    Feed(Vec<(u8, bool)>),
    Wait(u64),
    Flush,
}

fn actions() -> impl Strategy<Value = Vec<Do>> {
    let lines = proptest::collection::vec((0u8..6, proptest::bool::weighted(0.8)), 1..8);
    let one = prop_oneof![
        6 => lines.prop_map(Do::Feed),
        2 => (0u64..12).prop_map(Do::Wait),
        1 => Just(Do::Flush),
    ];
    proptest::collection::vec(one, 1..20)
}

proptest! {
    /// Whatever comes, whenever: the books balance after each call (the rig checks it), each key that came in goes out, the
    /// counts add up to what was taken, and in the end nothing is held and nobody waits.
    #[test]
    fn nothing_is_lost(actions in actions(), durable: bool, max_held in 1usize..8) {
        let mut rig = Rig::new(build, &format!("key = 'k'\ncount_field = 'n'\ndurable = {durable}\nmax_held = {max_held}"));
        let mut out = Vec::new();
        let mut selected_in = [0u64; 6];
        let mut passed = 0;
        for action in actions.into_iter().chain([Do::Flush]) {
            let flows = match action {
                Do::Wait(seconds) => rig.wait(Duration::from_secs(seconds)),
                Do::Flush => rig.flush(),
                Do::Feed(lines) => {
                    let texts: Vec<String> =
                        lines.iter().map(|(k, s)| format!(r#"{{"k":{k},"s":{s}}}"#)).collect();
                    lines.iter().filter(|(_, s)| *s).for_each(|(k, _)| selected_in[usize::from(*k)] += 1);
                    passed += lines.iter().filter(|(_, s)| !s).count();
                    let flow = rig.feed.batch(&texts.iter().map(String::as_str).collect::<Vec<_>>(), true);
                    rig.apply(flow, &Selection::Rows(lines.iter().map(|(_, s)| *s).collect()))
                }
            };
            prop_assert!(rig.totals.held as usize <= max_held);
            if durable && rig.totals.held > 0 {
                prop_assert!(rig.feed.tracker.position().mark < rig.feed.read);
            }
            out.extend(rig.take(flows));
        }
        let mut counted = [0u64; 6];
        for json in &out {
            let number = |key: &str| json.split(&format!("\"{key}\":")).nth(1)
                .and_then(|rest| rest.split([',', '}']).next()).and_then(|text| text.parse::<u64>().ok());
            if json.contains("\"s\":true") {
                counted[number("k").unwrap() as usize] += number("n").unwrap_or(1);
            } else {
                passed -= 1;
            }
        }
        prop_assert_eq!(counted, selected_in);
        prop_assert_eq!(passed, 0);
        rig.assert_settled();
    }
}
