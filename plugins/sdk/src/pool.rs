//! Batches are big and live briefly: their memory goes round.
//!
//! A fresh megabyte from the system costs a page fault per 4 KiB when it is first touched, about as much as parsing it. So
//! a batch that nobody holds any more gives its buffers back here, and the next one read is built in them.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use suiro_record::{Batch, Scope};

/// Batches kept for the next use, at most.
const KEPT: usize = 8;
/// A batch whose buffers have grown beyond this is not kept: one giant line must not cost memory for ever. Bytes.
const KEPT_CAPACITY: usize = 4 << 20;

/// Used batches.
#[derive(Debug, Default)]
pub struct Pool(Mutex<Vec<Batch>>);

/// A batch several can read; its memory returns to the pool with the last of them.
pub type SharedBatch = Arc<Pooled>;

/// A batch that belongs to a pool.
#[derive(Debug)]
pub struct Pooled {
    /// Always there until `drop`.
    batch: Option<Batch>,
    pool: Arc<Pool>,
}

// === impl Pool ===

impl Pool {
    /// An empty batch, in used memory if there is any.
    pub fn batch(&self, tag: Arc<str>, scope: Arc<Scope>, read_at: i64) -> Batch {
        let used = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match used {
            Some(mut batch) => {
                batch.reset(tag, scope, read_at);
                batch
            }
            None => Batch::new(tag, scope, read_at),
        }
    }

    /// Gives a batch's memory back.
    pub fn recycle(&self, batch: Batch) {
        if batch.capacity() <= KEPT_CAPACITY {
            let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if free.len() < KEPT {
                free.push(batch);
            }
        }
    }

    /// Lets several read `batch`.
    pub fn share(self: &Arc<Self>, batch: Batch) -> SharedBatch {
        Arc::new(Pooled { batch: Some(batch), pool: self.clone() })
    }
}

// === impl Pooled ===

impl Deref for Pooled {
    type Target = Batch;

    fn deref(&self) -> &Batch {
        match &self.batch {
            Some(batch) => batch,
            None => unreachable!("only `drop` takes the batch"),
        }
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        if let Some(batch) = self.batch.take() {
            self.pool.recycle(batch);
        }
    }
}
