//! Zipkin: the `zipkin` input and output.
//!
//! # Settings of the input
//!
//! | setting | default | |
//! | --- | --- | --- |
//! | `listen` | `127.0.0.1:9411` | `POST /api/v2/spans`: a list in JSON, or `ListOfSpans` in protobuf |
//! | `ack`, `ack_timeout` | `queued`, 8s | when a request is answered, see [`suiro_sdk::intake`] |
//! | `auth`, `tls`, `max_body`, `max_pending`, `max_connections`, `timeout` | | see [`suiro_sdk::serve`] |
//!
//! # Settings of the output
//!
//! | setting | default | |
//! | --- | --- | --- |
//! | `url` | | Zipkin's, or several; `/api/v2/spans` is added unless it is there |
//! | `auth`, `tls`, `headers`, `timeout`, `compression` | | see [`suiro_sdk::http::ClientSettings`] |
//!
//! # Guarantee
//!
//! In: what is answered 202 is in the queue of every output (`ack`); what is not answered is to be sent again, and may then
//! come twice. A list is taken whole or not at all: 400 says which span is wrong.
//! Out: at least once. Zipkin keeps a span that comes twice twice, and shows it once.
//!
//! # What an answer means
//!
//! As [`suiro_sdk::http`] has it; 404 and 405 mean that `url` is wrong, and are tried again. Zipkin refuses (400) a list for
//! one span it does not take, so what would be refused is set aside before it is sent: a record without the ids of a span.
//!
//! What becomes of a span is in `translate` (in) and `encode` (out).

mod decode;
mod encode;
mod input;
mod json;
mod names;
mod output;
mod protobuf;
mod span;
mod translate;

#[cfg(test)]
mod tests;

pub use self::decode::{DecodeError, Format, decode};
pub use self::json::JsonError;
pub use self::protobuf::ProtobufError;

/// Adds the plugins of this crate.
pub fn register(registry: &mut suiro_sdk::Registry) {
    registry.input("zipkin", "spans for Zipkin: JSON and protobuf over HTTP", input::build);
    registry.output("zipkin", "Zipkin, by its API of version 2", output::build);
}
