//! The `otlp` output: OTLP over gRPC or HTTP.
//!
//! # Settings
//!
//! | setting | default | |
//! | --- | --- | --- |
//! | `url` | | `http://host:4317`, `https://host/otlp`. HTTP: `/v1/logs`, `/v1/traces` or `/v1/metrics` is added |
//! | `protocol` | by the port of `url` | `grpc` for 4317, `http` for all others |
//! | `encoding` | `protobuf` | or `json`, with `http` only |
//! | `compression` | `none` | `gzip`, `zstd` |
//! | `auth`, `tls`, `headers`, `timeout` | | see [`suiro_sdk::http::ClientSettings`] |
//!
//! # Guarantee
//!
//! At least once. A delivery that was not answered is sent again; trace and span ids are the same then, so that most stores
//! merge them.
//!
//! # What an answer means
//!
//! The protocol's own rules ([`answer`]): what it says must not be retried is not. A partial success says how many records
//! were refused and not which: they are counted as `rejected_unidentified`, the request goes to the dead letter as
//! ambiguous, and nothing is sent twice. One that refuses none is a warning.
//!
//! A delivery of several signals is as many requests; each has its own answer.

mod answer;
mod settings;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::ops::Range;

use bytes::Bytes;
use smallvec::SmallVec;
use suiro_record::{Batch, Row, Signal};
use suiro_sdk::http::{Client, FRAME, Failure, Request, one_outcome};
use suiro_sdk::pool::SharedBatch;
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Delivering, Delivery, Outcome, Output, OutputSetup, Part, Rows, StartError};

use self::answer::Judged;
use self::settings::{Protocol, Settings};
use crate::codec::answer::Encoding;
use crate::codec::{Encoder, json};

/// An answer is read so far.
const ANSWER: usize = 64 << 10;

const SIGNALS: [Signal; 3] = [Signal::Logs, Signal::Traces, Signal::Metrics];

/// A record and its batch.
type Record<'d> = (&'d Batch, &'d Row);

/// The records of one signal, with their numbers in the delivery.
struct Lane<'d> {
    signal: Signal,
    numbers: Vec<usize>,
    records: Vec<Record<'d>>,
}

/// What a request is made of.
enum Records<'d> {
    /// A delivery of one signal.
    Parts(&'d [Part]),
    /// Some of a signal.
    Some(&'d [Record<'d>]),
}

/// A batch that is a request.
struct Whole(SharedBatch);

impl AsRef<[u8]> for Whole {
    fn as_ref(&self) -> &[u8] {
        self.0.request().unwrap_or_default()
    }
}

struct Otlp {
    settings: Settings,
    /// From the start on.
    started: Option<Started>,
}

struct Started {
    /// One for each of [`SIGNALS`]; they share connections.
    clients: [Client; 3],
    /// What a server warned of last: it is said once.
    warning: RefCell<String>,
}

/// Reads the settings.
pub(crate) fn build(settings: &Section) -> Result<Box<dyn Output>, Reported> {
    Ok(Box::new(Otlp { settings: Settings::read(settings)?, started: None }))
}

// === impl Otlp ===

