//! How many streams are in use.
//!
//! Each label set is a stream that Loki keeps open and indexes. A label made of something that never ends (a user's id, a
//! request's) would open them without end, until Loki refuses new ones for everybody. So sets in use are counted, and
//! beyond a bound records lose the labels that depend on them, which is counted and said once.
//!
//! A set counts for a half to a full hour after its last use: so long, and no longer, does Loki keep a stream open that
//! gets nothing.

use std::hash::BuildHasher as _;
use std::time::{Duration, Instant};

use hashbrown::{DefaultHashBuilder, HashSet};

/// Loki's `chunk_idle_period`.
const GENERATION: Duration = Duration::from_secs(30 * 60);

/// The label sets in use, by hash: to mistake one for another costs nothing but a count.
#[derive(Debug)]
pub(crate) struct Active {
    max: usize,
    hasher: DefaultHashBuilder,
    now: HashSet<u64>,
    before: HashSet<u64>,
    since: Instant,
}

// === impl Active ===

impl Active {
    pub(crate) fn new(max: usize, now: Instant) -> Self {
        let hasher = DefaultHashBuilder::default();
        Active { max, hasher, now: HashSet::new(), before: HashSet::new(), since: now }
    }

    /// Whether the set may be used.
    pub(crate) fn admit(&mut self, key: &[u8], now: Instant) -> bool {
        let age = now.saturating_duration_since(self.since);
        if age >= GENERATION {
            self.before = std::mem::take(&mut self.now);
            if age >= 2 * GENERATION {
                self.before.clear();
            }
            self.since = now;
        }
        let hash = self.hasher.hash_one(key);
        if self.now.contains(&hash) {
            return true;
        }
        // One in use before moves over; a new one needs room.
        if !self.before.remove(&hash) && self.now.len() + self.before.len() >= self.max {
            return false;
        }
        self.now.insert(hash);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_not_used_makes_room() {
        let start = Instant::now();
        let at = |minutes: u64| start + Duration::from_secs(minutes * 60);
        let mut active = Active::new(2, start);
        assert!(active.admit(b"a", at(0)));
        assert!(active.admit(b"b", at(0)));
        assert!(!active.admit(b"c", at(1)));
        assert!(active.admit(b"a", at(31)));
        // `b` may still be open.
        assert!(!active.admit(b"c", at(32)));
        assert!(active.admit(b"a", at(62)));
        assert!(active.admit(b"c", at(63)));
        assert!(!active.admit(b"b", at(64)));
        assert!(active.admit(b"b", at(200)));
    }
}
