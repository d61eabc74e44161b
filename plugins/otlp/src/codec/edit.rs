//! Attributes changed in a message: what else is in it is copied as it stands.
//!
//! The attributes are those of a log record (`@attributes`) and of a span (`attributes`). What a change makes of them is what
//! it makes of the unpacked record's, order included:
//!
//! - a new attribute is the last one, one that is replaced keeps its place;
//! - a log that says nothing of when it was observed says that it was when it was read;
//! - what a path of several keys may name is looked for under the keys joined by dots. Where the first of them are an
//!   attribute, there may be something in it: that, an attribute that is there twice, one without a value, and the only
//!   one being removed (an empty map is left of it) are left to the unpacked record.

use std::ops::Range;

use smallvec::SmallVec;
use suiro_record::{Header, MessageEdit, MessageEditor, Path, PathRoot, Rewrite, Signal, Value};
use suiro_sdk::protobuf::{Fields, Open, Raw, WireType, close, open, put_fixed64, put_len};

use super::scan::len_of;
use super::value::write_attributes;

/// Fields of a `KeyValue`, as they stand in nearly all of them: the key, then the value.
const KEY: u8 = 1 << 3 | WireType::Len as u8;
const VALUE: u8 = 2 << 3 | WireType::Len as u8;

/// `LogRecord.observed_time_unix_nano`
const OBSERVED: u32 = 11;

/// The fields attributes stand in.
const LOG_ATTRIBUTES: u32 = 6;
const SPAN_ATTRIBUTES: u32 = 9;

/// Makes some changes, in their order.
pub(super) struct Editor<'e> {
    /// Of the field the attributes stand in.
    number: u32,
    edits: SmallVec<[Edit<'e>; 2]>,
    /// What the change before this one made.
    before: Vec<u8>,
    after: Vec<u8>,
}

/// A change.
enum Edit<'e> {
    Rename {
        from: Name,
        to: &'e str,
    },
    /// `attribute`: the whole field.
    Set {
        key: &'e str,
        attribute: Vec<u8>,
        replace: bool,
    },
    Remove {
        name: Name,
    },
}

/// What a path names.
struct Name {
    key: String,
    /// In an attribute of one of these keys it may be as well.
    above: Vec<String>,
}

/// An attribute that was found.
struct Found {
    /// The whole field.
    field: Range<usize>,
    /// The value, with tag and length.
    value: Range<usize>,
}

// === impl Editor ===

impl<'e> Editor<'e> {
    pub(super) fn new(signal: Signal, edits: &'e [MessageEdit<'e>]) -> Option<Self> {
        let number = if signal == Signal::Logs { LOG_ATTRIBUTES } else { SPAN_ATTRIBUTES };
        let edits = edits.iter().map(|edit| Edit::new(signal, number, edit)).collect::<Option<_>>()?;
        Some(Editor { number, edits, before: Vec::new(), after: Vec::new() })
    }
}

impl MessageEditor for Editor<'_> {
    fn edit(&mut self, message: &[u8], read_at: i64, out: &mut Vec<u8>) -> Option<bool> {
        let Editor { number, edits, before, after } = self;
        let mut changed = false;
        let mut is_observed = *number != LOG_ATTRIBUTES;
        if let [edit] = edits.as_slice() {
            changed = edit.make(*number, message, &mut is_observed, out)?;
        } else {
            for edit in edits.iter() {
                after.clear();
                if edit.make(*number, if changed { before } else { message }, &mut is_observed, after)? {
                    changed = true;
                    std::mem::swap(before, after);
                }
            }
            if changed {
                out.extend_from_slice(before);
            }
        }
        if changed && !is_observed {
            put_fixed64(OBSERVED, read_at.cast_unsigned(), out);
        }
        Some(changed)
    }

    /// Copies all but the records, and lengths.
    fn edit_request(&mut self, request: &[u8], rewrite: &mut Rewrite<'_>) -> Option<()> {
        // Request { 1: Resource.. { 2: Scope.. { 2: record } } }
        each_message(1, request, 0..request.len(), rewrite, &mut |span, rewrite| {
            each_message(2, request, span, rewrite, &mut |span, rewrite| {
                each_message(2, request, span, rewrite, &mut |span, rewrite| rewrite.message(self, &request[span]))
            })
        })
    }
}

