//! JSON as it is written: straight into the bytes of a document.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::Write as _;

use suiro_sdk::record::{Kind, NodeRef, Value, write_json_str};

/// A map that is being written.
pub(super) struct Members<'o> {
    pub(super) out: &'o mut Vec<u8>,
    first: bool,
    /// A text takes at most so many bytes, quotes included; what is longer is cut.
    texts: usize,
}

/// A list of maps that is being written.
pub(super) struct Items<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
    texts: usize,
}

// === impl Members ===

impl<'o> Members<'o> {
    pub(super) fn open(out: &'o mut Vec<u8>, texts: usize) -> Self {
        out.push(b'{');
        Members { out, first: true, texts }
    }

    /// `key` is one of ours, which needs no escaping.
    pub(super) fn key(&mut self, key: &'static str) {
        self.comma();
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// Before a member that is written by hand.
    pub(super) fn comma(&mut self) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
    }

    /// An empty text is none.
    pub(super) fn text(&mut self, key: &'static str, text: &str) {
        if !text.is_empty() {
            self.key(key);
            write_text(text, self.texts, self.out);
        }
    }

    pub(super) fn some_text(&mut self, key: &'static str, text: Option<impl AsRef<str>>) {
        if let Some(text) = text {
            self.text(key, text.as_ref());
        }
    }

    /// What shows as plain ASCII, in quotes.
    pub(super) fn shown(&mut self, key: &'static str, value: impl Display) {
        self.key(key);
        // Writing to a `Vec` has no way to fail.
        let _ = write!(self.out, "\"{value}\"");
    }

    pub(super) fn number(&mut self, key: &'static str, number: impl Into<i64>) {
        self.key(key);
        let _ = write!(self.out, "{}", number.into());
    }

    /// `true`; `false` is left out.
    pub(super) fn flag(&mut self, key: &'static str, flag: bool) {
        if flag {
            self.key(key);
            self.out.extend_from_slice(b"true");
        }
    }

    /// Whether something was written by hand.
    pub(super) fn wrote(&mut self, some: bool) {
        self.first &= !some;
    }

    /// Nanoseconds since 1970, as seconds.
    pub(super) fn time(&mut self, key: &'static str, time: i64) {
        self.key(key);
        let (seconds, rest) = (time / 1_000_000_000, time % 1_000_000_000);
        let _ = write!(self.out, "{seconds}.{rest:09}");
        while self.out.ends_with(b"0") && !self.out.ends_with(b".0") {
            self.out.pop();
        }
    }

    /// A map in it, unless nothing is written there.
    pub(super) fn map(&mut self, key: &'static str, write: impl FnOnce(&mut Members<'_>)) {
        let (at, first) = (self.out.len(), self.first);
        self.key(key);
        let mut map = Members::open(self.out, self.texts);
        write(&mut map);
        if map.first {
            self.out.truncate(at);
            self.first = first;
        } else {
            map.close();
        }
    }

    /// A list in it, unless nothing is written there.
    pub(super) fn list(&mut self, key: &'static str, write: impl FnOnce(&mut Items<'_>)) {
        let (at, first) = (self.out.len(), self.first);
        self.key(key);
        self.out.push(b'[');
        let mut items = Items { out: self.out, first: true, texts: self.texts };
        write(&mut items);
        if items.first {
            self.out.truncate(at);
            self.first = first;
        } else {
            self.out.push(b']');
        }
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, key: &'static str, texts: impl Iterator<Item = impl AsRef<str>>) {
        self.key(key);
        self.out.push(b'[');
        for (n, text) in texts.enumerate() {
            if n > 0 {
                self.out.push(b',');
            }
            write_text(text.as_ref(), self.texts, self.out);
        }
        self.out.push(b']');
    }

    pub(super) fn close(self) {
        self.out.push(b'}');
    }
}

// === impl Items ===

