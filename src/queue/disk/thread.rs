//! The writer's thread, and how it is woken and ended.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::shared::Core;
use super::writer::Writer;
use crate::pipeline::panic_text;

/// How long the end waits for a file system that does not answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Wakes the writer. It may be rung from anywhere, any number of times.
#[derive(Debug, Default)]
pub(super) struct Bell {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    rung: bool,
    finish: bool,
    ended: bool,
}

/// The thread, for as long as somebody holds this.
#[derive(Debug)]
pub(super) struct WriterThread {
    bell: Arc<Bell>,
}

// === impl Bell ===

impl Bell {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There is something to do.
    pub(super) fn ring(&self) {
        let mut state = self.state();
        if !state.rung {
            state.rung = true;
            self.changed.notify_all();
        }
    }

    /// Waits for it, or for `until`. Says whether it is time to finish.
    fn wait(&self, until: Option<Instant>) -> bool {
        let mut state = self.state();
        while !state.rung && !state.finish {
            let Some(until) = until else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.rung = false;
        state.finish
    }
}

// === impl WriterThread ===

impl WriterThread {
    pub(super) fn start(core: Arc<Core>, mut writer: Writer) -> io::Result<Self> {
        let bell = core.bell.clone();
        // Linux shows 15 characters of a thread's name.
        let name: String = format!("queue:{}", core.setup.name).chars().take(15).collect();
        std::thread::Builder::new().name(name).spawn(move || {
            run(&core, &mut writer);
            // The folder's lock goes with the last who holds the core.
            let bell = core.bell.clone();
            drop((writer, core));
            bell.state().ended = true;
            bell.changed.notify_all();
        })?;
        Ok(WriterThread { bell })
    }

    /// Ends it: what is staged is made durable if that is possible, and so is the state.
    pub(super) fn finish(&self) {
        let mut state = self.bell.state();
        state.finish = true;
        self.bell.changed.notify_all();
        let until = Instant::now() + PATIENCE;
        while !state.ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                tracing::error!("a disk queue does not come to an end: its file system does not answer");
                return;
            }
            state = self.bell.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        self.finish();
    }
}

fn run(core: &Core, writer: &mut Writer) {
    loop {
        let now = Instant::now();
        let until = catch_unwind(AssertUnwindSafe(|| writer.turn(now))).unwrap_or_else(|panic| {
            let what = panic_text(&*panic);
            core.setup.health.panicked(&core.block(), &what);
            writer.trouble(&format!("its writer panicked: {what}"), now);
            Some(now + Duration::from_secs(1))
        });
        if core.bell.wait(until) {
            break;
        }
    }
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| writer.finish())) {
        tracing::error!(output = %core.setup.name, "the queue's writer panicked at the end: {}", panic_text(&*panic));
    }
}
