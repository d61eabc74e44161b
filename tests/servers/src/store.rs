//! What a server took, and waiting for more.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A value many threads change, and tests wait for.
#[derive(Debug, Default)]
pub(crate) struct Store<T> {
    value: Mutex<T>,
    changed: Condvar,
}

// === impl Store ===

impl<T> Store<T> {
    pub(crate) fn new(value: T) -> Self {
        Store { value: Mutex::new(value), changed: Condvar::new() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `change` and tells those who wait.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Waits until `done`, for `patience` at most; says whether it came to that.
    pub(crate) fn wait(&self, patience: Duration, mut done: impl FnMut(&T) -> bool) -> bool {
        let until = Instant::now() + patience;
        let mut value = self.lock();
        loop {
            if done(&value) {
                return true;
            }
            let Some(left) = until.checked_duration_since(Instant::now()) else { return false };
            value = self.changed.wait_timeout(value, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
