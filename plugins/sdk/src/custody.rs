//! Who answers for a record: trackers, receipts, custody.
//!
//! A [`Tracker`] belongs to one source (one incarnation) and knows which of its bytes nobody answers for any more. What
//! is read is handed on with a [`Receipt`] that covers its byte range. Whoever holds the receipt answers for the range;
//! fan-out [forks](Receipt::fork) it, and a range is settled when every fork of every receipt that covers it is settled.
//!
//! # Invariants
//!
//! 1. A receipt that is dropped without being settled (a panic, a lost worker) keeps its range pending for ever: the
//!    source's position stays before it, and the bytes are read again after a restart. Losing a receipt can duplicate,
//!    never lose.
//! 2. [`Receipt::narrow`] only ever shrinks what is pending, to ranges of records that still wait. Where records were
//!    split, dropped or joined, ranges overlap; the union of what still waits stays pending.
//! 3. The common case, a batch that is taken whole by each output, costs one lock per batch and output. Nothing is counted
//!    per record.
//!
//! Positions are in the unit of the source: bytes of a file, items of a request.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use smallvec::{SmallVec, smallvec};
use suiro_record::{Batch, Row, Source};

use crate::ledger::InputLedger;

/// Byte ranges, sorted and apart.
pub type Ranges = SmallVec<[Range<u64>; 1]>;

/// Called, outside of all locks, when something of the source was settled.
pub type OnSettled = Box<dyn Fn() + Send + Sync>;

/// How far a source's records are settled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Everything below is settled.
    pub mark: u64,
    /// Settled ranges above the mark, sorted and apart.
    pub settled: Vec<Range<u64>>,
}

/// Tracks one source's bytes from reading to settlement.
pub struct Tracker {
    source: Arc<Source>,
    ledger: Arc<InputLedger>,
    on_settled: Option<OnSettled>,
    /// Somebody wants to know when its records are in queues.
    watched: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Everything below was handed on.
    read: u64,
    next_id: u64,
    /// What each live receipt still answers for.
    pending: BTreeMap<u64, Hold>,
    /// Records under each first receipt, until its last fork is settled.
    families: BTreeMap<u64, Family>,
    /// Since when the source has had nothing to read, and when it was last looked at and still had nothing.
    quiet: Option<(Instant, Instant)>,
    looks: bool,
    /// Nothing more will ever be read.
    ended: bool,
}

/// How long a source has had nothing to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quiet {
    /// The source does not say: go by the clock.
    Unknown,
    /// There may be more to read at once.
    No,
    /// That long, the last look included. It does not grow while nobody looks: a source that waits for an output is not
    /// quiet, and what it has read so far is not all there is.
    For(Duration),
}

/// How far the records of a source are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// Some are on their way to a queue.
    Waiting,
    /// Each is settled, or in a queue.
    Queued,
    /// Nobody answers for any of them any more.
    Settled,
}

struct Hold {
    family: u64,
    ranges: Ranges,
    /// An output's queue in memory has it.
    queued: bool,
}

struct Family {
    records: u64,
    forks: u32,
}

/// The duty to answer for a range of a source. See the module's invariants.
#[must_use = "a receipt that is dropped keeps its range pending for ever"]
pub struct Receipt {
    tracker: Arc<Tracker>,
    id: u64,
}

/// The receipts a batch travels with: one, unless it joins records of several.
#[must_use = "custody that is dropped keeps its ranges pending for ever"]
#[derive(Default)]
pub struct Custody(SmallVec<[Receipt; 1]>);

// === impl Tracker ===

impl Tracker {
    /// A tracker of `source`, whose bytes below `from` are settled already.
    pub fn new(source: Arc<Source>, from: u64, ledger: Arc<InputLedger>, on_settled: Option<OnSettled>) -> Arc<Self> {
        let state = State { read: from, ..State::default() };
        Arc::new(Tracker { source, ledger, on_settled, watched: false, state: Mutex::new(state) })
    }

