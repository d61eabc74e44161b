//! Spans in protobuf: `zipkin.proto3.ListOfSpans`.
//!
//! Fields that are not known are passed over; one that is known and of another type is refused. Texts that are not UTF-8 are
//! mended.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use suiro_sdk::protobuf::{Field, Malformed, Raw, Reader};

use crate::span::{Annotation, Endpoint, Kind, Span, read_time};

/// Why a list is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: {what}")]
pub struct ProtobufError {
    at: usize,
    what: String,
}

type Result<T> = std::result::Result<T, ProtobufError>;

/// Calls `each` with every span of the list, and where it stands in the bytes.
pub(crate) fn read(
    bytes: &[u8],
    mut each: impl FnMut(Span<'_>, Range<usize>) -> std::result::Result<(), String>,
) -> Result<()> {
    let mut list = Reader::new(bytes, 0..bytes.len());
    while let Some(Field { number, value }) = list.field()? {
        match (number, value) {
            (1, Raw::Len(place)) => {
                let span = read_span(list.inner(place.clone()))?;
                each(span, place.clone()).or_else(|what| fail(place.start, what))?;
            }
            (1, _) => return fail(list.pos(), "`spans` is no message"),
            _ => {}
        }
    }
    Ok(())
}

fn read_span(mut reader: Reader<'_>) -> Result<Span<'_>> {
    let mut span = Span::default();
    while let Some(Field { number, value }) = reader.field()? {
        match (number, value) {
            (1, Raw::Len(id)) if matches!(id.len(), 8 | 16) => span.trace = big_endian(reader.bytes(&id)),
            (2, Raw::Len(id)) if matches!(id.len(), 0 | 8) => span.parent = big_endian(reader.bytes(&id)) as u64,
            (3, Raw::Len(id)) if id.len() == 8 => span.id = big_endian(reader.bytes(&id)) as u64,
            (1, _) => return fail(reader.pos(), "`trace_id` is not 8 or 16 bytes"),
            (2, _) => return fail(reader.pos(), "`parent_id` is not 8 bytes"),
            (3, _) => return fail(reader.pos(), "`id` is not 8 bytes"),
            (4, Raw::Varint(kind)) => {
                span.kind = match kind {
                    0 => None,
                    1 => Some(Kind::Client),
                    2 => Some(Kind::Server),
                    3 => Some(Kind::Producer),
                    4 => Some(Kind::Consumer),
                    other => return fail(reader.pos(), format!("`kind`: there is no kind {other}")),
                }
            }
            (5, Raw::Len(name)) => span.name = text(&reader, name),
            (6, Raw::Fixed64(micros)) => span.timestamp = time("timestamp", micros, &reader)?,
            (7, Raw::Varint(micros)) => span.duration = time("duration", micros, &reader)?,
            (8, Raw::Len(message)) => read_endpoint(reader.inner(message), &mut span.local)?,
            (9, Raw::Len(message)) => read_endpoint(reader.inner(message), &mut span.remote)?,
            (10, Raw::Len(message)) => span.annotations.push(read_annotation(reader.inner(message))?),
            (11, Raw::Len(message)) => span.tags.push(read_tag(reader.inner(message))?),
            (12, Raw::Varint(flag)) => span.debug = flag != 0,
            (13, Raw::Varint(flag)) => span.shared = flag != 0,
            (4..=13, _) => return fail(reader.pos(), format!("field {number} of a span is of the wrong type")),
            _ => {}
        }
    }
    span.check().or_else(|why| fail(reader.pos(), why))?;
    Ok(span)
}

/// Endpoints that come twice are one, as protobuf has it.
fn read_endpoint<'a>(mut reader: Reader<'a>, endpoint: &mut Endpoint<'a>) -> Result<()> {
    while let Some(Field { number, value }) = reader.field()? {
        match (number, value) {
            (1, Raw::Len(service)) => endpoint.service = text(&reader, service),
            (2, Raw::Len(place)) => match *reader.bytes(&place) {
                [] => endpoint.ipv4 = Cow::default(),
                [a, b, c, d] => endpoint.ipv4 = Ipv4Addr::new(a, b, c, d).to_string().into(),
                _ => return fail(reader.pos(), "`ipv4` is not 4 bytes"),
            },
            (3, Raw::Len(place)) if place.is_empty() => endpoint.ipv6 = Cow::default(),
            (3, Raw::Len(place)) => match <[u8; 16]>::try_from(reader.bytes(&place)) {
                Ok(ip) => endpoint.ipv6 = Ipv6Addr::from(ip).to_string().into(),
                Err(_) => return fail(reader.pos(), "`ipv6` is not 16 bytes"),
            },
            (4, Raw::Varint(port)) => match u16::try_from(port) {
                Ok(port) => endpoint.port = port,
                Err(_) => return fail(reader.pos(), format!("{} is no port", port.cast_signed())),
            },
            (1..=4, _) => return fail(reader.pos(), format!("field {number} of an endpoint is of the wrong type")),
            _ => {}
        }
    }
    Ok(())
}

fn read_annotation(mut reader: Reader<'_>) -> Result<Annotation<'_>> {
    let mut annotation = Annotation::default();
    while let Some(Field { number, value }) = reader.field()? {
        match (number, value) {
            (1, Raw::Fixed64(micros)) => annotation.timestamp = time("annotations", micros, &reader)?,
            (2, Raw::Len(value)) => annotation.value = text(&reader, value),
            (1..=2, _) => return fail(reader.pos(), format!("field {number} of an annotation is of the wrong type")),
            _ => {}
        }
    }
    Ok(annotation)
}

fn read_tag(mut reader: Reader<'_>) -> Result<(Cow<'_, str>, Cow<'_, str>)> {
    let (mut key, mut tag) = (Cow::default(), Cow::default());
    while let Some(Field { number, value }) = reader.field()? {
        match (number, value) {
            (1, Raw::Len(bytes)) => key = text(&reader, bytes),
            (2, Raw::Len(bytes)) => tag = text(&reader, bytes),
            (1..=2, _) => return fail(reader.pos(), format!("field {number} of a tag is of the wrong type")),
            _ => {}
        }
    }
    Ok((key, tag))
}

fn text<'a>(reader: &Reader<'a>, place: Range<usize>) -> Cow<'a, str> {
    String::from_utf8_lossy(reader.bytes(&place))
}

fn time(field: &str, microseconds: u64, reader: &Reader<'_>) -> Result<i64> {
    read_time(microseconds).or_else(|why| fail(reader.pos(), format!("`{field}`: {why}")))
}

fn big_endian(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |id, byte| (id << 8) | u128::from(*byte))
}

fn fail<T>(at: usize, what: impl Into<String>) -> Result<T> {
    Err(ProtobufError { at, what: what.into() })
}

// === impl ProtobufError ===

impl From<Malformed> for ProtobufError {
    fn from(Malformed { what, at }: Malformed) -> Self {
        ProtobufError { at, what: what.to_owned() }
    }
}
