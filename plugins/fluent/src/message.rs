//! The shape of a message, before its events are read.
//!
//! ```text
//! Message                  [tag, time, record, option?]
//! Forward                  [tag, [[time, record], ...], option?]
//! PackedForward            [tag, bytes of [time, record] after [time, record] ..., option?]
//! CompressedPackedForward  the same, compressed, with the option `compressed`
//! ```
//!
//! Texts may be `str` or `bin`, wherever they stand. A message of another shape is refused whole.

use std::ops::Range;

use suiro_sdk::decompress::Encoding;

use crate::msgpack::{Broken, Head, Reader};

/// A message: where its parts stand.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The tag.
    pub tag: Range<usize>,
    /// Its events.
    pub events: Events,
    /// `chunk`: its sender waits for this to be acknowledged. The value with its head, as it is sent back.
    pub chunk: Option<Range<usize>>,
    /// `size`: how many events its sender says there are; 0: it does not say.
    pub size: u64,
}

/// How the events of a message are kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Events {
    /// One: time and record stand here, one behind the other.
    One(Range<usize>),
    /// A list of so many stands here.
    List(Range<usize>, u32),
    /// They stand here, one behind the other, as many as there are; perhaps compressed.
    Packed(Range<usize>, Encoding),
}

/// Why a message is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// It is not even MessagePack.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// It is MessagePack, and something else.
    #[error("{0}")]
    Shape(&'static str),
    /// It is compressed in a way that is not known.
    #[error("its events are compressed as `{0}`; known are gzip and zstd")]
    Compression(String),
}

/// Longest tag.
const MAX_TAG: usize = 1024;
/// Longest `chunk`: 16 bytes in base64 are usual.
const MAX_CHUNK: usize = 1024;

// === impl Message ===

impl Message {
    /// Reads the message that stands in `span`. `None`: a heartbeat.
    pub fn read(bytes: &[u8], span: Range<usize>) -> Result<Option<Message>, MessageError> {
        let mut reader = Reader::new(bytes, span);
        let parts = match reader.head()? {
            Head::Nil => return Ok(None),
            Head::Array(parts @ 2..=4) => parts,
            _ => return Err(MessageError::Shape("it is no list of two to four values")),
        };
        let tag = reader.text()?.ok_or(MessageError::Shape("its tag is no text"))?;
        if tag.len() > MAX_TAG {
            return Err(MessageError::Shape("its tag is longer than 1,024 bytes"));
        }
        let (at, mut list) = (reader.at(), reader.clone());
        let (events, read) = match reader.head()? {
            Head::Array(events) => {
                let from = reader.at();
                list.skip()?;
                reader = list;
                (Events::List(from..reader.at(), events), 2)
            }
            Head::Str(length) | Head::Bin(length) => (Events::Packed(reader.payload(length)?, Encoding::Identity), 2),
            Head::Map(_) | Head::Bool(_) => return Err(MessageError::Shape("it has neither a time nor events")),
            head if parts >= 3 => {
                reader.payload(head.payload())?;
                reader.skip()?;
                (Events::One(at..reader.at()), 3)
            }
            _ => return Err(MessageError::Shape("it has a time and no record")),
        };
        let mut message = Message { tag, events, chunk: None, size: 0 };
        match parts.checked_sub(read) {
            Some(0) => {}
            Some(1) => message.option(bytes, &mut reader)?,
            _ => return Err(MessageError::Shape("it has more parts than it may")),
        }
        Ok(Some(message))
    }

    /// Reads the option, which stands last.
    fn option(&mut self, bytes: &[u8], reader: &mut Reader<'_>) -> Result<(), MessageError> {
        let pairs = match reader.head()? {
            Head::Map(pairs) => pairs,
            Head::Nil => 0,
            _ => return Err(MessageError::Shape("its option is no map")),
        };
        for _ in 0..pairs {
            let Some(key) = reader.text()? else {
                reader.skip()?;
                reader.skip()?;
                continue;
            };
            let from = reader.at();
            match &bytes[key] {
                b"chunk" => {
                    let Some(chunk) = reader.text()? else {
                        return Err(MessageError::Shape("its option `chunk` is no text"));
                    };
                    if chunk.len() > MAX_CHUNK {
                        return Err(MessageError::Shape("its option `chunk` is longer than 1,024 bytes"));
                    }
                    self.chunk = Some(from..reader.at());
                }
                b"size" => {
                    self.size = match reader.clone().head()? {
                        Head::Uint(events) => events,
                        Head::Int(events) => u64::try_from(events).unwrap_or(0),
                        _ => 0,
                    };
                    reader.skip()?;
                }
                b"compressed" => {
                    let Some(name) = reader.text()? else {
                        return Err(MessageError::Shape("its option `compressed` is no text"));
                    };
                    let encoding = match &bytes[name.clone()] {
                        b"gzip" => Encoding::Gzip,
                        b"zstd" => Encoding::Zstd,
                        b"text" | b"" => Encoding::Identity,
                        other => {
                            let name = String::from_utf8_lossy(&other[..other.len().min(32)]);
                            return Err(MessageError::Compression(name.into_owned()));
                        }
                    };
                    if let Events::Packed(_, how) = &mut self.events {
                        *how = encoding;
                    }
                }
                b"fluent_signal" => {
                    // Others are metrics and traces, in an encoding of Fluent Bit's own.
                    if !matches!(reader.head()?, Head::Uint(0) | Head::Int(0)) {
                        return Err(MessageError::Shape(
                            "it holds metrics or traces in Fluent Bit's encoding: send OTLP",
                        ));
                    }
                }
                _ => reader.skip()?,
            }
        }
        Ok(())
    }
}
