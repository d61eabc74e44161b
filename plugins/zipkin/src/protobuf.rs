//! Spans in protobuf: `zipkin.proto3.ListOfSpans`.
//!
//! Everything is a slice of the bytes that came: nothing is allocated by a length that is only claimed, and messages nest as
//! deep as the format has it, no deeper. Fields that are not known are passed over; groups, which protobuf gave up long ago,
//! are refused.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use suiro_sdk::varint::{MAX_VARINT, VarintError, read_varint};

use crate::span::{Annotation, Endpoint, Kind, Span, read_time};

/// Why a list is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: {what}")]
pub struct ProtobufError {
    at: usize,
    what: String,
}

type Result<T> = std::result::Result<T, ProtobufError>;

/// The value of a field.
#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

/// Reads the fields of a message.
#[derive(Clone, Copy, Debug)]
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the message starts in all that came.
    base: usize,
}

/// Calls `each` with every span of the list, and where it stands in the bytes.
pub(crate) fn read(
    bytes: &[u8],
    mut each: impl FnMut(Span<'_>, std::ops::Range<usize>) -> std::result::Result<(), String>,
) -> Result<()> {
    let mut list = Reader { bytes, at: 0, base: 0 };
    while let Some((number, value)) = list.field()? {
        match (number, value) {
            (1, Value::Bytes(message)) => {
                let from = list.at - message.len();
                let span = read_span(list.inner(message))?;
                each(span, from..list.at).map_err(|what| ProtobufError { at: from, what })?;
            }
            (1, _) => return list.fail("`spans` is no message"),
            _ => {}
        }
    }
    Ok(())
}

fn read_span(mut reader: Reader<'_>) -> Result<Span<'_>> {
    let mut span = Span::default();
    while let Some((number, value)) = reader.field()? {
        match (number, value) {
            (1, Value::Bytes(id)) if matches!(id.len(), 8 | 16) => span.trace = big_endian(id),
            (2, Value::Bytes(id)) if matches!(id.len(), 0 | 8) => span.parent = big_endian(id) as u64,
            (3, Value::Bytes(id)) if id.len() == 8 => span.id = big_endian(id) as u64,
            (1, _) => return reader.fail("`trace_id` is not 8 or 16 bytes"),
            (2, _) => return reader.fail("`parent_id` is not 8 bytes"),
            (3, _) => return reader.fail("`id` is not 8 bytes"),
            (4, Value::Varint(kind)) => {
                span.kind = match kind {
                    0 => None,
                    1 => Some(Kind::Client),
                    2 => Some(Kind::Server),
                    3 => Some(Kind::Producer),
                    4 => Some(Kind::Consumer),
                    other => return reader.fail(format!("`kind`: there is no kind {other}")),
                }
            }
            (5, Value::Bytes(name)) => span.name = text(name),
            (6, Value::Fixed64(time)) => span.timestamp = reader.time("timestamp", time)?,
            (7, Value::Varint(time)) => span.duration = reader.time("duration", time)?,
            (8, Value::Bytes(message)) => read_endpoint(reader.inner(message), &mut span.local)?,
            (9, Value::Bytes(message)) => read_endpoint(reader.inner(message), &mut span.remote)?,
            (10, Value::Bytes(message)) => span.annotations.push(read_annotation(reader.inner(message))?),
            (11, Value::Bytes(message)) => span.tags.push(read_tag(reader.inner(message))?),
            (12, Value::Varint(flag)) => span.debug = flag != 0,
            (13, Value::Varint(flag)) => span.shared = flag != 0,
            (4..=13, _) => return reader.fail(format!("field {number} of a span is of the wrong type")),
            _ => {}
        }
    }
    span.check().or_else(|why| reader.fail(why))?;
    Ok(span)
}

/// Endpoints that come twice are one, as protobuf has it.
fn read_endpoint<'a>(mut reader: Reader<'a>, endpoint: &mut Endpoint<'a>) -> Result<()> {
    while let Some((number, value)) = reader.field()? {
        match (number, value) {
            (1, Value::Bytes(service)) => endpoint.service = text(service),
            (2, Value::Bytes([])) => endpoint.ipv4 = Cow::default(),
            (3, Value::Bytes([])) => endpoint.ipv6 = Cow::default(),
            (2, Value::Bytes(&[a, b, c, d])) => endpoint.ipv4 = Ipv4Addr::new(a, b, c, d).to_string().into(),
            (3, Value::Bytes(ip)) => match <[u8; 16]>::try_from(ip) {
                Ok(ip) => endpoint.ipv6 = Ipv6Addr::from(ip).to_string().into(),
                Err(_) => return reader.fail("`ipv6` is not 16 bytes"),
            },
            (2, Value::Bytes(_)) => return reader.fail("`ipv4` is not 4 bytes"),
            (4, Value::Varint(port)) => match u16::try_from(port) {
                Ok(port) => endpoint.port = port,
                Err(_) => return reader.fail(format!("{} is no port", port.cast_signed())),
            },
            (1..=4, _) => return reader.fail(format!("field {number} of an endpoint is of the wrong type")),
            _ => {}
        }
    }
    Ok(())
}

fn read_annotation(mut reader: Reader<'_>) -> Result<Annotation<'_>> {
    let mut annotation = Annotation::default();
    while let Some((number, value)) = reader.field()? {
        match (number, value) {
            (1, Value::Fixed64(time)) => annotation.timestamp = reader.time("annotations", time)?,
            (2, Value::Bytes(value)) => annotation.value = text(value),
            (1..=2, _) => return reader.fail(format!("field {number} of an annotation is of the wrong type")),
            _ => {}
        }
    }
    Ok(annotation)
}

fn read_tag(mut reader: Reader<'_>) -> Result<(Cow<'_, str>, Cow<'_, str>)> {
    let (mut key, mut tag) = (Cow::default(), Cow::default());
    while let Some((number, value)) = reader.field()? {
        match (number, value) {
            (1, Value::Bytes(bytes)) => key = text(bytes),
            (2, Value::Bytes(bytes)) => tag = text(bytes),
            (1..=2, _) => return reader.fail(format!("field {number} of a tag is of the wrong type")),
            _ => {}
        }
    }
    Ok((key, tag))
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn big_endian(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |id, byte| (id << 8) | u128::from(*byte))
}

// === impl Reader ===

impl<'a> Reader<'a> {
    /// A reader of a message that was just read as a value.
    fn inner(&self, message: &'a [u8]) -> Reader<'a> {
        Reader { bytes: message, at: 0, base: self.base + self.at - message.len() }
    }

    fn fail<T>(&self, what: impl Into<String>) -> Result<T> {
        Err(ProtobufError { at: self.base + self.at, what: what.into() })
    }

    /// The next field and its value; `None` at the end.
    fn field(&mut self) -> Result<Option<(u64, Value<'a>)>> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = self.varint()?;
                let slice = usize::try_from(length).ok().and_then(|length| self.bytes[self.at..].get(..length));
                let Some(slice) = slice else {
                    let left = self.bytes.len() - self.at;
                    return self.fail(format!("{length} bytes are claimed, and {left} are left"));
                };
                self.at += slice.len();
                Value::Bytes(slice)
            }
            5 => {
                self.array::<4>()?;
                Value::Fixed32
            }
            other => return self.fail(format!("{other} is no type of a field")),
        };
        match tag >> 3 {
            0 => self.fail("there is no field 0"),
            number => Ok(Some((number, value))),
        }
    }

    fn time(&self, field: &str, microseconds: u64) -> Result<i64> {
        read_time(microseconds).or_else(|why| self.fail(format!("`{field}`: {why}")))
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
}
