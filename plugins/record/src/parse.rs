//! JSON (RFC 8259) into nodes, in one pass that validates everything and copies nothing.
//!
//! No recursion and no stack: while a container is open, its `next` names the container around it, and its `len` is 0.
//! Three things make it fast, in the order of what they bring: guessing the next key and comparing it in one go
//! ([`Keys::follow`]), runs of string bytes 32 at a time ([`scan::plain_run`]), and leaving numbers and escapes as text
//! until somebody asks for their value.
//!
//! Stricter than some: no comments, no trailing commas, no NaN, no lone surrogates, no bytes behind the value.
//!
//! A text with line breaks between its tokens is valid, but its raw spans are not: written into a format of lines they
//! would break it. So its containers are dirty from the start, and it is written without them.

use std::ops::Range;

use crate::batch::{Batch, RootId};
use crate::escape;
use crate::json_error::JsonError;
use crate::keys::Keys;
use crate::node::{DUPLICATES, EMPTY, ESCAPED, JOINED, NO_KEY, Node, NodeId, SPACED, TIGHT, Tag};
use crate::scan;

/// How deep maps and lists may nest in a record. A text whose value is no map becomes `{ "log": value }`, so for it the
/// limit is one less.
pub const MAX_DEPTH: usize = 128;

impl Batch {
    /// Parses the JSON value in `span` of the heap, which must be valid UTF-8 ([`Batch::check_utf8`]). On an error the
    /// batch is as it was, but for keys it learned.
    pub fn parse_json(&mut self, span: Range<usize>) -> Result<RootId, JsonError> {
        let from = self.nodes.len();
        // A value takes a node and, but for the last, two bytes.
        if span.end > u32::MAX as usize || from + span.len() / 2 + 1 > u32::MAX as usize {
            return Err(JsonError::KeysFull);
        }
        let mut parser = Parser {
            text: &self.heap[..span.end],
            heap: &self.heap,
            next_key: self.keys.first,
            nodes: &mut self.nodes,
            keys: &mut self.keys,
            pos: span.start,
            last_key: NO_KEY,
            root: from as NodeId,
            breaks: false,
        };
        let result = parser.document();
        // The first child of each container was linked from here.
        self.nodes[0] = Node::NONE;
        match result {
            Ok(false) => Ok(RootId(from as NodeId)),
            Ok(true) => {
                self.forget_spans(from);
                Ok(RootId(from as NodeId))
            }
            Err(error) => {
                self.nodes.truncate(from);
                Err(error.relative_to(span.start))
            }
        }
    }

    /// Makes all containers from `from` on dirty.
    #[cold]
    fn forget_spans(&mut self, from: usize) {
        for id in from..self.nodes.len() {
            self.make_dirty(id as NodeId);
        }
    }
}

struct Parser<'b> {
    /// The heap up to the end of the text.
    text: &'b [u8],
    /// All of the heap: wide loads may look past the text's end.
    heap: &'b [u8],
    nodes: &'b mut Vec<Node>,
    keys: &'b mut Keys,
    pos: usize,
    /// The key before this one, and what followed it last time.
    last_key: u16,
    next_key: u16,
    root: NodeId,
    /// Whether there was a line break between tokens.
    breaks: bool,
}

/// How a value stands in its container.
#[derive(Clone, Copy)]
struct Member {
    key: u16,
    flags: u8,
}

// === impl Member ===

impl Member {
    const NONE: Member = Member { key: NO_KEY, flags: 0 };

    #[inline(always)]
    fn node(self, tag: Tag, flags: u8, next: NodeId, off: usize, len: usize) -> Node {
        Node { tag, flags: self.flags | flags, key: self.key, next, off: off as u32, len: len as u32 }
    }
}

// === impl Parser ===

