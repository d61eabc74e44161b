//! From an answer to what becomes of a request's records, by the protocol's rules.
//!
//! | HTTP | gRPC | outcome |
//! | --- | --- | --- |
//! | 2xx | 0 | delivered, or a partial success: so many refused, nobody says which |
//! | 429, 502, 503, 504 | 1, 4, 10, 11, 14, 15 | retry, when `Retry-After` or `RetryInfo` says |
//! | | 8 (`RESOURCE_EXHAUSTED`) | with `RetryInfo`: retry then; for the size of the message: in halves; else refused |
//! | 413 | | in halves |
//! | 401, 403, 407 | 7, 16 | retry, degraded: an operator must mend it |
//! | 404, 405, 410, 3xx, 501, 505, 511; a page of HTML | 12 (`UNIMPLEMENTED`) | retry, degraded: `url` is wrong, or the server does not take the signal |
//! | any other | any other | refused: the protocol forbids to try again |

use suiro_record::Signal;
use suiro_sdk::http::{Answer, CallAnswer, excerpt, judge};
use suiro_sdk::{Outcome, Reason};

use crate::codec::answer::{Encoding, PartialSuccess, Status};

/// What becomes of the records, and what the server says beside it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) outcome: Outcome,
    pub(super) warning: Option<String>,
}

/// An answer to plain HTTP.
pub(super) fn http(signal: Signal, encoding: Encoding, answer: &Answer) -> Judged {
    let outcome = match answer.status.as_u16() {
        200..=299 if answer.body.trim_ascii_start().starts_with(b"<") => wrong_address(signal, answer.summary()),
        200..=299 => {
            // Servers that answer in the other encoding took the records all the same.
            let other = if encoding == Encoding::Json { Encoding::Protobuf } else { Encoding::Json };
            let read = |encoding| PartialSuccess::read(signal, encoding, &answer.body);
            return success(read(encoding).or_else(|| read(other)).unwrap_or_default());
        }
        429 | 502 | 503 | 504 => {
            let after = answer.retry_after.or_else(|| status(encoding, &answer.body)?.retry);
            Outcome::Retry { why: summary(encoding, answer), after, degraded: false }
        }
        // What an operator must mend, and 413.
        300..=399 | 401 | 403 | 407 | 413 | 501 | 505 | 511 => judge(answer),
        _ if answer.is_wrong_address() => wrong_address(signal, answer.summary()),
        _ => Outcome::Refused { reason: Reason::REJECTED, detail: summary(encoding, answer) },
    };
    Judged { outcome, warning: None }
}

/// How a call of gRPC ended.
pub(super) fn call(signal: Signal, answer: &CallAnswer) -> Judged {
    let details = Status::read(Encoding::Protobuf, &answer.details).and_then(|status| status.retry);
    let after = details.or(answer.retry_after);
    let text = format!("{} ({}): {}", name(answer.code), answer.code, answer.message);
    let outcome = match answer.code {
        0 => {
            let body = answer.body.as_deref().unwrap_or_default();
            return success(PartialSuccess::read(signal, Encoding::Protobuf, body).unwrap_or_default());
        }
        1 | 4 | 10 | 11 | 14 | 15 => Outcome::Retry { why: text, after, degraded: false },
        8 if details.is_some() => Outcome::Retry { why: text, after, degraded: false },
        8 if is_too_large(&answer.message) => Outcome::TooLarge,
        7 | 16 => Outcome::Retry { why: text, after, degraded: true },
        12 => wrong_address(signal, text),
        _ => Outcome::Refused { reason: Reason::REJECTED, detail: text },
    };
    Judged { outcome, warning: None }
}

/// gRPC servers say so in words only: Go's, Java's, tonic's.
fn is_too_large(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["larger than max", "exceeds maximum", "message too large", "decoded message length too large"]
        .iter()
        .any(|said| message.contains(said))
}

fn success(partial: PartialSuccess) -> Judged {
    let said = excerpt(partial.message.as_bytes());
    if partial.rejected > 0 {
        let rejected = usize::try_from(partial.rejected).ok();
        return Judged { outcome: Outcome::Unidentified { rejected, detail: said }, warning: None };
    }
    Judged { outcome: Outcome::Delivered, warning: (!said.is_empty()).then_some(said) }
}

fn wrong_address(signal: Signal, said: String) -> Outcome {
    let name = signal.name();
    let why = format!("{said}; is `url` right, and does the server take {name}? If not, leave {name} out of `signal`");
    Outcome::Retry { why, after: None, degraded: true }
}

fn status(encoding: Encoding, body: &[u8]) -> Option<Status> {
    let other = if encoding == Encoding::Json { Encoding::Protobuf } else { Encoding::Json };
    Status::read(encoding, body).or_else(|| Status::read(other, body))
}

/// What the error says, in the form the protocol has for it or in any other.
fn summary(encoding: Encoding, answer: &Answer) -> String {
    match status(encoding, &answer.body) {
        Some(status) if !status.message.is_empty() => {
            format!("{}: {}", answer.status, excerpt(status.message.as_bytes()))
        }
        _ => answer.summary(),
    }
}

fn name(code: i32) -> &'static str {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    usize::try_from(code).ok().and_then(|code| NAMES.get(code)).copied().unwrap_or("a code gRPC does not know")
}
