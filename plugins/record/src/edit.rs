//! Changing records: set, remove, rename, copy, append.
//!
//! A change touches the nodes on the way to it and nothing else: containers above become dirty, texts that are new go
//! behind the heap, what was replaced stays there as garbage until the batch goes ([`Batch::compact`]).
//!
//! Nothing a path names survives a change of it: after `set`, the path names one value; other copies of a repeated key,
//! and `b` in `a` beside `"a.b"`, are gone as after `remove`. So a secret that is overwritten or removed is gone in every
//! copy. A change is made whole or not at all: what can fail comes before the first link is touched.

use crate::batch::{Batch, RootId, Row, TimeKind};
use crate::build::Source;
use crate::field::Field;
use crate::header::Header;
use crate::node::{DUPLICATES, Node, NodeId, RAW, SPACED, TIGHT, Tag};
use crate::parse::MAX_DEPTH;
use crate::path::{Path, PathRoot, Resolved};
use crate::place::Place;
use crate::value::Value;

/// A value to be written into a record.
#[derive(Clone, Copy, Debug)]
pub enum NewValue<'a> {
    /// `null`
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer without sign.
    Uint(u64),
    /// A float.
    Float(f64),
    /// A text.
    Str(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Any tree.
    Tree(&'a Value),
    /// An empty map.
    EmptyObject,
    /// An empty list.
    EmptyArray,
    /// A copy of another value of the batch; the texts are shared.
    Copy(RootId),
}

/// Why a change could not be made. The record is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// Tags, inputs, scopes and indexes that do not exist.
    #[error("this can't be set")]
    NotSettable,
    /// The header field takes another type.
    #[error("this header field takes another type")]
    WrongType,
    /// The batch has no room for another distinct key, another byte or another scope.
    #[error("the batch is full")]
    Full,
    /// The record would nest deeper than [`MAX_DEPTH`].
    #[error("the record would be nested deeper than {MAX_DEPTH}")]
    TooDeep,
}

impl Batch {
    /// Sets what `path` names in record `row`, creating maps that are missing. A value that is there is replaced in its
    /// place; where a part of the way is there but is no map, the rest of the path becomes one literal key beside it.
    pub fn set(&mut self, row: usize, path: &Path, value: NewValue<'_>) -> Result<(), EditError> {
        match (path.root, value) {
            (PathRoot::Time, NewValue::Int(ns)) => {
                self.set_time(row, ns);
                Ok(())
            }
            (PathRoot::Time, _) => Err(EditError::WrongType),
            (PathRoot::Body, value) if path.parts.len() == 1 => self.set_member(self.rows[row].root, path, value),
            _ => self.put(row, path, Source::New(value)),
        }
    }

    /// Sets a member of the record's own map: the common case, in one walk.
    fn set_member(&mut self, root: NodeId, path: &Path, value: NewValue<'_>) -> Result<(), EditError> {
        let key = path.single_key().ok_or(EditError::NotSettable)?;
        if self.node(root).tag != Tag::Object {
            return Err(EditError::NotSettable);
        }
        let key = self.keys.intern(key).ok_or(EditError::Full)?;
        let node = self.build(&Source::New(value), MAX_DEPTH - 1)?;
        match self.child_to_change(root, key) {
            Some(old) => self.replace(root, old, node),
            None => self.link_member(root, key, node),
        }
        Ok(())
    }

    /// Sets a header field of a record.
    pub fn set_header(&mut self, row: usize, header: Header, value: NewValue<'_>) -> Result<(), EditError> {
        let path = Path::header(header);
        self.put(row, &path, Source::New(value))
    }

    /// Appends `key` to a map that is being built; a key it has already stands there twice then, and a map that is not
    /// empty is best changed with [`Batch::set`].
    pub fn append(&mut self, map: RootId, key: &str, value: NewValue<'_>) -> Result<(), EditError> {
        let key = self.keys.intern(key).ok_or(EditError::Full)?;
        let node = self.build(&Source::New(value), MAX_DEPTH - 1)?;
        self.append_node(map, key, node)
    }

