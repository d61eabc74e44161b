//! The output: spans to documents, documents to calls, answers to verdicts.

use serde::Deserialize;
use std::borrow::Cow;
use std::time::Duration;

use suiro_sdk::aws::{Account, Call, Caller, Method, Service};
use suiro_sdk::http::{Buffer, verdicts};
use suiro_sdk::record::{Batch, Row, Signal, write_json_str};
use suiro_sdk::{Delivering, Delivery, Limits, Outcome, Output, OutputSetup, Reason, StartError, Verdict};

use super::answer::{self, Sent};
use super::cloud::Resource;
use super::document::Documents;
use super::settings::{Rules, Settings};
use super::span::{Span, original};
use crate::xray::ids::SegmentId;

/// Documents X-Ray takes in a call.
const MAX_DOCUMENTS: usize = 50;
/// A call is closed at this size: X-Ray names no bound but that of documents. Bytes.
const MAX_BODY: usize = 1 << 20;
/// A document from elsewhere may be so long: the "64 kB" of its SDKs. Bytes.
const MAX_ORIGINAL: usize = 64 << 10;
/// Bytes of an answer: what is said of 50 documents.
const ANSWER: usize = 256 << 10;

const PATH: &str = "/TraceSegments";
const HEAD: &[u8] = b"{\"TraceSegmentDocuments\":[";
const TAIL: &[u8] = b"]}";

pub(super) struct XRay {
    pub(super) settings: Settings,
    /// From the start on.
    pub(super) caller: Option<Caller>,
}

/// A call that is being built.
struct Pending {
    body: Buffer,
    sent: Vec<Sent>,
}

/// Makes documents of records.
struct Encoder<'a> {
    rules: &'a Rules,
    /// That of the record before, mostly that of the next.
    resource: Option<Resource<'a>>,
    documents: Documents,
}

/// The documents of one record.
enum Encoded<'e> {
    /// As it came from an X-Ray SDK.
    Original(Cow<'e, str>, Option<SegmentId>),
    /// Made of the span's fields.
    Made(&'e Documents),
}

/// What was decided so far.
#[derive(Default)]
struct Progress {
    verdicts: Vec<(usize, Verdict)>,
    /// A call was answered.
    some_taken: bool,
}

/// What of a document from elsewhere is looked at.
#[derive(Deserialize)]
struct Head<'d> {
    #[serde(borrow)]
    id: Option<Cow<'d, str>>,
}

// === impl XRay ===

impl XRay {
    async fn send(&self, delivery: &Delivery) -> Outcome {
        let Some(caller) = &self.caller else {
            return Outcome::Retry { why: "the output has not started".to_owned(), after: None, degraded: true };
        };
        let mut encoder = Encoder { rules: &self.settings.rules, resource: None, documents: Documents::default() };
        let mut progress = Progress::default();
        let mut pending: Option<Pending> = None;
        for (number, (batch, row)) in delivery.records().enumerate() {
            let encoded = match encoder.encode(batch, row) {
                Ok(encoded) => encoded,
                Err(why) => {
                    let detail = format!("this is no span for X-Ray: {why}");
                    progress.verdicts.push((number, Verdict::Refused { reason: Reason::MALFORMED, detail }));
                    continue;
                }
            };
            if let Some(full) = pending.take_if(|pending| !pending.takes(encoded.len()))
                && let Err(outcome) = progress.finish(full.send(caller).await, number, delivery.len())
            {
                return outcome;
            }
            pending.get_or_insert_with(|| Pending::new(caller)).add(number, &encoded);
        }
        if let Some(last) = pending
            && let Err(outcome) = progress.finish(last.send(caller).await, delivery.len(), delivery.len())
        {
            return outcome;
        }
        progress.into_outcome()
    }
}

impl Output for XRay {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Traces]
    }

    fn limits(&self) -> Limits {
        Limits { max_records: MAX_DOCUMENTS, max_bytes: MAX_BODY, timeout: Duration::from_secs(1) }
    }

    fn start(&mut self, setup: &OutputSetup) -> Result<(), StartError> {
        let account = Account::new(self.settings.account.clone());
        self.caller = Some(Caller::new(account, Service::XRAY, self.settings.client.clone(), setup.ledger.clone())?);
        Ok(())
    }

    fn deliver<'a>(&'a self, delivery: &'a Delivery) -> Delivering<'a> {
        Box::pin(self.send(delivery))
    }
}

