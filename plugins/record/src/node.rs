//! The node: one value in 16 bytes.
//!
//! ```text
//!  0      1       2        4          8         12        16
//!  | kind | flags | key    | next     | off     | len     |
//! ```
//!
//! | kind | `off`, `len` |
//! | --- | --- |
//! | null, bool | source text in the heap, where `TIGHT` or `SPACED` |
//! | number | source text in the heap |
//! | int, uint, float | the 64 bits of the value, high half in `off` |
//! | string, bytes | text in the heap, without quotes; see `ESCAPED` and `RAW` |
//! | hex | bytes in the heap; the value is the text of their hexadecimal digits |
//! | clean container | raw span in the heap; the first child is the next node, unless `EMPTY`; see `WIRE` |
//! | dirty container | `off`: first child or 0; `len`: last child or 0 |
//!
//! `key` is the id of the key this value stands under ([`NO_KEY`] in arrays and roots), `next` the next sibling or 0.
//! Node 0 is never a value, so 0 can say "none". In a clean container every node is as it was parsed.

/// Index of a node in its batch; 0 is "none".
pub(crate) type NodeId = u32;

/// The key of a value that has none.
pub(crate) const NO_KEY: u16 = u16::MAX;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Tag {
    Null,
    False,
    True,
    /// A number as its source wrote it.
    Number,
    Int,
    Uint,
    Float,
    Str,
    Bytes,
    /// A text: the hexadecimal digits of bytes, such as an id's.
    Hex,
    Array,
    Object,
}

/// A string's text is JSON source with escapes in it.
pub(crate) const ESCAPED: u8 = 1;
/// A string's text is what it says, not JSON source: writing it must escape.
pub(crate) const RAW: u8 = 1 << 1;
/// A clean container whose span is not JSON but the message it was read from, in its source's binary format: whoever writes
/// JSON walks its children.
pub(crate) const WIRE: u8 = 1 << 1;
/// The value follows its key in the source with nothing but a colon between: `"key":value` is one span.
pub(crate) const TIGHT: u8 = 1 << 2;
/// As [`TIGHT`], with one space behind the colon.
pub(crate) const SPACED: u8 = 1 << 3;
/// A container whose children must be walked: its text is not in the heap.
pub(crate) const DIRTY: u8 = 1 << 4;
/// A clean container without children.
pub(crate) const EMPTY: u8 = 1 << 5;
/// An object that may hold a key twice: look-up must not stop at the first.
pub(crate) const DUPLICATES: u8 = 1 << 6;
/// In the source there is nothing but a comma, and perhaps a space, between the sibling before and this member.
pub(crate) const JOINED: u8 = 1 << 7;

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Node {
    pub(crate) tag: Tag,
    pub(crate) flags: u8,
    pub(crate) key: u16,
    pub(crate) next: NodeId,
    pub(crate) off: u32,
    pub(crate) len: u32,
}

const _: () = assert!(size_of::<Node>() == 16);

// === impl Node ===

impl Node {
    pub(crate) const NONE: Node = Node { tag: Tag::Null, flags: 0, key: NO_KEY, next: 0, off: 0, len: 0 };

    pub(crate) fn scalar(tag: Tag) -> Self {
        Node { tag, ..Self::NONE }
    }

    pub(crate) fn text(tag: Tag, flags: u8, off: u32, len: u32) -> Self {
        Node { tag, flags, off, len, ..Self::NONE }
    }

    pub(crate) fn bits(tag: Tag, bits: u64) -> Self {
        Node { tag, off: (bits >> 32) as u32, len: bits as u32, ..Self::NONE }
    }

    /// A container nobody has filled yet.
    pub(crate) fn dirty(tag: Tag) -> Self {
        Node { tag, flags: DIRTY, ..Self::NONE }
    }

    /// The same under no key, without a sibling.
    pub(crate) fn unlinked(self) -> Self {
        Node { next: 0, key: NO_KEY, flags: self.flags & !(TIGHT | SPACED | JOINED), ..self }
    }

    pub(crate) fn to_bits(self) -> u64 {
        (u64::from(self.off) << 32) | u64::from(self.len)
    }

    #[inline]
    pub(crate) fn is_container(self) -> bool {
        matches!(self.tag, Tag::Array | Tag::Object)
    }

    #[inline]
    pub(crate) fn is(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether it is a container whose span is not its JSON text.
    #[inline]
    pub(crate) fn is_walked(self) -> bool {
        self.is_container() && self.is(DIRTY | WIRE)
    }

    /// First child of the container at `id`, or 0. Not to be asked of a scalar.
    #[inline]
    pub(crate) fn first_child(self, id: NodeId) -> NodeId {
        if self.is(DIRTY) {
            self.off
        } else if self.is(EMPTY) {
            0
        } else {
            id + 1
        }
    }

    #[inline]
    pub(crate) fn span(self) -> std::ops::Range<usize> {
        self.off as usize..self.off as usize + self.len as usize
    }
}
