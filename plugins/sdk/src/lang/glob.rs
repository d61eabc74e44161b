//! Globs over tags and rendered texts: `*` is any run of characters, dots and slashes too; `?` is one character.
//!
//! Everything else stands for itself. There is nothing to escape: neither sign can occur in a name that matters.
//!
//! Matching never goes back: the pattern is cut at its stars, the first and last pieces are tied to the ends, and each
//! piece between takes the first place it fits. That is always right (a later place leaves less for the rest), and costs
//! the length of the text, times the length of a piece where the piece has a `?`.

use super::error::LangError;

/// The longest pattern, bytes.
const MAX_LEN: usize = 1024;

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    text: String,
    pieces: Vec<Piece>,
}

/// What stands between two stars.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    text: String,
    /// It has a `?`.
    wild: bool,
}

// === impl Glob ===

impl Glob {
    /// Any text is a pattern, but an empty one, and one of more than 1,024 bytes.
    pub fn parse(text: &str) -> Result<Glob, LangError> {
        if text.is_empty() {
            return Err(LangError::new(0, 0, "an empty pattern matches nothing", "for everything write \"*\""));
        }
        if text.len() > MAX_LEN {
            return Err(LangError::new(0, text.len(), format!("a pattern has at most {MAX_LEN} bytes"), ""));
        }
        let pieces = text.split('*').map(|piece| Piece { text: piece.to_owned(), wild: piece.contains('?') }).collect();
        Ok(Glob { text: text.to_owned(), pieces })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is all stars.
    pub fn matches_all(&self) -> bool {
        self.pieces.len() > 1 && self.pieces.iter().all(|piece| piece.text.is_empty())
    }

    /// Whether a text that begins with `prefix` may fit. `false` is certain.
    pub fn may_match(&self, prefix: &str) -> bool {
        match self.text.find(['*', '?']) {
            Some(wild) => {
                let head = &self.text[..wild];
                head.starts_with(prefix) || prefix.starts_with(head)
            }
            None => self.text.starts_with(prefix),
        }
    }

    /// Whether the whole of `text` fits.
    pub fn matches(&self, text: &str) -> bool {
        let [first, between @ .., last] = self.pieces.as_slice() else {
            // One piece: no star.
            return self.pieces.first().is_some_and(|only| only.at_head(text) == Some(text.len()));
        };
        let Some(len) = first.at_head(text) else { return false };
        let mut rest = &text[len..];
        for piece in between {
            let Some(end) = piece.find(rest) else { return false };
            rest = &rest[end..];
        }
        last.at_tail(rest)
    }
}

impl std::fmt::Display for Glob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

// === impl Piece ===

impl Piece {
    /// How many bytes at the head of `text` it takes.
    fn at_head(&self, text: &str) -> Option<usize> {
        if !self.wild {
            return text.starts_with(&self.text).then_some(self.text.len());
        }
        let mut rest = text.chars();
        for wanted in self.text.chars() {
            let found = rest.next()?;
            if wanted != '?' && wanted != found {
                return None;
            }
        }
        Some(text.len() - rest.as_str().len())
    }

    /// The end of the first place it fits.
    fn find(&self, text: &str) -> Option<usize> {
        if !self.wild {
            return text.find(&self.text).map(|at| at + self.text.len());
        }
        text.char_indices().find_map(|(at, _)| self.at_head(&text[at..]).map(|len| at + len))
    }

    fn at_tail(&self, text: &str) -> bool {
        if !self.wild {
            return text.ends_with(&self.text);
        }
        let mut from_end = text.char_indices().rev().map(|(at, _)| at);
        let start = self.text.chars().count().checked_sub(1).and_then(|before| from_end.nth(before));
        start.is_some_and(|start| self.at_head(&text[start..]).is_some())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(glob: &str, text: &str) -> bool {
        Glob::parse(glob).unwrap().matches(text)
    }

    #[test]
    fn stars_cross_dots() {
        for (glob, text, expected) in [
            ("kube.*", "kube.var.log.x", true),
            ("kube.*", "kube", false),
            ("*", "", true),
            ("*.log", "a.b.log", true),
            ("*.log", ".log", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a-c-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("*ab*ab*", "ab", false),
            ("a?c", "aéc", true),
            ("a?c", "ac", false),
            ("*?", "", false),
            ("*?", "é", true),
            ("?*?", "é", false),
            ("*a?*", "bba", false),
            ("*a?*", "bbaé", true),
            ("app", "app", true),
            ("app", "apps", false),
            ("[a]", "[a]", true),
        ] {
            assert_eq!(matches(glob, text), expected, "{glob} {text}");
        }
        assert!(Glob::parse("**").unwrap().matches_all());
        assert!(!Glob::parse("*?*").unwrap().matches_all());
        assert!(Glob::parse("").is_err());
        assert!(Glob::parse(&"a".repeat(1025)).is_err());
    }

    #[test]
    fn hostile_patterns_end() {
        let glob = Glob::parse(&"a*".repeat(500)).unwrap();
        assert!(!glob.matches(&format!("{}b", "a".repeat(499))));
        assert!(!Glob::parse(&"?*".repeat(500)).unwrap().matches(&"a".repeat(499)));
    }

    /// By the definition.
    fn naive(glob: &[char], text: &[char]) -> bool {
        match (glob, text) {
            ([], []) => true,
            (['*', rest @ ..], _) => naive(rest, text) || (!text.is_empty() && naive(glob, &text[1..])),
            (['?', rest @ ..], [_, text @ ..]) => naive(rest, text),
            ([a, rest @ ..], [b, text @ ..]) => a == b && naive(rest, text),
            _ => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn a_prefix_that_can_not_match_does_not(glob in "[aé.*?]{1,8}", prefix in "[aé.]{0,4}", rest in "[aé.]{0,6}") {
            if !Glob::parse(&glob).unwrap().may_match(&prefix) {
                let text = format!("{prefix}{rest}");
                prop_assert!(!matches(&glob, &text), "{} {}", glob, text);
            }
        }

        #[test]
        fn is_the_definition(glob in "[aé.*?]{1,8}", text in "[aé.]{0,10}") {
            let chars = |s: &str| s.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&glob, &text), naive(&chars(&glob), &chars(&text)));
        }
    }
}
