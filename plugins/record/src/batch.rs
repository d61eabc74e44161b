//! The batch and its rows.

use std::sync::Arc;

use crate::edit::EditError;
use crate::keys::Keys;
use crate::node::{Node, NodeId, Tag};
use crate::origin::Origin;
use crate::packed::Packed;
use crate::scope::Scope;

/// What kind of records a batch holds. One kind per batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Log records.
    #[default]
    Logs,
    /// Spans.
    Traces,
    /// Metric points.
    Metrics,
}

/// Who said what time it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeKind {
    /// The agent: the time of reading.
    #[default]
    Read,
    /// The record itself.
    Own,
}

/// One record: its place in the batch's tables. `Copy`, so that dropping, splitting and reordering records moves 48 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Nanoseconds since the epoch.
    pub time: i64,
    /// First source byte.
    pub start: u64,
    /// One past the last source byte.
    pub end: u64,
    /// Hash of the content, where `ordinal` is not 0.
    pub salt: u64,
    pub(crate) root: NodeId,
    /// An object node, or 0: most records have no header of their own.
    pub(crate) header: NodeId,
    /// 0 for a record as it was read; from 1 for those made of it.
    pub ordinal: u32,
    /// Index into the batch's scopes.
    pub scope: u16,
    /// Who said what time it is.
    pub time_kind: TimeKind,
}

const _: () = assert!(size_of::<Row>() == 48);

/// Records of one tag and one signal, in the order of their source.
#[derive(Clone)]
pub struct Batch {
    /// What routes the batch.
    pub tag: Arc<str>,
    /// What kind of records these are.
    pub signal: Signal,
    /// When they were read, nanoseconds since the epoch.
    pub read_at: i64,
    /// The records. Removing a row drops the record.
    pub rows: Vec<Row>,
    pub(crate) scopes: Vec<Arc<Scope>>,
    pub(crate) heap: Vec<u8>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) keys: Keys,
    /// See [`crate::packed`].
    pub(crate) packed: Option<Packed>,
}

/// A batch is closed when its heap reaches this, long before offsets run out.
pub(crate) const MAX_HEAP: usize = 1 << 30;

/// Nodes a batch can address.
const MAX_NODES: usize = u32::MAX as usize;

// === impl Signal ===

impl Signal {
    /// `logs`, `traces`, `metrics`.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Logs => "logs",
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
        }
    }
}

// === impl Row ===

impl Row {
    /// A record with that body, read now from `start..end` of the source of scope 0.
    pub fn new(root: RootId, time: i64, start: u64, end: u64) -> Self {
        Row { time, start, end, salt: 0, root: root.0, header: 0, ordinal: 0, scope: 0, time_kind: TimeKind::Read }
    }

    /// The record's body.
    pub fn root(&self) -> RootId {
        RootId(self.root)
    }

    /// The same with a header: a map of nothing but header fields, each of its type. Where that is not known, see
    /// [`Batch::set_header_map`].
    #[must_use]
    pub fn with_header(self, map: RootId) -> Self {
        Row { header: map.0, ..self }
    }

    /// Gives the record another body.
    pub fn set_root(&mut self, root: RootId) {
        self.root = root.0;
    }
}

/// The root node of a record, of the batch that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootId(pub(crate) NodeId);

// === impl Batch ===

impl Batch {
    /// An empty batch for records of `scope`.
    pub fn new(tag: Arc<str>, scope: Arc<Scope>, read_at: i64) -> Self {
        Batch {
            tag,
            signal: Signal::Logs,
            read_at,
            rows: Vec::new(),
            scopes: vec![scope],
            heap: Vec::new(),
            nodes: vec![Node::NONE],
            keys: Keys::default(),
            packed: None,
        }
    }

    /// An empty batch like this one, for some of its records.
    pub fn sibling(&self, tag: Arc<str>) -> Self {
        Batch {
            tag,
            signal: self.signal,
            read_at: self.read_at,
            rows: Vec::new(),
            scopes: self.scopes.clone(),
            heap: Vec::new(),
            nodes: vec![Node::NONE],
            keys: Keys::default(),
            packed: None,
        }
    }

    /// Makes a used batch as new, keeping its memory.
    pub fn reset(&mut self, tag: Arc<str>, scope: Arc<Scope>, read_at: i64) {
        self.tag = tag;
        self.signal = Signal::Logs;
        self.read_at = read_at;
        self.rows.clear();
        self.scopes.clear();
        self.scopes.push(scope);
        self.heap.clear();
        self.nodes.truncate(1);
        self.keys.clear();
        self.packed = None;
    }

