//! Records whose fields are known beforehand: what parsers other than JSON build.
//!
//! A parser names its fields once, in a [`Shape`]. The first record of a batch interns the names, and every further one
//! finds their ids in the batch: no hashing per field, and a record is one run of nodes.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use smallvec::SmallVec;

use crate::batch::{Batch, RootId};
use crate::edit::EditError;
use crate::keys::Keys;
use crate::node::{Node, NodeId, RAW, Tag};

/// Shapes a batch remembers. A batch has one parser; more shapes only cost the hashing.
const REMEMBERED: usize = 4;

/// The fields a parser fills, by name, each at most once per record.
#[derive(Debug)]
pub struct Shape {
    id: u64,
    keys: Box<[Box<str>]>,
}

/// Ids of a shape's keys in one batch.
pub(crate) type ShapeKeys = (u64, SmallVec<[u16; 12]>);

/// A record under way. Its fields are named by their place in the shape; give each at most once. Texts stand in the heap
/// already.
#[must_use = "`finish` gives the record's body"]
pub struct Building<'b> {
    heap: &'b [u8],
    nodes: &'b mut Vec<Node>,
    ids: &'b [u16],
    root: NodeId,
    last: NodeId,
}

// === impl Shape ===

impl Shape {
    /// A shape of these fields. The names must differ.
    pub fn new<K: Into<Box<str>>>(keys: impl IntoIterator<Item = K>) -> Shape {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let keys = keys.into_iter().map(Into::into).collect();
        Shape { id: NEXT.fetch_add(1, Ordering::Relaxed), keys }
    }

    /// The names.
    pub fn keys(&self) -> &[Box<str>] {
        &self.keys
    }
}

impl Batch {
    /// Starts a record of that shape.
    #[inline]
    pub fn build_record(&mut self, shape: &Shape) -> Result<Building<'_>, EditError> {
        let at = match self.keys.shapes.iter().position(|(id, _)| *id == shape.id) {
            Some(at) => at,
            None => self.keys.learn(shape)?,
        };
        let root = self.push_node(Node::dirty(Tag::Object));
        Ok(Building { heap: &self.heap, nodes: &mut self.nodes, ids: &self.keys.shapes[at].1, root, last: 0 })
    }
}

impl Keys {
    #[cold]
    fn learn(&mut self, shape: &Shape) -> Result<usize, EditError> {
        let ids = shape.keys.iter().map(|key| self.intern(key)).collect::<Option<_>>().ok_or(EditError::Full)?;
        if self.shapes.len() == REMEMBERED {
            self.shapes.pop();
        }
        self.shapes.push((shape.id, ids));
        Ok(self.shapes.len() - 1)
    }
}

// === impl Building ===

impl<'b> Building<'b> {
    /// The batch's bytes.
    #[inline]
    pub fn heap(&self) -> &'b [u8] {
        self.heap
    }

    /// A text.
    #[inline]
    pub fn str(&mut self, field: usize, span: Range<usize>) {
        self.push(field, Node::text(Tag::Str, RAW, span.start as u32, (span.end - span.start) as u32));
    }

    /// A number in its source's words. The caller has checked them: [`is_number`].
    #[inline]
    pub fn number(&mut self, field: usize, span: Range<usize>) {
        self.push(field, Node::text(Tag::Number, 0, span.start as u32, (span.end - span.start) as u32));
    }

    /// An integer.
    pub fn int(&mut self, field: usize, value: i64) {
        self.push(field, Node::bits(Tag::Int, value.cast_unsigned()));
    }

    /// A float.
    pub fn float(&mut self, field: usize, value: f64) {
        self.push(field, Node::bits(Tag::Float, value.to_bits()));
    }

    /// A boolean.
    pub fn bool(&mut self, field: usize, value: bool) {
        self.push(field, Node::scalar(if value { Tag::True } else { Tag::False }));
    }

    /// The body.
    #[inline]
    pub fn finish(self) -> RootId {
        self.nodes[self.root as usize].len = self.last;
        RootId(self.root)
    }

    #[inline]
    fn push(&mut self, field: usize, node: Node) {
        let id = self.nodes.len() as NodeId;
        if self.last == 0 {
            self.nodes[self.root as usize].off = id;
        } else {
            self.nodes[self.last as usize].next = id;
        }
        self.last = id;
        self.nodes.push(Node { key: self.ids[field], ..node });
    }
}

