//! Numbers since the epoch: seconds, milliseconds, microseconds or nanoseconds, told apart by their size.
//!
//! | up to (not including) | unit | which reaches |
//! | --- | --- | --- |
//! | 10^11 | seconds | past the year 2262, where the range of times ends |
//! | 10^14 | milliseconds | from 1973 |
//! | 10^17 | microseconds | from 1973 |
//! | else | nanoseconds | from 1973 |

use super::SECOND;

/// Digits of a fraction that can matter: those of a nanosecond in seconds, with room for the other units.
const MAX_FRACTION: usize = 18;

/// The time of a whole number.
pub fn epoch_int(number: i64) -> Option<i64> {
    number.checked_mul(unit(number.unsigned_abs()))
}

/// The time of a float, as exactly as its shortest decimal form says it: 1700000000.123 is 123 milliseconds, not
/// 123.000144.
pub fn epoch_float(number: f64) -> Option<i64> {
    // Past this it is not a time in any unit, and its decimal form is long.
    if number.is_finite() && number.abs() < 1e19 { parse_plain(number.to_string().as_bytes()) } else { None }
}

/// Reads the whole of `text`: digits, with a sign, a fraction, an exponent where there is one.
pub fn parse_epoch(text: &[u8]) -> Option<i64> {
    let has_exponent = text.len() <= 64 && text.iter().any(|b| matches!(b, b'e' | b'E'));
    if has_exponent {
        let digits = text.iter().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E'));
        let number = std::str::from_utf8(text).ok().filter(|_| digits)?;
        return epoch_float(number.parse().ok()?);
    }
    parse_plain(text)
}

fn parse_plain(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first()? {
        (b'-', digits) => (true, digits),
        (b'+', digits) => (false, digits),
        _ => (false, text),
    };
    let point = digits.iter().position(|&b| b == b'.');
    let (whole, fraction) = match point {
        Some(at) => (&digits[..at], Some(&digits[at + 1..])),
        None => (digits, None),
    };
    let whole = number(whole)?;
    let unit = unit(whole);
    let mut ns = i128::from(whole) * i128::from(unit);
    if let Some(fraction) = fraction {
        if !fraction.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let used = &fraction[..fraction.len().min(MAX_FRACTION)];
        ns += i128::from(number(used)?) * i128::from(unit) / 10_i128.pow(used.len() as u32);
    }
    i64::try_from(if negative { -ns } else { ns }).ok()
}

/// One digit or more, as many as fit.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, b| {
        let digit = b.wrapping_sub(b'0');
        if digit > 9 { None } else { sum.checked_mul(10)?.checked_add(u64::from(digit)) }
    })
}

fn unit(magnitude: u64) -> i64 {
    match magnitude {
        0..100_000_000_000 => SECOND,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    }
}
