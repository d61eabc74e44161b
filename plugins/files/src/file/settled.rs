//! Which records a file already has.
//!
//! By incarnation: everything below a mark, ranges above it, and the records that were made of others one by one. Lines
//! that follow each other make one range, so that in the common case an incarnation costs one.
//!
//! The mark is the source's own: what lies below is settled everywhere, so a replay of it has nothing to add here. Where
//! the source's position can't be seen (records come out of a disk queue), ranges are bounded by forgetting the lowest: a
//! replay from further back than [`MAX_RANGES`] ranges is there twice. The gaps between them stay gaps, however late the
//! record comes that fills one: it would be lost otherwise.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use suiro_record::Origin;

/// Ranges of one incarnation, at most.
const MAX_RANGES: usize = 16 << 10;
/// Incarnations, at most; the one that was quiet longest is forgotten first.
const MAX_SOURCES: usize = 16 << 10;

/// What a file has of one incarnation, as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Share {
    /// The incarnation, hexadecimal.
    pub(super) id: String,
    /// It has everything below.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) below: u64,
    /// Ranges of records as they were read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) ranges: Vec<(u64, u64)>,
    /// Records made of others: start, end, ordinal, hash.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) derived: Vec<Derived>,
}

/// Start, end, ordinal, hash.
pub(super) type Derived = (u64, u64, u32, u64);

/// Which records a file has.
#[derive(Debug, Default)]
pub(super) struct Settled {
    sources: HashMap<u128, Ranges>,
    clock: u64,
}

#[derive(Debug, Default)]
struct Ranges {
    below: u64,
    ranges: BTreeMap<u64, u64>,
    derived: BTreeSet<Derived>,
    /// When it last changed.
    used: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

// === impl Settled ===

impl Settled {
    /// Whether the record is there.
    pub(super) fn has(&self, origin: &Origin<'_>) -> bool {
        let Some(ranges) = self.sources.get(&origin.source.incarnation()) else { return false };
        if origin.end <= ranges.below {
            return true;
        }
        if origin.ordinal > 0 {
            return ranges.derived.contains(&(origin.start, origin.end, origin.ordinal, origin.salt));
        }
        ranges.ranges.range(..=origin.start).next_back().is_some_and(|(_, &end)| origin.end <= end)
    }

    /// Takes in what was written.
    pub(super) fn add(&mut self, share: &Share) {
        let Ok(id) = u128::from_str_radix(&share.id, 16) else { return };
        self.clock += 1;
        let ranges = self.sources.entry(id).or_default();
        ranges.used = self.clock;
        for &(start, end) in &share.ranges {
            ranges.add(start, end);
        }
        ranges.derived.extend(&share.derived);
        while ranges.derived.len() > MAX_RANGES {
            ranges.derived.pop_first();
        }
        ranges.fold(share.below);
        if self.sources.len() > MAX_SOURCES
            && let Some(oldest) = self.sources.iter().min_by_key(|(_, ranges)| ranges.used).map(|(&id, _)| id)
        {
            self.sources.remove(&oldest);
        }
    }

    /// Everything of `id` below `mark` is settled everywhere.
    pub(super) fn fold(&mut self, id: u128, mark: u64) {
        if let Some(ranges) = self.sources.get_mut(&id) {
            ranges.fold(mark);
        }
    }

    /// How many ranges there are of `id`.
    pub(super) fn pieces(&self, id: u128) -> usize {
        self.sources.get(&id).map_or(0, |ranges| ranges.ranges.len() + ranges.derived.len())
    }

    /// All of it, to be stored, the longest quiet first.
    pub(super) fn shares(&self) -> Vec<Share> {
        let mut sources: Vec<_> = self.sources.iter().collect();
        sources.sort_by_key(|(_, ranges)| ranges.used);
        let share = |(id, ranges): (&u128, &Ranges)| Share {
            id: format!("{id:032x}"),
            below: ranges.below,
            ranges: ranges.ranges.iter().map(|(&start, &end)| (start, end)).collect(),
            derived: ranges.derived.iter().copied().collect(),
        };
        sources.into_iter().map(share).collect()
    }
}

// === impl Ranges ===

impl Ranges {
    fn add(&mut self, mut start: u64, mut end: u64) {
        if start >= end {
            return;
        }
        if let Some((&before, &before_end)) = self.ranges.range(..=start).next_back()
            && before_end >= start
        {
            start = before;
            end = end.max(before_end);
        }
        while let Some((&next, &next_end)) = self.ranges.range(start..=end).next() {
            self.ranges.remove(&next);
            end = end.max(next_end);
        }
        self.ranges.insert(start, end);
        if self.ranges.len() > MAX_RANGES {
            self.ranges.pop_first();
        }
    }

