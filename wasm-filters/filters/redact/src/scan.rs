//! One pass over a text: each byte is looked up in a table that says what might begin there, or be around it.
//!
//! Most records have nothing to hide. [`Scanner::may_hold`] finds that out from a record's JSON, in one call of the agent
//! instead of one for each string, and from rarer signs: `J` for `eyJ`, `-` for `sk-`.

use crate::pattern::Pattern;
use crate::signs::Signs;
use crate::{card, email, token};

const EMAIL: u8 = 1;
const CARD: u8 = 2;
const TOKEN: u8 = 4;
const PATTERN: u8 = 8;
const ESCAPE: u8 = 16;

/// What is looked for, and what stands there instead.
pub(crate) struct Scanner {
    /// What a byte can mean.
    classes: [u8; 256],
    /// Rarer bytes for a first look, and what they can mean.
    signs: Signs,
    meanings: [u8; 256],
    patterns: Vec<(Pattern, String)>,
    email: String,
    card: String,
    token: String,
}

/// How much was found in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) emails: u64,
    pub(crate) cards: u64,
    pub(crate) tokens: u64,
    pub(crate) patterns: u64,
}

impl Scanner {
    /// `kinds`: e-mail addresses, cards, tokens.
    pub(crate) fn new(kinds: [bool; 3], patterns: Vec<(String, Pattern)>, replacement: Option<String>) -> Scanner {
        let (mut classes, mut meanings) = ([0; 256], [0; 256]);
        let [emails, cards, tokens] = kinds;
        if emails {
            classes[usize::from(b'@')] |= EMAIL;
        }
        if cards {
            card::FIRST.iter().for_each(|&byte| classes[usize::from(byte)] |= CARD);
        }
        if tokens {
            token::first().for_each(|byte| classes[usize::from(byte)] |= TOKEN);
            token::SIGNS.iter().for_each(|&byte| meanings[usize::from(byte)] |= TOKEN);
        }
        for (_, pattern) in &patterns {
            (0..=255).filter(|&byte| pattern.can_begin(byte)).for_each(|byte| classes[usize::from(byte)] |= PATTERN);
        }
        (0..256).for_each(|byte| meanings[byte] |= classes[byte] & !TOKEN);
        meanings[usize::from(b'\\')] |= ESCAPE;
        // Cards, and tokens that are found by their first letter, begin where a word does.
        let begins = |byte: u8| match byte {
            b'-' | b'_' | b'J' => 0,
            _ => CARD | TOKEN,
        };
        let signs = Signs::new(
            |byte| meanings[usize::from(byte)] & !begins(byte) != 0,
            |byte| meanings[usize::from(byte)] & begins(byte) != 0,
        );
        let instead = |name: &str| replacement.clone().unwrap_or_else(|| format!("[{name}]"));
        let patterns = patterns.into_iter().map(|(name, pattern)| (pattern, instead(&name))).collect();
        Scanner {
            classes,
            signs,
            meanings,
            patterns,
            email: instead("email"),
            card: instead("card"),
            token: instead("token"),
        }
    }

    /// Whether a string of a record might say what it must not: no where that is sure. `json` is the record.
    ///
    /// Strings stand in it as they are, between quotes, which belong to nothing that is looked for, unless they hold an
    /// escape; then it is a maybe.
    #[inline]
    pub(crate) fn may_hold(&self, json: &str) -> bool {
        self.look(json.as_bytes(), ESCAPE)
    }

    /// Whether there is something. `more` is what counts by itself.
    #[inline]
    fn look(&self, bytes: &[u8], more: u8) -> bool {
        self.signs.any(bytes, |i| self.is_found(bytes, i, more))
    }

    /// Whether the sign at `i` is part of something.
    fn is_found(&self, bytes: &[u8], i: usize, more: u8) -> bool {
        let sign = self.meanings[usize::from(bytes[i])];
        sign & more != 0
            || sign & CARD != 0 && card::find_at(bytes, i).is_some()
            || sign & TOKEN != 0 && token::start(bytes, i).is_some_and(|at| token::find_at(bytes, at).is_some())
            || sign & EMAIL != 0 && email::find_around(bytes, 0, i).is_some()
            || sign & PATTERN != 0 && self.patterns.iter().any(|(pattern, _)| pattern.find_at(bytes, i).is_some())
    }

    /// Writes the text without what it must not say to `out`; `None`, and nothing written, where it says nothing of it.
    #[inline]
    pub(crate) fn rewrite(&self, text: &str, out: &mut String) -> Option<Found> {
        if !self.look(text.as_bytes(), 0) {
            return None;
        }
        let first = self.next(text.as_bytes(), 0)?;
        self.rewrite_from(text, first, out)
    }

