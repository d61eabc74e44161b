//! The pipeline: from what is to be run ([`Plan`]) to threads that run it.
//!
//! ```text
//!             worker threads                          output threads
//!  source -> its filters -> common filters -> router -> queue -> driver -> plugin
//!                                                 \-> queue -> driver -> plugin
//! ```
//!
//! A batch runs from its source to the queues on one worker, without a queue, a copy or a lock between. Each output has a
//! thread. Threads are told what to do through [`Control`], and what happens is told to the agent as [`Event`]s.
//!
//! Shutdown has an order: sources stop, filters let go, queues are closed and drain, then positions are saved. What did
//! not drain in time was not settled, and is read again at the next start.

mod books;
mod chain;
mod control;
mod health;
mod plan;
mod router;
mod shared;
mod worker;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use suiro_sdk::StartError;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::time::Instant;

pub use books::{Books, Ledger};
pub use control::{Control, Event, Phase};
pub use health::Health;
pub use plan::{FilterPlan, InputPlan, OutputPlan, Plan, read_signals};
pub use shared::Shared;
pub use suiro_sdk::health::panic_text;

use crate::output::{Driver, DriverSetup};
use worker::Worker;

/// A pipeline that runs.
pub struct Pipeline {
    shared: Arc<Shared>,
    events: UnboundedReceiver<Event>,
    abort: watch::Sender<bool>,
    workers: usize,
    outputs: usize,
    seen: Seen,
}

/// What threads have told, each by its number.
#[derive(Debug, Default)]
struct Seen {
    exhausted: BTreeSet<usize>,
    flushed: BTreeSet<usize>,
    outputs: BTreeSet<usize>,
    workers: BTreeSet<usize>,
}

/// Why there is nothing more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exhausted {
    /// All is read, and there will never be more.
    Read,
    /// An output's thread has ended, which it never should.
    OutputLost,
}

/// How a pipeline ended.
#[derive(Clone, Debug)]
pub struct Ending {
    /// The ledger at the end.
    pub ledger: Ledger,
    /// Whether everything drained in time.
    pub drained: bool,
}

// === impl Pipeline ===

impl Pipeline {
    /// Starts all threads. An error says what could not start; then nothing runs.
    pub fn start(plan: Plan, once: bool) -> Result<Pipeline, StartError> {
        let (shared, drivers, events) = Shared::build(plan, once)?;
        let (abort, _) = watch::channel(false);
        let pipeline = Pipeline {
            workers: shared.workers,
            outputs: drivers.len(),
            shared: shared.clone(),
            events,
            abort,
            seen: Seen::default(),
        };
        let started = pipeline.start_outputs(drivers).and_then(|()| pipeline.start_workers());
        if let Err(error) = started {
            pipeline.abort.send_replace(true);
            shared.control.set_phase(Phase::Finishing);
            shared.queues.iter().for_each(|queue| queue.close());
            return Err(error);
        }
        Ok(pipeline)
    }

    /// What all threads share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Completes when there is nothing to read any more, ever.
    ///
    /// Also when an output's thread has ended: what it was to deliver can't be, and an agent that runs without
    /// forwarding is the worst of both.
    pub async fn exhausted(&mut self) -> Exhausted {
        loop {
            if !self.seen.outputs.is_empty() {
                return Exhausted::OutputLost;
            }
            if self.seen.exhausted.len() == self.workers {
                return Exhausted::Read;
            }
            let event = self.events.recv().await;
            self.seen.note(event);
        }
    }

    /// Ends it in order. Until the deadline, if there is one (it may be set later), everything is delivered that can be.
    pub async fn stop(mut self, deadline: watch::Receiver<Option<Instant>>) -> Ending {
        let control = self.shared.control.clone();
        control.set_phase(Phase::Flushing);
        let (workers, outputs) = (self.workers, self.outputs);
        // With an output gone, what is meant for it never finds room.
        let flushed = |seen: &Seen| seen.flushed.len() == workers || !seen.outputs.is_empty();
        self.wait_until(&deadline, flushed).await;
        let mut drained = self.seen.flushed.len() == workers;
        self.shared.queues.iter().for_each(|queue| queue.close());
        self.wait_until(&deadline, |seen| seen.outputs.len() == outputs).await;
        drained &= self.seen.outputs.len() == outputs;
        self.abort.send_replace(true);
        // An answer that is being booked is settled before positions are saved.
        self.wait_until(&within(Duration::from_secs(1)), |seen| seen.outputs.len() == outputs).await;
        // Before positions are saved for the last time: what is made durable now is settled.
        // All at once: a file system that does not answer is waited for once.
        std::thread::scope(|scope| {
            for queue in &self.shared.queues {
                let finish = std::thread::Builder::new().spawn_scoped(scope, || queue.finish());
                if finish.is_err() {
                    queue.finish();
                }
            }
        });
        control.set_phase(Phase::Finishing);
        self.wait_until(&within(Duration::from_secs(5)), |seen| seen.workers.len() == workers).await;
        Ending { ledger: self.shared.books.snapshot(), drained }
    }

