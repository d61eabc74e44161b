//! The queue in memory: bounded by bytes, batches shared with the other outputs' queues.
//!
//! A part is charged with the capacity of its whole batch: that is the memory it keeps from being used. A part larger than
//! the whole bound is taken when the queue is empty: there is no other way to get rid of it.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use suiro_sdk::ledger::add;
use suiro_sdk::{Part, Reason};
use tokio::sync::Notify;

use super::{Queue, QueueSetup, Queued, WhenFull};

/// See the module.
#[derive(Debug)]
pub struct MemoryQueue {
    setup: QueueSetup,
    state: Mutex<State>,
    ready: Notify,
    /// Somebody was turned away and waits for room.
    turned_away: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    parts: VecDeque<Queued>,
    /// Charges of what is queued and of what is under way.
    bytes: usize,
    closed: bool,
}

// === impl MemoryQueue ===

impl MemoryQueue {
    /// An empty queue.
    pub fn new(setup: QueueSetup) -> Self {
        MemoryQueue { setup, state: Mutex::default(), ready: Notify::new(), turned_away: AtomicBool::new(false) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drop_part(&self, part: Part) {
        self.setup.ledger.dropped.add(Reason::QUEUE_FULL, part.len());
        part.custody.settle();
    }
}

impl Queue for MemoryQueue {
    fn push(&self, part: Part) -> Result<(), Box<Part>> {
        let charge = part.batch.capacity();
        let records = part.len();
        let mut dropped = Vec::new();
        let mut state = self.state();
        if self.setup.when_full == WhenFull::DropOldest {
            while state.bytes + charge > self.setup.max_bytes {
                let Some(oldest) = state.parts.pop_front() else { break };
                state.bytes -= oldest.charge;
                dropped.push(oldest);
            }
        }
        let full = state.bytes > 0 && state.bytes + charge > self.setup.max_bytes;
        if full && self.setup.when_full == WhenFull::Block {
            self.turned_away.store(true, Ordering::SeqCst);
            return Err(Box::new(part));
        }
        add(&self.setup.ledger.routed, records);
        if full {
            drop(state);
            self.drop_part(part);
        } else {
            add(&self.setup.ledger.in_flight, records);
            add(&self.setup.ledger.queued_bytes, charge);
            state.bytes += charge;
            state.parts.push_back(Queued { part, charge });
            drop(state);
            self.ready.notify_one();
        }
        for Queued { part, charge } in dropped {
            self.setup.ledger.in_flight.fetch_sub(part.len() as u64, Ordering::Relaxed);
            self.setup.ledger.queued_bytes.fetch_sub(charge as u64, Ordering::Relaxed);
            self.drop_part(part);
        }
        Ok(())
    }

    fn pop(&self) -> Option<Queued> {
        self.state().parts.pop_front()
    }

    fn ready(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.ready.notified())
    }

    fn done(&self, charge: usize) {
        self.state().bytes -= charge;
        self.setup.ledger.queued_bytes.fetch_sub(charge as u64, Ordering::Relaxed);
        if self.turned_away.swap(false, Ordering::SeqCst) {
            self.setup.wakers.iter().for_each(suiro_sdk::Waker::wake);
        }
    }

    fn close(&self) {
        self.state().closed = true;
        self.ready.notify_one();
    }

    fn is_finished(&self) -> bool {
        let state = self.state();
        state.closed && state.parts.is_empty()
    }
}
