//! The loop of an output, on its own thread.
//!
//! Deliveries are formed while others are under way, at most `concurrency` at once. A request that failed as a whole holds
//! the others back until it is due again: a server in trouble gets one question at a time, not a queue of them. Records
//! that were refused with "later" wait by themselves; the rest goes on.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use suiro_sdk::ledger::{add, read};
use suiro_sdk::{Limits, Outcome, Output, OutputLedger, OutputSetup, StartError, killpoint};
use tokio::sync::watch;

use super::backoff::{self, Concurrency};
use super::dead_letter::DeadLetter;
use super::former::{Formed, Former};
use super::settings::RetrySettings;
use super::verdicts::{Books, Rest};
use crate::pipeline::Health;
use crate::queue::Queue;

/// Deliveries formed ahead of those under way.
const AHEAD: usize = 1;
/// From so many attempts on, of one delivery or with none in between that went well, health shows it.
const WORRYING: u32 = 5;

/// What a driver needs.
pub struct DriverSetup {
    /// The output's name.
    pub name: Arc<str>,
    /// Its plugin.
    pub output: Box<dyn Output>,
    /// Where its records wait.
    pub queue: Arc<dyn Queue>,
    /// Bounds of a delivery.
    pub limits: Limits,
    /// When to try again.
    pub retry: RetrySettings,
    /// Requests at once, at most.
    pub concurrency: usize,
    /// One request at a time, and nothing overtakes a failed one.
    pub ordered: bool,
    /// Its counts.
    pub ledger: Arc<OutputLedger>,
    /// Where refused records go.
    pub dead_letter: Arc<DeadLetter>,
    /// Where trouble is shown.
    pub health: Arc<Health>,
    /// For the plugin's start.
    pub setup: OutputSetup,
    /// Becomes true when there is no more time: what is under way is given up, and stays with its source.
    pub abort: watch::Receiver<bool>,
}

/// Drives an output.
pub struct Driver {
    setup: DriverSetup,
    former: Former,
    /// Formed, not started.
    ready: VecDeque<Formed>,
    /// To be tried again, each at its time.
    delayed: Vec<(Instant, Formed)>,
    /// Nothing is started before.
    held_until: Option<Instant>,
    concurrency: Concurrency,
}

// === impl Driver ===

impl Driver {
    /// A driver that has not started.
    pub fn new(setup: DriverSetup) -> Self {
        let concurrency = if setup.ordered { 1 } else { setup.concurrency };
        Driver {
            former: Former::new(setup.limits),
            ready: VecDeque::new(),
            delayed: Vec::new(),
            held_until: None,
            concurrency: Concurrency::new(concurrency),
            setup,
        }
    }

