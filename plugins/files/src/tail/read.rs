//! Reading a chunk of a file into a batch's heap and finding its lines.
//!
//! A read begins with the bytes before the position (`context`), so that one system call both reads on and sees whether
//! the file is still the one that was read; at position 0 its first bytes (`head`) say that. A line that is longer than a chunk is first measured, piece by piece and
//! without keeping any of it, until its end is found; then what of it is wanted is read. So a line of any length costs at
//! most `max_line` of memory, its record spans all of it, and positions stay on line ends.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use suiro_sdk::Line;
use suiro_sdk::ledger::InputLedger;

use super::file::TailFile;
use super::identity::{CONTEXT, HEAD, read_at};
use super::point;
use crate::lines;

/// Bytes read at once.
pub(crate) const CHUNK: usize = 256 << 10;
/// Bytes looked through at once for the end of a long line.
const PIECE: usize = 64 << 10;

/// What a read came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Lines.
    Lines {
        /// There is more behind them.
        more: bool,
    },
    /// A piece of a long line: read on.
    Onward,
    /// Nothing complete.
    Nothing,
    /// What was read before is not there any more.
    Changed,
}

/// What reading needs to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading<'a> {
    pub(crate) max_line: usize,
    pub(crate) ledger: &'a Arc<InputLedger>,
}

/// A chunk in the heap: where it stands there, and which source bytes it is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) start: usize,
    /// One past its last whole line.
    pub(crate) end: usize,
    /// Source byte at `start`.
    pub(crate) at: u64,
    /// One past the bytes behind the last line that are known to have no line end.
    pub(crate) scanned: u64,
}

enum Measured {
    /// One past its line end.
    To(u64),
    /// The file ends first.
    Endless(u64),
    /// Not yet.
    Onward,
}

/// Reads what comes next of `file` into `heap`, which must be empty.
pub(crate) fn read(
    file: &mut TailFile,
    heap: &mut Vec<u8>,
    lines: &mut Vec<Line>,
    reading: Reading<'_>,
) -> io::Result<(Found, Chunk)> {
    let mut chunk = Chunk { start: 0, end: 0, at: file.offset, scanned: file.offset };
    if !file.recognise()? || file.offset > 0 && !file.grow_head()? {
        return Ok((Found::Changed, chunk));
    }
    chunk.start = file.context.len();
    let mut want = CHUNK;
    let mut long = None;
    if file.scanned > file.offset {
        if let Some(handle) = &file.handle
            && !file.holds(handle)?
        {
            return Ok((Found::Changed, chunk));
        }
        let (end, line_end) = match measure(file)? {
            Measured::To(end) => (end, 1),
            Measured::Endless(end) if file.last => (end, 0),
            Measured::Endless(_) => return Ok((Found::Nothing, chunk)),
            Measured::Onward => return Ok((Found::Onward, chunk)),
        };
        let length = usize::try_from(end - file.offset).unwrap_or(usize::MAX);
        // A byte or two of it may be its line end.
        if length > reading.max_line.saturating_add(2) {
            want = (reading.max_line + 4).max(HEAD);
            long = Some((end, length - line_end));
        } else {
            want = want.max(length + 1);
        }
    }
    let Some(handle) = &file.handle else { return Ok((Found::Nothing, chunk)) };
    point::pass("tail.reads");
    read_into(handle, heap, file.offset - chunk.start as u64, chunk.start + want)?;
    if heap.get(..chunk.start) != Some(&file.context[..]) || file.offset == 0 && !file.learn_head(heap) {
        return Ok((Found::Changed, chunk));
    }
    if let Some((end, text)) = long {
        if heap.len() < chunk.start + reading.max_line {
            return Ok((Found::Changed, chunk));
        }
        // Where it ends is not in the heap: what stands before that is read apart.
        (chunk.end, chunk.scanned) = (chunk.start, end);
        let mut line = Line { span: chunk.start..heap.len(), start: file.offset, end };
        lines::cut(heap, &mut line, reading.max_line);
        lines::count_cut(reading.ledger, text - reading.max_line);
        lines.push(line);
        return Ok((Found::Lines { more: true }, chunk));
    }
    let filled = heap.len() - chunk.start;
    let (at_end, read_to) = (filled < want, file.offset + filled as u64);
    file.size = file.size.max(read_to);
    chunk.end = lines::split(heap, chunk.start, file.offset, lines);
    let bounded = lines.len() >= lines::MAX_LINES;
    if at_end && file.last && !bounded && chunk.end < heap.len() {
        lines.push(lines::line(heap, chunk.start, file.offset, chunk.end, heap.len(), heap.len()));
        chunk.end = heap.len();
    }
    if lines.is_empty() {
        file.scanned = read_to;
        return Ok((if at_end { Found::Nothing } else { Found::Onward }, chunk));
    }
    // Where there is more to read at once, the next read finds the end of the last line: no need to look for it.
    chunk.scanned = if at_end && !bounded { read_to } else { file.offset };
    heap.truncate(chunk.end);
    lines::cut_long(heap, lines, reading.max_line, reading.ledger);
    Ok((Found::Lines { more: !at_end || bounded }, chunk))
}

