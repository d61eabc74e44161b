//! Records nobody has looked into: a batch of messages in their source's binary format.
//!
//! To build a record's nodes costs as much as to check its message, and much of what passes through an agent is neither asked
//! nor changed. So a reader of a binary format may hand over a *packed* batch: its rows know when and whence the records
//! are, and where their messages stand in the heap, and there are no nodes. What wants to see or change a record has the
//! batch [unpacked](Batch::unpack) first, all of it, by the reader's own means ([`Messages`]). The pipeline does it in front
//! of the first filter and the first output that needs it. A few changes can be made in the messages
//! ([`Batch::edit_messages`]): the commonest cost a copy then, where nodes cost ten.
//!
//! # Invariants
//!
//! - All records of a batch are packed, or none.
//! - A packed batch has no nodes, so asking one for a value is a panic, not a wrong answer. Its tag, signal, scopes, times
//!   and origins are what they will be.
//! - The reader has checked the messages: unpacking can't fail. It sees to it that keys and nodes will not run out, and
//!   says how many keys more there is room for.
//! - A message that was edited says what the record would say had it been unpacked, edited and written. Looked into, its
//!   fields may stand in another order, and a time of observation that would be that of reading is among them.

use std::ops::Range;

use crate::batch::{Batch, MAX_HEAP, RootId, Row, TimeKind};
use crate::path::Path;
use crate::value::Value;

/// How a packed batch is to be read.
#[derive(Clone, Copy)]
pub(crate) struct Packed {
    messages: &'static dyn Messages,
    /// As many rows as there are in the heap's one request, where all of it is theirs.
    whole: Option<usize>,
    /// So many different keys more may come of edits.
    keys_left: usize,
}

/// A binary format, and what can be done with the messages of a batch.
pub trait Messages: Sync {
    /// Builds the records of a batch: gives each row its values ([`Row::with_values_of`]), in place of its message
    /// ([`Row::message`]). The heap may grow, but what stands in it stays.
    fn unpack(&self, batch: &mut Batch);

    /// Who makes these changes in messages, one after the other. `None` if one of them can't be made there.
    fn editor<'e>(&self, edits: &'e [MessageEdit<'e>]) -> Option<Box<dyn MessageEditor + 'e>>;
}

/// Changes messages.
pub trait MessageEditor {
    /// Appends the message as it is with the changes made. `read_at`: when it was read, which a changed record says where
    /// the format has a place for it. `Some(false)`: nothing in it changes, and nothing was appended. `None`: in this one
    /// they can't be made, and what was appended is of no use.
    fn edit(&mut self, message: &[u8], read_at: i64, out: &mut Vec<u8>) -> Option<bool>;

    /// Writes the request anew, each of its messages by [`Rewrite::message`]. `None`: as of [`MessageEditor::edit`].
    fn edit_request(&mut self, request: &[u8], rewrite: &mut Rewrite<'_>) -> Option<()>;
}

/// Messages as they are written anew, one after the other.
pub struct Rewrite<'r> {
    /// Where they are written, and what is around them.
    pub out: &'r mut Vec<u8>,
    /// Where each message stands in `out`.
    pub places: Vec<Range<u32>>,
    /// When the message of that number was read, if it is to be edited. Asked once for each.
    chosen: &'r mut dyn FnMut(usize) -> Option<i64>,
    changed: bool,
}

/// A change of records.
#[derive(Clone, Copy, Debug)]
pub enum MessageEdit<'e> {
    /// As [`Batch::rename`].
    Rename {
        /// What is renamed.
        from: &'e Path,
        /// What it is called then.
        to: &'e Path,
    },
    /// As [`Batch::set`].
    Set {
        /// What is set.
        path: &'e Path,
        /// To this.
        value: &'e Value,
        /// Also where there is a value.
        replace: bool,
    },
    /// As [`Batch::remove`].
    Remove {
        /// What is removed.
        path: &'e Path,
    },
}

// === impl Rewrite ===

