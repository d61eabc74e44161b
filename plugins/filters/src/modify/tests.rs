use proptest::prelude::*;
use suiro_record::TimeKind;

use super::*;
use crate::test_kit::{Rig, fails, json_of};

fn modified(settings: &str, record: &str) -> String {
    let mut rig = Rig::new(build, settings);
    let out = rig.feed_json(&[record]);
    assert_eq!(rig.totals.failed, 0);
    let json = rig.take(out).remove(0);
    rig.assert_settled();
    json
}

#[test]
fn each_setting_does_its_part() {
    for (settings, record, want) in [
        ("rename = { a = 'b' }", r#"{"a":1,"b":2,"c":3}"#, r#"{"b":1,"c":3}"#),
        ("rename = { 'a.x' = 'y.z' }", r#"{"a":{"x":1,"w":2}}"#, r#"{"a":{"w":2},"y":{"z":1}}"#),
        ("rename.a.x = 'b'", r#"{"a":{"x":1}}"#, r#"{"a":{},"b":1}"#),
        ("rename = { z = 'b' }", r#"{"a":1}"#, r#"{"a":1}"#),
        ("copy = { a = 'b.c' }", r#"{"a":[1]}"#, r#"{"a":[1],"b":{"c":[1]}}"#),
        ("copy = { '@service.name' = 'service' }", "{}", r#"{"service":"shop"}"#),
        ("set = { a = 1, b = 1.5, c = true, d = 'x' }", "{}", r#"{"a":1,"b":1.5,"c":true,"d":"x"}"#),
        ("set = { a = '{b}-{c|none}', n = '{missing}' }", r#"{"b":7}"#, r#"{"b":7,"a":"7-none"}"#),
        ("set = { a = ['x', { k = '{b}' }, '{no}'] }", r#"{"b":"ü"}"#, r#"{"b":"ü","a":["x",{"k":"ü"}]}"#),
        ("set = { a = '{{b}}' }", "{}", r#"{"a":"{b}"}"#),
        ("set = { a = 'x' }", r#"{"a":1,"a":2}"#, r#"{"a":"x"}"#),
        ("add = { a = 'x', b = 'y' }", r#"{"a":null}"#, r#"{"a":null,"b":"y"}"#),
        ("add = { a = 'x{@tag}' }", "{}", r#"{"a":"xt"}"#),
        ("hash = 'a'", r#"{"a":"abc"}"#, r#"{"a":"ba7816bf8f01cfea414140de5dae2223"}"#),
        ("hash = ['a.b', 'z']", r#"{"a":{"b":1}}"#, r#"{"a":{"b":"6b86b273ff34fce19d6b804eff5a3f57"}}"#),
        ("remove = ['a.b', 'c']", r#"{"a":{"b":1,"d":2},"c":3,"a.b":4}"#, r#"{"a":{"d":2}}"#),
    ] {
        assert_eq!(modified(settings, record), want, "{settings}");
    }
}

#[test]
fn the_order_is_always_the_same() {
    let settings = "remove = ['gone']\nhash = ['h']\nadd = { a = 'late', z = '{b}' }\nset = { h = '{c}', gone = 1 }\n\
                    copy = { b = 'c' }\nrename = { a = 'b' }";
    let want = r#"{"b":"1","c":"1","h":"6b86b273ff34fce19d6b804eff5a3f57","a":"late","z":"1"}"#;
    assert_eq!(modified(settings, r#"{"a":"1"}"#), want);
    // Within a setting, that of the file.
    assert_eq!(
        modified("set = { b = '{a}', a = 'new', c = '{a}' }", r#"{"a":"old"}"#),
        r#"{"a":"new","b":"old","c":"new"}"#
    );
    assert_eq!(modified("rename = { a = 'b', b = 'c' }", r#"{"a":1}"#), r#"{"c":1}"#);
}

#[test]
fn headers_and_times_can_be_set() {
    let second = 1_000_000_000;
    for (settings, record, time) in [
        ("set = { '@time' = '{ts}' }", r#"{"ts":"2023-11-14T22:13:21Z"}"#, 1_700_000_001),
        ("rename = { ts = '@time' }", r#"{"ts":1700000002}"#, 1_700_000_002),
        ("copy = { ts = '@time' }", r#"{"ts":1700000003.0}"#, 1_700_000_003),
        ("set = { '@time' = 1700000004 }", "{}", 1_700_000_004),
    ] {
        let mut rig = Rig::new(build, settings);
        let out = rig.feed_json(&[record]);
        let row = out[0].batch.rows[0];
        assert_eq!((row.time, row.time_kind), (time * second, TimeKind::Own), "{settings}");
        assert_eq!(
            json_of(&out[0].batch, &row).contains("ts"),
            record.contains("ts") && !settings.starts_with("rename")
        );
        rig.take(out);
    }
    let mut rig = Rig::new(build, "rename = { level = '@severity' }\nset = { '@attributes.k' = 'v' }");
    let out = rig.feed_json(&[r#"{"level":"warn"}"#]);
    let batch = &out[0].batch;
    let mut header = Vec::new();
    batch.header(&batch.rows[0]).unwrap().write_json(&mut header);
    assert_eq!(String::from_utf8_lossy(&header), r#"{"severity":"warn","attributes":{"k":"v"}}"#);
    assert_eq!(json_of(batch, &batch.rows[0]), "{}");
    rig.take(out);
    rig.assert_settled();
}

#[test]
fn what_can_not_be_done_is_counted_once_a_record() {
    let settings = "set = { '@time' = '{t}', 'l[5]' = 1, ok = 1 }\nrename = { t = '@time' }";
    let mut rig = Rig::new(build, settings);
    let out = rig.feed_json(&[r#"{"t":"soon","l":[]}"#, r#"{"l":[1,2,3,4,5,6]}"#]);
    assert_eq!(rig.totals.failed, 1);
    assert_eq!(rig.take(out), [r#"{"t":"soon","l":[],"ok":1}"#, r#"{"l":[1,2,3,4,5,1],"ok":1}"#]);
    rig.assert_settled();
}

#[test]
fn rows_that_are_not_selected_stay_as_they_are() {
    let settings = "rename = { a = 'b' }\nset = { s = '{b}' }\nadd = { d = 1 }\nhash = ['h']\nremove = ['r']";
    let mut rig = Rig::new(build, settings);
    let record = r#"{"a":1,"h":2,"r":3}"#;
    let flow = rig.feed.batch(&[record, record, record], true);
    let out = rig.apply(flow, &Selection::Rows(vec![false, true, false]));
    let out = rig.take(out);
    assert_eq!((out[0].as_str(), out[2].as_str()), (record, record));
    assert_eq!(out[1], r#"{"b":1,"h":"d4735e3a265e16eee03f59718b9b5d03","s":"1","d":1}"#);
    rig.assert_settled();
}

#[test]
fn mistakes_in_settings_are_named() {
    for (settings, words) in [
        ("", "changes nothing"),
        ("set = { 'a..b' = 1 }", "isn't a path"),
        ("set = { '@tag' = 'x' }", "filter `retag`"),
        ("rename = { a = '@service.name' }", "can't be changed"),
        ("rename = { a = 5 }", "must be the path of a field"),
        ("set = { a = '{b' }", "never closed"),
        ("set = { a = 2020-01-01 }", "dates in quotes"),
        ("set = { a = nan }", "a number that JSON has"),
        ("remove = ['@time']", "every record has a time"),
        ("remove = [5]", "the path of a field"),
        ("set = { a = 1 }\nsalt = 'x'", "`salt` is for `hash`"),
        ("set = 5", "must be a table"),
    ] {
        let report = fails(build, settings);
        assert!(report.contains(words), "{words}: {report}");
    }
    let all = fails(build, "set = { 'a..b' = 1, '@tag' = 2 }\nremove = ['@input']");
    assert!(all.contains("a..b") && all.contains("@tag") && all.contains("@input"), "{all}");
}

proptest! {
    /// The whole batch at once does what each record alone would have done.
    #[test]
    fn a_batch_is_its_records(records in proptest::collection::vec("\\{(\"[abc]\":[0-9],){0,3}\"d\":\"[a-z]?\"\\}", 1..8)) {
        let settings = "rename = { a = 'x' }\ncopy = { b = 'y.z' }\nset = { s = '{x|-}{d}' }\nadd = { c = 'new' }\n\
                        hash = ['b']\nremove = ['d']";
        let together = {
            let mut rig = Rig::new(build, settings);
            let out = rig.feed_json(&records.iter().map(String::as_str).collect::<Vec<_>>());
            rig.take(out)
        };
        let alone: Vec<String> = records.iter().map(|record| modified(settings, record)).collect();
        prop_assert_eq!(together, alone);
    }
}
