//! Protobuf, as far as remote write needs it: written by hand out of borrowed texts, and read in place.
//!
//! A message's length comes before it: it is written behind a gap of one byte, and moved up where its length needs more.
//! Reading never allocates by what a length claims, and follows no nesting of the sender's choosing.

use suiro_sdk::varint::{MAX_VARINT, VarintError, read_varint};

/// Wire types.
const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const BYTES: u8 = 2;
const FIXED32: u8 = 5;

// === writing ===

#[inline]
pub(crate) fn write_varint(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Negative numbers in few bytes.
pub(crate) fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)).cast_unsigned()
}

fn tag(field: u32, wire: u8, out: &mut Vec<u8>) {
    write_varint(u64::from(field << 3) | u64::from(wire), out);
}

/// A number; 0 is left out.
pub(crate) fn uint(field: u32, n: u64, out: &mut Vec<u8>) {
    if n != 0 {
        some_uint(field, n, out);
    }
}

/// A number, even where it is 0.
pub(crate) fn some_uint(field: u32, n: u64, out: &mut Vec<u8>) {
    tag(field, VARINT, out);
    write_varint(n, out);
}

pub(crate) fn sint(field: u32, n: i64, out: &mut Vec<u8>) {
    uint(field, zigzag(n), out);
}

/// A float, bit by bit; the positive 0 is left out.
pub(crate) fn double(field: u32, n: f64, out: &mut Vec<u8>) {
    if n.to_bits() != 0 {
        tag(field, FIXED64, out);
        out.extend_from_slice(&n.to_le_bytes());
    }
}

pub(crate) fn bytes(field: u32, text: &[u8], out: &mut Vec<u8>) {
    if !text.is_empty() {
        some_bytes(field, text, out);
    }
}

pub(crate) fn some_bytes(field: u32, text: &[u8], out: &mut Vec<u8>) {
    tag(field, BYTES, out);
    write_varint(text.len() as u64, out);
    out.extend_from_slice(text);
}

/// What `write` writes, as one field: a message, or packed numbers.
pub(crate) fn nested(field: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    tag(field, BYTES, out);
    let at = out.len();
    out.push(0);
    write(out);
    let len = out.len() - at - 1;
    if len < 0x80 {
        out[at] = len as u8;
        return;
    }
    let mut prefix = Vec::with_capacity(10);
    write_varint(len as u64, &mut prefix);
    out.splice(at..=at, prefix);
}

// === reading ===

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}, at byte {at}")]
pub struct Malformed {
    /// In words.
    pub what: &'static str,
    /// Where in the request.
    pub at: usize,
}

/// The fields of a message, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'m> {
    all: &'m [u8],
    at: usize,
    end: usize,
}

/// A field's value, as the wire has it.
#[derive(Clone, Debug)]
pub(crate) enum Value<'m> {
    Varint(u64),
    Fixed64(u64),
    Fixed32,
    Bytes(Fields<'m>),
}

impl<'m> Fields<'m> {
    pub(crate) fn new(all: &'m [u8]) -> Self {
        Fields { all, at: 0, end: all.len() }
    }

    pub(crate) fn wrong<T>(&self, what: &'static str) -> Result<T, Malformed> {
        Err(Malformed { what, at: self.at })
    }

    /// Where it stands in the request.
    pub(crate) fn range(&self) -> std::ops::Range<usize> {
        self.at..self.end
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> &'m [u8] {
        &self.all[self.at..self.end]
    }

