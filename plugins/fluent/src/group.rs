//! What Fluent Bit says of a group of records, their resource and scope, and what that takes in memory.
//!
//! Unlike records, a group is kept in values of its own, many times as large as on the wire. So it may say little, and the
//! groups of a batch count as its tables do ([`used`]).

use suiro_record::{Attributes, Batch, EditError, MAX_DEPTH, Scope, Value};

use crate::event::{Name, Refused, name};
use crate::msgpack::{Head, Reader};

/// Values a group may have, and bytes of texts and keys: far more than a resource has.
const MAX_VALUES: u32 = 4096;
const MAX_TEXT: usize = 64 << 10;
const TOO_LARGE: Refused = Refused::TooLarge("a group of records says more than 4,096 values or 64 KiB of itself");

/// Reads the description of a group.
struct Description<'b> {
    bytes: &'b [u8],
    /// How many more values there may be, and bytes of texts.
    values: u32,
    text: usize,
}

/// The scope of the group that is described at `reader`: what `source` says, and what the group does.
pub(crate) fn scope_of(bytes: &[u8], reader: &mut Reader<'_>, source: &Scope) -> Result<Scope, Refused> {
    let described = Description { bytes, values: MAX_VALUES, text: MAX_TEXT }.value(reader, 0)?;
    let mut scope = source.clone();
    let Value::Object(mut described) = described else { return Ok(scope) };
    let attributes =
        take_map(&mut described, "resource").and_then(|mut resource| take_map(&mut resource, "attributes"));
    scope.resource.extend(attributes.unwrap_or_default());
    let known = ["name", "version", "attributes", "schema_url", "dropped_attributes_count"];
    let members = take_map(&mut described, "scope").unwrap_or_default();
    scope.scope.extend(members.into_iter().filter(|(name, _)| known.contains(&name.as_str())));
    Ok(scope)
}

/// Takes the map `name` out of another one.
fn take_map(map: &mut Attributes, name: &str) -> Option<Attributes> {
    let at = map.iter().rposition(|(known, _)| known == name)?;
    match map.swap_remove(at).1 {
        Value::Object(members) => Some(members),
        _ => None,
    }
}

/// Memory a batch takes, with the groups of its records.
pub(crate) fn used(batch: &Batch) -> usize {
    // The first scope is that of its source.
    batch.used() + batch.scopes().iter().skip(1).map(|scope| size(scope)).sum::<usize>()
}

/// Memory a scope takes, about.
pub(crate) fn size(scope: &Scope) -> usize {
    size_of::<Scope>() + members(&scope.resource) + members(&scope.scope)
}

fn members(members: &Attributes) -> usize {
    members.iter().map(|(name, value)| size_of::<(String, Value)>() + name.len() + held(value)).sum()
}

/// What a value holds beside itself.
fn held(value: &Value) -> usize {
    match value {
        Value::Str(text) | Value::Number(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Array(items) => items.iter().map(|item| size_of::<Value>() + held(item)).sum(),
        Value::Object(object) => members(object),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Float(_) => 0,
    }
}

// === impl Description ===

impl Description<'_> {
    fn value(&mut self, reader: &mut Reader<'_>, depth: usize) -> Result<Value, Refused> {
        if depth > MAX_DEPTH {
            return Err(Refused::Unfit(EditError::TooDeep));
        }
        self.values = self.values.checked_sub(1).ok_or(TOO_LARGE)?;
        Ok(match reader.head()? {
            Head::Nil => Value::Null,
            Head::Bool(is) => Value::Bool(is),
            Head::Int(n) => Value::Int(n),
            Head::Uint(n) => i64::try_from(n).map_or(Value::Uint(n), Value::Int),
            Head::Float(n) => Value::Float(n),
            Head::Str(length) | Head::Bin(length) => {
                let text = self.text(reader, length)?;
                std::str::from_utf8(text).map_or_else(|_| Value::Bytes(text.to_vec()), Value::from)
            }
            Head::Ext(_, length) => Value::Bytes(self.text(reader, length)?.to_vec()),
            Head::Array(items) => {
                let read = (0..items).map(|_| self.value(reader, depth + 1));
                Value::Array(read.collect::<Result<_, _>>()?)
            }
            Head::Map(pairs) => {
                let read = (0..pairs).map(|_| Ok((self.key(reader)?, self.value(reader, depth + 1)?)));
                Value::Object(read.collect::<Result<_, Refused>>()?)
            }
        })
    }

    fn text(&mut self, reader: &mut Reader<'_>, length: usize) -> Result<&[u8], Refused> {
        let span = reader.payload(length)?;
        self.text = self.text.checked_sub(length).ok_or(TOO_LARGE)?;
        Ok(&self.bytes[span])
    }

    fn key(&mut self, reader: &mut Reader<'_>) -> Result<String, Refused> {
        let key = match name(self.bytes, reader)? {
            Name::Placed(key) => String::from_utf8_lossy(key).into_owned(),
            Name::Said(key) => key,
        };
        self.text = self.text.checked_sub(key.len()).ok_or(TOO_LARGE)?;
        Ok(key)
    }
}
