//! From the messages that came at once to batches.
//!
//! A burst is read in pieces: a piece is one batch, of one tag, and as large as a batch should be. So what is in memory
//! beside the bytes of a burst is one piece, however many records a few bytes may stand for.
//!
//! Where a piece is all of a burst, which is the common case, its bytes become the batch's heap as they are. Otherwise a
//! piece gets a copy of its own stretch of them. Either way the nodes of its records point at where their texts will
//! stand.

use std::ops::Range;
use std::sync::Arc;

use suiro_record::{Batch, EditError, Scope};
use suiro_sdk::decompress::{DecompressError, Decompressor, Encoding};

use crate::event::{self, Place, Refused};
use crate::group;
use crate::message::{Events, Message, MessageError};
use crate::msgpack::{Broken, Reader};

/// A piece ends when its tables and the groups of its records have so many bytes.
const PIECE: usize = 2 << 20;
/// Bytes of an event, at least: `[time, record]`.
const SMALLEST: usize = 3;
/// A batch gets a copy of its bytes if they are less than this part of a buffer: a small one must not keep a large one.
const WORTH_KEEPING: usize = 2;

/// Messages that came at once.
#[derive(Debug)]
pub struct Burst {
    /// What came: whole messages.
    wire: Sheet,
    /// Events of the message at hand, decompressed.
    unpacked: Option<Sheet>,
    /// Where each message ends, and how many are read.
    ends: Vec<usize>,
    done: usize,
    /// Bytes a message may have, as it came and decompressed.
    limit: usize,
    /// Where the next bytes stand that are decompressed.
    next_base: u64,
    /// The message at hand.
    open: Option<Open>,
    /// What is to be sent back once all of the burst is answered for.
    acks: Vec<u8>,
    refused: Refusals,
}

/// Bytes that records stand on.
#[derive(Debug)]
struct Sheet {
    bytes: Vec<u8>,
    /// Where they begin in the source.
    base: u64,
    /// Some of them were given away already.
    is_cut: bool,
}

/// A message of which events are still to be read.
#[derive(Debug)]
struct Open {
    /// Its tag, in the wire's bytes.
    tag: Range<usize>,
    /// Where its next event begins, and where they end.
    at: usize,
    end: usize,
    /// Events there are still to be; `None`: as many as there are.
    left: Option<u32>,
    /// The same as its sender says; 0: it does not.
    promised: u64,
    /// Whether an event is a list; the only one of a message is not.
    is_listed: bool,
    group: Option<Arc<Scope>>,
}

/// What was no record.
#[derive(Debug, Default)]
pub struct Refusals {
    /// Events, or messages, that are not what they should be.
    pub malformed: usize,
    /// Events that are too large for a record.
    pub too_large: usize,
    /// What was wrong with the first.
    pub why: Option<String>,
}

/// Why a message is refused whole. Nothing behind it is read: who sends it will not send better.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BurstError {
    /// It is no message.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// It is larger than it may be.
    #[error("a message is larger than {0} bytes: raise `max_message`, or have its sender send less at once")]
    TooLarge(usize),
    /// Its events can't be decompressed.
    #[error("its events can't be decompressed: {0}")]
    Decompress(#[from] DecompressError),
}

/// What became of an event.
enum Step {
    /// It is dealt with; there may be another one.
    Done,
    /// The batch has no room for it: it is to be read again into a fresh one.
    NoRoom,
    /// There was none: the message is read.
    Ended,
}

// === impl Burst ===

impl Burst {
    /// The messages in `bytes`, which end at `ends`. They begin at `base` of the source; a message may have `limit` bytes, and
    /// as many once it is decompressed.
    pub fn new(mut bytes: Vec<u8>, ends: Vec<usize>, base: u64, limit: usize) -> Self {
        bytes.truncate(ends.last().copied().unwrap_or(0));
        let next_base = base + bytes.len() as u64;
        let wire = Sheet { bytes, base, is_cut: false };
        Burst {
            wire,
            unpacked: None,
            ends,
            done: 0,
            limit,
            next_base,
            open: None,
            acks: Vec::new(),
            refused: Refusals::default(),
        }
    }

