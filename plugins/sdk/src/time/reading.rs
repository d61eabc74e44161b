//! When the pieces of a source are read.
//!
//! Records without a time of their own are a nanosecond a byte apart. A source that is read faster than that would have its
//! next piece begin before the last one ended, and a store that sorts by time would mix their lines. So each piece is read
//! later than the last record of the piece before. How far that runs ahead of the system's clock is bounded.

use super::{SECOND, now};

/// By so much a source may be read ahead of time. Beyond, the system's clock was set back, and is right.
const AHEAD: i64 = SECOND;

/// The clock of one source. Nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadingClock {
    /// Behind the last record.
    until: i64,
}

// === impl ReadingClock ===

impl ReadingClock {
    /// The time of the piece that is read now.
    pub fn now(&self) -> i64 {
        self.at(now())
    }

    /// A piece of so many bytes was read at that time.
    pub fn note(&mut self, at: i64, bytes: u64) {
        self.until = at.saturating_add_unsigned(bytes);
    }

    fn at(&self, now: i64) -> i64 {
        if self.until.saturating_sub(now) > AHEAD { now } else { now.max(self.until) }
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
        clock.note(10 * SECOND, 5);
        assert_eq!(clock.at(9 * SECOND + 5), 10 * SECOND + 5);
        assert_eq!(clock.at(9 * SECOND + 4), 9 * SECOND + 4);
    }
}
