//! What a node finds wrong with an index name or a document.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Deeper documents are refused.
const MAX_DEPTH: u32 = 20;
/// Whatever contains it is refused: a stand-in for a value that its mapping does not take.
const REFUSE_ME: &[u8] = b"\"refuse_me\":true";

/// Why a document is refused.
pub(super) struct Wrong {
    /// `[n] of type [long]`
    pub(super) field: Option<&'static str>,
    pub(super) kind: &'static str,
    pub(super) reason: String,
}

pub(super) fn index_name(name: &str) -> Result<(), &'static str> {
    if name.starts_with(['_', '-', '+']) {
        Err("must not start with '_', '-', or '+'")
    } else if name.contains([' ', '"', '*', '\\', '<', '|', ',', '>', '/', '?', '#', ':']) {
        Err("must not contain the following characters [ , \", *, \\, <, |, ,, >, /, ?]")
    } else if name.chars().any(char::is_uppercase) {
        Err("must be lowercase")
    } else if name.len() > 255 {
        Err("index name is too long")
    } else if matches!(name, "." | "..") {
        Err("must not be '.' or '..'")
    } else {
        Ok(())
    }
}

pub(super) fn document(source: &[u8], needs_timestamp: bool) -> Result<(), Wrong> {
    let wrong = |kind, reason: &str| Err(Wrong { field: None, kind, reason: reason.to_owned() });
    match source.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => return wrong("parse_exception", "document is empty"),
        Some(b'{') => {}
        Some(_) => {
            return wrong("not_x_content_exception", "Compressor detection can only be called on some xcontent bytes");
        }
    }
    let mut root = Root::default();
    let mut json = serde_json::Deserializer::from_slice(source);
    let read = Look { depth: 1, root: Some(&mut root) }.deserialize(&mut json).and_then(|()| json.end());
    if let Err(error) = read {
        let text = error.to_string();
        return if text.contains("exceeded the allowed limit") {
            wrong("parse_exception", &text)
        } else if text.contains("empty") {
            wrong("illegal_argument_exception", &text)
        } else {
            wrong("json_parse_exception", &text)
        };
    }
    if root.has_id {
        return wrong(
            "illegal_argument_exception",
            "Field [_id] is a metadata field and cannot be added inside a document.",
        );
    }
    if needs_timestamp && !root.has_timestamp {
        let reason = "documents must contain a single-valued timestamp field '@timestamp' of date type";
        return wrong("illegal_argument_exception", reason);
    }
    if source.windows(REFUSE_ME.len()).any(|window| window == REFUSE_ME) {
        let reason = "For input string: \"true\"".to_owned();
        return Err(Wrong { field: Some("[refuse_me] of type [long]"), kind: "illegal_argument_exception", reason });
    }
    Ok(())
}

/// What is known of the outermost object.
#[derive(Default)]
struct Root {
    has_timestamp: bool,
    has_id: bool,
}

/// Walks through a document without building it.
struct Look<'a> {
    depth: u32,
    root: Option<&'a mut Root>,
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Look { depth: self.depth, root: None })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        if self.depth > MAX_DEPTH {
            let text = "The depth of the field has exceeded the allowed limit of [20]";
            return Err(A::Error::custom(text));
        }
        let mut seen = HashSet::new();
        while let Some(key) = members.next_key::<String>()? {
            if key.is_empty() {
                return Err(A::Error::custom("field name cannot be an empty string"));
            }
            if let Some(root) = &mut self.root {
                root.has_timestamp |= key == "@timestamp";
                root.has_id |= key == "_id";
            }
            if seen.contains(&key) {
                return Err(A::Error::custom(format!("Duplicate field '{key}'")));
            }
            seen.insert(key);
            members.next_value_seed(Look { depth: self.depth + 1, root: None })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_looked_at() {
        let kind = |text: &str| document(text.as_bytes(), false).err().map(|wrong| wrong.kind);
        assert_eq!(kind(r#"{"a":[1,{"b":null}],"c":18446744073709551616,"d":"\ud83d\ude80"}"#), None);
        assert_eq!(kind(r#"{"a":1,"a":2}"#), Some("json_parse_exception"));
        assert_eq!(kind(r#"{"a":[{"b":1,"b":2}]}"#), Some("json_parse_exception"));
        assert_eq!(kind(r#"{"a":1}x"#), Some("json_parse_exception"));
        assert_eq!(kind("[1]"), Some("not_x_content_exception"));
        assert_eq!(kind(" "), Some("parse_exception"));
        assert_eq!(kind(r#"{"":1}"#), Some("illegal_argument_exception"));
        assert_eq!(kind(r#"{"_id":1}"#), Some("illegal_argument_exception"));
        assert_eq!(kind(r#"{"refuse_me":true}"#), Some("illegal_argument_exception"));
        assert_eq!(kind(&format!("{}1{}", "{\"a\":".repeat(21), "}".repeat(21))), Some("parse_exception"));
        assert_eq!(kind(&format!("{}1{}", "{\"a\":".repeat(20), "}".repeat(20))), None);
        assert!(document(b"{\"a\":1}", true).is_err() && document(b"{\"@timestamp\":1}", true).is_ok());
    }
}
