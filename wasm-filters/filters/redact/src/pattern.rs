//! Patterns that the configuration gives: a small part of regular expressions, matched in one go over the text, without a
//! way to be slow.
//!
//! ```text
//! pattern  = ["\b"] 1*( one [times] ) ["\b"]
//! one      = a character / "\d" / "\w" / "\s" / "." / "[a-z_]" / "[^a-z_]" / "\" and the sign it protects
//! times    = "?" / "*" / "+" / "{2}" / "{2,}" / "{2,4}"
//! ```
//!
//! `\d` is a digit, `\w` a letter, digit or `_`, `\s` a blank, `.` any of ASCII but a line's end; `\b` is where no word goes
//! on. There are no groups, no alternatives, no anchors: write several patterns. The longest match counts, of at most 256
//! bytes. A pattern has at most 63 places: `\d{3}` has three.
//!
//! A match is found by keeping all places at once in the bits of a number. Bit `i`: place `i` is what the next byte has to
//! fit. The bit behind the last place means that all is matched.

/// Places a pattern may have.
const MAX_PLACES: usize = 63;
/// Longest match, bytes: what keeps `a+b` from taking the square of a text's length.
const MAX_MATCH: usize = 256;
/// Signs with a meaning that these patterns do not have.
const REFUSED: &str = "()|^$";

/// A pattern, ready to match.
#[derive(Clone)]
pub struct Pattern {
    /// For each byte, the places it fits.
    fits: Box<[u64; 256]>,
    /// Places that may be left out.
    optional: u64,
    /// Places that may be matched again.
    repeated: u64,
    places: usize,
    word_before: bool,
    word_behind: bool,
}

/// The bytes that fit one place: of ASCII, or one byte of another character.
type Set = [bool; 256];

impl Pattern {
    /// Parses a pattern; the error says what is wrong.
    pub fn parse(text: &str) -> Result<Pattern, String> {
        let mut pattern = Pattern {
            fits: Box::new([0; 256]),
            optional: 0,
            repeated: 0,
            places: 0,
            word_before: false,
            word_behind: false,
        };
        let mut rest = text;
        if let Some(after) = rest.strip_prefix("\\b") {
            (rest, pattern.word_before) = (after, true);
        }
        if let Some(before) = rest.strip_suffix("\\b")
            && !before.ends_with('\\')
        {
            (rest, pattern.word_behind) = (before, true);
        }
        while !rest.is_empty() {
            let (sets, after) = one(rest)?;
            let (least, most, after) = times(after)?;
            if sets.len() > 1 && (least, most) != (1, Some(1)) {
                return Err("only characters of ASCII can be repeated".to_owned());
            }
            for set in &sets {
                pattern.add(set, least, most)?;
            }
            rest = after;
        }
        if pattern.close(1) & pattern.end() != 0 {
            return Err("it would match nothing at all, everywhere".to_owned());
        }
        Ok(pattern)
    }

    /// Whether a match can begin with this byte.
    pub(crate) fn can_begin(&self, byte: u8) -> bool {
        self.fits[usize::from(byte)] & self.close(1) != 0
    }

    /// Where the longest match that begins at `i` ends.
    pub(crate) fn find_at(&self, bytes: &[u8], i: usize) -> Option<usize> {
        if self.word_before && !crate::scan::begins_word(bytes, i) {
            return None;
        }
        let mut state = self.close(1);
        let mut found = None;
        for (at, &byte) in bytes.iter().enumerate().skip(i).take(MAX_MATCH) {
            let fitting = state & self.fits[usize::from(byte)];
            if fitting == 0 {
                break;
            }
            state = self.close(fitting << 1 | fitting & self.repeated);
            let ends = !self.word_behind || bytes.get(at + 1).is_none_or(|&next| !crate::scan::is_word(next));
            if state & self.end() != 0 && ends {
                found = Some(at + 1);
            }
        }
        found
    }

    fn end(&self) -> u64 {
        1 << self.places
    }

    /// The places, and those behind what may be left out.
    fn close(&self, mut state: u64) -> u64 {
        loop {
            let more = state | (state & self.optional) << 1;
            if more == state {
                return state;
            }
            state = more;
        }
    }

