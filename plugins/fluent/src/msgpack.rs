//! MessagePack, read in place: heads of values, and where what they announce stands.
//!
//! Nothing is allocated, whatever a length says: a length is only ever compared with the bytes that are there. Values are
//! skipped by counting, not by descending, so depth costs nothing. All encodings of the specification are read, wasteful
//! ones too.

use std::ops::Range;

/// A head: the value itself where it is a number or a word, else how much follows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Head {
    /// `nil`
    Nil,
    /// A boolean.
    Bool(bool),
    /// An integer below zero, or one that was sent as signed.
    Int(i64),
    /// An integer without sign.
    Uint(u64),
    /// A float, of either size.
    Float(f64),
    /// A text of so many bytes.
    Str(usize),
    /// Bytes.
    Bin(usize),
    /// So many values.
    Array(u32),
    /// So many pairs of values.
    Map(u32),
    /// Bytes of a type of somebody's own.
    Ext(i8, usize),
}

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The bytes end within it.
    #[error("it ends within a value")]
    Truncated,
    /// The byte 0xc1, which no value begins with.
    #[error("the byte 0xc1 begins no value")]
    Reserved,
}

/// Reads values of `bytes`, one after the other.
#[derive(Clone, Debug)]
pub struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
    end: usize,
}

// === impl Head ===

impl Head {
    /// Bytes that follow the head and are no values.
    pub fn payload(self) -> usize {
        match self {
            Head::Str(len) | Head::Bin(len) | Head::Ext(_, len) => len,
            _ => 0,
        }
    }

    /// Values that follow it and belong to it.
    pub fn values(self) -> u64 {
        match self {
            Head::Array(n) => u64::from(n),
            Head::Map(n) => 2 * u64::from(n),
            _ => 0,
        }
    }
}

// === impl Reader ===

impl<'b> Reader<'b> {
    /// Reads what stands in `span` of `bytes`. A span that is not within them is empty.
    pub fn new(bytes: &'b [u8], span: Range<usize>) -> Self {
        let end = span.end.min(bytes.len());
        Reader { bytes, at: span.start.min(end), end }
    }

    /// Where the next value begins.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Whether there is none.
    pub fn is_done(&self) -> bool {
        self.at >= self.end
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        let bytes =
            self.bytes.get(self.at..self.end).and_then(|rest| rest.first_chunk::<N>()).ok_or(Broken::Truncated)?;
        self.at += N;
        Ok(*bytes)
    }

    fn length<const N: usize>(&mut self) -> Result<usize, Broken> {
        Ok(self.take::<N>()?.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))
    }

    /// The next head. Its payload, if it has one, comes next ([`Reader::payload`]).
    #[inline]
    pub fn head(&mut self) -> Result<Head, Broken> {
        let [first] = self.take()?;
        Ok(match first {
            0x00..=0x7f => Head::Uint(u64::from(first)),
            0x80..=0x8f => Head::Map(u32::from(first & 0x0f)),
            0x90..=0x9f => Head::Array(u32::from(first & 0x0f)),
            0xa0..=0xbf => Head::Str(usize::from(first & 0x1f)),
            0xc0 => Head::Nil,
            0xc1 => return Err(Broken::Reserved),
            0xc2 => Head::Bool(false),
            0xc3 => Head::Bool(true),
            0xc4 => Head::Bin(self.length::<1>()?),
            0xc5 => Head::Bin(self.length::<2>()?),
            0xc6 => Head::Bin(self.length::<4>()?),
            0xc7 => self.ext::<1>()?,
            0xc8 => self.ext::<2>()?,
            0xc9 => self.ext::<4>()?,
            0xca => Head::Float(f64::from(f32::from_be_bytes(self.take()?))),
            0xcb => Head::Float(f64::from_be_bytes(self.take()?)),
            0xcc => Head::Uint(u64::from(u8::from_be_bytes(self.take()?))),
            0xcd => Head::Uint(u64::from(u16::from_be_bytes(self.take()?))),
            0xce => Head::Uint(u64::from(u32::from_be_bytes(self.take()?))),
            0xcf => Head::Uint(u64::from_be_bytes(self.take()?)),
            0xd0 => Head::Int(i64::from(i8::from_be_bytes(self.take()?))),
            0xd1 => Head::Int(i64::from(i16::from_be_bytes(self.take()?))),
            0xd2 => Head::Int(i64::from(i32::from_be_bytes(self.take()?))),
            0xd3 => Head::Int(i64::from_be_bytes(self.take()?)),
            0xd4..=0xd8 => Head::Ext(i8::from_be_bytes(self.take()?), 1 << (first - 0xd4)),
            0xd9 => Head::Str(self.length::<1>()?),
            0xda => Head::Str(self.length::<2>()?),
            0xdb => Head::Str(self.length::<4>()?),
            0xdc => Head::Array(u32::from(u16::from_be_bytes(self.take()?))),
            0xdd => Head::Array(u32::from_be_bytes(self.take()?)),
            0xde => Head::Map(u32::from(u16::from_be_bytes(self.take()?))),
            0xdf => Head::Map(u32::from_be_bytes(self.take()?)),
            0xe0..=0xff => Head::Int(i64::from(first.cast_signed())),
        })
    }

    fn ext<const N: usize>(&mut self) -> Result<Head, Broken> {
        let length = self.length::<N>()?;
        Ok(Head::Ext(i8::from_be_bytes(self.take()?), length))
    }

    /// Where the payload of `length` bytes stands, which is passed over.
    #[inline]
    pub fn payload(&mut self, length: usize) -> Result<Range<usize>, Broken> {
        if length > self.end - self.at {
            return Err(Broken::Truncated);
        }
        let from = self.at;
        self.at += length;
        Ok(from..self.at)
    }

    /// Passes over one value, whatever is in it.
    pub fn skip(&mut self) -> Result<(), Broken> {
        let mut left: u64 = 1;
        while left > 0 {
            let head = self.head()?;
            self.payload(head.payload())?;
            // At most 2^33 for each of fewer than 2^63 bytes: it can't overflow before the bytes end.
            left = left - 1 + head.values();
        }
        Ok(())
    }

    /// Passes over a text or bytes: where they stand; `None`, and nothing is passed over, where it is another value.
    pub fn text(&mut self) -> Result<Option<Range<usize>>, Broken> {
        let mut ahead = self.clone();
        let (Head::Str(length) | Head::Bin(length)) = ahead.head()? else { return Ok(None) };
        let span = ahead.payload(length)?;
        *self = ahead;
        Ok(Some(span))
    }
}