    /// Where the source goes on behind all of it.
    pub fn next_base(&self) -> u64 {
        self.next_base
    }

    /// What its senders are told once it is answered for: empty if nobody waits.
    pub fn take_acks(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.acks)
    }

    /// What was no record so far.
    pub fn take_refusals(&mut self) -> Refusals {
        std::mem::take(&mut self.refused)
    }

    /// Memory to be used again: that of the bytes, or that which stood in a batch in their place.
    pub fn into_spare(self) -> Vec<u8> {
        let mut spare = self.wire.bytes;
        spare.clear();
        spare
    }

    /// The next batch; `None` behind the last. `open` makes an empty one for a tag. After an error the messages in front of
    /// the one that is refused are all read, and are acknowledged like others.
    pub fn next(
        &mut self,
        decompressor: &mut Decompressor,
        open: &mut dyn FnMut(&[u8]) -> Batch,
    ) -> Result<Option<Batch>, BurstError> {
        loop {
            if self.open.is_none() && !self.begin(decompressor)? {
                return Ok(None);
            }
            if let Some(batch) = self.piece(open) {
                return Ok(Some(batch));
            }
        }
    }

    /// Opens the next message that has events. Says whether there is one.
    fn begin(&mut self, decompressor: &mut Decompressor) -> Result<bool, BurstError> {
        while let Some(message) = self.peek() {
            let Some(message) = message? else {
                self.done += 1;
                continue;
            };
            let mut opened = Open::new(&message);
            if let Events::Packed(span, encoding) = &message.events
                && *encoding != Encoding::Identity
            {
                let mut bytes = Vec::new();
                decompressor.decompress(*encoding, &self.wire.bytes[span.clone()], self.limit, &mut bytes)?;
                (opened.at, opened.end) = (0, bytes.len());
                let base = self.next_base;
                self.next_base += bytes.len() as u64;
                self.unpacked = Some(Sheet { bytes, base, is_cut: false });
            }
            self.accept(&message);
            self.open = Some(opened);
            return Ok(true);
        }
        Ok(false)
    }

    /// The next message, if there is one; `None` within: a heartbeat.
    fn peek(&self) -> Option<Result<Option<Message>, BurstError>> {
        let end = *self.ends.get(self.done)?;
        let start = self.done.checked_sub(1).map_or(0, |before| self.ends[before]);
        if end - start > self.limit {
            return Some(Err(BurstError::TooLarge(self.limit)));
        }
        Some(Message::read(&self.wire.bytes, start..end).map_err(BurstError::from))
    }

    fn accept(&mut self, message: &Message) {
        self.done += 1;
        if let Some(chunk) = &message.chunk {
            self.acks.extend_from_slice(b"\x81\xa3ack");
            self.acks.extend_from_slice(&self.wire.bytes[chunk.clone()]);
        }
    }

    /// A batch of the message at hand, and of those behind it that are of the same tag.
    fn piece(&mut self, open: &mut dyn FnMut(&[u8]) -> Batch) -> Option<Batch> {
        let tag = self.open.as_ref()?.tag.clone();
        let mut batch = open(&self.wire.bytes[tag.clone()]);
        let sheet = self.unpacked.as_ref().unwrap_or(&self.wire);
        let from = if sheet.is_cut { self.open.as_ref()?.at } else { 0 };
        let shift = 0_usize.wrapping_sub(from);
        let mut to = from;
        let mut groups = 0;
        while let Some(at_hand) = &mut self.open {
            let sheet = self.unpacked.as_ref().unwrap_or(&self.wire);
            let place = Place { bytes: &sheet.bytes, shift, base: sheet.base };
            let scopes = batch.scopes().len();
            let step = at_hand.step(place, &mut batch, &mut self.refused);
            groups += batch.scopes()[scopes..].iter().map(|scope| group::size(scope)).sum::<usize>();
            to = at_hand.at;
            match step {
                Step::Done if batch.used() + groups < PIECE => {}
                Step::Done | Step::NoRoom => break,
                Step::Ended => {
                    self.open = None;
                    self.follow(&tag);
                }
            }
        }
        self.give(&mut batch, from..to);
        (!batch.is_empty()).then_some(batch)
    }

    /// Opens the next message if its events go on where those of the last one stood, under the same tag.
    fn follow(&mut self, tag: &Range<usize>) {
        while self.unpacked.is_none() {
            match self.peek() {
                Some(Ok(None)) => self.done += 1,
                Some(Ok(Some(message))) => {
                    let is_plain = !matches!(message.events, Events::Packed(_, how) if how != Encoding::Identity);
                    if is_plain && self.wire.bytes[message.tag.clone()] == self.wire.bytes[tag.clone()] {
                        self.accept(&message);
                        self.open = Some(Open::new(&message));
                    }
                    return;
                }
                // What is wrong with it is said when it is its turn.
                Some(Err(_)) | None => return,
            }
        }
    }

    /// Gives a batch the bytes its records stand on.
    fn give(&mut self, batch: &mut Batch, stretch: Range<usize>) {
        let is_last = self.open.is_none() && (self.unpacked.is_some() || self.done == self.ends.len());
        let sheet = self.unpacked.as_mut().unwrap_or(&mut self.wire);
        let is_worth_it = stretch.len().saturating_mul(WORTH_KEEPING) >= sheet.bytes.capacity();
        if !batch.is_empty() {
            let heap = batch.heap_mut();
            if is_last && stretch.start == 0 && is_worth_it {
                std::mem::swap(heap, &mut sheet.bytes);
            } else {
                heap.extend_from_slice(&sheet.bytes[stretch]);
            }
            sheet.is_cut = true;
        }
        if self.open.is_none() {
            self.unpacked = None;
        }
    }
}

