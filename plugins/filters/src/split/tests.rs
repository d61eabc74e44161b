use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::test_kit::{Rig, fails, id_of, json_of};

fn split(settings: &str, records: &[&str]) -> (Rig, Vec<String>) {
    let mut rig = Rig::new(build, settings);
    let out = rig.feed_json(records);
    let out = rig.take(out);
    rig.assert_settled();
    (rig, out)
}

#[test]
fn items_take_the_place_of_their_list() {
    let (rig, out) = split("path = 'items'", &[r#"{"a":1,"items":[{"x":1},"y",[2]],"b":{"c":2}}"#, r#"{"z":1}"#]);
    assert_eq!(
        out,
        [
            r#"{"a":1,"items":{"x":1},"b":{"c":2}}"#,
            r#"{"a":1,"items":"y","b":{"c":2}}"#,
            r#"{"a":1,"items":[2],"b":{"c":2}}"#,
            r#"{"z":1}"#,
        ]
    );
    assert_eq!((rig.totals.created, rig.totals.absorbed, rig.totals.failed), (3, 1, 0));
}

#[test]
fn items_go_elsewhere_or_alone() {
    let record = r#"{"a":1,"d":{"items":[{"x":1},"y"]}}"#;
    let of = |settings| split(settings, &[record]).1;
    assert_eq!(
        of("path = 'd.items'\ninto = 'item'"),
        [r#"{"a":1,"d":{},"item":{"x":1}}"#, r#"{"a":1,"d":{},"item":"y"}"#,]
    );
    assert_eq!(of("path = 'd.items'\nkeep = false"), [r#"{"x":1}"#, "y"]);
    assert_eq!(of("path = 'd.items'\nkeep = false\ninto = 'a.b'"), [r#"{"a":{"b":{"x":1}}}"#, r#"{"a":{"b":"y"}}"#]);
}

#[test]
fn texts_are_split_too() {
    let record = r#"{"m":"one\ntwo\n\nthree\n","n":1}"#;
    let settings = "path = 'm'\nseparator = \"\\n\"";
    assert_eq!(
        split(settings, &[record]).1,
        [r#"{"m":"one","n":1}"#, r#"{"m":"two","n":1}"#, r#"{"m":"three","n":1}"#]
    );
    let (rig, out) = split(settings, &[r#"{"m":"one"}"#, r#"{"m":""}"#, r#"{"m":"\n"}"#, r#"{"m":["a\nb"]}"#]);
    assert_eq!((out.len(), rig.totals.created, rig.totals.failed), (4, 0, 0));
    let (_, out) = split("path = 'm'\nseparator = ', '\nkeep = false", &[r#"{"m":"ä, b"}"#]);
    assert_eq!(out, ["ä", "b"]);
}

#[test]
fn what_is_no_list_or_too_much_stays() {
    let (rig, out) =
        split("path = 'i'\nmax_records = 2", &[r#"{"i":[]}"#, r#"{"i":5}"#, r#"{"i":[1,2,3]}"#, r#"{"i":[1,2]}"#]);
    assert_eq!(out, [r#"{"i":[]}"#, r#"{"i":5}"#, r#"{"i":[1,2,3]}"#, r#"{"i":1}"#, r#"{"i":2}"#]);
    assert_eq!((rig.totals.created, rig.totals.absorbed, rig.totals.failed), (2, 1, 1));
    // A big record with a long list does not become gigabytes.
    let big = format!(r#"{{"text":"{}","i":[{}1]}}"#, "x".repeat(40_000), "1,".repeat(5000));
    let (rig, out) = split("path = 'i'", &[&big]);
    assert_eq!((out, rig.totals.failed), (vec![big.clone()], 1));
    let (rig, out) = split("path = 'i'\nkeep = false", &[&big]);
    assert_eq!((out.len(), rig.totals.failed), (5001, 0));
}

#[test]
fn ids_differ_and_repeat() {
    let ids = || {
        let mut rig = Rig::new(build, "path = 'a'");
        let out = rig.feed_json(&[r#"{"a":[{"b":[1,1]},{"b":[1,1]},{"b":[1,1]}]}"#]);
        let mut second = Rig::new(build, "path = 'a.b'");
        let mut ids = Vec::new();
        for flow in out {
            ids.extend(flow.batch.rows.iter().map(|row| id_of(&flow.batch, row)));
            for flow in second.apply(flow, &Selection::All) {
                ids.extend(flow.batch.rows.iter().map(|row| id_of(&flow.batch, row)));
                flow.custody.settle();
            }
        }
        rig.assert_settled();
        ids
    };
    let once = ids();
    assert_eq!(once.len(), 9);
    assert_eq!(once.iter().collect::<HashSet<_>>().len(), 9);
    assert_eq!(once, ids());
}

#[test]
fn headers_are_not_shared() {
    let mut rig = Rig::new(build, "path = 'i'\nkeep = false");
    let mut flow = rig.feed.batch(&[r#"{"i":[1,2]}"#], true);
    let severity = Path::parse("@severity").unwrap();
    flow.batch.set(0, &severity, NewValue::Str("info")).unwrap();
    let mut out = rig.apply(flow, &Selection::All);
    let batch = &mut out[0].batch;
    batch.set(0, &severity, NewValue::Str("warn")).unwrap();
    let of = |row: usize| batch.get(&batch.rows[row], &batch.resolve(&severity)).map(|field| field.to_value());
    assert_eq!((of(0), of(1)), (Some("warn".into()), Some("info".into())));
    rig.take(out);
    rig.assert_settled();
}

#[test]
fn mistakes_in_settings_are_named() {
    assert!(fails(build, "").contains("missing setting `path`"));
    assert!(fails(build, "path = '@tag'").contains("a field of the record's own"));
    assert!(fails(build, "path = 'a'\nseparator = ''").contains("is empty"));
    assert!(fails(build, "path = 'a'\nmax_records = 0").contains("from 1 to"));
}

proptest! {
    /// However records look and whichever are selected: as many come out as there are items, each the list's in order.
    #[test]
    fn makes_one_of_each(lists in proptest::collection::vec(proptest::option::of(0usize..6), 0..12), keep: bool) {
        let records: Vec<String> = lists.iter().enumerate().map(|(i, n)| match n {
            None => format!(r#"{{"i":{i}}}"#),
            Some(n) => format!(r#"{{"i":{i},"l":[{}]}}"#, (0..*n).map(|k| format!(r#"{{"k":{k}}}"#)).collect::<Vec<_>>().join(",")),
        }).collect();
        let selected: Vec<bool> = (0..records.len()).map(|i| i % 3 != 2).collect();
        let mut rig = Rig::new(build, &format!("path = 'l'\nkeep = {keep}"));
        let flow = rig.feed.batch(&records.iter().map(String::as_str).collect::<Vec<_>>(), true);
        let out = rig.apply(flow, &Selection::Rows(selected.clone()));
        let mut want = Vec::new();
        for (i, n) in lists.iter().enumerate() {
            match n {
                Some(n) if *n > 0 && selected[i] => want.extend((0..*n).map(|k| match keep {
                    true => format!(r#"{{"i":{i},"l":{{"k":{k}}}}}"#),
                    false => format!(r#"{{"k":{k}}}"#),
                })),
                _ => want.push(records[i].clone()),
            }
        }
        let got: Vec<String> = out.iter().flat_map(|f| f.batch.rows.iter().map(|row| json_of(&f.batch, row))).collect();
        prop_assert_eq!(got, want);
        out.into_iter().for_each(|flow| flow.custody.settle());
        rig.assert_settled();
    }
}
