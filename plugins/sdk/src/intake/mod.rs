//! From the network to a worker: the one bounded hand-over.
//!
//! An input that listens has a thread of its own with a tokio runtime on it. There requests are read and decoded into
//! batches; a worker takes them from here and runs them through filters into queues like those of any source. Between the
//! two stands an [`Intake`], bounded by bytes: who brings more is told to come again ([`Full`]).
//!
//! # Invariants
//!
//! 1. A request is *received*, in the ledger's sense, when a worker takes it. What is turned away before is counted beside
//!    the equation ([`Desk::turn_away`]), or not at all if its sender was told and sends it again.
//! 2. [`Room`] is taken before a body is read and given back when the worker has taken the last batch made of it: bodies,
//!    decoded batches and those that wait are one bound.
//! 3. A [`Ticket`] answers once *every* record of the request is in the queue of every output that takes it (durably, where
//!    that is a disk queue), or is answered for altogether: [`AckLevel`]. A request that is answered late, or not at all,
//!    was perhaps delivered: its sender sends it again, so it may be delivered twice, never lost.

mod last_call;
#[cfg(test)]
pub(crate) mod tests;
mod ticket;

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use suiro_record::{Batch, Scope, Signal, Source as Origin};
use tokio::sync::{Notify, watch};

use crate::flow::Flow;
use crate::health::panic_text;
use crate::input::{Polled, Source, SourceSetup, StartError, Waker};
use crate::ledger::{InputLedger, Reason};
use crate::pool::Pool;
use crate::tag;

pub use self::last_call::LastCall;
use self::ticket::Progress;
pub use self::ticket::{Ack, AckLevel, AckTimeout, Ticket};

/// How long [`Desk::room`] waits: long enough for a worker to catch its breath, short of any client's patience.
const PATIENCE: Duration = Duration::from_secs(1);

/// The hand-over of one input. See the module.
#[derive(Debug)]
pub struct Intake {
    max_bytes: usize,
    state: Mutex<State>,
    /// Somebody gave room back.
    room: Notify,
    stopping: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    arrivals: VecDeque<Arrival>,
    /// Bytes of all rooms.
    taken: usize,
    /// By shard: of a source that was opened anew, the new one.
    wakers: BTreeMap<usize, Waker>,
    stopped: bool,
    /// There is a network side.
    serving: bool,
    /// What the network side died of.
    died: Option<String>,
}

/// A request, decoded, until a worker takes it.
#[derive(Debug)]
struct Arrival {
    batches: VecDeque<Batch>,
    bytes: u64,
    progress: Arc<Progress>,
    #[expect(dead_code, reason = "held until the last batch is taken")]
    room: Room,
}

/// Bytes of memory somebody may use. Given back when it is dropped.
#[derive(Debug)]
pub struct Room {
    intake: Arc<Intake>,
    bytes: usize,
}

/// There is no room: the sender shall come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the agent has no room for more at the moment; send it again in {} s", self.retry_after().as_secs())]
pub struct Full;

/// The network side of an intake.
#[derive(Clone, Debug)]
pub struct Desk {
    intake: Arc<Intake>,
    name: Arc<str>,
    tag: Arc<str>,
    pool: Arc<Pool>,
    ledger: Arc<InputLedger>,
}

/// What a worker reads of an intake.
struct IntakeSource {
    intake: Arc<Intake>,
    ledger: Arc<InputLedger>,
    /// Its shard opens the network side.
    opens: bool,
    once: bool,
    /// The request of which batches are being handed on.
    current: Option<Arrival>,
}

// === impl Intake ===

impl Intake {
    /// An intake for `max_bytes` of requests.
    pub fn new(max_bytes: usize) -> Arc<Self> {
        Arc::new(Intake {
            max_bytes,
            state: Mutex::default(),
            room: Notify::new(),
            stopping: watch::Sender::new(false),
        })
    }

    /// What a worker reads: the answer of [`Input::source`](crate::Input::source), for every shard.
    pub fn source(self: &Arc<Self>, setup: &SourceSetup) -> Box<dyn Source> {
        self.state().wakers.insert(setup.shard, setup.waker.clone());
        Box::new(IntakeSource {
            intake: self.clone(),
            ledger: setup.ledger.clone(),
            opens: setup.shard == 0,
            once: setup.once,
            current: None,
        })
    }

