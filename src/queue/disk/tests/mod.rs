//! The queue on a disk that forgets, its writer turned by hand.

mod crash;
mod damage;
mod disk;
mod policy;
mod roundtrip;
mod system;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use suiro_record::{Batch, Row, Scope, Source, TimeKind};
use suiro_sdk::ledger::{add, read};
use suiro_sdk::{InputLedger, OutputLedger, Part, Pool, Rows, Tracker};

use super::shared::Core;
use super::writer::Writer;
use super::{DiskSetup, Fsync, assemble};
use crate::pipeline::Health;
use crate::queue::{QueueSetup, Queued, WhenFull};
use disk::Disk;

/// Source bytes of a record.
const RECORD: u64 = 10;

/// A source of numbered records.
struct Input {
    tracker: Arc<Tracker>,
    scope: Arc<Scope>,
    next: u64,
}

/// A queue whose threads are the test.
struct Rig {
    core: Arc<Core>,
    writer: Writer,
    now: Instant,
    ledger: Arc<OutputLedger>,
    health: Arc<Health>,
    /// How often each record was delivered.
    delivered: BTreeMap<u64, usize>,
    /// The first record of each part, in the order they were popped.
    popped: Vec<u64>,
}

fn setup(folder: &std::path::Path) -> DiskSetup {
    DiskSetup {
        queue: QueueSetup {
            max_bytes: 1 << 20,
            when_full: WhenFull::Block,
            ledger: Arc::default(),
            wakers: Vec::new(),
        },
        name: "out".into(),
        folder: folder.to_owned(),
        max_size: 1 << 20,
        fsync: Fsync::Batch,
        pool: Arc::new(Pool::default()),
        health: Arc::default(),
    }
}

// === impl Input ===

impl Input {
    fn new() -> Self {
        let source = Arc::new(Source::new("in".into(), 7));
        let scope = Arc::new(Scope::new(source.clone()).with("file.path", "/a"));
        Input { tracker: Tracker::new(source, 0, Arc::<InputLedger>::default(), None), scope, next: 0 }
    }

    /// The next `count` records, each with a text of `size` bytes.
    fn part(&mut self, count: u64, size: usize) -> Part {
        let mut batch = Batch::new("app".into(), self.scope.clone(), 1);
        let from = self.next;
        for n in from..from + count {
            let start = batch.heap().len();
            let text = "x".repeat(size);
            let _ = write!(batch.heap_mut(), r#"{{"n":{n},"text":"{text}"}}"#);
            let end = batch.heap().len();
            let root = batch.parse_json(start..end).expect("JSON");
            let mut row = Row::new(root, n as i64, n * RECORD, (n + 1) * RECORD);
            row.time_kind = TimeKind::Own;
            batch.rows.push(row);
        }
        self.next += count;
        let receipt = self.tracker.open(from * RECORD..self.next * RECORD, count);
        Part { batch: Arc::new(Pool::default()).share(batch), rows: Rows::All, custody: receipt.into() }
    }

    /// Records that somebody else answers for.
    fn acknowledged(&self) -> Vec<u64> {
        let position = self.tracker.position();
        let settled = |n: u64| {
            let (start, end) = (n * RECORD, (n + 1) * RECORD);
            end <= position.mark || position.settled.iter().any(|range| range.start <= start && end <= range.end)
        };
        (0..self.next).filter(|&n| settled(n)).collect()
    }
}

// === impl Rig ===

impl Rig {
    fn open(disk: &Disk) -> Self {
        Rig::with(disk, |_| {})
    }

    fn with(disk: &Disk, change: impl FnOnce(&mut DiskSetup)) -> Self {
        Rig::try_with(disk, change).expect("the queue opens")
    }

    fn try_with(disk: &Disk, change: impl FnOnce(&mut DiskSetup)) -> Option<Self> {
        let mut setup = setup("queue/out".as_ref());
        change(&mut setup);
        let (ledger, health) = (setup.queue.ledger.clone(), setup.health.clone());
        let (core, writer) = assemble(setup, Box::new(disk.clone())).ok()?;
        Some(Rig { core, writer, now: Instant::now(), ledger, health, delivered: BTreeMap::new(), popped: Vec::new() })
    }

    fn push(&self, part: Part) -> bool {
        let taken = self.core.push(part).is_ok();
        self.assert_balanced();
        taken
    }

    fn turn(&mut self) {
        self.writer.turn(self.now);
        self.assert_balanced();
    }

    fn turn_after(&mut self, wait: Duration) {
        self.now += wait;
        self.turn();
    }

    fn pop(&mut self) -> Option<Queued> {
        let queued = self.core.pop();
        self.popped.extend(queued.iter().filter_map(|queued| Some(queued.part.records().next()?.time as u64)));
        self.assert_balanced();
        queued
    }

    /// What the driver does with what was delivered. Checks that each record is what it was.
    fn deliver(&mut self, queued: Queued) {
        let Queued { part, charge } = queued;
        for row in part.records() {
            let n = row.time as u64;
            assert_eq!((row.start, row.end), (n * RECORD, (n + 1) * RECORD));
            let mut json = Vec::new();
            part.batch.write_json(row, &mut json);
            let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
            assert_eq!(json["n"].as_u64(), Some(n), "record {n} is another one");
            *self.delivered.entry(n).or_default() += 1;
        }
        add(&self.ledger.delivered, part.len());
        self.ledger.in_flight.fetch_sub(part.len() as u64, Relaxed);
        part.custody.settle();
        self.core.done(charge);
        self.assert_balanced();
    }

    /// Turns, pops and delivers until nothing moves any more.
    fn drain(&mut self) {
        let mut idle = 0;
        while idle < 3 {
            self.turn_after(Duration::from_secs(1));
            match self.pop() {
                Some(queued) => {
                    self.deliver(queued);
                    idle = 0;
                }
                None => idle += 1,
            }
        }
    }

    fn dropped(&self) -> u64 {
        self.ledger.dropped.total()
    }

    fn delivered(&self) -> Vec<u64> {
        self.delivered.keys().copied().collect()
    }

    fn assert_balanced(&self) {
        let ledger = &self.ledger;
        let left = read(&ledger.routed) + read(&ledger.recovered);
        let right = read(&ledger.delivered) + ledger.dropped.total() + read(&ledger.in_flight);
        assert_eq!(left, right, "routed + recovered = delivered + dropped + in_flight: {ledger:?}");
    }

    fn assert_empty(&self) {
        assert_eq!(read(&self.ledger.in_flight), 0);
        self.core.close();
        assert!(self.core.is_finished());
    }
}

/// Names of the segments on a disk.
fn segments(disk: &Disk) -> Vec<String> {
    disk.names().into_iter().filter(|name| name.ends_with(".seg")).collect()
}
