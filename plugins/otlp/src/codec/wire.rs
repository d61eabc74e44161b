//! Protobuf's wire format: a reader that believes no length, and a writer.

use std::ops::Range;

use suiro_sdk::varint::{VarintError, read_varint};

use super::DecodeError;
use super::schema::WireType;

/// Reads the fields of a message that stands at `pos..end` of `bytes`. Places are those of the whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    pos: usize,
    end: usize,
}

/// A field as it stands there.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) number: u32,
    pub(crate) value: Raw,
}

/// A field's value.
#[derive(Clone, Debug)]
pub(crate) enum Raw {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    /// Where it stands.
    Len(Range<usize>),
}

pub(crate) fn error(what: &'static str, at: usize) -> DecodeError {
    DecodeError { what: what.into(), at }
}

/// The fields of a message that was checked, which is quicker to read: it ends where nothing more can be read.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    /// Up to the end of the message.
    bytes: &'a [u8],
    pos: usize,
}

// === impl Fields ===

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8], span: Range<usize>) -> Self {
        Fields { bytes: &bytes[..span.end.min(bytes.len())], pos: span.start }
    }

    /// Behind the last field.
    #[inline]
    pub(crate) fn pos(&self) -> usize {
        self.pos
    }

    #[inline(always)]
    fn varint(&mut self) -> Option<u64> {
        match *self.bytes.get(self.pos..)? {
            [low, ..] if low < 0x80 => {
                self.pos += 1;
                Some(u64::from(low))
            }
            [low, high, ..] if high < 0x80 => {
                self.pos += 2;
                Some(u64::from(low & 0x7f) | u64::from(high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    #[cold]
    fn long_varint(&mut self) -> Option<u64> {
        let (value, length) = read_varint(self.bytes.get(self.pos..)?).ok()?;
        self.pos += length;
        Some(value)
    }

    #[inline(always)]
    fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        let chunk = self.bytes.get(self.pos..)?.first_chunk()?;
        self.pos += N;
        Some(*chunk)
    }
}

impl Iterator for Fields<'_> {
    type Item = Field;

    #[inline(always)]
    fn next(&mut self) -> Option<Field> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Raw::Varint(self.varint()?),
            1 => Raw::Fixed64(u64::from_le_bytes(self.chunk()?)),
            2 => {
                let len = usize::try_from(self.varint()?).ok()?;
                let start = self.pos;
                self.pos = start.checked_add(len).filter(|end| *end <= self.bytes.len())?;
                Raw::Len(start..self.pos)
            }
            5 => Raw::Fixed32(u32::from_le_bytes(self.chunk()?)),
            _ => return None,
        };
        Some(Field { number: (tag >> 3) as u32, value })
    }
}

