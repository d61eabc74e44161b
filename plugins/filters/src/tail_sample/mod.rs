//! `tail_sample`: of whole traces, those that matter.
//!
//! | setting | |
//! | --- | --- |
//! | `policy` | a list of policies, required. The first one that has something to say of a trace decides it; where none has, it is dropped |
//! | `wait` | how long after a trace's first span it is decided; default 30 s |
//! | `memory` | bytes of held spans; default 128 MiB. Beyond, the oldest traces are decided before their time |
//! | `max_traces` | traces held at most; default 100,000. As above |
//! | `remember` | decisions kept for spans that come later; default 100,000, about 100 bytes each, beside `memory` |
//!
//! A policy has a `type`; a `name` it is counted by (default: its type); and may have a condition `when`: then it is only for
//! traces with a span for which that holds.
//!
//! | type | keeps a trace | settings |
//! | --- | --- | --- |
//! | `error` | with a span whose status is `error` | |
//! | `latency` | that took long | `over`, required; `of`: `"trace"` (default: from its first span's start to its last one's end) or `"span"` |
//! | `attribute` | with a span for which `when` holds | `when`, required |
//! | `rate` | as long as there are no more than so many a second; a second's worth may come at once | `traces`, required |
//! | `probabilistic` | by its id: the same traces on every agent | `percent`, required |
//! | `always` | always | |
//! | `drop` | never: it drops those with a span for which `when` holds | `when`, required |
//!
//! `probabilistic` compares 56 bits of randomness with a threshold, as W3C Trace Context level 2 and OpenTelemetry's
//! consistent sampling have it: `rv` of the trace state's entry `ot`, otherwise the last 14 digits of the trace id.
//!
//! Spans of traces that are decided follow the decision, as long as it is remembered; after that the trace begins anew.
//! Spans without a trace id pass by, and count as `failed`. Logs and metrics pass by. Tags are not told apart: spans of a
//! trace that have several are decided together, and each goes on with its own.
//!
//! # Custody
//!
//! It is a custodian: held spans count as settled, and **a crash loses them**: at most what came in the last `wait`. When the
//! agent ends in order, all traces are decided by what is known of them. `durable = true` is refused: an input would have
//! to wait for `wait` with each batch.
//!
//! # Memory
//!
//! `memory` counts the buffers of the batches that spans are held in (`chunks`) and what is known of each trace. What one
//! batch brings is held before anything is decided early, so it may be exceeded by one batch for as long as a call lasts.
//! A decision comes up to 100 ms late, so that many are made at once.

mod chunks;
mod counters;
mod decisions;
pub(crate) mod policy;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use suiro_record::Signal;
use suiro_sdk::ledger::Reason;
use suiro_sdk::settings::{ByteSize, Reported, Section};
use suiro_sdk::{Filter, FilterContext, FilterFactory, FilterSetup, FilterState, Flow, Metrics, Selection, StartError};

use self::chunks::{Chunks, Place};
use self::counters::Counters;
use self::decisions::Decisions;
use self::policy::{Credits, Facts, Watch};
pub(crate) use self::policy::{Policy, Rule, Which};

/// A trace was not kept.
pub(crate) const SAMPLED_OUT: Reason = Reason("sampled_out");

/// How late a decision may be.
const TICK: Duration = Duration::from_millis(100);
/// What a trace takes in the tables, bytes, about; its spans' places beside it.
const TRACE_BYTES: usize = 2 * (size_of::<Trace>() + 32) + size_of::<(u128, Instant)>();

/// The filter, as configured.
pub(crate) struct TailSample {
    settings: Arc<Settings>,
    counters: OnceLock<Counters>,
}

pub(crate) struct Settings {
    policies: Vec<Policy>,
    bounds: Bounds,
}

/// How much is held, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    wait: Duration,
    memory: usize,
    max_traces: usize,
    remember: usize,
}

