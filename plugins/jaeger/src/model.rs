//! Jaeger's structures (`jaeger.thrift`), borrowed from the bytes they came in.
//!
//! Fields that are not known are passed over; a field of another type than it should have is refused, as is a structure
//! that lacks a required field.

use crate::thrift::{Fields, Kind, Reader, ThriftError};

type Result<T> = std::result::Result<T, ThriftError>;

/// Who made the spans.
#[derive(Debug, Default)]
pub(crate) struct Process<'a> {
    pub(crate) service: &'a [u8],
    pub(crate) tags: Vec<Tag<'a>>,
}

/// A span. One is filled again and again: its lists keep their memory.
#[derive(Debug, Default)]
pub(crate) struct Span<'a> {
    pub(crate) trace: TraceId,
    pub(crate) id: i64,
    pub(crate) parent: i64,
    pub(crate) name: &'a [u8],
    pub(crate) references: Vec<Reference>,
    pub(crate) flags: i32,
    /// Microseconds since 1970.
    pub(crate) start: i64,
    /// Microseconds.
    pub(crate) duration: i64,
    pub(crate) tags: Vec<Tag<'a>>,
    pub(crate) logs: Vec<Log>,
    /// The fields of all logs.
    pub(crate) fields: Vec<Tag<'a>>,
    pub(crate) incomplete: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TraceId {
    pub(crate) high: i64,
    pub(crate) low: i64,
}

/// Another span this one refers to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reference {
    pub(crate) child_of: bool,
    pub(crate) trace: TraceId,
    pub(crate) span: i64,
}

/// Something that happened at a time.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    /// Microseconds since 1970.
    pub(crate) time: i64,
    /// Among the span's `fields`.
    pub(crate) fields: std::ops::Range<usize>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Tag<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) value: TagValue<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum TagValue<'a> {
    Text(&'a [u8]),
    Double(f64),
    Bool(bool),
    Long(i64),
    Binary(&'a [u8]),
}

/// Which of a structure's required fields were there.
#[derive(Clone, Copy, Default)]
struct Seen(u16);

// === impl Seen ===

impl Seen {
    fn note(&mut self, id: i16) {
        if let Ok(shift @ 0..=15) = u32::try_from(id) {
            self.0 |= 1 << shift;
        }
    }

    fn require(self, reader: &Reader<'_>, what: &str, required: &[(i16, &str)]) -> Result<()> {
        match required.iter().find(|(id, _)| self.0 & (1 << id) == 0) {
            Some((_, name)) => reader.fail(format!("{what} has no `{name}`")),
            None => Ok(()),
        }
    }
}

/// A field that should be of another type.
fn wrong<T>(reader: &Reader<'_>, what: &str, id: i16, kind: Kind) -> Result<T> {
    reader.fail(format!("field {id} of {what} can't be of type {kind:?}"))
}

// === impl Process ===

impl<'a> Process<'a> {
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Process<'a>> {
        let mut process = Process::default();
        let (mut fields, mut seen) = (Fields::default(), Seen::default());
        while let Some(field) = reader.field(&mut fields)? {
            match (field.id, field.kind) {
                (1, Kind::Text) => process.service = reader.text()?,
                (2, Kind::List) => read_tags(reader, &mut process.tags)?,
                (1..=2, kind) => return wrong(reader, "the process", field.id, kind),
                (_, kind) => reader.skip(kind)?,
            }
            seen.note(field.id);
        }
        seen.require(reader, "the process", &[(1, "serviceName")])?;
        Ok(process)
    }
}

// === impl Span ===

impl<'a> Span<'a> {
    /// Fills it with the next span.
    pub(crate) fn read(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        const WHAT: &str = "a span";
        self.references.clear();
        self.tags.clear();
        self.logs.clear();
        self.fields.clear();
        self.incomplete = false;
        let (mut fields, mut seen) = (Fields::default(), Seen::default());
        while let Some(field) = reader.field(&mut fields)? {
            match (field.id, field.kind) {
                (1, Kind::I64) => self.trace.low = reader.i64()?,
                (2, Kind::I64) => self.trace.high = reader.i64()?,
                (3, Kind::I64) => self.id = reader.i64()?,
                (4, Kind::I64) => self.parent = reader.i64()?,
                (5, Kind::Text) => self.name = reader.text()?,
                (6, Kind::List) => {
                    self.references.clear();
                    for _ in 0..reader.structs()? {
                        self.references.push(Reference::read(reader)?);
                    }
                }
                (7, Kind::I32) => self.flags = reader.i32()?,
                (8, Kind::I64) => self.start = reader.i64()?,
                (9, Kind::I64) => self.duration = reader.i64()?,
                (10, Kind::List) => read_tags(reader, &mut self.tags)?,
                (11, Kind::List) => {
                    self.logs.clear();
                    self.fields.clear();
                    for _ in 0..reader.structs()? {
                        self.read_log(reader)?;
                    }
                }
                (12, kind @ Kind::Bool(_)) => self.incomplete = reader.bool(kind)?,
                (1..=12, kind) => return wrong(reader, WHAT, field.id, kind),
                (_, kind) => reader.skip(kind)?,
            }
            seen.note(field.id);
        }
        const REQUIRED: [(i16, &str); 8] = [
            (1, "traceIdLow"),
            (2, "traceIdHigh"),
            (3, "spanId"),
            (4, "parentSpanId"),
            (5, "operationName"),
            (7, "flags"),
            (8, "startTime"),
            (9, "duration"),
        ];
        seen.require(reader, WHAT, &REQUIRED)
    }

