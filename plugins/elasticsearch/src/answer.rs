//! From an answer of `_bulk` to what becomes of the records. The table is in the crate's documentation.

use serde::Deserialize;
use suiro_sdk::http::{Answer, excerpt, judge};
use suiro_sdk::{Outcome, Reason, Verdict};

/// An answer that is read to its end, at most: what is said about all records, and about each.
pub(crate) const ANSWER: usize = 1 << 20;
pub(crate) const ANSWER_PER_RECORD: usize = 1 << 10;
pub(crate) const ANSWER_MAX: usize = 16 << 20;

/// How answers of servers begin if all went well, unless they ignore `filter_path`.
const ALL_WELL: &[u8] = b"{\"errors\":false";

#[derive(Deserialize)]
struct Bulk {
    errors: bool,
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(alias = "index")]
    create: ItemStatus,
}

#[derive(Deserialize)]
struct ItemStatus {
    status: u16,
    error: Option<Complaint>,
}

#[derive(Deserialize)]
struct Whole {
    error: Complaint,
}

/// An error is an object nearly everywhere, and a text where no handler was found for the request.
#[derive(Deserialize)]
#[serde(untagged)]
enum Complaint {
    Text(String),
    Object(ErrorObject),
}

#[derive(Deserialize)]
struct ErrorObject {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    caused_by: Option<Cause>,
}

#[derive(Deserialize)]
struct Cause {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    reason: Option<String>,
}

/// What becomes of the records `sent`, by what the server said. `ours`: the ids are.
pub(crate) fn outcome(answer: &Answer, sent: &[usize], ours: bool) -> Outcome {
    if answer.is_success() {
        return items(answer, sent, ours);
    }
    let lost = |why: String| Outcome::Retry { why, after: answer.retry_after, degraded: true };
    let said = serde_json::from_slice::<Whole>(&answer.body).ok().map(|whole| whole.error);
    match (answer.status.as_u16(), said) {
        (429, Some(Complaint::Object(error))) if is_beyond_bound(&error) => Outcome::TooLarge,
        (400, Some(Complaint::Object(error)))
            if error.kind == "action_request_validation_exception" && sent.len() > 1 =>
        {
            Outcome::TooLarge
        }
        (400, Some(Complaint::Text(_))) | (406, _) => lost(format!("{}; is `url` right?", answer.summary())),
        _ if answer.is_wrong_address() => lost(format!("{}; is `url` right?", answer.summary())),
        _ => judge(answer),
    }
}

fn items(answer: &Answer, sent: &[usize], ours: bool) -> Outcome {
    let unknown = |why: String| Outcome::Retry { why, after: answer.retry_after, degraded: true };
    if answer.cut {
        // Fewer records get a shorter answer.
        return if sent.len() > 1 { Outcome::TooLarge } else { unknown("the answer has no end".to_owned()) };
    }
    if let Some(broken) = &answer.broken {
        return broken.clone().into_outcome();
    }
    if answer.body.starts_with(ALL_WELL) {
        return Outcome::Delivered;
    }
    let Ok(bulk) = serde_json::from_slice::<Bulk>(&answer.body) else {
        return unknown(format!("this is no answer to _bulk: {}", answer.summary()));
    };
    if !bulk.errors {
        return Outcome::Delivered;
    }
    if bulk.items.len() != sent.len() {
        return unknown(format!("the answer speaks of {} records, and {} were sent", bulk.items.len(), sent.len()));
    }
    let verdicts: Vec<(usize, Verdict)> = sent
        .iter()
        .zip(bulk.items)
        .filter_map(|(&number, item)| Some((number, verdict(item.create, ours, answer)?)))
        .collect();
    if verdicts.is_empty() { Outcome::Delivered } else { Outcome::Partial(verdicts) }
}

/// `None`: the server has it.
fn verdict(item: ItemStatus, ours: bool, answer: &Answer) -> Option<Verdict> {
    let said = || match &item.error {
        Some(error) => format!("{} {}", item.status, error.text()),
        None => item.status.to_string(),
    };
    match item.status {
        200..=299 => None,
        409 if ours => None,
        401 | 403 | 429 | 500.. => {
            let degraded = matches!(item.status, 401 | 403);
            Some(Verdict::Retry { why: said(), after: answer.retry_after, degraded })
        }
        _ => Some(Verdict::Refused { reason: Reason::REJECTED, detail: said() }),
    }
}

/// Whether the node would refuse the request even if it had nothing else to do.
fn is_beyond_bound(error: &ErrorObject) -> bool {
    let reason = error.reason.as_deref().unwrap_or_default();
    let number = |name: &str| -> Option<u64> {
        let at = reason.find(name)? + name.len();
        let digits = &reason[at..];
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        digits[..end].parse().ok()
    };
    match (number("coordinating_operation_bytes="), number("max_coordinating_and_primary_bytes=")) {
        (Some(asked), Some(bound)) => asked > bound,
        _ => false,
    }
}

// === impl Complaint ===

impl Complaint {
    fn text(&self) -> String {
        let text = match self {
            Complaint::Text(text) => text.clone(),
            Complaint::Object(error) => {
                let mut text = error.kind.clone();
                let cause = error.caused_by.as_ref();
                for (kind, reason) in
                    [(None, error.reason.as_ref()), (cause.map(|c| &c.kind), cause.and_then(|c| c.reason.as_ref()))]
                {
                    for word in [kind, reason].into_iter().flatten().filter(|word| !word.is_empty()) {
                        text.push_str(": ");
                        text.push_str(word);
                    }
                }
                text
            }
        };
        excerpt(text.as_bytes())
    }
}
