//! Records nobody has looked into: a batch of messages in their source's binary format.
//!
//! To build a record's nodes costs as much as to check its message, and much of what passes through an agent is neither asked
//! nor changed. So a reader of a binary format may hand over a *packed* batch: its rows know when and whence the records
//! are, and where their messages stand in the heap, and there are no nodes. What wants to see or change a record has the
//! batch [unpacked](Batch::unpack) first, all of it, by the function its reader left. The pipeline does it in front of the
//! first filter and the first output that needs it.
//!
//! # Invariants
//!
//! - All records of a batch are packed, or none.
//! - A packed batch has no nodes, so asking one for a value is a panic, not a wrong answer. Its tag, signal, scopes, times
//!   and origins are what they will be.
//! - The reader has checked the messages: unpacking can't fail. It sees to it that keys and nodes will not run out.

use std::ops::Range;

use crate::batch::{Batch, RootId, Row};

/// How a packed batch is to be read.
#[derive(Clone, Copy)]
pub(crate) struct Packed {
    unpack: Unpack,
    /// As many rows as there are in the heap's one request, where all of it is theirs.
    whole: Option<usize>,
}

/// Builds the records of a batch: gives each row its values ([`Row::with_values_of`]), in place of its message ([`Row::message`]).
/// The heap may grow, but what stands in it stays.
pub type Unpack = fn(&mut Batch);

// === impl Row ===

impl Row {
    /// A record whose message stands there in the heap, to be unpacked.
    #[must_use]
    pub fn packed(message: Range<u32>, time: i64, start: u64, end: u64) -> Self {
        Row { header: message.end, ..Row::new(RootId(message.start), time, start, end) }
    }

    /// Where the message of a packed record stands in the heap.
    pub fn message(&self) -> Range<usize> {
        self.root as usize..self.header as usize
    }

    /// The record of a packed row with the values of `built`.
    #[must_use]
    pub fn with_values_of(self, built: Row) -> Self {
        Row { root: built.root, header: built.header, ..self }
    }
}

// === impl Batch ===

impl Batch {
    /// Says that its rows are packed. `whole`: the heap is one request, and the rows are all that is in it.
    pub fn pack(&mut self, unpack: Unpack, whole: bool) {
        debug_assert_eq!(self.nodes.len(), 1, "a packed batch has no nodes");
        self.packed = Some(Packed { unpack, whole: whole.then_some(self.rows.len()) });
    }

    /// Whether its records are packed.
    pub fn is_packed(&self) -> bool {
        self.packed.is_some()
    }

    /// Builds the records, if they are packed.
    pub fn unpack(&mut self) {
        if let Some(packed) = self.packed.take() {
            (packed.unpack)(self);
        }
    }

    /// A batch of nothing but these records of it, unpacked.
    #[must_use]
    pub fn unpacked<'r>(&self, rows: impl IntoIterator<Item = &'r Row>) -> Batch {
        let mut few = self.sibling(self.tag.clone());
        let Some(packed) = self.packed else {
            // There was room for all of them, so there is for some.
            let _ = few.import_all(self, rows);
            return few;
        };
        for row in rows {
            let from = few.heap.len() as u32;
            few.heap.extend_from_slice(&self.heap[row.message()]);
            few.rows.push(Row { root: from, header: few.heap.len() as u32, ..*row });
        }
        (packed.unpack)(&mut few);
        few
    }

    /// The message a record came as, if nobody has changed anything of it since.
    pub fn message(&self, row: &Row) -> Option<&[u8]> {
        if self.is_packed() {
            return self.heap.get(row.message());
        }
        let message = self.body(row.root()).wire()?;
        let same =
            self.header(row).is_none_or(|header| header.wire().is_some_and(|other| std::ptr::eq(other, message)));
        same.then_some(message)
    }

    /// The request all records of the batch came in, and nothing but they: nobody has looked into it.
    pub fn request(&self) -> Option<&[u8]> {
        (self.packed?.whole? == self.rows.len()).then_some(&self.heap)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Key, Path, Piece, Scope, Source};

    /// A text a message.
    fn unpack(batch: &mut Batch) {
        for at in 0..batch.rows.len() {
            let message = batch.rows[at].message();
            let mut map = batch.assemble().unwrap();
            map.put(Key::Name("text"), Piece::Text(message.clone())).unwrap();
            let root = map.finish(Some(message)).unwrap();
            batch.rows[at] = batch.rows[at].with_values_of(Row::new(root, 0, 0, 0));
        }
    }

    fn batch() -> Batch {
        let scope = Arc::new(Scope::new(Arc::new(Source::new("in".into(), 1))));
        let mut batch = Batch::new("t".into(), scope, 0);
        batch.heap_mut().extend_from_slice(b"one two");
        batch.rows.push(Row::packed(0..3, 5, 0, 3));
        batch.rows.push(Row::packed(4..7, 6, 4, 7));
        batch.pack(unpack, true);
        batch
    }

    fn text(batch: &Batch, row: usize) -> String {
        let field = batch.get(&batch.rows[row], &batch.resolve(&Path::key("text"))).unwrap();
        field.as_str().unwrap().into_owned()
    }

    #[test]
    fn it_is_built_when_somebody_looks() {
        let mut batch = batch();
        assert_eq!((batch.request(), batch.message(&batch.rows[1])), (Some(&b"one two"[..]), Some(&b"two"[..])));
        batch.compact();
        assert!(batch.is_packed() && format!("{batch:?}").contains("packed"));
        batch.unpack();
        batch.unpack();
        assert!(!batch.is_packed() && batch.request().is_none());
        assert_eq!((text(&batch, 0), text(&batch, 1)), ("one".into(), "two".into()));
        assert_eq!(batch.message(&batch.rows[1]), Some(&b"two"[..]));
        assert_eq!((batch.rows[1].time, batch.rows[1].start), (6, 4));
    }

    #[test]
    fn some_of_it_may_be_built() {
        let mut whole = batch();
        let few = whole.unpacked(&whole.rows[1..]);
        assert_eq!((few.len(), text(&few, 0), few.heap()), (1, "two".into(), &b"two"[..]));
        assert!(whole.is_packed());
        whole.rows.truncate(1);
        assert_eq!((whole.request(), whole.message(&whole.rows[0])), (None, Some(&b"one"[..])));
        whole.unpack();
        assert_eq!(text(&whole.unpacked(&whole.rows), 0), "one");
    }

    #[test]
    #[should_panic(expected = "packed")]
    fn whoever_looks_too_early_is_told() {
        let batch = batch();
        let _ = batch.get(&batch.rows[1], &batch.resolve(&Path::key("text")));
    }
}