/// Looks for the end of the line at `offset` behind `scanned`, a piece further.
fn measure(file: &mut TailFile) -> io::Result<Measured> {
    let Some(handle) = &file.handle else { return Ok(Measured::Onward) };
    let mut piece = vec![0; PIECE];
    let n = read_at(handle, &mut piece, file.scanned)?;
    if let Some(found) = memchr::memchr(b'\n', &piece[..n]) {
        return Ok(Measured::To(file.scanned + found as u64 + 1));
    }
    file.scanned += n as u64;
    file.size = file.size.max(file.scanned);
    Ok(if n < PIECE { Measured::Endless(file.scanned) } else { Measured::Onward })
}

/// Appends `count` bytes from `from` on, or as many as there are, without filling the room with zeros first.
fn read_into(mut handle: &File, heap: &mut Vec<u8>, from: u64, count: usize) -> io::Result<()> {
    heap.reserve(count + CONTEXT);
    handle.seek(SeekFrom::Start(from))?;
    handle.take(count as u64).read_to_end(heap)?;
    Ok(())
}

impl TailFile {
    /// Leaves those of `lines` that go into one batch: those that were not settled before the restart, read at the same
    /// time. Says where in the file the skipped ones end, and the time that an earlier reading gave the first line.
    pub(crate) fn select(&self, lines: &mut Vec<Line>) -> (u64, Option<i64>) {
        if !self.is_replay() {
            return (self.offset, None);
        }
        let skip = lines.iter().take_while(|line| self.is_settled(line.start..line.end)).count();
        let skipped = lines[..skip].last().map_or(self.offset, |line| line.end);
        lines.drain(..skip);
        let Some(first) = lines.first() else { return (skipped, None) };
        let (until, time) = match self.read_before(first.start) {
            // The times of a reading count from its first line: see `Decoder::decode`.
            Ok(span) => (span.end, Some(span.at.saturating_add_unsigned(first.start.saturating_sub(span.start)))),
            Err(next) => (next, None),
        };
        let more = lines.iter().skip(1);
        let same = more.take_while(|line| line.start < until && !self.is_settled(line.start..line.end)).count();
        lines.truncate(1 + same);
        (skipped, time)
    }

    /// Notes that everything before `end`, a line end, is handed on or settled.
    pub(crate) fn take_up_to(&mut self, end: u64, heap: &[u8], chunk: Chunk) -> io::Result<()> {
        let stop = usize::try_from(end - chunk.at).ok().and_then(|n| n.checked_add(chunk.start));
        self.offset = end;
        match stop.filter(|&stop| stop <= chunk.end).and_then(|stop| heap.get(..stop)) {
            Some(bytes) => {
                self.context.clear();
                self.context.extend_from_slice(&bytes[bytes.len().saturating_sub(CONTEXT)..]);
                // Lines that were found but not taken stand between here and there.
                self.scanned = if stop == Some(chunk.end) { chunk.scanned.max(end) } else { end };
            }
            None => {
                self.scanned = end;
                return self.moved_out_of_sight(end);
            }
        }
        self.moved_to(end);
        Ok(())
    }
}
