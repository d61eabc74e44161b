//! From a queue through deliveries and outcomes to the ledger.

use std::sync::Arc;
use std::time::{Duration, Instant};

use suiro_record::{Batch, Row, Scope, Source};
use suiro_sdk::{
    Delivering, Delivery, InputLedger, Limits, Outcome, Output, OutputLedger, OutputSetup, Part, Pool, Reason, Rows,
    Tracker, Verdict,
};
use tempfile::TempDir;

use super::former::{Formed, Former};
use super::verdicts::{Books, Rest};
use super::{DeadLetter, DeadLetterSettings, Driver, DriverSetup, RetrySettings};
use crate::queue::{DiskQueue, DiskSetup, Fsync, MemoryQueue, Queue, QueueSetup, WhenFull};

/// Source bytes of a record.
const RECORD: u64 = 10;

/// An output's parts, called by hand.
struct Rig {
    tracker: Arc<Tracker>,
    ledger: Arc<OutputLedger>,
    queue: MemoryQueue,
    dead_letter: DeadLetter,
    folder: TempDir,
}

// === impl Rig ===

impl Rig {
    fn new() -> Self {
        let ledger = Arc::<OutputLedger>::default();
        let setup =
            QueueSetup { max_bytes: 1 << 20, when_full: WhenFull::Block, ledger: ledger.clone(), wakers: Vec::new() };
        let folder = tempfile::tempdir().expect("a folder");
        let source = Arc::new(Source::new("in".into(), 7));
        Rig {
            tracker: Tracker::new(source, 0, Arc::<InputLedger>::default(), None),
            queue: MemoryQueue::new(setup),
            dead_letter: DeadLetter::new(DeadLetterSettings::of(folder.path(), "out"), "out"),
            folder,
            ledger,
        }
    }

    /// Queues `count` records.
    fn push(&self, count: u64) {
        assert!(self.queue.push(self.part(count)).is_ok());
    }

    /// `count` records.
    fn part(&self, count: u64) -> Part {
        let mut batch = Batch::new("app".into(), Arc::new(Scope::new(self.tracker.source().clone())), 1);
        for n in 0..count {
            let start = batch.heap().len();
            batch.heap_mut().extend_from_slice(format!("record {n}").as_bytes());
            let end = batch.heap().len();
            let root = batch.text_body(start..end);
            batch.rows.push(Row::new(root, n as i64, n * RECORD, (n + 1) * RECORD));
        }
        let receipt = self.tracker.open(0..count * RECORD, count);
        Part { batch: Arc::new(Pool::default()).share(batch), rows: Rows::All, custody: receipt.into() }
    }

    /// What is queued, in deliveries of at most `max_records`.
    fn form(&self, max_records: usize) -> Vec<Formed> {
        let mut former = Former::new(Limits { max_records, ..Limits::default() });
        let mut complete = Vec::new();
        while let Some(queued) = self.queue.pop() {
            former.add(queued, Instant::now(), &mut complete);
        }
        complete.extend(former.take());
        complete
    }

    fn close(&self, formed: Formed, outcome: Outcome) -> Rest {
        self.close_as(formed, outcome, false)
    }

    fn close_as(&self, formed: Formed, outcome: Outcome, apart: bool) -> Rest {
        let books = Books {
            ledger: &self.ledger,
            dead_letter: &self.dead_letter,
            queue: &self.queue,
            max_attempts: None,
            apart,
        };
        let rest = books.close(formed, outcome);
        self.assert_balanced();
        rest
    }

    /// What was set aside: each record's text, and whether it is marked as ambiguous.
    fn letters(&self) -> Vec<(String, bool)> {
        let mut letters = Vec::new();
        for file in std::fs::read_dir(self.folder.path().join("dead-letter/out")).into_iter().flatten().flatten() {
            let text = std::fs::read_to_string(file.path()).expect("a file of ours");
            for line in text.lines() {
                let letter: serde_json::Value = serde_json::from_str(line).expect("JSON");
                let text = letter["record"]["log"].as_str().unwrap_or_default().to_owned();
                letters.push((text, letter["ambiguous"] == true));
            }
        }
        letters
    }

    fn assert_balanced(&self) {
        let counts = &self.ledger;
        let read = suiro_sdk::ledger::read;
        let right =
            read(&counts.delivered) + counts.dropped.total() + counts.dead_lettered.total() + read(&counts.in_flight);
        assert_eq!(read(&counts.routed), right, "{counts:?}");
    }

