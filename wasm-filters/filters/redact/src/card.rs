//! Card numbers: 13 to 19 digits, in groups with single spaces or dashes between or without, that begin as issuers' numbers
//! do and whose check digit is right. The beginning keeps times in milliseconds, one in ten of which would pass the check,
//! from being hidden.

use crate::scan::{begins_word, is_word};

/// What numbers begin with.
pub(crate) const FIRST: [u8; 5] = *b"23456";

const MIN: usize = 13;
const MAX: usize = 19;

/// Where the card number that begins at `i` ends.
pub(crate) fn find_at(bytes: &[u8], i: usize) -> Option<usize> {
    if !begins_word(bytes, i) {
        return None;
    }
    let mut digits = [0_u8; MAX];
    let mut n = 0;
    let mut at = i;
    let mut found = None;
    loop {
        match bytes.get(at) {
            Some(byte @ b'0'..=b'9') => {
                if n == MAX {
                    break;
                }
                digits[n] = byte - b'0';
                n += 1;
                at += 1;
            }
            end => {
                // A group ends. What follows may be another number: the longest that is a card's counts.
                let whole = end.is_none_or(|&byte| !is_word(byte));
                if whole && is_card(&digits[..n]) {
                    found = Some(at);
                }
                let more = matches!(end, Some(b' ' | b'-')) && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
                if !more {
                    break;
                }
                at += 1;
            }
        }
    }
    found
}

fn is_card(digits: &[u8]) -> bool {
    if digits.len() < MIN {
        return false;
    }
    let head = digits[..4].iter().fold(0_u32, |head, &digit| head * 10 + u32::from(digit));
    let fits = match head {
        2221..=2720 | 5100..=5599 => digits.len() == 16,
        3400..=3499 | 3700..=3799 => digits.len() == 15,
        3000..=3059 | 3600..=3699 | 3800..=3999 => matches!(digits.len(), 14 | 16..=19),
        3528..=3589 => matches!(digits.len(), 16..=19),
        4000..=4999 => matches!(digits.len(), 13 | 16 | 19),
        5000..=5099 | 5600..=6999 => matches!(digits.len(), 13..=19),
        _ => false,
    };
    fits && luhn(digits)
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, &digit)| {
            let digit = u32::from(digit);
            if i % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str) -> Option<&str> {
        find_at(text.as_bytes(), 0).map(|end| &text[..end])
    }

    #[test]
    fn cards() {
        for (text, want) in [
            ("4111111111111111", "4111111111111111"),
            ("4111 1111 1111 1111 20 EUR", "4111 1111 1111 1111"),
            ("5500-0000-0000-0004.", "5500-0000-0000-0004"),
            ("378282246310005,", "378282246310005"),
            ("30569309025904", "30569309025904"),
            ("2223003122003222", "2223003122003222"),
            ("6011111111111117 \u{6c34}", "6011111111111117"),
        ] {
            assert_eq!(find(text), Some(want), "{text}");
        }
    }

    #[test]
    fn no_cards() {
        for text in [
            "4111111111111112",
            "4111111111111111a",
            "4111  1111 1111 1111",
            "41111111111111111111",
            "2026-01-01 10:00:00",
            "2",
            "4111",
            "4111 1111-",
        ] {
            assert_eq!(find(text), None, "{text}");
        }
        assert_eq!(find_at(b"x4111111111111111", 1), None);
    }
}
