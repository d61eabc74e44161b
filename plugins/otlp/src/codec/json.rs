//! OTLP/JSON to protobuf and back, by the tables of `schema.rs`.
//!
//! As the protocol has it: names in lowerCamelCase, unknown ones ignored; ids hexadecimal, of either case; other bytes base64;
//! enums integers; 64-bit integers texts, read as numbers too; NaN and infinities texts. A `null` is a field that is not
//! there. Both ways are one pass without a tree: what is read is bounded by what is given. Values nest about 30 deep at most
//! (128 levels of JSON).

use std::fmt;
use std::io::Write as _;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use smallvec::SmallVec;
use suiro_record::{Signal, write_json_str};
use suiro_sdk::protobuf::{Raw, Reader, WireType, close, open, put_len, put_tag, put_varint, unzigzag, zigzag};

use super::message::read_hex;
use super::schema::{self, Field, Kind, Message};
use super::{DecodeError, error};

/// An `Export*ServiceRequest` in JSON as protobuf.
pub fn to_protobuf(signal: Signal, json: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut out = Vec::with_capacity(json.len());
    read(schema::request(signal), json, &mut out)?;
    Ok(out)
}

/// Appends an `Export*ServiceRequest` in protobuf as JSON.
pub fn from_protobuf(signal: Signal, protobuf: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    write(schema::request(signal), protobuf, out)
}

// === reading ===

/// Appends a message in JSON as protobuf.
pub(super) fn read(message: &'static Message, json: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let mut json_reader = serde_json::Deserializer::from_slice(json);
    Members { message, out }.deserialize(&mut json_reader).and_then(|()| json_reader.end()).map_err(|error| {
        // Its end says line and column; a byte is said once, and by us.
        let text = error.to_string();
        let what = text.split(" at line ").next().unwrap_or(&text).to_owned();
        let lines = json.split_inclusive(|&b| b == b'\n').take(error.line().saturating_sub(1));
        DecodeError { what: what.into(), at: lines.map(<[u8]>::len).sum::<usize>() + error.column() }
    })
}

/// The members of a message.
struct Members<'o> {
    message: &'static Message,
    out: &'o mut Vec<u8>,
}

/// A member's name.
struct Name(&'static Message);

/// A field's value.
struct Member<'o> {
    field: &'static Field,
    /// One of a list.
    item: bool,
    /// In a row with others, without a tag.
    packed: bool,
    out: &'o mut Vec<u8>,
}

