//! The ledger of the whole agent: every block's counts, by name, and how they are shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use suiro_sdk::ledger::{RouterLedger, read};
use suiro_sdk::{FilterLedger, InputLedger, OutputLedger};

/// Every block's counts.
#[derive(Debug, Default)]
pub struct Books {
    /// By name, in the order of the configuration.
    pub inputs: Vec<(Arc<str>, Arc<InputLedger>)>,
    /// Filters of inputs, then the common ones, then those of outputs.
    pub filters: Vec<(Arc<str>, Arc<FilterLedger>)>,
    /// The router between filters and outputs.
    pub router: Arc<RouterLedger>,
    /// By name, in the order of the configuration.
    pub outputs: Vec<(Arc<str>, Arc<OutputLedger>)>,
}

/// All counts at one moment; what `/api/ledger` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// Inputs.
    pub inputs: Vec<InputCounts>,
    /// Filters.
    pub filters: Vec<FilterCounts>,
    /// The router.
    pub router: RouterCounts,
    /// Outputs.
    pub outputs: Vec<OutputCounts>,
    /// Whether every equation holds; while records move, one may be off by a batch that is just being counted.
    pub balanced: bool,
}

/// An input's counts, in records but for `bytes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct InputCounts {
    pub name: String,
    pub received: u64,
    pub settled: u64,
    pub in_flight: u64,
    pub bytes: u64,
    pub parse_errors: u64,
    pub invalid_utf8: u64,
    pub long_lines: u64,
    pub abandoned_bytes: u64,
    /// What did not come in, by reason; beside the equation.
    pub turned_away: BTreeMap<&'static str, u64>,
}

/// A filter's counts, in records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct FilterCounts {
    pub name: String,
    #[serde(rename = "in")]
    pub taken: u64,
    pub created: u64,
    pub out: u64,
    pub dropped: BTreeMap<&'static str, u64>,
    pub dead_lettered: BTreeMap<&'static str, u64>,
    pub absorbed: u64,
    pub held: u64,
    pub failed: u64,
}

/// The router's counts, in records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct RouterCounts {
    #[serde(rename = "in")]
    pub taken: u64,
    pub routed: u64,
    pub dropped: BTreeMap<&'static str, u64>,
}

/// An output's counts, in records but for `requests`, `retries`, `bytes` and `queued_bytes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct OutputCounts {
    pub name: String,
    pub routed: u64,
    pub recovered: u64,
    pub delivered: u64,
    pub dropped: BTreeMap<&'static str, u64>,
    pub dead_lettered: BTreeMap<&'static str, u64>,
    pub in_flight: u64,
    /// Delivered with less than the configuration asked for, by reason; beside the equation.
    pub altered: BTreeMap<&'static str, u64>,
    pub requests: u64,
    pub retries: u64,
    pub bytes: u64,
    pub queued_bytes: u64,
}

// === impl Books ===

impl Books {
    /// A new input's counts.
    pub fn input(&mut self, name: &Arc<str>) -> Arc<InputLedger> {
        let ledger = Arc::<InputLedger>::default();
        self.inputs.push((name.clone(), ledger.clone()));
        ledger
    }

    /// A new filter's counts.
    pub fn filter(&mut self, name: &Arc<str>) -> Arc<FilterLedger> {
        let ledger = Arc::<FilterLedger>::default();
        self.filters.push((name.clone(), ledger.clone()));
        ledger
    }

    /// A new output's counts.
    pub fn output(&mut self, name: &Arc<str>) -> Arc<OutputLedger> {
        let ledger = Arc::<OutputLedger>::default();
        self.outputs.push((name.clone(), ledger.clone()));
        ledger
    }

    /// All counts now.
    pub fn snapshot(&self) -> Ledger {
        let mut ledger = Ledger {
            inputs: self.inputs.iter().map(|(name, counts)| InputCounts::of(name, counts)).collect(),
            filters: self.filters.iter().map(|(name, counts)| FilterCounts::of(name, counts)).collect(),
            router: RouterCounts {
                taken: read(&self.router.taken),
                routed: read(&self.router.routed),
                dropped: self.router.dropped.snapshot(),
            },
            outputs: self.outputs.iter().map(|(name, counts)| OutputCounts::of(name, counts)).collect(),
            balanced: false,
        };
        ledger.balanced = ledger.imbalances().is_empty();
        ledger
    }
}

