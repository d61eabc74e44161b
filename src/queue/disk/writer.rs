//! Writing: from staged parts to frames that are durable, and away with what is settled.
//!
//! Everything happens in [`Writer::turn`], called again and again on one thread, with the time as an argument. A turn does
//! what can be done and says when it wants to be called again at the latest.
//!
//! Trouble (no space left, an I/O error, a file system that became read-only) is a state, not an end: the segment is given
//! up, what was not published stays in memory, the agent's health shows it, and after a second a new segment is tried.
//! Meanwhile staging fills up, and `when_full` decides as it does otherwise.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use suiro_sdk::{Custody, Reason, killpoint};

use super::Fsync;
use super::book::{Segment, Staged};
use super::encode::encode;
use super::frame::{SEGMENT_HEADER, segment_header, segment_name};
use super::fs::{File, write_all};
use super::shared::Core;
use super::state::StateFile;
use crate::queue::WhenFull;

/// How long a written frame waits for its fsync, with `fsync = "interval"`.
const INTERVAL: Duration = Duration::from_millis(50);
/// How long after trouble the next try is.
const RETRY: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Writer {
    pub(super) core: Arc<Core>,
    pub(super) state: StateFile,
    /// Where the next segment may start.
    next_base: u64,
    pub(super) active: Option<Active>,
    /// To be written, in order.
    pub(super) frames: VecDeque<Frame>,
    /// Written to the active segment, not published.
    written: Vec<Frame>,
    /// When these are to be durable.
    sync_due: Option<Instant>,
    /// There was trouble; the next try is then.
    retry_at: Option<Instant>,
}

/// The segment that is written to.
pub(super) struct Active {
    base: u64,
    file: Box<dyn File>,
    pub(super) len: u64,
}

/// A frame on its way to the disk.
pub(super) struct Frame {
    /// Empty if it was dropped and only its duty is left.
    pub(super) bytes: Vec<u8>,
    pub(super) records: usize,
    /// The sources' receipts, with the last frame of a part.
    duty: Option<Custody>,
}

/// How the attempt to write a frame went.
#[derive(PartialEq, Eq)]
enum Wrote {
    Yes,
    /// The queue is full, and the frame waits.
    Full,
}

// === impl Active ===

impl Active {
    /// One past its last position.
    pub(super) fn end(&self) -> u64 {
        self.base + (self.len - SEGMENT_HEADER)
    }
}

// === impl Writer ===

impl Writer {
    pub(super) fn new(core: Arc<Core>, state: StateFile, next_base: u64) -> Self {
        Writer {
            core,
            state,
            next_base,
            active: None,
            frames: VecDeque::new(),
            written: Vec::new(),
            sync_due: None,
            retry_at: None,
        }
    }

    /// Does what there is to do; when to be called again at the latest.
    pub(super) fn turn(&mut self, now: Instant) -> Option<Instant> {
        if self.retry_at.is_some_and(|at| now < at) {
            return self.retry_at;
        }
        if std::mem::take(&mut self.core.book().read_later) {
            // A second later the driver is told to try.
            self.retry_at = Some(now + RETRY);
            return self.retry_at;
        }
        match self.work(now) {
            Ok(()) => {
                if self.retry_at.take().is_some() {
                    self.core.setup.health.ok(&self.core.block());
                    self.core.ready.notify_one();
                }
                self.sync_due
            }
            Err(error) => {
                self.trouble(&error.to_string(), now);
                self.retry_at
            }
        }
    }

    /// The last turn: one more try at what is staged, and the state made durable.
    pub(super) fn finish(&mut self) {
        self.retry_at = None;
        let position = self.core.position();
        let done = self
            .work(Instant::now())
            .and_then(|()| self.publish())
            .and_then(|()| self.state.write(&*self.core.fs, &position, self.core.setup.fsync != Fsync::Never));
        if let Err(error) = done {
            tracing::error!(
                output = %self.core.setup.name,
                "the queue in {} can't be written at the end: {error}; what was not safe is read again from its source, \
                 and the last deliveries may be repeated",
                self.core.setup.folder.display()
            );
        }
    }

