//! The ledger: every record that came in is settled, dropped for a reason that is counted, set aside with its reason, or
//! still in flight. Counted in records; bytes are informative. At any moment:
//!
//! - each input: `received = settled + in_flight`
//! - each filter: `in + created = out + dropped{reason} + dead_lettered{reason} + absorbed + held`
//! - the router: `in = routed + dropped{unrouted}` (a record that several outputs take is routed once)
//! - each output: `routed + recovered = delivered + dropped{reason} + dead_lettered{reason} + in_flight`
//!
//! Blocks add per batch, not per record.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Why a record was not delivered. A reason is a word that says something; there is no "other".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reason(pub &'static str);

impl Reason {
    /// No output takes records of this tag.
    pub const UNROUTED: Reason = Reason("unrouted");
    /// A filter whose job it is dropped it.
    pub const FILTERED: Reason = Reason("filtered");
    /// The text did not parse, and the configuration says to drop such.
    pub const PARSE_ERROR: Reason = Reason("parse_error");
    /// The queue was full and `when_full` says to drop.
    pub const QUEUE_FULL: Reason = Reason("queue_full");
    /// What came is not of the format it should be.
    pub const MALFORMED: Reason = Reason("malformed");
    /// More came than a limit lets through.
    pub const RATE_LIMITED: Reason = Reason("rate_limited");
    /// The server refused the record by name.
    pub const REJECTED: Reason = Reason("rejected");
    /// The server refused some records of a request and did not say which.
    pub const REJECTED_UNIDENTIFIED: Reason = Reason("rejected_unidentified");
    /// One record alone is larger than the server takes.
    pub const TOO_LARGE: Reason = Reason("too_large");
    /// A template names a field the record does not have.
    pub const MISSING_FIELD: Reason = Reason("missing_field");
    /// A template gave a destination that is not allowed.
    pub const NOT_ALLOWED: Reason = Reason("destination_not_allowed");
    /// `retry.max_attempts` is used up.
    pub const RETRIES_EXHAUSTED: Reason = Reason("retries_exhausted");
    /// A plugin panicked on its batch.
    pub const PANIC: Reason = Reason("panic");
    /// The dead letter itself is full or can't be written.
    pub const DEAD_LETTER_FULL: Reason = Reason("dead_letter_full");
    /// Its sender did not show the right credentials, or no certificate.
    pub const UNAUTHORIZED: Reason = Reason("unauthorized");
    /// `max_connections` are open: a connection, not a record.
    pub const TOO_MANY_CONNECTIONS: Reason = Reason("too_many_connections");
    /// Bytes on disk did not match their checksum.
    pub const CORRUPT: Reason = Reason("corrupt");
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// Counts by reason.
#[derive(Debug, Default)]
pub struct Reasons(Mutex<BTreeMap<Reason, u64>>);

/// One input's counts.
#[derive(Debug, Default)]
pub struct InputLedger {
    received: AtomicU64,
    bytes: AtomicU64,
    settled: AtomicU64,
    in_flight: AtomicU64,
    /// Lines that were kept as text since the parser did not take them.
    pub parse_errors: AtomicU64,
    /// Lines in which bytes that are no UTF-8 were replaced.
    pub invalid_utf8: AtomicU64,
    /// Lines cut at `max_line`.
    pub long_lines: AtomicU64,
    /// Bytes given up on: of files deleted while unread, of long lines beyond the cut.
    pub abandoned_bytes: AtomicU64,
    /// Records, or datagrams and lines nobody could make records of, that did not come in. Beside the equation.
    pub turned_away: Reasons,
}

/// One filter's counts.
#[derive(Debug, Default)]
pub struct FilterLedger {
    /// Records that came.
    pub taken: AtomicU64,
    /// Records it made of others.
    pub created: AtomicU64,
    /// Records that went on.
    pub out: AtomicU64,
    /// Records it joined into others.
    pub absorbed: AtomicU64,
    /// Records it holds now.
    pub held: AtomicU64,
    /// Records it dropped.
    pub dropped: Reasons,
    /// Records set aside with their reason.
    pub dead_lettered: Reasons,
    /// Records it could not change as told; they went on as they were.
    pub failed: AtomicU64,
}

/// The router's counts.
#[derive(Debug, Default)]
pub struct RouterLedger {
    /// Records that came out of the filters.
    pub taken: AtomicU64,
    /// Records that at least one output took.
    pub routed: AtomicU64,
    /// Records no output takes.
    pub dropped: Reasons,
}

/// One output's counts.
#[derive(Debug, Default)]
pub struct OutputLedger {
    /// Records that were routed here since the start.
    pub routed: AtomicU64,
    /// Records found in the disk queue at the start.
    pub recovered: AtomicU64,
    /// Records the other side has.
    pub delivered: AtomicU64,
    /// Records dropped.
    pub dropped: Reasons,
    /// Records set aside with their reason.
    pub dead_lettered: Reasons,
    /// Records queued or under way.
    pub in_flight: AtomicU64,
    /// Requests made, the repeated ones included.
    pub requests: AtomicU64,
    /// Requests that will be or were made again.
    pub retries: AtomicU64,
    /// Bytes of request bodies, after compression.
    pub bytes: AtomicU64,
    /// Bytes of batches queued or under way.
    pub queued_bytes: AtomicU64,
    /// Records that were delivered, but not in all as configured (labels left out at a limit). Beside the equation.
    pub altered: Reasons,
}

/// Adds to a counter.
pub fn add(counter: &AtomicU64, n: usize) {
    counter.fetch_add(n as u64, Relaxed);
}

/// Reads a counter.
pub fn read(counter: &AtomicU64) -> u64 {
    counter.load(Relaxed)
}

// === impl Reasons ===

impl Reasons {
    /// Counts `n` records.
    pub fn add(&self, reason: Reason, n: usize) {
        if n > 0 {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(reason).or_default() += n as u64;
        }
    }

    /// All counts, by reason.
    pub fn snapshot(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(reason, n)| (reason.0, *n)).collect()
    }

    /// Records of all reasons.
    pub fn total(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }
}

// === impl InputLedger ===

impl InputLedger {
    pub(crate) fn opened(&self, records: u64) {
        self.received.fetch_add(records, Relaxed);
        self.in_flight.fetch_add(records, Relaxed);
    }

    pub(crate) fn settled(&self, records: u64) {
        // In this order an observer sees at worst a record counted twice for an instant, never one missing.
        self.settled.fetch_add(records, Relaxed);
        self.in_flight.fetch_sub(records, Relaxed);
    }

    /// Counts source bytes read.
    pub fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Relaxed);
    }

    /// Records that came in.
    pub fn received(&self) -> u64 {
        read(&self.received)
    }

    /// Source bytes read.
    pub fn bytes(&self) -> u64 {
        read(&self.bytes)
    }

    /// Records answered for.
    pub fn settled_records(&self) -> u64 {
        read(&self.settled)
    }

    /// Records that somebody still answers for.
    pub fn in_flight(&self) -> u64 {
        read(&self.in_flight)
    }
}
