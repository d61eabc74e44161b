//! The output `prometheus_remote_write`.
//!
//! # Settings
//!
//! | setting | default | |
//! | --- | --- | --- |
//! | `url` | | the whole URL: `http://127.0.0.1:9090/api/v1/write` |
//! | `version` | `auto` | or `1.0`, `2.0`. `auto` begins with 2.0 and falls back to 1.0 for good where the receiver does not show that it understood |
//! | `max_request` | 1 MiB | of one request, before compression, about |
//! | `target_info` | `true` | whether resources are told as `target_info` |
//! | `auth`, `tls`, `headers`, `timeout` | | see [`suiro_sdk::http::ClientSettings`] |
//!
//! # What an answer means
//!
//! | answer | outcome |
//! | --- | --- |
//! | 2xx; of 2.0 with `X-Prometheus-Remote-Write-Samples-Written` | delivered |
//! | 2xx without it, of 2.0; 415 | again as 1.0; with `version = "2.0"`: retry, degraded |
//! | 400 | refused, if one record was sent or the answer says that nothing was written; otherwise some are stored, some are not: `rejected_unidentified`, nothing is sent again |
//! | 404, 405, 410 | retry, degraded: `url` is wrong, or the receiver is not switched on |
//! | 413 | in halves |
//!
//! Otherwise as [`suiro_sdk::http`] has it: 5xx and 429 are tried again.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use suiro_record::{Batch, Row, Signal};
use suiro_sdk::http::header::{CONTENT_ENCODING, HeaderValue};
use suiro_sdk::http::{Answer, Buffer, Client, ClientSettings, Offer, Request, judge, verdicts};
use suiro_sdk::settings::{ByteSize, Reported, Section};
use suiro_sdk::{Delivering, Delivery, Limits, Outcome, Output, OutputSetup, Reason, StartError, Verdict};

use super::decode::Version;
use super::encode::{write_v1, write_v2};
use super::series::{Collected, Unsendable};
use crate::labels::Shared;

/// What `suiro list` says.
pub(crate) const ABOUT: &str = "Prometheus, Mimir, VictoriaMetrics and others, by remote write 1.0 and 2.0";

const OFFER: Offer =
    Offer { url: "\"http://127.0.0.1:9090/api/v1/write\"", several: true, api_key: false, compression: false };
/// An answer is read so far.
const ANSWER: usize = 64 << 10;
/// How many samples the receiver has written.
pub(super) const SAMPLES_WRITTEN: &str = "x-prometheus-remote-write-samples-written";
pub(super) const HISTOGRAMS_WRITTEN: &str = "x-prometheus-remote-write-histograms-written";
pub(super) const EXEMPLARS_WRITTEN: &str = "x-prometheus-remote-write-exemplars-written";
const VERSION: &str = "x-prometheus-remote-write-version";

/// A point that counts since the one before it.
const DELTA: Reason = Reason("delta_temporality");
/// An exponential histogram coarser than native histograms are.
const SCALE: Reason = Reason("histogram_scale");

/// The settings, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    client: ClientSettings,
    /// `None`: whichever is understood.
    version: Option<Version>,
    max_request: usize,
    target_info: bool,
}

struct RemoteWrite {
    settings: Settings,
    /// What the receiver is believed to understand.
    version: Cell<Version>,
    encoder: RefCell<Encoder>,
    client: Option<Client>,
}

struct Encoder {
    plain: Vec<u8>,
    snappy: snap::raw::Encoder,
}

/// A record of a delivery.
#[derive(Clone, Copy)]
struct Entry {
    number: usize,
    part: usize,
    row: Row,
}

/// Reads the settings.
pub(crate) fn build(section: &Section) -> Result<Box<dyn Output>, Reported> {
    Ok(Box::new(RemoteWrite::new(Settings::read(section)?)))
}

// === impl Settings ===

impl Settings {
    /// Reads them.
    pub fn read(section: &Section) -> Result<Settings, Reported> {
        let client = ClientSettings::read(section, OFFER);
        let versions = [("auto", None), ("1.0", Some(Version::V1)), ("2.0", Some(Version::V2))];
        let version = section.choice("version", &versions).flatten();
        let max_request = section.within("max_request", ByteSize(10 << 10)..=ByteSize::mib(64));
        let target_info = section.or("target_info", true);
        section.finish()?;
        let mut client = client?;
        client.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("snappy"));
        Ok(Settings { client, version, max_request: max_request.unwrap_or(ByteSize::mib(1)).as_usize(), target_info })
    }
}

// === impl RemoteWrite ===