    /// The next byte that means something.
    #[inline]
    fn next(&self, bytes: &[u8], from: usize) -> Option<usize> {
        bytes[from..].iter().position(|&byte| self.classes[usize::from(byte)] != 0).map(|at| from + at)
    }

    fn rewrite_from(&self, text: &str, first: usize, out: &mut String) -> Option<Found> {
        let bytes = text.as_bytes();
        let mut found = Found::default();
        // Up to where the text is in `out` already.
        let mut done = 0;
        let mut at = Some(first);
        while let Some(i) = at {
            let Some((start, end, instead)) = self.find(bytes, done, i, &mut found) else {
                at = self.next(bytes, i + 1);
                continue;
            };
            if done == 0 {
                out.clear();
            }
            out.push_str(&text[done..start]);
            out.push_str(instead);
            done = end;
            at = self.next(bytes, end);
        }
        if found == Found::default() {
            return None;
        }
        out.push_str(&text[done..]);
        Some(found)
    }

    /// What byte `i` is part of: where it begins, not before `done`, where it ends, and what stands there instead. All
    /// bounds are beside ASCII, hence between characters.
    #[inline]
    fn find(&self, bytes: &[u8], done: usize, i: usize, found: &mut Found) -> Option<(usize, usize, &str)> {
        let class = self.classes[usize::from(bytes[i])];
        if class & PATTERN != 0 {
            for (pattern, instead) in &self.patterns {
                if let Some(end) = pattern.find_at(bytes, i) {
                    found.patterns += 1;
                    return Some((i, end, instead));
                }
            }
        }
        if class & TOKEN != 0
            && let Some((start, end)) = token::find_at(bytes, i)
        {
            found.tokens += 1;
            return Some((start, end, &self.token));
        }
        if class & CARD != 0
            && let Some(end) = card::find_at(bytes, i)
        {
            found.cards += 1;
            return Some((i, end, &self.card));
        }
        if class & EMAIL != 0
            && let Some((start, end)) = email::find_around(bytes, done, i)
        {
            found.emails += 1;
            return Some((start, end, &self.email));
        }
        None
    }
}

/// Whether a byte belongs to a word: what is looked for does not begin or end within one.
#[inline]
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether no word goes on across position `i`.
#[inline]
pub(crate) fn begins_word(bytes: &[u8], i: usize) -> bool {
    i == 0 || !is_word(bytes[i - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> String {
        let pattern = ("ssn".to_owned(), Pattern::parse(r"\b\d{3}-\d{2}-\d{4}\b").unwrap());
        let mut out = "left from before".to_owned();
        let found = Scanner::new([true; 3], vec![pattern], None).rewrite(text, &mut out);
        if found.is_some() { out } else { text.to_owned() }
    }

    #[test]
    fn several_in_one_text() {
        assert_eq!(all("水 a@b.co,c@d.org; 4111-1111-1111-1111 水"), "水 [email],[email]; [card] 水");
        assert_eq!(all("078-05-1120 and Bearer eyJhbGciOi1 x@y.de"), "[ssn] and Bearer [token] [email]");
        assert_eq!(all("a@b.co@c.org"), "[email]@c.org");
    }

    #[test]
    fn the_first_look_misses_nothing() {
        let pattern = ("p".to_owned(), Pattern::parse(r"\bx[^,]+y").unwrap());
        let scanner = Scanner::new([true; 3], vec![pattern], None);
        let parts = [
            "",
            " ",
            "a@b.co",
            "@",
            "4111 1111 1111 1111",
            "4111111111111111",
            "20",
            "bearer a1b2c3d4",
            "BASIC dXNlcjpwYXNz",
            "eyJa.eyJb.c",
            "AKIAIOSFODNN7EXAMPLE",
            "sk-abcdefghij0123456789",
            "sk_live_abcdefghij012345",
            "xoxb-0123456789",
            "github_pat_abcdefghijklmnopqrstuv",
            "x 1 y",
            "word",
            "-",
            "_",
            "J",
            "A",
            "\"",
            "\n",
            "水",
            ".",
        ];
        let mut out = String::new();
        for a in parts {
            for b in parts {
                for c in ["", " ", "w", "."] {
                    let text = format!("{a}{c}{b}");
                    let json = serde_json::json!({ "before": 1, "text": text, "behind": "" }).to_string();
                    if scanner.rewrite(&text, &mut out).is_some() {
                        assert!(scanner.may_hold(&json), "{json}");
                    }
                }
            }
        }
        assert!(
            !scanner.may_hold(r#"{"level":"info","at":"2026-03-01T10:00:00Z","id":"4bf92f35-77b3","J":"bAsk_me"}"#)
        );
    }

    #[test]
    fn nothing_to_hide() {
        for text in ["", "@", "a@b", "level=info took 20 ms", "2026-01-01 10:00:00 4 5 6", "basics, bearers, sketches"]
        {
            assert_eq!(all(text), text);
        }
    }
}
