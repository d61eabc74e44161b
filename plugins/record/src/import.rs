//! Moving values: within a batch, into another one, and into a fresh one when little of a batch lives.
//!
//! A clean container moves as it is: its text in one copy (none within a batch), its nodes in one run with their links
//! shifted. Only dirty containers are walked, and those that came in another format than JSON.

use std::sync::Arc;

use crate::batch::{Batch, Row};
use crate::edit::EditError;
use crate::node::{DIRTY, DUPLICATES, NO_KEY, Node, NodeId, Tag};

/// Translates keys and scopes of one batch into those of another; good for as long as both live.
#[derive(Debug, Default)]
struct Translation {
    keys: Vec<u16>,
    scopes: Vec<Option<u16>>,
}

impl Batch {
    /// Copies record `row` of `from` into this batch, origin, scope and header included. Its index.
    pub fn import(&mut self, from: &Batch, row: &Row) -> Result<usize, EditError> {
        self.import_with(from, row, &mut Translation::default())
    }

    /// Copies records of `from` into this batch.
    pub fn import_all<'r>(&mut self, from: &Batch, rows: impl IntoIterator<Item = &'r Row>) -> Result<(), EditError> {
        let mut words = Translation::default();
        rows.into_iter().try_for_each(|row| self.import_with(from, row, &mut words).map(drop))
    }

    /// A copy in buffers no larger than it needs.
    pub fn fitted(&self) -> Result<Batch, EditError> {
        let mut small = self.sibling(self.tag.clone());
        if self.is_packed() {
            small.heap.extend_from_slice(&self.heap);
            small.rows.extend_from_slice(&self.rows);
            small.packed = self.packed;
        } else {
            small.import_all(self, &self.rows)?;
        }
        Ok(small)
    }

    /// Rewrites the batch if less than half of its heap lives, so that few records do not pin many others' bytes.
    pub fn compact(&mut self) {
        if self.is_packed() {
            return;
        }
        // What the records took in their source tells it at once, mostly.
        let half = self.heap.len() / 2;
        let read: u64 = self.rows.iter().map(|row| row.end.saturating_sub(row.start)).sum();
        if read >= half as u64 {
            return;
        }
        let mut live = 0usize;
        for row in &self.rows {
            live += self.text_of(row.root) + if row.header == 0 { 0 } else { self.text_of(row.header) };
            if live >= half {
                return;
            }
        }
        let mut fresh = self.sibling(self.tag.clone());
        // Room for all of it can't be missing where there was room for more.
        if fresh.import_all(self, &self.rows).is_ok() {
            *self = fresh;
        }
    }

    /// Bytes of the heap a value refers to.
    fn text_of(&self, id: NodeId) -> usize {
        let node = self.node(id);
        match node.tag {
            Tag::Array | Tag::Object if node.is(DIRTY) => self.child_ids(id).map(|child| self.text_of(child)).sum(),
            Tag::Int | Tag::Uint | Tag::Float => 0,
            _ => node.len as usize,
        }
    }

    fn import_with(&mut self, from: &Batch, row: &Row, words: &mut Translation) -> Result<usize, EditError> {
        let (nodes, heap) = (self.nodes.len(), self.heap.len());
        if !self.has_room(from.nodes.len()) {
            return Err(EditError::Full);
        }
        let copy = |this: &mut Self, words: &mut Translation| -> Result<Row, EditError> {
            let scope = this.translate_scope(from, row.scope, words)?;
            let root = this.copy_node(from, row.root, words)?;
            let header = if row.header == 0 { 0 } else { this.copy_node(from, row.header, words)? };
            Ok(Row { root, header, scope, ..*row })
        };
        let row = copy(self, words).inspect_err(|_| {
            self.nodes.truncate(nodes);
            self.heap.truncate(heap);
        })?;
        self.rows.push(row);
        Ok(self.rows.len() - 1)
    }

    /// Copies a value of another batch, linked nowhere.
    fn copy_node(&mut self, from: &Batch, id: NodeId, words: &mut Translation) -> Result<NodeId, EditError> {
        let node = from.node(id);
        let unlinked = node.unlinked();
        let target = self.nodes.len() as NodeId;
        match node.tag {
            Tag::Array | Tag::Object if node.is_walked() => {
                self.push_node(Node { flags: (unlinked.flags & DUPLICATES) | DIRTY, off: 0, len: 0, ..unlinked });
                for child in from.child_ids(id) {
                    let key = self.translate(from, from.node(child).key, words)?;
                    let copy = self.copy_node(from, child, words)?;
                    self.link_member(target, key, copy);
                }
            }
            Tag::Array | Tag::Object => {
                let (off, _) = self.push_heap(&from.heap[node.span()])?;
                let shift = off.wrapping_sub(node.off);
                self.push_node(Node { off, ..unlinked });
                for at in id + 1..from.clean_end(id) {
                    let mut inner = from.node(at);
                    if inner.next != 0 {
                        inner.next = inner.next - id + target;
                    }
                    inner.key = self.translate(from, inner.key, words)?;
                    inner.off = inner.off.wrapping_add(shift);
                    self.push_node(inner);
                }
            }
            Tag::Str | Tag::Number | Tag::Bytes | Tag::Hex => {
                let (off, _) = self.push_heap(&from.heap[node.span()])?;
                self.push_node(Node { off, ..unlinked });
            }
            Tag::Null | Tag::False | Tag::True | Tag::Int | Tag::Uint | Tag::Float => {
                self.push_node(unlinked);
            }
        }
        Ok(target)
    }

    #[inline]
    fn translate(&mut self, from: &Batch, key: u16, words: &mut Translation) -> Result<u16, EditError> {
        match words.keys.get(usize::from(key)) {
            Some(&known) if known != NO_KEY => Ok(known),
            _ => self.translate_new(from, key, words),
        }
    }

    fn translate_new(&mut self, from: &Batch, key: u16, words: &mut Translation) -> Result<u16, EditError> {
        if key == NO_KEY {
            return Ok(NO_KEY);
        }
        let slot = usize::from(key);
        if words.keys.len() <= slot {
            words.keys.resize(slot + 1, NO_KEY);
        }
        let text = std::str::from_utf8(from.keys.plain(key)).unwrap_or_default();
        words.keys[slot] = self.keys.intern(text).ok_or(EditError::Full)?;
        Ok(words.keys[slot])
    }

    fn translate_scope(&mut self, from: &Batch, scope: u16, words: &mut Translation) -> Result<u16, EditError> {
        let slot = usize::from(scope);
        if words.scopes.len() <= slot {
            words.scopes.resize(slot + 1, None);
        }
        if words.scopes[slot].is_none() {
            // In a sibling they stand at the same place.
            let same = self.scopes.get(slot).is_some_and(|s| Arc::ptr_eq(s, &from.scopes[slot]));
            words.scopes[slot] = if same { Some(scope) } else { self.try_add_scope(&from.scopes[slot]) };
        }
        words.scopes[slot].ok_or(EditError::Full)
    }
}
