//! Jaeger: the `jaeger` input. Spans as Jaeger's clients and OpenTelemetry's Jaeger exporters send them.
//!
//! # Settings
//!
//! | setting | default | |
//! | --- | --- | --- |
//! | `listen` | `127.0.0.1:14268` | Thrift over HTTP, `POST /api/traces`; `false`: not |
//! | `udp_compact` | `127.0.0.1:6831` | the compact protocol over UDP; `false`: not |
//! | `udp_binary` | `127.0.0.1:6832` | the binary protocol over UDP; `false`: not |
//! | `receive_buffer` | 4 MiB | what the system keeps of datagrams for the agent to read |
//! | `ack`, `ack_timeout` | `queued`, 8s | when a request is answered, see [`suiro_sdk::intake`] |
//! | `auth`, `tls`, `max_body`, `max_pending`, `max_connections`, `timeout` | | of HTTP, see [`suiro_sdk::serve`] |
//!
//! # Formats
//!
//! Over HTTP the body is a bare structure `Batch` of `jaeger.thrift`, in the binary protocol
//! (`application/x-thrift`, `application/vnd.apache.thrift.binary`) or in the compact one
//! (`application/vnd.apache.thrift.compact`). In a datagram it is the argument of a message `emitBatch`. What becomes of a
//! span is in `translate`.
//!
//! # Guarantee
//!
//! Over HTTP: what is answered 202 is in the queue of every output (`ack`); what is not answered is to be sent again, and may
//! then come twice. A batch is taken whole or not at all (400 says what is wrong with it). Over UDP nobody can be
//! told to send again: what was read is delivered, and what is lost is counted ([`suiro_sdk::datagrams`]).

mod decode;
mod input;
mod model;
mod thrift;
mod translate;
mod udp;

#[cfg(test)]
mod tests;

pub use self::decode::{DecodeError, Form, decode};
pub use self::thrift::{Protocol, ThriftError};

/// Adds the input.
pub fn register(registry: &mut suiro_sdk::Registry) {
    registry.input("jaeger", "spans of Jaeger's clients: Thrift over HTTP and UDP", input::build);
}
