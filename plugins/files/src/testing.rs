//! What the tests of this crate share: records with an origin, and outputs without a runtime.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use suiro_record::{Batch, Scope, Source};
use suiro_sdk::ledger::InputLedger;
use suiro_sdk::{Custody, Decoder, Delivery, Line, OnParseError, Part, Pool, Rows, Tracker};

/// A source of records.
pub(crate) struct Feed {
    pub(crate) tracker: Arc<Tracker>,
    pub(crate) scope: Arc<Scope>,
    ledger: Arc<InputLedger>,
    at: std::cell::Cell<u64>,
    pool: Arc<Pool>,
}

impl Feed {
    pub(crate) fn new() -> Self {
        Self::of(rand::random())
    }

    pub(crate) fn of(incarnation: u128) -> Self {
        let source = Arc::new(Source::new("in".into(), incarnation));
        let ledger = Arc::new(InputLedger::default());
        let tracker = Tracker::new(source.clone(), 0, ledger.clone(), None);
        let scope = Arc::new(Scope::new(source));
        Feed { tracker, scope, ledger, at: std::cell::Cell::new(0), pool: Arc::default() }
    }

    /// A batch of the lines of `text`, which begin at byte `at` of the source.
    pub(crate) fn batch_at(&self, text: &str, at: u64) -> Batch {
        let mut batch = Batch::new("app".into(), self.scope.clone(), 0);
        batch.heap_mut().extend_from_slice(text.as_bytes());
        let mut lines = Vec::<Line>::new();
        crate::lines::split(text.as_bytes(), 0, at, &mut lines);
        Decoder::new(None, OnParseError::Keep, false, self.ledger.clone()).decode(&mut batch, 0, &lines);
        batch
    }

    /// A delivery of the next lines.
    pub(crate) fn delivery(&self, text: &str) -> Delivery {
        let at = self.at.get();
        self.at.set(at + text.len() as u64);
        self.delivery_of(self.batch_at(text, at))
    }

    /// A delivery of that batch.
    pub(crate) fn delivery_of(&self, batch: Batch) -> Delivery {
        let (first, last) = (batch.rows[0].start, batch.rows[batch.rows.len() - 1].end);
        let receipt = self.tracker.open(first..last, batch.rows.len() as u64);
        let part = Part { batch: self.pool.share(batch), rows: Rows::All, custody: Custody::from(receipt) };
        Delivery { parts: vec![part] }
    }

    /// The records are answered for; the ledger balances.
    pub(crate) fn settle(&self, delivery: Delivery) {
        delivery.parts.into_iter().for_each(|part| part.custody.settle());
        assert_eq!(self.ledger.received(), self.ledger.settled_records() + self.ledger.in_flight());
        assert_eq!(self.ledger.in_flight(), 0);
    }
}

/// The result of something that does not wait.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("it waits"),
    }
}
