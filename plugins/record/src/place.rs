//! Where a path leads when something is put there, and what it can name when that is removed.

use smallvec::SmallVec;

use crate::batch::Batch;
use crate::build::Source;
use crate::edit::{EditError, NewValue};
use crate::field::Kind;
use crate::header::Header;
use crate::lookup::Chain;
use crate::node::{DUPLICATES, NO_KEY, NodeId, Tag};
use crate::node_ref::NodeRef;
use crate::path::{Part, Path, PathRoot, Resolved};

/// Where a value goes.
pub(crate) struct Place {
    /// The containers down to it, the record's own first. None: a header map has to be made.
    pub(crate) chain: Chain,
    /// The value it replaces, or 0.
    pub(crate) old: NodeId,
    /// Otherwise its key, behind the keys of the maps to be made for it.
    pub(crate) keys: SmallVec<[u16; 4]>,
}

impl Batch {
    /// Where `source` goes when it is put at `path`. Changes nothing but the table of keys.
    pub(crate) fn place(&mut self, row: usize, path: &Path, source: &Source<'_>) -> Result<Place, EditError> {
        match path.root {
            PathRoot::Body => self.place_below(self.rows[row].root, path),
            PathRoot::Header(header) => {
                if path.parts.is_empty() && !header.takes(self.kind_of(source)) {
                    return Err(EditError::WrongType);
                }
                self.place_in_header(self.rows[row].header, header, path)
            }
            PathRoot::Time
            | PathRoot::Tag
            | PathRoot::Input
            | PathRoot::Signal
            | PathRoot::Resource
            | PathRoot::Scope => Err(EditError::NotSettable),
        }
    }

    fn place_in_header(&mut self, map: NodeId, header: Header, path: &Path) -> Result<Place, EditError> {
        let key = self.keys.intern(header.name()).ok_or(EditError::Full)?;
        let old = if map == 0 { None } else { self.child(map, key) };
        let mut chain = Chain::new();
        if map != 0 {
            chain.push(map);
        }
        match old {
            Some(old) if path.parts.is_empty() => Ok(Place { chain, old, keys: SmallVec::new() }),
            Some(old) => {
                let mut place = self.place_below(old, path)?;
                place.chain.insert(0, map);
                Ok(place)
            }
            None => {
                let mut keys = SmallVec::from_slice(&[key]);
                for i in 0..path.parts.len() {
                    let name = path.joined[i].first().ok_or(EditError::NotSettable)?;
                    keys.push(self.keys.intern(name).ok_or(EditError::Full)?);
                }
                Ok(Place { chain, old: 0, keys })
            }
        }
    }

    fn place_below(&mut self, top: NodeId, path: &Path) -> Result<Place, EditError> {
        if let Some(key) = path.single_key() {
            let key = self.keys.intern(key).ok_or(EditError::Full)?;
            if self.node(top).tag != Tag::Object {
                return Err(EditError::NotSettable);
            }
            let old = self.child(top, key).unwrap_or(0);
            return Ok(Place { chain: Chain::from_slice(&[top]), old, keys: SmallVec::from_slice(&[key]) });
        }
        let resolved = self.resolve(path);
        let mut chain = Chain::new();
        if let Some(old) = self.trace(top, &resolved, 0, &mut chain) {
            return Ok(Place { chain, old, keys: SmallVec::new() });
        }
        let (at, names) = self.vacancy(top, &resolved, &mut chain)?;
        let name = |k: usize| match names {
            Names::Each => path.joined[k].first(),
            Names::Joined => path.joined[at].last(),
        };
        let ends = if names == Names::Each { path.parts.len() } else { at + 1 };
        let mut keys = SmallVec::new();
        for k in at..ends {
            let name = name(k).ok_or(EditError::NotSettable)?;
            keys.push(self.keys.intern(name).ok_or(EditError::Full)?);
        }
        Ok(Place { chain, old: 0, keys })
    }

    /// As a look-up, noting the containers on the way.
    fn trace(&self, id: NodeId, path: &Resolved<'_>, i: usize, chain: &mut Chain) -> Option<NodeId> {
        let Some(part) = path.path.parts.get(i) else { return Some(id) };
        chain.push(id);
        let found =
            match part {
                Part::Index(index) => self.item(id, *index).and_then(|item| self.trace(item, path, i + 1, chain)),
                Part::Key(_) => path.keys_at(i).iter().enumerate().rev().find_map(|(j, &key)| {
                    self.child(id, key).and_then(|child| self.trace(child, path, i + j + 1, chain))
                }),
            };
        if found.is_none() {
            chain.pop();
        }
        found
    }