    /// Adds places for one set, from `least` to `most` times; `None` is any number.
    fn add(&mut self, set: &Set, least: usize, most: Option<usize>) -> Result<(), String> {
        let places = most.unwrap_or(least.max(1));
        if self.places + places > MAX_PLACES {
            return Err(format!("it has more than {MAX_PLACES} places"));
        }
        for n in 0..places {
            let bit = 1 << self.places;
            (0..256).filter(|&byte| set[byte]).for_each(|byte| self.fits[byte] |= bit);
            if n >= least {
                self.optional |= bit;
            }
            if most.is_none() && n + 1 == places {
                self.repeated |= bit;
            }
            self.places += 1;
        }
        Ok(())
    }
}

fn set_of(fits: impl Fn(u8) -> bool) -> Set {
    std::array::from_fn(|byte| fits(byte as u8))
}

/// What `\` and this sign stand for, if it is more than the sign.
fn class(sign: char) -> Option<fn(u8) -> bool> {
    match sign {
        'd' => Some(|byte| byte.is_ascii_digit()),
        'w' => Some(crate::scan::is_word),
        's' => Some(|byte| byte.is_ascii_whitespace()),
        _ => None,
    }
}

/// The sets of the first character of a pattern, one a byte, and what follows.
fn one(text: &str) -> Result<(Vec<Set>, &str), String> {
    let mut characters = text.chars();
    let first = characters.next().unwrap_or_default();
    let mut rest = characters.as_str();
    let character = match first {
        '.' => return Ok((vec![set_of(|byte| byte.is_ascii() && byte != b'\n')], rest)),
        '[' => return bracket(rest),
        '\\' => {
            let sign = characters.next().ok_or("a `\\` at its end protects nothing")?;
            rest = characters.as_str();
            match class(sign) {
                Some(fits) => return Ok((vec![set_of(fits)], rest)),
                None if sign.is_alphanumeric() => {
                    return Err(format!(
                        "`\\{sign}` means nothing here; there are \\d, \\w, \\s, and \\b at either end"
                    ));
                }
                None => sign,
            }
        }
        '?' | '*' | '+' | '{' => return Err(format!("`{first}` needs something before it to repeat")),
        sign if REFUSED.contains(sign) => {
            return Err(format!(
                "`{sign}` means nothing here; `\\{sign}` is the sign, and several patterns are alternatives"
            ));
        }
        sign => sign,
    };
    let mut buffer = [0; 4];
    let bytes = character.encode_utf8(&mut buffer).bytes();
    Ok((bytes.map(|wanted| set_of(|byte| byte == wanted)).collect(), rest))
}

/// A set in brackets, behind the first of them.
fn bracket(text: &str) -> Result<(Vec<Set>, &str), String> {
    let (negated, text) = text.strip_prefix('^').map_or((false, text), |rest| (true, rest));
    let mut set = [false; 256];
    let mut characters = text.chars().peekable();
    let mut empty = true;
    loop {
        let Some(sign) = characters.next() else { return Err("a `[` is never closed".to_owned()) };
        let sign = match sign {
            ']' if empty => return Err("`[]` has nothing in it".to_owned()),
            ']' => break,
            '\\' => {
                let sign = characters.next().ok_or("a `[` is never closed")?;
                if let Some(fits) = class(sign) {
                    (0..256).filter(|&byte| fits(byte as u8)).for_each(|byte| set[byte] = true);
                    empty = false;
                    continue;
                }
                sign
            }
            sign => sign,
        };
        let mut last = sign;
        let mut ahead = characters.clone();
        if ahead.next() == Some('-') && ahead.peek().is_some_and(|&sign| sign != ']') {
            characters.next();
            last = characters.next().unwrap_or(sign);
        }
        if !sign.is_ascii() || !last.is_ascii() {
            return Err("brackets hold characters of ASCII only".to_owned());
        }
        if sign > last {
            return Err(format!("`{sign}-{last}` is the wrong way round"));
        }
        (sign as usize..=last as usize).for_each(|byte| set[byte] = true);
        empty = false;
    }
    let set = set_of(|byte| if negated { byte.is_ascii() && !set[usize::from(byte)] } else { set[usize::from(byte)] });
    // The iterator has no way to say what is left.
    let left: usize = characters.map(char::len_utf8).sum();
    Ok((vec![set], &text[text.len() - left..]))
}

