//! Values of gauges and sums: integers stay integers for as long as they fit.

use suiro_record::{Field, NewValue, Value};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    Int(i64),
    Float(f64),
}

// === impl Number ===

impl Number {
    /// A finite number.
    pub(crate) fn of(field: Field<'_>) -> Option<Number> {
        match field.as_i64() {
            Some(int) => Some(Number::Int(int)),
            None => field.as_f64().filter(|float| float.is_finite()).map(Number::Float),
        }
    }

    /// A number, or a text that says one.
    pub(crate) fn said_by(field: Field<'_>) -> Option<Number> {
        let Some(text) = field.as_str() else { return Number::of(field) };
        let text = text.trim();
        match text.parse() {
            Ok(int) => Some(Number::Int(int)),
            Err(_) => text.parse().ok().filter(|float: &f64| float.is_finite()).map(Number::Float),
        }
    }

    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Number::Int(int) => int as f64,
            Number::Float(float) => float,
        }
    }

    pub(crate) fn plus(self, other: Number) -> Number {
        self.combine(other, i64::checked_add, |a, b| a + b)
    }

    pub(crate) fn minus(self, other: Number) -> Number {
        self.combine(other, i64::checked_sub, |a, b| a - b)
    }

    fn combine(self, other: Number, ints: fn(i64, i64) -> Option<i64>, floats: fn(f64, f64) -> f64) -> Number {
        match (self, other) {
            (Number::Int(a), Number::Int(b)) if let Some(int) = ints(a, b) => Number::Int(int),
            (a, b) => Number::Float(floats(a.as_f64(), b.as_f64()).clamp(f64::MIN, f64::MAX)),
        }
    }

    pub(crate) fn is_less(self, other: Number) -> bool {
        match (self, other) {
            (Number::Int(a), Number::Int(b)) => a < b,
            (a, b) => a.as_f64() < b.as_f64(),
        }
    }

    pub(crate) fn new_value(self) -> NewValue<'static> {
        match self {
            Number::Int(int) => NewValue::Int(int),
            Number::Float(float) => NewValue::Float(float),
        }
    }
}

/// Equal as numbers.
impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Number::Int(a), Number::Int(b)) => a == b,
            (a, b) => a.as_f64() == b.as_f64(),
        }
    }
}

/// A count as a value.
pub(crate) fn count_value(count: u64) -> Value {
    i64::try_from(count).map_or(Value::Uint(count), Value::Int)
}
