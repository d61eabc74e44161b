//! The body of a request of the Query protocol: `application/x-www-form-urlencoded`, percent-encoded.

use std::io::Write as _;

/// Its type.
pub(super) const CONTENT_TYPE: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// Appends a text as it stands between `=` and `&`.
pub(super) fn encode(text: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in text {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(byte);
        } else {
            out.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
}

/// Appends a finite number: whole ones in digits, the others as short as they read back.
pub(super) fn number(value: f64, out: &mut Vec<u8>) {
    // Up to here each whole number is one of its own.
    const WHOLE: f64 = 9_007_199_254_740_992.0;
    // Writing to a `Vec` has no way to fail.
    let _ = if value.fract() == 0.0 && value.abs() <= WHOLE {
        write!(out, "{}", value as i64)
    } else {
        write!(out, "{value:?}")
    };
}

/// Begins an action's body.
pub(super) fn begin(action: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Action=");
    out.extend_from_slice(action.as_bytes());
    out.extend_from_slice(b"&Version=2010-08-01");
}

/// Appends `&name=text`; `name` needs no encoding.
pub(super) fn parameter(name: std::fmt::Arguments<'_>, text: &str, out: &mut Vec<u8>) {
    let _ = write!(out, "&{name}=");
    encode(text.as_bytes(), out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_numbers_read_back() {
        let mut out = Vec::new();
        encode("a/b c&é~".as_bytes(), &mut out);
        assert_eq!(out, b"a%2Fb%20c%26%C3%A9~");
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (5.0, "5"),
            (-2.5, "-2.5"),
            (0.1, "0.1"),
            (1e-9, "1e-9"),
            (9_007_199_254_740_992.0, "9007199254740992"),
            (1e300, "1e300"),
            (1.5e20, "1.5e20"),
        ] {
            let mut out = Vec::new();
            number(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
