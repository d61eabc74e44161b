//! A worker: one thread that reads its sources, runs what they give through the filters, and hands it to the queues.
//!
//! Everything a worker owns is its own: sources, filter instances, routes. It never blocks on a queue; a source whose
//! records found no room is parked until they do, and the others go on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use suiro_sdk::{Flow, Polled, Progress, Source, SourceSetup, StartError};

use super::Shared;
use super::chain::{Chain, Flush};
use super::control::{Event, Phase, WorkerSignal};
use super::panic_text;
use super::router::{Blocked, Router};

/// How often positions are saved.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);
/// How long a source that panicked stays away.
const RESTART_AFTER: Duration = Duration::from_secs(1);
/// Longest sleep.
const LONGEST_NAP: Duration = Duration::from_secs(60);

/// A worker, on its thread.
pub struct Worker {
    shared: Arc<Shared>,
    shard: usize,
    signal: Arc<WorkerSignal>,
    slots: Vec<Slot>,
    chain: Chain,
    router: Router,
    /// What filters let go of by the clock and found no room.
    orphans: Vec<Blocked>,
    next_checkpoint: Instant,
    stage: Stage,
}

/// How far a worker is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Reading,
    Exhausted,
    Flushing,
    Flushed,
}

struct Slot {
    input: usize,
    source: Option<Box<dyn Source>>,
    /// The input's own filters.
    chain: Chain,
    /// Records that wait for room: the source is parked.
    blocked: Vec<Blocked>,
    state: SlotState,
    /// This worker said that the input does not work, or perhaps the one before it: what another one said is not taken back
    /// here.
    troubled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SlotState {
    Ready,
    Idle(Option<Instant>),
    /// To be started anew then.
    Broken(Instant),
    Done,
}

// === impl Worker ===

impl Worker {
    /// Opens the worker's share of all inputs. Called on its own thread.
    pub fn start(shared: Arc<Shared>, shard: usize) -> Result<Worker, StartError> {
        let signal = shared.control.worker(shard).clone();
        signal.attach();
        let mut slots = Vec::new();
        for (input, block) in shared.inputs.iter().enumerate() {
            if let Some(source) = open(&shared, input, shard)? {
                let chain = Chain::new(block.filters.iter().cloned(), true);
                let state = SlotState::Ready;
                slots.push(Slot { input, source: Some(source), chain, blocked: Vec::new(), state, troubled: true });
            }
        }
        let first = shard == 0;
        Ok(Worker {
            chain: Chain::new(shared.filters.iter().cloned(), first),
            router: Router::new(shared.routes(first), shared.books.router.clone(), shared.pool.clone()),
            signal,
            slots,
            orphans: Vec::new(),
            next_checkpoint: Instant::now() + CHECKPOINT_EVERY,
            stage: Stage::Reading,
            shared,
            shard,
        })
    }

    /// Works until the agent says to finish.
    pub fn run(&mut self) {
        loop {
            let phase = self.shared.control.phase();
            if phase == Phase::Finishing {
                self.checkpoint();
                return;
            }
            let woken = self.signal.take();
            let now = Instant::now();
            let mut moved = false;
            self.router.retry(&mut self.orphans);
            if phase == Phase::Running {
                for at in 0..self.slots.len() {
                    moved |= self.advance(at, woken, now);
                }
                if self.orphans.is_empty() {
                    self.tick(now);
                }
                if self.stage == Stage::Reading && self.slots.iter().all(Slot::is_exhausted) {
                    self.stage = Stage::Exhausted;
                    self.shared.control.tell(Event::Exhausted(self.shard));
                }
            } else {
                self.flush(now);
            }
            if now >= self.next_checkpoint {
                self.checkpoint();
                self.next_checkpoint = now + CHECKPOINT_EVERY;
            }
            if !moved {
                self.nap(now);
            }
        }
    }

