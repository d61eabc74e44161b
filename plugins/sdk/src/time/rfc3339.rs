//! RFC 3339, as liberally as its dialects are written: `2026-11-22T16:29:03.123+09:00`.
//!
//! A space may stand for the `T`, a comma for the point; the fraction may have any number of digits (those past the ninth
//! are dropped), the offset may lack its colon or its minutes. A leap second counts as the second before it.

use super::civil::{four, offset, seconds_of, two};
use super::join;

/// A date and time whose offset may be missing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    /// Seconds since the epoch, if the offset is taken to be zero where it is missing.
    pub(super) seconds: i64,
    pub(super) nanos: u32,
    pub(super) has_offset: bool,
}

/// Reads the whole of `text`. Without an offset it is not RFC 3339.
pub fn parse_rfc3339(text: &[u8]) -> Option<i64> {
    let stamp = parse_stamp(text)?;
    if stamp.has_offset { join(stamp.seconds, stamp.nanos) } else { None }
}

pub(super) fn parse_stamp(text: &[u8]) -> Option<Stamp> {
    let (head, rest) = text.split_at_checked(19)?;
    let fixed = head[4] == b'-'
        && head[7] == b'-'
        && matches!(head[10], b'T' | b't' | b' ')
        && head[13] == b':'
        && head[16] == b':';
    if !fixed {
        return None;
    }
    let date = (four(head, 0)?, two(head, 5)?, two(head, 8)?);
    let clock = (two(head, 11)?, two(head, 14)?, two(head, 17)?);
    let (nanos, zone) = fraction(rest)?;
    let offset = match zone {
        [] => None,
        b"Z" | b"z" => Some(0),
        _ => Some(offset(zone)?),
    };
    let seconds = seconds_of(date, clock, offset.unwrap_or(0))?;
    Some(Stamp { seconds, nanos, has_offset: offset.is_some() })
}

/// Nanoseconds of a fraction at the head of `text`, if there is one, and what is behind it.
fn fraction(text: &[u8]) -> Option<(u32, &[u8])> {
    let Some((b'.' | b',', digits)) = text.split_first() else { return Some((0, text)) };
    let len = digits.iter().position(|b| !b.is_ascii_digit()).unwrap_or(digits.len());
    if len == 0 {
        return None;
    }
    let values = digits[..len].iter().map(|b| u32::from(b - b'0'));
    let nanos = values.chain(std::iter::repeat(0)).take(9).fold(0, |sum, digit| sum * 10 + digit);
    Some((nanos, &digits[len..]))
}
