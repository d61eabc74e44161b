//! The output: spans to documents, documents to calls, answers to verdicts.

use serde::Deserialize;
use std::borrow::Cow;
use std::time::Duration;

use suiro_sdk::aws::{Account, Call, Caller, Method, Service};
use suiro_sdk::http::{Answered, Buffer, Tried, in_requests, one_outcome};
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
        let records: Vec<(&Batch, &Row)> = delivery.records().collect();
        let mut encoder = Encoder { rules: &self.settings.rules, resource: None, documents: Documents::default() };
        let mut apart = Vec::new();
        let answered = in_requests(records.len(), async |numbers| {
            let mut pending = Pending::new(caller);
            let mut left = Vec::new();
            for (at, &number) in numbers.iter().enumerate() {
                let (batch, row) = records[number];
                match encoder.encode(batch, row) {
                    Ok(encoded) if pending.add(number, &encoded) => {}
                    Ok(_) => {
                        left = numbers[at..].to_vec();
                        break;
                    }
                    Err(why) => {
                        let detail = format!("this is no span for X-Ray: {why}");
                        apart.push((number, Verdict::Refused { reason: Reason::MALFORMED, detail }));
                    }
                }
            }
            Tried { left, answered: pending.send(caller).await }
        })
        .await;
        one_outcome(apart, answered)
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

    /// Adds the documents of a record. Says whether they had room; the first always has.
    fn add(&mut self, record: usize, encoded: &Encoded<'_>) -> bool {
        let has_room = self.sent.len() + encoded.len() <= MAX_DOCUMENTS && self.body.bytes.len() < MAX_BODY;
        if !has_room && !self.sent.is_empty() {
            return false;
        }
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
        true
    }

    fn add_document(&mut self, text: &str, sent: Sent) {
        if !self.sent.is_empty() {
            self.body.bytes.push(b',');
        }
        write_json_str(text, &mut self.body.bytes);
        self.sent.push(sent);
    }

    /// The records in it, and what became of them, if there are any.
    async fn send(mut self, caller: &Caller) -> Option<Answered> {
        if self.sent.is_empty() {
            return None;
        }
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
        Some((records, outcome))
    }
}
