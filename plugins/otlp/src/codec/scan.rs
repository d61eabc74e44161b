//! A quick look at a message: whether it is one of those that nearly all are, and the little a row says of it.
//!
//! It says yes to nothing [`super::index::check`] would not pass, and no to whatever it does not know: fields of other
//! versions, values nested deep, numbers of fields in more bytes than they need. What it says no to is checked again, by the
//! tables, which decide and say what is wrong. So it can be short, and it takes a third of the time.

use suiro_sdk::protobuf::WireType;

/// What a row needs to know of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Of a log its time, of a span its end; 0 for none.
    pub(super) time: u64,
    /// Members of maps: no more different keys will come of them.
    pub(super) members: usize,
}

/// Lists and maps in one another that are followed.
const DEEP: usize = 16;

const VARINT: u16 = WireType::Varint as u16;
const FIXED64: u16 = WireType::Fixed64 as u16;
const LEN: u16 = WireType::Len as u16;
const FIXED32: u16 = WireType::Fixed32 as u16;

const fn tag(number: u16, wire: u16) -> u16 {
    number << 3 | wire
}

const TAG_1_FIXED64: u16 = tag(1, FIXED64);
const TAG_1_LEN: u16 = tag(1, LEN);
const TAG_2_LEN: u16 = tag(2, LEN);
const TAG_2_VARINT: u16 = tag(2, VARINT);
const TAG_3_LEN: u16 = tag(3, LEN);
const TAG_3_VARINT: u16 = tag(3, VARINT);
const TAG_4_FIXED64: u16 = tag(4, FIXED64);
const TAG_4_LEN: u16 = tag(4, LEN);
const TAG_4_VARINT: u16 = tag(4, VARINT);
const TAG_5_LEN: u16 = tag(5, LEN);
const TAG_5_VARINT: u16 = tag(5, VARINT);
const TAG_6_FIXED32: u16 = tag(6, FIXED32);
const TAG_6_LEN: u16 = tag(6, LEN);
const TAG_6_VARINT: u16 = tag(6, VARINT);
const TAG_7_FIXED64: u16 = tag(7, FIXED64);
const TAG_7_LEN: u16 = tag(7, LEN);
const TAG_7_VARINT: u16 = tag(7, VARINT);
const TAG_8_FIXED32: u16 = tag(8, FIXED32);
const TAG_8_FIXED64: u16 = tag(8, FIXED64);
const TAG_9_LEN: u16 = tag(9, LEN);
const TAG_10_LEN: u16 = tag(10, LEN);
const TAG_10_VARINT: u16 = tag(10, VARINT);
const TAG_11_FIXED64: u16 = tag(11, FIXED64);
const TAG_11_LEN: u16 = tag(11, LEN);
const TAG_12_LEN: u16 = tag(12, LEN);
const TAG_12_VARINT: u16 = tag(12, VARINT);
const TAG_13_LEN: u16 = tag(13, LEN);
const TAG_14_VARINT: u16 = tag(14, VARINT);
const TAG_15_LEN: u16 = tag(15, LEN);
const TAG_16_FIXED32: u16 = tag(16, FIXED32);

/// A `LogRecord`.
pub(super) fn log(message: &[u8]) -> Option<Seen> {
    let mut cursor = Cursor { rest: message };
    let mut seen = Seen { time: 0, members: 0 };
    while let Some(tag) = cursor.tag()? {
        match tag {
            TAG_1_FIXED64 => seen.time = cursor.fixed64()?,
            TAG_2_VARINT | TAG_7_VARINT => cursor.varint()?,
            TAG_3_LEN | TAG_12_LEN => text(cursor.message()?)?,
            TAG_5_LEN => value(cursor.message()?, &mut seen, DEEP)?,
            TAG_6_LEN => member(cursor.message()?, &mut seen, DEEP)?,
            TAG_8_FIXED32 => cursor.fixed32()?,
            TAG_9_LEN => id(cursor.message()?, 16)?,
            TAG_10_LEN => id(cursor.message()?, 8)?,
            TAG_11_FIXED64 => drop(cursor.fixed64()?),
            _ => return None,
        }
    }
    Some(seen)
}

