//! When and where the agent dies.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

use super::sink::Output;

/// A point of the agent that is worth dying at (see `suiro_sdk::killpoint`), and about how often it is passed in a second
/// of work: the number of the pass is drawn from that many.
type Point = (&'static str, u32);

/// In every agent that follows files.
const POINTS: [Point; 17] = [
    ("tail.expanded", 6),
    ("tail.opened", 10),
    ("tail.recalled", 6),
    ("tail.seen", 6),
    ("tail.looked", 60),
    ("tail.reads", 60),
    ("tail.read", 60),
    ("tail.noted", 60),
    ("tail.checkpoint", 3),
    ("journal.write", 40),
    ("journal.torn", 40),
    ("journal.written", 40),
    ("journal.replace", 4),
    ("journal.replaced", 4),
    ("output.send", 30),
    ("output.answered", 20),
    ("output.settled", 20),
];

/// In one with a disk queue.
const QUEUE_POINTS: [Point; 4] = [("queue.torn", 40), ("queue.sync", 20), ("queue.remove", 2), ("queue.removed", 2)];
/// In one that writes files.
const FILE_POINTS: [Point; 2] = [("file.torn", 60), ("file.written", 60)];

/// Points of an agent with this output and queue.
pub(super) fn points(output: Output, disk_queue: bool) -> Vec<Point> {
    let mut points = POINTS.to_vec();
    if disk_queue {
        points.extend(QUEUE_POINTS);
    }
    if output == Output::File {
        points.extend(FILE_POINTS);
    }
    points
}

/// How one life is to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Death {
    /// After this long, wherever it is.
    After(Duration),
    /// At a point, or after this long.
    At { point: &'static str, pass: u32, or_after: Duration },
}

/// How lives ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Kills {
    pub(super) total: u64,
    pub(super) by_point: BTreeMap<&'static str, u64>,
}

// === impl Death ===

impl Death {
    pub(super) fn draw(rng: &mut StdRng, points: &[Point]) -> Death {
        if rng.random_bool(0.4) {
            return Death::After(Duration::from_millis(rng.random_range(20..2500)));
        }
        let (point, often) = points[rng.random_range(0..points.len())];
        let pass = rng.random_range(1..=often);
        Death::At { point, pass, or_after: Duration::from_millis(rng.random_range(1000..2500)) }
    }

    /// The value of `SUIRO_KILL_AT`.
    pub(super) fn aim(&self) -> Option<String> {
        match self {
            Death::After(_) => None,
            Death::At { point, pass, .. } => Some(format!("{point}:{pass}")),
        }
    }

    pub(super) fn latest(&self) -> Duration {
        match self {
            Death::After(after) => *after,
            Death::At { or_after, .. } => *or_after,
        }
    }
}

// === impl Kills ===

impl Kills {
    /// Counts a life that ended by itself at its point, or was ended.
    pub(super) fn count(&mut self, death: &Death, by_itself: bool) {
        self.total += 1;
        let point = match death {
            Death::At { point, .. } if by_itself => point,
            _ => "at random",
        };
        *self.by_point.entry(point).or_default() += 1;
    }
}