    /// The next field's number and value; `None` at the end.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Value<'m>)>, Malformed> {
        if self.at >= self.end {
            return Ok(None);
        }
        let key = self.varint()?;
        let field = match u32::try_from(key >> 3) {
            Ok(field) if field > 0 => field,
            _ => return self.wrong("no such field number"),
        };
        let value = match (key & 7) as u8 {
            VARINT => Value::Varint(self.varint()?),
            FIXED64 => Value::Fixed64(u64::from_le_bytes(self.fixed()?)),
            FIXED32 => {
                self.fixed::<4>()?;
                Value::Fixed32
            }
            BYTES => {
                let len = self.varint()?;
                let rest = self.end - self.at;
                match usize::try_from(len) {
                    Ok(len) if len <= rest => {
                        let inner = Fields { all: self.all, at: self.at, end: self.at + len };
                        self.at += len;
                        Value::Bytes(inner)
                    }
                    _ => return self.wrong("a length reaches beyond the end"),
                }
            }
            _ => return self.wrong("no such wire type"),
        };
        Ok(Some((field, value)))
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        match read_varint(self.bytes()) {
            Ok((n, length)) => {
                self.at += length;
                Ok(n)
            }
            Err(VarintError::Cut) => {
                self.at = self.end;
                self.wrong("the message breaks off")
            }
            Err(VarintError::TooLong) => {
                self.at += MAX_VARINT;
                self.wrong("a number has more than 64 bits")
            }
        }
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        match self.all[self.at..self.end].first_chunk::<N>() {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => self.wrong("the message breaks off"),
        }
    }

    /// All numbers of a packed field.
    pub(crate) fn varints(mut self) -> impl Iterator<Item = Result<u64, Malformed>> {
        std::iter::from_fn(move || {
            let left = self.at < self.end;
            left.then(|| self.varint().inspect_err(|_| self.at = self.end))
        })
    }

    /// All floats of a packed field.
    pub(crate) fn doubles(mut self) -> impl Iterator<Item = Result<f64, Malformed>> {
        std::iter::from_fn(move || {
            let left = self.at < self.end;
            left.then(|| self.fixed().map(f64::from_le_bytes).inspect_err(|_| self.at = self.end))
        })
    }

    /// A text.
    pub(crate) fn text(&self) -> Result<&'m str, Malformed> {
        match simdutf8::basic::from_utf8(self.bytes()) {
            Ok(text) => Ok(text),
            Err(_) => self.wrong("a text is not UTF-8"),
        }
    }
}

impl<'m> Value<'m> {
    pub(crate) fn uint(&self) -> Option<u64> {
        match self {
            Value::Varint(n) => Some(*n),
            _ => None,
        }
    }

    pub(crate) fn int(&self) -> Option<i64> {
        self.uint().map(u64::cast_signed)
    }

    pub(crate) fn sint(&self) -> Option<i64> {
        self.uint().map(unzigzag)
    }

    pub(crate) fn double(&self) -> Option<f64> {
        match self {
            Value::Fixed64(bits) => Some(f64::from_bits(*bits)),
            _ => None,
        }
    }
}

pub(crate) fn unzigzag(n: u64) -> i64 {
    (n >> 1).cast_signed() ^ -(n & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut out = Vec::new();
        uint(1, 0, &mut out);
        some_uint(1, 0, &mut out);
        sint(2, i64::MIN, &mut out);
        double(3, -0.0, &mut out);
        nested(17, &mut out, |out| bytes(1, &[b'x'; 300], out));
        nested(4, &mut out, |out| [0, 1, u64::MAX].into_iter().for_each(|n| write_varint(n, out)));
        let mut fields = Fields::new(&out);
        let mut next = || fields.next().unwrap();
        assert!(matches!(next(), Some((1, Value::Varint(0)))));
        assert_eq!(next().unwrap().1.sint(), Some(i64::MIN));
        assert_eq!(next().unwrap().1.double().map(f64::to_bits), Some((-0.0_f64).to_bits()));
        let Some((17, Value::Bytes(mut inner))) = next() else { panic!("no message") };
        let Some((1, Value::Bytes(text))) = inner.next().unwrap() else { panic!("no text") };
        assert_eq!((text.text().unwrap().len(), inner.next().unwrap().is_none()), (300, true));
        let Some((4, Value::Bytes(packed))) = next() else { panic!("no numbers") };
        let numbers: Vec<u64> = packed.varints().map(Result::unwrap).collect();
        assert_eq!(numbers, [0, 1, u64::MAX]);
        assert!(next().is_none());
    }

    #[test]
    fn hostile_bytes_are_told_apart() {
        let first = |bytes: &[u8]| Fields::new(bytes).next().map(drop);
        for (bytes, what) in [
            (&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f][..], "beyond the end"),
            (&[0x08, 0xff], "breaks off"),
            (&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], "64 bits"),
            (&[0x09, 1, 2], "breaks off"),
            (&[0x0b], "wire type"),
            (&[0x00], "field number"),
        ] {
            let error = first(bytes).unwrap_err();
            assert!(error.what.contains(what), "{error}");
        }
    }
}