impl Items<'_> {
    /// Another map in it.
    pub(super) fn item(&mut self, write: impl FnOnce(&mut Members<'_>)) {
        self.item_within(usize::MAX, write);
    }

    /// Another map in it, unless it would end behind byte `end`, or is empty; whether it is there, or needs not be.
    pub(super) fn item_within(&mut self, end: usize, write: impl FnOnce(&mut Members<'_>)) -> bool {
        let at = self.out.len();
        if !self.first {
            self.out.push(b',');
        }
        let mut map = Members::open(self.out, self.texts);
        write(&mut map);
        let empty = map.first;
        map.close();
        let fits = self.out.len() <= end;
        if empty || !fits {
            self.out.truncate(at);
        } else {
            self.first = false;
        }
        fits
    }
}

/// Appends a text in quotes that takes no more than `most` bytes so (at least 5).
fn write_text(text: &str, most: usize, out: &mut Vec<u8>) {
    let from = out.len();
    write_json_str(text, out);
    if out.len() - from <= most {
        return;
    }
    out.truncate(from);
    let mut room = most.saturating_sub("\"…\"".len());
    let fits = text.char_indices().find_map(|(at, c)| {
        let size = match c {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            '\0'..='\u{1f}' => 6,
            _ => c.len_utf8(),
        };
        match room.checked_sub(size) {
            Some(rest) => {
                room = rest;
                None
            }
            None => Some(at),
        }
    });
    write_json_str(text.get(..fits.unwrap_or(text.len())).unwrap_or_default(), out);
    out.pop();
    out.extend_from_slice("…\"".as_bytes());
}

/// What a text, a number or a boolean says; an empty text says nothing.
pub(super) fn text_of(node: NodeRef<'_>) -> Option<Cow<'_, str>> {
    let text = match node.kind() {
        Kind::String => node.as_str()?,
        Kind::Number | Kind::Bool => {
            let mut text = Vec::new();
            node.write_json(&mut text);
            String::from_utf8(text).ok()?.into()
        }
        Kind::Null | Kind::Bytes | Kind::Array | Kind::Object => return None,
    };
    Some(text).filter(|text| !text.is_empty())
}

/// The same of a value of the resource.
pub(super) fn text_of_value(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Null | Value::Bytes(_) | Value::Array(_) | Value::Object(_) => None,
        _ => Some(value.to_text()).filter(|text| !text.is_empty()),
    }
}

/// A member of a map; of a key that is there twice, the last.
pub(super) fn member<'a>(map: NodeRef<'a>, key: &str) -> Option<NodeRef<'a>> {
    map.children().filter(|child| child.key() == Some(key)).last()
}

/// Parts as one text.
pub(super) fn joined(parts: &[&str]) -> String {
    let mut text = String::with_capacity(parts.iter().map(|part| part.len()).sum());
    for part in parts {
        text.push_str(part);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(texts: usize, write: impl FnOnce(&mut Members<'_>)) -> String {
        let mut out = Vec::new();
        let mut members = Members::open(&mut out, texts);
        write(&mut members);
        members.close();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn members_of_every_type() {
        let shown = written(usize::MAX, |map| {
            map.text("a", "x\"y");
            map.text("none", "");
            map.map("empty", |map| map.flag("no", false));
            map.map("b", |map| map.flag("yes", true));
            map.number("n", -1_i64);
            map.texts("l", ["1", "2"].iter());
        });
        assert_eq!(shown, r#"{"a":"x\"y","b":{"yes":true},"n":-1,"l":["1","2"]}"#);
    }

    #[test]
    fn times_are_seconds() {
        for (time, text) in [
            (1_480_615_200_010_000_000, "1480615200.01"),
            (1_480_615_200_000_000_000, "1480615200.0"),
            (1, "0.000000001"),
            (i64::MAX, "9223372036.854775807"),
        ] {
            assert_eq!(written(0, |map| map.time("t", time)), format!("{{\"t\":{text}}}"));
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        for (text, most, cut) in [
            ("abcdefgh", 10, "\"abcdefgh\""),
            ("abcdefghi", 10, "\"abcde…\""),
            ("éééééé", 10, "\"éé…\""),
            ("\n\n\n\n\n", 10, "\"\\n\\n…\""),
            ("\u{1}\u{1}\u{1}", 12, "\"\\u0001…\""),
            ("abcdef", 5, "\"…\""),
        ] {
            let mut out = Vec::new();
            write_text(text, most, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), cut);
        }
    }
}