    fn read_log(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        const WHAT: &str = "a log";
        let from = self.fields.len();
        let mut time = 0;
        let (mut fields, mut seen) = (Fields::default(), Seen::default());
        while let Some(field) = reader.field(&mut fields)? {
            match (field.id, field.kind) {
                (1, Kind::I64) => time = reader.i64()?,
                (2, Kind::List) => {
                    self.fields.truncate(from);
                    for _ in 0..reader.structs()? {
                        self.fields.push(Tag::read(reader)?);
                    }
                }
                (1..=2, kind) => return wrong(reader, WHAT, field.id, kind),
                (_, kind) => reader.skip(kind)?,
            }
            seen.note(field.id);
        }
        seen.require(reader, WHAT, &[(1, "timestamp"), (2, "fields")])?;
        self.logs.push(Log { time, fields: from..self.fields.len() });
        Ok(())
    }
}

// === impl Reference ===

impl Reference {
    fn read(reader: &mut Reader<'_>) -> Result<Reference> {
        const WHAT: &str = "a reference";
        let mut reference = Reference::default();
        let (mut fields, mut seen) = (Fields::default(), Seen::default());
        while let Some(field) = reader.field(&mut fields)? {
            match (field.id, field.kind) {
                (1, Kind::I32) => {
                    reference.child_of = match reader.i32()? {
                        0 => true,
                        1 => false,
                        other => return reader.fail(format!("{other} is no type of a reference")),
                    }
                }
                (2, Kind::I64) => reference.trace.low = reader.i64()?,
                (3, Kind::I64) => reference.trace.high = reader.i64()?,
                (4, Kind::I64) => reference.span = reader.i64()?,
                (1..=4, kind) => return wrong(reader, WHAT, field.id, kind),
                (_, kind) => reader.skip(kind)?,
            }
            seen.note(field.id);
        }
        seen.require(reader, WHAT, &[(1, "refType"), (2, "traceIdLow"), (3, "traceIdHigh"), (4, "spanId")])?;
        Ok(reference)
    }
}

// === impl Tag ===

impl<'a> Tag<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Tag<'a>> {
        const WHAT: &str = "a tag";
        let (mut key, mut kind_of_tag) = (&[][..], 0);
        // What its writer left out has its default.
        let (mut text, mut double, mut bool, mut long, mut binary) = (&[][..], 0.0, false, 0, &[][..]);
        let (mut fields, mut seen) = (Fields::default(), Seen::default());
        while let Some(field) = reader.field(&mut fields)? {
            match (field.id, field.kind) {
                (1, Kind::Text) => key = reader.text()?,
                (2, Kind::I32) => kind_of_tag = reader.i32()?,
                (3, Kind::Text) => text = reader.text()?,
                (4, Kind::Double) => double = reader.double()?,
                (5, kind @ Kind::Bool(_)) => bool = reader.bool(kind)?,
                (6, Kind::I64) => long = reader.i64()?,
                (7, Kind::Text) => binary = reader.text()?,
                (1..=7, kind) => return wrong(reader, WHAT, field.id, kind),
                (_, kind) => reader.skip(kind)?,
            }
            seen.note(field.id);
        }
        seen.require(reader, WHAT, &[(1, "key"), (2, "vType")])?;
        let value = match kind_of_tag {
            0 => TagValue::Text(text),
            1 => TagValue::Double(double),
            2 => TagValue::Bool(bool),
            3 => TagValue::Long(long),
            4 => TagValue::Binary(binary),
            other => return reader.fail(format!("{other} is no type of a tag")),
        };
        Ok(Tag { key, value })
    }
}

fn read_tags<'a>(reader: &mut Reader<'a>, tags: &mut Vec<Tag<'a>>) -> Result<()> {
    tags.clear();
    for _ in 0..reader.structs()? {
        tags.push(Tag::read(reader)?);
    }
    Ok(())
}
