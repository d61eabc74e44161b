//! The ledger as `run --once --ledger-json FILE` writes it and `/api/ledger` serves it, and its three equations.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Counts are records.
#[derive(Debug, Deserialize)]
pub(crate) struct Ledger {
    pub(crate) inputs: Vec<Input>,
    pub(crate) filters: Vec<Filter>,
    pub(crate) outputs: Vec<Output>,
    /// What the agent says of its own sums.
    pub(crate) balanced: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) received: u64,
    pub(crate) settled: u64,
    pub(crate) in_flight: u64,
    pub(crate) parse_errors: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Filter {
    pub(crate) name: String,
    #[serde(rename = "in")]
    pub(crate) taken: u64,
    pub(crate) created: u64,
    pub(crate) out: u64,
    pub(crate) dropped: BTreeMap<String, u64>,
    pub(crate) dead_lettered: BTreeMap<String, u64>,
    pub(crate) absorbed: u64,
    pub(crate) held: u64,
    pub(crate) failed: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Output {
    pub(crate) name: String,
    pub(crate) routed: u64,
    pub(crate) recovered: u64,
    pub(crate) delivered: u64,
    pub(crate) dropped: BTreeMap<String, u64>,
    pub(crate) dead_lettered: BTreeMap<String, u64>,
    pub(crate) in_flight: u64,
}

// === impl Ledger ===

impl Ledger {
    /// Asserts that every line adds up, that every line of the input could be parsed, and that a run that went to its
    /// end left nothing in flight or held.
    pub(crate) fn assert_settled(&self) {
        assert!(self.balanced, "{self:?}");
        for input in &self.inputs {
            assert_eq!(input.received, input.settled + input.in_flight, "{input:?}");
            assert_eq!((input.in_flight, input.parse_errors), (0, 0), "{input:?}");
        }
        for filter in &self.filters {
            let left = filter.out + sum(&filter.dropped) + sum(&filter.dead_lettered) + filter.absorbed + filter.held;
            assert_eq!(filter.taken + filter.created, left, "{filter:?}");
            assert_eq!((filter.held, filter.failed), (0, 0), "{filter:?}");
        }
        for output in &self.outputs {
            let left = output.delivered + sum(&output.dropped) + sum(&output.dead_lettered) + output.in_flight;
            assert_eq!(output.routed + output.recovered, left, "{output:?}");
            assert_eq!(output.in_flight, 0, "{output:?}");
        }
    }

    pub(crate) fn input(&self, name: &str) -> &Input {
        self.inputs.iter().find(|input| input.name == name).unwrap_or_else(|| panic!("no input {name} in {self:?}"))
    }

    pub(crate) fn filter(&self, name: &str) -> &Filter {
        self.filters.iter().find(|filter| filter.name == name).unwrap_or_else(|| panic!("no filter {name} in {self:?}"))
    }

    pub(crate) fn output(&self, name: &str) -> &Output {
        self.outputs.iter().find(|output| output.name == name).unwrap_or_else(|| panic!("no output {name} in {self:?}"))
    }
}

/// All reasons together.
pub(crate) fn sum(reasons: &BTreeMap<String, u64>) -> u64 {
    reasons.values().sum()
}
