//! The filter: calls, and what becomes of records when a call fails.
//!
//! A batch is one call. Where it fails, the batch is as it was: it is called again for each half, in a fresh instance, and
//! for the halves of those that fail, until the records that do it are alone. They go by `on_error`, the others as the
//! guest says. That takes no longer than [`RERUN`] times the timeout; past that, what is left counts as concerned.

use std::sync::Arc;
use std::time::{Duration, Instant};

use suiro_record::{Batch, Row};
use suiro_sdk::{Filter, FilterContext, Flow, Selection};

use crate::core::Core;
use crate::instance::{Allowance, Failure, FailureKind, Instance};
use crate::settings::Lifetime;
use crate::sorted::Sorted;
use crate::view::Effects;

/// How many times the timeout finding the records concerned may take.
const RERUN: u32 = 4;
/// Least time for a call that looks for them.
const LEAST: Duration = Duration::from_millis(10);
/// Records that the timeout is meant for; each further one has [`SHARE`].
const RECORDS: usize = 1000;
/// Time for each record beyond [`RECORDS`].
const SHARE: Duration = Duration::from_micros(50);

/// The filter of one worker.
pub(crate) struct WasmFilter {
    core: Arc<Core>,
    instance: Option<Instance>,
}

/// How a batch went.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Course {
    /// Records that the guest was given.
    pub(crate) records: usize,
    /// Records that it failed on.
    pub(crate) poisonous: usize,
    /// It took its time for it.
    pub(crate) slow: bool,
    /// No instance could be made.
    pub(crate) unstartable: bool,
}

// === impl WasmFilter ===

impl WasmFilter {
    pub(crate) fn new(core: Arc<Core>) -> WasmFilter {
        WasmFilter { core, instance: None }
    }

    /// Calls the guest with all records of `batch`.
    fn call(&mut self, batch: &mut Batch, time: Duration) -> Result<Effects, Failure> {
        let instance = match &mut self.instance {
            Some(instance) => instance,
            none => none.insert(self.core.instance()?),
        };
        let began = Instant::now();
        let result = instance.call(batch, Allowance { time, fuel: u64::MAX });
        self.core.metrics.called(began.elapsed(), instance.memory());
        if let Err(failure) = &result {
            self.core.metrics.failed(failure.kind);
            self.instance = None;
        }
        result
    }

    /// Finds the records that a call fails on.
    fn bisect(&mut self, batch: &mut Batch, records: &[Row], failure: Failure, sorted: &mut Sorted) -> Course {
        let mut course = Course { records: records.len(), ..Course::default() };
        let full = self.time(records.len());
        let deadline = Instant::now() + full * RERUN;
        let mut waiting = vec![(0..records.len(), Some(failure.clone()))];
        let mut last = failure;
        while let Some((range, failed)) = waiting.pop() {
            if let Some(failure) = failed {
                course.slow |= failure.kind == FailureKind::Timeout;
                course.unstartable |= failure.kind == FailureKind::Start;
                if range.len() > 1 && !course.unstartable {
                    let middle = range.start + range.len() / 2;
                    waiting.push((middle..range.end, None));
                    waiting.push((range.start..middle, None));
                } else {
                    course.poisonous += range.len();
                    range.for_each(|at| sorted.fail(at, &records[at], failure.kind.into(), &failure.detail));
                }
                last = failure;
                continue;
            }
            if course.unstartable || Instant::now() > deadline {
                course.slow |= !course.unstartable;
                course.poisonous += range.len();
                let detail = format!("it was not tried alone, since that took too long; of others: {}", last.detail);
                let detail = if course.unstartable { last.detail.clone() } else { detail };
                range.for_each(|at| sorted.fail(at, &records[at], last.kind.into(), &detail));
                continue;
            }
            let share = full.mul_f64(2.0 * range.len() as f64 / records.len() as f64);
            batch.rows.clear();
            batch.rows.extend_from_slice(&records[range.clone()]);
            match self.call(batch, share.max(LEAST).min(full)) {
                Ok(effects) => sorted.take(&effects, &batch.rows, range.start),
                Err(failure) => waiting.push((range, Some(failure))),
            }
        }
        course
    }

