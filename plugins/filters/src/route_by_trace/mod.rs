//! `route_by_trace`: all spans of a trace go the same way, whichever agent sees them.
//!
//! | setting | |
//! | --- | --- |
//! | `to` | the tags to choose from, required, from 1 to 256: one for each gateway, which an output takes with `match` |
//!
//! One agent sees but a part of a trace whose services run on several machines. So that a second tier can sample whole
//! traces, each agent sends a trace's spans to the gateway that its id chooses.
//!
//! It is rendezvous hashing: each tag is rated together with the trace id, and the best one is chosen. The order of the
//! list does not matter; where a tag is added or removed, only the traces it gets or had go elsewhere. Rating is the same
//! on all machines and in all versions: a tag's name, FNV-1a of 64 bits, mixed with the halves of the id.
//!
//! Logs that have a trace id go with their trace. What has none keeps its tag and counts as `failed`.

use std::sync::Arc;

use suiro_sdk::reroute::{MAX_TAG, MAX_TAGS, Reroute, is_tag};
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Filter, FilterContext, FilterFactory, Flow, Selection, Stateless};

use crate::spans::Spans;

/// The filter.
#[derive(Clone, Debug)]
struct RouteByTrace {
    tiers: Arc<[Tier]>,
}

#[derive(Debug)]
struct Tier {
    tag: String,
    hash: u64,
}

/// Reads the settings.
pub fn build(settings: &Section) -> Result<Box<dyn FilterFactory>, Reported> {
    let tags: Vec<String> = settings.list("to");
    if tags.is_empty() && !settings.has("to") {
        settings.missing("to", "[\"gateway.a\", \"gateway.b\"]");
    } else if !(1..=MAX_TAGS).contains(&tags.len()) {
        settings.error_at("to", format!("`to` must name from 1 to {MAX_TAGS} tags"), "");
    }
    for (i, tag) in tags.iter().enumerate() {
        if !is_tag(tag) {
            let message = format!("`{tag}` is no tag: one has from 1 to {MAX_TAG} bytes, without control characters");
            settings.error_at("to", message, "");
        }
        if tags[..i].contains(tag) {
            settings.error_at("to", format!("`{tag}` is there twice"), "");
        }
    }
    settings.finish()?;
    let tiers = tags.into_iter().map(|tag| Tier { hash: fnv1a(tag.as_bytes()), tag }).collect();
    Ok(Box::new(Stateless(RouteByTrace { tiers })))
}

impl Filter for RouteByTrace {
    fn apply(&mut self, flow: &mut Flow, rows: &Selection, cx: &mut FilterContext) {
        let mut leaving = Reroute::default();
        let mut staying = Vec::new();
        let spans = Spans::of(&flow.batch);
        for (i, row) in flow.batch.rows.iter().enumerate() {
            let id = if rows.has(i) { spans.trace_id(row) } else { None };
            let Some(tag) = id.and_then(|id| self.choose(id)) else {
                cx.failed += usize::from(rows.has(i));
                staying.push(*row);
                continue;
            };
            if *tag == *flow.batch.tag {
                staying.push(*row);
            } else if !leaving.add(tag, row) {
                cx.failed += 1;
                staying.push(*row);
            }
        }
        leaving.leave(flow, staying, cx);
    }
}

// === impl RouteByTrace ===

impl RouteByTrace {
    fn choose(&self, id: u128) -> Option<&str> {
        let best = self.tiers.iter().max_by_key(|tier| (rate(tier.hash, id), &tier.tag));
        best.map(|tier| tier.tag.as_str())
    }
}

fn rate(tier: u64, id: u128) -> u64 {
    mix(mix(tier ^ (id >> 64) as u64) ^ id as u64)
}

/// The finisher of splitmix64: each bit of what comes in changes half of those that go out.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &b| (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::test_kit::{Rig, fails, json_of};

    fn filter(tags: &[&str]) -> RouteByTrace {
        let tier = |tag: &&str| Tier { tag: (*tag).to_owned(), hash: fnv1a(tag.as_bytes()) };
        RouteByTrace { tiers: tags.iter().map(tier).collect() }
    }

    #[test]
    fn agents_agree() {
        let mut by_agent = Vec::new();
        for to in ["['gw.a', 'gw.b']", "['gw.b', 'gw.a']"] {
            let mut rig = Rig::new(build, &format!("to = {to}"));
            let spans: Vec<String> = (1..=64).map(|i| format!(r#"{{"@":"{i:x}","name":"s"}}"#)).collect();
            let mut spans: Vec<&str> = spans.iter().map(String::as_str).collect();
            spans.push(r#"{"name":"no trace"}"#);
            let out = rig.feed_spans(&spans);
            let by_tag: BTreeMap<String, Vec<String>> = out
                .iter()
                .map(|flow| {
                    let ids = flow.batch.rows.iter().map(|row| format!("{:?}", Spans::of(&flow.batch).trace_id(row)));
                    (flow.batch.tag.to_string(), ids.collect())
                })
                .collect();
            assert_eq!(json_of(&out[0].batch, &out[0].batch.rows[0]), r#"{"name":"no trace"}"#);
            assert_eq!(rig.totals.failed, 1);
            assert!(by_tag["gw.a"].len() > 20 && by_tag["gw.b"].len() > 20, "{by_tag:?}");
            rig.take(out);
            rig.assert_settled();
            by_agent.push(by_tag);
        }
        assert_eq!(by_agent[0], by_agent[1]);
    }

    #[test]
    fn ratings_stay_what_they_are() {
        // Another version of the agent must choose the same.
        let two = filter(&["gateway.a", "gateway.b"]);
        let chosen: String = (1..=16_u128)
            .map(|id| two.choose(id * 0x1234_5678_9abc_def0_1357).unwrap().chars().last().unwrap())
            .collect();
        assert_eq!(chosen, "baabbbaabbbbbaba");
    }

    #[test]
    fn mistakes_in_settings_are_named() {
        assert!(fails(build, "").contains("missing setting `to`"));
        assert!(fails(build, "to = []").contains("from 1 to 256"));
        assert!(fails(build, "to = ['a', 'a']").contains("twice"));
        assert!(fails(build, "to = ['']").contains("no tag"));
    }

    proptest! {
        /// A tier that is added takes its part of the traces, and no other trace moves.
        #[test]
        fn few_traces_move(ids in proptest::collection::vec(1..u128::MAX, 400)) {
            let (three, four) = (filter(&["a", "b", "c"]), filter(&["d", "c", "b", "a"]));
            let mut moved = 0;
            for id in &ids {
                let (before, after) = (three.choose(*id).unwrap(), four.choose(*id).unwrap());
                if before != after {
                    prop_assert_eq!(after, "d");
                    moved += 1;
                }
            }
            prop_assert!((40..=170).contains(&moved), "{} of 400", moved);
        }
    }
}
