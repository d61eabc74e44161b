//! What a sampler asks of a trace.
//!
//! Each span is looked at once, when it comes ([`Watch`]); what it adds to the trace is a few numbers ([`Facts`]), and
//! they are all that is asked when the trace is decided.

use std::sync::Arc;
use std::time::{Duration, Instant};

use suiro_record::{Batch, Row};
use suiro_sdk::lang::{Condition, ConditionPrepared};
use suiro_sdk::settings::{Reported, Section};

use crate::select_spans::{SpanRule, SpanRulePrepared};
use crate::spans::Spans;

/// Policies of one filter: their marks are the bits of a number.
pub(super) const MAX_POLICIES: usize = 64;
/// Randomness, and thresholds, are 56 bits: those of W3C Trace Context, level 2.
const RANDOM_BITS: u32 = 56;
const RANDOM_MASK: u64 = (1 << RANDOM_BITS) - 1;

/// One policy: what it says of the traces it is for.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) name: Arc<str>,
    /// Traces it is for: those with a span like this.
    pub(crate) spans: Which,
    pub(crate) rule: Rule,
}

/// Which spans make a trace one that a policy is for.
#[derive(Debug)]
pub(crate) enum Which {
    Any,
    When(Condition),
    Like(Arc<SpanRule>),
}

/// What a policy says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rule {
    /// Keep it.
    Always,
    /// Drop it.
    Drop,
    /// Keep it if a span failed.
    Error,
    /// Keep it if it, from its first span's start to its last one's end, took that long.
    TraceLatency(i64),
    /// Keep it if one of its spans took that long.
    SpanLatency(i64),
    /// Keep so many a second: nanoseconds that one costs.
    Rate(u64),
    /// Keep it if its randomness is this or more.
    Probabilistic(u64),
}

/// The policies and what they mean in one batch.
pub(super) struct Watch<'a> {
    spans: Spans<'a>,
    batch: &'a Batch,
    when: Vec<Watched<'a>>,
}

enum Watched<'a> {
    Any,
    When(ConditionPrepared<'a>),
    Like(SpanRulePrepared<'a>),
}

/// What is known of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// By policy: whether a span is one it is for.
    marks: u64,
    error: bool,
    first: i64,
    last: i64,
    /// Duration of the longest span.
    longest: i64,
    /// What its trace state says of its randomness.
    random: Option<u64>,
}

/// Credit of the `rate` policies, which is spent as traces are decided.
#[derive(Debug)]
pub(super) struct Credits(Vec<Credit>);

#[derive(Clone, Copy, Debug)]
struct Credit {
    nanos: u64,
    since: Option<Instant>,
}

// === impl Policy ===

impl Policy {
    fn read(settings: &Section) -> Result<Policy, Reported> {
        #[derive(Clone, Copy, PartialEq)]
        enum Type {
            Error,
            Latency,
            Attribute,
            Rate,
            Probabilistic,
            Always,
            Drop,
        }
        let types = [
            ("error", Type::Error),
            ("latency", Type::Latency),
            ("attribute", Type::Attribute),
            ("rate", Type::Rate),
            ("probabilistic", Type::Probabilistic),
            ("always", Type::Always),
            ("drop", Type::Drop),
        ];
        let Some(kind) = settings.value("type") else {
            settings.keys().iter().for_each(|key| settings.known(key));
            return Err(settings.missing("type", "\"error\""));
        };
        let word = kind.as_str().unwrap_or_default().to_owned();
        let Ok(kind) = kind.choice(&types) else {
            settings.keys().iter().for_each(|key| settings.known(key));
            return Err(settings.error("the policy's type is not known", ""));
        };
        let name = settings.get::<String>("name").unwrap_or(word);
        let when = settings.get::<Condition>("when");
        if when.is_none() && matches!(kind, Type::Attribute | Type::Drop) && !settings.has("when") {
            settings.missing("when", "'attributes.tenant == \"acme\"'");
        }
        let rule = match kind {
            Type::Error => Some(Rule::Error),
            Type::Always | Type::Attribute => Some(Rule::Always),
            Type::Drop => Some(Rule::Drop),
            Type::Latency => {
                let over = settings.require::<Duration>("over", "\"500ms\"").ok();
                let of = settings.choice("of", &[("trace", false), ("span", true)]).unwrap_or_default();
                over.map(|over| {
                    let over = i64::try_from(over.as_nanos()).unwrap_or(i64::MAX);
                    if of { Rule::SpanLatency(over) } else { Rule::TraceLatency(over) }
                })
            }
            Type::Rate => {
                let rate = settings.within("traces", 0.001..=1_000_000.0_f64);
                if rate.is_none() && !settings.has("traces") {
                    settings.missing("traces", "100");
                }
                rate.map(|rate| Rule::Rate((1e9 / rate) as u64))
            }
            Type::Probabilistic => {
                let percent = settings.within("percent", 0.0..=100.0_f64);
                if percent.is_none() && !settings.has("percent") {
                    settings.missing("percent", "10");
                }
                percent.map(|percent| Rule::probabilistic(percent / 100.0))
            }
        };
        settings.finish()?;
        let rule = rule.ok_or_else(|| settings.error("the policy is not complete", ""))?;
        Ok(Policy { name: name.into(), spans: when.map_or(Which::Any, Which::When), rule })
    }

