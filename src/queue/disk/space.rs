//! Room on the disk: how it is taken, kept within its bound, and given back.

use std::io;

use suiro_sdk::{Reason, killpoint};

use super::Fsync;
use super::frame::{SEGMENT_HEADER, segment_name};
use super::writer::{Active, Writer};
use crate::queue::WhenFull;

impl Writer {
    /// Whether `need` bytes fit, after what is settled has gone, and after old records made room if that is what
    /// `when_full` says.
    pub(super) fn make_room(&mut self, need: u64) -> io::Result<bool> {
        if self.fits(need) {
            return Ok(true);
        }
        let mark = self.core.tracker.position().mark;
        let has_data = |active: &Active| active.len > SEGMENT_HEADER;
        if self.active.as_ref().is_some_and(|active| has_data(active) && active.end() <= mark) {
            self.close_active()?;
        }
        self.release()?;
        loop {
            if self.fits(need) {
                return Ok(true);
            }
            if self.core.setup.queue.when_full != WhenFull::DropOldest {
                return Ok(false);
            }
            if !self.drop_oldest_segment() {
                if !self.active.as_ref().is_some_and(has_data) {
                    return Ok(false);
                }
                self.close_active()?;
            }
        }
    }

    fn fits(&self, need: u64) -> bool {
        let book = self.core.book();
        let (alone, header) = match &self.active {
            Some(active) => (book.segment_count() == 1 && active.len == SEGMENT_HEADER, 0),
            None => (book.segment_count() == 0, SEGMENT_HEADER),
        };
        // A frame that is larger than the whole bound is taken when there is nothing else.
        alone || book.disk_bytes() + header + need <= self.core.setup.max_size
    }

    /// Drops the records of the next frame; its duty waits for the frames before.
    pub(super) fn drop_front(&mut self) {
        let Some(frame) = self.frames.front_mut() else { return };
        let bytes = std::mem::take(&mut frame.bytes);
        let records = std::mem::take(&mut frame.records);
        self.core.dropped(records, Reason::QUEUE_FULL);
        let mut book = self.core.book();
        book.staged_bytes -= bytes.len();
        self.core.gauge(&book);
        drop(book);
        self.core.wake_pushers();
    }

    /// Drops the oldest segment that nobody has begun to read. Says whether there was one.
    fn drop_oldest_segment(&mut self) -> bool {
        let core = &self.core;
        let Some((base, segment)) = core.book().take_oldest_unread() else { return false };
        if segment.own {
            core.dropped(segment.records, Reason::QUEUE_FULL);
        } else {
            let records = core.count_unread(base, &segment).unwrap_or_else(|error| {
                tracing::error!(output = %core.setup.name, "{} is dropped uncounted: {error}", segment_name(base));
                0
            });
            core.recovered(records);
            core.dropped(records, Reason::QUEUE_FULL);
        }
        if let Err(error) = core.fs.remove(&segment_name(base)) {
            tracing::error!(output = %core.setup.name, "the queue's segment {} can't be removed: {error}", segment_name(base));
        }
        core.gauge(&core.book());
        true
    }

    /// Saves how far everything is settled, then removes what that makes useless.
    pub(super) fn release(&mut self) -> io::Result<()> {
        let core = &self.core;
        let position = core.position();
        let settled = core.book().settled_segments(position.mark);
        let durably = !settled.is_empty() && core.setup.fsync != Fsync::Never;
        self.state.write(&*core.fs, &position, durably)?;
        killpoint::pass("queue.state");
        for (base, segment) in settled {
            let name = segment_name(base);
            let gone = if segment.damaged {
                core.quarantine.set_aside(&*core.fs, &name, segment.len)
            } else {
                core.fs.remove(&name)
            };
            match gone {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => drop(core.book().remove(base)),
            }
        }
        killpoint::pass("queue.released");
        core.gauge(&core.book());
        Ok(())
    }
}
