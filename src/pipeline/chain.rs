//! Running a batch through filters, on the worker that read it.
//!
//! The filters of an input run first, then the common ones in the order of the configuration. A batch that a filter sends
//! beside its own (another tag, a group whose time is up) goes on behind that filter, never before it. After each call the
//! filter's equation is checked; a filter that panics loses its batch to the dead letter and starts anew.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use suiro_sdk::filter::DeadRecord;
use suiro_sdk::ledger::add;
use suiro_sdk::{Filter, FilterContext, FilterLedger, FilterState, Flow, Reason, Selection};

use super::health::Health;
use super::panic_text;
use super::plan::FilterPlan;
use crate::output::{Cause, DeadLetter};

/// Tags whose filters are remembered.
const TAGS_KEPT: usize = 1024;

/// A filter as all workers share it.
pub struct FilterBlock {
    plan: Arc<FilterPlan>,
    ledger: Arc<FilterLedger>,
    dead_letter: Arc<DeadLetter>,
    health: Arc<Health>,
    /// The one instance, where the filter's state is everybody's.
    shared: Option<Mutex<Box<dyn Filter>>>,
    /// Records the one instance holds.
    held: AtomicI64,
}

/// A worker's filters, in order.
pub struct Chain {
    links: Vec<Link>,
    /// By tag: which links touch it.
    touched: HashMap<Arc<str>, Arc<[bool]>>,
}

struct Link {
    block: Arc<FilterBlock>,
    /// This worker's instance, unless the block's is everybody's.
    own: Option<Box<dyn Filter>>,
    /// Whether this worker calls its ticks.
    ticks: bool,
    /// Records this worker's instance holds.
    held: AtomicI64,
}

/// Which filters let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// Those of this worker alone.
    Own,
    /// Those all workers share.
    Shared,
}

/// What a filter is asked to do.
enum Call<'a> {
    Apply(&'a mut Flow, &'a Selection),
    Tick,
    Flush,
}

// === impl FilterBlock ===

impl FilterBlock {
    /// A filter, its counts and its dead letter.
    pub fn new(
        plan: Arc<FilterPlan>,
        ledger: Arc<FilterLedger>,
        dead_letter: Arc<DeadLetter>,
        health: Arc<Health>,
    ) -> Arc<Self> {
        let shared = (plan.factory.state() == FilterState::Shared).then(|| Mutex::new(plan.factory.instance()));
        Arc::new(FilterBlock { plan, ledger, dead_letter, health, shared, held: AtomicI64::new(0) })
    }

    fn touches(&self, flow: &Flow) -> bool {
        self.plan.signals.as_ref().is_none_or(|signals| signals.contains(&flow.batch.signal))
    }

    fn select(&self, flow: &Flow) -> Selection {
        match &self.plan.when {
            None => Selection::All,
            Some(when) => {
                let prepared = when.prepare(&flow.batch);
                Selection::Rows(flow.batch.rows.iter().map(|row| prepared.matches(&flow.batch, row)).collect())
            }
        }
    }

    /// Counts what a call did, and checks that it adds up.
    fn count(&self, taken: usize, stayed: usize, cx: &FilterContext) {
        let ledger = &self.ledger;
        let out = stayed + cx.emitted.iter().map(|flow| flow.batch.len()).sum::<usize>();
        let dropped: usize = cx.dropped.iter().map(|(_, n)| n).sum();
        let left = taken as isize + cx.created as isize;
        let right = (out + dropped + cx.dead_lettered.len() + cx.absorbed) as isize + cx.held;
        if left != right {
            debug_assert_eq!(left, right, "the ledger of filter `{}`", self.plan.name);
            tracing::error!(
                filter = %self.plan.name,
                "the filter's counts do not add up: {left} came, {right} are accounted for; please report this"
            );
        }
        add(&ledger.taken, taken);
        add(&ledger.created, cx.created);
        add(&ledger.absorbed, cx.absorbed);
        add(&ledger.failed, cx.failed);
        ledger.held.fetch_add(cx.held as u64, Relaxed);
        for (reason, n) in &cx.dropped {
            ledger.dropped.add(*reason, *n);
        }
        add(&ledger.out, out);
    }