    fn fold(&mut self, mark: u64) {
        if mark <= self.below {
            return;
        }
        self.below = mark;
        self.derived.retain(|derived| derived.1 > mark);
        while let Some((&start, &end)) = self.ranges.first_key_value()
            && start <= mark
        {
            self.ranges.remove(&start);
            if end > mark {
                self.ranges.insert(start, end);
                break;
            }
        }
    }
}

impl Share {
    /// Nothing yet of an incarnation.
    pub(super) fn of(incarnation: u128) -> Self {
        Share { id: format!("{incarnation:032x}"), ..Share::default() }
    }

    /// Adds a record; records come in the order of their source, mostly.
    pub(super) fn push(&mut self, origin: &Origin<'_>) {
        if origin.ordinal > 0 {
            self.derived.push((origin.start, origin.end, origin.ordinal, origin.salt));
            return;
        }
        match self.ranges.last_mut() {
            Some(last) if last.1 == origin.start => last.1 = origin.end,
            _ => self.ranges.push((origin.start, origin.end)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use suiro_record::Source;

    use super::*;

    fn has(settled: &Settled, start: u64, end: u64, ordinal: u32) -> bool {
        let source = Source::new("in".into(), 7);
        settled.has(&Origin { source: &source, start, end, ordinal, salt: 9 })
    }

    fn share(ranges: &[(u64, u64)]) -> Share {
        Share { ranges: ranges.to_vec(), ..Share::of(7) }
    }

    #[test]
    fn ranges_derived_and_marks() {
        let mut settled = Settled::default();
        settled.add(&share(&[(0, 10), (10, 20), (30, 40)]));
        settled.add(&Share { derived: vec![(50, 60, 1, 9)], ..Share::of(7) });
        assert!(has(&settled, 0, 10, 0) && has(&settled, 5, 20, 0) && has(&settled, 30, 40, 0));
        assert!(!has(&settled, 20, 30, 0) && !has(&settled, 15, 35, 0) && !has(&settled, 30, 41, 0));
        assert!(has(&settled, 50, 60, 1) && !has(&settled, 50, 60, 2) && !has(&settled, 50, 60, 0));
        assert!(!has(&settled, 0, 10, 1), "one that was made of it is another");
        settled.fold(7, 35);
        assert!(has(&settled, 20, 30, 0) && has(&settled, 0, 10, 1) && has(&settled, 30, 40, 0));
        assert_eq!(settled.pieces(7), 2);
        settled.fold(7, 100);
        assert_eq!(settled.pieces(7), 0);
        assert!(has(&settled, 50, 60, 2));
        let source = Source::new("in".into(), 8);
        assert!(!settled.has(&Origin { source: &source, start: 0, end: 1, ordinal: 0, salt: 0 }));
    }

    #[test]
    fn everything_is_bounded() {
        let mut settled = Settled::default();
        let many: Vec<_> = (0..MAX_RANGES as u64 + 100).map(|i| (i * 10, i * 10 + 5)).collect();
        settled.add(&share(&many));
        assert_eq!(settled.pieces(7), MAX_RANGES);
        // What comes late is no replay: this one was never written.
        assert!(!has(&settled, 5, 10, 0) && !has(&settled, 995, 1000, 0));
        let derived = (0..MAX_RANGES as u64 + 100).map(|i| (i << 40, (i << 40) + 1, 1, 0)).collect();
        settled.add(&Share { derived, ..Share::of(7) });
        assert_eq!(settled.pieces(7), 2 * MAX_RANGES);
        for id in 0..MAX_SOURCES as u128 + 50 {
            settled.add(&Share { ranges: vec![(0, 1)], ..Share::of(id) });
        }
        assert_eq!(settled.sources.len(), MAX_SOURCES);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_has_what_was_added_and_nothing_else(
            adds in proptest::collection::vec((0..60_u64, 1..8_u64), 0..30),
            mark in 0..30_u64,
        ) {
            let mut settled = Settled::default();
            let mut model = [false; 80];
            for &(start, n) in &adds {
                settled.add(&share(&[(start, start + n)]));
                model[start as usize..(start + n) as usize].fill(true);
            }
            settled.fold(7, if adds.is_empty() { 0 } else { mark });
            if !adds.is_empty() {
                model[..mark as usize].fill(true);
            }
            let mut again = Settled::default();
            settled.shares().iter().for_each(|share| again.add(share));
            for start in 0..70 {
                for end in start + 1..=(start + 6).min(75) {
                    // Bytes of a range that lies across the mark were settled as a whole or not at all.
                    let expected = model[start..end].iter().all(|&there| there);
                    if start as u64 >= mark || end as u64 <= mark {
                        prop_assert_eq!(has(&settled, start as u64, end as u64, 0), expected);
                        prop_assert_eq!(has(&again, start as u64, end as u64, 0), expected);
                    }
                }
            }
        }
    }
}
