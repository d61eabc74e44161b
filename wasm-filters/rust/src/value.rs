//! Kinds of values, and what a field can be set to.

use std::ops::BitOr;

use crate::sys;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number that is written without fraction and exponent, whatever its size.
    Int,
    /// Any other number.
    Float,
    /// A string.
    Str,
    /// Bytes, from inputs that have them; as text they are JSON.
    Bytes,
    /// A list.
    List,
    /// A map.
    Map,
}

/// A set of kinds: `Kinds::STR | Kinds::INT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kinds(pub(crate) i32);

/// What a field can be set to: texts, numbers, booleans, and `()` for `null`.
pub trait Value: sealed::Value {}

mod sealed {
    pub trait Value {
        fn set(self, rec: i32, field: i32) -> i32;
    }
}

// === impl Kind ===

impl Kind {
    #[inline]
    pub(crate) fn of(number: i32) -> Option<Kind> {
        Some(match number {
            0 => Kind::Null,
            1 => Kind::Bool,
            2 => Kind::Int,
            3 => Kind::Float,
            4 => Kind::Str,
            5 => Kind::Bytes,
            6 => Kind::List,
            7 => Kind::Map,
            _ => return None,
        })
    }
}

// === impl Kinds ===

impl Kinds {
    /// `null`s.
    pub const NULL: Kinds = Kinds::only(Kind::Null);
    /// Booleans.
    pub const BOOL: Kinds = Kinds::only(Kind::Bool);
    /// Integers.
    pub const INT: Kinds = Kinds::only(Kind::Int);
    /// Other numbers.
    pub const FLOAT: Kinds = Kinds::only(Kind::Float);
    /// Strings.
    pub const STR: Kinds = Kinds::only(Kind::Str);
    /// Bytes.
    pub const BYTES: Kinds = Kinds::only(Kind::Bytes);
    /// Lists themselves, before what is in them.
    pub const LIST: Kinds = Kinds::only(Kind::List);
    /// Maps themselves, before what is in them.
    pub const MAP: Kinds = Kinds::only(Kind::Map);
    /// All of them.
    pub const ALL: Kinds = Kinds(0xff);

    const fn only(kind: Kind) -> Kinds {
        Kinds(1 << kind as i32)
    }
}

impl BitOr for Kinds {
    type Output = Kinds;

    fn bitor(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }
}

// === impl Value ===

macro_rules! values {
    ($($type:ty: |$value:ident, $rec:ident, $field:ident| $set:expr;)*) => {$(
        impl Value for $type {}

        impl sealed::Value for $type {
            #[inline]
            fn set(self, $rec: i32, $field: i32) -> i32 {
                let $value = self;
                $set
            }
        }
    )*};
}

values! {
    &str: |value, rec, field| sys::set_str(rec, field, value);
    &String: |value, rec, field| sys::set_str(rec, field, value);
    String: |value, rec, field| sys::set_str(rec, field, &value);
    i64: |value, rec, field| sys::set_i64(rec, field, value);
    i32: |value, rec, field| sys::set_i64(rec, field, value.into());
    u32: |value, rec, field| sys::set_i64(rec, field, value.into());
    // Above 2^63 - 1 it is a number that only JSON can say.
    u64: |value, rec, field| match i64::try_from(value) {
        Ok(value) => sys::set_i64(rec, field, value),
        Err(_) => sys::set_json(rec, field, &value.to_string()),
    };
    usize: |value, rec, field| sealed::Value::set(value as u64, rec, field);
    f64: |value, rec, field| sys::set_f64(rec, field, value);
    bool: |value, rec, field| sys::set_bool(rec, field, value.into());
    (): |_value, rec, field| sys::set_null(rec, field);
}
