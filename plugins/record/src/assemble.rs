//! Values of pieces that stand in the heap already: how readers of binary formats build records without copying a text.
//!
//! The reader promises that texts and keys it names are UTF-8, and that its spans lie in the heap the batch has when it is
//! read. What it breaks of that shows as empty texts or a panic, nothing worse.

use std::ops::Range;

use smallvec::SmallVec;

use crate::batch::{Batch, RootId};
use crate::edit::EditError;
use crate::node::{DIRTY, DUPLICATES, EMPTY, NO_KEY, Node, NodeId, RAW, Tag, WIRE};
use crate::parse::MAX_DEPTH;

/// The key a value stands under.
#[derive(Clone, Copy, Debug)]
pub enum Key<'k> {
    /// An item of a list has none.
    Item,
    /// This one.
    Name(&'k str),
    /// This one, which the reader knows to be UTF-8.
    Bytes(&'k [u8]),
}

/// A value that is no container.
#[derive(Clone, Debug)]
pub enum Piece {
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
    /// A text in the heap.
    Text(Range<usize>),
    /// Bytes in the heap.
    Bytes(Range<usize>),
    /// The text of the hexadecimal digits of bytes in the heap.
    Hex(Range<usize>),
}

/// A value that is being built, container by container.
#[derive(Debug)]
pub struct Assembly<'b> {
    batch: &'b mut Batch,
    root: NodeId,
    /// Containers not closed yet, and the last child of each.
    open: SmallVec<[(NodeId, NodeId); 16]>,
}

// === impl Batch ===

impl Batch {
    /// Begins a map. Until it is finished, nodes are added behind the batch's; dropping it leaves them there unused.
    pub fn assemble(&mut self) -> Result<Assembly<'_>, EditError> {
        if !self.has_room(1) {
            return Err(EditError::Full);
        }
        let root = self.push_node(Node::dirty(Tag::Object));
        let mut open = SmallVec::new();
        open.push((root, 0));
        Ok(Assembly { batch: self, root, open })
    }
}

// === impl Assembly ===

impl Assembly<'_> {
    /// Adds a value to the container that is open.
    #[inline]
    pub fn put(&mut self, key: Key<'_>, piece: Piece) -> Result<(), EditError> {
        let node = match piece {
            Piece::Null => Node::scalar(Tag::Null),
            Piece::Bool(b) => Node::scalar(if b { Tag::True } else { Tag::False }),
            Piece::Int(n) => Node::bits(Tag::Int, n.cast_unsigned()),
            Piece::Uint(n) => Node::bits(Tag::Uint, n),
            Piece::Float(n) => Node::bits(Tag::Float, n.to_bits()),
            Piece::Text(span) => text(Tag::Str, RAW, &span)?,
            Piece::Bytes(span) => text(Tag::Bytes, 0, &span)?,
            Piece::Hex(span) => text(Tag::Hex, 0, &span)?,
        };
        self.add(key, node).map(drop)
    }

    /// Adds a text that is not in the heap yet.
    pub fn put_text(&mut self, key: Key<'_>, text: &str) -> Result<(), EditError> {
        let (off, len) = self.batch.push_heap(text.as_bytes())?;
        self.add(key, Node::text(Tag::Str, RAW, off, len)).map(drop)
    }

    /// Adds bytes that are not in the heap yet.
    pub fn put_bytes(&mut self, key: Key<'_>, bytes: &[u8]) -> Result<(), EditError> {
        let (off, len) = self.batch.push_heap(bytes)?;
        self.add(key, Node::text(Tag::Bytes, 0, off, len)).map(drop)
    }

    /// Opens a map in the container that is open.
    pub fn open_map(&mut self, key: Key<'_>) -> Result<(), EditError> {
        self.open(key, Tag::Object)
    }

    /// Opens a list in the container that is open.
    pub fn open_list(&mut self, key: Key<'_>) -> Result<(), EditError> {
        self.open(key, Tag::Array)
    }

    /// Closes the container that was opened last. The outermost is closed by [`Assembly::finish`].
    pub fn close(&mut self) {
        if self.open.len() > 1
            && let Some((container, last)) = self.open.pop()
        {
            self.batch.nodes[container as usize].len = last;
        }
    }

    /// The value. `wire` is where the message it was read from stands in the heap: it says the same as long as nobody
    /// changes the value ([`crate::NodeRef::wire`]).
    pub fn finish(mut self, wire: Option<Range<usize>>) -> Result<RootId, EditError> {
        while self.open.len() > 1 {
            self.close();
        }
        let last = self.open.pop().map_or(0, |(_, last)| last);
        let node = &mut self.batch.nodes[self.root as usize];
        node.len = last;
        if let Some(span) = wire {
            let Node { off, len, .. } = text(Tag::Object, 0, &span)?;
            node.flags = (node.flags & !DIRTY) | WIRE | if last == 0 { EMPTY } else { 0 };
            (node.off, node.len) = (off, len);
        }
        Ok(RootId(self.root))
    }

    fn open(&mut self, key: Key<'_>, tag: Tag) -> Result<(), EditError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(EditError::TooDeep);
        }
        let id = self.add(key, Node::dirty(tag))?;
        self.open.push((id, 0));
        Ok(())
    }

    #[inline]
    fn add(&mut self, key: Key<'_>, node: Node) -> Result<NodeId, EditError> {
        let Some(&mut (container, ref mut last)) = self.open.last_mut() else { return Err(EditError::NotSettable) };
        let key = match key {
            Key::Item => NO_KEY,
            Key::Name(name) => self.batch.keys.intern(name).ok_or(EditError::Full)?,
            Key::Bytes(bytes) => match self.batch.keys.find_bytes(bytes) {
                Some(known) => known,
                None => {
                    let name = std::str::from_utf8(bytes).unwrap_or_default();
                    self.batch.keys.intern(name).ok_or(EditError::Full)?
                }
            },
        };
        if !self.batch.has_room(1) {
            return Err(EditError::Full);
        }
        let id = self.batch.nodes.len() as NodeId;
        self.batch.nodes.push(Node { key, ..node });
        if *last == 0 {
            self.batch.nodes[container as usize].off = id;
        } else {
            self.batch.nodes[*last as usize].next = id;
        }
        *last = id;
        if key != NO_KEY {
            // Seen in an open container around this one, it may come there again, and the stamp won't tell.
            let (seen, _) = self.batch.keys.stamp(key, container);
            if seen >= self.root && self.open.iter().any(|&(open, _)| open == seen) {
                self.batch.nodes[seen as usize].flags |= DUPLICATES;
            }
        }
        Ok(id)
    }
}

