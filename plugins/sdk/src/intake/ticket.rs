//! Waiting for the answer to a request.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use suiro_record::Source as Origin;
use tokio::sync::Notify;

use crate::custody::{Answered, Receipt, Tracker};
use crate::ledger::InputLedger;
use crate::settings::Section;

/// Stands for a request that was handed over.
#[must_use = "nobody waits for the answer"]
#[derive(Debug)]
pub struct Ticket(pub(super) Arc<Progress>);

/// When a request is answered: the settings `ack` and `ack_timeout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// After what.
    pub level: AckLevel,
    /// How long it may take; then the sender is told to send it again.
    pub timeout: Duration,
}

/// After what a request is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AckLevel {
    /// Every output's queue has it: durably where it is on disk; where it is in memory, a crash loses it.
    #[default]
    Queued,
    /// Every output has delivered it, or it is dropped or set aside as the configuration says.
    Delivered,
}

/// A request was not answered for in time, or the agent stops. It may still be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the agent could not answer for the request in time; send it again")]
pub struct AckTimeout;

/// How far a request is.
#[derive(Debug)]
pub(super) struct Progress {
    tracker: Arc<Tracker>,
    /// Batches no worker has taken.
    waiting: AtomicUsize,
    /// No worker will.
    given_up: AtomicBool,
    changed: Arc<Notify>,
}

// === impl Ack ===

impl Ack {
    /// The settings `ack` and `ack_timeout`, which is 8 s by default: less than clients over HTTP wait.
    pub fn read(settings: &Section) -> Ack {
        Self::read_or(settings, Duration::from_secs(8))
    }

    /// The same with another default of `ack_timeout`, where clients have another patience.
    pub fn read_or(settings: &Section, patience: Duration) -> Ack {
        let levels = [("queued", AckLevel::Queued), ("delivered", AckLevel::Delivered)];
        let level = settings.choice("ack", &levels).unwrap_or_default();
        let bounds = Duration::from_millis(10)..=Duration::from_secs(3600);
        let timeout = settings.within("ack_timeout", bounds).unwrap_or(patience);
        Ack { level, timeout }
    }
}

// === impl Ticket ===

impl Ticket {
    /// Waits until the request is answered for.
    pub async fn wait(self, ack: Ack) -> Result<(), AckTimeout> {
        let progress = self.0;
        let answered = async {
            loop {
                let changed = progress.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if progress.given_up.load(Ordering::SeqCst) {
                    return Err(AckTimeout);
                }
                if progress.is_answered(ack.level) {
                    return Ok(());
                }
                changed.await;
            }
        };
        tokio::time::timeout(ack.timeout, answered).await.unwrap_or(Err(AckTimeout))
    }
}

// === impl Progress ===

impl Progress {
    /// A request of `batches` that no worker has taken yet.
    pub(super) fn new(origin: Arc<Origin>, ledger: Arc<InputLedger>, batches: usize) -> Arc<Self> {
        let changed = Arc::new(Notify::new());
        let tell = changed.clone();
        let tracker = Tracker::watched(origin, ledger, Box::new(move || tell.notify_waiters()));
        Arc::new(Progress { tracker, waiting: AtomicUsize::new(batches), given_up: AtomicBool::new(false), changed })
    }

    /// A worker takes a batch of it.
    pub(super) fn open(&self, range: Range<u64>, records: u64) -> Receipt {
        let receipt = self.tracker.open(range, records);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        receipt
    }

    /// No worker will take what is left of it.
    pub(super) fn give_up(&self) {
        self.given_up.store(true, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    pub(super) fn is_answered(&self, level: AckLevel) -> bool {
        self.waiting.load(Ordering::SeqCst) == 0
            && match self.tracker.answered() {
                Answered::Settled => true,
                Answered::Queued => level == AckLevel::Queued,
                Answered::Waiting => false,
            }
    }
}
