//! What the queue's threads share, and what is done with it from outside: pushing, giving back, closing.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use suiro_sdk::ledger::add;
use suiro_sdk::{Part, Position, Reason, Tracker};
use tokio::sync::Notify;

use super::DiskSetup;
use super::book::{Book, Staged};
use super::fs::Fs;
use super::quarantine::Quarantine;
use super::reader::Reader;
use super::thread::Bell;
use crate::queue::WhenFull;

/// What the queue's threads share.
pub(super) struct Core {
    pub(super) setup: DiskSetup,
    pub(super) fs: Box<dyn Fs>,
    /// Over positions.
    pub(super) tracker: Arc<Tracker>,
    pub(super) book: Mutex<Book>,
    pub(super) reader: Mutex<Reader>,
    pub(super) quarantine: Quarantine,
    /// For the driver.
    pub(super) ready: Notify,
    /// For the writer.
    pub(super) bell: Arc<Bell>,
    /// Bounds of what is staged and of what is under way, bytes each.
    pub(super) share: usize,
    /// A segment is closed at this size, bytes.
    pub(super) segment_size: u64,
}

// === impl Core ===

impl Core {
    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, part: Part) -> Result<(), Box<Part>> {
        let setup = &self.setup.queue;
        let records = part.len();
        let charge = part.batch.capacity().max(1);
        let mut dropped = Vec::new();
        let mut book = self.book();
        let fits = |bytes: usize| bytes == 0 || bytes + charge <= self.share;
        if setup.when_full == WhenFull::DropOldest && !fits(book.staged_bytes) {
            let staged: usize = book.staged.iter().map(|staged| staged.charge).sum();
            // Frames on their way to the disk can't make room. Where these alone are too much, the oldest would go for nothing.
            let helps = fits(book.staged_bytes - staged);
            while helps && !fits(book.staged_bytes) {
                let Some(oldest) = book.staged.pop_front() else { break };
                book.staged_bytes -= oldest.charge;
                dropped.push(oldest.part);
            }
        }
        let full = !fits(book.staged_bytes);
        if full && setup.when_full == WhenFull::Block {
            book.turned_away = true;
            return Err(Box::new(part));
        }
        add(&setup.ledger.routed, records);
        add(&setup.ledger.in_flight, records);
        if full {
            dropped.push(part);
        } else {
            book.staged_bytes += charge;
            book.staged.push_back(Staged { part, charge });
        }
        self.gauge(&book);
        drop(book);
        self.bell.ring();
        for part in dropped {
            self.dropped(part.len(), Reason::QUEUE_FULL);
            part.custody.settle();
        }
        Ok(())
    }

    pub(super) fn done(&self, charge: usize) {
        let mut book = self.book();
        book.under_way = book.under_way.saturating_sub(charge);
        if std::mem::take(&mut book.starved) {
            drop(book);
            self.ready.notify_one();
        }
    }

    /// What is under way leaves no room for what is next.
    pub(super) fn is_held_up(&self) -> bool {
        self.book().starved
    }

    pub(super) fn close(&self) {
        self.book().closed = true;
        self.bell.ring();
        self.ready.notify_one();
    }

    pub(super) fn is_finished(&self) -> bool {
        let book = self.book();
        book.closed && book.staged_bytes == 0 && book.next_place().is_none()
    }

    /// How far everything is settled, what earlier runs settled included.
    pub(super) fn position(&self) -> Position {
        let Position { mark, mut settled } = self.tracker.position();
        settled.extend_from_slice(self.book().settled_before());
        settled.retain(|range| range.end > mark);
        settled.sort_unstable_by_key(|range| range.start);
        settled.dedup_by(|next, last| {
            let joined = next.start <= last.end;
            if joined {
                last.end = last.end.max(next.end);
            }
            joined
        });
        Position { mark, settled }
    }

    /// Records that were in flight are dropped.
    pub(super) fn dropped(&self, records: usize, reason: Reason) {
        let ledger = &self.setup.queue.ledger;
        ledger.dropped.add(reason, records);
        ledger.in_flight.fetch_sub(records as u64, Relaxed);
    }

    /// Records of an earlier run were found.
    pub(super) fn recovered(&self, records: usize) {
        let ledger = &self.setup.queue.ledger;
        add(&ledger.recovered, records);
        add(&ledger.in_flight, records);
    }

    /// What waits in memory has become less: wakes who waits for room.
    pub(super) fn wake_pushers(&self) {
        if std::mem::take(&mut self.book().turned_away) {
            self.setup.queue.wakers.iter().for_each(suiro_sdk::Waker::wake);
        }
    }

    /// Shows how much is queued: on disk, and on its way there.
    pub(super) fn gauge(&self, book: &Book) {
        let bytes = book.disk_bytes() + book.staged_bytes as u64;
        self.setup.queue.ledger.queued_bytes.store(bytes, Relaxed);
    }
}
