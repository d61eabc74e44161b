//! A file that is followed: one incarnation of it, how far it is read, and what is known about its bytes.
//!
//! # Invariants
//!
//! 1. `offset` is where a line begins, always. A line that is not complete is read again from its first byte: there is no
//!    carry-over to lose.
//! 2. `context` are the bytes just before `offset`, as they were read. Each read begins with them, or at 0 with the first
//!    bytes (`head`): if they are not there any more, the file was truncated and has grown again since, or was replaced in
//!    place, and a new incarnation begins. So even a truncation between two looks is seen, unless the same bytes stand in
//!    the same place.
//! 3. `anchors` hold the same for earlier batch ends, as far down as the settled mark: a checkpoint names one of them.
//! 4. Nothing is read before the file is *recognised*: all that is known of it stands in it. That a checkpoint was found to
//!    be this file's is a moment ago by then, and it may have been truncated since. What was read of another life of it
//!    under this incarnation would be read again under its own after a crash.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use suiro_record::Scope;
use suiro_sdk::time::ReadingClock;
use suiro_sdk::{Position, Tracker};

use super::identity::{CONTEXT, FileKey, HEAD, Imprint, read_at};
use super::journal::{Entry, Id, ReadSpan, Stored};

/// Ends of batches that are remembered above the mark, at most. Beyond, some in between are forgotten.
const MAX_ANCHORS: usize = 8192;
/// Settled ranges that a checkpoint names, at most; what is beyond them is read again after a crash.
const MAX_SAVED_RANGES: usize = 4096;

/// A file that is followed.
#[derive(Debug)]
pub(crate) struct TailFile {
    pub(crate) key: FileKey,
    /// The path it was first seen under: its scope and tag speak of that.
    pub(crate) path: PathBuf,
    /// The path it was last seen under.
    pub(crate) current: PathBuf,
    /// Where that leads, links followed: what the system tells of.
    pub(crate) real: Option<PathBuf>,
    /// `None` while it is idle and others need the descriptor.
    pub(crate) handle: Option<File>,
    pub(crate) id: Id,
    pub(crate) tracker: Arc<Tracker>,
    pub(crate) scope: Arc<Scope>,
    pub(crate) tag: Arc<str>,
    /// Number of the journal's sync behind which the incarnation is durable.
    pub(crate) sync: u64,
    /// Where the next line begins.
    pub(crate) offset: u64,
    /// There is no line end in `offset..scanned`.
    pub(crate) scanned: u64,
    pub(crate) size: u64,
    pub(crate) modified: (i64, i64),
    /// When it was created, where that is known.
    pub(crate) born: Option<i64>,
    pub(crate) head: Imprint,
    pub(crate) head_saved: bool,
    pub(crate) context: Vec<u8>,
    /// `context` was read, and what else is known of its bytes is there.
    recognised: bool,
    anchors: VecDeque<Imprint>,
    /// Settled before the restart and not come to yet, ascending.
    settled: VecDeque<Range<u64>>,
    /// When what is not settled was read, ascending.
    reads: VecDeque<ReadSpan>,
    /// When it is read.
    pub(crate) clock: ReadingClock,
    /// Below this, `reads` says when a line was first read.
    replay_end: u64,
    /// What the last checkpoint said.
    saved: Option<(Position, Imprint)>,
    /// Waits to be read.
    pub(crate) queued: bool,
    /// No path of the configuration leads to it any more.
    pub(crate) rotated: bool,
    /// Nothing more is read of it; it waits to be settled.
    pub(crate) finished: bool,
    /// Since when there was nothing to read.
    pub(crate) quiet_since: Option<Instant>,
    /// What stands behind the last line end is a line too.
    pub(crate) last: bool,
    /// Bytes that were there, not read, and are there no more.
    pub(crate) lost: u64,
    /// Files are numbered as they are found: of several of one path, the lower is the older.
    pub(crate) number: u64,
    /// Too much of it is unsettled.
    pub(crate) crowded: bool,
    /// Where its reading began in this run, for progress.
    pub(crate) began: u64,
    /// Where `run --once` may stop.
    pub(crate) limit: u64,
}

/// What became of a file since the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Nothing.
    Same,
    /// There is more to read.
    More,
    /// It is shorter than what was read, or says something else.
    Truncated,
    /// It is not there any more.
    Missing,
}

