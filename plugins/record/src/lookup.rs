//! Reading: from a row and a resolved path to a value.

use smallvec::SmallVec;

use crate::batch::{Batch, RootId, Row};
use crate::field::Field;
use crate::header::Header;
use crate::node::{DUPLICATES, NO_KEY, NodeId, Tag};
use crate::node_ref::NodeRef;
use crate::path::{Part, PathRoot, Resolved};
use crate::scope::Attributes;
use crate::value::Value;

/// Ids of the containers down to a value, outermost first.
pub(crate) type Chain = SmallVec<[NodeId; 8]>;

impl Batch {
    /// The value `path` names in `row`. Of a key that occurs twice, the last.
    #[inline]
    pub fn get<'a>(&'a self, row: &Row, path: &Resolved<'_>) -> Option<Field<'a>> {
        match path.single_key() {
            Some(key) if key != NO_KEY => self.child(row.root, key).map(|id| self.field(id)),
            _ => self.get_slow(row, path),
        }
    }

    fn get_slow<'a>(&'a self, row: &Row, path: &Resolved<'_>) -> Option<Field<'a>> {
        if path.is_stale(&self.keys) {
            return self.get_slow(row, &self.resolve(&path.path));
        }
        if path.single_key() == Some(NO_KEY) {
            // A key no record of the batch has: nothing to walk for.
            return None;
        }
        match path.path.root {
            PathRoot::Body => self.find_from(row.root, path, 0).map(|id| self.field(id)),
            PathRoot::Time => Some(Field::Time(row.time)),
            PathRoot::Tag => Some(Field::Text(&self.tag)),
            PathRoot::Input => Some(Field::Text(self.scope(row).source.input())),
            PathRoot::Signal => Some(Field::Text(self.signal.name())),
            PathRoot::Header(header) => self.header_field(row, header, path),
            PathRoot::Resource => find_attribute(&self.scope(row).resource, path, 0).map(Field::Value),
            PathRoot::Scope => find_attribute(&self.scope(row).scope, path, 0).map(Field::Value),
        }
    }

    /// The body of a record.
    pub fn body(&self, root: RootId) -> NodeRef<'_> {
        NodeRef { batch: self, id: root.0 }
    }

    /// The header map of a record, if it has one.
    pub fn header(&self, row: &Row) -> Option<NodeRef<'_>> {
        (row.header != 0).then_some(NodeRef { batch: self, id: row.header })
    }

    fn field(&self, id: NodeId) -> Field<'_> {
        Field::Node(NodeRef { batch: self, id })
    }

    fn header_field<'a>(&'a self, row: &Row, header: Header, path: &Resolved<'_>) -> Option<Field<'a>> {
        let found = (row.header != 0)
            .then(|| self.keys.find(header.name()).and_then(|key| self.child(row.header, key)))
            .flatten();
        match found {
            Some(id) if path.path.parts.is_empty() => Some(self.field(id)),
            Some(id) => self.find_from(id, path, 0).map(|id| self.field(id)),
            None if header == Header::ObservedTime => Some(Field::Time(self.read_at)),
            None => None,
        }
    }

    /// Follows the parts of `path` from part `i` on, from the container at `id`.
    fn find_from(&self, id: NodeId, path: &Resolved<'_>, i: usize) -> Option<NodeId> {
        match path.path.parts.get(i) {
            None => Some(id),
            Some(Part::Index(index)) => self.find_from(self.item(id, *index)?, path, i + 1),
            Some(Part::Key(_)) => path
                .keys_at(i)
                .iter()
                .enumerate()
                .rev()
                .find_map(|(j, &key)| self.child(id, key).and_then(|child| self.find_from(child, path, i + j + 1))),
        }
    }

    /// The member `key` of the object at `id`.
    #[inline]
    pub(crate) fn child(&self, id: NodeId, key: u16) -> Option<NodeId> {
        let object = self.node(id);
        if key == NO_KEY || object.tag != Tag::Object {
            return None;
        }
        let mut found = None;
        let mut at = object.first_child(id);
        while at != 0 {
            let node = self.node(at);
            if node.key == key {
                found = Some(at);
                if !object.is(DUPLICATES) {
                    break;
                }
            }
            at = node.next;
        }
        found
    }

    /// Item `index` of the list at `id`, from the end where it is negative.
    pub(crate) fn item(&self, id: NodeId, index: i32) -> Option<NodeId> {
        if self.node(id).tag != Tag::Array {
            return None;
        }
        let ids = || self.child_ids(id);
        let at = if index < 0 { ids().count().checked_sub(index.unsigned_abs() as usize)? } else { index as usize };
        ids().nth(at)
    }

    pub(crate) fn child_ids(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let node = self.node(id);
        let first = if node.is_container() { node.first_child(id) } else { 0 };
        std::iter::successors(Some(first), |&at| Some(self.node(at).next)).take_while(|&at| at != 0)
    }
}

/// Attributes follow the same rule: the longest literal key first.
fn find_attribute<'a>(attributes: &'a Attributes, path: &Resolved<'_>, i: usize) -> Option<&'a Value> {
    let keys = path.path.joined.get(i)?;
    keys.iter().enumerate().rev().find_map(|(j, key)| {
        let (_, value) = attributes.iter().rev().find(|(k, _)| k == key)?;
        find_in_value(value, path, i + j + 1)
    })
}

fn find_in_value<'a>(value: &'a Value, path: &Resolved<'_>, i: usize) -> Option<&'a Value> {
    match (path.path.parts.get(i), value) {
        (None, _) => Some(value),
        (Some(Part::Index(index)), Value::Array(items)) => {
            let from_end = index.unsigned_abs() as usize;
            let at = if *index < 0 { items.len().checked_sub(from_end)? } else { from_end };
            find_in_value(items.get(at)?, path, i + 1)
        }
        (Some(Part::Key(_)), Value::Object(members)) => find_attribute(members, path, i),
        _ => None,
    }
}
