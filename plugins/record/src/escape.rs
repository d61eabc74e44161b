//! JSON string escaping, both ways (RFC 8259, section 7).

/// Whether a byte can't stand in a JSON string as it is.
pub(crate) const fn needs_escape(b: u8) -> bool {
    b < 0x20 || b == b'"' || b == b'\\'
}

/// Appends `s` in quotes, escaped. Says whether anything needed an escape.
pub fn write_json_str(s: &str, out: &mut Vec<u8>) -> bool {
    out.push(b'"');
    let escaped = write_escaped(s.as_bytes(), out);
    out.push(b'"');
    escaped
}

/// Appends `s`, which is UTF-8, escaped, without quotes. Says whether anything needed an escape.
pub fn write_escaped(s: &[u8], out: &mut Vec<u8>) -> bool {
    let mut from = 0;
    loop {
        let at = from + crate::scan::plain_run(&s[from..]);
        out.extend_from_slice(&s[from..at]);
        let Some(&b) = s.get(at) else { return from != 0 };
        match b {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(b >> 4)]);
                out.push(HEX[usize::from(b & 15)]);
            }
        }
        from = at + 1;
    }
}

/// What the escaped text of a JSON string says. The text was validated when it was parsed, so this can't fail; a
/// malformed escape (which [`check_escape`] never lets in) reads as U+FFFD.
pub(crate) fn unescape(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len());
    unescape_into(text, &mut out);
    String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

/// Appends what [`unescape`] gives.
pub(crate) fn unescape_into(text: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while at < text.len() {
        let run = memchr::memchr(b'\\', &text[at..]).unwrap_or(text.len() - at);
        out.extend_from_slice(&text[at..at + run]);
        at += run;
        if at >= text.len() {
            break;
        }
        let (c, used) = decode_escape(&text[at..]).unwrap_or(('\u{fffd}', 2.min(text.len() - at)));
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        at += used;
    }
}

/// Length of the escape at the head of `text` (which starts with a backslash), or `None` if it is malformed or half of a
/// surrogate pair.
pub(crate) fn check_escape(text: &[u8]) -> Option<usize> {
    decode_escape(text).map(|(_, used)| used)
}

fn decode_escape(text: &[u8]) -> Option<(char, usize)> {
    let c = match *text.get(1)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let first = hex4(text.get(2..6)?)?;
            return match first {
                0xd800..=0xdbff => {
                    if text.get(6..8)? != b"\\u" {
                        return None;
                    }
                    let second = hex4(text.get(8..12)?)?;
                    if !(0xdc00..=0xdfff).contains(&second) {
                        return None;
                    }
                    let c = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                    Some((char::from_u32(c)?, 12))
                }
                _ => Some((char::from_u32(first)?, 6)),
            };
        }
        _ => return None,
    };
    Some((c, 2))
}

fn hex4(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |n, &d| Some(n << 4 | char::from(d).to_digit(16)?))
}

/// Appends the lower case hexadecimal digits of `bytes`.
pub(crate) fn write_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend(bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]));
}

/// Whether `text` is what [`write_hex`] makes of `bytes`.
pub(crate) fn is_hex_of(text: &[u8], bytes: &[u8]) -> bool {
    let digit = |half: u8| if half < 10 { b'0' + half } else { b'a' + half - 10 };
    text.len() == 2 * bytes.len()
        && text.chunks_exact(2).zip(bytes).all(|(two, b)| two[0] == digit(b >> 4) && two[1] == digit(b & 15))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_unescapes() {
        let s = "plain \"quoted\" back\\slash\n\r\t\u{8}\u{c}\u{1}\u{7f} é 水 😀 /";
        let mut out = Vec::new();
        assert!(write_json_str(s, &mut out));
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), s);
        assert_eq!(unescape(&out[1..out.len() - 1]), s);
        assert!(!write_json_str("nothing to do: 水", &mut Vec::new()));
    }

    #[test]
    fn reads_every_escape() {
        assert_eq!(unescape(br#"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00x"#), "\"\\/\u{8}\u{c}\n\r\té😀x");
    }

    #[test]
    fn refuses_bad_escapes() {
        for bad in
            [&br"\x"[..], br"\u12", br"\u12g4", br"\ud800", br"\ud800\n0000", br"\ud800\ud800", br"\udc00", br"\"]
        {
            assert_eq!(check_escape(bad), None, "{}", String::from_utf8_lossy(bad));
        }
        assert_eq!(check_escape(br"\ud83d\ude00"), Some(12));
    }
}
