//! Strings, truth values, numbers, and lists of settings.
//!
//! A number or truth value may also be a string that holds a `${VAR}`: the environment knows only strings.

use super::diagnostic::Reported;
use super::value::{Data, Value};
use super::{Quantity, Setting};

impl Setting for String {
    fn read(value: &Value) -> Result<Self, Reported> {
        value.text("a string").map(str::to_owned)
    }
}

impl Setting for bool {
    fn read(value: &Value) -> Result<Self, Reported> {
        const WHAT: &str = "`true` or `false`";
        match value.data() {
            Data::Bool(yes) => Ok(yes),
            Data::String(text) if value.is_from_environment() => {
                text.trim().parse().map_err(|_| value.error(format!("{} must be {WHAT}", value.name()), ""))
            }
            _ => Err(value.expected(WHAT)),
        }
    }
}

impl Setting for f64 {
    fn read(value: &Value) -> Result<Self, Reported> {
        const WHAT: &str = "a number";
        let number = match value.data() {
            Data::Float(number) => number,
            Data::Integer(number) => number as f64,
            Data::String(text) if value.is_from_environment() => match text.trim().parse() {
                Ok(number) => number,
                Err(_) => return Err(value.error(format!("{} must be {WHAT}", value.name()), "")),
            },
            _ => return Err(value.expected(WHAT)),
        };
        if number.is_finite() { Ok(number) } else { Err(value.expected("a finite number")) }
    }
}

impl Quantity for f64 {
    fn written(&self) -> String {
        self.to_string()
    }
}

impl<T: Setting> Setting for Vec<T> {
    /// One value or a list of them. All wrong items are reported.
    fn read(value: &Value) -> Result<Self, Reported> {
        let read: Vec<Result<T, Reported>> = value.one_or_many().iter().map(Value::read).collect();
        read.into_iter().collect()
    }
}

/// A whole number between two bounds.
fn whole(value: &Value, lowest: i128, highest: i128) -> Result<i128, Reported> {
    let number = match value.data() {
        Data::Integer(number) => i128::from(number),
        Data::String(text) if value.is_from_environment() => match text.trim().parse() {
            Ok(number) => number,
            Err(_) => return Err(value.error(format!("{} must be a whole number", value.name()), "")),
        },
        _ => return Err(value.expected("a whole number")),
    };
    if (lowest..=highest).contains(&number) {
        return Ok(number);
    }
    let message = if number < 0 && lowest == 0 {
        format!("{} must not be negative", value.name())
    } else {
        format!("{} must be from {lowest} to {highest}", value.name())
    };
    Err(value.error(message, ""))
}

macro_rules! whole_numbers {
    ($($number:ty),*) => {$(
        impl Setting for $number {
            fn read(value: &Value) -> Result<Self, Reported> {
                // The bounds are the type's own, so the conversion can't lose anything.
                whole(value, <$number>::MIN as i128, <$number>::MAX as i128).map(|number| number as $number)
            }
        }

        impl Quantity for $number {
            fn written(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

whole_numbers!(u8, u16, u32, u64, usize, i32, i64);
