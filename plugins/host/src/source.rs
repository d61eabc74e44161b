//! The thread that collects, and the source that hands collections on.

use std::sync::Arc;
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, Sender, SyncSender, TryRecvError, TrySendError, channel, sync_channel,
};
use std::time::Instant;

use suiro_record::{Row, Scope, Signal, Source as Origin, TimeKind, Value};
use suiro_sdk::ledger::InputLedger;
use suiro_sdk::{Custody, Flow, Input, Polled, Reason, Source, SourceSetup, StartError, Tracker, Waker, tag};

use crate::collect::Collector;
use crate::point::{Collection, Point};
use crate::settings::Settings;

/// Points of a batch: about 300 KiB.
const MAX_RECORDS: usize = 1000;
/// Points of a collection that nobody took before the next one: outputs do not keep up.
const NOT_TAKEN: Reason = Reason("not_taken");

/// The input.
pub(crate) struct HostMetrics {
    settings: Settings,
}

struct HostSource {
    setup: SourceSetup,
    collections: Receiver<Collection>,
    /// Ends the thread when it is dropped.
    _stop: Sender<()>,
    tag: Arc<str>,
    current: Option<Current>,
}

/// A collection that is being handed on.
struct Current {
    time: i64,
    points: std::vec::IntoIter<Point>,
    scopes: Vec<Arc<Scope>>,
    tracker: Arc<Tracker>,
    handed_on: u64,
}

/// What the thread needs.
struct Pump {
    collector: Collector,
    settings: Settings,
    to: SyncSender<Collection>,
    stop: Receiver<()>,
    waker: Waker,
    ledger: Arc<InputLedger>,
    once: bool,
}

// === impl HostMetrics ===

impl HostMetrics {
    pub(crate) fn new(settings: Settings) -> HostMetrics {
        HostMetrics { settings }
    }

    fn open(&self, setup: SourceSetup) -> Result<HostSource, StartError> {
        let nobody = Arc::new(Scope::new(Arc::new(Origin::new(setup.name.clone(), 0))));
        let tag = tag::render(&setup.tag, &nobody)?;
        let settings = self.settings.clone();
        if !settings.root.join("proc/stat").exists() {
            let root = settings.root.display();
            return Err(StartError(format!(
                "input `{}`: there is no proc/stat below `root` ({root}): mount the host's /proc at {root}/proc, and its /sys at \
                 {root}/sys",
                setup.name
            )));
        }
        let (to, collections) = sync_channel(1);
        let (stop, stopped) = channel();
        let pump = Pump {
            collector: Collector::new(setup.name.clone(), settings.clone(), setup.ledger.clone()),
            settings,
            to,
            stop: stopped,
            waker: setup.waker.clone(),
            ledger: setup.ledger.clone(),
            once: setup.once,
        };
        std::thread::Builder::new()
            .name(format!("host:{}", setup.name))
            .spawn(move || pump.run())
            .map_err(|error| StartError(format!("can't start a thread to collect on: {error}")))?;
        Ok(HostSource { setup, collections, _stop: stop, tag, current: None })
    }
}

impl Input for HostMetrics {
    fn source(&self, setup: SourceSetup) -> Result<Option<Box<dyn Source>>, StartError> {
        if setup.shard > 0 {
            return Ok(None);
        }
        Ok(Some(Box::new(self.open(setup)?)))
    }
}

// === impl Pump ===

impl Pump {
    fn run(mut self) {
        let waker = self.waker.clone();
        self.pump();
        // The end is told by the channel's: let go of it before the worker looks.
        drop(self);
        waker.wake();
    }

    fn pump(&mut self) {
        let mut due = Instant::now();
        loop {
            match self.to.try_send(self.collector.collect()) {
                Ok(()) => self.waker.wake(),
                Err(TrySendError::Full(collection)) => self.ledger.turned_away.add(NOT_TAKEN, collection.points.len()),
                Err(TrySendError::Disconnected(_)) => return,
            }
            if self.once {
                return;
            }
            // What was late, or asleep, is not made up for.
            due = (due + self.settings.interval).max(Instant::now());
            match self.stop.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

// === impl Current ===

impl Current {
    fn new(collection: Collection, setup: &SourceSetup) -> Current {
        let origin = Arc::new(Origin::new(setup.name.clone(), rand::random()));
        let scope = |resource| {
            let mut scope = Scope::new(origin.clone());
            scope.resource = resource;
            scope.scope = vec![
                ("name".to_owned(), Value::from("suiro/host_metrics")),
                ("version".to_owned(), Value::from(env!("CARGO_PKG_VERSION"))),
            ];
            Arc::new(scope)
        };
        let scopes = collection.resources.into_iter().map(scope).collect();
        let tracker = Tracker::new(origin.clone(), 0, setup.ledger.clone(), None);
        Current { time: collection.time, points: collection.points.into_iter(), scopes, tracker, handed_on: 0 }
    }

    /// The next batch, if there is one.
    fn next(&mut self, setup: &SourceSetup, tag: &Arc<str>) -> Option<Flow> {
        let first = self.points.as_slice().first()?;
        let mut batch = setup.pool.batch(tag.clone(), self.scopes[first.resource()].clone(), self.time);
        batch.signal = Signal::Metrics;
        let start = self.handed_on;
        while batch.len() < MAX_RECORDS
            && let Some(point) = self.points.next()
        {
            let at = self.handed_on;
            self.handed_on += 1;
            let Some(scope) = batch.try_add_scope(&self.scopes[point.resource()]) else { continue };
            // A batch of that size has room for them: nothing of it comes from outside but texts of some bytes.
            let Ok(root) = point.write(&mut batch) else { continue };
            let mut row = Row::new(root, self.time, at, at + 1);
            row.scope = scope;
            row.time_kind = TimeKind::Own;
            batch.rows.push(row);
        }
        setup.ledger.add_bytes(batch.heap().len() as u64);
        let receipt = self.tracker.open(start..self.handed_on, batch.len() as u64);
        Some(Flow::new(batch, Custody::from(receipt)))
    }
}

// === impl HostSource ===

impl Source for HostSource {
    fn poll(&mut self) -> Polled {
        loop {
            if let Some(current) = &mut self.current {
                if let Some(flow) = current.next(&self.setup, &self.tag) {
                    return Polled::Batch(flow);
                }
                self.current = None;
            }
            match self.collections.try_recv() {
                Ok(collection) => self.current = Some(Current::new(collection, &self.setup)),
                Err(TryRecvError::Empty) => return Polled::Idle { until: None },
                Err(TryRecvError::Disconnected) if self.setup.once => return Polled::Done,
                // The worker's way of opening a source anew, and of telling health.
                Err(TryRecvError::Disconnected) => panic!("the thread that collects ended"),
            }
        }
    }
}
