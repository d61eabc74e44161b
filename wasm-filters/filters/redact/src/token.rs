//! Tokens and API keys: what follows `Bearer` and `Basic`, JSON web tokens, and keys with the marks that their issuers give
//! them so that they can be found.

use crate::scan::begins_word;

/// A mark, and how many signs of a key at least stand behind it.
const MARKS: [(&[u8], usize); 19] = [
    (b"sk-", 20),
    (b"sk_live_", 16),
    (b"sk_test_", 16),
    (b"rk_live_", 16),
    (b"ghp_", 30),
    (b"gho_", 30),
    (b"ghu_", 30),
    (b"ghs_", 30),
    (b"ghr_", 30),
    (b"github_pat_", 22),
    (b"glpat-", 20),
    (b"xoxb-", 10),
    (b"xoxp-", 10),
    (b"xoxa-", 10),
    (b"xoxs-", 10),
    (b"npm_", 36),
    (b"AKIA", 16),
    (b"ASIA", 16),
    (b"AIza", 35),
];

/// Least signs behind `Bearer` and `Basic`.
const MIN_CREDENTIAL: usize = 8;

/// Bytes that a token or its scheme can begin with.
pub(crate) fn first() -> impl Iterator<Item = u8> {
    MARKS.iter().map(|(mark, _)| mark[0]).chain(*b"bBe")
}

/// Bytes of which every token, or its scheme, has one near its beginning, rarer than those it begins with; see [`start`].
pub(crate) const SIGNS: [u8; 6] = *b"-_AbBJ";

/// Letters before the first `-` or `_` of a mark, at most: `github_pat_`.
const MAX_LETTERS: usize = 6;

/// Where a token would begin that has the sign at `i` as its first.
#[inline]
pub(crate) fn start(bytes: &[u8], i: usize) -> Option<usize> {
    match bytes[i] {
        b'-' | b'_' => {
            let letters =
                bytes[..i].iter().rev().take_while(|byte| byte.is_ascii_lowercase()).take(MAX_LETTERS + 1).count();
            (2..=MAX_LETTERS).contains(&letters).then_some(i - letters)
        }
        b'J' => i.checked_sub(2),
        _ => Some(i),
    }
}

/// Where the token that begins at `i`, or stands behind the scheme that does, begins and ends.
pub(crate) fn find_at(bytes: &[u8], i: usize) -> Option<(usize, usize)> {
    if !begins_word(bytes, i) {
        return None;
    }
    let rest = &bytes[i..];
    match rest[0] {
        b'b' | b'B' => {
            let (start, len) = credential(rest)?;
            Some((i + start, i + start + len))
        }
        b'e' => Some((i, i + web_token(rest)?)),
        first => {
            let (mark, least) = MARKS.iter().find(|(mark, _)| mark[0] == first && rest.starts_with(mark))?;
            let len = run(&rest[mark.len()..], is_key);
            (len >= *least).then_some((i, i + mark.len() + len))
        }
    }
}

/// Where the credential behind a scheme begins, and its length.
fn credential(rest: &[u8]) -> Option<(usize, usize)> {
    let scheme = [&b"bearer "[..], b"basic "]
        .into_iter()
        .find(|scheme| rest.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme)))?;
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    let text = &rest[scheme.len()..];
    // The full stop of a sentence is none of it.
    let len = run(text, is_part);
    let len = text[..len].iter().rposition(|&byte| byte != b'.').map_or(0, |last| last + 1);
    // A word, such as in "bearer authentication", is no credential.
    let is_word = text[..len]
        .iter()
        .skip(1)
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_punctuation() && *byte != b'=');
    (len >= MIN_CREDENTIAL && !is_word).then_some((scheme.len(), len))
}

/// The length of a JSON web token: three parts, of which the first two are JSON maps in base64.
fn web_token(rest: &[u8]) -> Option<usize> {
    let head = rest.starts_with(b"eyJ").then(|| run(rest, is_key))?;
    let body = rest[head..].starts_with(b".eyJ").then(|| head + 1 + run(&rest[head + 1..], is_key))?;
    let signature = (rest.get(body) == Some(&b'.')).then(|| run(&rest[body + 1..], is_key))?;
    Some(body + 1 + signature)
}

fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

fn run(bytes: &[u8], is_part: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|&byte| !is_part(byte)).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str) -> Option<&str> {
        find_at(text.as_bytes(), 0).map(|(start, end)| &text[start..end])
    }

    #[test]
    fn tokens() {
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln-_x";
        let github = format!("ghp_{}", "a1".repeat(18));
        for (text, want) in [
            (jwt, jwt),
            (&*format!("{jwt} "), jwt),
            (&*format!("Bearer {jwt}."), jwt),
            ("bearer abcdefg1\"", "abcdefg1"),
            ("BASIC dXNlcjpwYXNz", "dXNlcjpwYXNz"),
            ("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
            (&*format!("{github},"), &*github),
        ] {
            assert_eq!(find(text), Some(want), "{text}");
        }
    }

    #[test]
    fn no_tokens() {
        for text in [
            "bearer",
            "bearer ",
            "bearer authentication",
            "Basic Authentication.",
            "bearer a1",
            "eyJabc",
            "eyJa.b.c",
            "sk-",
            "sketch",
            "AKIA",
        ] {
            assert_eq!(find(text), None, "{text}");
        }
        assert_eq!(find_at(b"xAKIAIOSFODNN7EXAMPLE", 1), None);
    }
}