    /// Moves one batch of a source, if it has one. Says whether it did.
    fn advance(&mut self, at: usize, woken: bool, now: Instant) -> bool {
        let slot = &mut self.slots[at];
        if !slot.blocked.is_empty() {
            self.router.retry(&mut slot.blocked);
            if !slot.blocked.is_empty() {
                return false;
            }
            slot.state = SlotState::Ready;
        }
        let due = match slot.state {
            SlotState::Ready => true,
            SlotState::Idle(until) => woken || until.is_some_and(|until| until <= now),
            SlotState::Broken(until) if until <= now => {
                self.restart(at, now);
                return false;
            }
            SlotState::Broken(_) | SlotState::Done => false,
        };
        let Some(source) = slot.source.as_mut().filter(|_| due) else { return false };
        match catch_unwind(AssertUnwindSafe(|| source.poll())) {
            Ok(Polled::Batch(flow)) => {
                slot.state = SlotState::Ready;
                self.handle(at, flow, now);
                true
            }
            Ok(Polled::Idle { until }) => {
                slot.state = SlotState::Idle(until);
                false
            }
            Ok(Polled::Done) => {
                slot.state = SlotState::Done;
                true
            }
            Err(panic) => {
                let name = &self.shared.inputs[slot.input].name;
                let what = panic_text(&*panic);
                tracing::error!(input = %name, "the input panicked: {what}; it starts anew from what is settled");
                self.shared.health.panicked(name, &what);
                slot.troubled = true;
                slot.source = None;
                slot.state = SlotState::Broken(now + RESTART_AFTER);
                false
            }
        }
    }

    fn restart(&mut self, at: usize, now: Instant) {
        let input = self.slots[at].input;
        let slot = &mut self.slots[at];
        match open(&self.shared, input, self.shard) {
            Ok(source) => {
                slot.state = if source.is_some() { SlotState::Ready } else { SlotState::Done };
                slot.source = source;
            }
            Err(error) => {
                self.shared.health.degraded(&self.shared.inputs[input].name, &error.to_string());
                slot.troubled = true;
                slot.state = SlotState::Broken(now + RESTART_AFTER * 10);
            }
        }
    }

    /// Through the input's filters, the common ones, and to the queues.
    fn handle(&mut self, at: usize, flow: Flow, now: Instant) {
        let slot = &mut self.slots[at];
        let mut flows = Vec::new();
        slot.chain.run(flow, now, &mut flows);
        let mut out = Vec::new();
        for flow in flows {
            self.chain.run(flow, now, &mut out);
        }
        for flow in out {
            self.router.route(flow, now, &mut slot.blocked);
        }
    }

    /// Calls the filters whose time has come.
    fn tick(&mut self, now: Instant) {
        let mut out = Vec::new();
        for slot in &mut self.slots {
            // A parked source's records must not be overtaken by those its filters hold.
            if slot.blocked.is_empty() && slot.chain.deadline().is_some_and(|deadline| deadline <= now) {
                let mut flows = Vec::new();
                slot.chain.tick(now, &mut flows);
                flows.into_iter().for_each(|flow| self.chain.run(flow, now, &mut out));
            }
        }
        if self.chain.deadline().is_some_and(|deadline| deadline <= now) {
            self.chain.tick(now, &mut out);
        }
        out.into_iter().for_each(|flow| self.router.route(flow, now, &mut self.orphans));
        if self.router.deadline().is_some_and(|deadline| deadline <= now) {
            self.router.tick(now, &mut self.orphans);
        }
    }

    /// On the way out: sources stop, filters let go, and what finds no room is tried until it does.
    fn flush(&mut self, now: Instant) {
        if matches!(self.stage, Stage::Reading | Stage::Exhausted) {
            self.stage = Stage::Flushing;
            let mut out = Vec::new();
            for slot in &mut self.slots {
                self.orphans.append(&mut slot.blocked);
                let mut flows = Vec::new();
                if let Some(source) = &mut slot.source {
                    source.stop();
                    while let Some(flow) = source.finish() {
                        slot.chain.run(flow, now, &mut flows);
                    }
                }
                slot.chain.flush(now, Flush::Own, &mut flows);
                flows.into_iter().for_each(|flow| self.chain.run(flow, now, &mut out));
            }
            self.chain.flush(now, Flush::Own, &mut out);
            out.into_iter().for_each(|flow| self.router.route(flow, now, &mut self.orphans));
            self.router.flush(now, Flush::Own, &mut self.orphans);
            // Filters that all share let go last: any worker may still have brought them something.
            if self.shared.is_last_to_flush() {
                self.flush_shared(now);
            }
        }
        if self.stage == Stage::Flushing && self.orphans.is_empty() {
            self.stage = Stage::Flushed;
            self.shared.control.tell(Event::Flushed(self.shard));
        }
    }

