//! `AnyValue` and `KeyValue`, both ways.
//!
//! ```text
//! AnyValue { 1 string, 2 bool, 3 int, 4 double, 5 ArrayValue { 1 values }, 6 KeyValueList { 1 KeyValue }, 7 bytes }
//! KeyValue { 1 key, 2 value }
//! ```

use std::ops::Range;

use suiro_record::{Assembly, Attributes, EditError, Key, Kind, NodeRef, Piece, Value};
use suiro_sdk::protobuf::{
    Field, Fields, Raw, WireType, close, open, put_double, put_int, put_len, put_tag, put_uint, put_varint,
};

type Done = Result<(), EditError>;

// === reading; messages were checked ===

/// A number without sign, as an integer wherever it is one.
pub(super) fn int(n: u64) -> Value {
    i64::try_from(n).map_or(Value::Uint(n), Value::Int)
}

/// The same, to be put into a record.
pub(super) fn int_piece(n: u64) -> Piece {
    i64::try_from(n).map_or(Piece::Uint(n), Piece::Int)
}

/// What an `AnyValue` says: of several, the last.
pub(super) fn chosen(bytes: &[u8], span: Range<usize>) -> Option<Field> {
    Fields::new(bytes, span).filter(|field| (1..=7).contains(&field.number)).last()
}

/// Key and value of a `KeyValue`.
pub(super) fn pair(bytes: &[u8], span: Range<usize>) -> (Range<usize>, Range<usize>) {
    let (mut key, mut value) = (0..0, 0..0);
    for field in Fields::new(bytes, span) {
        match (field.number, field.value) {
            (1, Raw::Len(span)) => key = span,
            (2, Raw::Len(span)) => value = span,
            _ => {}
        }
    }
    (key, value)
}

/// The messages in the fields `number`.
pub(super) fn messages(bytes: &[u8], span: Range<usize>, number: u32) -> impl Iterator<Item = Range<usize>> + '_ {
    Fields::new(bytes, span).filter_map(move |field| match field.value {
        Raw::Len(span) if field.number == number => Some(span),
        _ => None,
    })
}

/// Puts an `AnyValue` into a record.
pub(super) fn put_value(map: &mut Assembly<'_>, key: Key<'_>, bytes: &[u8], span: Range<usize>) -> Done {
    let Some(field) = chosen(bytes, span) else { return map.put(key, Piece::Null) };
    match (field.number, field.value) {
        (1, Raw::Len(span)) => map.put(key, Piece::Text(span)),
        (2, Raw::Varint(n)) => map.put(key, Piece::Bool(n != 0)),
        (3, Raw::Varint(n)) => map.put(key, Piece::Int(n.cast_signed())),
        (4, Raw::Fixed64(bits)) => map.put(key, Piece::Float(f64::from_bits(bits))),
        (5, Raw::Len(span)) => {
            map.open_list(key)?;
            for item in messages(bytes, span, 1) {
                put_value(map, Key::Item, bytes, item)?;
            }
            map.close();
            Ok(())
        }
        (6, Raw::Len(span)) => {
            map.open_map(key)?;
            put_pairs(map, bytes, span, 1)?;
            map.close();
            Ok(())
        }
        (7, Raw::Len(span)) => map.put(key, Piece::Bytes(span)),
        _ => map.put(key, Piece::Null),
    }
}

/// Puts the `KeyValue`s in the fields `number` into the map that is open.
pub(super) fn put_pairs(map: &mut Assembly<'_>, bytes: &[u8], span: Range<usize>, number: u32) -> Done {
    for member in messages(bytes, span, number) {
        match usual_pair(bytes, &member) {
            Some((key, text)) => map.put(Key::Bytes(key), Piece::Text(text))?,
            None => {
                let (key, value) = pair(bytes, member);
                put_value(map, Key::Bytes(&bytes[key]), bytes, value)?;
            }
        }
    }
    Ok(())
}

