//! Counters and gauges of the filter's own, among the agent's metrics.
//!
//! Names have 1 to 64 of `[a-z0-9_]`, and a filter has at most 64 of them. What a call of the agent counted is told once,
//! when it ends: counting costs an addition, not a call.

use std::sync::atomic::AtomicU64;
#[cfg(target_family = "wasm")]
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::{Error, sys};

/// A counter: `suiro_wasm_custom_total{filter, name}`. Made by [`counter!`](crate::counter!) or as a `static`.
#[derive(Debug)]
pub struct Counter {
    name: &'static str,
    #[cfg_attr(not(target_family = "wasm"), expect(dead_code, reason = "tests count at once, each for itself"))]
    pending: AtomicU64,
    #[cfg(target_family = "wasm")]
    listed: AtomicBool,
}

/// The counter of this name: `counter!("cards").add(1)`.
#[macro_export]
macro_rules! counter {
    ($name:literal) => {{
        static COUNTER: $crate::Counter = $crate::Counter::new($name);
        &COUNTER
    }};
}

/// Sets `suiro_wasm_custom{filter, name}`.
pub fn gauge(name: &str, value: f64) -> Result<(), Error> {
    Error::check(sys::gauge(name, value)).map(drop)
}

impl Counter {
    /// A counter that starts at 0.
    pub const fn new(name: &'static str) -> Counter {
        Counter {
            name,
            pending: AtomicU64::new(0),
            #[cfg(target_family = "wasm")]
            listed: AtomicBool::new(false),
        }
    }

    /// Adds. A name that is none, or one too many, is said in the agent's log.
    #[cfg(target_family = "wasm")]
    #[inline]
    pub fn add(&'static self, n: u64) {
        self.pending.store(self.pending.load(Relaxed) + n, Relaxed);
        if !self.listed.load(Relaxed) {
            pending::list(self);
        }
    }

    /// Adds. A name that is none, or one too many, is said in the agent's log.
    #[cfg(not(target_family = "wasm"))]
    pub fn add(&'static self, n: u64) {
        self.tell(n);
    }

    fn tell(&self, n: u64) {
        if let Err(error) = Error::check(sys::counter(self.name, i64::try_from(n).unwrap_or(i64::MAX))) {
            crate::warn!("counter `{}`: {error}", self.name);
        }
    }
}

/// Tells the agent what was counted since the last time.
pub(crate) fn report() {
    #[cfg(target_family = "wasm")]
    pending::report();
}

#[cfg(target_family = "wasm")]
mod pending {
    use std::cell::RefCell;
    use std::sync::atomic::Ordering::Relaxed;

    use super::Counter;

    thread_local! {
        /// Counters with something to tell.
        static PENDING: RefCell<Vec<&'static Counter>> = const { RefCell::new(Vec::new()) };
    }

    #[cold]
    pub(super) fn list(counter: &'static Counter) {
        counter.listed.store(true, Relaxed);
        PENDING.with_borrow_mut(|pending| pending.push(counter));
    }

    pub(super) fn report() {
        PENDING.with_borrow_mut(|pending| {
            for counter in pending.drain(..) {
                counter.listed.store(false, Relaxed);
                counter.tell(counter.pending.swap(0, Relaxed));
            }
        });
    }
}
