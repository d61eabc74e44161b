//! Times of entries.
//!
//! Loki takes two entries of one stream with the same time and line for one. A record with a time of its own keeps it:
//! that is what its writer says. A record without one has the time of reading, which it shares with all its batch, and so
//! two identical lines would become one. So it gets nanoseconds from its place in the source:
//!
//! ```text
//! time = time of reading + (its first byte - the first byte of the batch's first record of that source) + ordinal
//! ```
//!
//! - Two records of a batch never share a time, and their order is that of the source: a record is at least one byte, and
//!   has fewer parts (`ordinal`) than bytes.
//! - It is at most a millisecond off for a batch of a megabyte; and two batches keep their order as long as a source is
//!   read at less than a gigabyte a second.
//! - It depends on nothing but what the queue stores with the batch (time of reading, origins, the order of records). So
//!   an entry that is sent again, after a lost answer or out of a disk queue, has the time it had, and Loki skips it.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};
use suiro_record::{Batch, Row, TimeKind};

/// More than the bytes of any batch, and about a second.
const SPAN: u64 = 1 << 30;

/// Gives times to the records of one batch.
#[derive(Debug)]
pub struct Clock {
    /// First byte of the first record, by scope.
    bases: SmallVec<[(u16, u64); 2]>,
}

// === impl Clock ===

impl Clock {
    /// The clock of that batch.
    pub fn new(batch: &Batch) -> Self {
        let mut bases: SmallVec<[(u16, u64); 2]> = smallvec![];
        let mut last = None;
        for row in &batch.rows {
            if last != Some(row.scope) && !bases.iter().any(|(scope, _)| *scope == row.scope) {
                let scopes = batch.scopes();
                let source = |scope: u16| &scopes[usize::from(scope)].source;
                // A source may stand behind several scopes: enriched ones, say. It has one beginning.
                let same = bases.iter().find(|(scope, _)| Arc::ptr_eq(source(*scope), source(row.scope)));
                bases.push((row.scope, same.map_or(row.start, |(_, base)| *base)));
            }
            last = Some(row.scope);
        }
        Clock { bases }
    }

    /// Nanoseconds since the epoch.
    #[inline]
    pub fn time(&self, row: &Row) -> i64 {
        if row.time_kind == TimeKind::Own {
            return row.time;
        }
        let base = self.bases.iter().find(|(scope, _)| *scope == row.scope).map_or(row.start, |(_, base)| *base);
        let part = u64::from(row.ordinal).min(row.end.saturating_sub(row.start));
        let nanos = row.start.wrapping_sub(base).wrapping_add(part) % SPAN;
        row.time.saturating_add(nanos.cast_signed())
    }
}

#[cfg(test)]
mod tests {
    use suiro_record::{Scope, Source};
    use suiro_sdk::http::test_kit::batch;

    use super::*;

    #[test]
    fn repeats_differ_and_replays_do_not() {
        let mut read = batch(&["same", "same", "same", "own"], 1_000);
        for row in &mut read.rows {
            // Somewhere in the middle of a file.
            row.start += 70_000_000_000;
            row.end += 70_000_000_000;
        }
        read.rows[3].time = 5;
        read.rows[3].time_kind = TimeKind::Own;
        let times = |batch: &Batch| -> Vec<i64> {
            let clock = Clock::new(batch);
            batch.rows.iter().map(|row| clock.time(row)).collect()
        };
        assert_eq!(times(&read), [1_000, 1_100, 1_200, 5]);
        assert_eq!(times(&read.clone()), times(&read));
    }

    #[test]
    fn parts_of_a_record_stay_between_it_and_the_next() {
        let mut read = batch(&["parent", "next"], 0);
        let parent = read.rows[0];
        let part = |ordinal| {
            let mut part = parent;
            part.ordinal = ordinal;
            part
        };
        let parts = (1..=40).map(part);
        let mut rows: Vec<Row> = parts.collect();
        rows.push(read.rows[1]);
        read.rows = rows;
        let clock = Clock::new(&read);
        assert!(read.rows.iter().map(|row| clock.time(row)).is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn a_source_behind_two_scopes_has_one_beginning() {
        let mut read = batch(&["a", "b", "c"], 0);
        let enriched = read.scopes()[0].as_ref().clone().with("pod", "x");
        read.rows[1].scope = read.add_scope(&Arc::new(enriched));
        let clock = Clock::new(&read);
        let times: Vec<i64> = read.rows.iter().map(|row| clock.time(row)).collect();
        assert_eq!(times, [0, 100, 200]);
    }

    #[test]
    fn each_source_has_its_own_beginning() {
        let mut read = batch(&["a", "b", "c", "d"], 0);
        read.rows[2].scope = 1;
        read.rows[3].scope = 1;
        let scope = Scope::new(Arc::new(Source::new("test".into(), 8)));
        assert_eq!(read.add_scope(&Arc::new(scope)), 1);
        read.rows[2].start = u64::MAX - 20;
        read.rows[2].end = u64::MAX - 10;
        read.rows[3].start = u64::MAX - 10;
        read.rows[3].end = u64::MAX;
        let clock = Clock::new(&read);
        let times: Vec<i64> = read.rows.iter().map(|row| clock.time(row)).collect();
        assert_eq!(times, [0, 100, 0, 10]);
    }
}
