//! The time as the services have it.
//!
//! A signature is good for five minutes around the service's own time. A clock here that is off by more would have every
//! request refused, for ever: so the difference is learnt from such a refusal, and signatures carry the service's time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use aws_smithy_async::time::TimeSource;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

/// A difference that a signature bears, with room for the way.
pub(super) const BEARABLE: Duration = Duration::from_secs(4 * 60);

/// Our clock, put right.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    /// Milliseconds that the services are ahead of us.
    ahead: Arc<AtomicI64>,
}

// === impl Clock ===

impl Clock {
    pub(super) fn now(&self) -> SystemTime {
        let now = SystemTime::now();
        let ahead = self.ahead.load(Relaxed);
        let by = Duration::from_millis(ahead.unsigned_abs());
        let then = if ahead < 0 { now.checked_sub(by) } else { now.checked_add(by) };
        then.unwrap_or(now)
    }

    /// The service says it is `date` (a `Date` header). Says by how much the time in our signatures is off, if that is
    /// unbearable.
    pub(super) fn difference(&self, date: &[u8]) -> Option<Duration> {
        let off = difference(self.now(), date)?;
        (off.unsigned_abs() > BEARABLE.as_millis() as u64).then(|| Duration::from_millis(off.unsigned_abs()))
    }

    /// Takes the service's time for ours.
    pub(super) fn set(&self, date: &[u8]) {
        if let Some(ahead) = difference(SystemTime::now(), date) {
            self.ahead.store(ahead, Relaxed);
        }
    }
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        Clock::now(self)
    }
}

/// Milliseconds that `date` is ahead of `now`.
fn difference(now: SystemTime, date: &[u8]) -> Option<i64> {
    let date = parse_date(date)?;
    let now = Timestamp::try_from(now).ok()?;
    Some(date.as_millisecond().saturating_sub(now.as_millisecond()))
}

/// An HTTP date as it is written today: `Sun, 29 Nov 2026 15:13:00 GMT`.
fn parse_date(date: &[u8]) -> Option<Timestamp> {
    const PARSER: DateTimeParser = DateTimeParser::new();
    PARSER.parse_timestamp(date).ok()
}

/// What the service's date says about the clock here, in words; nothing if it agrees.
pub(super) fn complaint(date: &[u8]) -> Option<String> {
    let ahead = difference(SystemTime::now(), date)?;
    let seconds = ahead.unsigned_abs() / 1000;
    let direction = if ahead < 0 { "ahead of" } else { "behind" };
    (seconds > BEARABLE.as_secs()).then(|| format!("the clock here is {seconds} s {direction} the service's"))
}

#[cfg(test)]
mod tests {
    use jiff::fmt::rfc2822;

    use super::*;

    fn date(now: SystemTime) -> String {
        let timestamp = Timestamp::try_from(now).unwrap();
        rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&timestamp).unwrap()
    }

    #[test]
    fn the_services_time_is_taken() {
        let clock = Clock::default();
        let service = SystemTime::now() + Duration::from_secs(3600);
        let date = date(service);
        assert!(clock.difference(date.as_bytes()).unwrap() > Duration::from_secs(3590));
        assert!(complaint(date.as_bytes()).unwrap().contains("s behind the service's"));
        clock.set(date.as_bytes());
        assert!(clock.difference(date.as_bytes()).is_none());
        let off = clock.now().duration_since(service).unwrap_or_default();
        assert!(off < Duration::from_secs(30), "{off:?}");
    }

    #[test]
    fn what_is_no_date_changes_nothing() {
        let clock = Clock::default();
        for text in ["", "yesterday", "Sun, 99 Nov 2026 15:13:00 GMT", "\u{7f}"] {
            assert_eq!(clock.difference(text.as_bytes()), None);
            clock.set(text.as_bytes());
        }
        assert_eq!(clock.ahead.load(Relaxed), 0);
        assert_eq!(complaint(date(SystemTime::now()).as_bytes()), None);
    }
}
