//! As much JSON as filters need: taking a list or a map apart, and making one. Values stay texts.
//!
//! What the agent gives is JSON, so there is nothing to find wrong. With anything else these functions give up early, never
//! panic, and never go beyond the text.

use std::borrow::Cow;

/// The values of a list, each as JSON. Anything that is no list has none.
pub fn elements(json: &str) -> impl Iterator<Item = &str> {
    let mut rest = inside(json, b'[', b']');
    std::iter::from_fn(move || {
        let (value, after) = value(rest)?;
        rest = after;
        Some(value)
    })
}

/// The members of a map: what the key says, and the value as JSON. Anything that is no map has none.
pub fn members(json: &str) -> impl Iterator<Item = (Cow<'_, str>, &str)> {
    let mut rest = inside(json, b'{', b'}');
    std::iter::from_fn(move || {
        let (key, after) = value(rest)?;
        let (value, after) = value(after)?;
        rest = after;
        Some((text(key)?, value))
    })
}

/// What a JSON string says; `None` for anything else.
pub fn text(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = *rest.as_bytes().get(at + 1)?;
        rest = rest.get(at + 2..)?;
        out.push(match escape {
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => {
                let (character, after) = escaped(rest)?;
                rest = after;
                character
            }
            other => char::from(other),
        });
    }
    out.push_str(rest);
    Some(Cow::Owned(out))
}

/// Appends a text as a JSON string, quotes included.
pub fn quote(text: &str, out: &mut String) {
    out.push('"');
    let mut from = 0;
    for (i, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[from..i]);
        from = i + 1;
        match byte {
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b'\r' => out.push_str("\\r"),
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            _ => {
                out.push_str("\\u00");
                out.push(if byte < 0x10 { '0' } else { '1' });
                out.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
            }
        }
    }
    out.push_str(&text[from..]);
    out.push('"');
}

/// A map in the making.
///
/// ```
/// use suiro_filter::json::Object;
///
/// let json = Object::new().str("name", "a \"b\"").json("n", "17").finish();
/// assert_eq!(json, r#"{"name":"a \"b\"","n":17}"#);
/// ```
#[derive(Clone, Debug)]
pub struct Object(String);

// === impl Object ===

impl Object {
    /// An empty map.
    #[expect(clippy::new_without_default, reason = "there is one way to begin")]
    pub fn new() -> Object {
        Object(String::from("{"))
    }

    /// Adds a string.
    #[must_use]
    pub fn str(mut self, key: &str, value: &str) -> Object {
        self.key(key);
        quote(value, &mut self.0);
        self
    }

    /// Adds a value that is JSON.
    #[must_use]
    pub fn json(mut self, key: &str, value: &str) -> Object {
        self.key(key);
        self.0.push_str(value);
        self
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.0.len() == 1
    }

    /// The map as JSON.
    pub fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn key(&mut self, key: &str) {
        if !self.is_empty() {
            self.0.push(',');
        }
        quote(key, &mut self.0);
        self.0.push(':');
    }
}

/// The four digits of an escape, and those of the second half of a pair.
fn escaped(rest: &str) -> Option<(char, &str)> {
    let unit = |text: &str| u32::from_str_radix(text.get(..4)?, 16).ok();
    let first = unit(rest)?;
    let rest = &rest[4..];
    if !(0xd800..0xdc00).contains(&first) {
        return Some((char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), rest));
    }
    let second = rest.strip_prefix("\\u")?;
    let low = unit(second)?.checked_sub(0xdc00)?;
    Some((char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + low)?, &second[4..]))
}

/// What is between the brackets.
fn inside(json: &str, open: u8, close: u8) -> &str {
    let json = json.trim_ascii();
    match json.as_bytes() {
        [first, .., last] if *first == open && *last == close => &json[1..json.len() - 1],
        _ => "",
    }
}

/// The first value of a list or map, and what is behind it and the sign that follows it.
fn value(rest: &str) -> Option<(&str, &str)> {
    let rest = rest.trim_ascii_start();
    let bytes = rest.as_bytes();
    let mut depth = 0_usize;
    let mut i = 0;
    while let Some(&byte) = bytes.get(i) {
        match byte {
            b'"' => i = string_end(bytes, i)?,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.checked_sub(1)?,
            b',' | b':' if depth == 0 => break,
            _ => {}
        }
        i += 1;
    }
    let value = rest[..i].trim_ascii_end();
    (!value.is_empty() && depth == 0).then(|| (value, rest.get(i + 1..).unwrap_or_default()))
}

/// Where the closing quote of the string is that opens at `i`.
fn string_end(bytes: &[u8], mut i: usize) -> Option<usize> {
    loop {
        i += 1;
        match bytes.get(i)? {
            b'"' => return Some(i),
            b'\\' => i += 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_maps_come_apart() {
        let list = r#" [1, "a,]\"", {"b": [2, 3]} ,[] , null ] "#;
        assert_eq!(elements(list).collect::<Vec<_>>(), ["1", r#""a,]\"""#, r#"{"b": [2, 3]}"#, "[]", "null"]);
        let map = r#"{"a" : 1,"b:\u0041":{"c":"}"},"":"x"}"#;
        let want = [("a", "1"), ("b:A", r#"{"c":"}"}"#), ("", "\"x\"")];
        assert_eq!(
            members(map).map(|(k, v)| (k.into_owned(), v)).collect::<Vec<_>>(),
            want.map(|(k, v)| (k.to_owned(), v))
        );
    }

    #[test]
    fn what_is_something_else_has_nothing_in_it() {
        for json in ["", "[]", "{}", "1", "\"[1]\"", "[", "]", "{1]", "[\"", "[1}", "[1,[}]"] {
            assert!(members(json).next().is_none(), "{json}");
        }
        for json in ["", "[]", "[ ]", "{\"a\":1}", "12", "[", "[\"]", "[[1]"] {
            assert!(elements(json).next().is_none(), "{json}");
        }
    }

    #[test]
    fn strings_say_the_same_after_quoting() {
        for said in ["", "plain", "\"\\\n\t\r\u{8}\u{1f}/ 水 \u{1F6B0}"] {
            let mut json = String::new();
            quote(said, &mut json);
            assert_eq!(text(&json).as_deref(), Some(said));
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), said);
        }
        assert_eq!(text(r#""\ud83d\udeb0\/\b""#).as_deref(), Some("\u{1F6B0}/\u{8}"));
        for broken in ["", "\"", "x", r#""\"#, r#""\u12""#, r#""\ud83d""#, r#""\ud83dx""#, r#""\ud83d\u0041""#] {
            assert_eq!(text(broken), None, "{broken}");
        }
    }
}
