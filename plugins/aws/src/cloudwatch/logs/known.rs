//! The streams and groups the agent knows: which of them are shut for now, and what is still to be done for them.
//!
//! A stream in trouble (throttled, denied, missing and not to be made, slow) is shut for a while that doubles: its records
//! are told to wait without a request, so they take nothing from those of other streams. What is known is bounded: beyond
//! `max_streams` those that were not used for the longest time are forgotten, and nothing is lost by it but a request.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use hashbrown::HashMap;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// For how long a stream is shut first; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// At most.
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// A request that has had no answer for so long keeps others from joining it.
const SLOW: Duration = Duration::from_secs(3);
/// Streams not used for so long are forgotten when there are too many.
const IDLE: Duration = Duration::from_secs(10 * 60);

/// Everything that is known.
#[derive(Debug)]
pub(super) struct Known {
    max: usize,
    streams: RefCell<HashMap<(String, String), Arc<KnownStream>>>,
    groups: RefCell<HashMap<String, Arc<KnownGroup>>>,
}

/// A stream.
#[derive(Debug)]
pub(super) struct KnownStream {
    state: std::sync::Mutex<StreamState>,
    /// Held while the stream is made.
    pub(super) making: Mutex<()>,
    /// How often it was made.
    pub(super) made: AtomicU32,
}

#[derive(Debug)]
struct StreamState {
    used: Instant,
    failing: Option<Failing>,
    /// When the requests under way were begun.
    under_way: Vec<Instant>,
}

/// A group.
#[derive(Debug)]
pub(super) struct KnownGroup {
    state: std::sync::Mutex<GroupState>,
    /// Held while the group is made.
    pub(super) making: Mutex<()>,
    /// How often it was made.
    pub(super) made: AtomicU32,
    /// It was made here, and its retention is not set yet.
    pub(super) retention_due: AtomicBool,
    /// Whether it has its anomaly detector.
    pub(super) detector_done: AtomicBool,
}

#[derive(Debug)]
struct GroupState {
    used: Instant,
    /// What is to be done for it is not tried before.
    not_before: Option<Instant>,
}

/// Of both: when it was used last.
trait Used {
    fn used(&self) -> Instant;
}

/// It did not take the last request.
#[derive(Debug)]
struct Failing {
    /// It is left alone until then.
    until: Instant,
    /// Before that one, in a row.
    failures: u32,
    why: String,
    degraded: bool,
}

/// A stream takes nothing for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shut {
    pub(super) why: String,
    /// To be asked again after that time.
    pub(super) wait: Duration,
    pub(super) degraded: bool,
}

/// A request under way to a stream.
pub(super) struct UnderWay<'s> {
    stream: &'s KnownStream,
    since: Instant,
}

// === impl Known ===

impl Known {
    pub(super) fn new(max: usize) -> Self {
        Known { max, streams: RefCell::default(), groups: RefCell::default() }
    }

    /// What is known of a stream.
    pub(super) fn stream(&self, group: &str, stream: &str) -> Arc<KnownStream> {
        let now = Instant::now();
        let mut streams = self.streams.borrow_mut();
        let key = (group.to_owned(), stream.to_owned());
        if let Some(known) = streams.get(&key) {
            known.state().used = now;
            return known.clone();
        }
        forget(&mut streams, self.max, now);
        let state = StreamState { used: now, failing: None, under_way: Vec::new() };
        let known = Arc::new(KnownStream { state: state.into(), making: Mutex::default(), made: AtomicU32::default() });
        streams.insert(key, known.clone());
        known
    }

    /// What is known of a group.
    pub(super) fn group(&self, group: &str) -> Arc<KnownGroup> {
        let now = Instant::now();
        let mut groups = self.groups.borrow_mut();
        if let Some(known) = groups.get(group) {
            known.state().used = now;
            return known.clone();
        }
        forget(&mut groups, self.max, now);
        let known = Arc::new(KnownGroup {
            state: GroupState { used: now, not_before: None }.into(),
            making: Mutex::default(),
            made: AtomicU32::default(),
            retention_due: AtomicBool::new(false),
            detector_done: AtomicBool::new(false),
        });
        groups.insert(group.to_owned(), known.clone());
        known
    }
}

/// Makes room for one more. Where there are too many, those idle go, and otherwise the eighth that was not used for the
/// longest; never one that somebody holds.
fn forget<K, V: Used>(known: &mut HashMap<K, Arc<V>>, max: usize, now: Instant) {
    if known.len() < max {
        return;
    }
    let is_free = |value: &Arc<V>| Arc::strong_count(value) == 1;
    known.retain(|_, value| !is_free(value) || now.saturating_duration_since(value.used()) < IDLE);
    if known.len() < max {
        return;
    }
    let mut ages: Vec<Instant> = known.values().filter(|value| is_free(value)).map(|value| value.used()).collect();
    let eighth = max / 8;
    if eighth < ages.len() {
        let (_, &mut bound, _) = ages.select_nth_unstable(eighth);
        known.retain(|_, value| !is_free(value) || value.used() > bound);
    } else {
        known.retain(|_, value| !is_free(value));
    }
}

