//! From an answer of 200 to what becomes of each event.

use aws_sdk_cloudwatchlogs::types::RejectedLogEventsInfo;
use suiro_sdk::Reason;

/// More than 14 days old.
const TOO_OLD: Reason = Reason("too_old");
/// Older than what the group keeps.
const EXPIRED: Reason = Reason("expired");
/// More than 2 hours ahead.
const TOO_NEW: Reason = Reason("too_new");

/// Which of the events of a request, by place, are not taken, and never will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rejected {
    /// One past the last that is too old.
    too_old: usize,
    /// One past the last that the group would not keep.
    expired: usize,
    /// The first that is too new.
    too_new: usize,
}

// === impl Rejected ===

impl Rejected {
    /// Of a request with `events`. An index that can't be is taken for the nearest one that can.
    pub(super) fn of(info: Option<&RejectedLogEventsInfo>, events: usize) -> Rejected {
        let place = |index: Option<i32>, none: usize| {
            index.map_or(none, |index| usize::try_from(index).unwrap_or(0).min(events))
        };
        Rejected {
            too_old: place(info.and_then(|info| info.too_old_log_event_end_index), 0),
            expired: place(info.and_then(|info| info.expired_log_event_end_index), 0),
            too_new: place(info.and_then(|info| info.too_new_log_event_start_index), events),
        }
    }

    /// Why the event at `place` was not taken, if so.
    pub(super) fn reason(&self, place: usize) -> Option<(Reason, &'static str)> {
        if place < self.too_old {
            Some((TOO_OLD, "the service takes nothing more than 14 days old"))
        } else if place < self.expired {
            Some((EXPIRED, "it is older than what the log group keeps"))
        } else if place >= self.too_new {
            Some((TOO_NEW, "the service takes nothing more than 2 hours ahead"))
        } else {
            None
        }
    }

    /// Whether there are any, of `events`.
    pub(super) fn is_empty(&self, events: usize) -> bool {
        self.too_old == 0 && self.expired == 0 && self.too_new >= events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_exclusive_and_starts_inclusive() {
        let info = |old, expired, new| {
            RejectedLogEventsInfo::builder()
                .set_too_old_log_event_end_index(old)
                .set_expired_log_event_end_index(expired)
                .set_too_new_log_event_start_index(new)
                .build()
        };
        let of = |info: &RejectedLogEventsInfo| -> Vec<&str> {
            let rejected = Rejected::of(Some(info), 5);
            assert_eq!(rejected.is_empty(5), (0..5).all(|place| rejected.reason(place).is_none()));
            (0..5).map(|place| rejected.reason(place).map_or("", |(reason, _)| reason.0)).collect()
        };
        assert_eq!(of(&info(None, None, None)), ["", "", "", "", ""]);
        assert_eq!(of(&info(Some(1), Some(3), Some(4))), ["too_old", "expired", "expired", "", "too_new"]);
        assert_eq!(of(&info(Some(0), None, Some(5))), ["", "", "", "", ""]);
        assert_eq!(of(&info(Some(5), None, None)), ["too_old"; 5]);
        assert_eq!(of(&info(None, None, Some(0))), ["too_new"; 5]);
        // What can't be.
        assert_eq!(of(&info(Some(-1), Some(i32::MAX), Some(-7))), ["expired"; 5]);
        assert!(Rejected::of(None, 5).is_empty(5));
    }
}