    /// Until `reached`, or the deadline.
    async fn wait_until(&mut self, deadline: &watch::Receiver<Option<Instant>>, reached: impl Fn(&Seen) -> bool) {
        let mut deadline = deadline.clone();
        while !reached(&self.seen) {
            let until = *deadline.borrow_and_update();
            tokio::select! {
                event = self.events.recv() => self.seen.note(event),
                Ok(()) = deadline.changed() => {}
                () = sleep_until(until), if until.is_some() => return,
            }
        }
    }

    fn start_outputs(&self, drivers: Vec<DriverSetup>) -> Result<(), StartError> {
        let (tell, heard) = mpsc::channel();
        let count = drivers.len();
        for (at, mut setup) in drivers.into_iter().enumerate() {
            setup.abort = self.abort.subscribe();
            let name = setup.name.clone();
            let (control, health, tell) = (self.shared.control.clone(), self.shared.health.clone(), tell.clone());
            spawn(&format!("out:{name}"), move || {
                let run = AssertUnwindSafe(|| Driver::new(setup).run(|result| drop(tell.send(result))));
                if let Err(panic) = catch_unwind(run) {
                    let what = panic_text(&*panic);
                    tracing::error!(output = %name, "the output's thread ended: {what}; its records stay with their sources");
                    health.panicked(&name, &what);
                }
                control.tell(Event::OutputEnded(at));
            })?;
        }
        drop(tell);
        await_starts(&heard, count)
    }

    fn start_workers(&self) -> Result<(), StartError> {
        let (tell, heard) = mpsc::channel();
        for shard in 0..self.workers {
            let (shared, tell) = (self.shared.clone(), tell.clone());
            spawn(&format!("worker:{shard}"), move || {
                let mut tell = Some(tell);
                // A worker that dies is started anew: its sources resume from what is settled.
                while shared.control.phase() != Phase::Finishing {
                    let work = AssertUnwindSafe(|| match Worker::start(shared.clone(), shard) {
                        Ok(mut worker) => {
                            tell.take().into_iter().for_each(|tell| drop(tell.send(Ok(()))));
                            worker.run();
                            true
                        }
                        Err(error) => {
                            let text = error.to_string();
                            match tell.take() {
                                Some(tell) => {
                                    drop(tell.send(Err(error)));
                                    true
                                }
                                None => {
                                    shared.health.degraded(&format!("worker:{shard}"), &text);
                                    false
                                }
                            }
                        }
                    });
                    match catch_unwind(work) {
                        Ok(true) => break,
                        Ok(false) => {}
                        Err(panic) => {
                            let what = panic_text(&*panic);
                            tracing::error!(worker = shard, "the worker panicked: {what}; it starts anew");
                            shared.health.panicked(&format!("worker:{shard}"), &what);
                            if let Some(tell) = tell.take() {
                                let why = format!("worker {shard} panicked while it started: {what}");
                                drop(tell.send(Err(StartError(why))));
                                break;
                            }
                        }
                    }
                    std::thread::sleep(Duration::from_secs(1));
                }
                shared.control.tell(Event::WorkerEnded(shard));
            })?;
        }
        drop(tell);
        await_starts(&heard, self.workers)
    }
}

// === impl Seen ===

impl Seen {
    /// Notes an event. There is always a sender, in `Shared`; `None` can't be.
    fn note(&mut self, event: Option<Event>) {
        match event {
            Some(Event::Exhausted(worker)) => self.exhausted.insert(worker),
            Some(Event::Flushed(worker)) => self.flushed.insert(worker),
            Some(Event::OutputEnded(output)) => self.outputs.insert(output),
            Some(Event::WorkerEnded(worker)) => self.workers.insert(worker),
            None => false,
        };
    }
}

/// A deadline that is set from the start.
fn within(time: Duration) -> watch::Receiver<Option<Instant>> {
    watch::channel(Some(Instant::now() + time)).1
}

async fn sleep_until(until: Option<Instant>) {
    if let Some(until) = until {
        tokio::time::sleep_until(until).await;
    }
}

fn await_starts(heard: &mpsc::Receiver<Result<(), StartError>>, count: usize) -> Result<(), StartError> {
    (0..count).try_for_each(|_| match heard.recv() {
        Ok(result) => result,
        Err(_) => Err(StartError("a thread ended while it started; the log says why".to_owned())),
    })
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), StartError> {
    // Linux shows 15 characters of a thread's name.
    let short: String = name.chars().take(15).collect();
    std::thread::Builder::new()
        .name(short)
        .spawn(body)
        .map(drop)
        .map_err(|error| StartError(format!("no thread to be had for {name}: {error}")))
}
