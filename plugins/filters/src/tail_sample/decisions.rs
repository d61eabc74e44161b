//! What became of traces, for spans that come later: the last so many.

use std::collections::{HashMap, VecDeque};

#[derive(Debug)]
pub(super) struct Decisions {
    kept: HashMap<u128, bool>,
    /// Oldest first.
    order: VecDeque<u128>,
    most: usize,
}

// === impl Decisions ===

impl Decisions {
    pub(super) fn new(most: usize) -> Self {
        Decisions { kept: HashMap::new(), order: VecDeque::new(), most }
    }

    pub(super) fn get(&self, id: u128) -> Option<bool> {
        self.kept.get(&id).copied()
    }

    pub(super) fn add(&mut self, id: u128, kept: bool) {
        if self.most == 0 || self.kept.insert(id, kept).is_some() {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.kept.remove(&oldest);
        }
    }
}