/// Key and text of what most members are: `0a KEY 12 { 0a TEXT }`, all of it shorter than 128 bytes.
fn usual_pair<'a>(bytes: &'a [u8], member: &Range<usize>) -> Option<(&'a [u8], Range<usize>)> {
    let [0x0a, key_len @ ..0x80, rest @ ..] = bytes.get(member.clone())? else { return None };
    let (key, rest) = rest.split_at_checked(usize::from(*key_len))?;
    let [0x12, value_len @ ..0x80, value @ ..] = rest else { return None };
    let [0x0a, text_len @ ..0x80, text @ ..] = value else { return None };
    let fits = value.len() == usize::from(*value_len) && text.len() == usize::from(*text_len);
    fits.then(|| (key, member.end - text.len()..member.end))
}

/// Puts them as a map, if there are any.
pub(super) fn put_attributes(
    map: &mut Assembly<'_>,
    name: &str,
    bytes: &[u8],
    span: Range<usize>,
    number: u32,
) -> Done {
    if messages(bytes, span.clone(), number).next().is_none() {
        return Ok(());
    }
    map.open_map(Key::Name(name))?;
    put_pairs(map, bytes, span, number)?;
    map.close();
    Ok(())
}

/// The `KeyValue`s in the fields `number`, to be shared.
pub(super) fn attributes_of(bytes: &[u8], span: Range<usize>, number: u32) -> Attributes {
    let member = |member| {
        let (key, value) = pair(bytes, member);
        (String::from_utf8_lossy(&bytes[key]).into_owned(), value_of(bytes, value))
    };
    messages(bytes, span, number).map(member).collect()
}

fn value_of(bytes: &[u8], span: Range<usize>) -> Value {
    let Some(field) = chosen(bytes, span) else { return Value::Null };
    match (field.number, field.value) {
        (1, Raw::Len(span)) => Value::Str(String::from_utf8_lossy(&bytes[span]).into_owned()),
        (2, Raw::Varint(n)) => Value::Bool(n != 0),
        (3, Raw::Varint(n)) => Value::Int(n.cast_signed()),
        (4, Raw::Fixed64(bits)) => Value::Float(f64::from_bits(bits)),
        (5, Raw::Len(span)) => Value::Array(messages(bytes, span, 1).map(|item| value_of(bytes, item)).collect()),
        (6, Raw::Len(span)) => Value::Object(attributes_of(bytes, span, 1)),
        (7, Raw::Len(span)) => Value::Bytes(bytes[span].to_vec()),
        _ => Value::Null,
    }
}

/// Whether two values are the same; NaN is the same as itself.
pub(super) fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b)),
        (Value::Object(a), Value::Object(b)) => are_same(a, b),
        _ => a == b,
    }
}

pub(super) fn are_same(a: &[(String, Value)], b: &[(String, Value)]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|((key, a), (other, b))| key == other && is_same(a, b))
}

// === writing ===

/// About how long a value's message is: what is guessed right needs no moving.
fn expected(value: NodeRef<'_>) -> usize {
    match value.kind() {
        Kind::String => value.plain_bytes().map_or(16, <[u8]>::len) + 2,
        Kind::Bytes => value.as_bytes().map_or(0, <[u8]>::len) + 2,
        Kind::Array | Kind::Object => 200,
        _ => 10,
    }
}

/// Appends a member of a map as field `number`, a `KeyValue`.
pub(super) fn write_pair(number: u32, key: &[u8], value: NodeRef<'_>, out: &mut Vec<u8>) {
    if let Some(text) = value.plain_bytes()
        && !key.is_empty()
        && key.len() + text.len() < 0x80 - 6
    {
        // All lengths are known, and have a byte each.
        let (key_len, text_len) = (key.len() as u8, text.len() as u8);
        put_tag(number, WireType::Len, out);
        out.extend_from_slice(&[key_len + text_len + 6, 0x0a, key_len]);
        out.extend_from_slice(key);
        out.extend_from_slice(&[0x12, text_len + 2, 0x0a, text_len]);
        out.extend_from_slice(text);
        return;
    }
    let expected = expected(value);
    let pair = open(number, key.len() + expected + 4, out);
    put_text(1, key, out);
    if !value.is_null() {
        write_any(2, value, expected, out);
    }
    close(pair, out);
}