// === impl Open ===

impl Open {
    fn new(message: &Message) -> Self {
        let (span, left, is_listed) = match &message.events {
            Events::One(span) => (span, Some(1), false),
            Events::List(span, events) => (span, Some(*events), true),
            Events::Packed(span, _) => (span, None, true),
        };
        let (tag, promised) = (message.tag.clone(), message.size);
        Open { tag, at: span.start, end: span.end, left, promised, is_listed, group: None }
    }

    /// Events that can't be found any more from the one at hand on: as many as its sender says, as far as there are bytes
    /// for them.
    fn lost(&self) -> usize {
        let bytes = self.end - self.at;
        usize::try_from(self.promised).unwrap_or(usize::MAX).min(bytes / SMALLEST).max(1)
    }

    /// Reads the next event.
    fn step(&mut self, place: Place<'_>, batch: &mut Batch, refused: &mut Refusals) -> Step {
        if self.at >= self.end || self.left == Some(0) {
            return Step::Ended;
        }
        let mark = batch.mark();
        let mut reader = Reader::new(place.bytes, self.at..self.end);
        match event::read(place, &mut reader, self.is_listed, batch, &mut self.group) {
            Ok(()) => {}
            Err(Refused::Unfit(EditError::Full)) if !batch.is_empty() => {
                batch.cut(mark);
                return Step::NoRoom;
            }
            Err(why) => {
                batch.cut(mark);
                reader = Reader::new(place.bytes, self.at..self.end);
                let values = if self.is_listed { 1 } else { 2 };
                if let Err(broken) = (0..values).try_for_each(|_| reader.skip()) {
                    refused.note_rest(self.lost(), broken);
                    self.at = self.end;
                    return Step::Ended;
                }
                refused.note(&why);
            }
        }
        self.at = reader.at();
        self.left = self.left.map(|left| left - 1);
        self.promised = self.promised.saturating_sub(1);
        Step::Done
    }
}

// === impl Refusals ===

impl Refusals {
    fn note(&mut self, why: &Refused) {
        match why {
            Refused::Broken(_) | Refused::Shape(_) => self.malformed += 1,
            Refused::Unfit(_) | Refused::TooLarge(_) => self.too_large += 1,
        }
        self.why.get_or_insert_with(|| why.to_string());
    }

    /// Packed events, of which none can be found. Their chunk is acknowledged all the same: its sender has nothing better to
    /// send, and would send what was read with it again and again.
    fn note_rest(&mut self, events: usize, broken: Broken) {
        self.malformed += events;
        self.why.get_or_insert_with(|| format!("{broken}, and what follows in its chunk can't be found"));
    }
}