    /// The network side, for the shard that is to open it; `None` for the others, where it is open already (the worker
    /// died, and it did not), and with `run --once`: what comes from others has no end to be read to.
    pub fn desk(self: &Arc<Self>, setup: &SourceSetup) -> Result<Option<Desk>, StartError> {
        self.desk_of(setup, Scope::new(Arc::new(Origin::new(setup.name.clone(), 0))))
    }

    /// The same for an input whose senders say more of their records: `scope` is an example of what is known before one
    /// is read. Such an input makes tags itself ([`Desk::tagged`]).
    pub fn desk_of(self: &Arc<Self>, setup: &SourceSetup, scope: Scope) -> Result<Option<Desk>, StartError> {
        if setup.shard != 0 {
            return Ok(None);
        }
        if setup.once {
            tracing::warn!(input = %setup.name, "with --once nothing is listened to: this input reads nothing");
            return Ok(None);
        }
        let tag = tag::render(&setup.tag, &Arc::new(scope))?;
        let mut state = self.state();
        if state.serving {
            return Ok(None);
        }
        state.died = None;
        state.stopped = false;
        drop(state);
        self.stopping.send_replace(false);
        Ok(Some(Desk {
            intake: self.clone(),
            name: setup.name.clone(),
            tag,
            pool: setup.pool.clone(),
            ledger: setup.ledger.clone(),
        }))
    }

    fn take_room(self: &Arc<Self>, bytes: usize) -> Result<Room, Full> {
        let mut state = self.state();
        // One that is larger than all is taken alone: there is no other way to take it.
        if state.stopped || (state.taken > 0 && state.taken.saturating_add(bytes) > self.max_bytes) {
            return Err(Full);
        }
        state.taken += bytes;
        drop(state);
        Ok(Room { intake: self.clone(), bytes })
    }

    /// The agent stops: what no worker has taken is not taken any more.
    fn stop(&self) {
        let mut state = self.state();
        state.stopped = true;
        let left = std::mem::take(&mut state.arrivals);
        drop(state);
        left.iter().for_each(Arrival::give_up);
        self.stopping.send_replace(true);
    }

