//! Fluentd's protocol: the input `forward`. Settings, and what becomes of an event, are in `docs/forward.md`.
//!
//! ```text
//! connection ── scanner ──▶ burst ──────▶ batches ──▶ intake ──▶ worker
//!  TLS, PING     where a     messages       of one                  │
//!      ▲         message     that are       tag each                │ queued, or delivered
//!      │         ends        complete                               ▼
//!      └──────────────────────── acknowledgements ◀──────────── tickets
//! ```
//!
//! # Constraints
//!
//! - Who sends is not trusted. A connection costs 64 KiB; what a message needs beyond that is taken out of
//!   `max_pending` as a whole before more is read of it, and never twice at once: so connections can't wait for each other.
//!   Decoded batches are bounded by `max_pending` as well, with the groups of their records, and at a stop so is what
//!   workers take while there are connections. A length is never believed before its bytes are there.
//! - Where there is no room nothing is refused: nothing more is read, and the network tells the sender to wait.
//! - A message that has begun must come to its end in time; a connection on which nothing is said may stay: containers that
//!   have nothing to say keep theirs for days.
//!
//! # Guarantee
//!
//! A chunk is acknowledged once its records are in every queue, or delivered, as `ack` says; one that is not may be in there
//! as well. Of messages without a chunk nobody knows: what has come when the agent is told to stop is read and delivered, as
//! far as `max_pending` goes, and what was not read is lost. Of packed events that are broken the rest is lost, and counted:
//! to ask for them again would bring the same.

mod buffer;
pub mod burst;
mod connection;
mod event;
pub mod frame;
mod group;
mod handshake;
mod input;
mod listen;
pub mod message;
pub mod msgpack;
mod settings;

#[cfg(test)]
mod tests;

use suiro_sdk::Registry;

/// Adds the plugins of this crate.
pub fn register(registry: &mut Registry) {
    registry.input(
        "forward",
        "takes log records by Fluentd's protocol: Fluentd, Fluent Bit, Docker, FireLens",
        input::build,
    );
}
