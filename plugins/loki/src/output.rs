//! The output: plan, encode, send, judge.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use suiro_sdk::http::header::HeaderValue;
use suiro_sdk::http::{Answered, Buffer, Buffers, Client, Request, one_outcome};
use suiro_sdk::ledger::OutputLedger;
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Delivering, Delivery, Limits, Outcome, Output, OutputSetup, Reason, StartError, Verdict};

use crate::active::Active;
use crate::answer::{self, ANSWER};
use crate::piece::{MAX_REQUEST, Piece, Scratch};
use crate::plan::Plan;
use crate::settings::{Format, Settings};
use crate::view::View;

/// Requests of one delivery under way at a time, where it takes several.
const LANES: usize = 8;

const TENANT: &str = "x-scope-orgid";

struct Loki {
    settings: Settings,
    active: RefCell<Active>,
    encoder: RefCell<Encoder>,
    /// From the start on.
    started: Option<Started>,
}

struct Started {
    client: Client,
    ledger: std::sync::Arc<OutputLedger>,
}

/// Makes bodies.
struct Encoder {
    scratch: Scratch,
    plain: Vec<u8>,
    snappy: snap::raw::Encoder,
}

/// A whole delivery as bodies of requests, for benchmarks and for those who want to look at them.
pub struct Encoding(Loki);

/// Reads the settings.
pub(crate) fn build(settings: &Section) -> Result<Box<dyn Output>, Reported> {
    Ok(Box::new(Loki::new(Settings::read(settings)?)))
}

// === impl Loki ===

impl Loki {
    fn new(settings: Settings) -> Self {
        let active = RefCell::new(Active::new(settings.max_streams, Instant::now()));
        let encoder = Encoder { scratch: Scratch::default(), plain: Vec::new(), snappy: snap::raw::Encoder::new() };
        Loki { settings, active, encoder: RefCell::new(encoder), started: None }
    }

    fn plan(&self, delivery: &Delivery) -> Plan {
        let mut active = self.active.borrow_mut();
        Plan::new(&self.settings, &mut active, delivery, Instant::now())
    }

    fn views<'a>(&'a self, delivery: &'a Delivery) -> Vec<View<'a>> {
        delivery.parts.iter().map(|part| View::new(&self.settings, &part.batch)).collect()
    }

    /// What goes together into a request: streams of one tenant, a few at a time.
    fn lanes(&self, plan: &Plan) -> Vec<(usize, Piece)> {
        let mut lanes: Vec<(usize, Piece)> = Vec::new();
        for tenant in 0..plan.tenants.len() {
            let streams: Vec<usize> = (0..plan.streams.len()).filter(|&s| plan.streams[s].tenant == tenant).collect();
            for some in streams.chunks(self.settings.streams_per_request) {
                let whole = some.iter().map(|&s| (s, 0..plan.streams[s].entries.len())).collect();
                lanes.push((tenant, Piece(whole)));
            }
        }
        lanes
    }

    async fn send(&self, delivery: &Delivery) -> Outcome {
        let Some(started) = &self.started else {
            return Outcome::Retry { why: "the output has not started".to_owned(), after: None, degraded: true };
        };
        let plan = self.plan(delivery);
        let views = self.views(delivery);
        let lanes = self.lanes(&plan).into_iter();
        let answered: Vec<Vec<Answered>> = stream::iter(lanes)
            .map(|(tenant, piece)| self.send_lane(&started.client, &plan, &views, plan.tenants[tenant].as_ref(), piece))
            .buffer_unordered(LANES)
            .collect()
            .await;
        let limited = plan.limited;
        let outcome = join(plan.apart, answered.into_iter().flatten().collect());
        if limited > 0 && matches!(outcome, Outcome::Delivered | Outcome::Partial(_)) {
            started.note_limited(limited, self.settings.max_streams);
        }
        outcome
    }

    /// Sends a piece, in order, in as many requests as it takes.
    async fn send_lane(
        &self,
        client: &Client,
        plan: &Plan,
        views: &[View<'_>],
        tenant: Option<&HeaderValue>,
        piece: Piece,
    ) -> Vec<Answered> {
        let mut answered = Vec::new();
        let mut todo = vec![piece];
        while let Some(mut piece) = todo.pop() {
            let (body, fitted) =
                self.encoder.borrow_mut().encode(&piece, plan, views, self.settings.format, client.buffers());
            if fitted < piece.len() {
                todo.push(piece.split_off(fitted));
            }
            let request = Request {
                method: reqwest::Method::POST,
                body,
                content_type: self.settings.format.content_type(),
                header: tenant.map(|value| (TENANT, value)),
                limit: ANSWER,
            };
            let outcome = match client.send(request).await {
                Ok(answer) => answer::outcome(&answer, piece.len()),
                Err(failure) => failure.into_outcome(),
            };
            match outcome {
                Outcome::TooLarge if piece.len() > 1 => {
                    let rest = piece.split_off(piece.len() / 2);
                    todo.extend([rest, piece]);
                }
                outcome => answered.push((piece.numbers(plan).collect(), outcome)),
            }
        }
        answered
    }
}

impl Output for Loki {
    /// A stream each, requests are many where little comes of much: waiting a second makes them fewer.
    fn limits(&self) -> Limits {
        Limits { timeout: Duration::from_secs(1), ..Limits::default() }
    }

