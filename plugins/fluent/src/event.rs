//! One event as one record: built on the bytes it came in, so that no text is copied.
//!
//! | event | record |
//! | --- | --- |
//! | the record, a map | the body; anything else is `{ "log": it }` |
//! | time: `EventTime` (seconds and nanoseconds), an integer or a float of seconds | `@time`; `0` and `nil`: the time of reading |
//! | Fluent Bit's metadata: `[[time, metadata], record]` | `@attributes` |
//! | `str`, `bin` | a text; bytes where it is no UTF-8. Fluentd sends texts of files as `bin` |
//! | `ext` | its bytes |
//! | a key that is no text | what it says: `1`, `true`, `nil` |
//!
//! Fluent Bit marks a group of records that share a resource by events with the seconds -1 (it begins, and its record says
//! the resource and the scope) and -2 (it ends). They are no records: those between them have that resource and scope. Where
//! what a group says can't be read, its records come without it.

use std::ops::Range;
use std::sync::Arc;

use suiro_record::{Assembly, Batch, EditError, Key, LOG_KEY, Piece, Row, Scope, TimeKind};

use crate::group;
use crate::msgpack::{Broken, Head, Reader};

/// Values in one record, at most: each takes 16 bytes of memory, and one on the wire.
const MAX_VALUES: u32 = 1 << 18;
/// Bytes of a key, at most: keys are kept once per batch, several times as large.
const MAX_KEY: usize = 64 << 10;
/// The type of `EventTime`.
const EVENT_TIME: i8 = 0;
/// Seconds that mark the beginning and the end of a group, as `EventTime` has them.
const GROUP_BEGINS: u32 = u32::MAX;
const GROUP_ENDS: u32 = u32::MAX - 1;

/// Where an event's bytes are, and will be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'b> {
    /// What the reader reads.
    pub(crate) bytes: &'b [u8],
    /// Added, wrapping, to a place in them to have it in the batch's heap.
    pub(crate) shift: usize,
    /// Where they begin in the source.
    pub(crate) base: u64,
}

/// Why an event is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// It is no MessagePack: nothing behind it can be read either.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// It is something else.
    #[error("{0}")]
    Shape(&'static str),
    /// It does not fit into a record.
    #[error("an event does not fit into a record: {0}")]
    Unfit(#[from] EditError),
    /// It has more than a record may.
    #[error("{0}")]
    TooLarge(&'static str),
}

/// When an event happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// Then, nanoseconds since 1970.
    Own(i64),
    /// It does not say.
    Unknown,
    /// It is no event but begins a group.
    GroupBegins,
    /// Or ends one.
    GroupEnds,
}

/// Reads the event at `reader`, a list of time and record; or without the list where it is the only one of a message. It is
/// a record of `group`, which goes to the batch, or says what the group of those behind it is. After an error the batch has
/// what it had, and more that belongs to no record: cut it.
pub(crate) fn read(
    place: Place<'_>,
    reader: &mut Reader<'_>,
    is_listed: bool,
    batch: &mut Batch,
    group: &mut Option<Arc<Scope>>,
) -> Result<(), Refused> {
    let start = reader.at();
    let more = match is_listed.then(|| reader.head()).transpose()? {
        None => 0,
        Some(Head::Array(parts @ 2..)) => parts - 2,
        Some(_) => return Err(Refused::Shape("an event is a list of time and record")),
    };
    let (when, metadata) = time(place.bytes, reader)?;
    match when {
        When::GroupBegins => {
            // Whatever becomes of it: records behind it are not of the one before.
            *group = None;
            let scope = group::scope_of(place.bytes, reader, &batch.scopes()[0])?;
            *group = Some(Arc::new(scope));
            (0..more).try_for_each(|_| reader.skip())?;
            return Ok(());
        }
        When::GroupEnds => {
            *group = None;
            (0..=more).try_for_each(|_| reader.skip())?;
            return Ok(());
        }
        When::Own(_) | When::Unknown => {}
    }
    let mut values = Values { bytes: place.bytes, left: MAX_VALUES };
    let mut map = batch.assemble()?.shifted(place.shift);
    let mut ahead = reader.clone();
    match ahead.head()? {
        Head::Map(pairs) => {
            *reader = ahead;
            values.pairs(&mut map, reader, pairs)?;
        }
        Head::Nil => return Err(Refused::Shape("an event has no record")),
        _ => values.put(&mut map, Key::Name(LOG_KEY), reader)?,
    }
    let root = map.finish(None)?;
    (0..more).try_for_each(|_| reader.skip())?;
    let (from, to) = (place.base + start as u64, place.base + reader.at() as u64);
    let mut row = Row::new(root, 0, from, to);
    match when {
        When::Own(time) => (row.time, row.time_kind) = (time, TimeKind::Own),
        // A nanosecond for each byte: times of one reading are in order, and none comes twice.
        _ => {
            let first = batch.rows.first().map_or(from, |first| first.start);
            row.time = batch.read_at.saturating_add_unsigned(from.saturating_sub(first));
        }
    }
    if let Some(metadata) = metadata {
        let mut reader = Reader::new(place.bytes, metadata);
        if let Head::Map(pairs @ 1..) = reader.head()? {
            let mut map = batch.assemble()?.shifted(place.shift);
            map.open_map(Key::Name("attributes"))?;
            values.pairs(&mut map, &mut reader, pairs)?;
            row = row.with_header(map.finish(None)?);
        }
    }
    if let Some(scope) = group {
        row.scope = batch.try_add_scope(scope).ok_or(EditError::Full)?;
    }
    batch.rows.push(row);
    Ok(())
}

/// The time, and where metadata stand that came with it.
fn time(bytes: &[u8], reader: &mut Reader<'_>) -> Result<(When, Option<Range<usize>>), Refused> {
    let mut list = reader.clone();
    let Head::Array(parts @ 1..) = list.head()? else {
        let when = match plain_time(bytes, reader)? {
            // Groups are marked beside metadata only: this is a time, of the year 2106.
            When::GroupBegins => When::of(i64::from(GROUP_BEGINS), 0),
            When::GroupEnds => When::of(i64::from(GROUP_ENDS), 0),
            when => when,
        };
        return Ok((when, None));
    };
    let when = plain_time(bytes, &mut list)?;
    let from = list.at();
    (1..parts).try_for_each(|_| list.skip())?;
    *reader = list;
    Ok((when, (parts > 1).then(|| from..reader.at())))
}

fn plain_time(bytes: &[u8], reader: &mut Reader<'_>) -> Result<When, Refused> {
    Ok(match reader.head()? {
        Head::Uint(seconds) => When::of(i64::try_from(seconds).unwrap_or(i64::MAX), 0),
        Head::Int(seconds) => When::of(seconds, 0),
        Head::Float(seconds) => {
            let nanos = seconds * 1e9;
            // What is beyond is not a time either.
            if nanos.abs() < 9e18 && nanos != 0.0 { When::Own(nanos as i64) } else { When::Unknown }
        }
        Head::Nil => When::Unknown,
        Head::Ext(EVENT_TIME, 8) => {
            let span = reader.payload(8)?;
            let word = |at: usize| bytes.get(span.start + at..).and_then(|rest| rest.first_chunk()).copied();
            let [seconds, nanos] = [0, 4].map(|at| word(at).map_or(0, u32::from_be_bytes));
            match seconds {
                GROUP_BEGINS => When::GroupBegins,
                GROUP_ENDS => When::GroupEnds,
                _ => When::of(i64::from(seconds), i64::from(nanos)),
            }
        }
        _ => return Err(Refused::Shape("the time of an event is no EventTime and no number")),
    })
}

// === impl When ===

impl When {
    fn of(seconds: i64, nanos: i64) -> When {
        let time = seconds.checked_mul(1_000_000_000).and_then(|time| time.checked_add(nanos));
        time.filter(|time| *time != 0).map_or(When::Unknown, When::Own)
    }
}

/// Reads values into a record.
struct Values<'b> {
    bytes: &'b [u8],
    /// How many more there may be.
    left: u32,
}