    /// Nothing is left of anything.
    fn assert_settled(&self) {
        let read = suiro_sdk::ledger::read;
        self.assert_balanced();
        assert_eq!((read(&self.ledger.in_flight), read(&self.ledger.queued_bytes)), (0, 0));
        assert_eq!(self.tracker.open_receipts(), 0);
    }
}

/// Scenario: a batch is cut into two deliveries, and the later one is delivered while the earlier one is tried again.
/// Guarantees: the batch, which is still in memory as a whole, still counts.
#[test]
fn a_batch_is_charged_until_its_last_piece_is_gone() {
    let rig = Rig::new();
    rig.push(10);
    let charged = || suiro_sdk::ledger::read(&rig.ledger.queued_bytes);
    let whole = charged();
    let mut formed = rig.form(4);
    assert_eq!(formed.iter().map(|formed| formed.delivery.len()).collect::<Vec<_>>(), [4, 4, 2]);
    let first = formed.remove(0);
    let retry = Outcome::Retry { why: "later".to_owned(), after: None, degraded: false };
    let (first, _) = rig.close(first, retry).again.expect("it is tried again");
    for later in formed {
        rig.close(later, Outcome::Delivered);
        assert_eq!(charged(), whole);
    }
    let halves = rig.close(first, Outcome::TooLarge).pieces;
    assert_eq!(halves.len(), 2);
    for half in halves.into_iter().rev() {
        assert_eq!(charged(), whole);
        rig.close(half, Outcome::Delivered);
    }
    rig.assert_settled();
}

fn later(after: Option<u64>, degraded: bool) -> Verdict {
    Verdict::Retry { why: "later".to_owned(), after: after.map(Duration::from_secs), degraded }
}

#[test]
fn a_server_that_takes_not_one_record_is_left_alone() {
    let rig = Rig::new();
    rig.push(3);
    let formed = rig.form(3).remove(0);
    let some = rig.close(formed, Outcome::Partial(vec![(0, later(None, false)), (2, later(None, true))]));
    assert!(!some.overwhelmed && some.degraded.is_some());
    let (formed, _) = some.again.expect("two are left");
    assert_eq!(formed.delivery.len(), 2);
    let none = rig.close(formed, Outcome::Partial(vec![(0, later(None, false)), (1, later(None, false))]));
    assert!(none.overwhelmed && none.degraded.is_none() && none.after.is_none());
    // Also where it says for how long, though it took one.
    let (formed, _) = none.again.expect("two are left");
    let wait = rig.close(formed, Outcome::Partial(vec![(1, later(Some(7), false))]));
    assert!(wait.overwhelmed && wait.after == Some(Duration::from_secs(7)));
    rig.close(wait.again.expect("one is left").0, Outcome::Delivered);
    rig.assert_settled();
}

/// Scenario: of an output whose records go to several places, one place takes nothing. Guarantees: what goes to the others
/// does not wait for it.
#[test]
fn a_place_that_takes_nothing_holds_back_no_other() {
    let rig = Rig::new();
    rig.push(2);
    let formed = rig.form(2).remove(0);
    let none = Outcome::Partial(vec![(0, later(None, false)), (1, later(None, true))]);
    let rest = rig.close_as(formed, none, true);
    assert!(!rest.overwhelmed && rest.degraded.is_some());
    let (formed, _) = rest.again.expect("both are left");
    // It says when it is to be asked again: what goes there waits for that.
    let rest =
        rig.close_as(formed, Outcome::Partial(vec![(0, later(Some(7), false)), (1, later(Some(2), false))]), true);
    assert!(!rest.overwhelmed && rest.after == Some(Duration::from_secs(7)));
    let (formed, _) = rest.again.expect("both are left");
    // Nobody is there at all.
    let retry = Outcome::Retry { why: "later".to_owned(), after: None, degraded: false };
    let rest = rig.close_as(formed, retry, true);
    assert!(rest.overwhelmed);
    rig.close_as(rest.again.expect("both are left").0, Outcome::Delivered, true);
    rig.assert_settled();
}