    /// Time for a call with that many records.
    fn time(&self, records: usize) -> Duration {
        self.core.settings.timeout + SHARE * u32::try_from(records.saturating_sub(RECORDS)).unwrap_or(u32::MAX)
    }

    /// Between two batches: is the instance still the one to use?
    fn renew(&mut self, now: Instant) {
        self.core.look_for_changes(now);
        let outdated = |instance: &Instance| !Arc::ptr_eq(instance.program(), &self.core.program());
        if self.instance.as_ref().is_some_and(|instance| outdated(instance) || self.is_swollen(instance)) {
            self.let_go();
        }
    }

    /// Whether it has grown so much that a fresh one is better: most of what it may have, and far more than it needs.
    fn is_swollen(&self, instance: &Instance) -> bool {
        let memory = instance.memory();
        memory > self.core.settings.memory.as_usize() / 4 * 3 && memory > 2 * instance.memory_at_first()
    }

    fn let_go(&mut self) {
        if let Some(mut instance) = self.instance.take()
            && let Err(failure) = instance.flush()
        {
            tracing::warn!(filter = %self.core.name(), "the filter's `flush` failed: {failure}");
        }
    }
}

impl Filter for WasmFilter {
    fn apply(&mut self, flow: &mut Flow, rows: &Selection, cx: &mut FilterContext) {
        let selected = rows.count(flow.batch.len());
        if selected == 0 {
            return;
        }
        self.renew(cx.now);
        self.core.metrics.taken.add(selected as u64);
        // Only the records that are selected are the guest's business: for the call, the batch has no others.
        let others = match rows {
            Selection::All => None,
            Selection::Rows(_) => {
                let all = std::mem::take(&mut flow.batch.rows);
                let positions: Vec<usize> = rows.iter(all.len()).collect();
                flow.batch.rows = positions.iter().map(|&at| all[at]).collect();
                Some((all, positions))
            }
        };
        let core = self.core.clone();
        let mut sorted = Sorted::new(&core.settings.on_error);
        if let Some(why) = core.quarantine(cx.now) {
            let records = std::mem::take(&mut flow.batch.rows);
            records.iter().enumerate().for_each(|(at, row)| sorted.fail(at, row, crate::core::QUARANTINED, &why));
            sorted.settle(flow, others, &core, cx);
            return;
        }
        let time = self.time(selected);
        let course = match self.call(&mut flow.batch, time) {
            Ok(effects) if effects.is_plain() => {
                if let Some((mut all, positions)) = others {
                    positions.iter().zip(&flow.batch.rows).for_each(|(&at, row)| all[at] = *row);
                    flow.batch.rows = all;
                }
                self.core.metrics.out.add(selected as u64);
                self.core.went(cx.now, Course { records: selected, ..Course::default() }, None);
                if self.core.settings.lifetime == Lifetime::PerBatch {
                    self.let_go();
                }
                return;
            }
            Ok(effects) => {
                sorted.take(&effects, &flow.batch.rows, 0);
                (Course { records: selected, ..Course::default() }, None)
            }
            Err(failure) => {
                let records = std::mem::take(&mut flow.batch.rows);
                let why = failure.detail.clone();
                (self.bisect(&mut flow.batch, &records, failure, &mut sorted), Some(why))
            }
        };
        sorted.settle(flow, others, &core, cx);
        self.core.went(cx.now, course.0, course.1.as_deref());
        if self.core.settings.lifetime == Lifetime::PerBatch {
            self.let_go();
        }
    }

    fn flush(&mut self, _cx: &mut FilterContext) {
        self.let_go();
    }
}
