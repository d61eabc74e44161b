//! Writing RFC 3339.

use super::SECOND;
use super::civil::date_of;

const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut i = 0;
    while i < 100 {
        pairs[i] = [b'0' + (i / 10) as u8, b'0' + (i % 10) as u8];
        i += 1;
    }
    pairs
};

/// Appends a time in UTC: `2026-11-22T16:29:03Z`, with three, six or nine digits of fraction where it has that many.
/// 20 to 30 bytes.
pub fn write_rfc3339(ns: i64, out: &mut Vec<u8>) {
    let (seconds, nanos) = (ns.div_euclid(SECOND), ns.rem_euclid(SECOND) as u32);
    let (days, clock) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400) as usize);
    let (year, month, day) = date_of(days);
    let year = year as usize;
    let mut text = *b"0000-00-00T00:00:00.000000000Z";
    let mut put = |at: usize, pair: usize| text[at..at + 2].copy_from_slice(&PAIRS[pair]);
    put(0, year / 100);
    put(2, year % 100);
    put(5, month as usize);
    put(8, day as usize);
    put(11, clock / 3600);
    put(14, clock / 60 % 60);
    put(17, clock % 60);
    if nanos == 0 {
        out.extend_from_slice(&text[..19]);
        out.push(b'Z');
        return;
    }
    let mut left = nanos;
    for digit in text[20..29].iter_mut().rev() {
        *digit = b'0' + (left % 10) as u8;
        left /= 10;
    }
    let digits = match nanos {
        n if n.is_multiple_of(1_000_000) => 3,
        n if n.is_multiple_of(1_000) => 6,
        _ => 9,
    };
    text[20 + digits] = b'Z';
    out.extend_from_slice(&text[..21 + digits]);
}
