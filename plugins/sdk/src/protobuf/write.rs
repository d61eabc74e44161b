//! Writing. A message's length comes before it: room is left for it, and what follows is moved where it needs more or less.

use super::WireType;

/// A number, without a tag: for packed numbers.
#[inline]
pub fn put_varint(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// A field's number and how its value is laid out.
#[inline]
pub fn put_tag(number: u32, wire: WireType, out: &mut Vec<u8>) {
    put_varint(u64::from(number) << 3 | wire as u64, out);
}

/// A text, bytes, or a message that is written already.
#[inline]
pub fn put_len(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    put_tag(number, WireType::Len, out);
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// `uint64` and so on.
#[inline]
pub fn put_uint(number: u32, n: u64, out: &mut Vec<u8>) {
    put_tag(number, WireType::Varint, out);
    put_varint(n, out);
}

/// `int32`, `int64` and enums: negative ones take ten bytes.
#[inline]
pub fn put_int(number: u32, n: i64, out: &mut Vec<u8>) {
    put_uint(number, n.cast_unsigned(), out);
}

/// `fixed64`.
#[inline]
pub fn put_fixed64(number: u32, n: u64, out: &mut Vec<u8>) {
    put_tag(number, WireType::Fixed64, out);
    out.extend_from_slice(&n.to_le_bytes());
}

/// `fixed32`.
#[inline]
pub fn put_fixed32(number: u32, n: u32, out: &mut Vec<u8>) {
    put_tag(number, WireType::Fixed32, out);
    out.extend_from_slice(&n.to_le_bytes());
}

/// `double`.
#[inline]
pub fn put_double(number: u32, n: f64, out: &mut Vec<u8>) {
    put_fixed64(number, n.to_bits(), out);
}

/// What a `sint64` is written as: short where it is near 0.
#[inline]
pub fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)).cast_unsigned()
}

/// A message whose length is not known yet.
#[derive(Debug)]
#[must_use]
pub struct Open {
    /// Where its content begins, behind the room for the length.
    at: usize,
}

// === impl Open ===

impl Open {
    /// Where its content begins until it is closed.
    pub fn content(&self) -> usize {
        self.at
    }
}

/// Begins field `number`, a message of about `expected` bytes.
#[inline]
pub fn open(number: u32, expected: usize, out: &mut Vec<u8>) -> Open {
    put_tag(number, WireType::Len, out);
    let room = varint_len(expected as u64);
    out.resize(out.len() + room, 0);
    // The room is told by what stands in it until it is closed.
    if let Some(last) = out.last_mut() {
        *last = room as u8;
    }
    Open { at: out.len() }
}

/// Ends it. Its length.
#[inline]
pub fn close(open: Open, out: &mut Vec<u8>) -> usize {
    let Open { at } = open;
    let room = usize::from(out[at - 1]);
    let len = out.len() - at;
    let need = varint_len(len as u64);
    if need != room {
        let end = out.len();
        if need > room {
            out.resize(end + need - room, 0);
        }
        out.copy_within(at..end, at - room + need);
        out.truncate(end - room + need);
    }
    let mut n = len;
    for byte in &mut out[at - room..at - room + need] {
        *byte = n as u8 & 0x7f | 0x80;
        n >>= 7;
    }
    out[at - room + need - 1] &= 0x7f;
    len
}

/// How many bytes a number takes.
#[inline]
pub fn varint_len(n: u64) -> usize {
    let bits = u64::BITS - (n | 1).leading_zeros();
    bits.div_ceil(7) as usize
}
