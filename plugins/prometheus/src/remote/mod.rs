//! Remote write: its messages, the output that sends them and the input that takes them.

mod decode;
mod encode;
mod histogram;
pub(crate) mod input;
mod message;
#[cfg(test)]
mod outcomes;
pub(crate) mod output;
mod point;
mod protobuf;
mod series;
#[cfg(test)]
mod tests;

pub use self::decode::{Version, Written, read};
pub use self::output::encode;
