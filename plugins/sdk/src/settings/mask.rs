//! What of a line of a configuration file must not be shown.
//!
//! Literals read as [`Secret`](super::Secret) are known by their span. This finds the others, by the names of their keys:
//! a secret under a mistyped key, in a plugin that doesn't exist, or on a line that isn't even TOML; and the password in
//! a URL. Hiding too much costs little here.

use std::ops::Range;

const SECRET_WORDS: [&str; 11] = [
    "passw",
    "pasw",
    "pwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "credential",
    "private_key",
    "authori",
    "access_key",
];

/// True if a key of that name is likely to hold a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let folded: String = name.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect();
    SECRET_WORDS.iter().any(|word| folded.contains(word))
}

/// The ranges of a line to hide, in order, not overlapping.
pub(super) fn in_line(line: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let bytes = line.as_bytes();
    let mut at = 0;
    while let Some(equals) = bytes[at..].iter().position(|b| *b == b'=').map(|found| at + found) {
        at = equals + 1;
        let before = line[..equals].trim_end();
        let key = before.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || "_-.\"'".contains(c)).len();
        if is_secret_name(&before[key..])
            && let Some(range) = value_after(line, at)
        {
            at = range.end;
            ranges.push(range);
        }
    }
    passwords_in_urls(line, &mut ranges);
    credentials_in_headers(line, &mut ranges);
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// The value that starts after the `=` at `at`: the inside of its quotes, or all up to what ends a bare one.
fn value_after(line: &str, at: usize) -> Option<Range<usize>> {
    let start = at + (line[at..].len() - line[at..].trim_start().len());
    let rest = &line[start..];
    let range = match rest.bytes().next()? {
        // A table names where the secret is; if it holds one itself, its key says so.
        b'{' | b'=' => return None,
        quote @ (b'"' | b'\'') => {
            let open = rest.bytes().take_while(|b| *b == quote).count();
            let open = if open >= 3 { 3 } else { 1 };
            let inside = &rest[open..];
            let mut escaped = false;
            let end = inside.bytes().position(|b| {
                let closes = b == quote && !escaped;
                escaped = b == b'\\' && quote == b'"' && !escaped;
                closes
            });
            let end = start + open + end.unwrap_or(inside.len());
            let after = line[end..].trim_start_matches(['"', '\'']).trim_start();
            // What stands after the value and doesn't belong there may be the rest of it.
            if after.is_empty() || after.starts_with([',', '}', '#']) {
                start + open..end
            } else {
                start + open..line.len()
            }
        }
        b'[' => start + 1..start + rest.find(']').unwrap_or(rest.len()).max(1),
        _ => start..start + rest.find([',', '}', '#']).unwrap_or(rest.len()),
    };
    (!range.is_empty()).then_some(range)
}

/// `password` in `scheme://user:password@host`.
fn passwords_in_urls(line: &str, ranges: &mut Vec<Range<usize>>) {
    let mut at = 0;
    while let Some(found) = line[at..].find("://") {
        let authority = at + found + 3;
        let rest = &line[authority..];
        let end = rest.find(|c: char| "/?# \t\"',".contains(c)).unwrap_or(rest.len());
        if let Some(host) = rest[..end].rfind('@')
            && let Some(colon) = rest[..host].find(':')
            && colon + 1 < host
        {
            ranges.push(authority + colon + 1..authority + host);
        }
        at = authority;
    }
}

/// What follows `Bearer` or `Basic` in the value of a header.
fn credentials_in_headers(line: &str, ranges: &mut Vec<Range<usize>>) {
    let folded = line.to_ascii_lowercase();
    for scheme in ["bearer ", "basic "] {
        for (at, _) in folded.match_indices(scheme) {
            let start = at + scheme.len();
            let length = line[start..].find(['"', '\'', ',']).unwrap_or(line.len() - start);
            if length > 0 {
                ranges.push(start..start + length);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        let mut shown = line.to_owned();
        for range in in_line(line).into_iter().rev() {
            shown.replace_range(range, "***");
        }
        shown
    }

    #[test]
    fn hides_secrets() {
        for (line, expected) in [
            (r#"password = "hunter2""#, r#"password = "***""#),
            (
                r#"auth = { user = "x", pasword = 'hunter2', a = 1 }"#,
                r#"auth = { user = "x", pasword = '***', a = 1 }"#,
            ),
            (r#"password = "hun\"ter2" # why"#, r#"password = "***" # why"#),
            (r#"token = "unclosed"#, r#"token = "***"#),
            (r#"token = bare"#, "token = ***"),
            (r#"token = { env = "X" }"#, r#"token = { env = "X" }"#),
            (r#"headers = { "X-Api-Key" = "k", b = "c" }"#, r#"headers = { "X-Api-Key" = "***", b = "c" }"#),
            (r#"tokens = ["a", "b"]"#, "tokens = [***]"),
            (r#"url = "http://u:p@h:1/a" "#, r#"url = "http://u:***@h:1/a" "#),
            (r#"url = "http://h:1/a@b""#, r#"url = "http://h:1/a@b""#),
            (r#"token = """abc"""#, r#"token = """***"""#),
            (r#"token = "a"b" "#, r#"token = "***"#),
            (r#"heders = { a = "Bearer abc" }"#, r#"heders = { a = "Bearer ***" }"#),
            ("secret =", "secret ="),
            ("secret = \"水\"", "secret = \"***\""),
            ("a = 1", "a = 1"),
        ] {
            assert_eq!(shown(line), expected, "{line}");
        }
    }
}
