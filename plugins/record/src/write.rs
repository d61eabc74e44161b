//! Writing: what nobody changed is copied from the source's text, the rest is walked.
//!
//! A dirty map is mostly neighbours that nobody touched. Where a member's key and value stand together in the source
//! (`TIGHT`, `SPACED`), the writer takes both as one span, and joins it with the next member's where only a comma lies
//! between (`JOINED`): removing one field of twelve writes two copies.

use std::ops::Range;

use crate::batch::{Batch, RootId, Row};
use crate::escape;
use crate::node::{DIRTY, EMPTY, JOINED, Node, NodeId, RAW, SPACED, TIGHT, Tag};
use crate::node_ref::NodeRef;

impl Batch {
    /// Appends the body of a record as JSON.
    pub fn write_json(&self, row: &Row, out: &mut Vec<u8>) {
        self.write_node(row.root, out);
    }

    /// Appends the members of a body that is a map, without its braces. Says whether there are any. So an output can put
    /// members of its own before or behind them.
    pub fn write_members(&self, root: RootId, out: &mut Vec<u8>) -> bool {
        let node = self.node(root.0);
        if node.tag != Tag::Object || node.first_child(root.0) == 0 {
            return false;
        }
        if node.is_walked() {
            self.write_object_members(node.first_child(root.0), out);
        } else {
            let span = node.span();
            out.extend_from_slice(&self.heap[span.start + 1..span.end - 1]);
        }
        true
    }

    pub(crate) fn write_node(&self, id: NodeId, out: &mut Vec<u8>) {
        let node = self.node(id);
        match node.tag {
            Tag::Str => {
                out.push(b'"');
                self.write_string_inside(node, out);
                out.push(b'"');
            }
            Tag::Object if node.is_walked() => {
                out.push(b'{');
                self.write_object_members(node.first_child(id), out);
                out.push(b'}');
            }
            Tag::Array if node.is_walked() => {
                out.push(b'[');
                for (i, child) in self.child_ids(id).enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    self.write_node(child, out);
                }
                out.push(b']');
            }
            _ => NodeRef::write_scalar(node, &self.heap, out),
        }
    }

    fn write_string_inside(&self, node: Node, out: &mut Vec<u8>) {
        let text = &self.heap[node.span()];
        if node.is(RAW) {
            escape::write_escaped(text, out);
        } else {
            out.extend_from_slice(text);
        }
    }

    fn write_object_members(&self, first: NodeId, out: &mut Vec<u8>) {
        // Source text of the members before `at` that is not written yet.
        let mut run: Range<usize> = 0..0;
        let mut any = false;
        let mut at = first;
        while at != 0 {
            let node = self.node(at);
            let spans = node.flags & (TIGHT | SPACED) != 0 && !node.is(DIRTY);
            if spans && node.is(JOINED) && run.end > 0 {
                run.end = value_end(node);
            } else if spans {
                self.flush_run(&mut run, &mut any, out);
                let key = self.keys.quoted_len(node.key) + usize::from(node.is(SPACED));
                let quote = usize::from(node.tag == Tag::Str);
                run = node.off as usize - quote - key..value_end(node);
            } else {
                self.flush_run(&mut run, &mut any, out);
                separate(&mut any, out);
                out.extend_from_slice(self.keys.quoted(node.key));
                self.write_node(at, out);
            }
            at = node.next;
        }
        self.flush_run(&mut run, &mut any, out);
    }

    fn flush_run(&self, run: &mut Range<usize>, any: &mut bool, out: &mut Vec<u8>) {
        if run.start < run.end {
            separate(any, out);
            out.extend_from_slice(&self.heap[run.clone()]);
            *run = 0..0;
        }
    }
}

/// Where the source text of a member ends.
#[inline]
fn value_end(node: Node) -> usize {
    node.span().end + usize::from(node.tag == Tag::Str)
}

fn separate(any: &mut bool, out: &mut Vec<u8>) {
    if *any {
        out.push(b',');
    }
    *any = true;
}

// A clean container is one copy, an empty one included: its span is its text.
const _: () = assert!(EMPTY & DIRTY == 0);
