//! What a look-up finds: a value of the record, its header or its scope.

use std::borrow::Cow;

use crate::escape;
use crate::node_ref::NodeRef;
use crate::value::{Value, write_display};

/// What a value is. Integers and floats are both numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// A boolean.
    Bool,
    /// A number.
    Number,
    /// A text.
    String,
    /// Bytes.
    Bytes,
    /// A list.
    Array,
    /// A map.
    Object,
}

/// A value found in a record, its header or its scope.
#[derive(Clone, Copy, Debug)]
pub enum Field<'a> {
    /// In the batch.
    Node(NodeRef<'a>),
    /// In the scope.
    Value(&'a Value),
    /// A text of the batch's: tag, input, signal.
    Text(&'a str),
    /// A time, nanoseconds since the epoch.
    Time(i64),
}

// === impl Field ===

impl<'a> Field<'a> {
    /// What it is. A time is a number of nanoseconds.
    pub fn kind(self) -> Kind {
        match self {
            Field::Node(node) => node.kind(),
            Field::Text(_) => Kind::String,
            Field::Time(_) => Kind::Number,
            Field::Value(value) => match value {
                Value::Null => Kind::Null,
                Value::Bool(_) => Kind::Bool,
                Value::Int(_) | Value::Uint(_) | Value::Float(_) | Value::Number(_) => Kind::Number,
                Value::Str(_) => Kind::String,
                Value::Bytes(_) => Kind::Bytes,
                Value::Array(_) => Kind::Array,
                Value::Object(_) => Kind::Object,
            },
        }
    }

    /// What a string says.
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        match self {
            Field::Node(node) => node.as_str(),
            Field::Value(value) => value.as_str().map(Cow::Borrowed),
            Field::Text(text) => Some(Cow::Borrowed(text)),
            Field::Time(_) => None,
        }
    }

    /// Whether it is a string that says `s`.
    #[inline]
    pub fn str_eq(self, s: &str) -> bool {
        match self {
            Field::Node(node) => node.str_eq(s),
            Field::Value(value) => value.as_str() == Some(s),
            Field::Text(text) => text == s,
            Field::Time(_) => false,
        }
    }

    /// A boolean.
    pub fn as_bool(self) -> Option<bool> {
        match self {
            Field::Node(node) => node.as_bool(),
            Field::Value(Value::Bool(b)) => Some(*b),
            _ => None,
        }
    }

    /// A number that is an integer and fits.
    pub fn as_i64(self) -> Option<i64> {
        match self {
            Field::Node(node) => node.as_i64(),
            Field::Time(ns) | Field::Value(&Value::Int(ns)) => Some(ns),
            Field::Value(Value::Uint(n)) => i64::try_from(*n).ok(),
            Field::Value(Value::Number(n)) => n.parse().ok(),
            _ => None,
        }
    }

    /// Any number, as near as a float comes to it.
    pub fn as_f64(self) -> Option<f64> {
        match self {
            Field::Node(node) => node.as_f64(),
            Field::Time(n) | Field::Value(&Value::Int(n)) => Some(n as f64),
            Field::Value(Value::Uint(n)) => Some(*n as f64),
            Field::Value(Value::Float(n)) => Some(*n),
            Field::Value(Value::Number(n)) => n.parse().ok(),
            _ => None,
        }
    }

    /// Whether it is there and `null`.
    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// Appends it as JSON.
    pub fn write_json(self, out: &mut Vec<u8>) {
        match self {
            Field::Node(node) => node.write_json(out),
            Field::Value(value) => value.write_json(out),
            Field::Text(text) => {
                escape::write_json_str(text, out);
            }
            Field::Time(ns) => write_display(ns, out),
        }
    }

    /// Appends it as text: a string as what it says, everything else as JSON.
    pub fn write_text(self, out: &mut Vec<u8>) {
        match self {
            Field::Node(node) => node.write_text(out),
            Field::Value(Value::Str(text)) => out.extend_from_slice(text.as_bytes()),
            Field::Text(text) => out.extend_from_slice(text.as_bytes()),
            Field::Value(_) | Field::Time(_) => self.write_json(out),
        }
    }

    /// As an owned tree.
    pub fn to_value(self) -> Value {
        match self {
            Field::Node(node) => node.to_value(),
            Field::Value(value) => value.clone(),
            Field::Text(text) => Value::Str(text.to_owned()),
            Field::Time(ns) => Value::Int(ns),
        }
    }
}