impl Otlp {
    async fn send(&self, delivery: &Delivery) -> Outcome {
        let Some(started) = &self.started else {
            return Outcome::Retry { why: "the output has not started".to_owned(), after: None, degraded: true };
        };
        // Mostly it is one signal.
        if let [first, others @ ..] = delivery.parts.as_slice()
            && others.iter().all(|part| part.batch.signal == first.batch.signal)
        {
            return self.request(started, first.batch.signal, &Records::Parts(&delivery.parts)).await;
        }
        let mut lanes: SmallVec<[Lane<'_>; 3]> = SmallVec::new();
        for (number, (batch, row)) in delivery.records().enumerate() {
            let at = lanes.iter().position(|lane| lane.signal == batch.signal).unwrap_or(lanes.len());
            if at == lanes.len() {
                lanes.push(Lane { signal: batch.signal, numbers: Vec::new(), records: Vec::new() });
            }
            lanes[at].numbers.push(number);
            lanes[at].records.push((batch, row));
        }
        let mut outcomes = Vec::new();
        for lane in &lanes {
            self.send_lane(started, lane, &mut outcomes).await;
        }
        one_outcome(Vec::new(), outcomes)
    }

    /// Sends the records of one of several signals, in halves where the other side wants less at once.
    async fn send_lane(&self, started: &Started, lane: &Lane<'_>, outcomes: &mut Vec<(Vec<usize>, Outcome)>) {
        let mut todo: Vec<Range<usize>> = std::iter::once(0..lane.records.len()).collect();
        while let Some(part) = todo.pop() {
            match self.request(started, lane.signal, &Records::Some(&lane.records[part.clone()])).await {
                Outcome::TooLarge if part.len() > 1 => {
                    let middle = part.start + part.len() / 2;
                    todo.extend([middle..part.end, part.start..middle]);
                }
                outcome => outcomes.push((lane.numbers[part].to_vec(), outcome)),
            }
        }
    }

    /// Sends one request.
    async fn request(&self, started: &Started, signal: Signal, records: &Records<'_>) -> Outcome {
        let client = &started.clients[signal as usize];
        if self.settings.protocol == Protocol::Grpc
            && !client.compresses()
            && let Some(pieces) = records.untouched()
        {
            let called = client.call_in_pieces(service(signal), pieces, ANSWER).await;
            return started.judge(signal, called.map(|answer| answer::call(signal, &answer)));
        }
        let mut body = client.buffer();
        match (self.settings.protocol, self.settings.encoding) {
            (Protocol::Grpc, _) => {
                body.bytes.resize(FRAME, 0);
                records.encode(signal, &mut body.bytes);
            }
            (Protocol::Http, Encoding::Protobuf) => records.encode(signal, &mut body.bytes),
            (Protocol::Http, Encoding::Json) => {
                let mut protobuf = client.buffer();
                records.encode(signal, &mut protobuf.bytes);
                if let Err(error) = json::from_protobuf(signal, &protobuf.bytes, &mut body.bytes) {
                    // What was just written is read: it can't be.
                    let detail = format!("the request can't be written as JSON: {error}");
                    return Outcome::Refused { reason: suiro_sdk::Reason::REJECTED, detail };
                }
            }
        }
        let judged = match self.settings.protocol {
            Protocol::Grpc => {
                let called = client.call(service(signal), body, ANSWER).await;
                called.map(|answer| answer::call(signal, &answer))
            }
            Protocol::Http => {
                let request = Request {
                    method: reqwest::Method::POST,
                    body,
                    content_type: self.settings.content_type(),
                    header: None,
                    limit: ANSWER,
                };
                let sent = client.send(request).await;
                sent.map(|answer| answer::http(signal, self.settings.encoding, &answer))
            }
        };
        started.judge(signal, judged)
    }
}

impl Output for Otlp {
    fn signals(&self) -> &'static [Signal] {
        &SIGNALS
    }

    fn takes_packed(&self) -> bool {
        true
    }

    fn start(&mut self, setup: &OutputSetup) -> Result<(), StartError> {
        let Settings { client, protocol, .. } = &self.settings;
        let ledger = setup.ledger.clone();
        let first = match protocol {
            Protocol::Grpc => Client::http2(client.clone(), ledger)?,
            Protocol::Http => Client::new(client.clone(), ledger)?,
        };
        let road = |signal| first.to(self.settings.endpoints(signal));
        let clients = SIGNALS.map(road);
        self.started = Some(Started { clients, warning: RefCell::default() });
        Ok(())
    }

    fn deliver<'a>(&'a self, delivery: &'a Delivery) -> Delivering<'a> {
        Box::pin(self.send(delivery))
    }
}

// === impl Records ===

impl Records<'_> {
    /// The requests they came in, if they are all that is in them, and untouched.
    fn untouched(&self) -> Option<Vec<Bytes>> {
        let Records::Parts(parts) = self else { return None };
        let whole = parts.iter().all(|part| part.rows == Rows::All && part.batch.request().is_some());
        whole.then(|| parts.iter().map(|part| Bytes::from_owner(Whole(part.batch.clone()))).collect())
    }

    fn encode(&self, signal: Signal, out: &mut Vec<u8>) {
        let mut encoder = Encoder::new(signal, out);
        match self {
            Records::Parts(parts) => parts.iter().for_each(|part| encoder.part(part)),
            Records::Some(records) => records.iter().for_each(|(batch, row)| encoder.record(batch, row)),
        }
        encoder.finish();
    }
}

// === impl Started ===

impl Started {
    /// What an answer, or none, comes to. What the server warns of is said.
    fn judge(&self, signal: Signal, judged: Result<Judged, Failure>) -> Outcome {
        match judged {
            Ok(Judged { outcome, warning }) => {
                warning.into_iter().for_each(|warning| self.warn(signal, warning));
                outcome
            }
            Err(failure) => failure.into_outcome(),
        }
    }

    fn warn(&self, signal: Signal, warning: String) {
        if *self.warning.borrow() != warning {
            tracing::warn!("the server took all {} and says: {warning}", signal.name());
            *self.warning.borrow_mut() = warning;
        }
    }
}

/// The method that takes a signal.
fn service(signal: Signal) -> &'static str {
    match signal {
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    }
}
