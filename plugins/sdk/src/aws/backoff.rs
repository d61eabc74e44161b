//! A look-up that failed is not repeated for each request.

use std::time::Duration;

use tokio::time::Instant;

use super::error::AccountError;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// Failures in a row, and the last one, which is the answer until it is time for another attempt.
#[derive(Debug, Default)]
pub(super) struct Backoff(Option<Failed>);

#[derive(Debug)]
struct Failed {
    error: AccountError,
    wait: Duration,
    until: Instant,
}

// === impl Backoff ===

impl Backoff {
    /// Whether an attempt may be made now.
    pub(super) fn check(&self) -> Result<(), AccountError> {
        match &self.0 {
            Some(failed) if Instant::now() < failed.until => Err(failed.error.clone()),
            _ => Ok(()),
        }
    }

    pub(super) fn failed(&mut self, error: AccountError) {
        let wait = self.0.as_ref().map_or(FIRST, |failed| (failed.wait * 2).min(LONGEST));
        self.0 = Some(Failed { error, wait, until: Instant::now() + wait });
    }

    pub(super) fn succeeded(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_last_error_is_the_answer_for_a_while() {
        let mut backoff = Backoff::default();
        let error = |n: u32| AccountError(format!("no {n}"));
        let mut waits = Vec::new();
        for n in 0..9 {
            assert_eq!(backoff.check(), Ok(()));
            backoff.failed(error(n));
            let start = Instant::now();
            while backoff.check() == Err(error(n)) {
                tokio::time::advance(Duration::from_secs(1)).await;
            }
            waits.push(start.elapsed().as_secs());
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        backoff.succeeded();
        backoff.failed(error(9));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(backoff.check(), Ok(()));
    }
}
