//! A value of a batch, read where it stands.

use std::borrow::Cow;

use crate::batch::Batch;
use crate::escape;
use crate::field::Kind;
use crate::node::{DIRTY, ESCAPED, NO_KEY, Node, NodeId, Tag, WIRE};
use crate::value::{Value, write_base64, write_display, write_float};

/// A value of a batch.
#[derive(Clone, Copy)]
pub struct NodeRef<'a> {
    pub(crate) batch: &'a Batch,
    pub(crate) id: NodeId,
}

/// The members of a map or the items of a list, in order. The key is `None` in lists.
#[derive(Clone)]
pub struct Children<'a> {
    batch: &'a Batch,
    next: NodeId,
}

// === impl NodeRef ===

impl<'a> NodeRef<'a> {
    fn node(self) -> Node {
        self.batch.node(self.id)
    }

    fn text(self) -> &'a str {
        // Invariant 1 of the crate; a batch whose reader broke it shows an empty text, nothing worse.
        std::str::from_utf8(&self.batch.heap[self.node().span()]).unwrap_or_default()
    }

    /// What it is.
    pub fn kind(self) -> Kind {
        match self.node().tag {
            Tag::Null => Kind::Null,
            Tag::False | Tag::True => Kind::Bool,
            Tag::Number | Tag::Int | Tag::Uint | Tag::Float => Kind::Number,
            Tag::Str | Tag::Hex => Kind::String,
            Tag::Bytes => Kind::Bytes,
            Tag::Array => Kind::Array,
            Tag::Object => Kind::Object,
        }
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.node().tag == Tag::Null
    }

    /// The key it stands under.
    pub fn key(self) -> Option<&'a str> {
        let key = self.node().key;
        (key != NO_KEY).then(|| std::str::from_utf8(self.batch.keys.plain(key)).unwrap_or_default())
    }

    /// The same as bytes, none for none: who copies keys need not have them looked at.
    pub fn key_bytes(self) -> &'a [u8] {
        let key = self.node().key;
        if key == NO_KEY { &[] } else { self.batch.keys.plain(key) }
    }

    /// Members or items; none for a scalar.
    pub fn children(self) -> Children<'a> {
        let node = self.node();
        Children { batch: self.batch, next: if node.is_container() { node.first_child(self.id) } else { 0 } }
    }

    /// What a string says.
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        let node = self.node();
        match node.tag {
            Tag::Str if node.is(ESCAPED) => Some(Cow::Owned(escape::unescape(self.text().as_bytes()))),
            Tag::Str => Some(Cow::Borrowed(self.text())),
            Tag::Hex => {
                let mut text = Vec::new();
                escape::write_hex(&self.batch.heap[node.span()], &mut text);
                Some(Cow::Owned(String::from_utf8(text).unwrap_or_default()))
            }
            _ => None,
        }
    }

    /// The bytes of what a string says, where they stand in the batch as they are.
    #[inline]
    pub fn plain_bytes(self) -> Option<&'a [u8]> {
        let node = self.node();
        (node.tag == Tag::Str && !node.is(ESCAPED)).then(|| &self.batch.heap[node.span()])
    }

    /// Appends it as text: a string as what it says, everything else as JSON.
    pub fn write_text(self, out: &mut Vec<u8>) {
        let node = self.node();
        match node.tag {
            Tag::Str if node.is(ESCAPED) => escape::unescape_into(&self.batch.heap[node.span()], out),
            Tag::Str => out.extend_from_slice(&self.batch.heap[node.span()]),
            Tag::Hex => escape::write_hex(&self.batch.heap[node.span()], out),
            _ => self.write_json(out),
        }
    }

    /// Whether it is a string that says `s`.
    #[inline]
    pub fn str_eq(self, s: &str) -> bool {
        let node = self.node();
        if node.tag == Tag::Hex {
            return escape::is_hex_of(s.as_bytes(), &self.batch.heap[node.span()]);
        }
        if node.tag != Tag::Str {
            return false;
        }
        let text = &self.batch.heap[node.span()];
        if node.is(ESCAPED) { escape::unescape(text) == s } else { text == s.as_bytes() }
    }

    /// The bytes of a byte string.
    pub fn as_bytes(self) -> Option<&'a [u8]> {
        (self.node().tag == Tag::Bytes).then(|| &self.batch.heap[self.node().span()])
    }

    /// The bytes a text is the hexadecimal digits of, where it is kept as these.
    pub fn hex_bytes(self) -> Option<&'a [u8]> {
        (self.node().tag == Tag::Hex).then(|| &self.batch.heap[self.node().span()])
    }

    /// The message this map was read from, in its source's binary format, if nothing in it was changed since.
    #[inline]
    pub fn wire(self) -> Option<&'a [u8]> {
        let node = self.node();
        (node.is_container() && node.flags & (WIRE | DIRTY) == WIRE).then(|| &self.batch.heap[node.span()])
    }

    /// A float that is kept as one.
    pub fn float(self) -> Option<f64> {
        let node = self.node();
        (node.tag == Tag::Float).then(|| f64::from_bits(node.to_bits()))
    }

    /// A boolean.
    pub fn as_bool(self) -> Option<bool> {
        match self.node().tag {
            Tag::True => Some(true),
            Tag::False => Some(false),
            _ => None,
        }
    }

    /// A number that is an integer and fits.
    pub fn as_i64(self) -> Option<i64> {
        let node = self.node();
        match node.tag {
            Tag::Number => self.text().parse().ok(),
            Tag::Int => Some(node.to_bits().cast_signed()),
            Tag::Uint => i64::try_from(node.to_bits()).ok(),
            _ => None,
        }
    }

    /// A number that is an integer of no sign and fits.
    pub fn as_u64(self) -> Option<u64> {
        let node = self.node();
        match node.tag {
            Tag::Number => self.text().parse().ok(),
            Tag::Int => u64::try_from(node.to_bits().cast_signed()).ok(),
            Tag::Uint => Some(node.to_bits()),
            _ => None,
        }
    }

    /// Any number, as near as a float comes to it.
    pub fn as_f64(self) -> Option<f64> {
        let node = self.node();
        match node.tag {
            Tag::Number => self.text().parse().ok(),
            Tag::Int => Some(node.to_bits().cast_signed() as f64),
            Tag::Uint => Some(node.to_bits() as f64),
            Tag::Float => Some(f64::from_bits(node.to_bits())),
            _ => None,
        }
    }

    /// A number in its source's words.
    pub fn number_text(self) -> Option<&'a str> {
        (self.node().tag == Tag::Number).then(|| self.text())
    }

    /// Appends it as JSON: source text where nobody changed it.
    pub fn write_json(self, out: &mut Vec<u8>) {
        self.batch.write_node(self.id, out);
    }

    /// As an owned tree.
    pub fn to_value(self) -> Value {
        let node = self.node();
        match node.tag {
            Tag::Null => Value::Null,
            Tag::False => Value::Bool(false),
            Tag::True => Value::Bool(true),
            Tag::Number => Value::Number(self.text().to_owned()),
            Tag::Int => Value::Int(node.to_bits().cast_signed()),
            Tag::Uint => Value::Uint(node.to_bits()),
            Tag::Float => Value::Float(f64::from_bits(node.to_bits())),
            Tag::Str | Tag::Hex => Value::Str(self.as_str().unwrap_or_default().into_owned()),
            Tag::Bytes => Value::Bytes(self.as_bytes().unwrap_or_default().to_vec()),
            Tag::Array => Value::Array(self.children().map(NodeRef::to_value).collect()),
            Tag::Object => Value::Object(
                self.children().map(|child| (child.key().unwrap_or_default().to_owned(), child.to_value())).collect(),
            ),
        }
    }

    /// Appends a scalar that is not a string or container; says whether it was one.
    pub(crate) fn write_scalar(node: Node, heap: &[u8], out: &mut Vec<u8>) {
        match node.tag {
            Tag::Null => out.extend_from_slice(b"null"),
            Tag::False => out.extend_from_slice(b"false"),
            Tag::True => out.extend_from_slice(b"true"),
            Tag::Int => write_display(node.to_bits().cast_signed(), out),
            Tag::Uint => write_display(node.to_bits(), out),
            Tag::Float => write_float(f64::from_bits(node.to_bits()), out),
            Tag::Bytes => write_base64(&heap[node.span()], out),
            Tag::Hex => {
                out.push(b'"');
                escape::write_hex(&heap[node.span()], out);
                out.push(b'"');
            }
            Tag::Number | Tag::Str | Tag::Array | Tag::Object => out.extend_from_slice(&heap[node.span()]),
        }
    }
}

impl std::fmt::Debug for NodeRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut json = Vec::new();
        self.write_json(&mut json);
        f.write_str(&String::from_utf8_lossy(&json))
    }
}

// === impl Children ===

impl<'a> Iterator for Children<'a> {
    type Item = NodeRef<'a>;

    fn next(&mut self) -> Option<NodeRef<'a>> {
        let id = self.next;
        if id == 0 {
            return None;
        }
        self.next = self.batch.node(id).next;
        Some(NodeRef { batch: self.batch, id })
    }
}