/// A key: where it stands, or what it says.
pub(crate) enum Name<'b> {
    Placed(&'b [u8]),
    Said(String),
}

// === impl Values ===

impl<'b> Values<'b> {
    fn pairs(&mut self, map: &mut Assembly<'_>, reader: &mut Reader<'_>, pairs: u32) -> Result<(), Refused> {
        for _ in 0..pairs {
            match name(self.bytes, reader)? {
                Name::Placed(key) => self.put(map, Key::Bytes(key), reader)?,
                Name::Said(key) => self.put(map, Key::Name(&key), reader)?,
            }
        }
        Ok(())
    }

    fn put(&mut self, map: &mut Assembly<'_>, key: Key<'_>, reader: &mut Reader<'_>) -> Result<(), Refused> {
        self.left = self.left.checked_sub(1).ok_or(Refused::TooLarge("a record has more than 262,144 values"))?;
        match reader.head()? {
            Head::Nil => map.put(key, Piece::Null)?,
            Head::Bool(is) => map.put(key, Piece::Bool(is))?,
            Head::Int(n) => map.put(key, Piece::Int(n))?,
            Head::Uint(n) => map.put(key, i64::try_from(n).map_or(Piece::Uint(n), Piece::Int))?,
            Head::Float(n) => map.put(key, Piece::Float(n))?,
            Head::Str(length) | Head::Bin(length) => {
                let span = reader.payload(length)?;
                let text = &self.bytes[span.clone()];
                let is_text = text.is_ascii() || std::str::from_utf8(text).is_ok();
                map.put(key, if is_text { Piece::Text(span) } else { Piece::Bytes(span) })?;
            }
            Head::Ext(_, length) => map.put(key, Piece::Bytes(reader.payload(length)?))?,
            Head::Array(items) => {
                map.open_list(key)?;
                for _ in 0..items {
                    self.put(map, Key::Item, reader)?;
                }
                map.close();
            }
            Head::Map(pairs) => {
                map.open_map(key)?;
                self.pairs(map, reader, pairs)?;
                map.close();
            }
        }
        Ok(())
    }
}

/// The key at `reader`.
pub(crate) fn name<'b>(bytes: &'b [u8], reader: &mut Reader<'_>) -> Result<Name<'b>, Refused> {
    if let Some(span) = reader.text()? {
        if span.len() > MAX_KEY {
            return Err(Refused::TooLarge("a key is longer than 64 KiB"));
        }
        let key = &bytes[span];
        let is_text = key.is_ascii() || std::str::from_utf8(key).is_ok();
        return Ok(if is_text { Name::Placed(key) } else { Name::Said(String::from_utf8_lossy(key).into_owned()) });
    }
    Ok(Name::Said(match reader.head()? {
        Head::Nil => "nil".to_owned(),
        Head::Bool(is) => is.to_string(),
        Head::Int(n) => n.to_string(),
        Head::Uint(n) => n.to_string(),
        Head::Float(n) => n.to_string(),
        _ => return Err(Refused::Shape("a key is a list, a map or of a type of its own")),
    }))
}