/// Writes what is in the message at a place.
type Write<'w> = dyn FnMut(Range<usize>, &mut Rewrite<'_>) -> Option<()> + 'w;

/// Has what is in each message in the field `number` written by `write`, and copies the fields between them.
fn each_message(
    number: u32,
    request: &[u8],
    span: Range<usize>,
    rewrite: &mut Rewrite<'_>,
    write: &mut Write<'_>,
) -> Option<()> {
    let (mut copied, mut before) = (span.start, span.start);
    let end = span.end;
    let mut fields = Fields::new(request, span);
    while let Some(field) = fields.next() {
        if let Raw::Len(message) = field.value
            && field.number == number
        {
            rewrite.out.extend_from_slice(&request[copied..before]);
            copied = message.end;
            let (anew, first) = (open(number, message.len(), rewrite.out), rewrite.places.len());
            write(message, rewrite)?;
            close_around(anew, &mut rewrite.places[first..], rewrite.out);
        }
        before = fields.pos();
    }
    rewrite.out.extend_from_slice(&request[copied..end]);
    Some(())
}

/// Ends a message in which there are `places`. They move with it where its length takes more or less room than expected.
fn close_around(message: Open, places: &mut [Range<u32>], out: &mut Vec<u8>) {
    let before = message.content();
    let len = close(message, out);
    let after = out.len() - len;
    if after != before {
        // Fewer or more bytes of length: at most ten.
        let moved = |at: u32| at.wrapping_add(after as u32).wrapping_sub(before as u32);
        places.iter_mut().for_each(|place| *place = moved(place.start)..moved(place.end));
    }
}

// === impl Edit ===

impl<'e> Edit<'e> {
    fn new(signal: Signal, number: u32, edit: &MessageEdit<'e>) -> Option<Self> {
        Some(match *edit {
            MessageEdit::Rename { from, to } => {
                let (from, to) = (Name::new(signal, from)?, one_key(signal, to)?);
                // Two ways to write one place need more thought.
                (from.key != to && !from.above.iter().any(|key| key == to)).then_some(Edit::Rename { from, to })?
            }
            MessageEdit::Set { path, value, replace } => {
                let key = one_key(signal, path)?;
                let plain = matches!(value, Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_));
                let mut attribute = Vec::new();
                write_attributes(number, &[(key.to_owned(), value.clone())], &mut attribute);
                plain.then_some(Edit::Set { key, attribute, replace })?
            }
            MessageEdit::Remove { path } => Edit::Remove { name: Name::new(signal, path)? },
        })
    }

    /// As [`MessageEditor::edit`]. `is_observed` becomes true where a log says when it was observed.
    fn make(&self, number: u32, message: &[u8], is_observed: &mut bool, out: &mut Vec<u8>) -> Option<bool> {
        match self {
            Edit::Rename { from, to } => {
                let Seen { found: [source, target], observed, .. } =
                    find(number, message, [&from.key, to], &from.above)?;
                *is_observed |= observed;
                let Some(source) = source else { return Some(false) };
                let value = &message[source.value];
                let place = target.map_or(message.len()..message.len(), |target| target.field);
                if place.start < source.field.start {
                    out.extend_from_slice(&message[..place.start]);
                    put_attribute(number, to, value, out);
                    out.extend_from_slice(&message[place.end..source.field.start]);
                    out.extend_from_slice(&message[source.field.end..]);
                } else {
                    out.extend_from_slice(&message[..source.field.start]);
                    out.extend_from_slice(&message[source.field.end..place.start]);
                    put_attribute(number, to, value, out);
                    out.extend_from_slice(&message[place.end..]);
                }
            }
            Edit::Set { key, attribute, replace } => {
                let Seen { found: [found], observed, .. } = find(number, message, [key], &[])?;
                *is_observed |= observed;
                let place = match found {
                    Some(_) if !replace => return Some(false),
                    Some(Found { field, .. }) => field,
                    None => message.len()..message.len(),
                };
                out.extend_from_slice(&message[..place.start]);
                out.extend_from_slice(attribute);
                out.extend_from_slice(&message[place.end..]);
            }
            Edit::Remove { name } => {
                let Seen { found: [found], observed, others } = find(number, message, [&name.key], &name.above)?;
                *is_observed |= observed;
                let Some(Found { field, .. }) = found else { return Some(false) };
                if !others {
                    return None;
                }
                out.extend_from_slice(&message[..field.start]);
                out.extend_from_slice(&message[field.end..]);
            }
        }
        Some(true)
    }
}

