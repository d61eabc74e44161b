//! Lines as they are: the check that they are text, and records made of them.

use std::ops::Range;

use crate::batch::{Batch, RootId};
use crate::keys::LOG_ID;
use crate::node::{Node, RAW, Tag};
use crate::parse::MAX_DEPTH;

/// What [`Batch::check_utf8`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Utf8Report {
    /// All of it is UTF-8.
    Valid,
    /// Some of it is not: repair the lines one by one ([`Batch::repair_utf8`]).
    Invalid,
}

impl Batch {
    /// Whether the heap from `from` on is UTF-8. One pass per chunk, at memory speed; only if it fails need anyone look
    /// at single lines.
    pub fn check_utf8(&self, from: usize) -> Utf8Report {
        self.check_utf8_in(from..self.heap.len())
    }

    /// The same for one part of the heap: what a reader knows to end at a line's end.
    pub fn check_utf8_in(&self, span: Range<usize>) -> Utf8Report {
        match simdutf8::basic::from_utf8(&self.heap[span]) {
            Ok(_) => Utf8Report::Valid,
            Err(_) => Utf8Report::Invalid,
        }
    }

    /// The span of a line as UTF-8: the line itself, or a copy behind the heap with U+FFFD for what is not. Says whether
    /// it had to be repaired.
    pub fn repair_utf8(&mut self, line: Range<usize>) -> (Range<usize>, bool) {
        let fixed = match String::from_utf8_lossy(&self.heap[line.clone()]) {
            std::borrow::Cow::Borrowed(_) => return (line, false),
            std::borrow::Cow::Owned(fixed) => fixed,
        };
        match self.push_heap(fixed.as_bytes()) {
            Ok((off, len)) => (off as usize..off as usize + len as usize, true),
            // The heap holds 4 GiB: no reader lets it come to that. Then in place.
            Err(_) => {
                self.heap[line.clone()].iter_mut().filter(|b| !b.is_ascii()).for_each(|b| *b = b'?');
                (line, true)
            }
        }
    }

    /// The body `{ "log": text }` ([`LOG_KEY`](crate::LOG_KEY)), the text being `span` of the heap.
    pub fn text_body(&mut self, span: Range<usize>) -> RootId {
        let root = self.push_node(Node::dirty(Tag::Object));
        let text = Node::text(Tag::Str, RAW, span.start as u32, (span.end - span.start) as u32);
        let child = self.push_node(text);
        self.link_member(root, LOG_ID, child);
        RootId(root)
    }

    /// The body `{ "log": value }` of a value that is not a map, such as a parsed scalar. A value that is nested as deep as
    /// a record may be ([`MAX_DEPTH`]) is given back as it is.
    pub fn wrap_body(&mut self, value: RootId) -> RootId {
        if self.depth_of(value.0) >= MAX_DEPTH {
            return value;
        }
        let root = self.push_node(Node::dirty(Tag::Object));
        // The value keeps its place: links only go forward, so it is copied behind the new root.
        let child = self.relocate(value.0);
        self.link_member(root, LOG_ID, child);
        RootId(root)
    }

    /// The text of a body that is nothing but `{ "log": text }`, unless it holds JSON escapes.
    pub fn sole_text(&self, root: RootId) -> Option<&[u8]> {
        self.sole_span(root).map(|span| &self.heap[span])
    }
}
