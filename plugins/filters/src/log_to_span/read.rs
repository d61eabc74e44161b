//! What logs say in many ways, as spans have it.

use std::borrow::Cow;

use suiro_record::Field;
use suiro_sdk::time::{epoch_float, epoch_int, parse_epoch, parse_rfc3339};

/// The digits of a trace id: 32.
pub(super) fn trace_id(field: Field<'_>) -> Option<String> {
    let text = field.as_str()?;
    let text = text
        .strip_prefix("1-")
        .filter(|rest| rest.len() == 33)
        .map_or(text.clone(), |rest| Cow::Owned(rest.to_owned()));
    let digits: String = text.chars().filter(|&c| c != '-').collect();
    let digits = if digits.len() == 16 { format!("{digits:0>32}") } else { digits };
    id(&digits, 32)
}

/// The digits of a span id: 16.
pub(super) fn span_id(field: Field<'_>) -> Option<String> {
    id(&field.as_str()?, 16)
}

fn id(digits: &str, len: usize) -> Option<String> {
    let sound =
        digits.len() == len && digits.bytes().all(|b| b.is_ascii_hexdigit()) && digits.bytes().any(|b| b != b'0');
    sound.then(|| digits.to_ascii_lowercase())
}

/// A time, nanoseconds since 1970. Before that no span was.
pub(super) fn time(field: Field<'_>) -> Option<i64> {
    let time = match (field.as_str(), field.as_i64()) {
        (Some(text), _) => {
            let text = text.trim().as_bytes();
            parse_rfc3339(text).or_else(|| parse_epoch(text))?
        }
        (None, Some(int)) => epoch_int(int)?,
        (None, None) => epoch_float(field.as_f64()?)?,
    };
    (time > 0).then_some(time)
}

/// A duration in nanoseconds: a number of units, or a text that says its own.
pub(super) fn duration(field: Field<'_>, unit: f64) -> Option<i64> {
    let nanos = match field.as_str() {
        None => field.as_f64()? * unit,
        Some(text) => duration_text(text.trim(), unit)?,
    };
    (0.0..=i64::MAX as f64).contains(&nanos).then_some(nanos.round() as i64)
}

fn duration_text(text: &str, unit: f64) -> Option<f64> {
    if let Ok(number) = text.parse::<f64>() {
        return Some(number * unit);
    }
    let (mut rest, mut total) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let word = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        total += number
            * match rest[..word].trim() {
                "ns" => 1.0,
                "us" | "µs" | "μs" => 1e3,
                "ms" => 1e6,
                "s" | "sec" => 1e9,
                "m" | "min" => 60e9,
                "h" => 3600e9,
                _ => return None,
            };
        rest = &rest[word..];
    }
    Some(total).filter(|_| !text.is_empty())
}

/// A kind; `""` where it is said to be unspecified.
pub(super) fn kind(word: &str) -> Option<&'static str> {
    let word = word.to_ascii_lowercase();
    match word.strip_prefix("span_kind_").unwrap_or(&word) {
        "internal" => Some("internal"),
        "server" => Some("server"),
        "client" => Some("client"),
        "producer" => Some("producer"),
        "consumer" => Some("consumer"),
        "unspecified" | "" => Some(""),
        _ => None,
    }
}

/// A status; `None` where it is not set, or nothing is known by that name.
pub(super) fn status(field: Field<'_>) -> Option<&'static str> {
    if let Some(failed) = field.as_bool() {
        return failed.then_some("error");
    }
    let text = match field.as_str() {
        Some(text) => text.to_ascii_lowercase(),
        None => return field.as_i64().filter(|code| (500..600).contains(code)).map(|_| "error"),
    };
    match text.strip_prefix("status_code_").unwrap_or(&text) {
        "ok" => Some("ok"),
        "error" | "true" => Some("error"),
        code => code.parse().ok().filter(|code| (500..600).contains(code)).map(|_: u16| "error"),
    }
}
