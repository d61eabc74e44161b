//! From a payload back to a batch. See [`encode`](super::encode) for the format.
//!
//! A payload is read only after its checksum matched, and still nothing in it is believed: every length is checked before
//! it is used, texts are parsed as if a stranger had sent them, and allocation is bounded by the payload's own length.

use std::ops::Range;
use std::sync::Arc;

use suiro_record::{Batch, Kind, NodeRef, RootId, Row, Scope, Signal, Source, TimeKind, Utf8Report, Value};
use suiro_sdk::Pool;

use super::encode::{FIXED, LOSSLESS, LOSSLESS_BODY, LOSSLESS_HEADER, ROW, VERSION};

/// Why a payload is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Damage {
    /// Another version of the agent wrote it.
    #[error("its version {0} is not known to this agent")]
    Version(u8),
    /// A length or number in it is out of its bounds.
    #[error("its lengths do not add up")]
    Bounds,
    /// Its head is not one.
    #[error("its head is damaged")]
    Head,
    /// A record's text is not JSON.
    #[error("a record in it is damaged")]
    Record,
}

/// Decodes payloads; remembers the last head, since the next one mostly is the same.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    last: Option<Head>,
}

#[derive(Debug)]
struct Head {
    text: Vec<u8>,
    lossless: bool,
    tag: Arc<str>,
    signal: Signal,
    /// At least one, at most 65,536.
    scopes: Vec<Arc<Scope>>,
}

// === impl Decoder ===

impl Decoder {
    /// The batch of `records` records in `payload`, in memory of `pool`.
    pub(super) fn decode(&mut self, payload: &[u8], records: u32, pool: &Pool) -> Result<Batch, Damage> {
        let mut read = Reader(payload);
        let lossless = match read.take::<1>()? {
            [VERSION] => false,
            [LOSSLESS] => true,
            [other] => return Err(Damage::Version(other)),
        };
        let read_at = i64::from_le_bytes(read.take()?);
        let head_len = u32::from_le_bytes(read.take()?) as usize;
        let head = read.slice(head_len)?;
        let rows_len = (records as usize).checked_mul(ROW).ok_or(Damage::Bounds)?;
        let rows = read.slice(rows_len)?;
        let texts = read.0;
        debug_assert_eq!(payload.len(), FIXED + head_len + rows_len + texts.len());
        let head = self.head(head, lossless)?;
        let Some(first) = head.scopes.first() else { return Err(Damage::Head) };
        let mut batch = pool.batch(head.tag.clone(), first.clone(), read_at);
        match fill(&mut batch, head, rows, texts) {
            Ok(()) => Ok(batch),
            Err(damage) => {
                pool.recycle(batch);
                Err(damage)
            }
        }
    }

    fn head(&mut self, text: &[u8], lossless: bool) -> Result<&Head, Damage> {
        match self.last.take().filter(|last| last.lossless == lossless && last.text == text) {
            Some(last) => Ok(self.last.insert(last)),
            None => Ok(self.last.insert(read_head(text, lossless).ok_or(Damage::Head)?)),
        }
    }
}

fn fill(batch: &mut Batch, head: &Head, rows: &[u8], texts: &[u8]) -> Result<(), Damage> {
    batch.signal = head.signal;
    for (at, scope) in head.scopes.iter().enumerate() {
        if batch.try_add_scope(scope).map(usize::from) != Some(at) {
            return Err(Damage::Head);
        }
    }
    batch.heap_mut().extend_from_slice(texts);
    // A span that starts or ends inside a character is no JSON text: the parser refuses it.
    if batch.check_utf8(0) == Utf8Report::Invalid {
        return Err(Damage::Record);
    }
    batch.rows.reserve(rows.len() / ROW);
    let mut at = 0;
    for row in rows.chunks_exact(ROW) {
        let mut read = Reader(row);
        let time = i64::from_le_bytes(read.take()?);
        let (start, end) = (u64::from_le_bytes(read.take()?), u64::from_le_bytes(read.take()?));
        let salt = u64::from_le_bytes(read.take()?);
        let ordinal = u32::from_le_bytes(read.take()?);
        let scope = u16::from_le_bytes(read.take()?);
        let [kind] = read.take()?;
        let lossless = kind & (LOSSLESS_BODY | LOSSLESS_HEADER);
        let time_kind = match kind & !lossless {
            0 => TimeKind::Read,
            1 => TimeKind::Own,
            _ => return Err(Damage::Bounds),
        };
        if lossless != 0 && !head.lossless {
            return Err(Damage::Bounds);
        }
        let header = span(&mut at, u32::from_le_bytes(read.take()?), texts.len())?;
        let body = span(&mut at, u32::from_le_bytes(read.take()?), texts.len())?;
        if end < start || usize::from(scope) >= head.scopes.len() {
            return Err(Damage::Bounds);
        }
        let root = parse(batch, body, lossless & LOSSLESS_BODY != 0)?;
        let mut row = Row::new(root, time, start, end);
        row.salt = salt;
        row.ordinal = ordinal;
        row.scope = scope;
        row.time_kind = time_kind;
        if !header.is_empty() {
            let map = parse(batch, header, lossless & LOSSLESS_HEADER != 0)?;
            if !batch.set_header_map(&mut row, map) {
                return Err(Damage::Record);
            }
        }
        batch.rows.push(row);
    }
    if at == texts.len() { Ok(()) } else { Err(Damage::Bounds) }
}