/// The filter at work.
struct Sampler {
    settings: Arc<Settings>,
    counters: Counters,
    traces: HashMap<u128, Trace>,
    /// Oldest first, and when each is to be decided.
    queue: VecDeque<(u128, Instant)>,
    chunks: Chunks,
    decisions: Decisions,
    credits: Credits,
    /// Spans dropped by this call.
    dropped: usize,
}

/// A trace that is not decided yet.
struct Trace {
    facts: Facts,
    spans: Vec<Place>,
}

/// Reads the settings.
pub fn build(settings: &Section) -> Result<Box<dyn FilterFactory>, Reported> {
    let policies = Policy::read_all(settings);
    let bounds = Bounds::read(settings);
    settings.finish()?;
    Ok(Box::new(TailSample::new(policies?, bounds)))
}

// === impl Bounds ===

impl Bounds {
    pub(crate) fn read(settings: &Section) -> Bounds {
        let second = Duration::from_secs(1);
        let wait = settings.within("wait", Duration::from_millis(100)..=3600 * second).unwrap_or(30 * second);
        let memory = settings.within("memory", ByteSize::kib(256)..=ByteSize::gib(256)).unwrap_or(ByteSize::mib(128));
        let max_traces = settings.within("max_traces", 1..=100_000_000_usize).unwrap_or(100_000);
        let remember = settings.within("remember", 0..=100_000_000_usize).unwrap_or(100_000);
        if settings.flag("durable") {
            settings.error_at(
                "durable",
                "this filter can't be durable: it answers for the spans it holds, and a crash loses them",
                "leave `durable` out; a shorter `wait` loses less",
            );
        }
        Bounds { wait, memory: memory.as_usize(), max_traces, remember }
    }
}

// === impl TailSample ===

impl TailSample {
    pub(crate) fn new(policies: Vec<Policy>, bounds: Bounds) -> Self {
        TailSample { settings: Arc::new(Settings { policies, bounds }), counters: OnceLock::new() }
    }
}

impl FilterFactory for TailSample {
    fn start(&self, setup: FilterSetup) -> Result<(), StartError> {
        self.counters.get_or_init(|| Counters::new(&setup.metrics, &setup.name, &self.settings.policies));
        Ok(())
    }

    fn state(&self) -> FilterState {
        FilterState::Shared
    }

    fn instance(&self) -> Box<dyn Filter> {
        let own = || Counters::new(&Metrics::default(), "", &self.settings.policies);
        Box::new(Sampler {
            settings: self.settings.clone(),
            counters: self.counters.get().cloned().unwrap_or_else(own),
            traces: HashMap::new(),
            queue: VecDeque::new(),
            chunks: Chunks::new(self.settings.bounds.memory),
            decisions: Decisions::new(self.settings.bounds.remember),
            credits: Credits::new(self.settings.policies.len()),
            dropped: 0,
        })
    }
}

impl Filter for Sampler {
    fn apply(&mut self, flow: &mut Flow, rows: &Selection, cx: &mut FilterContext) {
        if flow.batch.signal != Signal::Traces {
            return;
        }
        self.take(flow, rows, cx);
        let Bounds { memory, max_traces, .. } = self.settings.bounds;
        while self.bytes() > memory || self.traces.len() > max_traces {
            if !self.decide_oldest(cx) {
                break;
            }
            self.counters.early.add(1);
        }
        self.send(cx);
    }

    fn deadline(&self) -> Option<Instant> {
        let wait = self.settings.bounds.wait;
        self.queue.front().map(|(_, due)| *due + TICK.min(wait / 10))
    }

    fn tick(&mut self, cx: &mut FilterContext) {
        while self.queue.front().is_some_and(|(_, due)| *due <= cx.now) {
            self.decide_oldest(cx);
        }
        self.send(cx);
    }

    fn flush(&mut self, cx: &mut FilterContext) {
        while self.decide_oldest(cx) {
            self.counters.early.add(1);
        }
        self.send(cx);
    }
}

