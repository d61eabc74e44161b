//! What fits into one request, by the service's rule: 1,048,576 bytes, of which each event takes its message's as UTF-8
//! and 26 more; 10,000 events; events in the order of their times, which are no more than 24 hours apart.

/// Bytes of a request.
pub(super) const MAX_BYTES: usize = 1_048_576;
/// Bytes an event takes besides its message.
pub(super) const PER_EVENT: usize = 26;
/// Events of a request.
pub(super) const MAX_EVENTS: usize = 10_000;
/// How far the times of a request's events may be apart, milliseconds.
pub(super) const MAX_SPAN: i64 = 24 * 60 * 60 * 1000;

/// A request as it fills. Events come in the order of their times.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Filling {
    bytes: usize,
    events: usize,
    /// Time of the first event, milliseconds.
    first: i64,
}

// === impl Filling ===

impl Filling {
    /// Whether one more fits: then it is counted. The first always does; whoever made it saw to its size.
    #[inline]
    pub(super) fn admit(&mut self, time: i64, message: usize) -> bool {
        let bytes = self.bytes + message + PER_EVENT;
        if self.events == 0 {
            self.first = time;
        } else if bytes > MAX_BYTES || self.events == MAX_EVENTS || time.saturating_sub(self.first) > MAX_SPAN {
            return false;
        }
        self.bytes = bytes;
        self.events += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn to_the_last_byte_event_and_millisecond() {
        let mut filling = Filling::default();
        assert!(filling.admit(5, MAX_BYTES - 2 * PER_EVENT - 1));
        assert!(!filling.admit(5, 2));
        assert!(filling.admit(5, 1));
        assert!(!filling.admit(5, 1));

        let mut filling = Filling::default();
        for _ in 0..MAX_EVENTS {
            assert!(filling.admit(0, 1));
        }
        assert!(!filling.admit(0, 1));

        let mut filling = Filling::default();
        assert!(filling.admit(1, 1));
        assert!(filling.admit(1 + MAX_SPAN, 1));
        assert!(!filling.admit(2 + MAX_SPAN, 1));
    }

    proptest! {
        /// Whatever comes, cut where it does not fit: each request is legal, and holds as much as it can.
        #[test]
        fn every_request_is_legal(
            mut events in prop::collection::vec(
                (0..3 * MAX_SPAN, prop_oneof![1..200_usize, 1..=MAX_BYTES - PER_EVENT]), 1..300,
            ),
        ) {
            events.sort_unstable();
            let mut requests: Vec<Vec<(i64, usize)>> = vec![Vec::new()];
            let mut filling = Filling::default();
            for &(time, len) in &events {
                if !filling.admit(time, len) {
                    filling = Filling::default();
                    prop_assert!(filling.admit(time, len));
                    requests.push(Vec::new());
                }
                requests.last_mut().unwrap().push((time, len));
            }
            let is_legal = |request: &[(i64, usize)]| {
                request.iter().map(|(_, len)| len + 26).sum::<usize>() <= 1_048_576
                    && request.len() <= 10_000
                    && request[request.len() - 1].0 - request[0].0 <= 86_400_000
            };
            for (at, request) in requests.iter().enumerate() {
                prop_assert!(is_legal(request));
                if let Some(next) = requests.get(at + 1) {
                    let one_more: Vec<_> = request.iter().chain(next.first()).copied().collect();
                    prop_assert!(!is_legal(&one_more));
                }
            }
        }
    }
}
