//! Jaeger: the `jaeger` input.

mod decode;
mod model;
mod thrift;
mod translate;

#[cfg(test)]
mod tests;

pub use self::decode::{DecodeError, Form, decode};
pub use self::thrift::{Protocol, ThriftError};