impl Parser<'_> {
    /// Says whether there are line breaks between its tokens.
    fn document(&mut self) -> Result<bool, JsonError> {
        let mut b = self.skip_space();
        self.breaks = false;
        let mut depth = if b == b'{' { 0 } else { 1 };
        // The container that is open, or 0, what closes it, and its last child so far, or 0.
        let mut open: NodeId = 0;
        let mut closer = 0;
        let mut last: NodeId = 0;
        // How the value that comes next stands behind its key. Kept apart from the node, and in registers: a node that is
        // put together in memory, field by field, stalls when it is copied.
        let mut member = Member::NONE;
        'value: loop {
            // `b` is its first byte.
            let id = self.nodes.len() as NodeId;
            self.nodes[last as usize].next = id;
            let (tag, flags, off, len);
            match b {
                b'"' => {
                    off = self.pos + 1;
                    (flags, len) = self.string()?;
                    tag = Tag::Str;
                }
                b'{' | b'[' => {
                    if depth == MAX_DEPTH {
                        return Err(JsonError::TooDeep { at: self.pos });
                    }
                    tag = if b == b'{' { Tag::Object } else { Tag::Array };
                    off = self.pos;
                    self.pos += 1;
                    let close = b + 2;
                    b = self.skip_space();
                    if b != close {
                        self.nodes.push(member.node(tag, 0, open, off, 0));
                        depth += 1;
                        (open, closer, last) = (id, close, 0);
                        (member, b) = if close == b'}' { self.member(open)? } else { (Member::NONE, b) };
                        continue 'value;
                    }
                    self.pos += 1;
                    (flags, len) = (EMPTY, self.pos - off);
                }
                b'-' | b'0'..=b'9' => {
                    off = self.pos;
                    (tag, flags, len) = (Tag::Number, 0, self.number()?);
                }
                _ => {
                    off = self.pos;
                    (tag, flags) = (self.literal(b)?, 0);
                    len = self.pos - off;
                }
            }
            self.nodes.push(member.node(tag, flags, 0, off, len));
            last = id;
            // A value is complete: close what closes here, then go on to the next one.
            loop {
                if open == 0 {
                    let breaks = self.breaks;
                    self.skip_space();
                    return if self.pos == self.text.len() { Ok(breaks) } else { Err(self.expected("the end")) };
                }
                b = self.peek();
                let mut joined = u8::MAX;
                if b <= b' ' {
                    b = self.skip_space_slow();
                    joined = !JOINED;
                }
                if b == b',' {
                    self.pos += 1;
                    if closer == b'}' {
                        (member, b) = self.member(open)?;
                        member.flags &= joined;
                    } else {
                        (member, b) = (Member::NONE, self.skip_space());
                    }
                    continue 'value;
                }
                if b != closer {
                    return Err(self.expected(if closer == b'}' { "`,` or `}`" } else { "`,` or `]`" }));
                }
                self.pos += 1;
                depth -= 1;
                let end = self.pos as u32;
                let container = &mut self.nodes[open as usize];
                container.len = end - container.off;
                last = open;
                open = std::mem::take(&mut container.next);
                closer = if self.nodes[open as usize].tag == Tag::Object { b'}' } else { b']' };
            }
        }
    }

    /// The byte at the position; NUL, which stands nowhere in JSON, at the end.
    #[inline(always)]
    fn peek(&self) -> u8 {
        self.text.get(self.pos).copied().unwrap_or(0)
    }

    /// Goes past white space. The byte behind it.
    #[inline(always)]
    fn skip_space(&mut self) -> u8 {
        let b = self.peek();
        if b > b' ' { b } else { self.skip_space_slow() }
    }

    fn skip_space_slow(&mut self) -> u8 {
        loop {
            match self.peek() {
                b' ' | b'\t' => {}
                b'\n' | b'\r' => self.breaks = true,
                b => return b,
            }
            self.pos += 1;
        }
    }

    #[cold]
    fn expected(&self, expected: &'static str) -> JsonError {
        if self.pos >= self.text.len() { JsonError::Unfinished } else { JsonError::Expected { expected, at: self.pos } }
    }

    /// `"key":` of a member of `open`, and the space behind it. The first byte of the value.
    #[inline(always)]
    fn member(&mut self, open: NodeId) -> Result<(Member, u8), JsonError> {
        let source = self.heap.get(self.pos..).unwrap_or_default();
        let Some(found) = self.keys.follow(self.next_key, source, open) else {
            return self.new_member(open);
        };
        self.pos += found.len;
        self.last_key = found.key;
        self.next_key = found.next;
        if found.seen >= self.root {
            self.note_duplicate(found.seen, open);
        }
        let b = self.peek();
        Ok(if b > b' ' { (Member { key: found.key, flags: TIGHT | JOINED }, b) } else { self.spaced(found.key) })
    }

    /// The white space behind a key that stands in the source to the letter.
    #[inline]
    fn spaced(&mut self, key: u16) -> (Member, u8) {
        if self.peek() == b' ' {
            self.pos += 1;
            let b = self.peek();
            if b > b' ' {
                return (Member { key, flags: SPACED | JOINED }, b);
            }
        }
        (Member { key, flags: 0 }, self.skip_space_slow())
    }

    /// A member behind white space, or with a key nobody guessed.
    #[inline(never)]
    fn new_member(&mut self, open: NodeId) -> Result<(Member, u8), JsonError> {
        if matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            let from = self.pos;
            self.skip_space_slow();
            let single = self.text[from] == b' ' && self.pos == from + 1;
            let (mut member, b) = self.member(open)?;
            if !single {
                member.flags &= !JOINED;
            }
            return Ok((member, b));
        }
        if self.peek() != b'"' {
            return Err(self.expected("a key in double quotes"));
        }
        let from = self.pos + 1;
        let (flags, len) = self.string()?;
        let text = &self.text[from..from + len];
        let key = if flags == ESCAPED {
            self.keys.intern(&escape::unescape(text))
        } else {
            match self.keys.find_bytes(text) {
                Some(key) => Some(key),
                // The heap is UTF-8; should a reader have broken that, the record is refused, nothing worse.
                None => self.keys.intern(
                    std::str::from_utf8(text)
                        .map_err(|_| JsonError::BadString { what: "it is not UTF-8", at: from - 1 })?,
                ),
            }
        };
        let key = key.ok_or(JsonError::KeysFull)?;
        let exact = self.peek() == b':' && flags != ESCAPED;
        if self.skip_space() != b':' {
            return Err(self.expected("`:`"));
        }
        self.pos += 1;
        self.keys.set_next(self.last_key, key);
        let (seen, next) = self.keys.stamp(key, open);
        self.last_key = key;
        self.next_key = next;
        if seen >= self.root {
            self.note_duplicate(seen, open);
        }
        let b = self.peek();
        Ok(match (exact, b > b' ') {
            (true, true) => (Member { key, flags: TIGHT | JOINED }, b),
            (true, false) => self.spaced(key),
            (false, _) => (Member { key, flags: 0 }, self.skip_space()),
        })
    }

    /// Marks the object that holds a key twice. Where the same key was last seen in an object that is still open around
    /// this one, that one is marked too: whether it repeats there can no longer be told from the stamp. A text that was
    /// refused leaves stamps of nodes that are gone: those may mark an object too many, which costs it a little speed.
    #[inline]
    fn note_duplicate(&mut self, seen: NodeId, open: NodeId) {
        if let Some(node) = self.nodes.get_mut(seen as usize)
            && (seen == open || node.len == 0)
        {
            node.flags |= DUPLICATES;
        }
    }

    /// Past a string: its flags, and its length without quotes.
    #[inline(always)]
    fn string(&mut self) -> Result<(u8, usize), JsonError> {
        let from = self.pos + 1;
        let at = from + scan::plain_run(self.heap.get(from..).unwrap_or_default());
        if self.text.get(at) == Some(&b'"') {
            self.pos = at + 1;
            return Ok((0, at - from));
        }
        let at = self.string_special(at)?;
        self.pos = at + 1;
        Ok((ESCAPED, at - from))
    }

    /// From what is not plain at `at` to the closing quote.
    #[inline(never)]
    fn string_special(&self, mut at: usize) -> Result<usize, JsonError> {
        loop {
            at += match self.text.get(at) {
                None => return Err(JsonError::Unfinished),
                Some(b'"') => return Ok(at),
                Some(b'\\') => match escape::check_escape(&self.text[at..]) {
                    Some(len) => len + scan::plain_run(&self.text[at + len..]),
                    None => {
                        return Err(JsonError::BadString {
                            what: "a malformed escape, or half of a surrogate pair",
                            at,
                        });
                    }
                },
                Some(_) => {
                    return Err(JsonError::BadString { what: "a control character that is not escaped", at });
                }
            };
        }
    }

    /// Past a number: its length.
    #[inline(always)]
    fn number(&mut self) -> Result<usize, JsonError> {
        match scan::number_len(&self.text[self.pos..]) {
            Ok(len) => {
                self.pos += len;
                Ok(len)
            }
            Err(at) => {
                self.pos += at;
                Err(self.expected("a digit"))
            }
        }
    }

    /// Past `true`, `false` or `null`.
    #[inline]
    fn literal(&mut self, first: u8) -> Result<Tag, JsonError> {
        let (word, tag): (&[u8], _) = match first {
            b't' => (b"true", Tag::True),
            b'f' => (b"false", Tag::False),
            b'n' => (b"null", Tag::Null),
            _ => return Err(self.expected("a value")),
        };
        let rest = &self.text[self.pos..];
        if !rest.starts_with(word) {
            return Err(if word.starts_with(rest) { JsonError::Unfinished } else { self.expected("a value") });
        }
        self.pos += word.len();
        Ok(tag)
    }
}
