//! Reading: fields of a message, by those who believe nothing and by those who have checked it.

use std::ops::Range;

use super::WireType;
use crate::varint::{VarintError, read_varint};

/// The highest number a field may have.
const MAX_FIELD: u32 = (1 << 29) - 1;

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}, at byte {at}")]
pub struct Malformed {
    /// In words.
    pub what: &'static str,
    /// Where, among all bytes there are.
    pub at: usize,
}

/// Reads the fields of a message that stands at `pos..end` of `bytes`. Places are those of the whole.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    pos: usize,
    end: usize,
}

/// A field as it stands there.
#[derive(Clone, Debug)]
pub struct Field {
    /// Which it is.
    pub number: u32,
    /// What it says.
    pub value: Raw,
}

/// A field's value.
#[derive(Clone, Debug)]
pub enum Raw {
    /// A number.
    Varint(u64),
    /// Eight bytes, as a number.
    Fixed64(u64),
    /// Four bytes, as a number.
    Fixed32(u32),
    /// Where a text, a message or packed numbers stand.
    Len(Range<usize>),
}

/// The fields of a message that was checked, which is quicker to read: it ends where nothing more can be read.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    /// Up to the end of the message.
    bytes: &'a [u8],
    pos: usize,
}

// === impl Fields ===

impl<'a> Fields<'a> {
    /// Of the message that stands at `span` of `bytes`.
    #[inline]
    pub fn new(bytes: &'a [u8], span: Range<usize>) -> Self {
        Fields { bytes: &bytes[..span.end.min(bytes.len())], pos: span.start }
    }

    /// Behind the last field.
    #[inline]
    pub fn pos(&self) -> usize {
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
    /// Of the message that stands at `span` of `bytes`.
    #[inline]
    pub fn new(bytes: &'a [u8], span: Range<usize>) -> Self {
        let end = span.end.min(bytes.len());
        Reader { bytes, pos: span.start, end }
    }

    /// Of a message that stands at `span` of the same bytes: [`Raw::Len`].
    #[inline]
    pub fn inner(&self, span: Range<usize>) -> Self {
        Reader::new(self.bytes, span)
    }

    /// What stands at `span`: [`Raw::Len`].
    #[inline]
    pub fn bytes(&self, span: &Range<usize>) -> &'a [u8] {
        &self.bytes[span.clone()]
    }

    /// Behind the last field.
    #[inline]
    pub fn pos(&self) -> usize {
        self.pos
    }

    /// Says what is wrong here.
    #[cold]
    pub fn fail<T>(&self, what: &'static str) -> Result<T, Malformed> {
        Err(wrong(what, self.pos))
    }

    /// What is left, as a text.
    #[inline]
    pub fn text(&self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(&self.bytes[self.pos..self.end]).map_err(|_| wrong("a text is not UTF-8", self.pos))
    }

    /// What is left, as packed varints. An error is the last.
    pub fn varints(mut self) -> impl Iterator<Item = Result<u64, Malformed>> {
        std::iter::from_fn(move || (!self.is_done()).then(|| self.varint().inspect_err(|_| self.pos = self.end)))
    }

    /// What is left, as packed doubles. An error is the last.
    pub fn doubles(mut self) -> impl Iterator<Item = Result<f64, Malformed>> {
        std::iter::from_fn(move || {
            let next = (!self.is_done()).then(|| self.fixed64().inspect_err(|_| self.pos = self.end))?;
            Some(next.map(f64::from_bits))
        })
    }

    /// The next field, if there is another one.
    #[inline]
    pub fn field(&mut self) -> Result<Option<Field>, Malformed> {
        if self.pos >= self.end {
            return Ok(None);
        }
        let at = self.pos;
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).unwrap_or(0);
        if number == 0 || number > MAX_FIELD {
            return Err(wrong("a field has a number that can't be", at));
        }
        let value = match tag & 7 {
            0 => Raw::Varint(self.varint()?),
            1 => Raw::Fixed64(self.fixed64()?),
            2 => Raw::Len(self.len_span()?),
            5 => Raw::Fixed32(self.fixed32()?),
            _ => return Err(wrong("a field has a wire type that can't be", at)),
        };
        Ok(Some(Field { number, value }))
    }

    /// A varint, of what is left.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        let at = self.pos;
        match self.bytes[..self.end].get(at) {
            Some(&byte) if byte < 0x80 => {
                self.pos += 1;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let at = self.pos;
        let (value, length) = read_varint(&self.bytes[at..self.end]).map_err(|error| match error {
            VarintError::Cut => wrong("it ends within a number", at),
            VarintError::TooLong => wrong("a number is longer than 64 bits", at),
        })?;
        self.pos += length;
        Ok(value)
    }

    /// Eight bytes, of what is left.
    #[inline]
    pub fn fixed64(&mut self) -> Result<u64, Malformed> {
        let chunk = self.bytes[self.pos..self.end]
            .first_chunk::<8>()
            .ok_or_else(|| wrong("it ends within a number", self.pos))?;
        self.pos += 8;
        Ok(u64::from_le_bytes(*chunk))
    }

    /// Four bytes, of what is left.
    #[inline]
    pub fn fixed32(&mut self) -> Result<u32, Malformed> {
        let chunk = self.bytes[self.pos..self.end]
            .first_chunk::<4>()
            .ok_or_else(|| wrong("it ends within a number", self.pos))?;
        self.pos += 4;
        Ok(u32::from_le_bytes(*chunk))
    }

    #[inline]
    fn len_span(&mut self) -> Result<Range<usize>, Malformed> {
        let at = self.pos;
        let len = self.varint()?;
        match usize::try_from(len) {
            Ok(len) if len <= self.end - self.pos => {
                let span = self.pos..self.pos + len;
                self.pos = span.end;
                Ok(span)
            }
            _ => Err(wrong("a length goes beyond the end", at)),
        }
    }

    /// Whether everything was read.
    #[inline]
    pub fn is_done(&self) -> bool {
        self.pos >= self.end
    }
}

fn wrong(what: &'static str, at: usize) -> Malformed {
    Malformed { what, at }
}

// === impl Raw ===

impl Raw {
    /// How it is laid out.
    #[inline]
    pub fn wire_type(&self) -> WireType {
        match self {
            Raw::Varint(_) => WireType::Varint,
            Raw::Fixed64(_) => WireType::Fixed64,
            Raw::Fixed32(_) => WireType::Fixed32,
            Raw::Len(_) => WireType::Len,
        }
    }

    /// As an unsigned number, if it is a varint.
    #[inline]
    pub fn uint(&self) -> Option<u64> {
        match self {
            Raw::Varint(n) => Some(*n),
            _ => None,
        }
    }

    /// As a signed number (`int32`, `int64`), if it is a varint.
    #[inline]
    pub fn int(&self) -> Option<i64> {
        self.uint().map(u64::cast_signed)
    }

    /// As a signed number that is short where it is near 0 (`sint32`, `sint64`), if it is a varint.
    #[inline]
    pub fn sint(&self) -> Option<i64> {
        self.uint().map(unzigzag)
    }

    /// As a float, if it has eight bytes.
    #[inline]
    pub fn double(&self) -> Option<f64> {
        match self {
            Raw::Fixed64(bits) => Some(f64::from_bits(*bits)),
            _ => None,
        }
    }
}

/// The number behind a `sint64`.
#[inline]
pub fn unzigzag(n: u64) -> i64 {
    (n >> 1).cast_signed() ^ -(n & 1).cast_signed()
}
