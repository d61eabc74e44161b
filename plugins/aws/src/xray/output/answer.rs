//! What an answer means for each document, and so for each record.
//!
//! X-Ray answers 200 and names what it did not take: `UnprocessedTraceSegments`, each with an `ErrorCode`, a `Message` and,
//! mostly, the `Id` of a document.
//!
//! - One with an `Id` is about the document with that id (of several with one id, about one after the other).
//! - Those without, or with an id nobody sent, are about the documents that have no id of their own, if there are as many
//!   of those; or else about all documents nothing was said of, if there are as many. Otherwise nobody knows: all of these
//!   are sent again if nothing is wrong with them (throttling), and else they are kept as ambiguous.
//! - Throttling and failures of X-Ray's own are tried again; any other code is the document's fault.
//!
//! A record of which one document is to be tried again is tried again with all of them: their ids are the same each time.

use serde::Deserialize;
use suiro_sdk::aws::judge;
use suiro_sdk::http::{Answer, excerpt};
use suiro_sdk::{Outcome, Reason, Verdict};

use crate::xray::ids::SegmentId;

/// A document that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// The record it is of, by its number in the delivery; ascending.
    pub(super) record: usize,
    /// `None`: it came from elsewhere and shows none.
    pub(super) id: Option<SegmentId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Taken {
    unprocessed_trace_segments: Option<Vec<Unprocessed>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Unprocessed {
    id: Option<String>,
    error_code: Option<String>,
    message: Option<String>,
}

/// What became of the records; a partial outcome speaks of them by their numbers in the delivery.
pub(super) fn read(answer: &Answer, sent: &[Sent]) -> Outcome {
    match judge(answer) {
        Outcome::Delivered => {}
        outcome => return outcome,
    }
    if answer.cut || answer.broken.is_some() {
        let why = format!("{}: the answer ended early, and what was not taken is not known", answer.status);
        return Outcome::Retry { why, after: answer.retry_after, degraded: false };
    }
    match serde_json::from_slice::<Taken>(&answer.body) {
        Ok(taken) => verdicts(&taken.unprocessed_trace_segments.unwrap_or_default(), sent),
        Err(_) => {
            let why = format!("this is no answer of X-Ray's, is `endpoint` one? {}", answer.summary());
            Outcome::Retry { why, after: answer.retry_after, degraded: true }
        }
    }
}

fn verdicts(unprocessed: &[Unprocessed], sent: &[Sent]) -> Outcome {
    let mut of_documents: Vec<Option<Verdict>> = vec![None; sent.len()];
    let mut nameless = Vec::new();
    for one in unprocessed {
        let id = one.id.as_deref().and_then(SegmentId::parse);
        let found = (0..sent.len()).find(|&at| id.is_some() && sent[at].id == id && of_documents[at].is_none());
        match found {
            Some(at) => of_documents[at] = Some(one.verdict()),
            None => nameless.push(one),
        }
    }
    if !nameless.is_empty() {
        let unknown: Vec<usize> = (0..sent.len()).filter(|&at| of_documents[at].is_none()).collect();
        let idless: Vec<usize> = unknown.iter().copied().filter(|&at| sent[at].id.is_none()).collect();
        if let Some(known) = [idless, unknown.clone()].into_iter().find(|known| known.len() == nameless.len()) {
            for (at, one) in known.into_iter().zip(nameless) {
                of_documents[at] = Some(one.verdict());
            }
        } else {
            guess(&unknown, &nameless, &mut of_documents);
        }
    }
    of_records(of_documents, sent)
}

/// Nobody knows which of the documents at `unknown` are meant.
fn guess(unknown: &[usize], nameless: &[&Unprocessed], of_documents: &mut [Option<Verdict>]) {
    let Some(first) = nameless.first() else { return };
    let all_passing = nameless.iter().all(|one| one.is_passing());
    for (n, &at) in unknown.iter().enumerate() {
        of_documents[at] = Some(if all_passing {
            first.verdict()
        } else {
            Verdict::Unidentified { rejected: n < nameless.len(), detail: first.text() }
        });
    }
}

/// Of a record's documents, the verdict that leaves most to be done.
fn of_records(of_documents: Vec<Option<Verdict>>, sent: &[Sent]) -> Outcome {
    let rank = |verdict: &Verdict| match verdict {
        Verdict::Retry { .. } => 3,
        Verdict::Refused { .. } => 2,
        Verdict::Unidentified { rejected, .. } => i32::from(*rejected),
        Verdict::Drop(_) => 0,
    };
    let mut of_records: Vec<(usize, Verdict)> = Vec::new();
    for (verdict, sent) in of_documents.into_iter().zip(sent) {
        let Some(verdict) = verdict else { continue };
        match of_records.last_mut().filter(|(record, _)| *record == sent.record) {
            Some((_, worst)) if rank(worst) >= rank(&verdict) => {}
            Some((_, worst)) => *worst = verdict,
            None => of_records.push((sent.record, verdict)),
        }
    }
    if of_records.is_empty() { Outcome::Delivered } else { Outcome::Partial(of_records) }
}

// === impl Unprocessed ===

impl Unprocessed {
    fn verdict(&self) -> Verdict {
        if self.is_passing() {
            Verdict::Retry { why: self.text(), after: None, degraded: false }
        } else {
            Verdict::Refused { reason: Reason::REJECTED, detail: self.text() }
        }
    }

    /// Whether it is no fault of the document's.
    fn is_passing(&self) -> bool {
        let code = self.error_code.as_deref().unwrap_or_default();
        ["Throttl", "TooManyRequests", "LimitExceeded", "Internal", "ServiceUnavailable", "Timeout"]
            .iter()
            .any(|part| code.contains(part))
    }

    fn text(&self) -> String {
        let part = |text: &Option<String>| excerpt(text.as_deref().unwrap_or_default().as_bytes());
        match (part(&self.error_code), part(&self.message)) {
            (code, message) if code.is_empty() && message.is_empty() => "X-Ray did not take it".to_owned(),
            (code, message) if message.is_empty() => code,
            (code, message) if code.is_empty() => message,
            (code, message) => format!("{code}: {message}"),
        }
    }
}
