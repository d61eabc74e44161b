//! New values: nodes that are linked nowhere yet.

use crate::batch::Batch;
use crate::edit::{EditError, NewValue};
use crate::node::{DIRTY, DUPLICATES, NO_KEY, Node, NodeId, RAW, Tag};
use crate::scan;
use crate::value::Value;

/// What a value is made of.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    New(NewValue<'a>),
    /// Another value of the batch, to be copied.
    Node(NodeId),
}

impl Batch {
    /// A value linked nowhere, nested at most `room` deep. On an error the batch is as it was, but for keys.
    pub(crate) fn build(&mut self, source: &Source<'_>, room: usize) -> Result<NodeId, EditError> {
        if !self.has_room(1) {
            return Err(EditError::Full);
        }
        let node = match *source {
            Source::Node(id) | Source::New(NewValue::Copy(crate::RootId(id))) => {
                return if self.depth_of(id) > room { Err(EditError::TooDeep) } else { Ok(self.relocate(id)) };
            }
            Source::New(NewValue::Null) => Node::scalar(Tag::Null),
            Source::New(NewValue::Bool(b)) => Node::scalar(if b { Tag::True } else { Tag::False }),
            Source::New(NewValue::Int(n)) => Node::bits(Tag::Int, n.cast_unsigned()),
            Source::New(NewValue::Uint(n)) => Node::bits(Tag::Uint, n),
            Source::New(NewValue::Float(n)) => Node::bits(Tag::Float, n.to_bits()),
            Source::New(NewValue::Str(s)) => self.build_text(Tag::Str, RAW, s.as_bytes())?,
            Source::New(NewValue::Bytes(b)) => self.build_text(Tag::Bytes, 0, b)?,
            Source::New(NewValue::EmptyObject) if room > 0 => Node::dirty(Tag::Object),
            Source::New(NewValue::EmptyArray) if room > 0 => Node::dirty(Tag::Array),
            Source::New(NewValue::EmptyObject | NewValue::EmptyArray) => return Err(EditError::TooDeep),
            Source::New(NewValue::Tree(tree)) => {
                let (nodes, heap) = (self.nodes.len(), self.heap.len());
                return self.build_tree(tree, room).inspect_err(|_| {
                    self.nodes.truncate(nodes);
                    self.heap.truncate(heap);
                });
            }
        };
        Ok(self.push_node(node))
    }

    fn build_text(&mut self, tag: Tag, flags: u8, text: &[u8]) -> Result<Node, EditError> {
        let (off, len) = self.push_heap(text)?;
        Ok(Node::text(tag, flags, off, len))
    }

    fn build_tree(&mut self, tree: &Value, room: usize) -> Result<NodeId, EditError> {
        let new = match tree {
            Value::Null => NewValue::Null,
            Value::Bool(b) => NewValue::Bool(*b),
            Value::Int(n) => NewValue::Int(*n),
            Value::Uint(n) => NewValue::Uint(*n),
            Value::Float(n) => NewValue::Float(*n),
            Value::Str(s) => NewValue::Str(s),
            Value::Bytes(b) => NewValue::Bytes(b),
            Value::Number(n) if scan::is_number(n.as_bytes()) => {
                let node = self.build_text(Tag::Number, 0, n.as_bytes())?;
                return Ok(self.push_node(node));
            }
            // What is no number would break the JSON it is written into.
            Value::Number(n) => NewValue::Str(n),
            Value::Array(_) => NewValue::EmptyArray,
            Value::Object(_) => NewValue::EmptyObject,
        };
        let id = self.build(&Source::New(new), room)?;
        match tree {
            Value::Array(items) => {
                for item in items {
                    let child = self.build_tree(item, room - 1)?;
                    self.link_member(id, NO_KEY, child);
                }
            }
            Value::Object(members) => {
                for (key, value) in members {
                    let key = self.keys.intern(key).ok_or(EditError::Full)?;
                    let child = self.build_tree(value, room - 1)?;
                    self.expect_duplicate(id, key);
                    self.link_member(id, key, child);
                }
            }
            _ => {}
        }
        Ok(id)
    }

    /// How many containers nest in a value, itself included. No more than [`MAX_DEPTH`](crate::MAX_DEPTH) do in any
    /// value of a batch: the parser and the edits see to it. That bounds every recursion of this crate.
    pub(crate) fn depth_of(&self, id: NodeId) -> usize {
        if !self.node(id).is_container() {
            return 0;
        }
        1 + self.child_ids(id).map(|child| self.depth_of(child)).max().unwrap_or(0)
    }

    /// Copies a value to the end of the same batch, linked nowhere; the texts are shared.
    pub(crate) fn relocate(&mut self, id: NodeId) -> NodeId {
        let node = self.node(id);
        let target = self.nodes.len() as NodeId;
        let unlinked = node.unlinked();
        if node.is_walked() {
            self.push_node(Node { flags: (unlinked.flags & DUPLICATES) | DIRTY, off: 0, len: 0, ..unlinked });
            let mut child = node.first_child(id);
            while child != 0 {
                let Node { key, next, .. } = self.node(child);
                let copy = self.relocate(child);
                self.link_member(target, key, copy);
                child = next;
            }
        } else {
            let end = self.clean_end(id);
            self.nodes.extend_from_within(id as usize..end as usize);
            let copies = &mut self.nodes[target as usize..];
            copies[0] = unlinked;
            for inner in copies[1..].iter_mut().filter(|inner| inner.next != 0) {
                inner.next = inner.next - id + target;
            }
        }
        target
    }

    /// One past the subtree of a scalar or a clean container.
    pub(crate) fn clean_end(&self, id: NodeId) -> NodeId {
        let mut end = id + 1;
        let mut at = id;
        while self.node(at).is_container() {
            let Some(last) = self.child_ids(at).last() else { break };
            at = last;
            end = last + 1;
        }
        end
    }

    /// Marks a dirty object that may hold `key` already, where it is about to be appended to. Its children lie between the
    /// first and the last; nodes of others may lie there too, and may mark it for nothing.
    pub(crate) fn expect_duplicate(&mut self, object: NodeId, key: u16) {
        const LOOK: u32 = 64;
        let Node { off: first, len: last, .. } = self.node(object);
        if first == 0 {
            return;
        }
        let found = last - first >= LOOK
            || self.nodes.get(first as usize..=last as usize).is_none_or(|nodes| nodes.iter().any(|n| n.key == key));
        if found {
            self.nodes[object as usize].flags |= DUPLICATES;
        }
    }
}