/// What the parts of a file are that change with its incarnation.
pub(crate) struct Incarnation {
    pub(crate) id: Id,
    pub(crate) tracker: Arc<Tracker>,
    pub(crate) scope: Arc<Scope>,
    pub(crate) tag: Arc<str>,
    pub(crate) sync: u64,
}

// === impl TailFile ===

impl TailFile {
    /// A file of which nothing is known, read from `from` on.
    pub(crate) fn new(key: FileKey, path: PathBuf, handle: File, from: u64, incarnation: Incarnation) -> Self {
        let Incarnation { id, tracker, scope, tag, sync } = incarnation;
        TailFile {
            key,
            current: path.clone(),
            path,
            real: None,
            handle: Some(handle),
            id,
            tracker,
            scope,
            tag,
            sync,
            offset: from,
            scanned: from,
            size: from,
            modified: (0, 0),
            born: None,
            head: Imprint::default(),
            head_saved: true,
            context: Vec::new(),
            recognised: false,
            anchors: VecDeque::from([Imprint::default()]),
            settled: VecDeque::new(),
            reads: VecDeque::new(),
            clock: ReadingClock::default(),
            replay_end: 0,
            saved: None,
            queued: false,
            rotated: false,
            finished: false,
            quiet_since: None,
            last: false,
            lost: 0,
            number: 0,
            crowded: false,
            began: from,
            limit: u64::MAX,
        }
    }

    /// Takes up what a checkpoint says; the caller has compared it with the file.
    pub(crate) fn resume(&mut self, stored: &Stored) {
        self.head = stored.head;
        self.anchors = VecDeque::from([stored.before]);
        self.settled = stored.settled.iter().filter(|range| range.start < range.end).cloned().collect();
        self.settled.make_contiguous().sort_unstable_by_key(|range| range.start);
        let mut reads = stored.reads.clone();
        reads.sort_unstable_by_key(|span| span.start);
        let mut until = 0;
        reads.retain(|span| {
            let apart = span.start >= until;
            until = until.max(span.end);
            apart
        });
        self.replay_end = until;
        if let Some(last) = reads.last() {
            self.clock.note(last.at, last.end - last.start);
        }
        self.reads = reads.into();
    }

    /// The path its next incarnation is seen under.
    pub(crate) fn next_path(&self) -> &Path {
        // What no path leads to has none but its old one.
        if self.rotated { &self.path } else { &self.current }
    }

    /// Begins again at 0, as a new incarnation; what it was before, without its handle.
    pub(crate) fn renew(&mut self, incarnation: Incarnation) -> Option<TailFile> {
        let handle = self.handle.take()?;
        let fresh = TailFile::new(self.key, self.next_path().to_owned(), handle, 0, incarnation);
        let old = std::mem::replace(self, fresh);
        self.current.clone_from(&old.current);
        self.real.clone_from(&old.real);
        self.size = old.size;
        self.rotated = old.rotated;
        self.queued = old.queued;
        self.last = old.last;
        self.number = old.number;
        self.born = old.born;
        self.limit = old.limit;
        self.clock = old.clock;
        Some(old)
    }

    /// Goes on in another file that says the same so far.
    pub(crate) fn move_to(&mut self, key: FileKey, current: PathBuf, handle: File, size: u64) {
        (self.key, self.current, self.handle, self.size) = (key, current, Some(handle), size);
        self.real = None;
        self.recognised = false;
        self.rotated = true;
        self.queued = false;
        self.quiet_since = None;
        self.lost = 0;
        self.scanned = self.offset;
    }

    /// Opens it again where it was closed. `false`: the path leads elsewhere.
    pub(crate) fn reopen(&mut self) -> io::Result<bool> {
        if self.handle.is_none() {
            let file = File::open(&self.current)?;
            if FileKey::of(&file.metadata()?) != self.key {
                return Ok(false);
            }
            self.handle = Some(file);
        }
        Ok(true)
    }

