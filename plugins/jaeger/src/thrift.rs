//! Thrift's binary and compact protocols, read where the bytes stand.
//!
//! # Constraints
//!
//! - The bytes are anybody's. Nothing is allocated by a length or a count that is only claimed: a text is a slice of the
//!   input, and a list that claims more items than there are bytes left is refused before its first item is read (every
//!   item takes at least one).
//! - No recursion without a bound: values that nobody asked for are skipped, at most [`MAX_DEPTH`] deep.
//! - Only what Jaeger's structures need: lists, maps and sets other than lists of known items can be skipped, not read.
//!
//! # Formats
//!
//! | | binary | compact |
//! | --- | --- | --- |
//! | integers | big-endian | zigzag varints |
//! | double | big-endian | little-endian |
//! | text | length as `i32`, bytes | length as varint, bytes |
//! | field | type, id as `i16` | step from the id before and type in a byte, or type and id as zigzag varint; 0 ends |
//! | bool as a field | one byte | the type itself |
//! | list | item type, count as `i32` | count and item type in a byte, from 15 on the count as varint |
//! | message | version and type, name, sequence number; or, unversioned, name, type, sequence number | `0x82`, version and type, sequence number, name |

use suiro_sdk::varint::{MAX_VARINT, VarintError, read_varint};

/// How deep a value may nest that is skipped.
const MAX_DEPTH: u32 = 32;

/// Which protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TBinaryProtocol, strict or not.
    Binary,
    /// TCompactProtocol.
    Compact,
}

/// The type of a value on the wire, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As an item of a list, or as a field of the binary protocol: one byte. As a field of the compact one: known.
    Bool(Option<bool>),
    I8,
    I16,
    I32,
    I64,
    Double,
    /// A text, or bytes.
    Text,
    Struct,
    Map,
    /// A list or a set.
    List,
    /// Sixteen bytes.
    Uuid,
}

/// A field's head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) id: i16,
    pub(crate) kind: Kind,
}

/// The fields of a structure as they are read: the compact protocol counts ids from the one before.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    last: i16,
}

/// The head of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub(crate) name: &'a [u8],
    /// A call, or one that wants no answer.
    pub(crate) is_call: bool,
}

/// Why bytes can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: {what}")]
pub struct ThriftError {
    at: usize,
    what: String,
}

/// Reads one input from its start to its end.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    protocol: Protocol,
}

type Result<T> = std::result::Result<T, ThriftError>;

