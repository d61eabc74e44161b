//! `retag`: gives records another tag.
//!
//! | setting | |
//! | --- | --- |
//! | `tag` | a text with fields in it: `"{@tag}.{level}"`; required |
//!
//! Control characters in what it makes become `_`, and it is cut at 256 bytes. A record whose tag can't be made, since a
//! field is missing or the text is empty, keeps its tag and counts as `failed`; so does one that would bring the tags of
//! one batch to more than 256: a tag is for kinds of records, not for each.
//!
//! Records of several tags leave in batches of their own: see [`suiro_sdk::reroute`].

use suiro_sdk::lang::Template;
use suiro_sdk::reroute::{MAX_TAG, Reroute};
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Filter, FilterContext, FilterFactory, Flow, Selection, Stateless};

/// The filter.
#[derive(Clone, Debug)]
struct Retag {
    tag: Template,
}

/// Reads the settings.
pub fn build(settings: &Section) -> Result<Box<dyn FilterFactory>, Reported> {
    let tag = settings.require::<Template>("tag", "\"app.{level}\"");
    if let Ok(tag) = &tag
        && tag.is_literal().is_some_and(|text| text.is_empty() || text.len() > MAX_TAG)
    {
        settings.error_at("tag", format!("`tag` must have from 1 to {MAX_TAG} bytes"), "");
    }
    settings.finish()?;
    Ok(Box::new(Stateless(Retag { tag: tag? })))
}

impl Filter for Retag {
    fn apply(&mut self, flow: &mut Flow, rows: &Selection, cx: &mut FilterContext) {
        if flow.batch.rows.is_empty() {
            return;
        }
        let mut leaving = Reroute::default();
        let mut staying = Vec::new();
        let prepared = self.tag.prepare(&flow.batch);
        let mut text = Vec::new();
        for (i, row) in flow.batch.rows.iter().enumerate() {
            if !rows.has(i) {
                staying.push(*row);
                continue;
            }
            text.clear();
            let made = prepared.render(&flow.batch, row, &mut text).is_ok();
            let tag = clean(&mut text);
            let placed = made
                && !tag.is_empty()
                && (if *tag == *flow.batch.tag {
                    staying.push(*row);
                    true
                } else {
                    leaving.add(tag, row)
                });
            if !placed {
                cx.failed += 1;
                staying.push(*row);
            }
        }
        leaving.leave(flow, staying, cx);
    }
}

