//! How the agent's threads are told what to do, and tell what happened.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;

use suiro_sdk::Waker;
use tokio::sync::mpsc;

/// What workers are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Read, filter, hand on.
    Running,
    /// Read no more; hand on what filters hold.
    Flushing,
    /// Save positions, and end.
    Finishing,
}

/// What threads tell the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The worker has nothing to read any more, ever.
    Exhausted(usize),
    /// The worker has handed on all it had.
    Flushed(usize),
    /// The worker has ended.
    WorkerEnded(usize),
    /// The output has ended.
    OutputEnded(usize),
}

/// Shared by all threads.
#[derive(Debug)]
pub struct Control {
    phase: AtomicU8,
    workers: Vec<Arc<WorkerSignal>>,
    events: mpsc::UnboundedSender<Event>,
}

/// Wakes a worker's thread.
#[derive(Debug, Default)]
pub struct WorkerSignal {
    thread: OnceLock<Thread>,
    woken: AtomicBool,
}

// === impl Control ===

impl Control {
    /// For that many workers.
    pub fn new(workers: usize, events: mpsc::UnboundedSender<Event>) -> Self {
        let workers = (0..workers).map(|_| Arc::default()).collect();
        Control { phase: AtomicU8::new(Phase::Running as u8), workers, events }
    }

    /// What workers are to do now.
    pub fn phase(&self) -> Phase {
        match self.phase.load(SeqCst) {
            0 => Phase::Running,
            1 => Phase::Flushing,
            _ => Phase::Finishing,
        }
    }

    /// Tells the workers. Phases only go forward.
    pub fn set_phase(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, SeqCst);
        self.workers.iter().for_each(|worker| worker.wake());
    }

    /// Tells the agent.
    pub fn tell(&self, event: Event) {
        // Nobody listens only when the agent is ending.
        let _ = self.events.send(event);
    }

    /// A worker's signal.
    pub fn worker(&self, shard: usize) -> &Arc<WorkerSignal> {
        &self.workers[shard]
    }

    /// Wakers of all workers.
    pub fn wakers(&self) -> Vec<Waker> {
        self.workers.iter().map(WorkerSignal::waker).collect()
    }
}

// === impl WorkerSignal ===

impl WorkerSignal {
    /// Called on the worker's thread: it is this one that is to be woken.
    pub fn attach(&self) {
        let _ = self.thread.set(std::thread::current());
    }

    /// Whether it was woken since it last asked.
    pub fn take(&self) -> bool {
        self.woken.swap(false, SeqCst)
    }

    fn wake(&self) {
        self.woken.store(true, SeqCst);
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// A waker for plugins.
    pub fn waker(self: &Arc<Self>) -> Waker {
        let signal = self.clone();
        Waker::new(move || signal.wake())
    }
}