impl Rewrite<'_> {
    /// Writes the next message, edited if it is chosen. `None`: as of [`MessageEditor::edit`].
    pub fn message(&mut self, editor: &mut dyn MessageEditor, message: &[u8]) -> Option<()> {
        let from = self.out.len() as u32;
        match (self.chosen)(self.places.len()) {
            Some(read_at) if editor.edit(message, read_at, self.out)? => self.changed = true,
            _ => self.out.extend_from_slice(message),
        }
        self.places.push(from..self.out.len() as u32);
        Some(())
    }
}

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
    /// Says that its rows are packed. `whole`: the heap is one request, and the rows are all that is in it. `keys_left`: so
    /// many keys more than the messages' own there is room for.
    pub fn pack(&mut self, messages: &'static dyn Messages, whole: bool, keys_left: usize) {
        debug_assert_eq!(self.nodes.len(), 1, "a packed batch has no nodes");
        self.packed = Some(Packed { messages, whole: whole.then_some(self.rows.len()), keys_left });
    }

    /// Whether its records are packed.
    pub fn is_packed(&self) -> bool {
        self.packed.is_some()
    }

    /// Builds the records, if they are packed.
    pub fn unpack(&mut self) {
        if let Some(packed) = self.packed.take() {
            packed.messages.unpack(self);
        }
    }

    /// Makes these changes in the messages of `rows`, ascending. Says whether that could be done; if not, nothing was.
    /// `spare` is memory to do it with, from one call to the next.
    pub fn edit_messages(
        &mut self,
        rows: impl IntoIterator<Item = usize>,
        edits: &[MessageEdit<'_>],
        spare: &mut Vec<u8>,
    ) -> bool {
        let Some(packed) = self.packed else { return false };
        // Each may bring a key that no message had.
        let Some(keys_left) = packed.keys_left.checked_sub(edits.len()) else { return false };
        let Some(mut editor) = packed.messages.editor(edits) else { return false };
        spare.clear();
        // Messages grow a little, and to grow a buffer while it fills is to copy it.
        let room = self.heap.len() + self.heap.len() / 8;
        if spare.capacity() < room {
            *spare = Vec::with_capacity(room);
        }
        let mut rows = rows.into_iter().peekable();
        let mut chosen = |row: usize| {
            rows.next_if_eq(&row)?;
            Some(match self.rows[row].time_kind {
                TimeKind::Own => self.read_at,
                TimeKind::Read => self.rows[row].time,
            })
        };
        let places = Vec::with_capacity(self.rows.len());
        let mut rewrite = Rewrite { out: spare, places, chosen: &mut chosen, changed: false };
        let whole = packed.whole.filter(|rows| *rows == self.rows.len());
        let written = if whole.is_some() {
            editor.edit_request(&self.heap, &mut rewrite)
        } else {
            self.rows.iter().try_for_each(|row| rewrite.message(&mut *editor, &self.heap[row.message()]))
        };
        let Rewrite { places, changed, .. } = rewrite;
        if written.is_none() || !changed {
            return written.is_some();
        }
        debug_assert_eq!(places.len(), self.rows.len(), "each message has its place");
        if spare.len() > MAX_HEAP || places.len() != self.rows.len() {
            return false;
        }
        for (row, place) in self.rows.iter_mut().zip(places) {
            (row.root, row.header) = (place.start, place.end);
        }
        std::mem::swap(&mut self.heap, spare);
        self.packed = Some(Packed { whole, keys_left, ..packed });
        true
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
        packed.messages.unpack(&mut few);
        few
    }

    /// The message of a record, if it says all that the record does: it came as that, or was edited as that.
    pub fn message(&self, row: &Row) -> Option<&[u8]> {
        if self.is_packed() {
            return self.heap.get(row.message());
        }
        let message = self.body(row.root()).wire()?;
        let same =
            self.header(row).is_none_or(|header| header.wire().is_some_and(|other| std::ptr::eq(other, message)));
        same.then_some(message)
    }

    /// The request that all records of the batch are in, and nothing but they: nobody has looked into it.
    pub fn request(&self) -> Option<&[u8]> {
        (self.packed?.whole? == self.rows.len()).then_some(&self.heap)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Key, Path, Piece, Scope, Source};

    /// A text a message. To rename anything makes it longer; what is called "odd" can't be changed.
    struct Texts;

    struct Longer;

    impl Messages for Texts {
        fn unpack(&self, batch: &mut Batch) {
            for at in 0..batch.rows.len() {
                let message = batch.rows[at].message();
                let mut map = batch.assemble().unwrap();
                map.put(Key::Name("text"), Piece::Text(message.clone())).unwrap();
                let root = map.finish(Some(message)).unwrap();
                batch.rows[at] = batch.rows[at].with_values_of(Row::new(root, 0, 0, 0));
            }
        }

        fn editor<'e>(&self, edits: &'e [MessageEdit<'e>]) -> Option<Box<dyn MessageEditor + 'e>> {
            let renames = edits.iter().all(|edit| matches!(edit, MessageEdit::Rename { .. }));
            renames.then(|| Box::new(Longer) as Box<dyn MessageEditor>)
        }
    }

    impl MessageEditor for Longer {
        fn edit(&mut self, message: &[u8], _: i64, out: &mut Vec<u8>) -> Option<bool> {
            match message {
                b"odd" => None,
                b"same" => Some(false),
                _ => {
                    out.extend_from_slice(message);
                    out.extend_from_slice(b", longer");
                    Some(true)
                }
            }
        }

        /// Words, a blank between.
        fn edit_request(&mut self, request: &[u8], rewrite: &mut Rewrite<'_>) -> Option<()> {
            request.split(|byte| *byte == b' ').enumerate().try_for_each(|(at, message)| {
                if at > 0 {
                    rewrite.out.push(b' ');
                }
                rewrite.message(self, message)
            })
        }
    }

    fn batch() -> Batch {
        batch_of("one two")
    }

    fn batch_of(text: &str) -> Batch {
        let scope = Arc::new(Scope::new(Arc::new(Source::new("in".into(), 1))));
        let mut batch = Batch::new("t".into(), scope, 0);
        batch.heap_mut().extend_from_slice(text.as_bytes());
        let mut from = 0;
        for word in text.split(' ') {
            let end = from + word.len();
            let time = 5 + batch.rows.len() as i64;
            batch.rows.push(Row::packed(from as u32..end as u32, time, from as u64, end as u64));
            from = end + 1;
        }
        batch.pack(&Texts, true, 2);
        batch
    }

    fn edited(batch: &mut Batch, rows: &[usize], edits: usize) -> bool {
        let path = Path::key("text");
        let edits = vec![MessageEdit::Rename { from: &path, to: &path }; edits];
        batch.edit_messages(rows.iter().copied(), &edits, &mut Vec::new())
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
    fn messages_are_edited_where_they_can_be() {
        let mut batch = batch_of("one same odd four");
        assert!(!edited(&mut batch, &[0, 1, 2, 3], 1) && !edited(&mut batch, &[0], 3), "one is odd; keys are few");
        assert!(edited(&mut batch, &[1], 1), "nothing in it changes");
        assert_eq!((batch.request(), batch.rows[3].message()), (Some(&b"one same odd four"[..]), 13..17));
        let texts = |batch: &Batch| {
            let text = |row| String::from_utf8(batch.message(row).unwrap().to_vec()).unwrap();
            batch.rows.iter().map(text).collect::<Vec<_>>()
        };
        assert!(edited(&mut batch, &[0, 1, 3], 1));
        assert_eq!(batch.request(), Some(&b"one, longer same odd four, longer"[..]), "it is a request still");
        assert_eq!(texts(&batch), ["one, longer", "same", "odd", "four, longer"]);
        batch.rows.remove(2);
        assert!(edited(&mut batch, &[0], 1) && !edited(&mut batch, &[0], 1), "there was room for two keys");
        assert!(batch.is_packed() && batch.request().is_none());
        assert_eq!(texts(&batch), ["one, longer, longer", "same", "four, longer"]);
        assert_eq!((batch.rows[2].time, batch.rows[2].start, batch.rows[2].end), (8, 13, 17));
        let path = Path::key("text");
        assert!(!batch.edit_messages(0..1, &[MessageEdit::Remove { path: &path }], &mut Vec::new()));
        batch.unpack();
        assert_eq!((text(&batch, 0), text(&batch, 2)), ("one, longer, longer".into(), "four, longer".into()));
        assert!(!edited(&mut batch, &[0], 1), "there are no messages any more");
    }

    #[test]
    #[should_panic(expected = "packed")]
    fn whoever_looks_too_early_is_told() {
        let batch = batch();
        let _ = batch.get(&batch.rows[1], &batch.resolve(&Path::key("text")));
    }
}