/// A `Span`.
pub(super) fn span(message: &[u8]) -> Option<Seen> {
    let mut cursor = Cursor { rest: message };
    let mut seen = Seen { time: 0, members: 0 };
    while let Some(tag) = cursor.tag()? {
        match tag {
            TAG_1_LEN => id(cursor.message()?, 16)?,
            TAG_2_LEN | TAG_4_LEN => id(cursor.message()?, 8)?,
            TAG_3_LEN | TAG_5_LEN => text(cursor.message()?)?,
            TAG_6_VARINT | TAG_10_VARINT | TAG_12_VARINT | TAG_14_VARINT => cursor.varint()?,
            TAG_7_FIXED64 => drop(cursor.fixed64()?),
            TAG_8_FIXED64 => seen.time = cursor.fixed64()?,
            TAG_9_LEN => member(cursor.message()?, &mut seen, DEEP)?,
            TAG_11_LEN => event(cursor.message()?, &mut seen)?,
            TAG_13_LEN => link(cursor.message()?, &mut seen)?,
            TAG_15_LEN => status(cursor.message()?)?,
            TAG_16_FIXED32 => cursor.fixed32()?,
            _ => return None,
        }
    }
    Some(seen)
}

fn event(message: &[u8], seen: &mut Seen) -> Option<()> {
    let mut cursor = Cursor { rest: message };
    while let Some(tag) = cursor.tag()? {
        match tag {
            TAG_1_FIXED64 => drop(cursor.fixed64()?),
            TAG_2_LEN => text(cursor.message()?)?,
            TAG_3_LEN => member(cursor.message()?, seen, DEEP)?,
            TAG_4_VARINT => cursor.varint()?,
            _ => return None,
        }
    }
    Some(())
}

fn link(message: &[u8], seen: &mut Seen) -> Option<()> {
    let mut cursor = Cursor { rest: message };
    while let Some(tag) = cursor.tag()? {
        match tag {
            TAG_1_LEN => id(cursor.message()?, 16)?,
            TAG_2_LEN => id(cursor.message()?, 8)?,
            TAG_3_LEN => text(cursor.message()?)?,
            TAG_4_LEN => member(cursor.message()?, seen, DEEP)?,
            TAG_5_VARINT => cursor.varint()?,
            TAG_6_FIXED32 => cursor.fixed32()?,
            _ => return None,
        }
    }
    Some(())
}

fn status(message: &[u8]) -> Option<()> {
    let mut cursor = Cursor { rest: message };
    while let Some(tag) = cursor.tag()? {
        match tag {
            TAG_2_LEN => text(cursor.message()?)?,
            TAG_3_VARINT => cursor.varint()?,
            _ => return None,
        }
    }
    Some(())
}

/// A `KeyValue`.
#[inline]
fn member(message: &[u8], seen: &mut Seen, deep: usize) -> Option<()> {
    seen.members += 1;
    let mut cursor = Cursor { rest: message };
    while let Some(tag) = cursor.tag()? {
        match tag {
            TAG_1_LEN => text(cursor.message()?)?,
            TAG_2_LEN => value(cursor.message()?, seen, deep)?,
            _ => return None,
        }
    }
    Some(())
}

/// An `AnyValue`.
#[inline]
fn value(message: &[u8], seen: &mut Seen, deep: usize) -> Option<()> {
    let mut cursor = Cursor { rest: message };
    while let Some(tag) = cursor.tag()? {
        match tag {
            TAG_1_LEN => text(cursor.message()?)?,
            TAG_2_VARINT | TAG_3_VARINT => cursor.varint()?,
            TAG_4_FIXED64 => drop(cursor.fixed64()?),
            TAG_5_LEN | TAG_6_LEN => container(cursor.message()?, tag == TAG_6_LEN, seen, deep)?,
            TAG_7_LEN => drop(cursor.message()?),
            _ => return None,
        }
    }
    Some(())
}