    fn start(&mut self, setup: &OutputSetup) -> Result<(), StartError> {
        let client = Client::new(self.settings.client.clone(), setup.ledger.clone())?;
        self.started = Some(Started { client, ledger: setup.ledger.clone() });
        Ok(())
    }

    fn deliver<'a>(&'a self, delivery: &'a Delivery) -> Delivering<'a> {
        Box::pin(self.send(delivery))
    }
}

// === impl Started ===

impl Started {
    fn note_limited(&self, records: usize, max: usize) {
        let before = self.ledger.altered.snapshot().contains_key(LABELS_LIMITED.0);
        self.ledger.altered.add(LABELS_LIMITED, records);
        if !before {
            tracing::warn!(
                "more than {max} label sets are in use: new ones keep only the labels that are fixed; make `labels` of \
                 fields with few values, put the others into `structured_metadata`, or raise `max_streams`"
            );
        }
    }
}

/// Records delivered without the labels that depend on them.
const LABELS_LIMITED: Reason = Reason("labels_limited");

// === impl Encoder ===

impl Encoder {
    /// The body of a request with the entries of `piece`, and how many of them fitted.
    fn encode(
        &mut self,
        piece: &Piece,
        plan: &Plan,
        views: &[View<'_>],
        format: Format,
        buffers: &Buffers,
    ) -> (Buffer, usize) {
        let Encoder { scratch, plain, snappy } = self;
        if format == Format::Json {
            let mut body = buffers.take();
            let fitted = piece.write(plan, views, format, scratch, &mut body.bytes);
            return (body, fitted);
        }
        plain.clear();
        let fitted = piece.write(plan, views, format, scratch, plain);
        // Room that is initialised already stays so: clearing a megabyte costs a tenth of compressing it.
        let mut body = buffers.take_dirty();
        let most = snap::raw::max_compress_len(plain.len());
        if body.bytes.len() < most {
            body.bytes.resize(most, 0);
        }
        // It fails only where there is no room, or beyond 4 GiB.
        let packed = snappy.compress(plain, &mut body.bytes).unwrap_or(0);
        body.keep(0..packed);
        if plain.capacity() > 2 * MAX_REQUEST {
            // It held a giant line.
            *plain = Vec::new();
        }
        (body, fitted)
    }
}

// === impl Format ===

impl Format {
    fn content_type(self) -> &'static str {
        match self {
            Format::Protobuf => "application/x-protobuf",
            Format::Json => "application/json",
        }
    }
}

// === impl Encoding ===

impl Encoding {
    /// With these settings.
    pub fn new(settings: Settings) -> Self {
        Encoding(Loki::new(settings))
    }

    /// Calls `each` with each body.
    pub fn encode(&self, delivery: &Delivery, buffers: &Buffers, mut each: impl FnMut(&[u8])) {
        let plan = self.0.plan(delivery);
        let views = self.0.views(delivery);
        let mut todo: Vec<Piece> = self.0.lanes(&plan).into_iter().map(|(_, piece)| piece).rev().collect();
        while let Some(mut piece) = todo.pop() {
            let mut encoder = self.0.encoder.borrow_mut();
            let (body, fitted) = encoder.encode(&piece, &plan, &views, self.0.settings.format, buffers);
            if fitted < piece.len() {
                todo.push(piece.split_off(fitted));
            }
            each(body.body());
        }
    }
}

/// One outcome of several.
fn join(apart: Vec<(usize, Verdict)>, answered: Vec<Answered>) -> Outcome {
    let all_retry = answered.iter().all(|(_, outcome)| matches!(outcome, Outcome::Retry { .. }));
    if all_retry && answered.len() > 1 {
        return answered.into_iter().map(|(_, outcome)| outcome).reduce(worse).unwrap_or(Outcome::Delivered);
    }
    one_outcome(apart, answered)
}

/// Of two wishes to try again, the longer wait.
fn worse(a: Outcome, b: Outcome) -> Outcome {
    match (a, b) {
        (
            Outcome::Retry { why, after: wait_a, degraded: degraded_a },
            Outcome::Retry { after: wait_b, degraded: degraded_b, .. },
        ) => Outcome::Retry { why, after: wait_a.max(wait_b), degraded: degraded_a || degraded_b },
        (a, _) => a,
    }
}
