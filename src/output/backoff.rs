//! When to try again, and how many requests at once.

use std::time::Duration;

use super::RetrySettings;

/// How long to wait before attempt number `attempt` (from 1): a random time below a bound that doubles, so that many agents
/// do not come back together ("full jitter"). What the server asked for is a lower bound.
pub(super) fn wait(settings: &RetrySettings, attempt: u32, asked: Option<Duration>) -> Duration {
    let doublings = attempt.saturating_sub(1).min(20);
    let bound = settings.initial.saturating_mul(1 << doublings).min(settings.max);
    let jitter = bound.mul_f64(rand::random::<f64>());
    // A server that names a day is not believed: an operator would see nothing move.
    let asked = asked.unwrap_or_default().min(settings.max.max(Duration::from_secs(300)));
    asked + jitter
}

/// Requests at once: one more after each round that went well, half as many when the other side is overwhelmed.
#[derive(Debug)]
pub(super) struct Concurrency {
    limit: f64,
    max: f64,
}

// === impl Concurrency ===

impl Concurrency {
    pub(super) fn new(max: usize) -> Self {
        Concurrency { limit: max as f64, max: max as f64 }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit as usize
    }

    pub(super) fn went_well(&mut self) {
        self.limit = (self.limit + 1.0 / self.limit).min(self.max);
    }

    pub(super) fn overwhelmed(&mut self) {
        self.limit = (self.limit / 2.0).max(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_bound_and_honour_the_server() {
        let settings =
            RetrySettings { initial: Duration::from_millis(100), max: Duration::from_secs(2), max_attempts: None };
        for attempt in 1..100_u32 {
            let bound = Duration::from_millis(100 << attempt.min(12).saturating_sub(1)).min(settings.max);
            assert!(wait(&settings, attempt, None) <= bound);
        }
        let asked = wait(&settings, 1, Some(Duration::from_secs(7)));
        assert!(asked >= Duration::from_secs(7) && asked <= Duration::from_millis(7100));
        assert!(wait(&settings, 1, Some(Duration::from_secs(86_400))) <= Duration::from_secs(301));
    }

    #[test]
    fn concurrency_halves_and_recovers() {
        let mut concurrency = Concurrency::new(4);
        concurrency.overwhelmed();
        concurrency.overwhelmed();
        concurrency.overwhelmed();
        assert_eq!(concurrency.limit(), 1);
        for _ in 0..40 {
            concurrency.went_well();
        }
        assert_eq!(concurrency.limit(), 4);
    }
}
