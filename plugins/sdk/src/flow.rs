//! A batch on its way, and those who answer for it.

use suiro_record::Batch;

use crate::custody::Custody;

/// A batch and the custody it travels with.
#[derive(Debug)]
pub struct Flow {
    /// The records.
    pub batch: Batch,
    /// Who waits for them to be answered for.
    pub custody: Custody,
}

/// Which records of a batch a block touches: those for which its `when` holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All of them.
    All,
    /// By row.
    Rows(Vec<bool>),
}

// === impl Flow ===

impl Flow {
    /// A batch somebody waits for.
    pub fn new(batch: Batch, custody: impl Into<Custody>) -> Self {
        Flow { batch, custody: custody.into() }
    }
}

// === impl Selection ===

impl Selection {
    /// Whether row `row` is selected.
    #[inline]
    pub fn has(&self, row: usize) -> bool {
        match self {
            Selection::All => true,
            Selection::Rows(rows) => rows.get(row).copied().unwrap_or(false),
        }
    }

    /// The selected rows of a batch of `len`.
    pub fn iter(&self, len: usize) -> impl Iterator<Item = usize> + '_ {
        (0..len).filter(|&row| self.has(row))
    }

    /// How many of `len` rows are selected.
    pub fn count(&self, len: usize) -> usize {
        match self {
            Selection::All => len,
            Selection::Rows(rows) => rows.iter().take(len).filter(|&&selected| selected).count(),
        }
    }
}
