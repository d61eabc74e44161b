//! The time of the common log format, `10/Oct/2000:13:55:36 -0700`: what Apache and nginx write.

use super::civil::{four, offset, seconds_of, two};
use super::join;

/// Reads the whole of `text`; months in English, in upper or lower case.
pub fn parse_clf(text: &[u8]) -> Option<i64> {
    let fixed = text.len() == 26
        && text[2] == b'/'
        && text[6] == b'/'
        && text[11] == b':'
        && text[14] == b':'
        && text[17] == b':'
        && text[20] == b' ';
    if !fixed {
        return None;
    }
    let date = (four(text, 7)?, month(&text[3..6])?, two(text, 0)?);
    let clock = (two(text, 12)?, two(text, 15)?, two(text, 18)?);
    join(seconds_of(date, clock, offset(&text[21..])?)?, 0)
}

fn month(name: &[u8]) -> Option<u32> {
    const NAMES: [&[u8]; 12] =
        [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
    let at = NAMES.iter().position(|known| known.eq_ignore_ascii_case(name))?;
    u32::try_from(at + 1).ok()
}