    /// A tracker of a request, which is answered for as a whole: `on_change` is called when a queue took some of it as
    /// well ([`Tracker::answered`]).
    pub fn watched(source: Arc<Source>, ledger: Arc<InputLedger>, on_change: OnSettled) -> Arc<Self> {
        let on_settled = Some(on_change);
        Arc::new(Tracker { source, ledger, on_settled, watched: true, state: Mutex::default() })
    }

    /// How far what was handed on is. Queues only tell of [watched](Tracker::watched) trackers.
    pub fn answered(&self) -> Answered {
        let state = self.state();
        // A receipt that was lost settles never.
        match (state.pending.is_empty(), state.pending.values().all(|hold| hold.queued)) {
            (true, _) => Answered::Settled,
            (false, true) => Answered::Queued,
            (false, false) => Answered::Waiting,
        }
    }

    /// The source.
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Hands on `range`, which holds `records` records. Bytes between the ranges handed on (blank lines, say) count as
    /// settled.
    pub fn open(self: &Arc<Self>, range: Range<u64>, records: u64) -> Receipt {
        let mut state = self.state();
        state.quiet = None;
        state.read = state.read.max(range.end);
        let id = state.next_id;
        state.next_id += 1;
        state.pending.insert(id, Hold { family: id, ranges: smallvec![range], queued: false });
        state.families.insert(id, Family { records, forks: 1 });
        self.ledger.opened(records);
        Receipt { tracker: self.clone(), id }
    }

    /// Marks everything below `offset` as read, though it held no record.
    pub fn advance(&self, offset: u64) {
        let mut state = self.state();
        state.read = state.read.max(offset);
    }

    /// The source will say when it is quiet ([`Tracker::note_quiet`]): until it does, it isn't.
    pub fn will_look(&self) {
        self.state().looks = true;
    }

    /// Nothing more will be read of the source, ever: who waits for more need not.
    pub fn end(&self) {
        self.state().ended = true;
    }

    /// The source was looked at, and there was nothing to read.
    pub fn note_quiet(&self, now: Instant) {
        let mut state = self.state();
        state.looks = true;
        state.quiet = Some((state.quiet.map_or(now, |(since, _)| since), now));
    }

    /// How long the source has had nothing to read: who waits for more of it (multiline) asks.
    pub fn quiet(&self) -> Quiet {
        let state = self.state();
        match state.quiet {
            _ if state.ended => Quiet::For(Duration::MAX),
            Some((since, looked)) => Quiet::For(looked - since),
            None if state.looks => Quiet::No,
            None => Quiet::Unknown,
        }
    }

    /// How far the source is settled.
    pub fn position(&self) -> Position {
        let state = self.state();
        let mut pending: Vec<Range<u64>> =
            state.pending.values().flat_map(|hold| hold.ranges.iter().cloned()).collect();
        let read = state.read;
        drop(state);
        pending.sort_unstable_by_key(|range| range.start);
        let mark = pending.first().map_or(read, |first| first.start);
        let mut settled: Vec<Range<u64>> = Vec::new();
        let mut at = mark;
        for range in pending.into_iter().chain(std::iter::once(read..read)) {
            if range.start > at {
                settled.push(at..range.start);
            }
            at = at.max(range.end);
        }
        Position { mark, settled }
    }

    /// Receipts that are not settled: the source waits when there are too many.
    pub fn open_receipts(&self) -> usize {
        self.state().pending.len()
    }

    /// Settles receipts of this tracker at one moment: no position in between can be seen, in which a record that joins
    /// lines of several receipts is half settled.
    fn settle(&self, receipts: &[Receipt]) {
        let mut done = 0;
        let mut state = self.state();
        for receipt in receipts.iter().filter(|receipt| std::ptr::eq(&*receipt.tracker, self)) {
            if let Some(hold) = state.pending.remove(&receipt.id)
                && let Some(family) = state.families.get_mut(&hold.family)
            {
                family.forks -= 1;
                if family.forks == 0 {
                    done += family.records;
                    state.families.remove(&hold.family);
                }
            }
        }
        drop(state);
        if done > 0 {
            self.ledger.settled(done);
        }
        if let Some(on_settled) = &self.on_settled {
            on_settled();
        }
    }

