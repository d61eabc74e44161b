//! Time as text and numbers, and back.
//!
//! Everything here deals in nanoseconds since the epoch, UTC, as an `i64`: years 1677 to 2262. What lies outside is not a
//! time (`None`), never a wrapped one.
//!
//! The formats that nearly all records use are read and written by hand, without allocating: RFC 3339, epochs, and the
//! one of the common log format. [`TimeFormat`] is a parser's `time_format` and `time_zone`; what it does not know by
//! heart goes through `jiff`, with the zone database of the system or, where there is none, a bundled one.

mod civil;
mod clf;
mod epoch;
mod format;
mod reading;
mod rfc3339;
mod write;

#[cfg(test)]
mod tests;

use std::time::{SystemTime, UNIX_EPOCH};

pub use self::clf::parse_clf;
pub use self::epoch::{epoch_float, epoch_int, parse_epoch};
pub use self::format::{TimeFormat, TimeFormatError};
pub use self::reading::ReadingClock;
pub use self::rfc3339::parse_rfc3339;
pub use self::write::write_rfc3339;

/// Nanoseconds in a second.
pub const SECOND: i64 = 1_000_000_000;

/// The time of day, as the system has it.
pub fn now() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    }
}

/// Nanoseconds out of seconds and a fraction of one.
fn join(seconds: i64, nanos: u32) -> Option<i64> {
    // 128 bits: the first second of the range begins before it.
    i64::try_from(i128::from(seconds) * i128::from(SECOND) + i128::from(nanos)).ok()
}
