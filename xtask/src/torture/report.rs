//! What came of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::kills::Kills;
use super::oracle::{Kind, Oracle};
use super::writer::Done;
use crate::error::Error;

/// All there is to say.
pub(super) struct Report {
    pub(super) seed: u64,
    pub(super) kills: Kills,
    pub(super) done: Done,
    pub(super) problems: Vec<String>,
    pub(super) faults: BTreeMap<&'static str, u64>,
    /// Requests, and records that were there already.
    pub(super) counts: (u64, u64),
    /// The output promises at least once, no more.
    pub(super) may_double: bool,
    /// Why nothing should be there twice.
    pub(super) guarantee: &'static str,
    pub(super) oracle: Arc<Oracle>,
}

// === impl Report ===

impl Report {
    pub(super) fn print(&self) {
        let state = self.oracle.lock();
        println!(
            "written: {} bytes, {} rotations, {} truncations",
            self.done.bytes, self.done.rotations, self.done.truncations
        );
        println!("killed: {}", list(&self.kills.by_point));
        println!(
            "the sink: {} requests, {} records it had already (409), and on purpose: {}",
            self.counts.0,
            self.counts.1,
            list(&self.faults)
        );
        for kind in Kind::ALL {
            let count = state.sum(kind);
            println!(
                "{:<17} sent {}, delivered {}, lost {}, duplicated {}",
                kind.name(),
                count.sent,
                count.delivered,
                count.lost,
                count.duplicated
            );
        }
        for problem in self.problems.iter().chain(&state.complaints()) {
            println!("PROBLEM: {problem}");
        }
        let total = state.total();
        println!(
            "sent {}, delivered {}, lost {}, duplicated {} ({}), kills {}, seed {}",
            total.sent, total.delivered, total.lost, total.duplicated, self.guarantee, self.kills.total, self.seed
        );
    }

    /// An error if anything is not as it should be.
    pub(super) fn verdict(&self, folder: &Path) -> Result<(), Error> {
        let state = self.oracle.lock();
        let total = state.total();
        let doubled = if self.may_double { 0 } else { total.duplicated };
        if total.lost + doubled + state.strangers == 0 && self.problems.is_empty() {
            return Ok(());
        }
        Err(format!("the agent failed; its log and data are in {}, the seed was {}", folder.display(), self.seed)
            .into())
    }
}

fn list(counts: &BTreeMap<&str, u64>) -> String {
    let each: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
    if each.is_empty() { "never".to_owned() } else { each.join(", ") }
}

/// The equations of a ledger that do not hold, and what is still under way.
pub(super) fn imbalances(ledger: &Value) -> Vec<String> {
    let blocks = |key: &str| ledger[key].as_array().cloned().unwrap_or_default();
    let number = |block: &Value, key: &str| block[key].as_u64().unwrap_or(0);
    let sum = |block: &Value, key: &str| -> u64 {
        block[key].as_object().map_or(0, |reasons| reasons.values().filter_map(Value::as_u64).sum())
    };
    let mut wrong = Vec::new();
    let mut check = |block: &Value, left: u64, right: u64, held: u64, set_aside: u64| {
        if left != right {
            wrong.push(format!("the ledger does not balance, {left} != {right}: {block}"));
        }
        if held != 0 {
            wrong.push(format!("the ledger ends with {held} records under way: {block}"));
        }
        if set_aside != 0 {
            wrong.push(format!("{set_aside} records were dropped or set aside: {block}"));
        }
    };
    for i in blocks("inputs") {
        let in_flight = number(&i, "in_flight");
        check(&i, number(&i, "received"), number(&i, "settled") + in_flight, in_flight, 0);
    }
    for f in blocks("filters") {
        let right = number(&f, "out")
            + sum(&f, "dropped")
            + sum(&f, "dead_lettered")
            + number(&f, "absorbed")
            + number(&f, "held");
        check(&f, number(&f, "in") + number(&f, "created"), right, number(&f, "held"), sum(&f, "dropped"));
    }
    for o in blocks("outputs") {
        let set_aside = sum(&o, "dropped") + sum(&o, "dead_lettered");
        let in_flight = number(&o, "in_flight");
        let left = number(&o, "routed") + number(&o, "recovered");
        check(&o, left, number(&o, "delivered") + set_aside + in_flight, in_flight, set_aside);
    }
    wrong
}
