//! AWS X-Ray.
//!
//! A span is a *segment* (what a service did) or a *subsegment* (what it did for that), a JSON document of at most 64 kB.
//! [`input`] makes spans of documents, or keeps them as they are; `output` makes documents of spans and sends them.
//! `docs/xray.md` is their page.

pub(crate) mod ids;
pub mod input;
pub(crate) mod output;

/// Where a span that came from X-Ray's own SDKs keeps the document it was read from, as text. The output sends that text
/// as it is, and none of the span's other fields.
pub(crate) const SEGMENT: &str = "xray.segment";

/// A segment's document may be so long, in bytes. X-Ray says "64 kB", which is the smaller reading of it.
pub(crate) const MAX_DOCUMENT: usize = 64_000;

/// Adds the plugins.
pub(crate) fn register(registry: &mut suiro_sdk::Registry) {
    registry.input("xray", "the X-Ray daemon's protocol: segments over UDP, sampling rules over HTTP", input::build);
    registry.output("xray", "AWS X-Ray: spans as segments", output::build);
}