    fn flush_shared(&mut self, now: Instant) {
        let mut out = Vec::new();
        for slot in &mut self.slots {
            let mut flows = Vec::new();
            slot.chain.flush(now, Flush::Shared, &mut flows);
            flows.into_iter().for_each(|flow| self.chain.run(flow, now, &mut out));
        }
        self.chain.flush(now, Flush::Shared, &mut out);
        out.into_iter().for_each(|flow| self.router.route(flow, now, &mut self.orphans));
        self.router.flush(now, Flush::Shared, &mut self.orphans);
    }

    fn checkpoint(&mut self) {
        for slot in &mut self.slots {
            let Some(source) = &mut slot.source else { continue };
            let name = &self.shared.inputs[slot.input].name;
            match catch_unwind(AssertUnwindSafe(|| source.checkpoint())) {
                Ok(Ok(())) if matches!(slot.state, SlotState::Ready | SlotState::Idle(_)) => {
                    if std::mem::take(&mut slot.troubled) {
                        self.shared.health.ok(name);
                    }
                }
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    let why = format!("positions can't be saved: {error}");
                    if !self.shared.health.troubles().contains_key(&**name) {
                        tracing::error!(input = %name, "{why}; a crash now would deliver records again");
                    }
                    self.shared.health.degraded(name, &why);
                    slot.troubled = true;
                }
                Err(panic) => {
                    self.shared.health.panicked(name, &panic_text(&*panic));
                    slot.troubled = true;
                }
            }
            let Progress { read, total } = source.progress();
            self.shared.inputs[slot.input].progress.set(self.shard, read, total);
        }
    }

    fn nap(&self, now: Instant) {
        let mut until = now + LONGEST_NAP;
        let mut sooner = |time: Instant| until = until.min(time);
        sooner(self.next_checkpoint);
        // What is not polled or ticked now must not wake: that would be a loop that does nothing. On the way out nothing
        // is, and records without room wait for the queue's waker.
        let reading = matches!(self.stage, Stage::Reading | Stage::Exhausted);
        let ticking = reading && self.orphans.is_empty();
        for slot in self.slots.iter().filter(|slot| reading && slot.blocked.is_empty()) {
            match slot.state {
                SlotState::Idle(Some(time)) | SlotState::Broken(time) => sooner(time),
                _ => {}
            }
            if ticking {
                slot.chain.deadline().into_iter().for_each(&mut sooner);
            }
        }
        if ticking {
            self.chain.deadline().into_iter().for_each(&mut sooner);
            self.router.deadline().into_iter().for_each(&mut sooner);
        }
        std::thread::park_timeout(until.saturating_duration_since(now));
    }
}

// === impl Slot ===

impl Slot {
    fn is_exhausted(&self) -> bool {
        self.state == SlotState::Done && self.blocked.is_empty()
    }
}

fn open(shared: &Shared, input: usize, shard: usize) -> Result<Option<Box<dyn Source>>, StartError> {
    let block = &shared.inputs[input];
    block.input.source(SourceSetup {
        name: block.name.clone(),
        shard,
        shards: shared.workers,
        data_dir: shared.data_dir.clone(),
        ledger: block.ledger.clone(),
        decoder: block.decoder.clone(),
        tag: block.tag.clone(),
        pool: shared.pool.clone(),
        waker: shared.control.worker(shard).waker(),
        once: shared.once,
    })
}
