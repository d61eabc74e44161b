//! Days since the epoch and dates of the Gregorian calendar.
//!
//! Years are counted from March, so that the day that comes and goes is the last of the year: then the months' lengths
//! follow one straight line, `(153 m + 2) / 5`.

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: i64 = 719_468;
/// Days in 400 years, and in 4.
const CYCLE: i64 = 146_097;
const FOUR_YEARS: i64 = 1_461;

/// The date `days` after 1970-01-01, as year, month and day. For years 1 to 9999.
pub(super) fn date_of(days: i64) -> (i64, u32, u32) {
    let quarters = 4 * (days + EPOCH) + 3;
    let century = quarters / CYCLE;
    let quarters = (quarters % CYCLE) | 3;
    let year = quarters / FOUR_YEARS;
    let day_of_year = quarters % FOUR_YEARS / 4;
    let fifths = 5 * day_of_year + 2;
    let (month, day) = (fifths / 153, fifths % 153 / 5 + 1);
    let (carry, month) = if month < 10 { (0, month + 3) } else { (1, month - 9) };
    (100 * century + year + carry, month as u32, day as u32)
}

/// Days from 1970-01-01 to a date; `None` for one that is not in the calendar. For years 0 to 9999.
pub(super) fn days_of(year: u32, month: u32, day: u32) -> Option<i64> {
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    let (year, month) = if month > 2 { (i64::from(year), month - 3) } else { (i64::from(year) - 1, month + 9) };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(365 * year + leaps + i64::from((153 * month + 2) / 5) + i64::from(day) - 1 - EPOCH)
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Seconds since the epoch of a date and time of day, the offset taken off. A leap second is the one before it.
pub(super) fn seconds_of(date: (u32, u32, u32), clock: (u32, u32, u32), offset: i64) -> Option<i64> {
    let (hour, minute, second) = clock;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let day = days_of(date.0, date.1, date.2)?;
    Some(day * 86_400 + i64::from(hour * 3600 + minute * 60 + second.min(59)) - offset)
}

/// Two digits at `at`.
#[inline]
pub(super) fn two(text: &[u8], at: usize) -> Option<u32> {
    let [a, b] = [text.get(at)?.wrapping_sub(b'0'), text.get(at + 1)?.wrapping_sub(b'0')];
    (a < 10 && b < 10).then(|| u32::from(a) * 10 + u32::from(b))
}

/// Four digits at `at`.
#[inline]
pub(super) fn four(text: &[u8], at: usize) -> Option<u32> {
    Some(two(text, at)? * 100 + two(text, at + 2)?)
}

/// An offset from UTC in seconds: `+09:00`, `+0900`, `+09`.
pub(super) fn offset(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text.split_first()? {
        (b'+', digits) => (1, digits),
        (b'-', digits) => (-1, digits),
        _ => return None,
    };
    let hours = two(digits, 0)?;
    let minutes = match digits.len() {
        2 => 0,
        4 => two(digits, 2)?,
        5 if digits[2] == b':' => two(digits, 3)?,
        _ => return None,
    };
    (hours < 24 && minutes < 60).then(|| sign * i64::from(hours * 3600 + minutes * 60))
}
