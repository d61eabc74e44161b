//! What the agent tells of the machine it runs on.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::agent::{Outcome, Site};

const PARTS: &str =
    "collect = ['cpu', 'memory', 'disk', 'filesystem', 'network', 'load', 'process']\nutilization = true";

fn site(settings: &str) -> Site {
    Site::new(&format!(
        "[[input]]\nname = 'host'\ntype = 'host_metrics'\ntag = 'host'\n{settings}\n[[output]]\nname = 'out'\ntype = 'stdout'\n"
    ))
}

/// The points that were written, by metric.
fn points(outcome: &Outcome) -> BTreeMap<String, Vec<Value>> {
    let mut points: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in outcome.stdout.lines() {
        let point: Value = serde_json::from_str(line).expect("a line of JSON");
        points.entry(point["name"].as_str().expect("a name").to_owned()).or_default().push(point);
    }
    points
}

#[test]
fn once_is_one_collection() {
    let site = site(PARTS);
    let outcome = site.once();
    let ledger = outcome.all_well();
    let received = ledger.input("host", "received");
    assert_eq!((ledger.output("out", "delivered"), outcome.stdout.lines().count() as u64), (received, received));
    let points = points(&outcome);
    for (name, unit, kind) in [
        ("system.cpu.time", "s", "sum"),
        ("system.cpu.load_average.5m", "{thread}", "gauge"),
        ("system.memory.usage", "By", "sum"),
        ("system.memory.utilization", "1", "gauge"),
        ("system.uptime", "s", "gauge"),
        ("process.cpu.time", "s", "sum"),
        ("process.thread.count", "{thread}", "sum"),
    ] {
        let of = points.get(name).unwrap_or_else(|| panic!("no {name} among {:?}", points.keys()));
        assert!(of.iter().all(|point| point["unit"] == unit && point["kind"] == kind), "{of:?}");
        assert!(of.iter().all(|point| (kind == "sum") == point["start"].is_i64()), "{of:?}");
    }
    assert!(!points.contains_key("system.cpu.utilization"), "there is nothing to compare with yet");
}

#[test]
fn collects_until_it_is_told_to_stop() {
    let site = site(&format!("interval = '100ms'\n{PARTS}"));
    let running = site.start();
    let mut first = 0;
    running.wait_for_ledger("three collections", |ledger| {
        let received = ledger.input("host", "received");
        first = if first == 0 { received } else { first };
        first > 0 && received >= 3 * first
    });
    let outcome = running.stop();
    let ledger = outcome.ledger(0);
    ledger.assert_settled();
    let received = ledger.input("host", "received");
    assert_eq!((ledger.output("out", "delivered"), outcome.stdout.lines().count() as u64), (received, received));
    let points = points(&outcome);
    // Of each processor and mode: no sum goes back, none changes its start.
    let mut before: BTreeMap<String, (f64, i64)> = BTreeMap::new();
    for point in &points["system.cpu.time"] {
        let now = (point["value"].as_f64().unwrap(), point["start"].as_i64().unwrap());
        if let Some(last) = before.insert(point["attributes"].to_string(), now) {
            assert!(last.0 <= now.0 && last.1 == now.1, "{last:?}, then {now:?}");
        }
    }
    let shares = points["system.cpu.utilization"].iter().map(|point| point["value"].as_f64().unwrap());
    assert!(shares.into_iter().all(|share| (0.0..=1.0).contains(&share)));
}
