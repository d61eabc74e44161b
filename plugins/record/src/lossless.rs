//! JSON that keeps what JSON has no words for: bytes, NaN and infinities. For queues: nobody else is to see it.
//!
//! Such a value is written as a text that begins with U+0000 and a letter: `b` and base64, or `f` and the 16 hexadecimal
//! digits of the float's bits. A text that begins with U+0000 itself gets `s` put between.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::batch::{Batch, RootId};
use crate::escape;
use crate::json_error::JsonError;
use crate::node::{DIRTY, ESCAPED, JOINED, Node, NodeId, RAW, SPACED, TIGHT, Tag, WIRE};
use crate::node_ref::NodeRef;
use crate::value::Value;

/// U+0000 as JSON has it.
const MARK: &[u8] = b"\\u0000";

impl NodeRef<'_> {
    /// Whether JSON has words for all of it.
    pub fn is_json(self) -> bool {
        self.batch.is_json(self.id)
    }

    /// Appends it as JSON that [`Batch::parse_lossless`] reads back as it is.
    pub fn write_lossless(self, out: &mut Vec<u8>) {
        self.batch.write_lossless(self.id, out);
    }
}

impl Batch {
    fn is_json(&self, id: NodeId) -> bool {
        let node = self.node(id);
        match node.tag {
            Tag::Bytes => false,
            Tag::Float => f64::from_bits(node.to_bits()).is_finite(),
            Tag::Array | Tag::Object if node.flags & (DIRTY | WIRE) != 0 => {
                self.child_ids(id).all(|child| self.is_json(child))
            }
            _ => true,
        }
    }

    fn write_lossless(&self, id: NodeId, out: &mut Vec<u8>) {
        let node = self.node(id);
        match node.tag {
            Tag::Bytes => mark(b'b', STANDARD.encode(&self.heap[node.span()]).as_bytes(), out),
            Tag::Float if !f64::from_bits(node.to_bits()).is_finite() => {
                mark(b'f', format!("{:016x}", node.to_bits()).as_bytes(), out);
            }
            Tag::Str => {
                let from = out.len();
                self.write_node(id, out);
                if out[from + 1..].starts_with(MARK) {
                    drop(out.splice(from + 1..from + 1, MARK.iter().copied().chain([b's'])));
                }
            }
            Tag::Array | Tag::Object => {
                let is_map = node.tag == Tag::Object;
                out.push(if is_map { b'{' } else { b'[' });
                for (i, child) in self.child_ids(id).enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    if is_map {
                        out.extend_from_slice(self.keys.quoted(self.node(child).key));
                    }
                    self.write_lossless(child, out);
                }
                out.push(if is_map { b'}' } else { b']' });
            }
            _ => self.write_node(id, out),
        }
    }

    /// Parses what [`NodeRef::write_lossless`] wrote.
    pub fn parse_lossless(&mut self, span: Range<usize>) -> Result<RootId, JsonError> {
        let root = self.parse_json(span)?;
        for id in root.0..self.nodes.len() as NodeId {
            let node = self.node(id);
            // A container's text is not what it says any more.
            self.make_dirty(id);
            if node.tag != Tag::Str || !node.is(ESCAPED) || !self.heap[node.span()].starts_with(MARK) {
                continue;
            }
            let text = &self.heap[node.span()][MARK.len()..];
            let kept = Node { flags: node.flags & !(ESCAPED | RAW | TIGHT | SPACED | JOINED), ..node };
            let rest = text.get(1..).unwrap_or_default();
            let restored = match text.first() {
                Some(b'b') => STANDARD.decode(rest).ok().and_then(|bytes| {
                    let (off, len) = self.push_heap(&bytes).ok()?;
                    Some(Node { tag: Tag::Bytes, off, len, ..kept })
                }),
                Some(b'f') => {
                    std::str::from_utf8(rest).ok().and_then(|digits| u64::from_str_radix(digits, 16).ok()).map(|bits| {
                        let Node { off, len, .. } = Node::bits(Tag::Float, bits);
                        Node { tag: Tag::Float, off, len, ..kept }
                    })
                }
                Some(b's') => Some(Node {
                    flags: kept.flags | ESCAPED,
                    off: node.off + MARK.len() as u32 + 1,
                    len: node.len - MARK.len() as u32 - 1,
                    ..kept
                }),
                _ => None,
            };
            // What nobody wrote so is what it says.
            if let Some(restored) = restored {
                self.nodes[id as usize] = restored;
            }
        }
        Ok(root)
    }
}

