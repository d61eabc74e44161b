//! From bytes to spans as records.

use std::ops::Range;
use std::sync::Arc;

use suiro_record::Source;
use suiro_sdk::spans::Spans;

use crate::json::{self, JsonError};
use crate::protobuf::{self, ProtobufError};
use crate::span::Span;
use crate::translate::{self, Scopes};

/// What a list of spans is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON, version 2.
    Json,
    /// `zipkin.proto3.ListOfSpans`
    Protobuf,
}

/// Why a list is not taken. None of its spans is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// In JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// In protobuf.
    #[error(transparent)]
    Protobuf(#[from] ProtobufError),
}

/// Adds the spans of `bytes`, which come from `source`, to `spans`. After an error there may be some of them among `spans`.
pub fn decode(bytes: &[u8], format: Format, source: Arc<Source>, spans: &mut Spans<'_>) -> Result<(), DecodeError> {
    let mut scopes = Scopes::new(source);
    let each = |span: Span<'_>, place: Range<usize>| {
        let (scope, write) = translate::prepare(&span, &mut scopes, place.start as u64..place.end as u64);
        spans.add(&scope, write).map_err(|error| format!("this span can't be kept: {error}"))
    };
    match format {
        Format::Json => json::read(bytes, each)?,
        Format::Protobuf => protobuf::read(bytes, each)?,
    }
    Ok(())
}
