//! What the writer, the reader and those who push need to know of each other.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use suiro_sdk::Part;

use super::frame::SEGMENT_HEADER;

/// Behind one lock, which is never held over I/O.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// Parts that nobody has encoded yet.
    pub(super) staged: VecDeque<Staged>,
    /// Charges of these and of the frames that are not published yet, bytes. 0 only if there are none.
    pub(super) staged_bytes: usize,
    /// Charges of what the driver has, bytes.
    pub(super) under_way: usize,
    /// Nothing more will be pushed.
    pub(super) closed: bool,
    /// Somebody was turned away and waits for room.
    pub(super) turned_away: bool,
    /// The driver could have had more if less were under way.
    pub(super) starved: bool,
    /// A segment could not be opened just now: to be tried again.
    pub(super) read_later: bool,
    /// By base.
    segments: BTreeMap<u64, Segment>,
    disk_bytes: u64,
    /// Where the next frame is, if there is one.
    cursor: Cursor,
    /// The reader is at it.
    reading: bool,
    /// Below are only positions that were settled when the queue was opened.
    mark: u64,
    /// Ranges above the mark that were settled then.
    settled: Vec<Range<u64>>,
}

/// A part that waits to be encoded.
#[derive(Debug)]
pub(super) struct Staged {
    /// The part.
    pub(super) part: Part,
    /// Bytes.
    pub(super) charge: usize,
}

/// A segment file.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// Bytes of the file, as far as it was written.
    pub(super) len: u64,
    /// Up to here it may be read.
    pub(super) published: u64,
    /// This run writes or wrote it.
    pub(super) own: bool,
    /// Nothing will be appended.
    pub(super) closed: bool,
    /// There is something in it that can't be read; nothing behind it will be.
    pub(super) damaged: bool,
    /// Records published, if it is our own.
    pub(super) records: usize,
    /// Records of these that were read.
    pub(super) records_read: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    base: u64,
    offset: u64,
}

/// Where a frame is, or should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The segment.
    pub(super) base: u64,
    /// In its file.
    pub(super) offset: u64,
    /// End of what may be read in the file.
    pub(super) limit: u64,
    /// Whether this run wrote it.
    pub(super) own: bool,
}

// === impl Segment ===

impl Segment {
    /// One of an earlier run, `len` bytes long.
    pub(super) fn found(len: u64) -> Self {
        Segment { len, published: len, own: false, closed: true, damaged: false, records: 0, records_read: 0 }
    }

    /// One that was just created, with its header.
    pub(super) fn created() -> Self {
        Segment { own: true, closed: false, ..Segment::found(SEGMENT_HEADER) }
    }

    /// One past its last position, if it starts at `base`.
    fn end(&self, base: u64) -> u64 {
        base.saturating_add(self.len.saturating_sub(SEGMENT_HEADER))
    }
}

// === impl Place ===

impl Place {
    /// Its position.
    pub(super) fn position(&self) -> u64 {
        self.base + (self.offset - SEGMENT_HEADER)
    }
}

// === impl Book ===

impl Book {
    /// A book of no segments, everything below `mark` and in `settled` being settled.
    pub(super) fn new(mark: u64, settled: Vec<Range<u64>>) -> Self {
        Book { mark, settled, ..Book::default() }
    }

    /// Enters a segment.
    pub(super) fn add(&mut self, base: u64, segment: Segment) {
        self.disk_bytes += segment.len;
        self.segments.insert(base, segment);
    }

    /// Strikes a segment out.
    pub(super) fn remove(&mut self, base: u64) -> Option<Segment> {
        let segment = self.segments.remove(&base)?;
        self.disk_bytes -= segment.len;
        Some(segment)
    }

    /// A segment.
    pub(super) fn segment(&mut self, base: u64) -> Option<&mut Segment> {
        self.segments.get_mut(&base)
    }

    /// A segment is `len` bytes long now.
    pub(super) fn resize(&mut self, base: u64, len: u64) {
        if let Some(segment) = self.segments.get_mut(&base) {
            self.disk_bytes = self.disk_bytes - segment.len + len;
            segment.len = len;
        }
    }