impl Value {
    /// Whether JSON has words for all of it.
    pub fn is_json(&self) -> bool {
        match self {
            Value::Bytes(_) => false,
            Value::Float(n) => n.is_finite(),
            Value::Array(items) => items.iter().all(Value::is_json),
            Value::Object(members) => members.iter().all(|(_, value)| value.is_json()),
            _ => true,
        }
    }

    /// Appends it as JSON that [`Batch::parse_lossless`] reads back as it is.
    pub fn write_lossless(&self, out: &mut Vec<u8>) {
        self.write_with(write_lossless_leaf, out);
    }
}

fn write_lossless_leaf(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Bytes(bytes) => mark(b'b', STANDARD.encode(bytes).as_bytes(), out),
        Value::Float(n) if !n.is_finite() => mark(b'f', format!("{:016x}", n.to_bits()).as_bytes(), out),
        Value::Str(text) if text.starts_with('\0') => {
            escape::write_json_str(&format!("\0s{text}"), out);
        }
        _ => value.write_leaf(out),
    }
}

fn mark(letter: u8, text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(MARK);
    out.push(letter);
    out.extend_from_slice(text);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{NewValue, Path, Row, Scope, Source};

    fn batch() -> Batch {
        Batch::new("t".into(), Arc::new(Scope::new(Arc::new(Source::new("in".into(), 1)))), 0)
    }

    #[test]
    fn every_kind_comes_back() {
        let values = vec![
            Value::Bytes(vec![0, 255, 7]),
            Value::Bytes(Vec::new()),
            Value::Float(f64::INFINITY),
            Value::Float(f64::NEG_INFINITY),
            Value::Str("\0".to_owned()),
            Value::Str("\0b AA==".to_owned()),
            Value::Str("\0s\0\"\n水".to_owned()),
            Value::Str("plain".to_owned()),
            Value::Null,
            Value::Array(vec![Value::Object(vec![
                ("k".to_owned(), Value::Bytes(vec![1])),
                ("e".to_owned(), Value::Bool(true)),
            ])]),
        ];
        let value = Value::Object(values.into_iter().enumerate().map(|(i, v)| (format!("\0{i}"), v)).collect());
        let mut from = batch();
        let first = from.new_object();
        let root = first;
        from.append(root, "all", NewValue::Tree(&value)).unwrap();
        from.append(root, "nan", NewValue::Float(f64::from_bits(0x7ff8_0000_0000_0001))).unwrap();
        assert!(!from.body(root).is_json() && !value.is_json());
        let (mut text, mut other) = (Vec::new(), Vec::new());
        from.body(root).write_lossless(&mut text);
        from.body(root).to_value().write_lossless(&mut other);
        assert_eq!(text, other);

        let mut to = batch();
        to.heap_mut().extend_from_slice(&text);
        let root = to.parse_lossless(0..text.len()).unwrap();
        to.rows.push(Row::new(root, 0, 0, 0));
        let get = |path: &str| to.get(&to.rows[0], &to.resolve(&Path::key(path))).unwrap();
        assert_eq!(get("all").to_value(), value);
        assert!(matches!(get("nan").to_value(), Value::Float(n) if n.to_bits() == 0x7ff8_0000_0000_0001));
        let (mut again, mut json) = (Vec::new(), Vec::new());
        to.body(root).write_lossless(&mut again);
        assert_eq!(again, text);
        // As plain JSON it is what it always was.
        to.write_json(&to.rows[0], &mut json);
        let mut plain = Vec::new();
        from.write_json(&Row::new(first, 0, 0, 0), &mut plain);
        assert_eq!(json, plain);
    }

    #[test]
    fn what_parses_as_json_has_words_for_all_of_it() {
        let mut batch = batch();
        let text = br#"{"a":[1,"\u0000b",{"b":null}]}"#;
        batch.heap_mut().extend_from_slice(text);
        let root = batch.parse_json(0..text.len()).unwrap();
        assert!(batch.body(root).is_json());
    }
}
