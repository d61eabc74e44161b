//! From attributes to Datadog's tags, as items of a JSON list.

use suiro_record::{Kind, NodeRef, Value, write_json_str};

/// Attributes of a resource that Datadog has its own names for. They are always tags.
const UNIFIED: [(&str, &str); 5] = [
    ("service.name", "service"),
    ("service.version", "version"),
    ("deployment.environment.name", "env"),
    ("deployment.environment", "env"),
    ("container.id", "container_id"),
];

/// What becomes of the host, not of a tag.
pub(crate) const HOST: &str = "host.name";

/// Appends one tag; a list of them has commas between.
pub(crate) fn push(tag: &str, out: &mut Vec<u8>) {
    if !matches!(out.last(), None | Some(b'[')) {
        out.push(b',');
    }
    write_json_str(tag, out);
}

/// A tag of a key and a value; without the latter it is the key.
fn pair(key: &str, value: &str) -> String {
    if value.is_empty() { key.to_owned() } else { format!("{key}:{value}") }
}

/// Appends the tags of a point's attribute: one that says nothing but its key has only that, a list is a tag an item.
pub(crate) fn attribute(key: &str, value: NodeRef<'_>, out: &mut Vec<u8>) {
    match value.kind() {
        Kind::Null => push(key, out),
        Kind::Array => value.children().for_each(|item| push(&pair(key, &text(item)), out)),
        _ => push(&pair(key, &text(value)), out),
    }
}

/// Appends the tags of a resource: those Datadog knows by names of its own, and the others where `all`.
pub(crate) fn resource(attributes: &[(String, Value)], all: bool, out: &mut Vec<u8>) {
    for (key, value) in attributes {
        match UNIFIED.iter().find(|(name, _)| name == key) {
            Some((_, tag)) => push(&pair(tag, &value.to_text()), out),
            None if all && key != HOST => push(&pair(key, &value.to_text()), out),
            None => {}
        }
    }
}

fn text(value: NodeRef<'_>) -> String {
    let mut text = Vec::new();
    value.write_text(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}