    fn wake(&self) {
        let wakers = self.state().wakers.clone();
        wakers.values().for_each(Waker::wake);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Arrival ===

impl Arrival {
    fn give_up(&self) {
        self.progress.give_up();
    }
}

// === impl Room ===

impl Room {
    /// Takes more, or less, than was asked for at first: a body turned out to be larger. `Full` leaves it as it was.
    pub fn resize(&mut self, bytes: usize) -> Result<(), Full> {
        let mut state = self.intake.state();
        let others = state.taken - self.bytes;
        if bytes > self.bytes && others > 0 && others.saturating_add(bytes) > self.intake.max_bytes {
            return Err(Full);
        }
        state.taken = others + bytes;
        let shrunk = bytes < self.bytes;
        self.bytes = bytes;
        drop(state);
        if shrunk {
            self.intake.room.notify_waiters();
        }
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.intake.state().taken -= self.bytes;
        self.intake.room.notify_waiters();
    }
}

// === impl Full ===

impl Full {
    /// What the sender is told: when to come again.
    pub fn retry_after(self) -> Duration {
        Duration::from_secs(1)
    }
}

// === impl Desk ===

impl Desk {
    /// The input's name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Runs `serve` on a thread of the input's own, inside a tokio runtime with one thread. If it panics, the input is
    /// opened anew, and health says so.
    pub fn spawn<F>(&self, serve: impl FnOnce(Desk) -> F + Send + 'static) -> Result<(), StartError>
    where
        F: Future<Output = ()>,
    {
        let desk = self.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| StartError(format!("can't start the input's runtime: {error}")))?;
        let intake = desk.intake.clone();
        let run = move || {
            let intake = desk.intake.clone();
            let served = std::panic::AssertUnwindSafe(|| runtime.block_on(serve(desk)));
            let served = std::panic::catch_unwind(served);
            // With it go connections and sockets: who opens it anew finds the port free.
            drop(runtime);
            intake.state().serving = false;
            let why = match served {
                Ok(()) if *intake.stopping.borrow() => return,
                Ok(()) => "it ended by itself".to_owned(),
                Err(panic) => panic_text(&*panic),
            };
            intake.state().died = Some(why);
            intake.wake();
        };
        intake.state().serving = true;
        std::thread::Builder::new().name(format!("in:{}", self.name)).spawn(run).map(drop).map_err(|error| {
            intake.state().serving = false;
            StartError(format!("can't start the input's thread: {error}"))
        })
    }

    /// Completes when the agent stops: accept nothing new. What was handed over is answered as it is delivered.
    pub fn stopping(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let mut stopping = self.intake.stopping.subscribe();
        async move {
            // An error would mean that the intake is gone, and with it everybody to serve.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        }
    }

    /// Whether the agent stops, and nothing is taken any more.
    pub fn is_stopping(&self) -> bool {
        *self.intake.stopping.borrow()
    }

    /// A new incarnation: one per request, connection, or burst of datagrams.
    pub fn origin(&self) -> Arc<Origin> {
        Arc::new(Origin::new(self.name.clone(), rand::random()))
    }

    /// An empty batch of that signal, read now.
    pub fn batch(&self, scope: Arc<Scope>, signal: Signal) -> Batch {
        self.tagged(self.tag.clone(), scope, signal)
    }

    /// The same of another tag: for inputs whose senders name one.
    pub fn tagged(&self, tag: Arc<str>, scope: Arc<Scope>, signal: Signal) -> Batch {
        let mut batch = self.pool.batch(tag, scope, crate::time::now());
        batch.signal = signal;
        batch
    }

    /// Room for `bytes`; waits a second for it.
    pub async fn room(&self, bytes: usize) -> Result<Room, Full> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let freed = self.intake.room.notified();
            tokio::pin!(freed);
            // Listen first, look then: what is freed in between is not missed.
            freed.as_mut().enable();
            if let Ok(room) = self.intake.take_room(bytes) {
                return Ok(room);
            }
            if *self.intake.stopping.borrow() || tokio::time::timeout_at(deadline, freed).await.is_err() {
                return Err(Full);
            }
        }
    }

    /// Room for `bytes`, now or not at all: for those who can't be told to come again.
    pub fn try_room(&self, bytes: usize) -> Result<Room, Full> {
        self.intake.take_room(bytes)
    }

    /// Hands over the batches of one request, all of one origin, made of `bytes`. Empty ones are left out.
    pub fn submit(&self, room: Room, batches: Vec<Batch>, bytes: u64) -> Ticket {
        let batches: VecDeque<Batch> = batches.into_iter().filter(|batch| !batch.is_empty()).collect();
        let origin = batches.front().map_or_else(|| self.origin(), |batch| batch.scopes()[0].source.clone());
        let progress = Progress::new(origin, self.ledger.clone(), batches.len());
        if batches.is_empty() {
            return Ticket(progress);
        }
        let arrival = Arrival { batches, bytes, progress: progress.clone(), room };
        let mut state = self.intake.state();
        if state.stopped {
            drop(state);
            arrival.give_up();
        } else {
            state.arrivals.push_back(arrival);
            drop(state);
            self.intake.wake();
        }
        Ticket(progress)
    }

    /// Counts what did not come in: `n` records, or datagrams nobody could make records of.
    pub fn turn_away(&self, reason: Reason, n: usize) {
        self.ledger.turned_away.add(reason, n);
    }
}

// === impl IntakeSource ===

impl Source for IntakeSource {
    fn poll(&mut self) -> Polled {
        if self.once {
            return Polled::Done;
        }
        if self.current.is_none() {
            let mut state = self.intake.state();
            self.current = state.arrivals.pop_front();
            match &self.current {
                Some(arrival) => self.ledger.add_bytes(arrival.bytes),
                // What was handed over before is taken first: nobody may send it again.
                None if self.opens => {
                    if let Some(why) = state.died.take() {
                        drop(state);
                        // The worker's way of opening a source anew, and of telling health.
                        panic!("its network side died: {why}");
                    }
                }
                None => {}
            }
        }
        let Some(arrival) = &mut self.current else { return Polled::Idle { until: None } };
        let Some(batch) = arrival.batches.pop_front() else {
            self.current = None;
            return Polled::Idle { until: Some(std::time::Instant::now()) };
        };
        let start = batch.rows.iter().map(|row| row.start).min().unwrap_or(0);
        let end = batch.rows.iter().map(|row| row.end).max().unwrap_or(0);
        let receipt = arrival.progress.open(start..end, batch.len() as u64);
        if arrival.batches.is_empty() {
            self.current = None;
        }
        Polled::Batch(Flow::new(batch, receipt))
    }

    fn stop(&mut self) {
        if let Some(arrival) = self.current.take() {
            arrival.give_up();
        }
        self.intake.stop();
    }
}

impl Drop for IntakeSource {
    fn drop(&mut self) {
        // A worker that lost it opens it anew; whoever waits for what it had not handed on is told to send it again.
        if let Some(arrival) = self.current.take() {
            arrival.give_up();
        }
    }
}