impl RemoteWrite {
    fn new(settings: Settings) -> Self {
        let version = Cell::new(settings.version.unwrap_or(Version::V2));
        let encoder = RefCell::new(Encoder { plain: Vec::new(), snappy: snap::raw::Encoder::new() });
        RemoteWrite { settings, version, encoder, client: None }
    }

    async fn send(&self, delivery: &Delivery) -> Outcome {
        let Some(client) = &self.client else {
            return Outcome::Retry { why: "the output has not started".to_owned(), after: None, degraded: true };
        };
        let shared: Vec<Vec<Shared>> = delivery
            .parts
            .iter()
            .map(|part| part.batch.scopes().iter().map(|scope| Shared::read(scope)).collect())
            .collect();
        let mut entries = Vec::with_capacity(delivery.len());
        for (at, part) in delivery.parts.iter().enumerate() {
            entries.extend(part.records().map(|row| (at, *row)));
        }
        let entries: Vec<Entry> =
            entries.into_iter().enumerate().map(|(number, (part, row))| Entry { number, part, row }).collect();
        let mut apart: Vec<(usize, Verdict)> = Vec::new();
        let mut answered: Vec<(Vec<usize>, Outcome)> = Vec::new();
        let mut todo = vec![&entries[..]];
        while let Some(piece) = todo.pop() {
            let (collected, taken, numbers) = self.collect(delivery, &shared, piece, &mut apart);
            if taken < piece.len() {
                todo.push(&piece[taken..]);
            }
            if collected.is_empty() {
                continue;
            }
            match self.send_one(client, &collected, numbers.len()).await {
                Outcome::TooLarge if numbers.len() > 1 => {
                    // What was set aside of it is seen again.
                    apart.retain(|(number, _)| !piece[..taken].iter().any(|entry| entry.number == *number));
                    todo.push(&piece[taken / 2..taken]);
                    todo.push(&piece[..taken / 2]);
                }
                outcome => {
                    // Later samples of a series must not come before those that are sent again.
                    let stop = matches!(outcome, Outcome::Retry { .. });
                    answered.push((numbers, outcome.clone()));
                    if stop {
                        let rest: Vec<usize> = todo.drain(..).flatten().map(|entry| entry.number).collect();
                        if !rest.is_empty() {
                            answered.push((rest, outcome));
                        }
                    }
                }
            }
        }
        join(apart, answered)
    }

    /// The series of as many records as go into one request, and the numbers of those records.
    fn collect(
        &self,
        delivery: &Delivery,
        shared: &[Vec<Shared>],
        piece: &[Entry],
        apart: &mut Vec<(usize, Verdict)>,
    ) -> (Collected, usize, Vec<usize>) {
        let mut collected = Collected::default();
        let mut numbers = Vec::new();
        let mut taken = 0;
        let mut told = hashbrown::HashMap::<(usize, u16), i64>::new();
        for Entry { number, part, row } in piece {
            if collected.size >= self.settings.max_request {
                break;
            }
            taken += 1;
            let batch: &Batch = &delivery.parts[*part].batch;
            match collected.add(batch, row, &shared[*part][usize::from(row.scope)]) {
                Ok(()) => {
                    numbers.push(*number);
                    let time = told.entry((*part, row.scope)).or_insert(row.time);
                    *time = row.time.max(*time);
                }
                Err(why) => apart.push((*number, refused(why))),
            }
        }
        if self.settings.target_info {
            let mut told: Vec<_> = told.into_iter().collect();
            told.sort_unstable();
            for ((part, scope), time) in told {
                collected.add_target_info(&shared[part][usize::from(scope)], time);
            }
        }
        collected.sort();
        (collected, taken, numbers)
    }

    /// Sends one request, as the version the receiver understands.
    async fn send_one(&self, client: &Client, collected: &Collected, records: usize) -> Outcome {
        loop {
            let version = self.version.get();
            let body = self.encoder.borrow_mut().encode(version, collected, client.buffer());
            let (content_type, number) = match version {
                Version::V1 => ("application/x-protobuf", HeaderValue::from_static("0.1.0")),
                Version::V2 => {
                    ("application/x-protobuf;proto=io.prometheus.write.v2.Request", HeaderValue::from_static("2.0.0"))
                }
            };
            let request = Request {
                method: reqwest::Method::POST,
                body,
                content_type,
                header: Some((VERSION, &number)),
                limit: ANSWER,
            };
            let answer = match client.send(request).await {
                Ok(answer) => answer,
                Err(failure) => return failure.into_outcome(),
            };
            let stranger = answer.status == reqwest::StatusCode::UNSUPPORTED_MEDIA_TYPE
                || (answer.is_success() && !answer.headers.contains_key(SAMPLES_WRITTEN));
            if version == Version::V2 && stranger {
                if self.settings.version.is_some() {
                    let why = format!(
                        "{}: the receiver does not understand remote write 2.0; set version = \"auto\" or \"1.0\"",
                        answer.summary()
                    );
                    return Outcome::Retry { why, after: answer.retry_after, degraded: true };
                }
                tracing::info!("the receiver does not understand remote write 2.0: it gets 1.0 from now on");
                self.version.set(Version::V1);
                continue;
            }
            return outcome(&answer, records, collected.samples);
        }
    }
}