    fn work(&mut self, now: Instant) -> io::Result<()> {
        self.give_up_if_damaged();
        self.release()?;
        let mut full = false;
        loop {
            if self.frames.is_empty() && !self.encode_next() {
                break;
            }
            if self.write_next(now)? == Wrote::Full {
                full = true;
                break;
            }
            // Else half of the staging would wait for the clock.
            if self.written_bytes() >= self.core.share / 2 {
                self.publish()?;
            }
        }
        let due = match self.core.setup.fsync {
            Fsync::Batch | Fsync::Never => true,
            Fsync::Interval => full || self.core.book().closed || self.sync_due.is_some_and(|due| due <= now),
        };
        if due {
            self.publish()?;
        }
        if full && self.core.book().segment_count() == 1 {
            // Nobody else's space will come free: let this one's.
            self.close_active()?;
        }
        Ok(())
    }

    fn written_bytes(&self) -> usize {
        self.written.iter().map(|frame| frame.bytes.len()).sum()
    }

    /// Encodes the oldest staged part. Says whether there was one.
    fn encode_next(&mut self) -> bool {
        let core = self.core.clone();
        let Some(Staged { part, charge }) = core.book().staged.pop_front() else { return false };
        let encoded = encode(&part);
        let custody = part.custody;
        drop(part.batch);
        let held: usize = encoded.frames.iter().map(|(bytes, _)| bytes.len()).sum();
        let mut book = core.book();
        book.staged_bytes = book.staged_bytes + held - charge;
        core.gauge(&book);
        drop(book);
        if encoded.too_large > 0 {
            core.dropped(encoded.too_large, Reason::TOO_LARGE);
            tracing::error!(output = %core.setup.name, records = encoded.too_large, "records are too large for the queue and dropped");
        }
        self.frames.extend(encoded.frames.into_iter().map(|(bytes, records)| Frame {
            bytes,
            records: records as usize,
            duty: None,
        }));
        match self.frames.back_mut() {
            Some(last) => last.duty = Some(custody),
            None => {
                custody.settle();
                core.ready.notify_one();
            }
        }
        core.wake_pushers();
        true
    }

    /// Writes the next frame.
    fn write_next(&mut self, now: Instant) -> io::Result<Wrote> {
        let Some(need) = self.frames.front().map(|frame| frame.bytes.len() as u64) else { return Ok(Wrote::Yes) };
        let full_segment = |active: &Active| active.len > SEGMENT_HEADER && active.len + need > self.core.segment_size;
        if self.active.as_ref().is_some_and(full_segment) {
            self.close_active()?;
        }
        if need > 0 && !self.make_room(need)? {
            match self.core.setup.queue.when_full {
                WhenFull::Block => return Ok(Wrote::Full),
                WhenFull::DropNewest => self.drop_front(),
                // What is under way can't make room. It is little.
                WhenFull::DropOldest => {}
            }
        }
        let Some(frame) = self.frames.pop_front() else { return Ok(Wrote::Yes) };
        if !frame.bytes.is_empty()
            && let Err(error) = self.append(&frame.bytes)
        {
            self.frames.push_front(frame);
            return Err(error);
        }
        self.written.push(frame);
        self.sync_due.get_or_insert(now + INTERVAL);
        Ok(Wrote::Yes)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let active = match &mut self.active {
            Some(active) => active,
            none => none.insert(open_segment(&self.core, &mut self.next_base)?),
        };
        let from = active.len;
        // What may be in the file, if this fails in the middle.
        active.len += bytes.len() as u64;
        write_all(&mut *active.file, bytes, from)?;
        killpoint::pass("queue.written");
        let mut book = self.core.book();
        book.resize(active.base, active.len);
        self.core.gauge(&book);
        Ok(())
    }