fn parse(batch: &mut Batch, span: Range<usize>, lossless: bool) -> Result<RootId, Damage> {
    let parsed = if lossless { batch.parse_lossless(span) } else { batch.parse_json(span) };
    parsed.map_err(|_| Damage::Record)
}

/// The next `len` bytes of the texts.
fn span(at: &mut usize, len: u32, end: usize) -> Result<Range<usize>, Damage> {
    let start = *at;
    *at = start.checked_add(len as usize).filter(|to| *to <= end).ok_or(Damage::Bounds)?;
    Ok(start..*at)
}

/// A slice that is read from its front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn slice(&mut self, len: usize) -> Result<&'a [u8], Damage> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(Damage::Bounds)?;
        self.0 = rest;
        Ok(head)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Damage::Bounds)?;
        self.0 = rest;
        Ok(*head)
    }
}

// === the head ===

fn read_head(text: &[u8], lossless: bool) -> Option<Head> {
    let nobody = Arc::new(Scope::new(Arc::new(Source::new("".into(), 0))));
    let mut json = Batch::new("".into(), nobody, 0);
    json.heap_mut().extend_from_slice(text);
    if json.check_utf8(0) == Utf8Report::Invalid {
        return None;
    }
    let root = parse(&mut json, 0..text.len(), lossless).ok()?;
    let head = json.body(root);
    let tag = member(head, "tag")?.as_str()?;
    let signal = member(head, "signal")?.as_str()?;
    let signal = [Signal::Logs, Signal::Traces, Signal::Metrics].into_iter().find(|known| known.name() == signal)?;
    let mut sources: Vec<Arc<Source>> = Vec::new();
    let mut scopes = Vec::new();
    for of in member(head, "scopes")?.children() {
        let input = member(of, "input")?.as_str()?;
        let incarnation = member(of, "incarnation")?.as_str()?;
        let incarnation = u128::from_str_radix(&incarnation, 16).ok()?;
        let known =
            sources.iter().find(|known| known.incarnation() == incarnation && **known.input() == *input).cloned();
        let source = known.unwrap_or_else(|| {
            let source = Arc::new(Source::new(input.as_ref().into(), incarnation));
            sources.push(source.clone());
            source
        });
        let (resource, scope) = (attributes(member(of, "resource")?)?, attributes(member(of, "scope")?)?);
        let resource_details = match member(of, "details") {
            Some(details) => attributes(details)?,
            None => Vec::new(),
        };
        scopes.push(Arc::new(Scope { source, resource, resource_details, scope }));
    }
    if scopes.is_empty() || scopes.len() > usize::from(u16::MAX) {
        return None;
    }
    Some(Head { tag: tag.as_ref().into(), signal, text: text.to_vec(), lossless, scopes })
}

fn member<'a>(map: NodeRef<'a>, key: &str) -> Option<NodeRef<'a>> {
    map.children().find(|child| child.key() == Some(key))
}

fn attributes(map: NodeRef<'_>) -> Option<Vec<(String, Value)>> {
    match (map.kind(), map.to_value()) {
        (Kind::Object, Value::Object(members)) => {
            Some(members.into_iter().map(|(key, value)| (key, with_numbers(value))).collect())
        }
        _ => None,
    }
}

/// Numbers as inputs give them: integers and floats where their text is what these write.
fn with_numbers(value: Value) -> Value {
    match value {
        Value::Number(text) => {
            let candidates = [
                text.parse().ok().map(Value::Int),
                text.parse().ok().map(Value::Uint),
                text.parse().ok().map(Value::Float),
            ];
            let same = candidates.into_iter().flatten().find(|value| value.to_text() == text.as_str());
            same.unwrap_or(Value::Number(text))
        }
        Value::Array(items) => Value::Array(items.into_iter().map(with_numbers).collect()),
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(key, value)| (key, with_numbers(value))).collect())
        }
        other => other,
    }
}
