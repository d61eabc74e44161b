//! JSON as `serde_json` reads it, into a tree that keeps order, duplicate keys and the text of numbers.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use suiro_record::{MAX_DEPTH, Value};

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(All)
    }
}

/// What `serde_json` makes of `text`; `None` where it refuses it, or where it nests deeper than a record may.
pub(crate) fn read(text: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(text).ok()?;
    let raw: &RawValue = serde_json::from_str(text).ok()?;
    let room = if raw.get().starts_with('{') { MAX_DEPTH } else { MAX_DEPTH - 1 };
    tree(raw.get(), room)
}

fn tree(text: &str, room: usize) -> Option<Value> {
    Some(match text.as_bytes()[0] {
        b'{' => {
            let Members(members) = serde_json::from_str(text).ok()?;
            let room = room.checked_sub(1)?;
            let members = members.into_iter().map(|(key, value)| Some((key, tree(value.get(), room)?)));
            Value::Object(members.collect::<Option<_>>()?)
        }
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            let room = room.checked_sub(1)?;
            Value::Array(items.into_iter().map(|item| tree(item.get(), room)).collect::<Option<_>>()?)
        }
        b'"' => Value::Str(serde_json::from_str(text).ok()?),
        b't' => Value::Bool(true),
        b'f' => Value::Bool(false),
        b'n' => Value::Null,
        _ => Value::Number(text.to_owned()),
    })
}

/// The same value as it reads when it was written as JSON.
pub(crate) fn normal(value: &Value) -> Value {
    let mut json = Vec::new();
    match value {
        Value::Array(items) => Value::Array(items.iter().map(normal).collect()),
        Value::Object(members) => Value::Object(members.iter().map(|(k, v)| (k.clone(), normal(v))).collect()),
        Value::Null | Value::Bool(_) | Value::Str(_) => value.clone(),
        scalar => {
            scalar.write_json(&mut json);
            read(&json).expect("a scalar is written as JSON")
        }
    }
}