    /// The bytes read so far. Inputs append what they read; nothing already there may change.
    pub fn heap_mut(&mut self) -> &mut Vec<u8> {
        &mut self.heap
    }

    /// The bytes.
    pub fn heap(&self) -> &[u8] {
        &self.heap
    }

    /// Whether the batch should be closed before more is read into it.
    pub fn is_full(&self) -> bool {
        self.heap.len() >= MAX_HEAP
            || self.nodes.len() >= MAX_HEAP / size_of::<Node>()
            || self.scopes.len() >= usize::from(u16::MAX)
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it holds no record.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The scope of a record.
    pub fn scope(&self, row: &Row) -> &Arc<Scope> {
        &self.scopes[usize::from(row.scope)]
    }

    /// All scopes.
    pub fn scopes(&self) -> &[Arc<Scope>] {
        &self.scopes
    }

    /// Index of `scope`, added if need be. Past 65,536 scopes the last one is given: readers close a batch long before
    /// ([`Batch::is_full`]).
    pub fn add_scope(&mut self, scope: &Arc<Scope>) -> u16 {
        self.try_add_scope(scope).unwrap_or(u16::MAX)
    }

    /// Index of `scope`, added if need be; `None` when there is no room for another one.
    pub fn try_add_scope(&mut self, scope: &Arc<Scope>) -> Option<u16> {
        let at = self.scopes.iter().rposition(|s| Arc::ptr_eq(s, scope)).unwrap_or(self.scopes.len());
        let index = u16::try_from(at).ok()?;
        if at == self.scopes.len() {
            self.scopes.push(scope.clone());
        }
        Some(index)
    }

    /// Index of `scope`, which the batch does not have; `None` when there is no room for another one.
    pub fn append_scope(&mut self, scope: &Arc<Scope>) -> Option<u16> {
        let index = u16::try_from(self.scopes.len()).ok()?;
        self.scopes.push(scope.clone());
        Some(index)
    }

    /// Replaces a scope for all records that share it.
    pub fn replace_scope(&mut self, index: u16, scope: Arc<Scope>) {
        self.scopes[usize::from(index)] = scope;
    }

    /// Where a record came from.
    pub fn origin(&self, row: &Row) -> Origin<'_> {
        Origin { source: &self.scope(row).source, start: row.start, end: row.end, ordinal: row.ordinal, salt: row.salt }
    }

    /// Memory the batch has use for, bytes.
    pub fn used(&self) -> usize {
        self.heap.len() + self.nodes.len() * size_of::<Node>() + self.rows.len() * size_of::<Row>()
    }

    /// Memory the batch occupies, by capacity, bytes.
    pub fn capacity(&self) -> usize {
        self.heap.capacity()
            + self.nodes.capacity() * size_of::<Node>()
            + self.rows.capacity() * size_of::<Row>()
            + self.keys.capacity()
    }

    /// A new node. Its id is higher than any before: links to it go forward. A table of 2^32 nodes, 64 GiB, is out of
    /// reach: the parser and the edits check before they add.
    #[inline]
    pub(crate) fn push_node(&mut self, node: Node) -> NodeId {
        let id = self.nodes.len() as NodeId;
        self.nodes.push(node);
        id
    }

    #[inline]
    pub(crate) fn node(&self, id: NodeId) -> Node {
        self.nodes[id as usize]
    }

    /// Whether `count` more nodes fit.
    pub(crate) fn has_room(&self, count: usize) -> bool {
        count <= MAX_NODES.saturating_sub(self.nodes.len())
    }

    /// Appends a text to the heap: where it stands.
    pub(crate) fn push_heap(&mut self, bytes: &[u8]) -> Result<(u32, u32), EditError> {
        let off = self.heap.len();
        if bytes.len() > (u32::MAX as usize).saturating_sub(off) {
            return Err(EditError::Full);
        }
        self.heap.extend_from_slice(bytes);
        Ok((off as u32, bytes.len() as u32))
    }

    /// An empty object, to be filled with [`Batch::append`](crate::Batch::append).
    pub fn new_object(&mut self) -> RootId {
        RootId(self.push_node(Node::dirty(Tag::Object)))
    }
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_packed() {
            return write!(f, "[{} packed records]", self.len());
        }
        let mut list = f.debug_list();
        for row in &self.rows {
            let mut json = Vec::new();
            self.write_json(row, &mut json);
            list.entry(&String::from_utf8_lossy(&json));
        }
        list.finish()
    }
}