    /// A queue has what receipts of this tracker answer for.
    fn note_queued(&self, receipts: &[Receipt]) {
        let mut state = self.state();
        for receipt in receipts.iter().filter(|receipt| std::ptr::eq(&*receipt.tracker, self)) {
            if let Some(hold) = state.pending.get_mut(&receipt.id) {
                hold.queued = true;
            }
        }
        drop(state);
        if let Some(on_settled) = &self.on_settled {
            on_settled();
        }
    }

    /// Narrows receipts of this tracker at one moment.
    fn narrow(&self, receipts: &[Receipt], waiting: &[Range<u64>]) {
        let mut state = self.state();
        for receipt in receipts.iter().filter(|receipt| std::ptr::eq(&*receipt.tracker, self)) {
            if let Some(hold) = state.pending.get_mut(&receipt.id) {
                hold.ranges = intersect(&hold.ranges, waiting);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is consistent between any two statements that can panic: there are none.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Tracker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tracker").field("source", &self.source).field("position", &self.position()).finish()
    }
}

// === impl Receipt ===

impl Receipt {
    /// A second duty for what this one answers for.
    pub fn fork(&self) -> Receipt {
        let mut state = self.tracker.state();
        let id = state.next_id;
        state.next_id += 1;
        if let Some(hold) = state.pending.get(&self.id) {
            let copy = Hold { family: hold.family, ranges: hold.ranges.clone(), queued: hold.queued };
            if let Some(family) = state.families.get_mut(&copy.family) {
                family.forks += 1;
            }
            state.pending.insert(id, copy);
        }
        drop(state);
        Receipt { tracker: self.tracker.clone(), id }
    }

    /// The duty is done.
    pub fn settle(self) {
        self.tracker.settle(std::slice::from_ref(&self));
    }

    /// Only what lies in `waiting` (sorted by start) still waits; the rest of the range is settled as far as this
    /// receipt goes.
    pub fn narrow(&mut self, waiting: &[Range<u64>]) {
        self.tracker.narrow(std::slice::from_ref(self), waiting);
    }

    /// The source's tracker.
    pub fn tracker(&self) -> &Arc<Tracker> {
        &self.tracker
    }
}

impl std::fmt::Debug for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Receipt({})", self.id)
    }
}

/// What of `ranges` lies in `waiting`. Both are sorted by start; `waiting` may overlap.
fn intersect(ranges: &[Range<u64>], waiting: &[Range<u64>]) -> Ranges {
    let mut out = Ranges::new();
    for range in ranges {
        for want in waiting {
            if want.start >= range.end {
                break;
            }
            let (start, end) = (want.start.max(range.start), want.end.min(range.end));
            match out.last_mut() {
                _ if start >= end => {}
                Some(last) if last.end >= start => last.end = last.end.max(end),
                _ => out.push(start..end),
            }
        }
    }
    out
}

// === impl Custody ===

impl Custody {
    /// A second duty for all of it.
    pub fn fork(&self) -> Custody {
        Custody(self.0.iter().map(Receipt::fork).collect())
    }

    /// The duty is done.
    pub fn settle(self) {
        self.each_tracker(|tracker| tracker.settle(&self.0));
    }

    /// An output's queue in memory has all of it.
    pub fn note_queued(&self) {
        if self.0.iter().any(|receipt| receipt.tracker.watched) {
            self.each_tracker(|tracker| {
                if tracker.watched {
                    tracker.note_queued(&self.0);
                }
            });
        }
    }

    /// Calls `visit` once for each tracker that receipts are of.
    fn each_tracker(&self, visit: impl Fn(&Tracker)) {
        for (i, receipt) in self.0.iter().enumerate() {
            if !self.0[..i].iter().any(|before| Arc::ptr_eq(&before.tracker, &receipt.tracker)) {
                visit(&receipt.tracker);
            }
        }
    }

    /// Takes over `other`'s duty as well.
    pub fn absorb(&mut self, other: Custody) {
        self.0.extend(other.0);
    }

