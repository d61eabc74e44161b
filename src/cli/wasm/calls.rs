//! Calls of a filter, as the agent makes them: a batch is a call; where one fails, the records that do it are found by
//! halving, in fresh instances, within bounds; an instance that swells is replaced.

use std::ops::Range;
use std::time::{Duration, Instant};

use suiro_record::{Batch, Row};
use suiro_wasm::{Allowance, Effects, Failure, FailureKind, Instance};

use super::{Loaded, say};

/// Fuel that finding the records that fail may take in all, as a multiple of a call's.
const RERUN_FUEL: u64 = 10;
/// Time for the same.
const RERUN_TIME: u32 = 4;
/// Failed calls that take less than that are not counted.
const CHEAP: Duration = Duration::from_millis(100);
/// Least share of the allowance for a call that looks for them.
const LEAST: u64 = 100;

/// A filter that is being called.
pub(super) struct Calls<'l> {
    loaded: &'l Loaded,
    allowance: Allowance,
    /// For finding records that fail.
    left: Allowance,
    /// Why nothing is tried any more.
    hopeless: Option<Failure>,
    instance: Option<Instance>,
    pub(super) spent: Spent,
}

/// What the calls took that went well, and how much memory any of them.
#[derive(Debug, Default)]
pub(super) struct Spent {
    pub(super) records: u64,
    pub(super) time: Duration,
    pub(super) fuel: u64,
    /// The longest call.
    pub(super) longest: Duration,
    /// Most bytes of memory an instance had.
    pub(super) memory: usize,
    /// Instances made.
    pub(super) instances: u64,
}

/// A part of a batch that was dealt with.
pub(super) enum Part<'p> {
    /// A call went well. `rows` are the batch's after it.
    Done { from: usize, effects: &'p Effects, batch: &'p Batch },
    /// The filter failed on these records.
    Failed { range: Range<usize>, failure: &'p Failure },
}

// === impl Calls ===

impl<'l> Calls<'l> {
    /// Makes an instance: where that fails, nothing can be tried.
    pub(super) fn start(loaded: &'l Loaded, allowance: Allowance) -> Result<Self, Failure> {
        let left = Allowance {
            time: allowance.time.saturating_mul(RERUN_TIME),
            fuel: allowance.fuel.saturating_mul(RERUN_FUEL),
        };
        let mut calls = Calls { loaded, allowance, left, hopeless: None, instance: None, spent: Spent::default() };
        calls.instance()?;
        Ok(calls)
    }

    fn instance(&mut self) -> Result<&mut Instance, Failure> {
        match self.instance {
            Some(ref mut instance) => Ok(instance),
            ref mut none => {
                let made = Instance::new(&self.loaded.program, &self.loaded.around, &self.loaded.sandbox)?;
                self.spent.instances += 1;
                self.spent.memory = self.spent.memory.max(made.memory());
                Ok(none.insert(made))
            }
        }
    }

    /// One call.
    pub(super) fn call(&mut self, batch: &mut Batch, allowance: Allowance) -> Result<Effects, Failure> {
        let records = batch.len() as u64;
        let instance = self.instance()?;
        let began = Instant::now();
        let result = instance.call(batch, allowance);
        let time = began.elapsed();
        let (memory, first) = (instance.memory(), instance.memory_at_first());
        let fuel = instance.fuel_left().map_or(0, |left| allowance.fuel - left);
        self.spent.memory = self.spent.memory.max(memory);
        // As the agent does it.
        let swollen = memory > self.loaded.sandbox.memory / 4 * 3 && memory > 2 * first;
        if result.is_err() {
            self.instance = None;
        } else {
            self.spent.records += records;
            self.spent.time += time;
            self.spent.fuel += fuel;
            self.spent.longest = self.spent.longest.max(time);
            if swollen {
                self.end();
            }
        }
        result
    }

    /// A whole batch, part by part in the order of its records.
    pub(super) fn run(&mut self, batch: &mut Batch, mut done: impl FnMut(Part)) {
        let records: Vec<Row> = std::mem::take(&mut batch.rows);
        let full = self.allowance;
        let mut waiting = vec![(0..records.len(), full)];
        while let Some((range, allowance)) = waiting.pop() {
            if let Some(failure) = &self.hopeless {
                done(Part::Failed { range, failure });
                continue;
            }
            batch.rows.clear();
            batch.rows.extend_from_slice(&records[range.clone()]);
            let began = Instant::now();
            let failure = match self.call(batch, allowance) {
                Ok(effects) => {
                    done(Part::Done { from: range.start, effects: &effects, batch });
                    continue;
                }
                Err(failure) => failure,
            };
            self.charge(&failure, began.elapsed(), allowance);
            if range.len() == 1 {
                done(Part::Failed { range, failure: &failure });
            } else if let Some(failure) = &self.hopeless {
                done(Part::Failed { range, failure });
            } else {
                let middle = range.start + range.len() / 2;
                for half in [middle..range.end, range.start..middle] {
                    let allowance = share(full, half.len(), records.len());
                    waiting.push((half, allowance));
                }
            }
        }
        batch.rows = records;
    }

    /// Takes note of what a call that failed took. Past what there is for them, nothing is tried any more.
    fn charge(&mut self, failure: &Failure, time: Duration, allowance: Allowance) {
        if time > CHEAP {
            self.left.time = self.left.time.saturating_sub(time);
        }
        if failure.kind == FailureKind::Timeout {
            self.left.fuel = self.left.fuel.saturating_sub(allowance.fuel);
        }
        if failure.kind == FailureKind::Start {
            self.hopeless = Some(failure.clone());
        } else if self.left.time.is_zero() || self.left.fuel == 0 {
            let detail = format!("not tried alone, since that took too long; of others: {}", failure.detail);
            self.hopeless = Some(Failure { kind: failure.kind, detail });
        }
    }

    /// The filter's last words.
    pub(super) fn end(&mut self) {
        if let Some(mut instance) = self.instance.take()
            && let Err(failure) = instance.flush()
        {
            say(format_args!("warning: its `flush` failed: {failure}"));
        }
    }
}

/// Twice its share, so that records that cost more than others have what they need; never more than all.
fn share(full: Allowance, part: usize, of: usize) -> Allowance {
    let fuel = (full.fuel / of as u64).saturating_mul(2 * part as u64).max(full.fuel / LEAST).min(full.fuel);
    Allowance { time: full.time, fuel }
}
