//! Times: seconds since 1970 as JSON numbers, read from their decimal digits.
//!
//! A float has no room for nanoseconds since 1970 (it is off by a hundred or so), and clients write what theirs had room for:
//! `1478293361.271`, Java's `1.478293361271E9`. So digits are shifted, not multiplied. What is finer than a nanosecond is
//! cut off.

/// Digits that are looked at, at most: more say nothing a nanosecond would show.
const MAX_DIGITS: u32 = 30;
/// A nanosecond is so many digits behind the point.
const NANOSECOND: i32 = 9;

/// Nanoseconds since 1970; `None` if it is none a record can have: before 1970, or past 2262.
pub(crate) fn nanoseconds(number: &str) -> Option<i64> {
    let (decimal, exponent) = match number.find(['e', 'E']) {
        Some(at) => (number.get(..at)?, number.get(at + 1..)?.parse::<i32>().ok()?),
        None => (number, 0),
    };
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    if whole.is_empty() {
        return None;
    }
    let mut digits = 0_u128;
    let mut seen = 0;
    // Where the point is, counted from the last digit that is looked at.
    let mut shift = exponent.checked_add(NANOSECOND)?;
    for (at, byte) in whole.bytes().chain(fraction.bytes()).enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        let is_fraction = at >= whole.len();
        if seen == MAX_DIGITS {
            // Cut off.
            shift = shift.checked_add(i32::from(!is_fraction))?;
            continue;
        }
        digits = digits * 10 + u128::from(digit);
        seen += u32::from(digits > 0);
        shift = shift.checked_sub(i32::from(is_fraction))?;
    }
    if digits == 0 {
        return Some(0);
    }
    let by = 10_u128.checked_pow(shift.unsigned_abs());
    let nanoseconds = match by {
        Some(by) if shift < 0 => digits / by,
        Some(by) => digits.checked_mul(by)?,
        // More digits than there are.
        None if shift < 0 => 0,
        None => return None,
    };
    i64::try_from(nanoseconds).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_digit_counts() {
        for (text, time) in [
            ("1478293361.271", Some(1_478_293_361_271_000_000)),
            ("1.478293361271E9", Some(1_478_293_361_271_000_000)),
            ("1.478293361271e+9", Some(1_478_293_361_271_000_000)),
            ("1478293361271E-3", Some(1_478_293_361_271_000_000)),
            ("1478293361", Some(1_478_293_361_000_000_000)),
            ("1700000000.123456789", Some(1_700_000_000_123_456_789)),
            ("1700000000.1234567899999", Some(1_700_000_000_123_456_789)),
            ("0", Some(0)),
            ("0.0", Some(0)),
            ("0.000000001", Some(1)),
            ("1e-9", Some(1)),
            ("1e-10", Some(0)),
            ("1e-400", Some(0)),
            ("9223372036.854775807", Some(i64::MAX)),
            ("9223372036.854775808", None),
            ("1e400", None),
            ("0e400", Some(0)),
            ("1e99999999999", None),
            ("1e2147483647", None),
            ("-1", None),
            ("", None),
            (".5", None),
            ("e", None),
            ("1x", None),
            ("1e", None),
        ] {
            assert_eq!(nanoseconds(text), time, "{text}");
        }
        assert_eq!(nanoseconds(&format!("1700000000.{}", "1".repeat(500))), Some(1_700_000_000_111_111_111));
        assert_eq!(nanoseconds(&format!("{}1", "0".repeat(500))), Some(1_000_000_000));
        assert_eq!(nanoseconds(&"9".repeat(500)), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(time in 0..=i64::MAX, zeros in 0_usize..40) {
            let (seconds, rest) = (time / 1_000_000_000, time % 1_000_000_000);
            let text = format!("{seconds}.{rest:09}{}", "0".repeat(zeros));
            prop_assert_eq!(nanoseconds(&text), Some(time));
            let text = format!("0.{time:019}e10");
            prop_assert_eq!(nanoseconds(&text), Some(time));
        }

        #[test]
        fn nothing_panics(text in "[-+.eE0-9]{0,60}") {
            let _ = nanoseconds(&text);
        }
    }
}
