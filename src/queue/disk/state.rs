//! The state file: how far the queue is read and settled.
//!
//! Two slots of 4 KiB. Each write goes to the slot that does not hold the newest *durable* state, so that whatever a
//! crash does to a write under way, the other slot is whole. The slot with the higher sequence number and a sound checksum
//! counts.
//!
//! ```text
//! slot: magic "suirosta" | crc32c of all that follows u32 | count u32 | seq u64 | mark u64 | count * (start u64, end u64)
//! ```
//!
//! Everything below `mark` is settled, and so are the ranges above it. There may be more of these than fit; those that do
//! not are delivered again after a restart, never lost.

use std::io;
use std::ops::Range;

use suiro_sdk::Position;

use super::frame::MAX_POSITION;
use super::fs::{File, Fs, read_full, write_all};

const NAME: &str = "state";
const MAGIC: &[u8; 8] = b"suirosta";
const SLOT: usize = 4096;
const HEAD: usize = 32;
/// Ranges that fit into a slot.
const RANGES: usize = (SLOT - HEAD) / 16;

/// The state file, open.
pub(super) struct StateFile {
    /// Absent until it could be opened.
    file: Option<Box<dyn File>>,
    seq: u64,
    /// The slot the newest durable state is in, as far as we know.
    durable_slot: u64,
    /// What was written last.
    written: Option<Position>,
    /// Whether that is durable.
    durable: bool,
}

// === impl StateFile ===

impl StateFile {
    /// Reads the state: the position, or `None` if there is none, and whether there was one that can't be read.
    pub(super) fn open(fs: &dyn Fs) -> io::Result<(Self, Option<Position>, bool)> {
        let mut file = fs.open(NAME, true)?;
        let mut bytes = vec![0; 2 * SLOT];
        let len = read_full(&*file, &mut bytes, 0)?;
        // On a full disk there may be no room for a slot, and without a state no segment may go. So room is taken now, if
        // there is any; if not, writing the state says so.
        if len < bytes.len() {
            let _ = write_all(&mut *file, &bytes[len..], len as u64);
        }
        let (a, b) = (read_slot(&bytes[..SLOT]), read_slot(&bytes[SLOT..]));
        let newest = match (&a, &b) {
            (Some(a), Some(b)) => u64::from(b.0 > a.0),
            (None, Some(_)) => 1,
            _ => 0,
        };
        let found = if newest == 1 { b } else { a };
        let damaged = found.is_none() && bytes.iter().any(|byte| *byte != 0);
        let (seq, position) = found.map_or((0, None), |(seq, position)| (seq, Some(position)));
        let state = StateFile { file: Some(file), seq, durable_slot: newest, written: None, durable: false };
        Ok((state, position, damaged))
    }

    /// Whether `position` is not written yet, or, if `durably`, not durable yet.
    pub(super) fn lags(&self, position: &Position, durably: bool) -> bool {
        self.written.as_ref() != Some(position) || (durably && !self.durable)
    }

    /// Writes `position`; with `durably` it is on the disk when this returns.
    pub(super) fn write(&mut self, fs: &dyn Fs, position: &Position, durably: bool) -> io::Result<()> {
        if !self.lags(position, durably) {
            return Ok(());
        }
        let mut file = match self.file.take() {
            Some(file) => file,
            None => fs.open(NAME, true)?,
        };
        // On an error the handle is not used again: what it would say about durability can't be trusted.
        let slot = 1 - self.durable_slot;
        self.seq += 1;
        self.written = None;
        self.durable = false;
        write_all(&mut *file, &slot_of(self.seq, position), slot * SLOT as u64)?;
        if durably {
            file.sync()?;
            self.durable_slot = slot;
            self.durable = true;
        }
        self.written = Some(position.clone());
        self.file = Some(file);
        Ok(())
    }
}

fn slot_of(seq: u64, position: &Position) -> Vec<u8> {
    let ranges = &position.settled[..position.settled.len().min(RANGES)];
    let mut body = Vec::with_capacity(SLOT);
    body.extend_from_slice(&(ranges.len() as u32).to_le_bytes());
    body.extend_from_slice(&seq.to_le_bytes());
    body.extend_from_slice(&position.mark.to_le_bytes());
    for range in ranges {
        body.extend_from_slice(&range.start.to_le_bytes());
        body.extend_from_slice(&range.end.to_le_bytes());
    }
    let mut slot = Vec::with_capacity(SLOT);
    slot.extend_from_slice(MAGIC);
    slot.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
    slot.extend_from_slice(&body);
    slot
}

/// Sequence number and position, if the slot is sound.
fn read_slot(slot: &[u8]) -> Option<(u64, Position)> {
    let word = |at: usize| Some(u32::from_le_bytes(slot.get(at..at + 4)?.try_into().ok()?));
    let long = |at: usize| Some(u64::from_le_bytes(slot.get(at..at + 8)?.try_into().ok()?));
    if slot.get(..8)? != MAGIC {
        return None;
    }
    let count = word(12)? as usize;
    if count > RANGES || crc32c::crc32c(slot.get(12..HEAD + count * 16)?) != word(8)? {
        return None;
    }
    let (seq, mark) = (long(16)?, long(24)?);
    let mut settled: Vec<Range<u64>> = Vec::with_capacity(count);
    let mut at = mark;
    for i in 0..count {
        let range = long(HEAD + i * 16)?..long(HEAD + i * 16 + 8)?;
        if range.start < at || range.end <= range.start {
            return None;
        }
        at = range.end;
        settled.push(range);
    }
    (at <= MAX_POSITION).then_some((seq, Position { mark, settled }))
}