    /// Delivers until the queue is closed and empty, or there is no more time. `started` hears how the start went.
    pub fn run(mut self, started: impl FnOnce(Result<(), StartError>)) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                let name = &self.setup.name;
                return started(Err(StartError(format!("output `{name}`: no event loop to be had: {error}"))));
            }
        };
        runtime.block_on(async {
            let result = self.setup.output.start(&self.setup.setup);
            let failed = result.is_err();
            started(result);
            if !failed {
                self.drive().await;
                self.setup.output.close().await;
            }
        });
    }

    async fn drive(&mut self) {
        let Driver { setup, former, ready, delayed, held_until, concurrency } = self;
        let books = Books {
            ledger: &setup.ledger,
            dead_letter: &setup.dead_letter,
            queue: &*setup.queue,
            max_attempts: setup.retry.max_attempts,
            apart: setup.output.is_apart(),
        };
        let output = &*setup.output;
        let ledger = &setup.ledger;
        let attempt = async |formed: Formed| {
            add(&ledger.requests, 1);
            killpoint::pass("output.send");
            // The call itself inside: an output that blocks does its work there.
            let outcome = AssertUnwindSafe(async { output.deliver(&formed.delivery).await }).catch_unwind().await;
            killpoint::pass("output.answered");
            (formed, outcome)
        };
        let mut under_way = FuturesUnordered::new();
        let mut abort = setup.abort.clone();
        let mut complete = Vec::new();
        // Attempts in a row with which nobody took anything.
        let mut failing = 0_u32;
        loop {
            let now = Instant::now();
            if held_until.is_some_and(|until| until <= now) {
                *held_until = None;
            }
            // One wake-up stands for any number of parts: take what can be started, and one more.
            let room = if held_until.is_some() { 0 } else { concurrency.limit().saturating_sub(under_way.len()) };
            while ready.len() < AHEAD + room
                && let Some(queued) = setup.queue.pop()
            {
                former.add(queued, now, &mut complete);
                ready.extend(complete.drain(..));
            }
            let finished = setup.queue.is_finished();
            // What is collected is memory. Where it alone keeps the queue from giving more, waiting would fill nothing.
            let idle = ready.is_empty() && delayed.is_empty() && under_way.is_empty();
            let held_up = idle && former.due().is_some() && setup.queue.is_held_up();
            if finished || held_up || former.due().is_some_and(|due| due <= now) {
                ready.extend(former.take());
            }
            while under_way.len() < concurrency.limit() && held_until.is_none() {
                let due = delayed.iter().position(|(due, _)| *due <= now);
                let next = match due {
                    Some(at) => Some(delayed.remove(at).1),
                    None if setup.ordered && !delayed.is_empty() => None,
                    None => ready.pop_front(),
                };
                let Some(formed) = next else { break };
                under_way.push(attempt(formed));
            }
            if finished && ready.is_empty() && delayed.is_empty() && under_way.is_empty() {
                return;
            }
            let wake = [held_until.as_ref(), former.due().as_ref()]
                .into_iter()
                .flatten()
                .chain(delayed.iter().map(|(due, _)| due))
                .filter(|due| **due > now)
                .min()
                .copied();
            tokio::select! {
                biased;
                _ = abort.wait_for(|abort| *abort) => return,
                Some((formed, outcome)) = under_way.next(), if !under_way.is_empty() => {
                    let rest = match outcome {
                        Ok(outcome) => {
                            let well = matches!(outcome, Outcome::Delivered);
                            let rest = books.close(formed, outcome);
                            killpoint::pass("output.settled");
                            if well || rest.again.is_none() && !rest.overwhelmed {
                                concurrency.went_well();
                                // One place may be well where another has not been for long.
                                if !delayed.iter().any(|(_, formed)| formed.attempts >= WORRYING) {
                                    setup.health.ok(&setup.name);
                                }
                            }
                            rest
                        }
                        Err(panic) => {
                            let what = crate::pipeline::panic_text(&*panic);
                            tracing::error!(output = %setup.name, "the plugin panicked: {what}; its records are in the dead letter");
                            setup.health.panicked(&setup.name, &what);
                            books.panicked(formed, &what);
                            Rest::default()
                        }
                    };
                    if rest.overwhelmed {
                        failing += 1;
                        concurrency.overwhelmed();
                    } else {
                        failing = 0;
                    }
                    if let Some(why) = &rest.degraded {
                        setup.health.degraded(&setup.name, why);
                    }
                    for piece in rest.pieces.into_iter().rev() {
                        ready.push_front(piece);
                    }
                    if let Some((formed, why)) = rest.again {
                        let wait = backoff::wait(&setup.retry, formed.attempts, rest.after);
                        log_retry(&setup.name, &why, wait, &formed, ledger);
                        if formed.attempts.max(failing) >= WORRYING {
                            setup.health.degraded(&setup.name, &why);
                        }
                        let due = Instant::now() + wait;
                        if rest.overwhelmed {
                            *held_until = Some(held_until.map_or(due, |until| until.max(due)));
                        }
                        delayed.push((due, formed));
                    }
                }
                () = setup.queue.ready(), if ready.len() < AHEAD && !finished => {}
                () = sleep_until(wake), if wake.is_some() => {}
            }
        }
    }
}

async fn sleep_until(wake: Option<Instant>) {
    if let Some(wake) = wake {
        tokio::time::sleep_until(wake.into()).await;
    }
}

/// The first failures are news, the hundredth is not.
fn log_retry(name: &str, why: &str, wait: Duration, formed: &Formed, ledger: &OutputLedger) {
    let records = formed.delivery.len();
    if formed.attempts <= 3 || formed.attempts.is_multiple_of(20) {
        tracing::warn!(
            output = %name,
            attempt = formed.attempts,
            records,
            in_flight = read(&ledger.in_flight),
            "not delivered: {why}; trying again in {:.1} s",
            wait.as_secs_f64()
        );
    }
}