/// Appends a value as field `number`, an `AnyValue`.
pub(super) fn write_value(number: u32, value: NodeRef<'_>, out: &mut Vec<u8>) {
    write_any(number, value, expected(value), out);
}

fn write_any(number: u32, value: NodeRef<'_>, expected: usize, out: &mut Vec<u8>) {
    let any = open(number, expected, out);
    match value.kind() {
        Kind::Null => {}
        Kind::Bool => put_uint(2, u64::from(value.as_bool() == Some(true)), out),
        Kind::Number => write_number(value, out),
        Kind::String => match value.plain_bytes() {
            Some(text) => put_len(1, text, out),
            None => put_len(1, value.as_str().unwrap_or_default().as_bytes(), out),
        },
        Kind::Bytes => put_len(7, value.as_bytes().unwrap_or_default(), out),
        Kind::Array => {
            let list = open(5, expected, out);
            for item in value.children() {
                write_value(1, item, out);
            }
            close(list, out);
        }
        Kind::Object => {
            let map = open(6, expected, out);
            for member in value.children() {
                write_pair(1, member.key_bytes(), member, out);
            }
            close(map, out);
        }
    }
    close(any, out);
}

/// An integer where it is one that fits, otherwise as near as a float comes.
fn write_number(value: NodeRef<'_>, out: &mut Vec<u8>) {
    match number(value) {
        Number::Int(n) => put_int(3, n, out),
        Number::Float(n) => put_double(4, n, out),
    }
}

/// A number as OTLP has them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Float(f64),
}

pub(super) fn number(value: NodeRef<'_>) -> Number {
    match value.as_i64() {
        Some(n) => Number::Int(n),
        None => Number::Float(value.as_f64().unwrap_or_default()),
    }
}

/// Appends a field that is not there when it is empty.
pub(super) fn put_text(number: u32, text: &[u8], out: &mut Vec<u8>) {
    if !text.is_empty() {
        put_len(number, text, out);
    }
}

/// Appends shared attributes as fields `number`.
pub(super) fn write_attributes(number: u32, attributes: &[(String, Value)], out: &mut Vec<u8>) {
    for (key, value) in attributes {
        let pair = open(number, key.len() + 20, out);
        put_text(1, key.as_bytes(), out);
        if *value != Value::Null {
            write_tree(2, value, out);
        }
        close(pair, out);
    }
}

fn write_tree(number: u32, value: &Value, out: &mut Vec<u8>) {
    let any = open(number, 20, out);
    match value {
        Value::Null => {}
        Value::Bool(b) => {
            put_tag(2, WireType::Varint, out);
            put_varint(u64::from(*b), out);
        }
        Value::Int(n) => put_int(3, *n, out),
        Value::Uint(n) => match i64::try_from(*n) {
            Ok(n) => put_int(3, n, out),
            Err(_) => put_double(4, *n as f64, out),
        },
        Value::Float(n) => put_double(4, *n, out),
        Value::Number(text) => match text.parse() {
            Ok(n) => put_int(3, n, out),
            Err(_) => put_double(4, text.parse().unwrap_or_default(), out),
        },
        Value::Str(text) => put_len(1, text.as_bytes(), out),
        Value::Bytes(bytes) => put_len(7, bytes, out),
        Value::Array(items) => {
            let list = open(5, 100, out);
            for item in items {
                write_tree(1, item, out);
            }
            close(list, out);
        }
        Value::Object(members) => {
            let map = open(6, 100, out);
            write_attributes(1, members, out);
            close(map, out);
        }
    }
    close(any, out);
}