    /// Sets aside what the filter said of the batch it was given.
    fn dead_letter(&self, flow: &Flow, cx: &FilterContext) {
        for DeadRecord { row, reason, detail } in &cx.dead_lettered {
            let cause = Cause { reason: *reason, detail, ambiguous: false };
            if self.dead_letter.put(&flow.batch, row, cause) {
                self.ledger.dead_lettered.add(*reason, 1);
            } else {
                self.ledger.dropped.add(Reason::DEAD_LETTER_FULL, 1);
            }
        }
    }

    /// Sets the records aside on which the filter panicked: `taken` that came, and those it was about to let go of.
    fn set_aside(&self, flows: Vec<Flow>, taken: usize, what: &str) {
        let cause = Cause { reason: Reason::PANIC, detail: what, ambiguous: false };
        add(&self.ledger.taken, taken);
        self.ledger.dropped.add(Reason::PANIC, taken);
        for flow in flows {
            // The batch is whatever the filter left of it: reading it may panic as well.
            let _ = catch_unwind(AssertUnwindSafe(|| {
                flow.batch.rows.iter().for_each(|row| {
                    self.dead_letter.put(&flow.batch, row, cause);
                });
            }));
            flow.custody.settle();
        }
    }
}

// === impl Chain ===

impl Chain {
    /// A worker's filters; `first` is the worker that calls the ticks of those that all share.
    pub fn new(blocks: impl IntoIterator<Item = Arc<FilterBlock>>, first: bool) -> Self {
        let links = blocks
            .into_iter()
            .map(|block| {
                let own = block.shared.is_none().then(|| block.plan.factory.instance());
                Link { ticks: own.is_some() || first, held: AtomicI64::new(0), own, block }
            })
            .collect();
        Chain { links, touched: HashMap::new() }
    }

    /// Runs `flow` through all filters; what comes out is pushed to `out`.
    pub fn run(&mut self, flow: Flow, now: Instant, out: &mut Vec<Flow>) {
        self.run_from(0, flow, now, out);
    }

    fn run_from(&mut self, first: usize, flow: Flow, now: Instant, out: &mut Vec<Flow>) {
        let mut waiting = vec![(first, flow)];
        while let Some((mut at, mut flow)) = waiting.pop() {
            let mut touched = self.touched(&flow.batch.tag);
            loop {
                if flow.batch.is_empty() {
                    flow.custody.settle();
                    break;
                }
                let Some(link) = self.links.get_mut(at) else {
                    out.push(flow);
                    break;
                };
                at += 1;
                if !touched[at - 1] || !link.block.touches(&flow) {
                    continue;
                }
                if !link.takes_packed() {
                    flow.batch.unpack();
                }
                let selection = link.block.select(&flow);
                let taken = flow.batch.len();
                let tag = flow.batch.tag.clone();
                let mut cx = FilterContext::new(now);
                match link.call(Call::Apply(&mut flow, &selection), &mut cx) {
                    Ok(()) => {
                        link.count(taken, flow.batch.len(), &cx);
                        link.block.dead_letter(&flow, &cx);
                    }
                    Err(what) => {
                        cx.emitted.push(flow);
                        link.block.set_aside(cx.emitted, taken, &what);
                        break;
                    }
                }
                // The last one in is the first to go on.
                waiting.extend(cx.emitted.into_iter().rev().map(|flow| (at, flow)));
                if !Arc::ptr_eq(&tag, &flow.batch.tag) {
                    touched = self.touched(&flow.batch.tag);
                }
            }
        }
    }

    /// When a filter wants to be ticked.
    pub fn deadline(&self) -> Option<Instant> {
        self.links.iter().filter_map(Link::deadline).min()
    }

    /// Ticks the filters whose time has come.
    pub fn tick(&mut self, now: Instant, out: &mut Vec<Flow>) {
        for at in 0..self.links.len() {
            if self.links[at].deadline().is_some_and(|deadline| deadline <= now) {
                self.release(at, Call::Tick, now, out);
            }
        }
    }

