//! What is not as it should be, by block: for `/api/v1/health` and the log.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use suiro_sdk::ReportHealth;

/// What is wrong, by block.
#[derive(Debug, Default)]
pub struct Health(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    degraded: BTreeMap<String, String>,
    panics: BTreeMap<String, u64>,
}

// === impl Health ===

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `block` works.
    pub fn ok(&self, block: &str) {
        let mut state = self.state();
        if !state.degraded.is_empty() && state.degraded.remove(block).is_some() {
            drop(state);
            tracing::info!(block, "works again");
        }
    }

    /// `block` does not work, and somebody should know.
    pub fn degraded(&self, block: &str, why: &str) {
        self.state().degraded.insert(block.to_owned(), why.to_owned());
    }

    /// `block` panicked and goes on.
    pub fn panicked(&self, block: &str, what: &str) {
        let mut state = self.state();
        *state.panics.entry(block.to_owned()).or_default() += 1;
        state.degraded.insert(block.to_owned(), format!("panicked: {what}"));
    }

    /// What is wrong now, by block.
    pub fn troubles(&self) -> BTreeMap<String, String> {
        self.state().degraded.clone()
    }

    /// Panics so far, by block.
    pub fn panics(&self) -> BTreeMap<String, u64> {
        self.state().panics.clone()
    }
}

impl ReportHealth for Health {
    fn ok(&self, block: &str) {
        Health::ok(self, block);
    }

    fn degraded(&self, block: &str, why: &str) {
        Health::degraded(self, block, why);
    }
}
