//! OTLP messages to records and back.
//!
//! Requests are read and written as protobuf; JSON is translated to protobuf and from it ([`json`]), so that there is one
//! mapping. The answers of the protocol are in [`answer`].

use std::borrow::Cow;
use std::sync::Arc;

use suiro_record::{Batch, Row, Scope, Signal, Source};
use suiro_sdk::protobuf::Malformed;

pub mod answer;
mod decode;
mod edit;
mod encode;
mod index;
pub mod json;
mod message;
mod record;
mod scan;
mod schema;
#[cfg(test)]
mod tests;
mod value;
mod words;

pub(crate) use encode::Encoder;
pub use index::{MAX_NESTING, MAX_RECORDS};

/// Why a request, or a record of it, can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct DecodeError {
    /// What is wrong.
    pub what: Cow<'static, str>,
    /// Where, about: a byte of the request.
    pub at: usize,
}

impl From<Malformed> for DecodeError {
    fn from(Malformed { what, at }: Malformed) -> Self {
        error(what, at)
    }
}

fn error(what: &'static str, at: usize) -> DecodeError {
    DecodeError { what: what.into(), at }
}

/// What a request holds.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Its records.
    pub batches: Vec<Batch>,
    /// How many more there are that can't be read.
    pub refused: usize,
    /// What is wrong with the first of those.
    pub why: Option<DecodeError>,
}

/// Records of an `Export*ServiceRequest` in protobuf. A record whose inside is broken is left out and counted; where it is
/// broken outside of them, nothing becomes of it.
///
/// `source` stands for the request; `new_batch` makes an empty batch of the signal for records of that scope, its heap
/// empty too. Mostly one batch comes of it: another one is begun where one is full. A row's `start..end` are bytes of the
/// request.
pub fn decode(
    signal: Signal,
    request: Vec<u8>,
    source: &Arc<Source>,
    new_batch: &mut dyn FnMut(Arc<Scope>) -> Batch,
) -> Result<Decoded, DecodeError> {
    decode::decode(signal, request, source, new_batch)
}

/// Appends records of one signal as one `Export*ServiceRequest` in protobuf. Records that follow one another share what
/// stands above them: their resource, their scope, and what a metric says of all its points.
pub fn encode<'a>(signal: Signal, records: impl IntoIterator<Item = (&'a Batch, &'a Row)>, out: &mut Vec<u8>) {
    let mut encoder = Encoder::new(signal, out);
    records.into_iter().for_each(|(batch, row)| encoder.record(batch, row));
    encoder.finish();
}