    /// Makes what is written durable, then readable, then settles the sources' receipts.
    fn publish(&mut self) -> io::Result<()> {
        self.sync_due = None;
        if self.written.is_empty() {
            return Ok(());
        }
        let bytes = self.written_bytes();
        let mut book;
        if bytes > 0
            && let Some(active) = &mut self.active
        {
            if self.core.setup.fsync != Fsync::Never {
                active.file.sync()?;
                killpoint::pass("queue.synced");
            }
            book = self.core.book();
            let records: usize = self.written.iter().map(|frame| frame.records).sum();
            match book.segment(active.base).filter(|segment| !segment.damaged) {
                Some(segment) => {
                    segment.published = active.len;
                    segment.records += records;
                }
                None => {
                    drop(book);
                    self.give_up();
                    self.core.bell.ring();
                    return Ok(());
                }
            }
        } else {
            book = self.core.book();
        }
        book.staged_bytes -= bytes;
        self.core.gauge(&book);
        drop(book);
        for frame in self.written.drain(..) {
            frame.duty.into_iter().for_each(Custody::settle);
        }
        killpoint::pass("queue.published");
        self.core.wake_pushers();
        self.core.ready.notify_one();
        Ok(())
    }

    /// Publishes what is written, and begins no frame in this segment any more.
    pub(super) fn close_active(&mut self) -> io::Result<()> {
        self.publish()?;
        if let Some(active) = self.active.take() {
            self.next_base = active.end();
            if let Some(segment) = self.core.book().segment(active.base) {
                segment.closed = true;
            }
            self.core.ready.notify_one();
        }
        Ok(())
    }

    fn give_up_if_damaged(&mut self) {
        let Some(base) = self.active.as_ref().map(|active| active.base) else { return };
        let damaged = self.core.book().segment(base).is_none_or(|segment| segment.damaged);
        if damaged {
            self.give_up();
        }
    }

    /// Leaves the active segment as far as it is published; the rest is to be written again, to another one.
    fn give_up(&mut self) {
        self.sync_due = None;
        while let Some(frame) = self.written.pop() {
            self.frames.push_front(frame);
        }
        let Some(mut active) = self.active.take() else { return };
        let core = &self.core;
        self.next_base = active.end() + 1;
        let published = core.book().segment(active.base).map_or(SEGMENT_HEADER, |segment| segment.published);
        // If even this fails, the next run may deliver these frames twice.
        let cut = active.file.cut(published).is_ok();
        let mut book = core.book();
        if published <= SEGMENT_HEADER {
            book.remove(active.base);
        } else {
            book.resize(active.base, if cut { published } else { active.len });
            if let Some(segment) = book.segment(active.base) {
                segment.closed = true;
            }
        }
        core.gauge(&book);
        drop(book);
        if published <= SEGMENT_HEADER {
            // It holds nothing that counts; if it stays, the next start removes it.
            let _ = core.fs.remove(&segment_name(active.base));
        }
        core.ready.notify_one();
    }

    /// Something failed, or panicked: once more in a while.
    pub(super) fn trouble(&mut self, what: &str, now: Instant) {
        self.give_up();
        let folder = self.core.setup.folder.display();
        let text = format!(
            "the queue in {folder} can't be written: {what}; records wait in memory, and the inputs when it is full"
        );
        if self.retry_at.is_none() {
            tracing::error!(output = %self.core.setup.name, "{text}; trying again every second");
        }
        self.core.setup.health.degraded(&self.core.block(), &text);
        self.retry_at = Some(now + RETRY);
    }
}

/// Creates the next segment.
fn open_segment(core: &Core, next_base: &mut u64) -> io::Result<Active> {
    let base = *next_base;
    // Whatever comes of it, the name is not used twice.
    *next_base = base + 1;
    let name = segment_name(base);
    let mut file = core.fs.create(&name)?;
    let ready = write_all(&mut *file, &segment_header(base), 0).and_then(|()| match core.setup.fsync {
        Fsync::Never => Ok(()),
        Fsync::Interval | Fsync::Batch => core.fs.sync_folder(),
    });
    if let Err(error) = ready {
        let _ = core.fs.remove(&name);
        return Err(error);
    }
    core.book().add(base, Segment::created());
    Ok(Active { base, file, len: SEGMENT_HEADER })
}
