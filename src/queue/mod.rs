//! The queue in front of an output.
//!
//! Workers push, the output's driver pops. A part counts against the queue's bound from the push until the driver is done
//! with it ([`Queue::done`]): what is under way is memory, too.

mod disk;
mod memory;

use std::sync::Arc;

use suiro_sdk::{OutputLedger, Part, Waker};

pub use disk::{DiskQueue, DiskQueueError, DiskSetup, Fsync, orphans, read_frame};
pub use memory::MemoryQueue;

/// A queue in front of an output.
pub trait Queue: Send + Sync {
    /// Takes a part, or gives it back: the queue is full, and who waits for it is woken when it isn't any more.
    fn push(&self, part: Part) -> Result<(), Box<Part>>;

    /// The oldest part, if there is one.
    fn pop(&self) -> Option<Queued>;

    /// Completes when there may be something to pop, or the queue is held up, or was closed.
    fn ready(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>>;

    /// The driver is done with a part, and its memory is free.
    fn done(&self, charge: usize);

    /// Whether what was popped is all that keeps more from coming: the driver had better send what it collects, full or
    /// not. [`Queue::ready`] completes when that becomes true.
    fn is_held_up(&self) -> bool;

    /// Nothing more will be pushed.
    fn close(&self);

    /// Whether it is closed and empty.
    fn is_finished(&self) -> bool;

    /// The end: nothing is popped any more, and what must survive the process is made durable.
    fn finish(&self) {}
}

/// A part that was popped, and what it is charged with.
#[derive(Debug)]
pub struct Queued {
    /// The part.
    pub part: Part,
    /// Bytes, to be given back with [`Queue::done`].
    pub charge: usize,
}

/// What a queue does when it is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// The inputs wait.
    #[default]
    Block,
    /// The oldest records make room.
    DropOldest,
    /// The new records are dropped.
    DropNewest,
}

/// What every queue needs to know.
#[derive(Debug)]
pub struct QueueSetup {
    /// Bound of the memory it holds, bytes.
    pub max_bytes: usize,
    /// What happens there.
    pub when_full: WhenFull,
    /// The output's counts.
    pub ledger: Arc<OutputLedger>,
    /// Wakes those who may wait for room.
    pub wakers: Vec<Waker>,
}
