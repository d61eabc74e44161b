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
    /// A part found no room, and nothing was given back since.
    full: bool,
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
        let fits = |bytes: usize| bytes == 0 || bytes + charge <= self.setup.max_bytes;
        if !fits(state.bytes) && !std::mem::replace(&mut state.full, true) {
            self.ready.notify_one();
        }
        if self.setup.when_full == WhenFull::DropOldest && !fits(state.bytes) {
            let queued: usize = state.parts.iter().map(|queued| queued.charge).sum();
            // What is under way can't make room. Where that alone is too much, the oldest would go for nothing.
            let helps = fits(state.bytes - queued);
            while helps && !fits(state.bytes) {
                let Some(oldest) = state.parts.pop_front() else { break };
                state.bytes -= oldest.charge;
                dropped.push(oldest);
            }
        }
        let full = !fits(state.bytes);
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
            part.custody.note_queued();
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
        let mut state = self.state();
        state.bytes -= charge;
        state.full = false;
        drop(state);
        self.setup.ledger.queued_bytes.fetch_sub(charge as u64, Ordering::Relaxed);
        if self.turned_away.swap(false, Ordering::SeqCst) {
            self.setup.wakers.iter().for_each(suiro_sdk::Waker::wake);
        }
    }

    fn is_held_up(&self) -> bool {
        let state = self.state();
        state.full && state.parts.is_empty()
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

#[cfg(test)]
mod tests {
    use suiro_record::{Batch, Row, Scope, Source};
    use suiro_sdk::ledger::read;
    use suiro_sdk::{Custody, OutputLedger, Pool, Rows};

    use super::*;

    fn queue(when_full: WhenFull, max_bytes: usize) -> MemoryQueue {
        let ledger = std::sync::Arc::<OutputLedger>::default();
        MemoryQueue::new(QueueSetup { max_bytes, when_full, ledger, wakers: Vec::new() })
    }

    /// Record `n`, alone in its batch.
    fn part(n: i64) -> Part {
        let source = std::sync::Arc::new(Source::new("in".into(), 1));
        let mut batch = Batch::new("t".into(), std::sync::Arc::new(Scope::new(source)), 0);
        batch.heap_mut().extend_from_slice(&[b'x'; 1000]);
        let root = batch.text_body(0..1000);
        batch.rows.push(Row::new(root, n, 0, 1));
        let pool = std::sync::Arc::new(Pool::default());
        Part { batch: pool.share(batch), rows: Rows::All, custody: Custody::default() }
    }

    fn numbers(queue: &MemoryQueue) -> Vec<i64> {
        std::iter::from_fn(|| queue.pop()).map(|queued| queued.part.batch.rows[0].time).collect()
    }

    #[test]
    fn the_oldest_make_room_where_that_helps() {
        let charge = part(0).batch.capacity();
        let queue = queue(WhenFull::DropOldest, 3 * charge);
        (0..5).for_each(|n| assert!(queue.push(part(n)).is_ok()));
        assert_eq!(read(&queue.setup.ledger.in_flight), 3);
        let under_way = queue.pop().expect("there are three");
        assert!(queue.push(part(5)).is_ok());
        assert_eq!((under_way.part.batch.rows[0].time, numbers(&queue)), (2, vec![4, 5]));
        // All three are under way, and one more than fits: it goes, and nothing else.
        assert!(queue.push(part(6)).is_ok());
        let ledger = &queue.setup.ledger;
        assert_eq!((read(&ledger.routed), ledger.dropped.total(), read(&ledger.in_flight)), (7, 4, 3));
        queue.done(charge);
        assert!(queue.push(part(7)).is_ok());
        assert_eq!(numbers(&queue), [7]);
    }

    #[test]
    fn what_can_not_make_room_is_not_dropped() {
        let charge = part(0).batch.capacity();
        let queue = queue(WhenFull::DropOldest, 3 * charge - 1);
        (0..2).for_each(|n| assert!(queue.push(part(n)).is_ok()));
        let large = {
            let mut large = part(2);
            let mut batch = Batch::clone(&large.batch);
            batch.heap_mut().reserve(2 * charge);
            large.batch = std::sync::Arc::new(Pool::default()).share(batch);
            large
        };
        let _under_way = queue.pop().expect("there are two");
        assert!(queue.push(large).is_ok());
        assert_eq!((numbers(&queue), queue.setup.ledger.dropped.total()), (vec![1], 1));
    }

    #[test]
    fn one_that_is_larger_than_all_is_taken_alone() {
        let queue = queue(WhenFull::Block, 10);
        assert!(queue.push(part(0)).is_ok());
        assert!(queue.push(part(1)).is_err());
        let first = queue.pop().expect("there is one");
        assert!(queue.push(part(1)).is_err(), "it is still in memory");
        queue.done(first.charge);
        assert!(queue.push(part(1)).is_ok());
        queue.close();
        assert!(!queue.is_finished());
        assert_eq!(numbers(&queue), [1]);
        assert!(queue.is_finished());
    }

    #[test]
    fn it_is_held_up_when_nothing_is_left_in_it_and_nothing_fits() {
        for when_full in [WhenFull::Block, WhenFull::DropOldest, WhenFull::DropNewest] {
            let queue = queue(when_full, part(0).batch.capacity());
            assert!(queue.push(part(0)).is_ok());
            assert_eq!(queue.push(part(1)).is_ok(), when_full != WhenFull::Block);
            let held = queue.pop().expect("there is one");
            if when_full == WhenFull::DropOldest {
                // The newer one took the place of the older.
                assert!(queue.push(part(2)).is_ok());
            }
            assert!(queue.is_held_up(), "{when_full:?}");
            queue.done(held.charge);
            assert!(!queue.is_held_up(), "{when_full:?}");
        }
    }
}
