//! From an answer to what becomes of the records.

use reqwest::StatusCode;

use super::answer::Answer;
use crate::ledger::Reason;
use crate::output::{Outcome, Verdict};

/// What an answer means where the system has no rules of its own. The table is in the [module](super)'s documentation.
pub fn judge(answer: &Answer) -> Outcome {
    let retry = |degraded| Outcome::Retry { why: answer.summary(), after: answer.retry_after, degraded };
    match answer.status.as_u16() {
        200..=299 => Outcome::Delivered,
        300..=399 => {
            let to = answer.location.as_deref().unwrap_or("nowhere");
            let why = format!(
                "{}: redirected to {to}; redirects are not followed, `url` must be where it ends",
                answer.status
            );
            Outcome::Retry { why, after: answer.retry_after, degraded: true }
        }
        401 | 403 | 407 | 501 | 505 | 511 => retry(true),
        408 | 425 | 429 | 500.. => retry(false),
        413 => Outcome::TooLarge,
        _ => Outcome::Refused { reason: Reason::REJECTED, detail: answer.summary() },
    }
}

/// The outcome of a request that carried these records, record by record; a partial one speaks of them by their numbers in
/// the delivery already.
pub fn verdicts(records: &[usize], outcome: Outcome) -> Vec<(usize, Verdict)> {
    let each = |verdict: Verdict| records.iter().map(|&n| (n, verdict.clone())).collect();
    match outcome {
        Outcome::Delivered => Vec::new(),
        Outcome::Partial(verdicts) => verdicts,
        Outcome::Retry { why, after, degraded } => each(Verdict::Retry { why, after, degraded }),
        Outcome::TooLarge => {
            let detail = "larger than the server takes at once".to_owned();
            each(Verdict::Refused { reason: Reason::TOO_LARGE, detail })
        }
        Outcome::Refused { reason, detail } => each(Verdict::Refused { reason, detail }),
        Outcome::Unidentified { rejected, detail } => {
            let rejected = rejected.unwrap_or(records.len());
            let verdict = |at: usize| Verdict::Unidentified { rejected: at < rejected, detail: detail.clone() };
            records.iter().enumerate().map(|(at, &n)| (n, verdict(at))).collect()
        }
    }
}

/// Joins what was decided about some records before sending (`before`, ascending) with what became of those sent
/// (`sent`, ascending; `outcome` speaks of them by their numbers in the delivery).
///
/// If the sent ones are tried again, so are the others: what was decided about them will be decided again.
pub fn set_apart(before: Vec<(usize, Verdict)>, sent: &[usize], outcome: Outcome) -> Outcome {
    if before.is_empty() || matches!(outcome, Outcome::Retry { .. } | Outcome::TooLarge) {
        return outcome;
    }
    let mut after = verdicts(sent, outcome);
    after.extend(before);
    after.sort_by_key(|(n, _)| *n);
    Outcome::Partial(after)
}

/// A request that got its answer: the records it carried, by number, and what becomes of them.
pub type Answered = (Vec<usize>, Outcome);

/// One outcome of a delivery that was several requests: joins what was decided about some records before sending (`apart`)
/// with what became of the others. A request that was the only one is treated as [`set_apart`] has it.
pub fn one_outcome(mut apart: Vec<(usize, Verdict)>, mut answered: Vec<Answered>) -> Outcome {
    apart.sort_by_key(|(number, _)| *number);
    if answered.len() == 1
        && let Some((numbers, outcome)) = answered.pop()
    {
        return set_apart(apart, &numbers, outcome);
    }
    let mut all = apart;
    for (numbers, outcome) in answered {
        all.extend(verdicts(&numbers, outcome));
    }
    all.sort_by_key(|(number, _)| *number);
    if all.is_empty() { Outcome::Delivered } else { Outcome::Partial(all) }
}

impl Answer {
    /// Whether the status is in the 200s.
    pub fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// Whether it can only mean that `url` is wrong, where a system's path is fixed: no record is guilty of it.
    pub fn is_wrong_address(&self) -> bool {
        matches!(self.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: Some(Duration::from_secs(3)),
            location: None,
            headers: reqwest::header::HeaderMap::new(),
            body: body.into(),
            cut: false,
            broken: None,
        }
    }

    #[test]
    fn the_table_of_the_module() {
        for status in [200, 201, 202, 204, 206] {
            assert_eq!(judge(&answer(status, "")), Outcome::Delivered);
        }
        let after = Some(Duration::from_secs(3));
        for status in [408, 425, 429, 500, 502, 503, 504, 507, 520, 599] {
            let why = answer(status, "busy").summary();
            assert_eq!(judge(&answer(status, "busy")), Outcome::Retry { why, after, degraded: false }, "{status}");
        }
        for status in [301, 302, 307, 308, 401, 403, 407, 501, 505, 511] {
            assert!(matches!(judge(&answer(status, "")), Outcome::Retry { degraded: true, .. }), "{status}");
        }
        assert_eq!(judge(&answer(413, "")), Outcome::TooLarge);
        for status in [400, 404, 405, 406, 409, 415, 422] {
            let detail = answer(status, "<h1>no</h1>").summary();
            assert!(detail.ends_with(": no"), "{detail}");
            assert_eq!(
                judge(&answer(status, "<h1>no</h1>")),
                Outcome::Refused { reason: Reason::REJECTED, detail },
                "{status}"
            );
        }
    }

    #[test]
    fn records_set_apart_keep_their_verdicts() {
        let drop = |n| (n, Verdict::Drop(Reason::MISSING_FIELD));
        let refused = |n, reason| (n, Verdict::Refused { reason, detail: "no".to_owned() });
        let sent = [0, 2, 3];
        let before = || vec![drop(1), drop(4)];
        let join = |outcome| set_apart(before(), &sent, outcome);
        assert_eq!(join(Outcome::Delivered), Outcome::Partial(before()));
        assert_eq!(
            join(Outcome::Partial(vec![refused(2, Reason::REJECTED)])),
            Outcome::Partial(vec![drop(1), refused(2, Reason::REJECTED), drop(4)])
        );
        let all = |reason| {
            Outcome::Partial(vec![refused(0, reason), drop(1), refused(2, reason), refused(3, reason), drop(4)])
        };
        assert_eq!(join(Outcome::Refused { reason: Reason::REJECTED, detail: "no".into() }), all(Reason::REJECTED));
        let perhaps = |n, rejected| (n, Verdict::Unidentified { rejected, detail: "no".to_owned() });
        assert_eq!(
            join(Outcome::Unidentified { rejected: Some(1), detail: "no".into() }),
            Outcome::Partial(vec![perhaps(0, true), drop(1), perhaps(2, false), perhaps(3, false), drop(4)])
        );
        assert_eq!(
            join(Outcome::Unidentified { rejected: None, detail: "no".into() }),
            Outcome::Partial(vec![perhaps(0, true), drop(1), perhaps(2, true), perhaps(3, true), drop(4)])
        );
        assert_eq!(join(Outcome::TooLarge), Outcome::TooLarge);
        let unidentified = Outcome::Unidentified { rejected: Some(1), detail: "no".into() };
        assert_eq!(set_apart(vec![], &sent, unidentified.clone()), unidentified);
    }
}