// === impl Ledger ===

impl Ledger {
    /// The equations that do not hold, in words.
    pub fn imbalances(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut check = |name: &str, left: u64, right: u64, equation: &str| {
            if left != right {
                wrong.push(format!("{name}: {equation}: {left} != {right}"));
            }
        };
        for i in &self.inputs {
            check(&i.name, i.received, i.settled + i.in_flight, "received = settled + in_flight");
        }
        for f in &self.filters {
            let right = f.out + total(&f.dropped) + total(&f.dead_lettered) + f.absorbed + f.held;
            let equation = "in + created = out + dropped + dead_lettered + absorbed + held";
            check(&f.name, f.taken + f.created, right, equation);
        }
        let r = &self.router;
        check("router", r.taken, r.routed + total(&r.dropped), "in = routed + dropped");
        for o in &self.outputs {
            let right = o.delivered + total(&o.dropped) + total(&o.dead_lettered) + o.in_flight;
            check(
                &o.name,
                o.routed + o.recovered,
                right,
                "routed + recovered = delivered + dropped + dead_lettered + in_flight",
            );
        }
        wrong
    }

    /// Records that should have been delivered and were not: the reason for `run --once` to fail.
    pub fn undelivered(&self) -> u64 {
        let outputs: u64 = self.outputs.iter().map(|o| total(&o.dropped) + total(&o.dead_lettered) + o.in_flight).sum();
        let lost = |f: &FilterCounts| {
            let dropped: u64 = ["panic", "dead_letter_full"].iter().filter_map(|reason| f.dropped.get(reason)).sum();
            dropped + total(&f.dead_lettered)
        };
        let filters: u64 = self.filters.iter().map(lost).sum();
        let held: u64 = self.filters.iter().map(|f| f.held).sum();
        let inputs: u64 = self.inputs.iter().map(|i| i.in_flight).sum();
        outputs + total(&self.router.dropped) + filters + held + inputs
    }
}

fn total(reasons: &BTreeMap<&'static str, u64>) -> u64 {
    reasons.values().sum()
}

// === impl InputCounts ===

impl InputCounts {
    fn of(name: &str, counts: &InputLedger) -> Self {
        InputCounts {
            name: name.to_owned(),
            received: counts.received(),
            settled: counts.settled_records(),
            in_flight: counts.in_flight(),
            bytes: counts.bytes(),
            parse_errors: read(&counts.parse_errors),
            invalid_utf8: read(&counts.invalid_utf8),
            long_lines: read(&counts.long_lines),
            abandoned_bytes: read(&counts.abandoned_bytes),
            turned_away: counts.turned_away.snapshot(),
        }
    }
}

// === impl FilterCounts ===

impl FilterCounts {
    fn of(name: &str, counts: &FilterLedger) -> Self {
        FilterCounts {
            name: name.to_owned(),
            taken: read(&counts.taken),
            created: read(&counts.created),
            out: read(&counts.out),
            dropped: counts.dropped.snapshot(),
            dead_lettered: counts.dead_lettered.snapshot(),
            absorbed: read(&counts.absorbed),
            held: read(&counts.held),
            failed: read(&counts.failed),
        }
    }
}

// === impl OutputCounts ===

impl OutputCounts {
    fn of(name: &str, counts: &OutputLedger) -> Self {
        OutputCounts {
            name: name.to_owned(),
            routed: read(&counts.routed),
            recovered: read(&counts.recovered),
            delivered: read(&counts.delivered),
            dropped: counts.dropped.snapshot(),
            dead_lettered: counts.dead_lettered.snapshot(),
            in_flight: read(&counts.in_flight),
            altered: counts.altered.snapshot(),
            requests: read(&counts.requests),
            retries: read(&counts.retries),
            bytes: read(&counts.bytes),
            queued_bytes: read(&counts.queued_bytes),
        }
    }
}