    /// The receipts.
    pub fn receipts(&self) -> &[Receipt] {
        &self.0
    }

    /// Only `rows` of `batch` still wait. A receipt of a source that is not the records' own (a disk queue's, say) stays
    /// as it is: their ranges mean nothing to it.
    pub fn narrow<'r>(&mut self, batch: &Batch, rows: impl Iterator<Item = &'r Row> + Clone) {
        self.each_tracker(|tracker| {
            let is_own = |source| Arc::ptr_eq(source, &tracker.source);
            if !batch.scopes().iter().any(|scope| is_own(&scope.source)) {
                return;
            }
            let own = rows.clone().filter(|row| is_own(&batch.scope(row).source));
            let mut waiting: Vec<Range<u64>> = own.map(|row| row.start..row.end).collect();
            waiting.sort_unstable_by_key(|range| range.start);
            tracker.narrow(&self.0, &waiting);
        });
    }

    /// Whether nobody waits for an answer: records that a custodian answered for already.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Receipt> for Custody {
    fn from(receipt: Receipt) -> Self {
        Custody(smallvec![receipt])
    }
}

impl std::fmt::Debug for Custody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn tracker() -> (Arc<Tracker>, Arc<InputLedger>) {
        let ledger = Arc::new(InputLedger::default());
        (Tracker::new(Arc::new(Source::new("in".into(), 1)), 0, ledger.clone(), None), ledger)
    }

    fn position(mark: u64, settled: &[Range<u64>]) -> Position {
        Position { mark, settled: settled.to_vec() }
    }

    #[test]
    fn the_mark_waits_for_the_lowest() {
        let (tracker, ledger) = tracker();
        let a = tracker.open(0..10, 1);
        let b = tracker.open(10..20, 2);
        assert_eq!(tracker.position(), position(0, &[]));
        b.settle();
        assert_eq!(tracker.position(), position(0, &[10..20]));
        assert_eq!((ledger.in_flight(), ledger.settled_records()), (1, 2));
        a.settle();
        assert_eq!(tracker.position(), position(20, &[]));
        assert_eq!(ledger.in_flight(), 0);
    }

    #[test]
    fn every_fork_counts() {
        let (tracker, ledger) = tracker();
        let a = tracker.open(0..10, 3);
        let b = a.fork();
        a.settle();
        assert_eq!(tracker.position(), position(0, &[]));
        assert_eq!(ledger.in_flight(), 3);
        b.settle();
        assert_eq!(tracker.position(), position(10, &[]));
        assert_eq!((ledger.in_flight(), ledger.settled_records()), (0, 3));
    }

    #[test]
    fn narrowing_settles_what_does_not_wait() {
        let (tracker, _) = tracker();
        let mut a = tracker.open(0..100, 10);
        let b = a.fork();
        a.narrow(&[10..20, 15..30, 50..60, 90..200]);
        assert_eq!(tracker.position(), position(0, &[]));
        b.settle();
        assert_eq!(tracker.position(), position(10, &[30..50, 60..90]));
        // It never grows again.
        a.narrow(&[0..55]);
        assert_eq!(tracker.position(), position(10, &[30..50, 55..100]));
        a.settle();
        assert_eq!(tracker.position(), position(100, &[]));
    }

    #[test]
    fn a_lost_receipt_keeps_its_range() {
        let (tracker, ledger) = tracker();
        drop(tracker.open(0..10, 1));
        tracker.open(10..20, 1).settle();
        assert_eq!(tracker.position(), position(0, &[10..20]));
        assert_eq!(ledger.in_flight(), 1);
    }

    #[test]
    fn gaps_are_settled() {
        let (tracker, _) = tracker();
        let a = tracker.open(5..10, 1);
        assert_eq!(tracker.position(), position(5, &[]));
        tracker.advance(30);
        assert_eq!(tracker.position(), position(5, &[10..30]));
        a.settle();
        assert_eq!(tracker.position(), position(30, &[]));
    }

    /// What is done with a tracker.
    #[derive(Clone, Debug)]
    enum Op {
        /// Passes over some bytes and hands on the next, which hold that many records.
        Open(u64, u64, u64),
        /// The number of a receipt, counted from the first there ever was, and round again.
        Fork(usize),
        Narrow(usize, Vec<Range<u64>>),
        Settle(usize),
        Lose(usize),
        Advance(u64),
    }

    fn op() -> impl Strategy<Value = Op> {
        let at = || any::<proptest::sample::Index>().prop_map(|index| index.index(1000));
        let ranges = prop::collection::vec((0..60_u64, 1..12_u64).prop_map(|(from, n)| from..from + n), 0..4);
        prop_oneof![
            4 => (0..3_u64, 1..8_u64, 0..4_u64).prop_map(|(gap, len, records)| Op::Open(gap, len, records)),
            3 => at().prop_map(Op::Fork),
            4 => (at(), ranges).prop_map(|(at, ranges)| Op::Narrow(at, ranges)),
            4 => at().prop_map(Op::Settle),
            1 => at().prop_map(Op::Lose),
            1 => (0..4_u64).prop_map(Op::Advance),
        ]
    }

    /// A receipt, unless it is lost; the number of its family; the bytes it answers for.
    type Held = (Option<Receipt>, usize, BTreeSet<u64>);

    fn expected(read: u64, held: &[Held]) -> Position {
        let pending: BTreeSet<u64> = held.iter().flat_map(|(_, _, bytes)| bytes.iter().copied()).collect();
        let mark = pending.first().copied().unwrap_or(read);
        let mut settled: Vec<Range<u64>> = Vec::new();
        for byte in (mark..read).filter(|byte| !pending.contains(byte)) {
            match settled.last_mut() {
                Some(last) if last.end == byte => last.end += 1,
                _ => settled.push(byte..byte + 1),
            }
        }
        Position { mark, settled }
    }

    proptest! {
        /// A tracker says what a set of bytes for each receipt would say, and counts each family's records once.
        #[test]
        fn positions_are_those_of_sets_of_bytes(ops in prop::collection::vec(op(), 0..60)) {
            let (tracker, ledger) = tracker();
            let mut read = 0;
            let mut held: Vec<Held> = Vec::new();
            let mut families: Vec<u64> = Vec::new();
            for op in ops {
                let pick = |at: usize| (!held.is_empty()).then(|| at % held.len());
                match op {
                    Op::Open(gap, len, records) => {
                        let range = read + gap..read + gap + len;
                        read = range.end;
                        families.push(records);
                        held.push((Some(tracker.open(range.clone(), records)), families.len() - 1, range.collect()));
                    }
                    Op::Fork(at) => {
                        let Some((Some(receipt), family, bytes)) = pick(at).map(|at| &held[at]) else { continue };
                        let fork = (Some(receipt.fork()), *family, bytes.clone());
                        held.push(fork);
                    }
                    Op::Narrow(at, mut ranges) => {
                        ranges.sort_unstable_by_key(|range| range.start);
                        let Some((Some(receipt), _, bytes)) = pick(at).map(|at| &mut held[at]) else { continue };
                        receipt.narrow(&ranges);
                        bytes.retain(|byte| ranges.iter().any(|range| range.contains(byte)));
                    }
                    Op::Settle(at) => {
                        let Some(at) = pick(at).filter(|&at| held[at].0.is_some()) else { continue };
                        held.swap_remove(at).0.into_iter().for_each(Receipt::settle);
                    }
                    Op::Lose(at) => {
                        let Some(at) = pick(at) else { continue };
                        held[at].0 = None;
                    }
                    Op::Advance(by) => {
                        read += by;
                        tracker.advance(read);
                    }
                }
                prop_assert_eq!(tracker.position(), expected(read, &held));
                let alive: BTreeSet<usize> = held.iter().map(|(_, family, _)| *family).collect();
                let in_flight: u64 = alive.iter().map(|&family| families[family]).sum();
                prop_assert_eq!(ledger.in_flight(), in_flight);
                prop_assert_eq!(ledger.received(), ledger.settled_records() + in_flight);
            }
        }
    }
}
