//! The pairs of a text.

use std::borrow::Cow;

/// Pairs that are read: what keeps a text of a million pairs from taking their square in time.
const MAX_PAIRS: usize = 256;

/// All pairs, in their order; the last value of a key, where the key stood first.
pub(crate) fn pairs(text: &str) -> Vec<(&str, Cow<'_, str>)> {
    let mut found: Vec<(&str, Cow<'_, str>)> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_ascii_start();
        let end = rest.find(|c: char| c == '=' || c.is_ascii_whitespace()).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        let Some(after) = after.strip_prefix('=') else {
            if after.is_empty() {
                return found;
            }
            // A word.
            rest = after;
            continue;
        };
        let (value, after) = value(after);
        rest = after;
        if key.is_empty() {
            continue;
        }
        match found.iter().position(|(other, _)| *other == key) {
            Some(known) => found[known].1 = value,
            None if found.len() == MAX_PAIRS => return found,
            None => found.push((key, value)),
        }
    }
}

/// The value at the head of a text, and what follows.
fn value(text: &str) -> (Cow<'_, str>, &str) {
    if let Some(inside) = text.strip_prefix('"')
        && let Some(found) = quoted(inside)
    {
        return found;
    }
    // A quote that is never closed is a sign like any other.
    let (value, rest) = text.split_at(text.find(|c: char| c.is_ascii_whitespace()).unwrap_or(text.len()));
    (Cow::Borrowed(value), rest)
}

/// A value up to its closing quote; `None` if there is none.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut value = Cow::Borrowed("");
    let mut rest = text;
    loop {
        let at = rest.find(['"', '\\'])?;
        let (part, after) = rest.split_at(at);
        if value.is_empty() {
            value = Cow::Borrowed(part);
        } else {
            value.to_mut().push_str(part);
        }
        if let Some(after) = after.strip_prefix('"') {
            return Some((value, after));
        }
        let escaped = after[1..].chars().next()?;
        value.to_mut().push(match escaped {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            other => other,
        });
        rest = &after[1 + escaped.len_utf8()..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(&str, String)> {
        pairs(text).into_iter().map(|(key, value)| (key, value.into_owned())).collect()
    }

    #[test]
    fn pairs_are_found() {
        let text = "\t a=1  word b=\"x \\\"y\\\" \\\\ \\n水\"c=  =lost d=\"open e=a=b 水=路 a=2";
        let want = [("a", "2"), ("b", "x \"y\" \\ \n水"), ("c", ""), ("d", "\"open"), ("e", "a=b"), ("水", "路")];
        assert_eq!(read(text), want.map(|(key, value)| (key, value.to_owned())));
        assert!(read("").is_empty() && read("   ").is_empty() && read("no pairs here").is_empty());
        assert_eq!(read("a="), [("a", String::new())]);
        assert_eq!(read("a=\"\\"), [("a", "\"\\".to_owned())]);
    }

    #[test]
    fn many_pairs_end_somewhere() {
        let text: String = (0..100_000).map(|n| format!("k{n}=v ")).collect();
        assert_eq!(read(&text).len(), MAX_PAIRS);
    }
}
