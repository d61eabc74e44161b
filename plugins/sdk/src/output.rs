//! What an output is.
//!
//! The agent's driver takes batches from the output's queue, forms deliveries of the size the output likes, retries,
//! splits, writes dead letters, counts, and settles. The output does one thing: [`Output::deliver`] tries once to hand a
//! delivery to the other side, and says record by record how that went. It may be called again with the same records
//! after any answer but `Delivered`, and concurrently, up to `concurrency`, on one thread.
//!
//! Each output has a thread of its own with a tokio runtime on it, so an output that must block (a file) blocks nobody
//! else.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use suiro_record::{Batch, Row, Signal};

use crate::custody::Custody;
use crate::input::StartError;
use crate::ledger::{OutputLedger, Reason};
use crate::pool::SharedBatch;

/// What a delivery comes to.
pub type Delivering<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// An output, as configured.
pub trait Output: Send {
    /// The signals it can express.
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Logs]
    }

    /// Whether it can do with batches nobody has looked into ([`Batch::is_packed`]).
    fn takes_packed(&self) -> bool {
        false
    }

    /// The deliveries it likes, where the configuration says nothing.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// Whether records go to several places that can fail each by itself, such as streams. Then what is left of a delivery
    /// ([`Outcome::Partial`]) waits by itself, for as long as its verdicts say; [`Outcome::Retry`] still holds back the others.
    fn is_apart(&self) -> bool {
        false
    }

    /// Once, on its thread and inside its runtime, before the first delivery.
    fn start(&mut self, _setup: &OutputSetup) -> Result<(), StartError> {
        Ok(())
    }

    /// Tries once to hand over the records of `delivery`.
    fn deliver<'a>(&'a self, delivery: &'a Delivery) -> Delivering<'a>;

    /// The end: what was delivered is made durable, connections are closed.
    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async {})
    }
}

/// What an output gets at its start.
#[derive(Clone, Debug)]
pub struct OutputSetup {
    /// The output's name.
    pub name: Arc<str>,
    /// Where the agent keeps what must survive a restart.
    pub data_dir: PathBuf,
    /// The output's counts: it adds to `bytes` itself, the driver does the rest.
    pub ledger: Arc<OutputLedger>,
}

/// Bounds of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Source bytes of its records, about.
    pub max_bytes: usize,
    /// Records.
    pub max_records: usize,
    /// How long a delivery that is not full waits for more.
    pub timeout: Duration,
}

/// Records of one batch for one output, and the custody that comes with them.
#[derive(Debug)]
pub struct Part {
    /// The batch.
    pub batch: SharedBatch,
    /// Which of its records.
    pub rows: Rows,
    /// Who waits for them.
    pub custody: Custody,
}

/// Which records of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rows {
    /// All.
    All,
    /// These, in order.
    Some(Box<[u32]>),
}

/// Records to be handed over together, numbered from 0 across all parts.
#[derive(Debug, Default)]
pub struct Delivery {
    /// The parts, none empty.
    pub parts: Vec<Part>,
}

/// How an attempt went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The other side has every record.
    Delivered,
    /// It has every record but these, by number, ascending.
    Partial(Vec<(usize, Verdict)>),
    /// It has none, or nobody knows: try all of it again.
    Retry {
        /// For the log.
        why: String,
        /// The other side's wish.
        after: Option<Duration>,
        /// An operator must mend it (401, 403): health says degraded.
        degraded: bool,
    },
    /// Too much at once: try it in halves.
    TooLarge,
    /// It will never take any of it.
    Refused {
        /// Why.
        reason: Reason,
        /// In the other side's words.
        detail: String,
    },
    /// It has refused some and not said which: nothing is sent again, the request is kept in the dead letter as ambiguous.
    Unidentified {
        /// How many, if it said.
        rejected: Option<usize>,
        /// In the other side's words.
        detail: String,
    },
}

/// What becomes of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Try it again.
    Retry {
        /// For the log.
        why: String,
        /// The other side's wish.
        after: Option<Duration>,
        /// An operator must mend it (401, 403): health says degraded.
        degraded: bool,
    },
    /// Set it aside.
    Refused {
        /// Why.
        reason: Reason,
        /// In the other side's words.
        detail: String,
    },
    /// It is one of several of which some were refused, and nobody said which: it is kept in the dead letter as ambiguous,
    /// and not sent again.
    Unidentified {
        /// Counted as refused; otherwise as delivered. As many are as the other side said, or all.
        rejected: bool,
        /// In the other side's words.
        detail: String,
    },
    /// Drop it, as the configuration says.
    Drop(Reason),
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Limits { max_bytes: 1 << 20, max_records: usize::MAX, timeout: Duration::from_millis(200) }
    }
}

// === impl Part ===

impl Part {
    /// Its records.
    pub fn records(&self) -> impl Iterator<Item = &Row> + Clone + '_ {
        let all = match &self.rows {
            Rows::All => Some(self.batch.rows.iter()),
            Rows::Some(_) => None,
        };
        let some = match &self.rows {
            Rows::All => [].iter(),
            Rows::Some(rows) => rows.iter(),
        };
        all.into_iter().flatten().chain(some.filter_map(|&row| self.batch.rows.get(row as usize)))
    }

    /// How many.
    pub fn len(&self) -> usize {
        match &self.rows {
            Rows::All => self.batch.rows.len(),
            Rows::Some(rows) => rows.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Row index of its record number `n`.
    pub fn row_index(&self, n: usize) -> u32 {
        match &self.rows {
            Rows::All => n as u32,
            Rows::Some(rows) => rows[n],
        }
    }

    /// Source bytes of its records, about.
    pub fn source_bytes(&self) -> usize {
        self.records().map(|row| usize::try_from(row.end - row.start).unwrap_or(usize::MAX)).sum()
    }

    /// Keeps only the records with these numbers (ascending); the rest is settled as far as this part goes.
    pub fn narrow(&mut self, keep: &[usize]) {
        let rows: Box<[u32]> = keep.iter().map(|&n| self.row_index(n)).collect();
        self.rows = Rows::Some(rows);
        let Part { batch, rows, custody } = self;
        let Rows::Some(rows) = rows else { return };
        custody.narrow(batch, rows.iter().filter_map(|&row| batch.rows.get(row as usize)));
    }

    /// Cuts it after its first `n` records; the rest. Both answer for the whole until each is narrowed or settled.
    pub fn split_off(&mut self, n: usize) -> Part {
        let index = |range: std::ops::Range<usize>| range.map(|i| self.row_index(i)).collect::<Box<[u32]>>();
        let (head, tail) = (index(0..n), index(n..self.len()));
        let rest = Part { batch: self.batch.clone(), rows: Rows::Some(tail), custody: self.custody.fork() };
        self.rows = Rows::Some(head);
        rest
    }
}

// === impl Delivery ===

impl Delivery {
    /// How many records.
    pub fn len(&self) -> usize {
        self.parts.iter().map(Part::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// All records with their batches, in the order of their numbers. Where templates are prepared per batch, walk the
    /// parts instead.
    pub fn records(&self) -> impl Iterator<Item = (&Batch, &Row)> {
        self.parts.iter().flat_map(|part| part.records().map(|row| (&**part.batch, row)))
    }
}