// === impl Sampler ===

impl Sampler {
    /// Memory of all that is held, bytes.
    fn bytes(&self) -> usize {
        // A vector has room for up to twice of what is in it.
        self.chunks.bytes() + self.traces.len() * TRACE_BYTES + self.chunks.spans() * 2 * size_of::<Place>()
    }

    /// Sorts the batch's spans: what is decided follows, what is not is held.
    fn take(&mut self, flow: &mut Flow, rows: &Selection, cx: &mut FilterContext) {
        let Sampler { settings, counters, traces, queue, chunks, decisions, dropped, .. } = self;
        let (mut passing, mut held, mut seen) = (Vec::new(), Vec::new(), Vec::new());
        let watch = Watch::new(&settings.policies, &flow.batch);
        for (i, row) in flow.batch.rows.iter().enumerate() {
            let id = if rows.has(i) { watch.trace_id(row) } else { None };
            let Some(id) = id else {
                cx.failed += usize::from(rows.has(i));
                passing.push(*row);
                continue;
            };
            match decisions.get(id) {
                Some(true) => {
                    counters.late_kept.add(1);
                    passing.push(*row);
                }
                Some(false) => {
                    counters.late_dropped.add(1);
                    *dropped += 1;
                }
                None => {
                    seen.push((id, watch.facts(row)));
                    held.push(*row);
                }
            }
        }
        drop(watch);
        if held.is_empty() {
            flow.batch.rows = passing;
            return;
        }
        let young = cx.now.checked_sub(settings.bounds.wait / 8).unwrap_or(cx.now);
        let place = match chunks.hold(&mut flow.batch, held, passing, (cx.now, young)) {
            Ok(place) => place,
            Err((_, held, mut passing)) => {
                // No copy of them could be made, so they go on.
                cx.failed += held.len();
                passing.extend(held);
                passing.sort_unstable_by_key(|row| row.start);
                flow.batch.rows = passing;
                return;
            }
        };
        cx.held += seen.len().cast_signed();
        for (n, (id, facts)) in seen.into_iter().enumerate() {
            match traces.entry(id) {
                Entry::Occupied(trace) => {
                    let trace = trace.into_mut();
                    trace.facts.add(&facts);
                    trace.spans.push(place.behind(n));
                }
                Entry::Vacant(entry) => {
                    entry.insert(Trace { facts, spans: vec![place.behind(n)] });
                    queue.push_back((id, cx.now + settings.bounds.wait));
                }
            }
        }
    }

    /// Decides the oldest trace; whether there was one.
    fn decide_oldest(&mut self, cx: &mut FilterContext) -> bool {
        let Some((id, _)) = self.queue.pop_front() else { return false };
        let Some(trace) = self.traces.remove(&id) else { return true };
        let decision = trace.facts.judge(id, &self.settings.policies, &mut self.credits, cx.now);
        let keep = decision.is_some_and(|(_, keep)| keep);
        self.counters.decided(decision.map(|(policy, _)| policy));
        self.decisions.add(id, keep);
        cx.held -= trace.spans.len().cast_signed();
        if !keep {
            self.dropped += trace.spans.len();
        }
        trace.spans.into_iter().for_each(|place| self.chunks.release(place, keep));
        true
    }

    fn send(&mut self, cx: &mut FilterContext) {
        cx.drop_records(SAMPLED_OUT, std::mem::take(&mut self.dropped));
        let lost = self.chunks.send(cx);
        cx.drop_records(Reason::TOO_LARGE, lost);
        // Tables that were large once, and are not any more, go back.
        if self.traces.capacity() > 1024 && self.traces.capacity() / 8 > self.traces.len() {
            self.traces.shrink_to(self.traces.len() * 2);
            self.queue.shrink_to(self.queue.len() * 2);
        }
        self.counters.bytes.set(self.bytes() as f64);
        self.counters.traces.set(self.traces.len() as f64);
    }
}