/// An `ArrayValue` or a `KeyValueList`.
fn container(message: &[u8], is_map: bool, seen: &mut Seen, deep: usize) -> Option<()> {
    let deep = deep.checked_sub(1)?;
    let mut cursor = Cursor { rest: message };
    while let Some(tag) = cursor.tag()? {
        match tag {
            TAG_1_LEN if is_map => member(cursor.message()?, seen, deep)?,
            TAG_1_LEN => value(cursor.message()?, seen, deep)?,
            _ => return None,
        }
    }
    Some(())
}

#[inline]
fn id(bytes: &[u8], len: usize) -> Option<()> {
    (bytes.is_empty() || bytes.len() == len).then_some(())
}

/// A text, which is ASCII mostly, and short.
#[inline]
fn text(bytes: &[u8]) -> Option<()> {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let word = |at: usize| bytes.get(at..).and_then(<[u8]>::first_chunk).map(|word| u64::from_le_bytes(*word));
    let high = match bytes.len() {
        0..8 => bytes.iter().fold(0, |all, &byte| all | byte) as u64 & HIGH,
        // Two words, or four, that may overlap, hold all of it.
        len @ 8..=16 => (word(0)? | word(len - 8)?) & HIGH,
        len @ 17..=32 => (word(0)? | word(8)? | word(len - 16)? | word(len - 8)?) & HIGH,
        _ => HIGH,
    };
    if high == 0 {
        return Some(());
    }
    simdutf8::basic::from_utf8(bytes).ok().map(drop)
}

/// A length of three bytes at most, and how many bytes it takes.
#[inline]
pub(super) fn len_of(bytes: &[u8]) -> Option<(usize, usize)> {
    match *bytes {
        [a, ..] if a < 0x80 => Some((usize::from(a), 1)),
        [a, b, ..] if b < 0x80 => Some((usize::from(a & 0x7f) | usize::from(b) << 7, 2)),
        [a, b, c, ..] if c < 0x80 => {
            Some((usize::from(a & 0x7f) | usize::from(b & 0x7f) << 7 | usize::from(c) << 14, 3))
        }
        _ => None,
    }
}

/// What is left of a message.
struct Cursor<'a> {
    rest: &'a [u8],
}

// === impl Cursor ===

impl<'a> Cursor<'a> {
    /// Number and wire type of the next field, in at most two bytes; nothing at the end.
    #[inline]
    fn tag(&mut self) -> Option<Option<u16>> {
        let rest = self.rest;
        match *rest {
            [] => Some(None),
            [tag, ..] if tag < 0x80 => {
                self.rest = &rest[1..];
                Some(Some(u16::from(tag)))
            }
            [low, high, ..] if high < 0x80 => {
                self.rest = &rest[2..];
                Some(Some(u16::from(low & 0x7f) | u16::from(high) << 7))
            }
            _ => None,
        }
    }

    /// Passes over a number.
    #[inline]
    fn varint(&mut self) -> Option<()> {
        let rest = self.rest;
        for (at, &byte) in rest.iter().enumerate().take(10) {
            if byte < 0x80 {
                self.rest = &rest[at + 1..];
                // The tenth byte has room for one bit.
                return (at < 9 || byte <= 1).then_some(());
            }
        }
        None
    }

    #[inline]
    fn fixed64(&mut self) -> Option<u64> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u64::from_le_bytes(*bytes))
    }

    #[inline]
    fn fixed32(&mut self) -> Option<()> {
        self.rest = self.rest.get(4..)?;
        Some(())
    }

    /// A field's bytes. A length has three bytes at most.
    #[inline]
    fn message(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest;
        let (len, head) = len_of(rest)?;
        let (bytes, rest) = rest[head..].split_at_checked(len)?;
        self.rest = rest;
        Some(bytes)
    }
}