#[inline]
fn text(tag: Tag, flags: u8, span: &Range<usize>) -> Result<Node, EditError> {
    if span.end > u32::MAX as usize || span.start > span.end {
        return Err(EditError::Full);
    }
    Ok(Node::text(tag, flags, span.start as u32, (span.end - span.start) as u32))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Header, NewValue, Path, Row, Scope, Source, Value};

    const HEAP: &[u8] = b"\xffmessage: h\"t\xab\x01";

    fn batch() -> Batch {
        let scope = Arc::new(Scope::new(Arc::new(Source::new("in".into(), 1))));
        let mut batch = Batch::new("t".into(), scope, 0);
        batch.heap_mut().extend_from_slice(HEAP);
        let mut map = batch.assemble().unwrap();
        map.put(Key::Name("text"), Piece::Text(10..13)).unwrap();
        map.put(Key::Bytes(b"id"), Piece::Hex(13..15)).unwrap();
        map.open_map(Key::Name("in")).unwrap();
        map.put(Key::Name("text"), Piece::Float(f64::NAN)).unwrap();
        map.put(Key::Name("u"), Piece::Uint(u64::MAX)).unwrap();
        map.open_list(Key::Name("l")).unwrap();
        map.put(Key::Item, Piece::Bytes(0..1)).unwrap();
        map.put(Key::Item, Piece::Null).unwrap();
        map.open_map(Key::Item).unwrap();
        map.close();
        map.close();
        map.close();
        map.put(Key::Name("b"), Piece::Bool(true)).unwrap();
        let root = map.finish(Some(0..15)).unwrap();
        batch.rows.push(Row::new(root, 5, 0, 15));
        batch
    }

    fn json(batch: &Batch, row: usize) -> String {
        let mut out = Vec::new();
        batch.write_json(&batch.rows[row], &mut out);
        String::from_utf8(out).unwrap()
    }

    const JSON: &str =
        r#"{"text":"h\"t","id":"ab01","in":{"text":null,"u":18446744073709551615,"l":["/w==",null,{}]},"b":true}"#;

    #[test]
    fn is_read_like_any_other_record() {
        let batch = batch();
        assert_eq!(json(&batch, 0), JSON);
        let mut members = Vec::new();
        assert!(batch.write_members(batch.rows[0].root(), &mut members));
        assert_eq!(members, &JSON.as_bytes()[1..JSON.len() - 1]);
        let get = |path: &str| batch.get(&batch.rows[0], &batch.resolve(&Path::parse(path).unwrap())).unwrap();
        assert!(get("id").str_eq("ab01") && !get("id").str_eq("AB01") && !get("id").str_eq("ab"));
        assert_eq!(get("id").as_str().as_deref(), Some("ab01"));
        assert_eq!(get("id").to_value(), Value::from("ab01"));
        assert_eq!(get("in.l[0]").to_value(), Value::Bytes(vec![0xff]));
        assert_eq!(get("in.u").as_f64(), Some(u64::MAX as f64));
        assert_eq!(batch.body(batch.rows[0].root()).wire(), Some(HEAP));
    }

    #[test]
    fn texts_may_come_from_elsewhere() {
        let mut batch = batch();
        let mut map = batch.assemble().unwrap();
        map.put_text(Key::Name("text"), "é\"").unwrap();
        map.put_bytes(Key::Name("bytes"), &[0, 255]).unwrap();
        let root = map.finish(None).unwrap();
        batch.rows.push(Row::new(root, 0, 15, 16));
        assert_eq!(json(&batch, 1), r#"{"text":"é\"","bytes":"AP8="}"#);
        assert_eq!(json(&batch, 0), JSON);
    }

    #[test]
    fn an_edit_or_a_copy_parts_it_from_its_message() {
        let fresh = batch();
        let edits: [(&str, fn(&mut Batch)); 6] = [
            ("in.u", |b| b.set(0, &Path::parse("in.u").unwrap(), NewValue::Int(1)).unwrap()),
            ("b", |b| b.set(0, &Path::key("b"), NewValue::Int(1)).unwrap()),
            ("new", |b| b.set(0, &Path::key("new"), NewValue::Int(1)).unwrap()),
            ("gone", |b| {
                let path = Path::key("id");
                let path = b.resolve(&path);
                assert!(b.remove(0, &path));
            }),
            ("renamed", |b| assert!(b.rename(0, &Path::key("id"), &Path::key("di")).unwrap())),
            ("time", |b| b.set(0, &Path::parse("@time").unwrap(), NewValue::Int(1)).unwrap()),
        ];
        for (name, edit) in edits {
            let mut batch = fresh.clone();
            edit(&mut batch);
            assert_eq!(batch.body(batch.rows[0].root()).wire(), None, "{name}");
        }
        let mut batch = fresh.clone();
        batch.set_header(0, Header::Severity, NewValue::Str("x")).unwrap();
        assert!(
            batch.body(batch.rows[0].root()).wire().is_some() && batch.header(&batch.rows[0]).unwrap().wire().is_none()
        );

        let copy = batch.copy_row(&fresh.rows[0]);
        batch.rows.push(copy);
        let mut other = fresh.sibling("t".into());
        other.import(&fresh, &fresh.rows[0]).unwrap();
        assert_eq!((json(&batch, 1).as_str(), json(&other, 0).as_str()), (JSON, JSON));
        assert!(batch.body(copy.root()).wire().is_none() && other.body(other.rows[0].root()).wire().is_none());
        other.set(0, &Path::parse("in.l[2].x").unwrap(), NewValue::Int(1)).unwrap();
        assert!(json(&other, 0).contains(r#"null,{"x":1}]"#), "{}", json(&other, 0));
    }

    #[test]
    fn the_last_of_equal_keys_wins_wherever_else_it_stands() {
        let mut batch = batch();
        let mut map = batch.assemble().unwrap();
        map.put(Key::Name("k"), Piece::Int(1)).unwrap();
        map.open_map(Key::Name("m")).unwrap();
        map.put(Key::Name("k"), Piece::Int(2)).unwrap();
        map.close();
        map.put(Key::Name("k"), Piece::Int(3)).unwrap();
        let root = map.finish(None).unwrap();
        batch.rows.push(Row::new(root, 0, 0, 0));
        let path = Path::key("k");
        let path = batch.resolve(&path);
        assert_eq!(batch.get(&batch.rows[1], &path).unwrap().as_i64(), Some(3));
        assert_eq!(json(&batch, 1), r#"{"k":1,"m":{"k":2},"k":3}"#);
        assert!(batch.remove(1, &path));
        assert_eq!(json(&batch, 1), r#"{"m":{"k":2}}"#);
    }

    #[test]
    fn nests_no_deeper_than_a_record_may() {
        let mut batch = batch();
        let mut map = batch.assemble().unwrap();
        for _ in 1..MAX_DEPTH {
            map.open_list(Key::Name("x")).unwrap();
        }
        assert_eq!(map.open_map(Key::Item), Err(EditError::TooDeep));
    }
}
