//! How a block says that it does not work as it should.

use std::sync::Arc;

/// Who keeps what is wrong, by block.
pub trait ReportHealth: Send + Sync {
    /// `block` works.
    fn ok(&self, block: &str);
    /// `block` does not work, and somebody should know.
    fn degraded(&self, block: &str, why: &str);
}

/// One block's health: for `/api/v1/health`.
#[derive(Clone)]
pub struct BlockHealth {
    block: Arc<str>,
    reports: Arc<dyn ReportHealth>,
}

// === impl BlockHealth ===

impl BlockHealth {
    /// The health of `block`.
    pub fn new(block: Arc<str>, reports: Arc<dyn ReportHealth>) -> Self {
        BlockHealth { block, reports }
    }

    /// It works.
    pub fn ok(&self) {
        self.reports.ok(&self.block);
    }

    /// It does not work, and somebody should know.
    pub fn degraded(&self, why: &str) {
        self.reports.degraded(&self.block, why);
    }
}

impl std::fmt::Debug for BlockHealth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlockHealth({})", self.block)
    }
}

/// What a panic said.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a text".to_owned())
}
