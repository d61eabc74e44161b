//! When a guest that fails is left alone for a while.
//!
//! Records that a guest fails on now and then cost little, and are all that is lost. A guest is left alone when it fails
//! on most records of [`IN_A_ROW`] batches in a row, when it was slow to fail [`SLOW`] times within [`WINDOW`] (each time
//! holds up the worker), or at once when no instance can be made. All records then go by `on_error`: a filter that redacts
//! never lets anything through as it was. After a while one batch is tried; each time that fails, the while doubles.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::filter::Course;

/// Batches that fail, mostly, in a row.
const IN_A_ROW: u32 = 5;
/// Failures that took long, within [`WINDOW`].
const SLOW: usize = 5;
/// See [`SLOW`].
const WINDOW: Duration = Duration::from_secs(60);
/// The first while.
const FIRST: Duration = Duration::from_secs(1);
/// The longest while.
const LONGEST: Duration = Duration::from_secs(300);

/// How often a guest failed lately, and until when it is left alone.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    in_a_row: u32,
    slow: VecDeque<Instant>,
    /// Since it was last well: how often it was left alone.
    times: u32,
    until: Option<Instant>,
    why: String,
}

/// What changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    None,
    /// It is left alone, for this reason.
    Quarantined(String),
    /// It was tried, and is well.
    Released,
}

// === impl Quarantine ===

impl Quarantine {
    /// Why it is to be left alone now, if it is.
    pub(crate) fn why(&self, now: Instant) -> Option<String> {
        self.until.filter(|until| now < *until).map(|_| self.why.clone())
    }

    /// Takes note of how a batch went, and of the reason if it did not go well.
    pub(crate) fn note(&mut self, now: Instant, course: Course, why: &str) -> Turn {
        // Another worker's batch may have been under way.
        if self.until.is_some_and(|until| now < until) {
            return Turn::None;
        }
        let mostly = course.poisonous * 2 > course.records;
        if !mostly && !course.slow {
            self.in_a_row = 0;
            if self.times == 0 {
                return Turn::None;
            }
            *self = Quarantine::default();
            return Turn::Released;
        }
        self.in_a_row += u32::from(mostly);
        while self.slow.front().is_some_and(|then| now.duration_since(*then) > WINDOW) {
            self.slow.pop_front();
        }
        if course.slow {
            self.slow.push_back(now);
        }
        let enough = self.times > 0 || course.unstartable || self.in_a_row >= IN_A_ROW || self.slow.len() >= SLOW;
        if !enough {
            return Turn::None;
        }
        let time = FIRST.saturating_mul(1_u32.checked_shl(self.times).unwrap_or(u32::MAX)).min(LONGEST);
        self.times = (self.times + 1).min(31);
        (self.in_a_row, self.until) = (0, Some(now + time));
        self.slow.clear();
        self.why = format!("the filter failed too often and is not called for {time:?}; the last time: {why}");
        Turn::Quarantined(self.why.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Course = Course { records: 100, poisonous: 0, slow: false, unstartable: false };
    const SOME: Course = Course { poisonous: 10, ..GOOD };
    const BAD: Course = Course { poisonous: 100, ..GOOD };
    const LATE: Course = Course { poisonous: 1, slow: true, ..GOOD };

    fn is_quarantined(turn: &Turn) -> bool {
        matches!(turn, Turn::Quarantined(_))
    }

    #[test]
    fn some_records_that_fail_are_no_reason() {
        let (mut quarantine, now) = (Quarantine::default(), Instant::now());
        for i in 0..1000 {
            let course = if i % 5 == 0 { SOME } else { BAD };
            let course = if i % 3 == 0 { GOOD } else { course };
            assert_eq!(quarantine.note(now, course, "x"), Turn::None);
        }
    }

    #[test]
    fn those_that_mostly_fail_are_left_alone_longer_and_longer() {
        let (mut quarantine, mut now) = (Quarantine::default(), Instant::now());
        for _ in 1..IN_A_ROW {
            assert_eq!(quarantine.note(now, BAD, "x"), Turn::None);
        }
        let mut time = FIRST;
        for _ in 0..12 {
            assert_eq!(quarantine.why(now), None);
            assert!(is_quarantined(&quarantine.note(now, BAD, "it trapped")));
            assert!(quarantine.why(now).is_some_and(|why| why.contains("it trapped")));
            assert_eq!(quarantine.note(now, BAD, "x"), Turn::None, "another worker's");
            now += time;
            time = (time * 2).min(LONGEST);
        }
        assert_eq!(quarantine.note(now, GOOD, ""), Turn::Released);
        assert_eq!(quarantine.note(now, BAD, "x"), Turn::None);
    }

    #[test]
    fn slow_failures_count_within_a_window() {
        let (mut quarantine, mut now) = (Quarantine::default(), Instant::now());
        for _ in 0..20 {
            assert_eq!(quarantine.note(now, LATE, "x"), Turn::None);
            assert_eq!(quarantine.note(now, GOOD, "x"), Turn::None);
            now += WINDOW / 3;
        }
        now += WINDOW;
        for _ in 1..SLOW {
            assert_eq!(quarantine.note(now, LATE, "x"), Turn::None);
        }
        assert!(is_quarantined(&quarantine.note(now, LATE, "x")));
        let mut other = Quarantine::default();
        assert!(is_quarantined(&other.note(now, Course { unstartable: true, ..BAD }, "x")));
    }
}
