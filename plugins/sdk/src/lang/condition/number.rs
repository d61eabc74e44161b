//! Numbers, compared by what they are.
//!
//! Integers of up to 128 bits are held as such, everything else as the nearest float; an integer and a float are compared
//! without rounding the integer. So 9007199254740993 is not 9007199254740992.0, and equality stays transitive.

use std::cmp::Ordering;

use suiro_record::{Field, Value};

#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Int(i128),
    Float(f64),
}

/// 2^127: the first float past every `i128`.
const PAST_INT: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;

// === impl Number ===

impl Number {
    /// The number a text says: JSON's grammar, with a `+` or zeros in front if need be.
    pub(super) fn parse(text: &str) -> Option<Number> {
        if !is_number(text) {
            return None;
        }
        Number::from_source(text)
    }

    /// The same for a text that is known to be a number.
    fn from_source(text: &str) -> Option<Number> {
        // 18 digits fit; longer ones are rare.
        if text.len() <= 18
            && let Ok(int) = text.parse::<i64>()
        {
            return Some(Number::Int(i128::from(int)));
        }
        text.parse().map(Number::Int).or_else(|_| text.parse().map(Number::Float)).ok()
    }

    /// The number a field is.
    pub(super) fn of(field: Field<'_>) -> Option<Number> {
        match field {
            Field::Node(node) => match node.number_text() {
                Some(text) => Number::from_source(text),
                None => node
                    .as_i64()
                    .map(|n| Number::Int(n.into()))
                    .or_else(|| node.as_u64().map(|n| Number::Int(n.into())))
                    .or_else(|| node.as_f64().map(Number::Float)),
            },
            Field::Value(value) => Number::of_value(value),
            Field::Time(ns) => Some(Number::Int(ns.into())),
            Field::Text(_) => None,
        }
    }

    pub(super) fn of_value(value: &Value) -> Option<Number> {
        match value {
            Value::Int(n) => Some(Number::Int((*n).into())),
            Value::Uint(n) => Some(Number::Int((*n).into())),
            Value::Float(n) => Some(Number::Float(*n)),
            Value::Number(text) => Number::from_source(text),
            _ => None,
        }
    }

    /// `None` where one is not a number at all (NaN).
    pub(super) fn compare(self, other: Number) -> Option<Ordering> {
        match (self, other) {
            (Number::Int(a), Number::Int(b)) => Some(a.cmp(&b)),
            (Number::Float(a), Number::Float(b)) => a.partial_cmp(&b),
            (Number::Int(a), Number::Float(b)) => compare_mixed(a, b),
            (Number::Float(a), Number::Int(b)) => compare_mixed(b, a).map(Ordering::reverse),
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.compare(*other) == Some(Ordering::Equal)
    }
}

fn compare_mixed(int: i128, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    if float >= PAST_INT {
        return Some(Ordering::Less);
    }
    if float < -PAST_INT {
        return Some(Ordering::Greater);
    }
    let whole = float.trunc();
    // The whole part decides; where it is equal, the fraction does.
    Some(int.cmp(&(whole as i128)).then_with(|| whole.partial_cmp(&float).unwrap_or(Ordering::Equal)))
}

fn is_number(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut at = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let whole = digits(at);
    at += whole;
    if bytes.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return false;
        }
        at += 1 + fraction;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at);
        if exponent == 0 {
            return false;
        }
        at += exponent;
    }
    whole > 0 && at == bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).expect(text)
    }

    #[test]
    fn compares_without_rounding() {
        for (a, ordering, b) in [
            ("1", Ordering::Equal, "1.0"),
            ("1", Ordering::Less, "1.5"),
            ("-1", Ordering::Greater, "-1.5"),
            ("-2", Ordering::Less, "-1.5"),
            ("9007199254740993", Ordering::Greater, "9007199254740992.0"),
            ("18446744073709551615", Ordering::Greater, "18446744073709551614"),
            ("-0", Ordering::Equal, "-0.0"),
            ("1e3", Ordering::Equal, "1000"),
            ("+007", Ordering::Equal, "7"),
            ("1", Ordering::Less, "1e400"),
            ("1", Ordering::Greater, "-1e400"),
            ("170141183460469231731687303715884105727", Ordering::Less, "170141183460469231731687303715884105728.0"),
        ] {
            assert_eq!(number(a).compare(number(b)), Some(ordering), "{a} {b}");
            assert_eq!(number(b).compare(number(a)), Some(ordering.reverse()), "{b} {a}");
        }
        assert_eq!(number("1").compare(Number::Float(f64::NAN)), None);
    }

    #[test]
    fn takes_numbers_only() {
        for text in ["", "+", "-", ".5", "5.", "1e", "1e+", "0x10", "inf", "NaN", "1 ", "1_000", "1.2.3", "--1", "１"]
        {
            assert!(Number::parse(text).is_none(), "{text}");
        }
    }
}