impl Output for RemoteWrite {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Metrics]
    }

    fn limits(&self) -> Limits {
        Limits { timeout: Duration::from_secs(1), ..Limits::default() }
    }

    fn start(&mut self, setup: &OutputSetup) -> Result<(), StartError> {
        self.client = Some(Client::new(self.settings.client.clone(), setup.ledger.clone())?);
        Ok(())
    }

    fn deliver<'a>(&'a self, delivery: &'a Delivery) -> Delivering<'a> {
        Box::pin(self.send(delivery))
    }
}

// === impl Encoder ===

impl Encoder {
    fn encode(&mut self, version: Version, collected: &Collected, mut body: Buffer) -> Buffer {
        let Encoder { plain, snappy } = self;
        plain.clear();
        match version {
            Version::V1 => write_v1(collected, plain),
            Version::V2 => write_v2(collected, plain),
        }
        body.bytes.resize(snap::raw::max_compress_len(plain.len()), 0);
        // It fails only where there is no room, or beyond 4 GiB.
        let packed = snappy.compress(plain, &mut body.bytes).unwrap_or(0);
        body.keep(0..packed);
        body
    }
}

/// What becomes of a request's records.
fn outcome(answer: &Answer, records: usize, samples: usize) -> Outcome {
    let written = |name: &str| answer.headers.get(name)?.to_str().ok()?.trim().parse::<usize>().ok();
    match answer.status.as_u16() {
        400 => {
            let refused = Outcome::Refused { reason: Reason::REJECTED, detail: answer.summary() };
            let all = written(SAMPLES_WRITTEN).map(|n| n + written(HISTOGRAMS_WRITTEN).unwrap_or(0));
            match all {
                _ if records <= 1 => refused,
                Some(0) => refused,
                Some(written) => {
                    let rejected = samples.saturating_sub(written).clamp(1, records);
                    Outcome::Unidentified { rejected: Some(rejected), detail: answer.summary() }
                }
                None => Outcome::Unidentified { rejected: None, detail: answer.summary() },
            }
        }
        _ if answer.is_wrong_address() => {
            let why = format!("{}; is `url` right, and does the receiver take remote write?", answer.summary());
            Outcome::Retry { why, after: answer.retry_after, degraded: true }
        }
        _ => judge(answer),
    }
}

fn refused(why: Unsendable) -> Verdict {
    let (reason, detail) = match why {
        Unsendable::Malformed(why) => (Reason::MALFORMED, why.to_owned()),
        Unsendable::Delta => (
            DELTA,
            "it counts since the point before it: put the filter `delta_to_cumulative` before this output".to_owned(),
        ),
        Unsendable::Scale => (SCALE, "native histograms have no scale below -4".to_owned()),
    };
    Verdict::Refused { reason, detail }
}

/// One outcome of several.
fn join(apart: Vec<(usize, Verdict)>, mut answered: Vec<(Vec<usize>, Outcome)>) -> Outcome {
    if let ([_], true) = (&answered[..], apart.is_empty())
        && let Some((_, outcome)) = answered.pop()
    {
        return outcome;
    }
    let mut all = apart;
    for (numbers, outcome) in answered {
        all.extend(verdicts(&numbers, outcome));
    }
    all.sort_by_key(|(number, _)| *number);
    if all.is_empty() { Outcome::Delivered } else { Outcome::Partial(all) }
}

/// A delivery as the bodies of requests, before compression, for tests and fuzzing.
pub fn encode(version: Version, delivery: &Delivery) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    for part in &delivery.parts {
        let mut collected = Collected::default();
        let shared: Vec<Shared> = part.batch.scopes().iter().map(|scope| Shared::read(scope)).collect();
        for row in part.records() {
            // What can't be sent is left out.
            let _ = collected.add(&part.batch, row, &shared[usize::from(row.scope)]);
        }
        collected.sort();
        let mut body = Vec::new();
        match version {
            Version::V1 => write_v1(&collected, &mut body),
            Version::V2 => write_v2(&collected, &mut body),
        }
        bodies.push(body);
    }
    bodies
}
