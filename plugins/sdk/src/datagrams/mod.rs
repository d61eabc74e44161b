//! Datagrams, for inputs whose senders send nothing again.
//!
//! # Constraints
//!
//! - They are read on a thread of their own, by calls that block, so that no request and no TLS handshake keeps it from
//!   reading: what the system's buffer holds is a few milliseconds' worth.
//! - What is there is taken in one go, a [`Burst`]: it shares an origin and a hand-over. Bursts are bounded by bytes and by
//!   datagrams, since empty ones take no bytes.
//! - Nobody can be told to send again. So what finds no room is counted by records, what can't be read by datagrams, and what
//!   the system dropped since its buffer was full by its own count (`SO_RXQ_OVFL`), which it tells with the next datagram
//!   that it does keep. What is sent while nobody listens nobody can count here.
//! - A thread with nothing to read sleeps, until there is something or it is to end.
//! - When the agent stops, what was read is taken ([`LastCall`](crate::intake::LastCall)), and what comes behind that is
//!   counted as [`STOPPED`].

mod socket;
mod spans;
#[cfg(test)]
mod tests;

pub use self::socket::{Burst, Datagrams, RECEIVE_BUFFER_FULL, receive_buffer};
pub use self::spans::{Decode, Gate, SpanReader};

use crate::ledger::Reason;

/// The agent has stopped.
pub const STOPPED: Reason = Reason("stopped");