    /// Reads `policy`: the tables of a list, which must not be empty.
    pub(super) fn read_all(settings: &Section) -> Result<Vec<Policy>, Reported> {
        let sections = settings.sections("policy");
        if sections.is_empty() && !settings.has("policy") {
            return Err(settings.error(
                "missing setting `policy`: without one, nothing would be kept",
                "for example: policy = [{ type = \"error\" }, { type = \"probabilistic\", percent = 10 }]",
            ));
        }
        if sections.len() > MAX_POLICIES {
            settings.error_at("policy", format!("there are more than {MAX_POLICIES} policies"), "");
        }
        let read: Vec<Result<Policy, Reported>> = sections.iter().map(Policy::read).collect();
        let policies = read.into_iter().collect::<Result<Vec<_>, _>>()?;
        if policies.is_empty() {
            return Err(settings.error_at("policy", "`policy` is an empty list: nothing would be kept", ""));
        }
        for (i, policy) in policies.iter().enumerate() {
            if policies[..i].iter().any(|before| before.name == policy.name) {
                let message = format!("two policies are named `{}`", policy.name);
                settings.error_at("policy", message, "give one of them a `name` of its own: they are counted by it");
            }
        }
        if let Some(last) = policies[..policies.len() - 1].iter().find(|policy| policy.keeps_all()) {
            let message = format!("the policies behind `{}` are never asked: it keeps every trace", last.name);
            settings.warning_at("policy", message, "put it last");
        }
        if policies.iter().all(|policy| policy.rule == Rule::Drop) {
            settings.error_at("policy", "no policy keeps anything", "for the others add { type = \"always\" }");
        }
        Ok(policies)
    }

    fn keeps_all(&self) -> bool {
        self.rule == Rule::Always && matches!(self.spans, Which::Any)
    }
}

// === impl Rule ===

impl Rule {
    /// Keeps this part of the traces.
    pub(crate) fn probabilistic(part: f64) -> Rule {
        let whole = (1_u64 << RANDOM_BITS) as f64;
        Rule::Probabilistic((whole * (1.0 - part)).round() as u64)
    }
}

// === impl Watch ===

