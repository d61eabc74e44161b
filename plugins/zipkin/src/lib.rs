//! Zipkin: the `zipkin` input and output.

mod decode;
mod encode;
mod json;
mod names;
mod protobuf;
mod span;
mod translate;

#[cfg(test)]
mod tests;

pub use self::decode::{DecodeError, Format, decode};