    /// Has the filters let go of what they hold.
    pub fn flush(&mut self, now: Instant, which: Flush, out: &mut Vec<Flow>) {
        for at in 0..self.links.len() {
            if self.links[at].own.is_some() == (which == Flush::Own) {
                self.release(at, Call::Flush, now, out);
            }
        }
    }

    fn release(&mut self, at: usize, call: Call<'_>, now: Instant, out: &mut Vec<Flow>) {
        let link = &mut self.links[at];
        let mut cx = FilterContext::new(now);
        match link.call(call, &mut cx) {
            Ok(()) => link.count(0, 0, &cx),
            Err(what) => return link.block.set_aside(cx.emitted, 0, &what),
        }
        for flow in cx.emitted {
            self.run_from(at + 1, flow, now, out);
        }
    }

    fn touched(&mut self, tag: &Arc<str>) -> Arc<[bool]> {
        if let Some(touched) = self.touched.get(tag) {
            return touched.clone();
        }
        if self.touched.len() >= TAGS_KEPT {
            self.touched.clear();
        }
        let touched: Arc<[bool]> = self.links.iter().map(|link| link.block.plan.matches.matches(tag)).collect();
        self.touched.insert(tag.clone(), touched.clone());
        touched
    }
}

// === impl Link ===

impl Link {
    /// Whether its filter is given packed batches as they are. One that is shared is not asked, nor one with a condition,
    /// which looks into records first.
    fn takes_packed(&self) -> bool {
        self.block.plan.when.is_none() && self.own.as_ref().is_some_and(|filter| filter.takes_packed())
    }

    /// Calls the filter; on a panic, what it said, and a new instance from now on.
    fn call(&mut self, call: Call<'_>, cx: &mut FilterContext) -> Result<(), String> {
        let run = |filter: &mut Box<dyn Filter>| {
            catch_unwind(AssertUnwindSafe(|| match call {
                Call::Apply(flow, rows) => filter.apply(flow, rows, cx),
                Call::Tick => filter.tick(cx),
                Call::Flush => filter.flush(cx),
            }))
            .map_err(|panic| {
                *filter = self.block.plan.factory.instance();
                panic_text(&*panic)
            })
        };
        let result = match (&mut self.own, &self.block.shared) {
            (Some(own), _) => run(own),
            (None, Some(shared)) => run(&mut shared.lock().unwrap_or_else(PoisonError::into_inner)),
            (None, None) => unreachable!("a link has an instance, or its block has"),
        };
        if let Err(what) = &result {
            let name = &self.block.plan.name;
            self.lose_held();
            tracing::error!(filter = %name, "the filter panicked: {what}; its batch is in the dead letter");
            self.block.health.panicked(name, what);
        }
        result
    }

    /// What the instance held is gone with it; where the custody of it was kept, a restart reads it again.
    fn lose_held(&self) {
        let lost = self.held().swap(0, Relaxed);
        self.block.ledger.held.fetch_sub(lost.cast_unsigned(), Relaxed);
        self.block.ledger.dropped.add(Reason::PANIC, usize::try_from(lost).unwrap_or(0));
    }

    /// Records the instance holds, as far as it was counted.
    fn held(&self) -> &AtomicI64 {
        if self.own.is_some() { &self.held } else { &self.block.held }
    }

    fn count(&self, taken: usize, stayed: usize, cx: &FilterContext) {
        self.held().fetch_add(cx.held as i64, Relaxed);
        self.block.count(taken, stayed, cx);
    }

    fn deadline(&self) -> Option<Instant> {
        if !self.ticks {
            return None;
        }
        match (&self.own, &self.block.shared) {
            (Some(own), _) => own.deadline(),
            (None, Some(shared)) => shared.lock().unwrap_or_else(PoisonError::into_inner).deadline(),
            (None, None) => None,
        }
    }
}

impl Drop for Link {
    /// A worker in order has let go of everything before; one that panicked has not.
    fn drop(&mut self) {
        if self.own.is_some() {
            self.lose_held();
        }
    }
}