    /// Appends to a map a string whose text stands in the heap at `span` already.
    pub fn append_span(&mut self, map: RootId, key: &str, span: std::ops::Range<usize>) -> Result<(), EditError> {
        if span.end > u32::MAX as usize || !self.has_room(1) {
            return Err(EditError::Full);
        }
        let key = self.keys.intern(key).ok_or(EditError::Full)?;
        let node = self.push_node(Node::text(Tag::Str, RAW, span.start as u32, span.len() as u32));
        self.append_node(map, key, node)
    }

    fn append_node(&mut self, map: RootId, key: u16, node: NodeId) -> Result<(), EditError> {
        if self.node(map.0).tag != Tag::Object {
            return Err(EditError::NotSettable);
        }
        self.make_dirty(map.0);
        self.expect_duplicate(map.0, key);
        self.link_member(map.0, key, node);
        Ok(())
    }

    /// Removes everything `path` can name in record `row`: all copies of a repeated key, and both `"a.b"` and `b` in `a`.
    /// Says whether anything was there.
    pub fn remove(&mut self, row: usize, path: &Resolved<'_>) -> bool {
        if path.is_stale(&self.keys) {
            let fresh = self.resolve(&path.path);
            return self.remove_but(row, &fresh, 0);
        }
        self.remove_but(row, path, 0)
    }

    /// As [`Batch::remove`], sparing one node.
    fn remove_but(&mut self, row: usize, path: &Resolved<'_>, keep: NodeId) -> bool {
        match path.path.root {
            PathRoot::Body => self.remove_in(self.rows[row].root, path, 0, keep),
            PathRoot::Header(header) => {
                let map = self.rows[row].header;
                let found = if map == 0 { None } else { self.keys.find(header.name()) };
                match found {
                    Some(key) if path.path.parts.is_empty() => self.unlink_all_but(map, key, keep),
                    Some(key) => {
                        let changed = self.child(map, key).is_some_and(|id| self.remove_in(id, path, 0, keep));
                        if changed {
                            // Or the header would go on standing for the message it came in.
                            self.make_dirty(map);
                        }
                        changed
                    }
                    None => false,
                }
            }
            _ => false,
        }
    }

    /// Moves what `from` names in record `row` to `to`, replacing what is there; what can't be removed (a time, a tag, an
    /// attribute of the scope) is copied. Says whether there was anything to move.
    pub fn rename(&mut self, row: usize, from: &Path, to: &Path) -> Result<bool, EditError> {
        self.carry(row, from, to, true)
    }

    /// Copies what `from` names in record `row` to `to`, replacing what is there. Says whether there was anything to copy.
    pub fn copy(&mut self, row: usize, from: &Path, to: &Path) -> Result<bool, EditError> {
        self.carry(row, from, to, false)
    }

    fn carry(&mut self, row: usize, from: &Path, to: &Path, remove: bool) -> Result<bool, EditError> {
        let resolved = self.resolve(from);
        let tree;
        let source = match self.get(&self.rows[row], &resolved) {
            None => return Ok(false),
            Some(_) if from.same_place(to) => return Ok(true),
            Some(field) if to.root == PathRoot::Time => {
                let ns = field.as_i64().ok_or(EditError::WrongType)?;
                self.set_time(row, ns);
                if remove {
                    self.remove_but(row, &resolved, 0);
                }
                return Ok(true);
            }
            Some(Field::Node(found)) => Source::Node(found.id),
            Some(field) => {
                tree = field.to_value();
                Source::New(NewValue::Tree(&tree))
            }
        };
        if !remove {
            self.put(row, to, source)?;
            return Ok(true);
        }
        match (source, resolved.single_key(), to.single_key()) {
            (Source::Node(id), Some(old), Some(new)) => self.rename_member(row, id, old, new)?,
            (Source::Node(id), ..) if from.may_hold(to) => self.move_inside(row, id, &resolved, to)?,
            (source, ..) => {
                let place = self.place(row, to, &source)?;
                let built = self.build_for(&place, &source)?;
                self.remove_but(row, &resolved, 0);
                self.finish(row, to, &place, built);
            }
        }
        Ok(true)
    }

