//! From a place inside a string's value back to the place in the file.
//!
//! A condition or a template complains about byte 17 of its text; between that text and the file lie the replacement of
//! `${VAR}` and TOML's quotes, escapes and line continuations. Walking the literal again is only done for an error.

use super::node::Expansion;

/// The offset in a literal (quotes included) at which byte `decoded` of its value starts. Never beyond the literal.
pub(super) fn offset_in_literal(raw: &str, decoded: usize) -> usize {
    let (open, escapes, multi_line) = match raw.as_bytes() {
        [b'"', b'"', b'"', ..] if raw.len() >= 6 => (3, true, true),
        [b'\'', b'\'', b'\'', ..] if raw.len() >= 6 => (3, false, true),
        [b'"', ..] => (1, true, false),
        [b'\'', ..] => (1, false, false),
        // An unquoted word, accepted only to report it.
        _ => (0, false, false),
    };
    let mut at = open;
    if multi_line {
        let rest = &raw[at..];
        at += if rest.starts_with("\r\n") { 2 } else { usize::from(rest.starts_with('\n')) };
    }
    // Nothing is placed beyond the closing quotes.
    let end = if raw.len() >= 2 * open && raw.as_bytes()[raw.len() - open..] == raw.as_bytes()[..open] {
        raw.len() - open
    } else {
        raw.len()
    };
    let mut passed = 0;
    while passed < decoded && at < end {
        let rest = &raw[at..];
        let (written, stands_for) = if escapes && rest.starts_with('\\') { escape(rest) } else { plain(rest) };
        // A place inside one character is the character.
        if passed + stands_for > decoded {
            break;
        }
        at += written;
        passed += stands_for;
    }
    // A continuation stands for nothing: the value goes on after it.
    while escapes && at < end && raw[at..].starts_with('\\') {
        match escape(&raw[at..]) {
            (written, 0) => at += written,
            _ => break,
        }
    }
    at.min(end)
}

/// The range, in the string as TOML has it, of a range of the value. What came from a variable is the whole reference.
pub(super) fn before_expansion(expansions: &[Expansion], start: usize, end: usize) -> (usize, usize) {
    (written_at(expansions, start, false), written_at(expansions, end, true))
}

fn written_at(expansions: &[Expansion], offset: usize, is_end: bool) -> usize {
    let mut written = 0;
    let mut value = 0;
    for expansion in expansions {
        let before = if is_end { offset <= expansion.value.start } else { offset < expansion.value.start };
        if before {
            break;
        }
        let inside = if is_end { offset <= expansion.value.end } else { offset < expansion.value.end };
        if inside {
            return if is_end { expansion.written.end } else { expansion.written.start };
        }
        written = expansion.written.end;
        value = expansion.value.end;
    }
    written + (offset - value.min(offset))
}

fn plain(rest: &str) -> (usize, usize) {
    let length = rest.chars().next().map_or(1, char::len_utf8);
    (length, length)
}

/// Lengths of an escape at the start of `rest`: written, and of what it stands for.
fn escape(rest: &str) -> (usize, usize) {
    let digits = match rest.as_bytes().get(1) {
        Some(b'x') => 2,
        Some(b'u') => 4,
        Some(b'U') => 8,
        Some(b' ' | b'\t' | b'\r' | b'\n') => {
            let blank = rest[1..].bytes().take_while(u8::is_ascii_whitespace).count();
            return (1 + blank, 0);
        }
        Some(_) => return (1 + rest[1..].chars().next().map_or(0, char::len_utf8), 1),
        None => return (1, 1),
    };
    let code = rest.get(2..2 + digits).and_then(|hex| u32::from_str_radix(hex, 16).ok());
    match code.and_then(char::from_u32) {
        Some(c) => (2 + digits, c.len_utf8()),
        None => (2, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_place() {
        for (raw, decoded, expected) in [
            (r#""abc""#, 0, 1),
            (r#""abc""#, 3, 4),
            (r#""abc""#, 99, 4),
            (r#"'a\b'"#, 2, 3),
            (r#""a\tb""#, 2, 4),
            (r#""a\\\"b""#, 3, 6),
            (r#""\u00e9b""#, 2, 7),
            (r#""\u00e9b""#, 1, 1),
            (r#""水b""#, 3, 4),
            (r#""\x41b""#, 1, 5),
            ("\"\"\"\nab\ncd\"\"\"", 3, 7),
            ("\"\"\"\r\nab\"\"\"", 1, 6),
            ("\"\"\"a\\\n   b\"\"\"", 1, 9),
            ("'''\nab'''", 1, 5),
            ("loki", 2, 2),
            ("\"", 1, 1),
        ] {
            assert_eq!(offset_in_literal(raw, decoded), expected, "{raw} {decoded}");
        }
    }

    #[test]
    fn goes_back_over_variables() {
        // written: a ${V} b $$ c, value: a xyz b $ c
        let expansions = [
            Expansion { written: 1..5, value: 1..4, variable: true },
            Expansion { written: 6..8, value: 5..6, variable: false },
        ];
        for (value, written) in
            [((0, 1), (0, 1)), ((1, 2), (1, 5)), ((2, 4), (1, 5)), ((4, 5), (5, 6)), ((5, 6), (6, 8)), ((6, 7), (8, 9))]
        {
            assert_eq!(before_expansion(&expansions, value.0, value.1), written, "{value:?}");
        }
    }
}