/// A number as JSON has it.
#[derive(Clone, Copy)]
enum Number {
    Uint(u64),
    Int(i64),
    Float(f64),
}

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key_seed(Name(self.message))? {
            match field {
                Some(field) => {
                    map.next_value_seed(Member { field, item: false, packed: false, out: self.out })?;
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<&'static Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.named(name))
    }
}

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.field.kind {
            _ if self.field.repeated && !self.item => "a list",
            Kind::Bool => "a boolean",
            Kind::Double => "a number",
            Kind::Text => "a text",
            Kind::Bytes => "base64",
            Kind::Id(16) => "32 hexadecimal digits",
            Kind::Id(_) => "16 hexadecimal digits",
            Kind::Message(_) => "a message",
            _ => "an integer that fits",
        };
        write!(f, "{what} as `{}`", self.field.name)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        match self.field.kind {
            _ if !self.item => Ok(()),
            Kind::Message(_) => {
                put_len(self.field.number, &[], self.out);
                Ok(())
            }
            _ => Err(E::invalid_type(serde::de::Unexpected::Unit, &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Member { field, item, out, .. } = self;
        let Kind::Message(message) = field.kind else {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Map, &Member { out, ..self }));
        };
        if field.repeated && !item {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Map, &Member { out, ..self }));
        }
        let inner = open(field.number, 100, out);
        Members { message, out }.visit_map(map)?;
        close(inner, out);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Member { field, item, out, .. } = self;
        if !field.repeated || item {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Seq, &Member { out, ..self }));
        }
        let packed = field.kind.wire_type() != WireType::Len;
        let row = packed.then(|| open(field.number, 100, out));
        while list.next_element_seed(Member { field, item: true, packed, out: &mut *out })?.is_some() {}
        if let Some(row) = row {
            close(row, out);
        }
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        match self.field.kind {
            Kind::Bool if self.is_single() => {
                self.put(u64::from(value));
                Ok(())
            }
            _ => Err(E::invalid_type(serde::de::Unexpected::Bool(value), &self)),
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.number(Number::Uint(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.number(Number::Int(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.number(Number::Float(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let wrong = |this: &Self| E::invalid_value(serde::de::Unexpected::Str(text), this);
        if !self.is_single() {
            return Err(wrong(&self));
        }
        let number = self.field.number;
        match self.field.kind {
            Kind::Text => put_len(number, text.as_bytes(), self.out),
            Kind::Bytes => {
                let standard = text.replace('-', "+").replace('_', "/");
                let bytes = LENIENT.decode(standard.trim_end_matches('=')).map_err(|_| wrong(&self))?;
                put_len(number, &bytes, self.out);
            }
            Kind::Id(_) => {
                let mut bytes = [0; MAX_ID];
                if text.is_empty() {
                    return Ok(());
                }
                // One of another length than ids have is refused with its record, as in protobuf; the others are taken.
                let len = (text.len() / 2).min(MAX_ID);
                if !read_hex(text.as_bytes(), &mut bytes[..len]) {
                    return Err(wrong(&self));
                }
                put_len(number, &bytes[..len], self.out);
            }
            Kind::Bool | Kind::Message(_) => return Err(wrong(&self)),
            Kind::Double => {
                let value = match text {
                    "NaN" => f64::NAN,
                    "Infinity" => f64::INFINITY,
                    "-Infinity" => f64::NEG_INFINITY,
                    text => text.parse().ok().filter(|n: &f64| n.is_finite()).ok_or_else(|| wrong(&self))?,
                };
                self.put(value.to_bits());
            }
            _ => {
                let parsed = match text.parse::<i64>() {
                    Ok(n) => Number::Int(n),
                    Err(_) => text.parse::<u64>().map(Number::Uint).map_err(|_| wrong(&self))?,
                };
                return self.number(parsed);
            }
        }
        Ok(())
    }
}

/// Bytes of an id that are looked at: twice those of the longest.
const MAX_ID: usize = 32;

/// Base64 with or without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

// === impl Member ===

impl Member<'_> {
    fn is_single(&self) -> bool {
        self.item || !self.field.repeated
    }

    fn number<E: Error>(self, number: Number) -> Result<(), E> {
        match raw(self.field.kind, number).filter(|_| self.is_single()) {
            Some(raw) => {
                self.put(raw);
                Ok(())
            }
            None => Err(E::invalid_value(
                match number {
                    Number::Uint(n) => serde::de::Unexpected::Unsigned(n),
                    Number::Int(n) => serde::de::Unexpected::Signed(n),
                    Number::Float(n) => serde::de::Unexpected::Float(n),
                },
                &self,
            )),
        }
    }

    /// Writes a number, which is laid out already.
    fn put(self, raw: u64) {
        let wire = self.field.kind.wire_type();
        if !self.packed {
            put_tag(self.field.number, wire, self.out);
        }
        match wire {
            WireType::Fixed64 => self.out.extend_from_slice(&raw.to_le_bytes()),
            WireType::Fixed32 => self.out.extend_from_slice(&(raw as u32).to_le_bytes()),
            WireType::Varint | WireType::Len => put_varint(raw, self.out),
        }
    }
}

/// A number as it is laid out for a field, if it fits.
fn raw(kind: Kind, number: Number) -> Option<u64> {
    let wide: i128 = match number {
        Number::Uint(n) => n.into(),
        Number::Int(n) => n.into(),
        Number::Float(n) if matches!(kind, Kind::Double) => return Some(n.to_bits()),
        Number::Float(n) if n.fract() == 0.0 && n.abs() < 1e19 => n as i128,
        Number::Float(_) => return None,
    };
    match kind {
        Kind::Int32 => i32::try_from(wide).ok().map(|n| i64::from(n).cast_unsigned()),
        Kind::Sint32 => i32::try_from(wide).ok().map(|n| zigzag(i64::from(n))),
        Kind::Uint32 | Kind::Fixed32 => u32::try_from(wide).ok().map(u64::from),
        Kind::Int64 | Kind::Sfixed64 => i64::try_from(wide).ok().map(i64::cast_unsigned),
        Kind::Uint64 | Kind::Fixed64 => u64::try_from(wide).ok(),
        Kind::Double => Some((wide as f64).to_bits()),
        Kind::Bool | Kind::Text | Kind::Bytes | Kind::Id(_) | Kind::Message(_) => None,
    }
}

// === writing ===

/// Appends a message in protobuf as JSON.
pub(super) fn write(message: &'static Message, protobuf: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    super::index::check(protobuf, 0..protobuf.len(), message, 0)?;
    write_message(message, protobuf, 0..protobuf.len(), out)
}

fn write_message(
    message: &'static Message,
    bytes: &[u8],
    span: std::ops::Range<usize>,
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let mut found: SmallVec<[(&'static Field, Raw); 16]> = SmallVec::new();
    let mut reader = Reader::new(bytes, span);
    while let Some(field) = reader.field()? {
        let Some(known) = message.field(field.number) else { continue };
        if known.choice || !known.repeated {
            found.retain(|(other, _)| !(known.choice && other.choice || other.number == known.number));
        }
        found.push((known, field.value));
    }
    // Lists may stand scattered.
    found.sort_by_key(|(field, _)| field.number);
    out.push(b'{');
    let mut i = 0;
    while let Some((field, value)) = found.get(i) {
        if i > 0 {
            out.push(b',');
        }
        write_json_str(field.name, out);
        out.push(b':');
        if !field.repeated {
            write_field(field.kind, value, bytes, out)?;
            i += 1;
            continue;
        }
        out.push(b'[');
        let from = out.len();
        while let Some((_, value)) = found.get(i).filter(|(other, _)| other.number == field.number) {
            write_items(field.kind, value, bytes, from, out)?;
            i += 1;
        }
        out.push(b']');
    }
    out.push(b'}');
    Ok(())
}

/// One item of a list that began at `from`, or several in a row.
fn write_items(kind: Kind, value: &Raw, bytes: &[u8], from: usize, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let separate = |out: &mut Vec<u8>| {
        if out.len() > from {
            out.push(b',');
        }
    };
    match (value, kind.wire_type()) {
        (Raw::Len(span), WireType::Fixed64 | WireType::Fixed32 | WireType::Varint) => {
            let mut packed = Reader::new(bytes, span.clone());
            while !packed.is_done() {
                let item = match kind.wire_type() {
                    WireType::Fixed64 => Raw::Fixed64(packed.fixed64()?),
                    WireType::Fixed32 => Raw::Fixed32(packed.fixed32()?),
                    WireType::Varint | WireType::Len => Raw::Varint(packed.varint()?),
                };
                separate(out);
                write_field(kind, &item, bytes, out)?;
            }
        }
        _ => {
            separate(out);
            write_field(kind, value, bytes, out)?;
        }
    }
    Ok(())
}

fn write_field(kind: Kind, value: &Raw, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    // Writing to a `Vec` has no way to fail.
    let mut put = |text: fmt::Arguments<'_>| drop(out.write_fmt(text));
    match (kind, value) {
        (Kind::Bool, Raw::Varint(n)) => put(format_args!("{}", *n != 0)),
        (Kind::Int32, Raw::Varint(n)) => put(format_args!("{}", *n as i32)),
        (Kind::Uint32, Raw::Varint(n)) => put(format_args!("{}", *n as u32)),
        (Kind::Int64, Raw::Varint(n)) => put(format_args!("\"{}\"", n.cast_signed())),
        (Kind::Uint64, Raw::Varint(n)) | (Kind::Fixed64, Raw::Fixed64(n)) => put(format_args!("\"{n}\"")),
        (Kind::Sint32, Raw::Varint(n)) => put(format_args!("{}", unzigzag(*n) as i32)),
        (Kind::Fixed32, Raw::Fixed32(n)) => put(format_args!("{n}")),
        (Kind::Sfixed64, Raw::Fixed64(n)) => put(format_args!("\"{}\"", n.cast_signed())),
        (Kind::Double, Raw::Fixed64(bits)) => match f64::from_bits(*bits) {
            n if n.is_nan() => put(format_args!("\"NaN\"")),
            f64::INFINITY => put(format_args!("\"Infinity\"")),
            f64::NEG_INFINITY => put(format_args!("\"-Infinity\"")),
            n => put(format_args!("{n:?}")),
        },
        (Kind::Text, Raw::Len(span)) => {
            write_json_str(&String::from_utf8_lossy(&bytes[span.clone()]), out);
        }
        (Kind::Bytes, Raw::Len(span)) => put(format_args!("\"{}\"", STANDARD.encode(&bytes[span.clone()]))),
        (Kind::Id(_), Raw::Len(span)) => {
            out.push(b'"');
            bytes[span.clone()].iter().for_each(|byte| drop(write!(out, "{byte:02x}")));
            out.push(b'"');
        }
        (Kind::Message(message), Raw::Len(span)) => write_message(message, bytes, span.clone(), out)?,
        _ => return Err(error("a field has another type than its own", 0)),
    }
    Ok(())
}