/// How often, at least and at most, and what follows.
fn times(text: &str) -> Result<(usize, Option<usize>, &str), String> {
    let Some(sign) = text.chars().next() else { return Ok((1, Some(1), text)) };
    let rest = &text[sign.len_utf8()..];
    match sign {
        '?' => Ok((0, Some(1), rest)),
        '*' => Ok((0, None, rest)),
        '+' => Ok((1, None, rest)),
        '{' => {
            let wrong = || "`{` is followed by {2}, {2,} or {2,4}; `\\{` is the sign".to_owned();
            let (inside, rest) = rest.split_once('}').ok_or_else(wrong)?;
            let number = |text: &str| text.parse::<usize>().map_err(|_| wrong());
            let (least, most) = match inside.split_once(',') {
                None => (number(inside)?, Some(number(inside)?)),
                Some((least, "")) => (number(least)?, None),
                Some((least, most)) => (number(least)?, Some(number(most)?)),
            };
            if most.is_some_and(|most| most < least || most == 0 || most > MAX_PLACES) || least > MAX_PLACES {
                return Err(format!("`{{{inside}}}` is from 1 to {MAX_PLACES}, the smaller number first"));
            }
            Ok((least, most, rest))
        }
        _ => Ok((1, Some(1), text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find<'t>(pattern: &str, text: &'t str) -> Option<&'t str> {
        let pattern = Pattern::parse(pattern).unwrap();
        (0..text.len()).find_map(|i| {
            assert!(pattern.find_at(text.as_bytes(), i).is_none() || pattern.can_begin(text.as_bytes()[i]));
            pattern.find_at(text.as_bytes(), i).map(|end| &text[i..end])
        })
    }

    #[test]
    fn patterns_match_the_longest() {
        for (pattern, text, want) in [
            (r"\d{3}-\d{2}-\d{4}", "no 078-05-1120.", Some("078-05-1120")),
            (r"\b\d{3}-\d{2}-\d{4}\b", "1078-05-1120 078-05-11201", None),
            (r"ab*c", "xabbbcz", Some("abbbc")),
            (r"ab*c", "xacz", Some("ac")),
            (r"a+b?", "aaab", Some("aaab")),
            (r"a{2,3}", "aaaa", Some("aaa")),
            (r"a{2,}", "baaaa", Some("aaaa")),
            (r"a{0,2}b", "aab", Some("aab")),
            (r"[a-c_\d-]+", "xyza-1_cd", Some("a-1_c")),
            (r"[^,\s]+", "水 ,ab c", Some("ab")),
            (r"cust-\w+", "id cust-9f_2!", Some("cust-9f_2")),
            (r"\[.+\]", "a [b] [c] d", Some("[b] [c]")),
            (r"a.c", "a\nc abc", Some("abc")),
            (r"\\b", "a\\b", Some("\\b")),
        ] {
            assert_eq!(find(pattern, text), want, "{pattern} in {text}");
        }
        assert_eq!(find("水a", "x水水ab"), Some("水a"));
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_the_reason() {
        for (pattern, why) in [
            ("", "match nothing"),
            ("a*", "match nothing"),
            ("(a)", "`(`"),
            ("a|b", "`|`"),
            ("^a", "`^`"),
            ("*a", "before it"),
            ("a{", "`{`"),
            ("a{x}", "`{`"),
            ("a{3,2}", "smaller number first"),
            ("a{64}", "from 1 to 63"),
            ("[a", "never closed"),
            ("[]", "nothing in it"),
            ("[z-a]", "wrong way round"),
            ("[水]", "ASCII"),
            ("水+", "ASCII"),
            ("\\q", "`\\q`"),
            ("a\\", "protects nothing"),
            (&"\\d".repeat(64), "63 places"),
        ] {
            let error = Pattern::parse(pattern).err().unwrap_or_else(|| panic!("{pattern} is taken"));
            assert!(error.contains(why), "{pattern}: {error}");
        }
    }

    #[test]
    fn a_long_text_costs_its_length() {
        // At each start at most 256 bytes are looked at: a test that fails by taking minutes.
        let text = "a".repeat(1 << 16);
        assert_eq!(find("a+b", &text), None);
    }
}