// === impl Reader ===

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], protocol: Protocol) -> Self {
        Reader { bytes, at: 0, protocol }
    }

    /// Where it is.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn fail<T>(&self, what: impl Into<String>) -> Result<T> {
        Err(ThriftError { at: self.at, what: what.into() })
    }

    /// The head of a message.
    pub(crate) fn message(&mut self) -> Result<Message<'a>> {
        const CALL: u8 = 1;
        const ONEWAY: u8 = 4;
        let (name, kind) = match self.protocol {
            Protocol::Compact => {
                let [protocol, version] = self.array()?;
                if protocol != 0x82 || version & 0x1f != 1 {
                    return self.fail("this is no message of the compact protocol, version 1");
                }
                self.varint()?;
                (self.text()?, version >> 5)
            }
            Protocol::Binary if self.bytes.get(self.at).is_some_and(|first| first & 0x80 != 0) => {
                let [a, b, _, kind] = self.array()?;
                if [a, b] != [0x80, 0x01] {
                    return self.fail("this is no message of the binary protocol, version 1");
                }
                let name = self.text()?;
                self.i32()?;
                (name, kind)
            }
            Protocol::Binary => {
                let name = self.text()?;
                let [kind] = self.array()?;
                self.i32()?;
                (name, kind)
            }
        };
        Ok(Message { name, is_call: matches!(kind, CALL | ONEWAY) })
    }

    /// The next field of a structure; `None` at its end.
    pub(crate) fn field(&mut self, fields: &mut Fields) -> Result<Option<Field>> {
        let [head] = self.array()?;
        let field = match self.protocol {
            _ if head == 0 => return Ok(None),
            Protocol::Binary => Field { kind: self.binary_kind(head)?, id: i16::from_be_bytes(self.array()?) },
            Protocol::Compact => {
                let kind = self.compact_kind(head & 0x0f, true)?;
                let id = match head >> 4 {
                    0 => i16::try_from(self.zigzag()?).ok(),
                    step => fields.last.checked_add(i16::from(step)),
                };
                let Some(id) = id else { return self.fail("a field's id is out of range") };
                Field { id, kind }
            }
        };
        fields.last = field.id;
        Ok(Some(field))
    }

    /// The head of a list: the type of its items, and how many.
    pub(crate) fn list(&mut self) -> Result<(Kind, usize)> {
        let [head] = self.array()?;
        let (kind, count) = match self.protocol {
            Protocol::Binary => (self.binary_kind(head)?, self.length()?),
            Protocol::Compact => {
                let count = match head >> 4 {
                    15 => self.length()?,
                    count => usize::from(count),
                };
                (self.compact_kind(head & 0x0f, false)?, count)
            }
        };
        if count > self.left() {
            return self.fail(format!("a list claims {count} items, and {} bytes are left", self.left()));
        }
        Ok((kind, count))
    }

    /// The head of a list of structures.
    pub(crate) fn structs(&mut self) -> Result<usize> {
        match self.list()? {
            // An empty list's type is whatever its writer left there.
            (_, 0) => Ok(0),
            (Kind::Struct, count) => Ok(count),
            (kind, _) => self.fail(format!("a list of structures expected, not of {kind:?}")),
        }
    }

    pub(crate) fn bool(&mut self, kind: Kind) -> Result<bool> {
        match kind {
            Kind::Bool(Some(known)) => Ok(known),
            _ => Ok(self.array::<1>()? != [0]),
        }
    }

    pub(crate) fn i32(&mut self) -> Result<i32> {
        match self.protocol {
            Protocol::Binary => Ok(i32::from_be_bytes(self.array()?)),
            Protocol::Compact => {
                let wide = self.zigzag()?;
                i32::try_from(wide).or_else(|_| self.fail(format!("{wide} is too large for 32 bits")))
            }
        }
    }

    pub(crate) fn i64(&mut self) -> Result<i64> {
        match self.protocol {
            Protocol::Binary => Ok(i64::from_be_bytes(self.array()?)),
            Protocol::Compact => self.zigzag(),
        }
    }

    pub(crate) fn double(&mut self) -> Result<f64> {
        let bytes = self.array()?;
        Ok(match self.protocol {
            Protocol::Binary => f64::from_be_bytes(bytes),
            Protocol::Compact => f64::from_le_bytes(bytes),
        })
    }

    /// A text or bytes, as they stand in the input.
    pub(crate) fn text(&mut self) -> Result<&'a [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    /// Passes a value over.
    pub(crate) fn skip(&mut self, kind: Kind) -> Result<()> {
        self.skip_within(kind, MAX_DEPTH)
    }

    fn skip_within(&mut self, kind: Kind, room: u32) -> Result<()> {
        let Some(room) = room.checked_sub(1) else {
            return self.fail(format!("nested deeper than {MAX_DEPTH}"));
        };
        match (kind, self.protocol) {
            (Kind::Bool(Some(_)), _) => {}
            (Kind::Bool(None) | Kind::I8, _) => self.take(1).map(drop)?,
            (Kind::I16, Protocol::Binary) => self.take(2).map(drop)?,
            (Kind::I32, Protocol::Binary) => self.take(4).map(drop)?,
            (Kind::I64, Protocol::Binary) | (Kind::Double, _) => self.take(8).map(drop)?,
            (Kind::I16 | Kind::I32 | Kind::I64, Protocol::Compact) => self.varint().map(drop)?,
            (Kind::Uuid, _) => self.take(16).map(drop)?,
            (Kind::Text, _) => self.text().map(drop)?,
            (Kind::Struct, _) => {
                let mut fields = Fields::default();
                while let Some(field) = self.field(&mut fields)? {
                    self.skip_within(field.kind, room)?;
                }
            }
            (Kind::List, _) => {
                let (kind, count) = self.list()?;
                for _ in 0..count {
                    self.skip_within(kind, room)?;
                }
            }
            (Kind::Map, _) => {
                let (key, value, count) = self.map()?;
                for _ in 0..count {
                    self.skip_within(key, room)?;
                    self.skip_within(value, room)?;
                }
            }
        }
        Ok(())
    }

    fn map(&mut self) -> Result<(Kind, Kind, usize)> {
        let (key, value, count) = match self.protocol {
            Protocol::Binary => {
                let [key, value] = self.array()?;
                let count = self.length()?;
                if count == 0 {
                    return Ok((Kind::I8, Kind::I8, 0));
                }
                (self.binary_kind(key)?, self.binary_kind(value)?, count)
            }
            Protocol::Compact => {
                let count = self.length()?;
                if count == 0 {
                    return Ok((Kind::I8, Kind::I8, 0));
                }
                let [kinds] = self.array()?;
                (self.compact_kind(kinds >> 4, false)?, self.compact_kind(kinds & 0x0f, false)?, count)
            }
        };
        if count > self.left() {
            return self.fail(format!("a map claims {count} entries, and {} bytes are left", self.left()));
        }
        Ok((key, value, count))
    }

    fn binary_kind(&self, code: u8) -> Result<Kind> {
        Ok(match code {
            2 => Kind::Bool(None),
            3 => Kind::I8,
            4 => Kind::Double,
            6 => Kind::I16,
            8 => Kind::I32,
            10 => Kind::I64,
            11 => Kind::Text,
            12 => Kind::Struct,
            13 => Kind::Map,
            14 | 15 => Kind::List,
            16 => Kind::Uuid,
            _ => return self.fail(format!("{code} is no type of the binary protocol")),
        })
    }

    fn compact_kind(&self, code: u8, is_field: bool) -> Result<Kind> {
        Ok(match code {
            1 | 2 => Kind::Bool(is_field.then_some(code == 1)),
            3 => Kind::I8,
            4 => Kind::I16,
            5 => Kind::I32,
            6 => Kind::I64,
            7 => Kind::Double,
            8 => Kind::Text,
            9 | 10 => Kind::List,
            11 => Kind::Map,
            12 => Kind::Struct,
            13 => Kind::Uuid,
            _ => return self.fail(format!("{code} is no type of the compact protocol")),
        })
    }

    /// A length or count that is claimed.
    fn length(&mut self) -> Result<usize> {
        let claimed = match self.protocol {
            Protocol::Binary => i64::from(i32::from_be_bytes(self.array()?)),
            Protocol::Compact => i64::try_from(self.varint()?).unwrap_or(i64::MAX),
        };
        match usize::try_from(claimed) {
            Ok(length) if claimed <= i64::from(i32::MAX) => Ok(length),
            _ => self.fail(format!("{claimed} is no length")),
        }
    }

    fn zigzag(&mut self) -> Result<i64> {
        let n = self.varint()?;
        Ok((n >> 1).cast_signed() ^ -(n & 1).cast_signed())
    }

    fn varint(&mut self) -> Result<u64> {
        match read_varint(&self.bytes[self.at..]) {
            Ok((value, length)) => {
                self.at += length;
                Ok(value)
            }
            Err(VarintError::Cut) => {
                self.at = self.bytes.len();
                self.fail("it ends in the middle")
            }
            Err(VarintError::TooLong) => {
                self.at += MAX_VARINT;
                self.fail("a number is longer than 64 bits")
            }
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.bytes[self.at..].first_chunk() {
            Some(chunk) => {
                self.at += N;
                Ok(*chunk)
            }
            None => self.fail("it ends in the middle"),
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        match self.bytes[self.at..].get(..length) {
            Some(slice) => {
                self.at += length;
                Ok(slice)
            }
            None => self.fail(format!("{length} bytes are claimed, and {} are left", self.left())),
        }
    }

    /// Bytes not read yet.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }
}