    /// Where `path`, which names nothing below `id`, gets its value: the part from which on maps are missing, and how
    /// the missing keys are named. The containers down to there go to `chain`.
    fn vacancy(&self, mut id: NodeId, path: &Resolved<'_>, chain: &mut Chain) -> Result<(usize, Names), EditError> {
        let parts = &path.path.parts;
        let mut i = 0;
        'down: loop {
            chain.push(id);
            // The value is not there, so some part is missing: `parts[i]` is there.
            if let Part::Index(index) = parts[i] {
                let item = self.item(id, index).filter(|&item| self.node(item).is_container());
                id = item.filter(|_| i + 1 < parts.len()).ok_or(EditError::NotSettable)?;
                i += 1;
                continue;
            }
            if self.node(id).tag != Tag::Object {
                return Err(EditError::NotSettable);
            }
            let mut blocked = false;
            for (j, &key) in path.keys_at(i).iter().enumerate().rev() {
                let Some(child) = self.child(id, key) else { continue };
                let next = i + j + 1;
                let fits = match parts.get(next) {
                    Some(Part::Key(_)) => Tag::Object,
                    Some(Part::Index(_)) => Tag::Array,
                    None => return Err(EditError::NotSettable),
                };
                if self.node(child).tag == fits {
                    (id, i) = (child, next);
                    continue 'down;
                }
                blocked |= j == 0;
            }
            if parts[i..].iter().any(|part| matches!(part, Part::Index(_))) {
                return Err(EditError::NotSettable);
            }
            return Ok((i, if blocked { Names::Joined } else { Names::Each }));
        }
    }

    fn kind_of(&self, source: &Source<'_>) -> Kind {
        match source {
            Source::Node(id) | Source::New(NewValue::Copy(crate::RootId(id))) => {
                NodeRef { batch: self, id: *id }.kind()
            }
            Source::New(value) => match value {
                NewValue::Null => Kind::Null,
                NewValue::Bool(_) => Kind::Bool,
                NewValue::Int(_) | NewValue::Uint(_) | NewValue::Float(_) => Kind::Number,
                NewValue::Str(_) => Kind::String,
                NewValue::Bytes(_) => Kind::Bytes,
                NewValue::EmptyArray => Kind::Array,
                NewValue::EmptyObject | NewValue::Copy(_) => Kind::Object,
                NewValue::Tree(tree) => crate::Field::Value(tree).kind(),
            },
        }
    }

    /// Removes what `path`, from part `i` on, can name below the container at `id`, but for `keep`. Says whether there was
    /// anything.
    pub(crate) fn remove_in(&mut self, id: NodeId, path: &Resolved<'_>, i: usize, keep: NodeId) -> bool {
        let end = path.path.parts.len();
        let mut changed = false;
        if let Some(Part::Index(index)) = path.path.parts.get(i) {
            match self.item(id, *index) {
                Some(item) if i + 1 < end => changed = self.remove_in(item, path, i + 1, keep),
                Some(item) if item != keep => {
                    self.make_dirty(id);
                    self.unlink(id, |at, _| at == item);
                    changed = true;
                }
                _ => {}
            }
        } else if self.node(id).tag == Tag::Object {
            for (j, &key) in path.keys_at(i).iter().enumerate() {
                if key == NO_KEY {
                    continue;
                }
                if i + j + 1 == end {
                    changed |= self.unlink_all_but(id, key, keep);
                } else if !self.node(id).is(DUPLICATES) {
                    if let Some(child) = self.child(id, key) {
                        changed |= self.remove_in(child, path, i + j + 1, keep);
                    }
                } else {
                    let ids: Chain = self.child_ids(id).filter(|&at| self.node(at).key == key).collect();
                    for child in ids {
                        changed |= self.remove_in(child, path, i + j + 1, keep);
                    }
                }
            }
        }
        if changed {
            self.make_dirty(id);
        }
        changed
    }
}

/// How missing keys are named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    /// A map for each part but the last.
    Each,
    /// All parts as one literal key: something that is no map stands in the way.
    Joined,
}
