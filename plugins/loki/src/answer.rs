//! From an answer of Loki's to what becomes of a request's records. The table is in the crate's documentation.

use suiro_sdk::http::{Answer, excerpt, judge};
use suiro_sdk::{Outcome, Reason};

/// An answer is read so far. Loki quotes whole labels and lists up to ten entries.
pub(crate) const ANSWER: usize = 64 << 10;

/// Loki was told to take nothing of this tenant, or of this stream, for some time.
const BLOCKED: Reason = Reason("blocked");

/// How texts begin that mean the whole request: it was not looked into any further, nothing of it is stored.
const WHOLE: [&str; 8] = [
    "couldn't parse labels",
    "error at least one valid stream",
    "loghttp.",
    "mime:",
    "multiple org IDs",
    "proto:",
    "snappy:",
    "tenant ID",
];

/// What becomes of the `records` of a request.
pub(crate) fn outcome(answer: &Answer, records: usize) -> Outcome {
    let text = String::from_utf8_lossy(&answer.body);
    let wrong_address = || {
        let why = format!("{}; is `url` right?", answer.summary());
        Outcome::Retry { why, after: answer.retry_after, degraded: true }
    };
    match answer.status.as_u16() {
        260 => Outcome::Refused { reason: BLOCKED, detail: answer.summary() },
        200..=299 if text.trim_start().starts_with('<') => wrong_address(),
        400 => {
            let refused = Outcome::Refused { reason: Reason::REJECTED, detail: answer.summary() };
            if records <= 1 || WHOLE.iter().any(|head| text.starts_with(head)) {
                refused
            } else {
                // How many it means can't be read out of the text: it tells of one kind of failure and hides the others.
                Outcome::Unidentified { rejected: None, detail: excerpt(&answer.body) }
            }
        }
        429 if is_beyond_rate(&text) => Outcome::TooLarge,
        500 if text.contains("received message larger than max") => Outcome::TooLarge,
        _ if answer.is_wrong_address() => wrong_address(),
        _ => judge(answer),
    }
}

/// Whether the request alone is more than a second's share: waiting would not help it.
fn is_beyond_rate(text: &str) -> bool {
    let number = |behind: &str| -> Option<u64> {
        let digits = &text[text.find(behind)? + behind.len()..];
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        digits[..end].parse().ok()
    };
    if !text.starts_with("ingestion rate limit exceeded") {
        return false;
    }
    matches!((number("(limit: "), number("totaling '")), (Some(limit), Some(total)) if total > limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_beyond_the_rate_is_halved_not_repeated() {
        let text = |total: u32| {
            format!(
                "ingestion rate limit exceeded for user fake (limit: 4194304 bytes/sec) while attempting to ingest '700' \
                 lines totaling '{total}' bytes, reduce log volume"
            )
        };
        assert!(is_beyond_rate(&text(7_004_900)));
        assert!(!is_beyond_rate(&text(1_000_000)));
        assert!(!is_beyond_rate("ingestion rate limit exceeded (limit: 99999999999999999999) totaling '"));
        assert!(!is_beyond_rate("slow down"));
    }
}