// === impl Encoder ===

impl<'a> Encoder<'a> {
    fn encode(&mut self, batch: &'a Batch, row: &Row) -> Result<Encoded<'_>, String> {
        if let Some(text) = original(batch, row).filter(|text| text.len() <= MAX_ORIGINAL && text.starts_with('{'))
            && let Ok(Head { id }) = serde_json::from_str::<Head<'_>>(&text)
        {
            let id = id.and_then(|id| SegmentId::parse(&id));
            return Ok(Encoded::Original(text, id));
        }
        let span = Span::read(batch, row)?;
        let scope = batch.scope(row);
        let known = self.resource.take().filter(|resource| resource.is_of(scope));
        let resource = known.unwrap_or_else(|| Resource::new(scope, self.rules));
        self.documents.clear();
        self.documents.add(&span, self.resource.insert(resource), self.rules);
        Ok(Encoded::Made(&self.documents))
    }
}

// === impl Encoded ===

impl Encoded<'_> {
    fn len(&self) -> usize {
        match self {
            Encoded::Original(..) => 1,
            Encoded::Made(documents) => documents.ends.len(),
        }
    }
}

// === impl Pending ===

impl Pending {
    fn new(caller: &Caller) -> Self {
        let mut body = caller.buffer();
        body.bytes.extend_from_slice(HEAD);
        Pending { body, sent: Vec::with_capacity(MAX_DOCUMENTS) }
    }

    /// Whether so many documents more may join.
    fn takes(&self, documents: usize) -> bool {
        self.sent.len() + documents <= MAX_DOCUMENTS && self.body.bytes.len() < MAX_BODY
    }

    fn add(&mut self, record: usize, encoded: &Encoded<'_>) {
        match encoded {
            Encoded::Original(text, id) => self.add_document(text, Sent { record, id: *id }),
            Encoded::Made(documents) => {
                for (bytes, id) in documents.iter() {
                    // What is written of a batch is UTF-8.
                    let text = std::str::from_utf8(bytes).unwrap_or_default();
                    self.add_document(text, Sent { record, id: Some(id) });
                }
            }
        }
    }

    fn add_document(&mut self, text: &str, sent: Sent) {
        if !self.sent.is_empty() {
            self.body.bytes.push(b',');
        }
        write_json_str(text, &mut self.body.bytes);
        self.sent.push(sent);
    }

    /// The records in it, and what became of them.
    async fn send(mut self, caller: &Caller) -> (Vec<usize>, Outcome) {
        self.body.bytes.extend_from_slice(TAIL);
        let call = Call {
            method: Method::POST,
            path: PATH,
            target: None,
            content_type: "application/json",
            headers: &[],
            body: self.body,
            limit: ANSWER,
        };
        let outcome = match caller.call(call).await {
            Ok(answer) => answer::read(&answer, &self.sent),
            Err(failure) => failure.into_outcome(),
        };
        let mut records: Vec<usize> = self.sent.into_iter().map(|sent| sent.record).collect();
        records.dedup();
        (records, outcome)
    }
}

// === impl Progress ===

impl Progress {
    /// Takes down what became of a call's records; `next..all` were not tried yet. `Err`: that ends the delivery.
    fn finish(&mut self, (records, outcome): (Vec<usize>, Outcome), next: usize, all: usize) -> Result<(), Outcome> {
        let (why, after, degraded) = match outcome {
            Outcome::Retry { .. } | Outcome::TooLarge if !self.some_taken => return Err(outcome),
            Outcome::Retry { why, after, degraded } => (why, after, degraded),
            // Tried again by itself, it is the first, and is halved.
            Outcome::TooLarge => ("too large at once".to_owned(), None, false),
            outcome => {
                self.some_taken = true;
                self.verdicts.extend(verdicts(&records, outcome));
                return Ok(());
            }
        };
        // What failed would fail again at once.
        let verdict = Verdict::Retry { why, after, degraded };
        self.verdicts.extend(records.into_iter().chain(next..all).map(|record| (record, verdict.clone())));
        Err(std::mem::take(self).into_outcome())
    }

    fn into_outcome(mut self) -> Outcome {
        self.verdicts.sort_by_key(|(record, _)| *record);
        if self.verdicts.is_empty() { Outcome::Delivered } else { Outcome::Partial(self.verdicts) }
    }
}
