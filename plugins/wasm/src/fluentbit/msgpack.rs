//! Records as MessagePack, and back.

use rmp::Marker;
use rmp::{decode, encode};
use suiro_record::{Kind, MAX_DEPTH, NodeRef, Value};

/// Appends a value. Writing to a `Vec` does not fail.
pub(super) fn write(value: NodeRef<'_>, out: &mut Vec<u8>) {
    match value.kind() {
        Kind::Null => drop(encode::write_nil(out)),
        Kind::Bool => drop(encode::write_bool(out, value.as_bool().unwrap_or(false))),
        Kind::Number => match (value.as_i64(), value.as_u64()) {
            (Some(number), _) => drop(encode::write_sint(out, number)),
            (None, Some(number)) => drop(encode::write_uint(out, number)),
            (None, None) => drop(encode::write_f64(out, value.as_f64().unwrap_or(f64::NAN))),
        },
        Kind::String => drop(encode::write_str(out, &value.as_str().unwrap_or_default())),
        Kind::Bytes => drop(encode::write_bin(out, value.as_bytes().unwrap_or_default())),
        Kind::Array => {
            let _ = encode::write_array_len(out, value.children().count() as u32);
            value.children().for_each(|item| write(item, out));
        }
        Kind::Object => {
            let _ = encode::write_map_len(out, value.children().count() as u32);
            for member in value.children() {
                let _ = encode::write_str(out, member.key().unwrap_or_default());
                write(member, out);
            }
        }
    }
}

/// The value at the head of some bytes, which may be anything.
pub(super) fn read(bytes: &[u8]) -> Option<Value> {
    read_value(&mut &*bytes, MAX_DEPTH)
}

fn read_value(bytes: &mut &[u8], depth: usize) -> Option<Value> {
    let mut ahead = *bytes;
    let marker = decode::read_marker(&mut ahead).ok()?;
    Some(match marker {
        Marker::Null => {
            *bytes = ahead;
            Value::Null
        }
        Marker::True | Marker::False => Value::Bool(decode::read_bool(bytes).ok()?),
        Marker::FixPos(_) | Marker::U8 | Marker::U16 | Marker::U32 | Marker::U64 => {
            let number: u64 = decode::read_int(bytes).ok()?;
            i64::try_from(number).map_or(Value::Uint(number), Value::Int)
        }
        Marker::FixNeg(_) | Marker::I8 | Marker::I16 | Marker::I32 | Marker::I64 => {
            Value::Int(decode::read_int(bytes).ok()?)
        }
        Marker::F32 => Value::Float(f64::from(decode::read_f32(bytes).ok()?)),
        Marker::F64 => Value::Float(decode::read_f64(bytes).ok()?),
        Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
            let len = decode::read_str_len(bytes).ok()?;
            Value::Str(String::from_utf8_lossy(take(bytes, len)?).into_owned())
        }
        Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => {
            let len = decode::read_bin_len(bytes).ok()?;
            Value::Bytes(take(bytes, len)?.to_vec())
        }
        Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
            let len = decode::read_array_len(bytes).ok()?;
            let depth = depth.checked_sub(1)?;
            Value::Array((0..len).map(|_| read_value(bytes, depth)).collect::<Option<_>>()?)
        }
        Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
            let len = decode::read_map_len(bytes).ok()?;
            let depth = depth.checked_sub(1)?;
            let member = |_| Some((key(bytes, depth)?, read_value(bytes, depth)?));
            Value::Object((0..len).map(member).collect::<Option<_>>()?)
        }
        // Fluent Bit has no others in records.
        Marker::FixExt1
        | Marker::FixExt2
        | Marker::FixExt4
        | Marker::FixExt8
        | Marker::FixExt16
        | Marker::Ext8
        | Marker::Ext16
        | Marker::Ext32
        | Marker::Reserved => return None,
    })
}

/// A key: a text, or what any other value is as text.
fn key(bytes: &mut &[u8], depth: usize) -> Option<String> {
    Some(read_value(bytes, depth)?.to_text().into_owned())
}

fn take<'b>(bytes: &mut &'b [u8], len: u32) -> Option<&'b [u8]> {
    let (head, rest) = bytes.split_at_checked(len as usize)?;
    *bytes = rest;
    Some(head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::view::empty_batch;

    fn bytes_of(json: &str) -> Vec<u8> {
        let mut batch = empty_batch();
        batch.heap_mut().extend_from_slice(json.as_bytes());
        let root = batch.parse_json(0..json.len()).unwrap();
        let mut out = Vec::new();
        write(batch.body(root), &mut out);
        out
    }

    #[test]
    fn comes_back_as_it_went() {
        let json = r#"{"a":[null,true,-1,300,18446744073709551615,1.5,"x\n"],"b":{"c":{}},"d":[]}"#;
        let mut text = Vec::new();
        read(&bytes_of(json)).unwrap().write_json(&mut text);
        assert_eq!(String::from_utf8(text).unwrap(), json);
    }

    #[test]
    fn what_is_torn_or_lies_is_refused() {
        let whole = bytes_of(r#"{"a":["text",1.5,{"b":70000}]}"#);
        for len in 0..whole.len() {
            assert!(read(&whole[..len]).is_none(), "{len}");
        }
        assert!(read(&[0xdd, 0xff, 0xff, 0xff, 0xff]).is_none());
        assert!(read(&[0xdb, 0xff, 0xff, 0xff, 0xff, b'x']).is_none());
        assert!(read(&vec![0x91; 100_000]).is_none());
        assert!(read(&[0xc1]).is_none());
    }

    proptest! {
        #[test]
        fn anything_may_come(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }
    }
}