// === impl Name ===

impl Name {
    fn new(signal: Signal, path: &Path) -> Option<Self> {
        let keys = keys(signal, path)?;
        let above = (1..keys.len()).map(|n| keys[..n].join(".")).collect();
        Some(Name { key: keys.join("."), above })
    }
}

/// The keys of a path that leads into the attributes; there is one at least.
fn keys(signal: Signal, path: &Path) -> Option<Vec<&str>> {
    let mut keys = path.keys()?;
    let leads_there = match (signal, path.root()) {
        (Signal::Logs, PathRoot::Header(Header::Attributes)) => true,
        (Signal::Traces, PathRoot::Body) => !keys.is_empty() && keys.remove(0) == "attributes",
        _ => false,
    };
    (leads_there && !keys.is_empty()).then_some(keys)
}

fn one_key(signal: Signal, path: &Path) -> Option<&str> {
    match keys(signal, path)?[..] {
        [key] => Some(key),
        _ => None,
    }
}

/// What was seen of a message.
struct Seen<const N: usize> {
    found: [Option<Found>; N],
    /// There are attributes of other keys.
    others: bool,
    /// There is a time other than 0 in the field [`OBSERVED`].
    observed: bool,
}

/// Looks for the attributes of these keys. `None` if one is there twice, or something is under a key of `above`, or there is an
/// attribute that is not a key and then a value.
fn find<const N: usize>(number: u32, message: &[u8], keys: [&str; N], above: &[String]) -> Option<Seen<N>> {
    let tag = (number << 3) as u8 | WireType::Len as u8;
    let mut found = [const { None }; N];
    let (mut others, mut observed) = (false, false);
    let mut at = 0;
    while let Some(&first) = message.get(at) {
        let start = at;
        if first != tag {
            let mut fields = Fields::new(message, at..message.len());
            // An attribute has another tag only if that is longer than it has to be.
            let field = fields.next()?;
            if field.number == number {
                return None;
            }
            observed |= field.number == OBSERVED && matches!(field.value, Raw::Fixed64(1..));
            at = fields.pos();
            continue;
        }
        let (len, head) = len_of(message.get(at + 1..)?)?;
        let content = at + 1 + head;
        at = content + len;
        let key = key_of(message.get(content..at)?)?;
        if above.iter().any(|above| above.as_bytes() == key) {
            return None;
        }
        let mut is_other = true;
        for (wanted, found) in keys.iter().zip(&mut found) {
            if wanted.as_bytes() == key {
                is_other = false;
                let one = Found { field: start..at, value: content + 2 + key.len()..at };
                if found.replace(one).is_some() {
                    return None;
                }
            }
        }
        others |= is_other;
    }
    Some(Seen { found, others, observed })
}

/// The key of an attribute that is a key of up to 127 bytes, then a value, and nothing more.
#[inline]
fn key_of(attribute: &[u8]) -> Option<&[u8]> {
    let (&[KEY, len @ 0..0x80], rest) = attribute.split_first_chunk()? else { return None };
    let (key, value) = rest.split_at_checked(len.into())?;
    let (&VALUE, value) = value.split_first()? else { return None };
    let (len, head) = len_of(value)?;
    (value.len() == len + head).then_some(key)
}

/// `value` with its tag and length.
fn put_attribute(number: u32, key: &str, value: &[u8], out: &mut Vec<u8>) {
    let attribute = open(number, key.len() + value.len() + 2, out);
    put_len(1, key.as_bytes(), out);
    out.extend_from_slice(value);
    close(attribute, out);
}
