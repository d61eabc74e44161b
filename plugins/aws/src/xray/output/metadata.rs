//! `metadata`: the last of a document, as much of it as there is room for.
//!
//! What finds no room is left out, attribute by attribute, and counted in `default` as `suiro.trimmed`. Beside attributes
//! there are in `default`, since X-Ray has no other place for them:
//!
//! | key | |
//! | --- | --- |
//! | `otel.span.name` | the span's name, where the segment is called otherwise |
//! | `otel.events` | the events that are no exceptions, as records have them |

use std::collections::HashSet;

use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use suiro_sdk::record::{Kind, NodeRef, write_json_str};

use super::cause;
use super::cloud::{Resource, write_attribute};
use super::document::Role;
use super::labels::{Labels, NAMESPACE};
use super::span::Span;

/// The namespace of what names none.
const DEFAULT: &str = "default";

/// Bytes of the note that something was left out, and of all that closes a document.
pub(super) const RESERVE: usize = 96;

/// Members that are appended while there is room.
struct Room<'o> {
    out: &'o mut Vec<u8>,
    /// They end here.
    end: usize,
    first: bool,
    left_out: usize,
}

// === impl Room ===

impl Room<'_> {
    fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let from = self.out.len();
        if !self.first {
            self.out.push(b',');
        }
        write(self.out);
        if self.out.len() > self.end {
            self.out.truncate(from);
            self.left_out += 1;
        } else {
            self.first = false;
        }
    }

    fn attribute(&mut self, node: NodeRef<'_>) {
        self.add(|out| {
            write_json_str(node.key().unwrap_or_default(), out);
            out.push(b':');
            node.write_json(out);
        });
    }
}

/// Appends `metadata`, with a comma before it, so that it ends before byte `end` but for what is reserved.
pub(super) fn write(
    span: &Span<'_>,
    resource: &Resource<'_>,
    labels: &Labels<'_>,
    role: Role,
    named: bool,
    end: usize,
    out: &mut Vec<u8>,
) {
    let from = out.len();
    out.extend_from_slice(b",\"metadata\":{");
    let before = out.len();
    out.extend_from_slice(b"\"default\":{");
    let mut named_spaces = Vec::new();
    let mut room = Room { out, end, first: true, left_out: 0 };
    if !role.is_service() {
        if !named && !span.name.is_empty() {
            room.add(|out| {
                out.extend_from_slice(b"\"otel.span.name\":");
                write_json_str(&span.name, out);
            });
        }
        let mut merged = None;
        for &node in &labels.metadata {
            match namespace(node) {
                None => room.attribute(node),
                Some(name) if name.eq_ignore_ascii_case(DEFAULT) => {
                    let taken = merged.get_or_insert_with(|| keys(&labels.metadata));
                    merge(node, taken, &mut room);
                }
                Some(name) => named_spaces.push((name, node)),
            }
        }
    }
    if !role.is_subsegment() {
        write_resource(resource, labels, &mut room);
    }
    if !role.is_service() {
        write_events(span, &mut room);
    }
    let (mut empty, left_out) = (room.first, room.left_out);
    if empty {
        out.truncate(before);
    } else {
        out.push(b'}');
    }
    let mut room = Room { out, end, first: empty, left_out };
    for (name, node) in named_spaces {
        room.add(|out| {
            write_json_str(name, out);
            out.push(b':');
            node.write_text(out);
        });
    }
    let left_out = room.left_out;
    empty &= room.first;
    if left_out > 0 {
        // Into the map `default`, which stands first.
        note(left_out, before, empty, out);
        empty = false;
    }
    if empty {
        out.truncate(from);
    } else {
        out.push(b'}');
    }
}

/// Says in `default` how much was left out.
fn note(left_out: usize, at: usize, empty: bool, out: &mut Vec<u8>) {
    let default = b"\"default\":{";
    let is_there = out.get(at..).is_some_and(|map| map.starts_with(default));
    let note = format!("\"suiro.trimmed\":{left_out}");
    if is_there {
        let inside = at + default.len();
        out.splice(inside..inside, [note.as_bytes(), b","].concat());
    } else {
        let comma: &[u8] = if empty { b"" } else { b"," };
        out.splice(at..at, [default, note.as_bytes(), b"}", comma].concat());
    }
}

fn keys(nodes: &[NodeRef<'_>]) -> HashSet<String> {
    nodes.iter().filter_map(|node| node.key()).map(str::to_owned).collect()
}

/// The namespace whose metadata an attribute is, if that is JSON.
fn namespace(node: NodeRef<'_>) -> Option<&str> {
    let name = node.key()?.strip_prefix(NAMESPACE).filter(|name| !name.is_empty() && node.kind() == Kind::String)?;
    let text = node.as_str()?;
    let is_map = text.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(&text).is_ok();
    is_map.then_some(name)
}

/// Adds the members of a text that is a JSON map, unless there are attributes of their names.
fn merge(node: NodeRef<'_>, taken: &mut HashSet<String>, room: &mut Room<'_>) {
    let text = node.as_str().unwrap_or_default();
    let Ok(map) = serde_json::from_str::<Map<String, Value>>(&text) else { return };
    for (key, value) in map {
        if taken.insert(key.clone()) {
            room.add(|out| {
                write_json_str(&key, out);
                out.push(b':');
                out.extend_from_slice(value.to_string().as_bytes());
            });
        }
    }
}

fn write_resource(resource: &Resource<'_>, labels: &Labels<'_>, room: &mut Room<'_>) {
    let whole = &resource.metadata;
    if !whole.is_empty() {
        if room.out.len() + 1 + whole.len() <= room.end {
            room.add(|out| out.extend_from_slice(whole));
        } else {
            for attribute in resource.attributes.iter().filter(|attribute| !attribute.annotated) {
                let written = whole.get(attribute.written.clone()).unwrap_or_default();
                room.add(|out| out.extend_from_slice(written.strip_prefix(b",").unwrap_or(written)));
            }
        }
    }
    for attribute in labels.resource.iter().filter_map(|&number| resource.attributes.get(number)) {
        room.add(|out| write_attribute(attribute.key, attribute.value, out));
    }
}

fn write_events(span: &Span<'_>, room: &mut Room<'_>) {
    let mut events = span.events().filter(|event| !cause::is_told(span, *event)).peekable();
    if events.peek().is_none() {
        return;
    }
    room.add(|out| {
        out.extend_from_slice(b"\"otel.events\":[");
        for (n, event) in events.enumerate() {
            if n > 0 {
                out.push(b',');
            }
            event.write_json(out);
        }
        out.push(b']');
    });
}