// === impl KnownStream ===

impl KnownStream {
    fn state(&self) -> MutexGuard<'_, StreamState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why it takes nothing for now, if so.
    pub(super) fn shut(&self) -> Option<Shut> {
        let now = Instant::now();
        let state = self.state();
        if let Some(Failing { until, why, degraded, .. }) = state.failing.as_ref().filter(|failing| failing.until > now)
        {
            return Some(Shut { why: why.clone(), wait: *until - now, degraded: *degraded });
        }
        let oldest = state.under_way.iter().min()?;
        let is_slow = now.saturating_duration_since(*oldest) >= SLOW;
        let why = "an earlier request to the stream has not been answered yet";
        is_slow.then(|| Shut { why: why.to_owned(), wait: SLOW, degraded: false })
    }

    /// It did not take a request. For how long it is left alone.
    pub(super) fn failed(&self, why: &str, degraded: bool) -> Duration {
        let now = Instant::now();
        let mut state = self.state();
        let failures = match &state.failing {
            // Requests that were under way together fail together: that is one failure.
            Some(failing) if failing.until > now => failing.failures,
            Some(failing) => failing.failures.saturating_add(1),
            None => 0,
        };
        let wait = FIRST_WAIT.saturating_mul(1 << failures.min(10)).min(LONGEST_WAIT);
        state.failing = Some(Failing { until: now + wait, failures, why: why.to_owned(), degraded });
        wait
    }

    /// It took a request.
    pub(super) fn went_well(&self) {
        self.state().failing = None;
    }

    /// Notes a request, until what is returned is dropped.
    pub(super) fn begin(&self) -> UnderWay<'_> {
        let since = Instant::now();
        self.state().under_way.push(since);
        UnderWay { stream: self, since }
    }
}

impl Used for KnownStream {
    fn used(&self) -> Instant {
        self.state().used
    }
}

// === impl KnownGroup ===

impl KnownGroup {
    fn state(&self) -> MutexGuard<'_, GroupState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what is to be done for it may be tried; if so, the next time is not before `wait` is over.
    pub(super) fn is_due(&self, wait: Duration) -> bool {
        let now = Instant::now();
        let mut state = self.state();
        let is_due = state.not_before.is_none_or(|at| at <= now);
        if is_due {
            state.not_before = Some(now + wait);
        }
        is_due
    }

    /// There is something new to be done for it: at once.
    pub(super) fn make_due(&self) {
        self.state().not_before = None;
    }
}

impl Used for KnownGroup {
    fn used(&self) -> Instant {
        self.state().used
    }
}

// === impl UnderWay ===

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let under_way = &mut self.stream.state().under_way;
        if let Some(at) = under_way.iter().position(|since| *since == self.since) {
            under_way.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_shut_for_longer_and_longer() {
        let known = Known::new(10);
        let stream = known.stream("g", "s");
        assert_eq!(stream.shut(), None);
        for (failure, wait) in [(1, 250), (2, 500), (3, 1000), (7, 15_000), (20, 15_000)] {
            let stream = known.stream("g", &failure.to_string());
            for _ in 0..failure {
                tokio::time::advance(LONGEST_WAIT).await;
                stream.failed("no", true);
                stream.failed("at the same time", true);
            }
            tokio::time::advance(Duration::from_millis(wait - 1)).await;
            let wait = Duration::from_millis(1);
            assert_eq!(
                stream.shut(),
                Some(Shut { why: "at the same time".to_owned(), wait, degraded: true }),
                "{failure}"
            );
            tokio::time::advance(Duration::from_millis(1)).await;
            assert_eq!(stream.shut(), None, "{failure}");
        }
        stream.failed("no", false);
        stream.went_well();
        assert_eq!(stream.shut(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_stream_is_not_joined() {
        let known = Known::new(10);
        let stream = known.stream("g", "s");
        let (one, two) = (stream.begin(), stream.begin());
        assert_eq!(stream.shut(), None);
        tokio::time::advance(SLOW).await;
        assert!(stream.shut().is_some());
        drop(one);
        assert!(stream.shut().is_some());
        drop(two);
        assert_eq!(stream.shut(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_idle_is_forgotten_and_what_is_held_is_not() {
        let known = Known::new(16);
        let held = known.stream("g", "held");
        held.failed("no", false);
        for n in 0..1000 {
            tokio::time::advance(Duration::from_millis(1)).await;
            known.stream("g", &n.to_string());
            known.group(&n.to_string());
            assert!(known.streams.borrow().len() <= 16 && known.groups.borrow().len() <= 16);
        }
        assert!(Arc::ptr_eq(&held, &known.stream("g", "held")));
        drop(held);
        tokio::time::advance(IDLE).await;
        for n in 0..16 {
            known.stream("new", &n.to_string());
        }
        assert!(!known.streams.borrow().contains_key(&("g".to_owned(), "held".to_owned())));
    }
}
