//! A value as an owned tree: for what is set by configuration, shared by a scope, or compared in a test. The hot path
//! never builds one.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::escape;
use crate::scan;

/// An owned value. Equality is structural: order of keys counts, numbers compare by kind and text.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An integer above `i64::MAX`.
    Uint(u64),
    /// A float. NaN and infinities write as `null`: JSON has no word for them.
    Float(f64),
    /// A number in its source's words (JSON grammar), for what the others can't hold unchanged.
    Number(String),
    /// A text.
    Str(String),
    /// Bytes; in JSON a base64 string.
    Bytes(Vec<u8>),
    /// A list.
    Array(Vec<Value>),
    /// A map, in the order of its source. Keys may repeat; the last wins for look-up.
    Object(Vec<(String, Value)>),
}

// === impl Value ===

impl Value {
    /// Member `key` of an object.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Object(members) => members.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(s) => Some(s),
            _ => None,
        }
    }

    /// Appends the value as tight JSON.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        self.write_with(Value::write_leaf, out);
    }

    /// Appends the value as tight JSON in which `leaf` writes what is no list and no map.
    pub(crate) fn write_with(&self, leaf: fn(&Value, &mut Vec<u8>), out: &mut Vec<u8>) {
        match self {
            Value::Array(items) => {
                out.push(b'[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    item.write_with(leaf, out);
                }
                out.push(b']');
            }
            Value::Object(members) => {
                out.push(b'{');
                for (i, (key, value)) in members.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    escape::write_json_str(key, out);
                    out.push(b':');
                    value.write_with(leaf, out);
                }
                out.push(b'}');
            }
            _ => leaf(self, out),
        }
    }

    /// A value that is no list and no map, as JSON.
    pub(crate) fn write_leaf(&self, out: &mut Vec<u8>) {
        match self {
            Value::Bool(b) => out.extend_from_slice(if *b { b"true" } else { b"false" }),
            Value::Int(n) => write_display(n, out),
            Value::Uint(n) => write_display(n, out),
            Value::Float(n) => write_float(*n, out),
            Value::Number(n) if scan::is_number(n.as_bytes()) => out.extend_from_slice(n.as_bytes()),
            // A number that is none would break the JSON around it.
            Value::Number(text) | Value::Str(text) => {
                escape::write_json_str(text, out);
            }
            Value::Bytes(b) => write_base64(b, out),
            Value::Null | Value::Array(_) | Value::Object(_) => out.extend_from_slice(b"null"),
        }
    }

    /// As text: a string without quotes, everything else as JSON.
    pub fn to_text(&self) -> Cow<'_, str> {
        match self {
            Value::Str(s) => Cow::Borrowed(s),
            _ => {
                let mut out = Vec::new();
                self.write_json(&mut out);
                Cow::Owned(String::from_utf8_lossy(&out).into_owned())
            }
        }
    }
}

pub(crate) fn write_display(n: impl std::fmt::Display, out: &mut Vec<u8>) {
    use std::io::Write as _;
    // Writing to a `Vec` has no way to fail.
    let _ = write!(out, "{n}");
}

/// A float that reads back as a float: `2.0`, not `2`.
pub(crate) fn write_float(n: f64, out: &mut Vec<u8>) {
    if n.is_finite() {
        write_display(format_args!("{n:?}"), out);
    } else {
        out.extend_from_slice(b"null");
    }
}

pub(crate) fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let from = out.len();
    out.resize(from + bytes.len().div_ceil(3) * 4, 0);
    let used = STANDARD.encode_slice(bytes, &mut out[from..]).unwrap_or(0);
    out.truncate(from + used);
    out.push(b'"');
}

impl From<&str> for Value {
    fn from(s: &str) -> Self {
        Value::Str(s.to_owned())
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Value::Int(n)
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Value::Bool(b)
    }
}
