//! From cumulative points to what came since the one before.

use std::time::Instant;

use super::{Data, Point};

/// The last point of a series.
#[derive(Clone, Debug)]
pub(crate) struct Last {
    pub(crate) point: Point,
    /// When it was seen.
    pub(crate) seen: Instant,
}

/// What a point is to the one before.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// It counts on: what is new since the time of the one before.
    On(Data, i64),
    /// The series began anew: all of it is new, since then where that is known.
    Reset(Data, Option<i64>),
    /// Its time is that of the one before.
    Duplicate,
    /// Its time is before that.
    Late,
}

// === impl Last ===

impl Last {
    pub(crate) fn new(point: Point, seen: Instant) -> Last {
        Last { point, seen }
    }

    /// Takes the next point's place, unless it is none.
    pub(crate) fn step(&mut self, next: Point, now: Instant) -> Step {
        let before = &self.point;
        if next.time == before.time {
            return Step::Duplicate;
        }
        if next.time < before.time {
            return Step::Late;
        }
        // What begins later than the one before ended is another series of the same name; where only one says when it
        // began, the values tell.
        let anew = next.start.zip(before.start).is_some_and(|(next, before)| next != before);
        let step = match next.data.since(&before.data) {
            Some(new) if !anew => Step::On(new, before.time),
            _ => {
                let start = next.start.filter(|_| anew).map_or(before.time, |start| start.max(before.time));
                Step::Reset(next.data.clone(), Some(start))
            }
        };
        *self = Last { point: next, seen: now };
        step
    }
}
