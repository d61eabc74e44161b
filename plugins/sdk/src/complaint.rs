//! What goes wrong again and again, said once in a while.

use std::time::{Duration, Instant};

/// After that long it is worth another line in the log.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// Something that goes wrong, how often since it was last said, and when that was.
#[derive(Debug, Default)]
pub struct Complaint {
    said: Option<Instant>,
    unsaid: usize,
}

// === impl Complaint ===

impl Complaint {
    /// It happened `n` times more. How many there were since it was last said, if it is time to say it.
    pub fn of(&mut self, n: usize) -> Option<usize> {
        self.unsaid += n;
        let is_time = self.unsaid > 0 && self.said.is_none_or(|said| said.elapsed() >= SAY_AGAIN);
        is_time.then(|| {
            self.said = Some(Instant::now());
            std::mem::take(&mut self.unsaid)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once_in_a_while() {
        let mut complaint = Complaint::default();
        assert_eq!(complaint.of(0), None);
        assert_eq!(complaint.of(2), Some(2));
        assert_eq!((complaint.of(1), complaint.of(3)), (None, None));
        complaint.said = Instant::now().checked_sub(SAY_AGAIN);
        assert_eq!(complaint.of(1), Some(5));
    }
}
