//! Links between nodes: the small steps all edits are made of.
//!
//! A container is made dirty before its links change: in a clean one every node is as it was parsed.

use crate::batch::Batch;
use crate::node::{DIRTY, DUPLICATES, EMPTY, JOINED, NO_KEY, Node, NodeId, WIRE};

impl Batch {
    /// Makes a container one that is written by walking its children.
    #[inline]
    pub(crate) fn make_dirty(&mut self, id: NodeId) {
        let node = self.node(id);
        if node.is_container() && !node.is(DIRTY) {
            self.make_dirty_slow(id);
        }
    }

    /// Makes a container dirty that stands for a message of another format.
    pub(crate) fn forget_wire(&mut self, id: NodeId) {
        if self.node(id).is_walked() {
            self.make_dirty(id);
        }
    }

    fn make_dirty_slow(&mut self, id: NodeId) {
        let first = self.node(id).first_child(id);
        let last = self.child_ids(id).last().unwrap_or(0);
        let node = &mut self.nodes[id as usize];
        node.flags = (node.flags | DIRTY) & !(EMPTY | WIRE);
        node.off = first;
        node.len = last;
    }

    /// Appends a child that is linked nowhere to a dirty container.
    pub(crate) fn link_member(&mut self, container: NodeId, key: u16, child: NodeId) {
        let node = &mut self.nodes[child as usize];
        node.key = key;
        node.next = 0;
        let last = self.nodes[container as usize].len;
        if last == 0 {
            self.nodes[container as usize].off = child;
        } else {
            self.nodes[last as usize].next = child;
        }
        self.nodes[container as usize].len = child;
    }

    /// Overwrites `old`, in its place among its siblings, with what `new` is, and removes other copies of its key.
    pub(crate) fn replace(&mut self, container: NodeId, old: NodeId, new: NodeId) {
        let key = self.node(old).key;
        if key != NO_KEY && self.node(container).is(DUPLICATES) {
            self.unlink(container, |at, node| node.key == key && at != old);
        }
        // A clean container's children stand right behind it, and they don't behind `old`.
        self.make_dirty(new);
        let next = self.node(old).next;
        self.nodes[old as usize] = Node { key, next, ..self.node(new).unlinked() };
    }

    /// Removes all members `key` of an object, but for `keep`. Says whether there were any.
    pub(crate) fn unlink_all_but(&mut self, id: NodeId, key: u16, keep: NodeId) -> bool {
        if !self.child_ids(id).any(|at| at != keep && self.node(at).key == key) {
            return false;
        }
        self.make_dirty(id);
        self.unlink(id, |at, node| node.key == key && at != keep);
        true
    }

    /// Takes the children for which `gone` holds out of a dirty container.
    pub(crate) fn unlink(&mut self, id: NodeId, gone: impl Fn(NodeId, Node) -> bool) {
        let mut before = 0;
        let mut at = self.node(id).off;
        while at != 0 {
            let node = self.node(at);
            if !gone(at, node) {
                before = at;
            } else {
                let before =
                    if before == 0 { &mut self.nodes[id as usize].off } else { &mut self.nodes[before as usize].next };
                *before = node.next;
                if node.next != 0 {
                    // What stood between it and the one before is no longer a comma.
                    self.nodes[node.next as usize].flags &= !JOINED;
                }
            }
            at = node.next;
        }
        self.nodes[id as usize].len = before;
    }

    /// Makes an object dirty and looks for a member of it, in one walk.
    pub(crate) fn child_to_change(&mut self, id: NodeId, key: u16) -> Option<NodeId> {
        let object = self.node(id);
        if object.is(DIRTY) {
            return self.child(id, key);
        }
        let first = object.first_child(id);
        let (mut found, mut last, mut at) = (None, 0, first);
        while at != 0 {
            let node = self.node(at);
            if node.key == key {
                found = Some(at);
            }
            last = at;
            at = node.next;
        }
        self.nodes[id as usize] =
            Node { flags: (object.flags | DIRTY) & !(EMPTY | WIRE), off: first, len: last, ..object };
        found
    }
}