/// Makes a tag of what a template rendered.
fn clean(text: &mut [u8]) -> &str {
    for byte in text.iter_mut().filter(|byte| byte.is_ascii_control()) {
        *byte = b'_';
    }
    let tag = std::str::from_utf8(text).unwrap_or_default();
    let mut end = tag.len().min(MAX_TAG);
    while !tag.is_char_boundary(end) {
        end -= 1;
    }
    &tag[..end]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::test_kit::{Feed, Rig, fails, json_of};

    fn by_tag(flows: &[Flow]) -> BTreeMap<String, Vec<String>> {
        let of = |flow: &Flow| flow.batch.rows.iter().map(|row| json_of(&flow.batch, row)).collect();
        flows.iter().map(|flow| (flow.batch.tag.to_string(), of(flow))).collect()
    }

    #[test]
    fn one_tag_for_all_costs_nothing() {
        let mut rig = Rig::new(build, "tag = 'new.{@tag}'");
        let out = rig.feed(&["a", "b"]);
        assert_eq!((out.len(), &*out[0].batch.tag), (1, "new.t"));
        rig.take(out);
        rig.assert_settled();
    }

    #[test]
    fn several_tags_leave_apart() {
        let mut rig = Rig::new(build, "tag = 'app.{l}'");
        let flow =
            rig.feed.batch(&[r#"{"l":"a"}"#, r#"{"l":"b"}"#, r#"{"x":1}"#, r#"{"l":"a","n":2}"#, r#"{"l":"c"}"#], true);
        let out = rig.apply(flow, &Selection::Rows(vec![true, true, true, true, false]));
        let tags = by_tag(&out);
        assert_eq!(tags["app.a"], [r#"{"l":"a"}"#, r#"{"l":"a","n":2}"#]);
        assert_eq!(tags["app.b"], [r#"{"l":"b"}"#]);
        assert_eq!(tags["t"], [r#"{"x":1}"#, r#"{"l":"c"}"#]);
        assert_eq!(rig.totals.failed, 1);
        // Each batch answers for its own records.
        for flow in out {
            match &*flow.batch.tag {
                "app.a" => flow.custody.settle(),
                _ => drop(flow.custody),
            }
        }
        let position = rig.feed.tracker.position();
        let settled: Vec<(u64, u64)> = position.settled.iter().map(|range| (range.start, range.end)).collect();
        assert_eq!((position.mark, settled), (10, vec![(28, 44)]));
    }

    #[test]
    fn the_same_tag_stays() {
        let mut rig = Rig::new(build, "tag = '{l}'");
        let out = rig.feed_json(&[r#"{"l":"t"}"#, r#"{"l":"u"}"#]);
        assert_eq!(by_tag(&out)["t"], [r#"{"l":"t"}"#]);
        rig.take(out);
        rig.assert_settled();
    }

    #[test]
    fn tags_are_cleaned_and_bounded() {
        let mut rig = Rig::new(build, "tag = '{l}'");
        let long = "ü".repeat(200);
        let out = rig.feed_json(&[r#"{"l":"a\nb\u0000"}"#, &format!(r#"{{"l":"{long}"}}"#), r#"{"l":""}"#]);
        let tags: Vec<String> = by_tag(&out).into_keys().collect();
        assert_eq!(tags, ["a_b_", "t", &long[..256]]);
        assert_eq!(rig.totals.failed, 1);
        rig.take(out);
        let many: Vec<String> = (0..300).map(|i| format!(r#"{{"l":"{i}"}}"#)).collect();
        let out = rig.feed_json(&many.iter().map(String::as_str).collect::<Vec<_>>());
        let tags = by_tag(&out);
        assert_eq!((tags.len(), tags["t"].len(), rig.totals.failed), (257, 44, 45));
        rig.take(out);
        rig.assert_settled();
    }

    #[test]
    fn mistakes_in_settings_are_named() {
        assert!(fails(build, "").contains("missing setting `tag`"));
        assert!(fails(build, "tag = ''").contains("from 1 to 256"));
        assert!(fails(build, "tag = '{'").contains("error"));
    }

    proptest! {
        /// However tags mix: no record is lost or doubled, order holds within a tag, and each batch settles its own.
        #[test]
        fn every_record_has_one_place(levels in proptest::collection::vec((proptest::option::of(0u8..4), any::<bool>()), 1..20)) {
            let mut rig = Rig::new(build, "tag = 'x.{l}'");
            let records: Vec<String> = levels.iter().enumerate().map(|(i, (l, _))| match l {
                Some(l) => format!(r#"{{"i":{i},"l":{l}}}"#),
                None => format!(r#"{{"i":{i}}}"#),
            }).collect();
            let flow = rig.feed.batch(&records.iter().map(String::as_str).collect::<Vec<_>>(), true);
            let out = rig.apply(flow, &Selection::Rows(levels.iter().map(|(_, s)| *s).collect()));
            let mut want: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for ((level, selected), record) in levels.iter().zip(&records) {
                let tag = level.filter(|_| *selected).map_or("t".to_owned(), |l| format!("x.{l}"));
                want.entry(tag).or_default().push(record.clone());
            }
            prop_assert_eq!(by_tag(&out), want);
            for (n, flow) in out.iter().enumerate() {
                for row in &flow.batch.rows {
                    prop_assert!(rig.feed.tracker.position().mark <= row.start, "batch {n}");
                }
            }
            rig.take(out);
            rig.assert_settled();
        }
    }

    #[test]
    fn an_empty_batch_passes() {
        let mut rig = Rig::new(build, "tag = 'x'");
        let flow = Feed::new(1).batch(&[], false);
        assert!(rig.apply(flow, &Selection::All).is_empty());
    }
}