impl<'a> Watch<'a> {
    pub(super) fn new(policies: &'a [Policy], batch: &'a Batch) -> Self {
        let prepare = |policy: &'a Policy| match &policy.spans {
            Which::Any => Watched::Any,
            Which::When(condition) => Watched::When(condition.prepare(batch)),
            Which::Like(rule) => Watched::Like(rule.prepare(batch)),
        };
        Watch { spans: Spans::of(batch), batch, when: policies.iter().map(prepare).collect() }
    }

    pub(super) fn trace_id(&self, row: &Row) -> Option<u128> {
        self.spans.trace_id(row)
    }

    /// What one span says.
    pub(super) fn facts(&self, row: &Row) -> Facts {
        let mut marks = 0;
        for (i, when) in self.when.iter().enumerate() {
            let holds = match when {
                Watched::Any => true,
                Watched::When(condition) => condition.matches(self.batch, row),
                Watched::Like(rule) => rule.matches(&self.spans, self.batch, row),
            };
            marks |= u64::from(holds) << i;
        }
        // A span without times says nothing of how long anything took.
        let (first, last) = self.spans.times(row).unwrap_or((i64::MAX, i64::MIN));
        let random = self.spans.trace_state(row).and_then(|state| explicit_randomness(&state));
        let longest = last.saturating_sub(first).max(0);
        Facts { marks, error: self.spans.is_error(row), first, last, longest, random }
    }
}

// === impl Facts ===

impl Facts {
    /// Of the trace as it was, and one more span.
    pub(super) fn add(&mut self, span: &Facts) {
        self.marks |= span.marks;
        self.error |= span.error;
        self.first = self.first.min(span.first);
        self.last = self.last.max(span.last);
        self.longest = self.longest.max(span.longest);
        self.random = self.random.or(span.random);
    }

    /// The policy that decides the trace, and whether it is kept. The first one that says something does.
    pub(super) fn judge(
        &self,
        id: u128,
        policies: &[Policy],
        credits: &mut Credits,
        now: Instant,
    ) -> Option<(usize, bool)> {
        policies.iter().enumerate().find_map(|(i, policy)| {
            if self.marks & (1 << i) == 0 {
                return None;
            }
            let says = match policy.rule {
                Rule::Drop => return Some((i, false)),
                Rule::Always => true,
                Rule::Error => self.error,
                Rule::TraceLatency(over) => self.last.saturating_sub(self.first).max(0) >= over,
                Rule::SpanLatency(over) => self.longest >= over,
                Rule::Rate(cost) => credits.spend(i, cost, now),
                Rule::Probabilistic(threshold) => self.random.unwrap_or(id as u64 & RANDOM_MASK) >= threshold,
            };
            says.then_some((i, true))
        })
    }
}

/// `rv` of the entry `ot` of a trace state: 14 hexadecimal digits, for traces whose id is not random.
fn explicit_randomness(state: &str) -> Option<u64> {
    let entry = state.split(',').find_map(|entry| entry.trim().strip_prefix("ot="))?;
    let digits = entry.split(';').find_map(|part| part.strip_prefix("rv:"))?;
    let sound = digits.len() == 14 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    u64::from_str_radix(digits, 16).ok().filter(|_| sound)
}

// === impl Credits ===

impl Credits {
    pub(super) fn new(policies: usize) -> Self {
        Credits(vec![Credit { nanos: 0, since: None }; policies])
    }

    /// Pays for one trace, where there is enough. A second's worth can be saved, or one trace where that is more.
    fn spend(&mut self, policy: usize, cost: u64, now: Instant) -> bool {
        let most = cost.max(1_000_000_000);
        let credit = &mut self.0[policy];
        credit.nanos = match credit.since {
            None => most,
            Some(since) => {
                let earned = u64::try_from(now.saturating_duration_since(since).as_nanos()).unwrap_or(most);
                credit.nanos.saturating_add(earned).min(most)
            }
        };
        credit.since = Some(now);
        let enough = credit.nanos >= cost;
        if enough {
            credit.nanos -= cost;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn randomness_of_trace_states() {
        assert_eq!(explicit_randomness("a=b, ot=th:c;rv:00000000000010"), Some(16));
        for state in ["", "ot=rv:1", "xot=rv:00000000000010", "ot=rv:+0000000000010", "ot=th:c"] {
            assert_eq!(explicit_randomness(state), None, "{state}");
        }
    }

    #[test]
    fn a_part_of_all_ids() {
        assert_eq!(Rule::probabilistic(1.0), Rule::Probabilistic(0));
        assert_eq!(Rule::probabilistic(0.0), Rule::Probabilistic(1 << 56));
        assert_eq!(Rule::probabilistic(0.25), Rule::Probabilistic(3 << 54));
    }
}
