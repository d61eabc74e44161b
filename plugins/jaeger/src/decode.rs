//! From bytes to spans as records.
//!
//! A batch names its process before its spans, in practice; where it does not, its spans are passed over and read when the
//! process is known.

use std::collections::HashMap;
use std::sync::Arc;

use suiro_record::{EditError, Scope, Source, Value};
use suiro_sdk::spans::Spans;

use crate::model::{Process, Span, Tag};
use crate::thrift::{Fields, Kind, Protocol, Reader, ThriftError};
use crate::translate::{self, Library};

/// All the resources of a batch's scopes together may take so many bytes: each scope holds its own. Beyond it, the names of
/// instrumentation scopes stay among the attributes.
const MAX_RESOURCES: usize = 4 << 20;

/// Why a batch is not taken. None of its spans is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It is not Thrift, or not Jaeger's.
    #[error(transparent)]
    Thrift(#[from] ThriftError),
    /// A message, but not one that brings spans of Jaeger's.
    #[error("the message `{0}` is not taken, only `emitBatch`")]
    Message(String),
    /// A span that can't be one.
    #[error("byte {at}: {what}")]
    Span {
        /// Where it starts.
        at: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// A span that does not fit into a record.
    #[error("byte {at}: this span can't be kept: {error}")]
    Unfit {
        /// Where it starts.
        at: usize,
        /// Why.
        error: EditError,
    },
}

/// What bytes a decoder is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A batch.
    Batch,
    /// The message `emitBatch` with a batch in it.
    Message,
}

/// Adds the spans of `bytes` to `spans`. They come from `source`, where the first byte is number `base`. How many there
/// were; after an error there may be some of them among `spans`.
pub fn decode(
    bytes: &[u8],
    protocol: Protocol,
    form: Form,
    source: &Arc<Source>,
    base: u64,
    spans: &mut Spans<'_>,
) -> Result<usize, DecodeError> {
    let mut reader = Reader::new(bytes, protocol);
    if form == Form::Batch {
        return read_batch(&mut reader, source, base, spans);
    }
    let message = reader.message()?;
    if !message.is_call || message.name != b"emitBatch" {
        return Err(DecodeError::Message(String::from_utf8_lossy(&message.name[..message.name.len().min(100)]).into()));
    }
    let mut count = None;
    let mut fields = Fields::default();
    while let Some(field) = reader.field(&mut fields)? {
        match (field.id, field.kind) {
            (1, Kind::Struct) if count.is_none() => count = Some(read_batch(&mut reader, source, base, spans)?),
            (_, kind) => reader.skip(kind)?,
        }
    }
    match count {
        Some(count) => Ok(count),
        None => Ok(reader.fail("the message has no `batch`")?),
    }
}

fn read_batch<'a>(
    reader: &mut Reader<'a>,
    source: &Arc<Source>,
    base: u64,
    spans: &mut Spans<'_>,
) -> Result<usize, DecodeError> {
    let mut scopes: Option<Scopes> = None;
    let mut later: Option<Reader<'a>> = None;
    let mut count = None;
    let mut fields = Fields::default();
    while let Some(field) = reader.field(&mut fields)? {
        match (field.id, field.kind) {
            (1, Kind::Struct) if scopes.is_none() => scopes = Some(Scopes::new(&Process::read(reader)?, source)),
            (2, Kind::List) if count.is_none() && later.is_none() => match &mut scopes {
                Some(scopes) => count = Some(read_spans(reader, scopes, base, spans)?),
                None => {
                    later = Some(reader.clone());
                    reader.skip(field.kind)?;
                }
            },
            (1 | 2, kind) => {
                reader.fail(format!("field {} of a batch twice, or of the wrong type {kind:?}", field.id))?;
            }
            (_, kind) => reader.skip(kind)?,
        }
    }
    let Some(mut scopes) = scopes else { return Ok(reader.fail("the batch has no `process`")?) };
    match (count, later) {
        (Some(count), _) => Ok(count),
        (None, Some(mut reader)) => read_spans(&mut reader, &mut scopes, base, spans),
        (None, None) => Ok(reader.fail("the batch has no `spans`")?),
    }
}

fn read_spans<'a>(
    reader: &mut Reader<'a>,
    scopes: &mut Scopes,
    base: u64,
    spans: &mut Spans<'_>,
) -> Result<usize, DecodeError> {
    let count = reader.structs()?;
    let mut span = Span::default();
    for _ in 0..count {
        let at = reader.at();
        span.read(reader)?;
        let head = translate::head(&mut span).map_err(|what| DecodeError::Span { at, what })?;
        let (scope, named) = scopes.scope(head.library.as_ref());
        let range = base + at as u64..base + reader.at() as u64;
        spans
            .add(&scope, |batch| translate::write(batch, &span, &head, named, range.clone()))
            .map_err(|error| DecodeError::Unfit { at, error })?;
    }
    Ok(count)
}

/// The scopes of one batch: its process, and an instrumentation scope each.
struct Scopes {
    plain: Arc<Scope>,
    by_library: HashMap<(String, String), Arc<Scope>>,
    /// How many more there may be.
    room: usize,
}

// === impl Scopes ===

impl Scopes {
    fn new(process: &Process<'_>, source: &Arc<Source>) -> Self {
        let mut scope = Scope::new(source.clone());
        scope.resource = translate::resource(process);
        let text = |tag: &Tag<'_>| 64 + tag.key.len() + tag.value.len();
        let size = 256 + process.service.len() + process.tags.iter().map(text).sum::<usize>();
        Scopes { plain: Arc::new(scope), by_library: HashMap::new(), room: MAX_RESOURCES / size }
    }

    /// The scope of a span, and whether it names the instrumentation scope, or there is none.
    fn scope(&mut self, library: Option<&Library<'_>>) -> (Arc<Scope>, bool) {
        let Some(library) = library else { return (self.plain.clone(), true) };
        let key = (library.name.to_string(), library.version.to_string());
        if let Some(known) = self.by_library.get(&key) {
            return (known.clone(), true);
        }
        let Some(room) = self.room.checked_sub(1) else { return (self.plain.clone(), false) };
        self.room = room;
        let mut scope = Scope::clone(&self.plain);
        scope.scope.push(("name".to_owned(), Value::Str(key.0.clone())));
        if !key.1.is_empty() {
            scope.scope.push(("version".to_owned(), Value::Str(key.1.clone())));
        }
        let scope = Arc::new(scope);
        self.by_library.insert(key, scope.clone());
        (scope, true)
    }
}