    /// Looks whether there is more.
    pub(crate) fn look(&mut self) -> io::Result<Look> {
        let metadata = match &self.handle {
            Some(file) => file.metadata()?,
            // Closed: its path leads to it, or it is lost from sight.
            None => match fs::metadata(&self.current) {
                Ok(metadata) if FileKey::of(&metadata) == self.key => metadata,
                Ok(_) => return Ok(Look::Missing),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Look::Missing),
                Err(error) => return Err(error),
            },
        };
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        let changed = modified != self.modified;
        let before = std::mem::replace(&mut self.size, metadata.len());
        self.modified = modified;
        if self.size < self.offset {
            self.lost = before.saturating_sub(self.offset);
            return Ok(Look::Truncated);
        }
        if self.size < self.scanned {
            self.scanned = self.offset;
        }
        if self.size > self.scanned {
            return Ok(Look::More);
        }
        // Truncated and grown to just the same size: its bytes tell.
        match &self.handle {
            Some(file) if changed && !self.holds(file)? => Ok(Look::Truncated),
            _ => Ok(Look::Same),
        }
    }

    /// Whether what stands before `offset` is what was read there; at 0, whether its first bytes are those remembered.
    pub(crate) fn holds(&self, file: &File) -> io::Result<bool> {
        if self.offset == 0 {
            return self.head.matches(file);
        }
        self.anchor().matches(file)
    }

    /// Whether what is remembered of its bytes stands in `other`.
    pub(crate) fn known_in(&self, other: &File) -> io::Result<bool> {
        let last = self.reads.back().map(|span| &span.before);
        for imprint in [Some(&self.head), self.anchors.front(), self.anchors.back(), last].into_iter().flatten() {
            if !imprint.matches(other)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Before anything is read: whether what is known of its bytes is there.
    pub(crate) fn recognise(&mut self) -> io::Result<bool> {
        let Some(file) = self.handle.as_ref().filter(|_| !self.recognised) else { return Ok(true) };
        let start = self.offset.saturating_sub(CONTEXT as u64);
        let mut bytes = [0; CONTEXT];
        let want = (self.offset - start) as usize;
        if read_at(file, &mut bytes[..want], start)? < want {
            return Ok(false);
        }
        // Only now: were those another life's bytes, what is known of this one would be gone by now.
        if !self.known_in(file)? {
            return Ok(false);
        }
        self.context.clear();
        self.context.extend_from_slice(&bytes[..want]);
        self.recognised = true;
        Ok(true)
    }

    /// Remembers more of its first bytes as there are more. `false`: those remembered are not there any more.
    pub(crate) fn grow_head(&mut self) -> io::Result<bool> {
        let Some(file) = self.handle.as_ref().filter(|_| (self.head.len as usize) < HEAD) else { return Ok(true) };
        let mut bytes = [0; HEAD];
        let n = read_at(file, &mut bytes, 0)?;
        Ok(self.learn_head(&bytes[..n]))
    }

    /// As [`TailFile::grow_head`], from its first bytes, as they were just read.
    pub(crate) fn learn_head(&mut self, bytes: &[u8]) -> bool {
        let bytes = &bytes[..bytes.len().min(HEAD)];
        let known = bytes.get(..self.head.len as usize);
        if known.is_none_or(|known| Imprint::of(known, 0) != self.head) {
            return false;
        }
        if bytes.len() > self.head.len as usize {
            self.head = Imprint::of(bytes, 0);
            self.head_saved = false;
        }
        true
    }

    /// Everything before `end` was handed on or is settled, and what stands there is no longer in memory.
    pub(crate) fn moved_out_of_sight(&mut self, end: u64) -> io::Result<()> {
        (self.offset, self.recognised) = (end, false);
        self.context.clear();
        let recognised = self.recognise();
        self.moved_to(end);
        // Changed by now, the next read sees it again.
        recognised.map(|_| ())
    }

    /// Everything before `offset` was handed on or is settled; `context` stands before it.
    pub(crate) fn moved_to(&mut self, offset: u64) {
        self.offset = offset;
        self.scanned = self.scanned.max(offset);
        while self.settled.front().is_some_and(|range| range.end <= offset) {
            self.settled.pop_front();
        }
        if self.anchors.len() >= MAX_ANCHORS {
            self.anchors.remove(1);
        }
        self.anchors.push_back(self.anchor());
    }

    /// What stands before `offset`.
    pub(crate) fn anchor(&self) -> Imprint {
        Imprint::of(&self.context, self.offset - self.context.len() as u64)
    }

    /// Whether what is known of this file's bytes stands in `other` too.
    pub(crate) fn stands_in(&self, other: &File) -> io::Result<bool> {
        let telling = self.offset > 0 || !self.reads.is_empty() || self.head.len as usize >= CONTEXT;
        Ok(telling && self.known_in(other)?)
    }

    /// Whether the line at `range` was settled before the restart.
    pub(crate) fn is_settled(&self, range: Range<u64>) -> bool {
        let at = self.settled.partition_point(|settled| settled.end < range.end);
        self.settled.get(at).is_some_and(|settled| settled.start <= range.start)
    }

    /// Whether lines from here on may have been read before the restart.
    pub(crate) fn is_replay(&self) -> bool {
        !self.settled.is_empty() || self.offset < self.replay_end
    }

    /// Which of the stretches read before the restart holds the byte `at`; otherwise where the next one begins.
    pub(crate) fn read_before(&self, at: u64) -> Result<ReadSpan, u64> {
        if at >= self.replay_end {
            return Err(u64::MAX);
        }
        match self.reads.get(self.reads.partition_point(|span| span.end <= at)) {
            Some(span) if span.start <= at => Ok(*span),
            Some(span) => Err(span.start),
            None => Err(u64::MAX),
        }
    }

    /// A stretch was read for the first time; the line for the journal.
    pub(crate) fn note_read(&mut self, start: u64, end: u64, at: i64) -> Entry {
        self.clock.note(at, end - start);
        let span = ReadSpan { start, end, at, before: self.anchor() };
        let place = self.reads.partition_point(|other| other.start < start);
        self.reads.insert(place, span);
        let head = (!self.head_saved).then_some(self.head);
        self.head_saved = true;
        Entry::Read { id: self.id, span, head }
    }

    /// Whether all of it is read, as far as is known, but perhaps for a line without an end.
    pub(crate) fn at_end(&self) -> bool {
        self.size <= self.scanned
    }

    /// Whether a line is there without its end.
    pub(crate) fn has_partial(&self) -> bool {
        self.size > self.offset
    }

    /// What a checkpoint says now.
    pub(crate) fn snapshot(&mut self) -> Stored {
        let position = self.position();
        self.stored(position)
    }

    /// The line for the journal, if anything changed since the last.
    pub(crate) fn changes(&mut self) -> Option<Entry> {
        let position = self.position();
        if self.saved.as_ref().is_some_and(|(saved, head)| *saved == position && *head == self.head) {
            return None;
        }
        let Stored { id, mark, settled, head, before, size, .. } = self.stored(position.clone());
        self.saved = Some((position, self.head));
        Some(Entry::At { id, mark, settled, head, before, size })
    }

    /// The last line did not get through: it is due again.
    pub(crate) fn unsaved(&mut self) {
        self.saved = None;
    }

    /// How far it is settled, what is not read again yet included.
    fn position(&mut self) -> Position {
        let mut position = self.tracker.position();
        for range in &self.settled {
            position.settled.push(range.start.max(position.mark)..range.end.max(position.mark));
        }
        position.settled.sort_unstable_by_key(|range| range.start);
        let mut merged: Vec<Range<u64>> = Vec::with_capacity(position.settled.len());
        for range in position.settled.drain(..).filter(|range| range.start < range.end) {
            match merged.last_mut() {
                Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        merged.truncate(MAX_SAVED_RANGES);
        position.settled = merged;
        self.forget_below(&position);
        position
    }

    fn forget_below(&mut self, position: &Position) {
        while self.anchors.get(1).is_some_and(|anchor| anchor.end() <= position.mark) {
            self.anchors.pop_front();
        }
        let settled = &position.settled;
        self.reads.retain(|span| {
            let at = settled.partition_point(|range| range.end < span.end);
            span.end > position.mark && settled.get(at).is_none_or(|range| range.start > span.start)
        });
    }

    fn stored(&self, position: Position) -> Stored {
        Stored {
            id: self.id,
            key: self.key,
            path: self.path.to_string_lossy().into_owned(),
            mark: position.mark,
            settled: position.settled,
            head: self.head,
            before: self.anchors.front().copied().unwrap_or_default(),
            size: self.size,
            born: self.born,
            reads: self.reads.iter().copied().collect(),
        }
    }
}
