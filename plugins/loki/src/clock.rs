//! Times of entries.
//!
//! Loki takes two entries of one stream with the same time and line for one. A record with a time of its own keeps it:
//! that is what its writer says. A record without one has the time of reading, a nanosecond later for each byte of its
//! source ([`Decoder::decode`](suiro_sdk::Decoder::decode)), and so equal lines stay apart; what was made of one record
//! (`ordinal`) gets the nanoseconds up to the next one's.
//!
//! - Two records of one reading never share a time, and their order is that of the source: a record is at least one byte,
//!   and has fewer parts than bytes.
//! - It depends on nothing but the record. So an entry that is sent again, after a lost answer, out of a disk queue or read
//!   anew after a crash, has the time it had, whatever it shares a batch with, and Loki skips it.

use suiro_record::{Row, TimeKind};

/// The time of a record's entry, nanoseconds since the epoch.
#[inline]
pub fn entry_time(row: &Row) -> i64 {
    if row.time_kind == TimeKind::Own {
        return row.time;
    }
    let part = u64::from(row.ordinal).min(row.end.saturating_sub(row.start));
    row.time.saturating_add_unsigned(part)
}

#[cfg(test)]
mod tests {
    use suiro_sdk::http::test_kit::batch;

    use super::*;

    #[test]
    fn a_time_of_its_own_stays() {
        let mut row = batch(&["own"], 1_000).rows[0];
        assert_eq!(entry_time(&row), 1_000);
        row.ordinal = 3;
        assert_eq!(entry_time(&row), 1_003);
        row.time_kind = TimeKind::Own;
        assert_eq!(entry_time(&row), 1_000);
    }

    #[test]
    fn parts_of_a_record_stay_between_it_and_the_next() {
        let read = batch(&["parent", "next"], 0);
        let part = |ordinal| {
            let mut part = read.rows[0];
            part.ordinal = ordinal;
            part
        };
        let rows: Vec<Row> = (1..=40).map(part).chain([read.rows[1]]).collect();
        assert!(rows.is_sorted_by(|a, b| entry_time(a) < entry_time(b)));
    }
}
