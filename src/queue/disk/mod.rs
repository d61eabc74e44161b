//! The queue on disk: what it took survives the process, and with `fsync` the machine.
//!
//! # Constraints
//!
//! 1. A record is acknowledged (its source's receipt is settled) only when it is durable, and from then on it is delivered,
//!    dropped for a counted reason, or still here. Duplicates after a crash are allowed, losses are not.
//! 2. Memory is bounded, whatever the size on disk: half of the output's share for what is not written yet, half for what
//!    was read back and is under way.
//! 3. Disk space is bounded by `queue.max_size`.
//! 4. A start costs the same for an empty and a full queue: files are listed, none is read.
//! 5. No content of a file, and no answer of the file system, may end the process, stop the output for good or, worse, do
//!    so again at every start.
//!
//! # On disk
//!
//! A folder `data_dir/queue/<output>`, for the agent's user alone:
//!
//! | file | content |
//! | --- | --- |
//! | `<16 hex digits>.seg` | a segment: frames one behind the other ([`frame`]), each with a part's records as text ([`encode`]) |
//! | `state` | how far everything is settled ([`state`]) |
//! | `lock` | locked while an agent uses the folder |
//! | `<name>.seg.corrupt`, `quarantine` | what was damaged ([`quarantine`]) |
//!
//! A *position* is a byte count over all frames ever written, segment headers left out. A segment is named for the position
//! of its first frame, so positions never repeat and the state is one number: the *mark*, below which all is settled, and
//! a few settled ranges above it. There may be gaps between segments; nothing is in them.
//!
//! # Who does what
//!
//! ```text
//! worker --push--> staged parts --writer thread--> frames --write--> --fsync--> published --pop--> driver
//!                                      ^                                |                           |
//!                                      |                                settles the source's receipt |
//!                                      +------- state, unlink <--- the queue's own receipt settles <-+
//! ```
//!
//! The [writer](writer) alone writes, and removes, files; what it does about [space](space) is apart. The [reader](reader) is the output's driver; it sees only
//! *published* frames: durable ones, or with `fsync = "never"` written ones. What both need to know of each other is in
//! the [book](book), behind one lock that is never held over I/O.
//!
//! To its driver the queue is a source of its own: a [`Tracker`] over positions. A popped frame opens a receipt for its
//! range, and the persisted mark is the tracker's. The records keep their own origins, so an id made of one is the same
//! whether it waited in memory or here.
//!
//! # Invariants
//!
//! 1. Frames are published, and receipts of sources settled, in the order of their positions.
//! 2. The pointer first, then the unlink: a segment is removed only when the state that says it is settled is durable. A
//!    crash between the two leaves a segment below the mark, which the next start removes.
//! 3. A segment is written by one run of the agent, without a failure. After any error the file is cut back to what is
//!    published, given up, and what was not published is written again to a new one: after a failed fsync nobody knows
//!    what of the file is on the disk, and asking a second time would be answered "all of it".
//! 4. A new segment starts above everything that was ever written or settled.
//!
//! # Recovery
//!
//! Reading is where damage is found, frame by frame, long after the start:
//!
//! - A file that ends in the middle of a frame was being written when the agent was killed. Nobody was told that these
//!   records are safe, so they are not lost: their source reads them again. Logged, not counted.
//! - A frame whose payload does not match its checksum is put in quarantine; its prefix still says how many records it
//!   had, and they are counted as dropped, `corrupt`.
//! - A frame whose prefix does not match either says nothing, and neither does what follows: the segment is kept aside
//!   as `.corrupt` when the frames before are settled, and reading goes on with the next one. Logged with its bytes;
//!   counted where this run wrote it and so knows what was in it.
//!
//! `recovered` counts records of earlier runs when they are read, not at the start, for the sake of constraint 4. At any
//! moment `routed + recovered = delivered + dropped + dead_lettered + in_flight`.
//!
//! # Shutdown
//!
//! After [`close`](Queue::close) staged parts are made durable at once and the driver goes on delivering; the queue is
//! finished when nothing is left to read. With an output that does not answer that is never, so who stops a pipeline sets
//! a deadline; what is left stays on disk. [`finish`](Queue::finish) then makes the last state durable.
//!
//! # Missing
//!
//! Compression, and handing a batch that has just been written to the driver without reading it back.

mod book;
mod decode;
mod encode;
mod frame;
mod fs;
mod quarantine;
mod reader;
mod shared;
mod space;
mod state;
mod thread;
mod writer;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use suiro_record::{Batch, Source};
use suiro_sdk::{InputLedger, Part, Pool, Position, Tracker};
use tokio::sync::Notify;

use super::{Queue, QueueSetup, Queued};
use crate::pipeline::Health;
use book::{Book, Segment};
use fs::{Folder, Fs};
use quarantine::Quarantine;
use shared::Core;
use state::StateFile;
use thread::{Bell, WriterThread};
use writer::Writer;

/// Bounds of a segment's size, bytes; in between it is a sixteenth of the queue.
const SEGMENT_MIN: u64 = 4 << 10;
const SEGMENT_MAX: u64 = 128 << 20;

/// When what was written is made durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fsync {
    /// Within 50 ms, and sooner when much is waiting.
    #[default]
    Interval,
    /// After every write; what came meanwhile is written, and made durable, together.
    Batch,
    /// When the system likes: a crash of the agent loses nothing, a crash of the machine may.
    Never,
}

