//! Metrics of a sampler.

use suiro_sdk::Metrics;
use suiro_sdk::metrics::{Counter, Gauge};

use super::policy::{Policy, Rule};

#[derive(Clone, Debug)]
pub(super) struct Counters {
    /// By policy.
    decided: Vec<Counter>,
    undecided: Counter,
    pub(super) early: Counter,
    pub(super) late_kept: Counter,
    pub(super) late_dropped: Counter,
    pub(super) bytes: Gauge,
    pub(super) traces: Gauge,
}

// === impl Counters ===

impl Counters {
    pub(super) fn new(metrics: &Metrics, filter: &str, policies: &[Policy]) -> Self {
        let decided = |policy: &str, decision: &str| {
            let labels = [("filter", filter), ("policy", policy), ("decision", decision)];
            metrics.counter(
                "suiro_tail_sample_traces_total",
                "Traces by what became of them and which policy said so",
                &labels,
            )
        };
        let late = |decision: &str| {
            let labels = [("filter", filter), ("decision", decision)];
            metrics.counter(
                "suiro_tail_sample_late_spans_total",
                "Spans that came after their trace was decided",
                &labels,
            )
        };
        let filter = [("filter", filter)];
        Counters {
            decided: policies
                .iter()
                .map(|policy| decided(&policy.name, if policy.rule == Rule::Drop { "drop" } else { "keep" }))
                .collect(),
            undecided: decided("", "drop"),
            early: metrics.counter(
                "suiro_tail_sample_early_total",
                "Traces decided before their time, since there was no room for more, or the agent ended",
                &filter,
            ),
            late_kept: late("keep"),
            late_dropped: late("drop"),
            bytes: metrics.gauge("suiro_tail_sample_held_bytes", "Memory of held spans", &filter),
            traces: metrics.gauge("suiro_tail_sample_held_traces", "Traces that are not decided yet", &filter),
        }
    }

    /// A trace was decided; by `policy`, if one had something to say.
    pub(super) fn decided(&self, policy: Option<usize>) {
        policy.and_then(|policy| self.decided.get(policy)).unwrap_or(&self.undecided).add(1);
    }
}