#[test]
fn what_may_have_been_refused_is_kept_and_marked() {
    // The same, whether the whole of a delivery had one answer or a part of it.
    let perhaps = |rejected| Verdict::Unidentified { rejected, detail: "no".to_owned() };
    for (outcome, kept) in [
        (Outcome::Unidentified { rejected: Some(1), detail: "no".to_owned() }, vec![0, 1, 2]),
        (Outcome::Partial(vec![(1, perhaps(true)), (2, perhaps(false))]), vec![1, 2]),
    ] {
        let rig = Rig::new();
        rig.push(3);
        let rest = rig.close(rig.form(3).remove(0), outcome);
        assert!(rest.again.is_none() && !rest.overwhelmed);
        let kept: Vec<_> = kept.into_iter().map(|n| (format!("record {n}"), true)).collect();
        assert_eq!(rig.letters(), kept);
        let counts: Vec<_> = rig.ledger.dead_lettered.snapshot().into_iter().collect();
        assert_eq!(counts, [(Reason::REJECTED_UNIDENTIFIED.0, 1)]);
        assert_eq!(suiro_sdk::ledger::read(&rig.ledger.delivered), 2);
        rig.assert_settled();
    }
}

/// Takes everything, and counts.
struct Taker(std::sync::mpsc::Sender<usize>);

impl Output for Taker {
    fn deliver<'a>(&'a self, delivery: &'a Delivery) -> Delivering<'a> {
        let _ = self.0.send(delivery.len());
        Box::pin(async { Outcome::Delivered })
    }
}

/// Scenario: an output likes deliveries that are larger than its queue, and would wait an hour for them.
/// Guarantees: what the queue holds is delivered when nothing more fits into it, in memory and from disk.
#[test]
fn a_delivery_larger_than_the_queue_does_not_wait() {
    for on_disk in [false, true] {
        let rig = Rig::new();
        let setup = || QueueSetup {
            max_bytes: 16 << 10,
            when_full: WhenFull::Block,
            ledger: rig.ledger.clone(),
            wakers: Vec::new(),
        };
        let disk = || DiskSetup {
            queue: setup(),
            name: "out".into(),
            folder: rig.folder.path().join("queue"),
            max_size: 64 << 20,
            fsync: Fsync::Never,
            pool: Arc::default(),
            health: Arc::default(),
        };
        let queue: Arc<dyn Queue> = match on_disk {
            true => Arc::new(DiskQueue::open(disk()).expect("the queue opens")),
            false => Arc::new(MemoryQueue::new(setup())),
        };
        let (taken, takes) = std::sync::mpsc::channel();
        let (_not_yet, abort) = tokio::sync::watch::channel(false);
        let driver = Driver::new(DriverSetup {
            name: "out".into(),
            output: Box::new(Taker(taken)),
            queue: queue.clone(),
            limits: Limits { max_bytes: usize::MAX, max_records: usize::MAX, timeout: Duration::from_secs(3600) },
            retry: RetrySettings { initial: Duration::ZERO, max: Duration::ZERO, max_attempts: None },
            concurrency: 4,
            ordered: false,
            ledger: rig.ledger.clone(),
            dead_letter: Arc::new(DeadLetter::new(DeadLetterSettings::of(rig.folder.path(), "out"), "out")),
            health: Arc::default(),
            setup: OutputSetup {
                name: "out".into(),
                data_dir: rig.folder.path().to_owned(),
                ledger: rig.ledger.clone(),
            },
            abort,
        });
        let thread = std::thread::spawn(move || driver.run(|started| started.expect("it starts")));
        let mut pushed = 0;
        for n in 0..200 {
            let mut part = rig.part(10);
            let until = Instant::now() + Duration::from_secs(60);
            while let Err(back) = queue.push(part) {
                assert!(Instant::now() < until, "on disk {on_disk}: part {n} finds no room");
                std::thread::sleep(Duration::from_millis(1));
                part = *back;
            }
            pushed += 10;
        }
        assert!(takes.recv_timeout(Duration::from_secs(60)).is_ok(), "on disk {on_disk}: nothing was delivered");
        queue.close();
        thread.join().expect("it ends");
        queue.finish();
        rig.assert_balanced();
        let read = suiro_sdk::ledger::read;
        assert_eq!((read(&rig.ledger.delivered), read(&rig.ledger.in_flight)), (pushed, 0));
        assert_eq!(rig.tracker.open_receipts(), 0);
    }
}