/// What a queue on disk needs to know.
#[derive(Debug)]
pub struct DiskSetup {
    /// What every queue needs to know. `max_bytes` is the memory it may use.
    pub queue: QueueSetup,
    /// The output's name.
    pub name: Arc<str>,
    /// The queue's own folder.
    pub folder: PathBuf,
    /// Bound of the segments on disk, bytes. A single part larger than that is taken when the queue is empty.
    pub max_size: u64,
    /// When it is durable.
    pub fsync: Fsync,
    /// Batches to fill.
    pub pool: Arc<Pool>,
    /// Where trouble is shown.
    pub health: Arc<Health>,
}

/// Why a queue can't be opened.
#[derive(Debug, thiserror::Error)]
#[error("output `{name}`: {what}")]
pub struct DiskQueueError {
    name: Arc<str>,
    what: String,
}

/// See the module.
pub struct DiskQueue {
    core: Arc<Core>,
    thread: WriterThread,
}

// === impl DiskQueue ===

impl DiskQueue {
    /// Opens the queue, takes the folder's lock and starts the writer's thread.
    pub fn open(setup: DiskSetup) -> Result<Self, DiskQueueError> {
        let name = setup.name.clone();
        let failed = |what: String| DiskQueueError { name: name.clone(), what };
        let folder = Folder::open(&setup.folder).map_err(|error| failed(error.to_string()))?;
        let (core, writer) = assemble(setup, Box::new(folder))?;
        let thread = WriterThread::start(core.clone(), writer)
            .map_err(|error| failed(format!("no thread to be had for its queue: {error}")))?;
        Ok(DiskQueue { core, thread })
    }
}

/// Everything but the thread.
fn assemble(setup: DiskSetup, fs: Box<dyn Fs>) -> Result<(Arc<Core>, Writer), DiskQueueError> {
    let failed = |error: std::io::Error| DiskQueueError {
        name: setup.name.clone(),
        what: format!("the queue in {} can't be opened: {error}", setup.folder.display()),
    };
    let (state, position, damaged) = StateFile::open(&*fs).map_err(failed)?;
    if damaged {
        tracing::error!(
            output = %setup.name,
            "the state of the queue in {} is damaged; everything in the queue is delivered again",
            setup.folder.display()
        );
    }
    let Position { mark, settled } = position.unwrap_or_default();
    let files = fs.list().map_err(failed)?;
    let mut book = Book::new(mark, settled);
    for (name, len) in &files {
        if let Some(base) = frame::segment_base(name) {
            book.add(base, Segment::found(*len));
        }
    }
    let next_base = book.end();
    let bell = Arc::<Bell>::default();
    let ring = bell.clone();
    let source = Arc::new(Source::new(setup.name.clone(), 0));
    let tracker = Tracker::new(source, mark, Arc::<InputLedger>::default(), Some(Box::new(move || ring.ring())));
    let core = Core {
        quarantine: Quarantine::new(&files, setup.max_size),
        share: (setup.queue.max_bytes / 2).max(1),
        segment_size: (setup.max_size / 16).clamp(SEGMENT_MIN, SEGMENT_MAX),
        book: Mutex::new(book),
        reader: Mutex::default(),
        ready: Notify::new(),
        setup,
        fs,
        tracker,
        bell,
    };
    core.gauge(&core.book());
    let core = Arc::new(core);
    Ok((core.clone(), Writer::new(core, state, next_base)))
}

impl Queue for DiskQueue {
    fn push(&self, part: Part) -> Result<(), Box<Part>> {
        self.core.push(part)
    }

    fn pop(&self) -> Option<Queued> {
        self.core.pop()
    }

    fn ready(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.core.ready.notified())
    }

    fn done(&self, charge: usize) {
        self.core.done(charge);
    }

    fn is_held_up(&self) -> bool {
        self.core.is_held_up()
    }

    fn close(&self) {
        self.core.close();
    }

    fn is_finished(&self) -> bool {
        self.core.is_finished()
    }

    fn finish(&self) {
        self.thread.finish();
    }
}

impl std::fmt::Debug for DiskQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskQueue").field("setup", &self.core.setup).finish_non_exhaustive()
    }
}

/// The folders below `queues` in which records wait though their output, by name, has no queue on disk any more: it was
/// renamed, removed or given another queue. Nobody delivers them; somebody should know.
pub fn orphans(queues: &Path, outputs: &[Arc<str>]) -> Vec<PathBuf> {
    let segments = |path: &Path| {
        let names = std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.file_name());
        names.filter_map(|name| name.to_str().and_then(frame::segment_base)).next().is_some()
    };
    let folders = std::fs::read_dir(queues).into_iter().flatten().flatten();
    let strange = folders.filter(|folder| !outputs.iter().any(|name| folder.file_name() == **name));
    let mut paths: Vec<PathBuf> = strange.map(|folder| folder.path()).filter(|path| segments(path)).collect();
    paths.sort();
    paths
}

/// Reads one frame, as the queue does with what it finds on disk: its records, or `None` if it is damaged. Whatever the
/// bytes are, it neither panics nor takes more memory than a small multiple of them.
pub fn read_frame(bytes: &[u8]) -> Option<Batch> {
    let (prefix, payload) = bytes.split_first_chunk::<{ frame::PREFIX }>()?;
    let prefix = frame::Prefix::read(prefix)?;
    let payload = payload.get(..prefix.payload_len as usize)?;
    if !prefix.matches(payload) {
        return None;
    }
    decode::Decoder::default().decode(payload, prefix.records, &Pool::default()).ok()
}