impl std::fmt::Debug for Building<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Building({})", self.root)
    }
}

/// Whether `text` is a number as JSON writes it, so that it can stand in a record in its own words.
pub fn is_number(text: &[u8]) -> bool {
    crate::scan::is_number(text)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Path, Row, Scope, Source};

    fn batch(text: &str) -> Batch {
        let scope = Arc::new(Scope::new(Arc::new(Source::new("in".into(), 1))));
        let mut batch = Batch::new("t".into(), scope, 0);
        batch.heap_mut().extend_from_slice(text.as_bytes());
        batch
    }

    fn json(batch: &Batch, root: RootId) -> String {
        let mut out = Vec::new();
        batch.body(root).write_json(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn builds_what_append_builds() {
        let shape = Shape::new(["a", "b\"", "c"]);
        let mut b = batch("x\"y 12");
        for _ in 0..3 {
            let mut record = b.build_record(&shape).unwrap();
            record.str(0, 0..3);
            record.number(1, 4..6);
            record.int(2, -7);
            let root = record.finish();
            assert_eq!(json(&b, root), r#"{"a":"x\"y","b\"":12,"c":-7}"#);
        }
        let mut record = b.build_record(&shape).unwrap();
        record.bool(2, true);
        let root = record.finish();
        b.rows.push(Row::new(root, 0, 0, 1));
        let path = Path::key("c");
        assert_eq!(b.get(&b.rows[0], &b.resolve(&path)).and_then(|f| f.as_bool()), Some(true));
        b.set(0, &Path::key("a"), crate::NewValue::Float(0.5)).unwrap();
        assert_eq!(json(&b, root), r#"{"c":true,"a":0.5}"#);
        let empty = b.build_record(&shape).unwrap().finish();
        assert_eq!(json(&b, empty), "{}");
    }

    #[test]
    fn a_reset_batch_forgets_shapes() {
        let shape = Shape::new(["a"]);
        let mut b = batch("x");
        b.build_record(&shape).unwrap().finish();
        let scope = b.scopes()[0].clone();
        b.reset("t".into(), scope, 0);
        b.heap_mut().extend_from_slice(b"{\"z\":1}");
        b.parse_json(0..7).unwrap();
        let mut record = b.build_record(&shape).unwrap();
        record.str(0, 2..3);
        let root = record.finish();
        assert_eq!(json(&b, root), r#"{"a":"z"}"#);
    }

    #[test]
    fn more_shapes_than_are_remembered() {
        let shapes: Vec<Shape> = (0..10).map(|i| Shape::new([format!("k{i}")])).collect();
        let mut b = batch("x");
        for shape in shapes.iter().chain(&shapes) {
            let mut record = b.build_record(shape).unwrap();
            record.str(0, 0..1);
            let root = record.finish();
            assert_eq!(json(&b, root), format!(r#"{{"{}":"x"}}"#, shape.keys()[0]));
        }
    }

    #[test]
    fn numbers_are_those_of_json() {
        for yes in ["0", "-0", "10", "1.5", "1e9", "1.25E-3", "123456789012345678901234567890"] {
            assert!(is_number(yes.as_bytes()), "{yes}");
        }
        for no in ["", "-", "+1", "01", "1.", ".5", "1e", "1e+", "0x1", "1 ", "NaN", "1.5.5", "٣"] {
            assert!(!is_number(no.as_bytes()), "{no}");
        }
    }
}
