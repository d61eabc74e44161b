//! When the pieces of a source are read.
//!
//! Records without a time of their own are a nanosecond a byte apart. A source that is read faster than that would have its
//! next piece begin before the last one ended, and a store that sorts by time would mix their lines. So each piece is read
//! later than the last record of the piece before, and so runs ahead of the system's clock for as long as that goes on. Ten
//! seconds of it are too much to be true: so is a clock that was set back, which is followed at once.

use super::{SECOND, now};

/// By so much a source may be read ahead of time.
const AHEAD: i64 = 10 * SECOND;

/// The clock of one source. Nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadingClock {
    /// Behind the last record.
    until: i64,
    /// What the system's clock said last.
    seen: i64,
}

// === impl ReadingClock ===

impl ReadingClock {
    /// The time of the piece that is read now.
    pub fn now(&mut self) -> i64 {
        self.at(now())
    }

    /// A piece of so many bytes was read at that time.
    pub fn note(&mut self, at: i64, bytes: u64) {
        self.until = at.saturating_add_unsigned(bytes);
    }

    fn at(&mut self, now: i64) -> i64 {
        let was_set_back = now < self.seen;
        self.seen = now;
        if was_set_back || self.until.saturating_sub(now) > AHEAD { now } else { now.max(self.until) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_read_after_the_one_before() {
        let mut clock = ReadingClock::default();
        assert_eq!(clock.at(1_000), 1_000);
        clock.note(1_000, 500);
        assert_eq!(clock.at(1_499), 1_500);
        assert_eq!(clock.at(1_600), 1_600);
    }

    #[test]
    fn a_clock_that_was_set_back_is_followed() {
        let mut clock = ReadingClock::default();
        assert_eq!(clock.at(20 * SECOND), 20 * SECOND);
        clock.note(20 * SECOND, 5 * SECOND as u64);
        assert_eq!(clock.at(20 * SECOND), 25 * SECOND);
        assert_eq!(clock.at(19 * SECOND), 19 * SECOND);
        assert_eq!(clock.at(19 * SECOND), 25 * SECOND, "the next piece goes behind what was read before");
        // What a journal says of a day when the clock was wrong.
        let mut clock = ReadingClock::default();
        clock.note(1000 * SECOND, 5);
        assert_eq!(clock.at(100 * SECOND), 100 * SECOND);
    }
}
