//! What an input is.
//!
//! An [`Input`] is a block of the configuration; a [`Source`] is what one worker reads of it. A source lives on one worker
//! thread and is only ever called there, so it needs no lock and its records keep their order. It never blocks: it
//! returns a batch, or says until when there is nothing, and has its [`Waker`] called when there is something sooner.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::decode::Decoder;
use crate::flow::Flow;
use crate::lang::Template;
use crate::ledger::InputLedger;
use crate::pool::Pool;

/// An input, as configured.
pub trait Input: Send + Sync {
    /// What worker `setup.shard` reads of it; `None` if that is nothing. An input with several things to read (files)
    /// shares them among all shards, always the same way; one with a single thing gives it to shard 0.
    fn source(&self, setup: SourceSetup) -> Result<Option<Box<dyn Source>>, StartError>;

    /// The template of its records' tags where the configuration has no `tag`; `None`: the input's name.
    fn default_tag(&self) -> Option<&'static str> {
        None
    }
}

/// What one worker reads.
pub trait Source: Send {
    /// The next batch, at most about 1 MiB, or why there is none. Called again at once after a batch.
    fn poll(&mut self) -> Polled;

    /// Saves positions where they changed, now. Called every second or so, and at the end.
    fn checkpoint(&mut self) -> Result<(), std::io::Error> {
        Ok(())
    }

    /// No more will be polled: let go of what is open. Positions can still be saved afterwards.
    fn stop(&mut self) {}

    /// Called behind [`Source::stop`] until there is nothing: what the source took and had not handed on, where nobody would
    /// send it again.
    fn finish(&mut self) -> Option<Flow> {
        None
    }

    /// How far it is, where an end can be known: for the progress of `run --once`.
    fn progress(&self) -> Progress {
        Progress::default()
    }
}

/// What a source answers.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one a batch, taken apart at once: a box would be an allocation for nothing"
)]
pub enum Polled {
    /// Records.
    Batch(Flow),
    /// Nothing until then, or until the waker is called.
    Idle {
        /// When to poll again in any case.
        until: Option<Instant>,
    },
    /// Everything is read and there will never be more.
    Done,
}

/// Bytes read of bytes there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Read so far.
    pub read: u64,
    /// Known so far; 0 if unknown.
    pub total: u64,
}

/// What a source gets at its start.
#[derive(Clone)]
pub struct SourceSetup {
    /// The input's name.
    pub name: Arc<str>,
    /// Which of the workers this is, from 0.
    pub shard: usize,
    /// How many workers there are.
    pub shards: usize,
    /// Where the agent keeps what must survive a restart. The input's own folder is made by it, below `checkpoints`.
    pub data_dir: PathBuf,
    /// The input's counts.
    pub ledger: Arc<InputLedger>,
    /// Makes records of lines.
    pub decoder: Arc<Decoder>,
    /// The tag, over the scope of a record: `app.{@file.name}`.
    pub tag: Arc<Template>,
    /// Batches to fill.
    pub pool: Arc<Pool>,
    /// Wakes the worker.
    pub waker: Waker,
    /// `run --once`: what is there is read to its end, then the source is done.
    pub once: bool,
}

/// Wakes the worker of a source from any thread.
#[derive(Clone)]
pub struct Waker(Arc<dyn Fn() + Send + Sync>);

/// Why a block can't start. The text names the setting and the fix.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub String);

// === impl SourceSetup ===

#[cfg(any(test, feature = "test-kit"))]
impl SourceSetup {
    /// For tests: that of the only worker of an input `in`, whose records have the tag that the template `tag` makes.
    ///
    /// # Panics
    ///
    /// If `tag` is no template.
    pub fn sample(tag: &str) -> Self {
        let ledger = Arc::<InputLedger>::default();
        SourceSetup {
            name: "in".into(),
            shard: 0,
            shards: 1,
            data_dir: "/nonexistent".into(),
            decoder: Arc::new(Decoder::new(None, crate::decode::OnParseError::Keep, false, ledger.clone())),
            ledger,
            tag: Arc::new(Template::parse(tag).expect("a template")),
            pool: Arc::default(),
            waker: Waker::new(|| {}),
            once: false,
        }
    }
}

// === impl Waker ===

impl Waker {
    /// A waker that calls `wake`, which must be cheap and must not block.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Waker(Arc::new(wake))
    }

    /// Wakes the worker.
    pub fn wake(&self) {
        (self.0)();
    }
}

impl std::fmt::Debug for Waker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waker")
    }
}
