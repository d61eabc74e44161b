//! Reading back: what the driver pops, and how damage is met.

use std::io;
use std::ops::Range;

use suiro_record::Batch;
use suiro_sdk::{Part, Reason, Rows};

use super::book::{Place, Segment};
use super::decode::{Damage, Decoder};
use super::frame::{PREFIX, Prefix, SEGMENT_HEADER, segment_header, segment_name};
use super::fs::{File, read_full};
use super::shared::Core;
use crate::queue::Queued;

/// A buffer that has grown beyond this is not kept. Bytes.
const KEPT_CAPACITY: usize = 4 << 20;

/// What the reader keeps between two frames.
#[derive(Default)]
pub(super) struct Reader {
    /// The segment it is at.
    open: Option<(u64, Box<dyn File>)>,
    frame: Vec<u8>,
    decoder: Decoder,
    /// Up to here the driver's tracker knows that all is read.
    told: u64,
}

/// What is at a place.
enum Found {
    /// A frame, and its records.
    Batch(Prefix, Box<Batch>),
    /// A frame that an earlier run has settled.
    Settled(Prefix),
    /// A frame that is not what was written; its prefix is.
    Corrupt(Prefix, Option<Damage>),
    /// The file ends before the frame does.
    Torn,
    /// Nothing that says where the next frame is.
    Damaged(String),
    /// There is no room in memory for it now.
    TooMuch,
    /// The file can't be opened now.
    Later(io::Error),
}

// === impl Core ===

impl Core {
    /// The next part, if there is one and memory for it.
    pub(super) fn pop(&self) -> Option<Queued> {
        let mut reader = self.reader.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        loop {
            let mut book = self.book();
            let Some(place) = book.begin_reading() else {
                let end = book.closed_end().unwrap_or(0);
                // Space is free when nobody has the file open.
                reader.open.take_if(|(base, _)| book.segment(*base).is_none());
                drop(book);
                if end > reader.told {
                    // What is behind the last whole frame of a segment counts as settled, too.
                    reader.told = end;
                    self.tracker.advance(end);
                    self.bell.ring();
                }
                return None;
            };
            drop(book);
            match reader.look(self, &place) {
                Found::Batch(prefix, batch) => return Some(self.hand_over(&place, prefix, *batch)),
                Found::Settled(prefix) => self.book().end_reading(prefix.frame_len()),
                Found::Corrupt(prefix, damage) => self.corrupt(&place, prefix, damage, &reader.frame),
                Found::Torn if place.own => self.damaged(&place, "it was cut"),
                Found::Torn => {
                    let bytes = place.limit - place.offset;
                    tracing::info!(
                        output = %self.setup.name,
                        "the queue's segment {} ends in the middle of a frame of {bytes} bytes: it was being written \
                         when the agent ended, and is read again from its source",
                        segment_name(place.base)
                    );
                    self.book().end_reading(bytes);
                }
                Found::Damaged(what) => self.damaged(&place, &what),
                Found::TooMuch => {
                    // `done` may have come in between: then nobody else would say that there is room again.
                    let mut book = self.book();
                    book.end_reading(0);
                    if book.under_way > 0 {
                        book.starved = true;
                        return None;
                    }
                }
                Found::Later(error) => {
                    let mut book = self.book();
                    book.end_reading(0);
                    book.read_later = true;
                    drop(book);
                    let what = format!("{} can't be read: {error}", self.setup.folder.display());
                    self.setup.health.degraded(&self.block(), &what);
                    tracing::error!(output = %self.setup.name, "the queue in {what}; trying again");
                    self.bell.ring();
                    return None;
                }
            }
        }
    }

    /// The queue's name in the agent's health: its driver has trouble of its own.
    pub(super) fn block(&self) -> String {
        format!("{}.queue", self.setup.name)
    }

    fn hand_over(&self, place: &Place, prefix: Prefix, batch: Batch) -> Queued {
        let records = prefix.records as usize;
        let charge = batch.capacity().max(1);
        let position = place.position();
        let receipt = self.tracker.open(position..position + prefix.frame_len(), records as u64);
        let mut book = self.book();
        if !place.own {
            self.recovered(records);
        } else if let Some(segment) = book.segment(place.base) {
            segment.records_read += records;
        }
        book.end_reading(prefix.frame_len());
        book.under_way += charge;
        drop(book);
        Queued { part: Part { batch: self.setup.pool.share(batch), rows: Rows::All, custody: receipt.into() }, charge }
    }

    fn corrupt(&self, place: &Place, prefix: Prefix, damage: Option<Damage>, frame: &[u8]) {
        let records = prefix.records as usize;
        let kept = match self.quarantine.keep(&*self.fs, frame) {
            Ok(true) => "its bytes are in the file `quarantine`".to_owned(),
            Ok(false) => "the quarantine is full".to_owned(),
            Err(error) => format!("it can't be put in quarantine: {error}"),
        };
        let why = damage.map_or_else(|| "its checksum does not match".to_owned(), |damage| damage.to_string());
        tracing::error!(
            output = %self.setup.name,
            "a frame of {records} records in the queue's segment {} is dropped: {why}; {kept}",
            segment_name(place.base)
        );
        let mut book = self.book();
        if !place.own {
            self.recovered(records);
        } else if let Some(segment) = book.segment(place.base) {
            segment.records_read += records;
        }
        book.end_reading(prefix.frame_len());
        drop(book);
        self.dropped(records, Reason::CORRUPT);
    }

