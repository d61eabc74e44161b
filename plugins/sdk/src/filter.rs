//! What a filter is.
//!
//! A filter works on a whole batch, in place, on the worker that read it. It says what it did to the count of records
//! ([`FilterContext`]), and the pipeline checks that the ledger's equation holds after each call:
//! `in + created = out + dropped{reason} + dead_lettered{reason} + absorbed + held`.
//!
//! A filter that keeps records for later is one of two kinds. *Pass-through* keeps their custody with them
//! ([`Custody::fork`](crate::Custody::fork), narrowed to what is kept): the source's position waits. A *custodian* lets
//! the custody go: the records count as settled, and its documentation says what a crash loses.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

#[cfg(doc)]
use suiro_record::Batch;
use suiro_record::Row;

use crate::flow::{Flow, Selection};
use crate::health::BlockHealth;
use crate::input::StartError;
use crate::ledger::Reason;
use crate::metrics::Metrics;

/// A filter, as configured.
pub trait FilterFactory: Send + Sync {
    /// Called once, before the first instance, when the pipeline is built: what takes the agent's folder, or time, belongs
    /// here. An error keeps the agent from starting.
    fn start(&self, _setup: FilterSetup) -> Result<(), StartError> {
        Ok(())
    }

    /// Whose state it keeps.
    fn state(&self) -> FilterState {
        FilterState::None
    }

    /// One that works.
    fn instance(&self) -> Box<dyn Filter>;
}

/// What a filter is told when the pipeline is built.
#[derive(Clone, Debug)]
pub struct FilterSetup {
    /// The block's name.
    pub name: Arc<str>,
    /// The agent's folder. What a plugin keeps there is in a folder of its own.
    pub data_dir: PathBuf,
    /// For metrics of its own.
    pub metrics: Arc<Metrics>,
    /// Where it says that it does not work as it should.
    pub health: BlockHealth,
}

/// Whose state a filter keeps between batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterState {
    /// None: an instance per worker.
    None,
    /// One per source, which stays on its worker: an instance per worker, keyed by source inside.
    PerSource,
    /// One for all: a single instance, which the workers take in turn.
    Shared,
}

/// A filter that works.
pub trait Filter: Send {
    /// Changes `flow` in place. Only records in `rows` may be touched. Records that leave by another road (another tag,
    /// say) go to [`FilterContext::emit`] with a fork of the custody.
    fn apply(&mut self, flow: &mut Flow, rows: &Selection, cx: &mut FilterContext);

    /// Whether [`Filter::apply`] takes batches whose records are packed ([`Batch::is_packed`]), unpacking them itself where it
    /// has to. With a condition (`when`) they are unpacked in any case.
    fn takes_packed(&self) -> bool {
        false
    }

    /// When [`Filter::tick`] should be called, if ever.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// The deadline is reached: let go of what is due.
    fn tick(&mut self, _cx: &mut FilterContext) {}

    /// The end, or a pipeline that is replaced: let go of everything held.
    fn flush(&mut self, _cx: &mut FilterContext) {}
}

/// What a filter did, and what it sends on beside its batch.
#[derive(Debug)]
pub struct FilterContext {
    /// When the call began: filters read no clock of their own.
    pub now: Instant,
    /// Batches that go on behind this filter.
    pub emitted: Vec<Flow>,
    /// Records made of others.
    pub created: usize,
    /// Records joined into others.
    pub absorbed: usize,
    /// Records held more (or fewer) than before.
    pub held: isize,
    /// Records that could not be changed as told, and go on as they were.
    pub failed: usize,
    /// Records dropped.
    pub dropped: Vec<(Reason, usize)>,
    /// Records to be set aside.
    pub dead_lettered: Vec<DeadRecord>,
}

/// A record to be set aside.
#[derive(Clone, Debug)]
pub struct DeadRecord {
    /// The record: of the batch the filter was given, and taken out of its rows.
    pub row: Row,
    /// The word that is counted.
    pub reason: Reason,
    /// What is to be known beyond that.
    pub detail: Arc<str>,
}

/// A filter without state, used as it is by every worker.
#[derive(Debug)]
pub struct Stateless<F>(pub F);

// === impl FilterContext ===

impl FilterContext {
    /// Nothing done yet.
    pub fn new(now: Instant) -> Self {
        FilterContext {
            now,
            emitted: Vec::new(),
            created: 0,
            absorbed: 0,
            held: 0,
            failed: 0,
            dropped: Vec::new(),
            dead_lettered: Vec::new(),
        }
    }

    /// Sends a batch on, behind this filter.
    pub fn emit(&mut self, flow: Flow) {
        self.emitted.push(flow);
    }

    /// Counts `n` dropped records.
    pub fn drop_records(&mut self, reason: Reason, n: usize) {
        if n > 0 {
            self.dropped.push((reason, n));
        }
    }

    /// Sets a record aside, with the reason. Only in [`Filter::apply`]: `row` is one of its batch's, which still holds the
    /// record's text when the call returns, but lists it among its rows no more. It is in the dead letter before anything
    /// else becomes of the batch, so the batch's custody covers it.
    pub fn dead_letter(&mut self, row: Row, reason: Reason, detail: impl Into<Arc<str>>) {
        self.dead_lettered.push(DeadRecord { row, reason, detail: detail.into() });
    }
}

// === impl Stateless ===

impl<F: Filter + Clone + Sync + 'static> FilterFactory for Stateless<F> {
    fn instance(&self) -> Box<dyn Filter> {
        Box::new(self.0.clone())
    }
}