    /// Renaming within the record's own map keeps the place and costs one store.
    fn rename_member(&mut self, row: usize, id: NodeId, old: u16, new: &str) -> Result<(), EditError> {
        let root = self.rows[row].root;
        let new = self.keys.intern(new).ok_or(EditError::Full)?;
        self.make_dirty(root);
        if self.node(root).is(DUPLICATES) {
            self.unlink_all_but(root, old, id);
        }
        self.unlink_all_but(root, new, 0);
        let node = &mut self.nodes[id as usize];
        node.key = new;
        node.flags &= !(TIGHT | SPACED);
        Ok(())
    }

    /// `a` to `a.b`: the value leaves first, so that there is a new `a` for it to go into.
    fn move_inside(&mut self, row: usize, id: NodeId, from: &Resolved<'_>, to: &Path) -> Result<(), EditError> {
        let before = self.rows[row];
        let value = self.relocate(id);
        let root = self.relocate(before.root);
        let header = if before.header == 0 { 0 } else { self.relocate(before.header) };
        self.remove_but(row, from, 0);
        self.put(row, to, Source::Node(value)).inspect_err(|_| {
            self.rows[row] = Row { root, header, ..before };
        })
    }

    fn set_time(&mut self, row: usize, ns: i64) {
        self.rows[row].time = ns;
        self.rows[row].time_kind = TimeKind::Own;
        // The message it was read from says another one.
        self.forget_wire(self.rows[row].root);
    }

    fn put(&mut self, row: usize, path: &Path, source: Source<'_>) -> Result<(), EditError> {
        let place = self.place(row, path, &source)?;
        let built = self.build_for(&place, &source)?;
        self.finish(row, path, &place, built);
        Ok(())
    }

    /// The value, and the maps it needs around it: outermost first, so that links go forward.
    fn build_for(&mut self, place: &Place, source: &Source<'_>) -> Result<Built, EditError> {
        let from = self.nodes.len();
        // The first key stands in the container that is there, or in a header map that has to be made too.
        let made = place.keys.get(usize::from(!place.chain.is_empty())..).unwrap_or_default();
        let room = MAX_DEPTH.checked_sub(place.chain.len() + made.len()).ok_or(EditError::TooDeep)?;
        for i in 0..made.len() {
            let map = self.push_node(Node::dirty(Tag::Object));
            if i > 0 {
                self.link_member(map - 1, made[i - 1], map);
            }
        }
        let inner = self.nodes.len() as NodeId;
        let value = self.build(source, room).inspect_err(|_| self.nodes.truncate(from))?;
        if let Some(&key) = made.last() {
            self.link_member(inner - 1, key, value);
            return Ok(Built { top: from as NodeId, value });
        }
        Ok(Built { top: value, value })
    }

    /// Links what is built into its place. Nothing fails here.
    fn finish(&mut self, row: usize, path: &Path, place: &Place, built: Built) {
        let Some(&container) = place.chain.last() else {
            self.rows[row].header = built.top;
            return;
        };
        for &above in &place.chain {
            self.make_dirty(above);
        }
        let mut value = built.value;
        if place.old == 0 {
            self.link_member(container, place.keys[0], built.top);
        } else {
            value = place.old;
            self.replace(container, value, built.value);
        }
        if path.single_key().is_none() {
            let resolved = self.resolve(path);
            self.remove_but(row, &resolved, value);
        }
    }

    /// A record made of `parent`, with the body `root`: the same origin, the ordinal given, and a hash of its content.
    pub fn derive(&self, parent: &Row, root: RootId, ordinal: u32) -> Row {
        let mut json = Vec::new();
        self.write_node(root.0, &mut json);
        Row { root: root.0, ordinal, salt: content_hash(parent.salt, &json), ..*parent }
    }
}

/// A value that is linked nowhere, and the outermost of the maps around it.
struct Built {
    top: NodeId,
    value: NodeId,
}

/// FNV-1a, 64 bits: the same on every machine and in every version, since ids are made of it.
fn content_hash(seed: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325 ^ seed, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
}
