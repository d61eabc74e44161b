//! What an instance may have.

use wasmtime::{Error, ResourceLimiter, Result};

use crate::engine::TABLE;

/// The limits of an instance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of memory.
    pub(crate) memory: usize,
}

/// The guest asked for more memory than it may have. A trap, not a failed `memory.grow`: a guest that takes the failure
/// for granted would go on with a pointer to nothing, and the log would not say why.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("it asked for {wanted} MiB of memory, `memory` allows {allowed} MiB")]
pub(crate) struct TooMuchMemory {
    wanted: usize,
    allowed: usize,
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, _current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        if desired > self.memory {
            return Err(Error::new(TooMuchMemory { wanted: desired.div_ceil(1 << 20), allowed: self.memory >> 20 }));
        }
        Ok(maximum.is_none_or(|maximum| desired <= maximum))
    }

    fn table_growing(&mut self, _current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        Ok(desired <= maximum.unwrap_or(TABLE).min(TABLE))
    }
}