    fn damaged(&self, place: &Place, what: &str) {
        let mut book = self.book();
        book.end_reading(0);
        let mut lost = 0;
        if let Some(segment) = book.segment(place.base) {
            segment.damaged = true;
            lost = segment.records.saturating_sub(segment.records_read);
            segment.records_read = segment.records;
        }
        drop(book);
        self.dropped(lost, Reason::CORRUPT);
        let known = if place.own { format!("{lost} records") } else { "an unknown number of records".to_owned() };
        tracing::error!(
            output = %self.setup.name,
            "the queue's segment {} is damaged at byte {}: {what}; {} bytes with {known} can't be read and are set aside",
            segment_name(place.base),
            place.offset,
            place.limit - place.offset
        );
        // The writer may be appending to it.
        self.bell.ring();
    }

    /// Records of a segment of an earlier run that nobody has read, as far as its prefixes tell.
    pub(super) fn count_unread(&self, base: u64, segment: &Segment) -> io::Result<usize> {
        let file = self.fs.open(&segment_name(base), false)?;
        let mut place = Place { base, offset: SEGMENT_HEADER, limit: segment.published, own: false };
        let mut records = 0;
        let mut bytes = [0; PREFIX];
        while place.offset + PREFIX as u64 <= place.limit && read_full(&*file, &mut bytes, place.offset)? == PREFIX {
            let Some(prefix) = Prefix::read(&bytes) else { break };
            if !self.book().was_settled(&range(&place, prefix)) {
                records += prefix.records as usize;
            }
            place.offset += prefix.frame_len();
        }
        Ok(records)
    }
}

fn range(place: &Place, prefix: Prefix) -> Range<u64> {
    place.position()..place.position() + prefix.frame_len()
}

// === impl Reader ===

impl Reader {
    /// What is at `place`.
    fn look(&mut self, core: &Core, place: &Place) -> Found {
        let file = match open_segment(&mut self.open, core, place.base) {
            Ok(file) => file,
            Err(found) => return found,
        };
        let unreadable = |error: io::Error| Found::Damaged(format!("it can't be read: {error}"));
        let left = place.limit - place.offset;
        let mut bytes = [0; PREFIX];
        match read_full(file, &mut bytes, place.offset) {
            Ok(PREFIX) if left >= PREFIX as u64 => {}
            Ok(_) => return Found::Torn,
            Err(error) => return unreadable(error),
        }
        let Some(prefix) = Prefix::read(&bytes) else {
            return Found::Damaged("what should be a frame is none".to_owned());
        };
        if prefix.frame_len() > left {
            return Found::Torn;
        }
        {
            let book = core.book();
            if book.was_settled(&range(place, prefix)) {
                return Found::Settled(prefix);
            }
            // Nodes take about as much as text, and the heap a copy of it.
            let estimate = prefix.payload_len as usize * 2;
            if book.under_way > 0 && book.under_way + estimate > core.share {
                return Found::TooMuch;
            }
        }
        if self.frame.capacity() > KEPT_CAPACITY {
            self.frame = Vec::new();
        }
        // As long as the file, at most: see `left`.
        self.frame.resize(PREFIX + prefix.payload_len as usize, 0);
        match read_full(file, &mut self.frame, place.offset) {
            Ok(read) if read == self.frame.len() => {}
            Ok(_) => return Found::Torn,
            Err(error) => return unreadable(error),
        }
        let payload = &self.frame[PREFIX..];
        if !prefix.matches(payload) {
            return Found::Corrupt(prefix, None);
        }
        match self.decoder.decode(payload, prefix.records, &core.setup.pool) {
            Ok(batch) => Found::Batch(prefix, Box::new(batch)),
            Err(damage) => Found::Corrupt(prefix, Some(damage)),
        }
    }
}

/// The segment's file, kept open from one frame to the next. Its header is checked once.
fn open_segment<'o>(open: &'o mut Option<(u64, Box<dyn File>)>, core: &Core, base: u64) -> Result<&'o dyn File, Found> {
    let (_, file) = match open.take() {
        Some(same) if same.0 == base => open.insert(same),
        _ => {
            let file = core.fs.open(&segment_name(base), false).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => Found::Damaged("somebody removed it".to_owned()),
                _ => Found::Later(error),
            })?;
            let mut header = [0; SEGMENT_HEADER as usize];
            match read_full(&*file, &mut header, 0) {
                Ok(_) if header == segment_header(base) => open.insert((base, file)),
                Ok(_) => return Err(Found::Damaged("its header is none of this version's".to_owned())),
                Err(error) => return Err(Found::Damaged(format!("it can't be read: {error}"))),
            }
        }
    };
    Ok(&**file)
}