// === impl Reader ===

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], span: Range<usize>) -> Self {
        let end = span.end.min(bytes.len());
        Reader { bytes, pos: span.start, end }
    }

    pub(crate) fn pos(&self) -> usize {
        self.pos
    }

    /// The next field, if there is another one.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Field>, DecodeError> {
        if self.pos >= self.end {
            return Ok(None);
        }
        let at = self.pos;
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).unwrap_or(0);
        if number == 0 || number > MAX_FIELD {
            return Err(error("a field has a number that can't be", at));
        }
        let value = match tag & 7 {
            0 => Raw::Varint(self.varint()?),
            1 => Raw::Fixed64(self.fixed64()?),
            2 => Raw::Len(self.len_span()?),
            5 => Raw::Fixed32(self.fixed32()?),
            _ => return Err(error("a field has a wire type that can't be", at)),
        };
        Ok(Some(Field { number, value }))
    }

    /// A varint, of what is left.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, DecodeError> {
        let at = self.pos;
        match self.bytes[..self.end].get(at) {
            Some(&byte) if byte < 0x80 => {
                self.pos += 1;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, DecodeError> {
        let at = self.pos;
        let (value, length) = read_varint(&self.bytes[at..self.end]).map_err(|wrong| match wrong {
            VarintError::Cut => error("it ends within a number", at),
            VarintError::TooLong => error("a number is longer than 64 bits", at),
        })?;
        self.pos += length;
        Ok(value)
    }

    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<u64, DecodeError> {
        let chunk = self.bytes[self.pos..self.end]
            .first_chunk::<8>()
            .ok_or_else(|| error("it ends within a number", self.pos))?;
        self.pos += 8;
        Ok(u64::from_le_bytes(*chunk))
    }

    #[inline]
    pub(crate) fn fixed32(&mut self) -> Result<u32, DecodeError> {
        let chunk = self.bytes[self.pos..self.end]
            .first_chunk::<4>()
            .ok_or_else(|| error("it ends within a number", self.pos))?;
        self.pos += 4;
        Ok(u32::from_le_bytes(*chunk))
    }

    #[inline]
    fn len_span(&mut self) -> Result<Range<usize>, DecodeError> {
        let at = self.pos;
        let len = self.varint()?;
        match usize::try_from(len) {
            Ok(len) if len <= self.end - self.pos => {
                let span = self.pos..self.pos + len;
                self.pos = span.end;
                Ok(span)
            }
            _ => Err(error("a length goes beyond the end", at)),
        }
    }

    /// Whether everything was read.
    pub(crate) fn is_done(&self) -> bool {
        self.pos >= self.end
    }
}

/// The highest number a field may have.
const MAX_FIELD: u32 = (1 << 29) - 1;

impl Raw {
    pub(crate) fn wire_type(&self) -> WireType {
        match self {
            Raw::Varint(_) => WireType::Varint,
            Raw::Fixed64(_) => WireType::Fixed64,
            Raw::Fixed32(_) => WireType::Fixed32,
            Raw::Len(_) => WireType::Len,
        }
    }
}

// === writing ===

#[inline]
pub(crate) fn put_varint(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

#[inline]
pub(crate) fn put_tag(number: u32, wire: WireType, out: &mut Vec<u8>) {
    put_varint(u64::from(number) << 3 | wire as u64, out);
}

pub(crate) fn put_len(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    put_tag(number, WireType::Len, out);
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

pub(crate) fn put_uint(number: u32, n: u64, out: &mut Vec<u8>) {
    put_tag(number, WireType::Varint, out);
    put_varint(n, out);
}

/// `int32`, `int64` and enums: negative ones take ten bytes.
pub(crate) fn put_int(number: u32, n: i64, out: &mut Vec<u8>) {
    put_uint(number, n.cast_unsigned(), out);
}

pub(crate) fn put_fixed64(number: u32, n: u64, out: &mut Vec<u8>) {
    put_tag(number, WireType::Fixed64, out);
    out.extend_from_slice(&n.to_le_bytes());
}

pub(crate) fn put_fixed32(number: u32, n: u32, out: &mut Vec<u8>) {
    put_tag(number, WireType::Fixed32, out);
    out.extend_from_slice(&n.to_le_bytes());
}

pub(crate) fn put_double(number: u32, n: f64, out: &mut Vec<u8>) {
    put_fixed64(number, n.to_bits(), out);
}

pub(crate) fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)).cast_unsigned()
}

pub(crate) fn unzigzag(n: u64) -> i64 {
    (n >> 1).cast_signed() ^ -(n & 1).cast_signed()
}

/// A message whose length is not known yet.
#[derive(Debug)]
#[must_use]
pub(crate) struct Open {
    /// Where its content begins, behind the room for the length.
    at: usize,
}

// === impl Open ===

impl Open {
    /// Where its content begins until it is closed.
    pub(crate) fn content(&self) -> usize {
        self.at
    }
}

/// Begins field `number`, a message of about `expected` bytes.
#[inline]
pub(crate) fn open(number: u32, expected: usize, out: &mut Vec<u8>) -> Open {
    put_tag(number, WireType::Len, out);
    let room = varint_len(expected);
    out.resize(out.len() + room, 0);
    // The room is told by what stands in it until it is closed.
    if let Some(last) = out.last_mut() {
        *last = room as u8;
    }
    Open { at: out.len() }
}

/// Ends it. Its length.
#[inline]
pub(crate) fn close(open: Open, out: &mut Vec<u8>) -> usize {
    let Open { at } = open;
    let room = usize::from(out[at - 1]);
    let len = out.len() - at;
    let need = varint_len(len);
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

#[inline]
fn varint_len(n: usize) -> usize {
    let bits = usize::BITS - (n | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_closed_with_its_length_whatever_was_expected() {
        for expected in [0, 1, 127, 128, 16_383, 16_384, 3_000_000] {
            for len in [0, 1, 127, 128, 300, 16_383, 16_384, 20_000] {
                let mut out = b"before".to_vec();
                let inner = open(3, expected, &mut out);
                out.extend((0..len).map(|i| i as u8));
                assert_eq!(close(inner, &mut out), len);
                let mut wanted = b"before".to_vec();
                put_len(3, &(0..len).map(|i| i as u8).collect::<Vec<_>>(), &mut wanted);
                assert_eq!(out, wanted, "{expected} {len}");
            }
        }
    }

    #[test]
    fn numbers_come_back() {
        for n in [0, 1, -1, 63, -64, 64, i64::MAX, i64::MIN] {
            assert_eq!(unzigzag(zigzag(n)), n);
            let mut out = Vec::new();
            put_varint(n.cast_unsigned(), &mut out);
            let mut reader = Reader::new(&out, 0..out.len());
            assert_eq!(reader.varint(), Ok(n.cast_unsigned()));
            assert!(reader.is_done());
            for cut in 0..out.len() {
                assert!(Reader::new(&out, 0..cut).varint().is_err());
            }
        }
        assert!(Reader::new(&[0xff; 11], 0..11).varint().is_err());
        assert!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], 0..10).varint().is_err());
    }
}