    /// Bytes of all segments.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.disk_bytes
    }

    /// How many segments there are.
    pub(super) fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// Above everything that was ever written or settled.
    pub(super) fn end(&self) -> u64 {
        let settled = self.settled.last().map_or(self.mark, |range| range.end);
        self.segments.iter().map(|(&base, segment)| segment.end(base)).max().unwrap_or(0).max(settled)
    }

    /// Where the next frame should be.
    pub(super) fn next_place(&self) -> Option<Place> {
        self.segments.range(self.cursor.base..).find_map(|(&base, segment)| {
            let from = if base == self.cursor.base { self.cursor.offset } else { 0 };
            // What is below the mark was settled by an earlier run.
            let settled = SEGMENT_HEADER + self.mark.saturating_sub(base);
            let offset = from.max(settled);
            let there = !segment.damaged && offset < segment.published;
            there.then_some(Place { base, offset, limit: segment.published, own: segment.own })
        })
    }

    /// The reader takes the next place: until it says how it went, nobody drops that segment.
    pub(super) fn begin_reading(&mut self) -> Option<Place> {
        let place = self.next_place()?;
        self.cursor = Cursor { base: place.base, offset: place.offset };
        self.reading = true;
        Some(place)
    }

    /// The reader is through with `bytes` there.
    pub(super) fn end_reading(&mut self, bytes: u64) {
        self.cursor.offset += bytes;
        self.reading = false;
    }

    /// Where all is read: one past the last position of the segments to which nothing will be appended.
    pub(super) fn closed_end(&self) -> Option<u64> {
        self.segments.iter().filter(|(_, segment)| segment.closed).map(|(&base, segment)| segment.end(base)).max()
    }

    /// Whether an earlier run has settled all of the range.
    pub(super) fn was_settled(&self, range: &Range<u64>) -> bool {
        range.end <= self.mark || self.settled.iter().any(|done| done.start <= range.start && range.end <= done.end)
    }

    /// Ranges that an earlier run had settled.
    pub(super) fn settled_before(&self) -> &[Range<u64>] {
        &self.settled
    }

    /// Segments that are of no use any more, if everything below `mark` is settled.
    pub(super) fn settled_segments(&self, mark: u64) -> Vec<(u64, Segment)> {
        self.segments
            .iter()
            .filter(|(base, segment)| segment.closed && segment.end(**base) <= mark)
            .map(|(&base, segment)| (base, segment.clone()))
            .collect()
    }

    /// Strikes out the oldest segment of which nothing was read and to which nothing will be appended.
    pub(super) fn take_oldest_unread(&mut self) -> Option<(u64, Segment)> {
        let Cursor { base: at, offset } = self.cursor;
        let untouched = |base: u64| base > at || (base == at && !self.reading && offset <= SEGMENT_HEADER);
        let unread = |base: u64, segment: &Segment| segment.closed && !segment.damaged && untouched(base);
        let base = self.segments.iter().find(|(base, segment)| unread(**base, segment)).map(|(&base, _)| base)?;
        self.remove(base).map(|segment| (base, segment))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames that are counted as dropped must not be delivered as well.
    #[test]
    fn what_is_being_read_is_not_dropped() {
        let mut book = Book::new(0, Vec::new());
        book.add(0, Segment::found(SEGMENT_HEADER + 10));
        book.add(10, Segment::found(SEGMENT_HEADER + 10));
        let place = book.begin_reading().expect("a frame");
        assert_eq!((place.base, place.position()), (0, 0));
        assert_eq!(book.take_oldest_unread().map(|(base, _)| base), Some(10));
        assert!(book.take_oldest_unread().is_none());
        book.end_reading(0);
        assert_eq!(book.take_oldest_unread().map(|(base, _)| base), Some(0));
        assert_eq!((book.disk_bytes(), book.segment_count()), (0, 0));
    }
}
