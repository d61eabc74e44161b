//! The output: plan, write, send, judge.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use aws_sdk_cloudwatchlogs::operation::put_log_events::PutLogEventsOutput;
use futures_util::stream::{self, StreamExt as _};
use suiro_record::Signal;
use suiro_sdk::aws::Account;
use suiro_sdk::http::Buffer;
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{
    Delivering, Delivery, Limits, Outcome, Output, OutputLedger, OutputSetup, Reason, StartError, Verdict,
};

use super::answer::Rejected;
use super::batch::MAX_EVENTS;
use super::body::{self, Scratch, Written};
use super::create;
use super::known::{Known, KnownGroup, KnownStream, Shut};
use super::message::View;
use super::plan::{Event, Plan, Stream};
use super::service::Service;
use super::settings::{Format, Settings};
use super::trouble::{Of, Retry, Trouble};
use crate::cloudwatch::outcome::delivered;

/// Streams of one delivery with a request under way at a time.
const LANES: usize = 16;
/// Requests of one stream that are halved to find the events for which the service refuses them as a whole. Those that are
/// too large don't count: each is smaller than the one before, and good ones are among them.
const SEARCHES: usize = 64;

/// Messages that were cut.
const EVENT_CUT: Reason = Reason("event_cut");
/// Points whose names or dimensions CloudWatch would not have taken as they were.
const DIMENSIONS_ALTERED: Reason = Reason("dimensions_altered");

struct CloudWatchLogs {
    settings: Settings,
    known: Known,
    scratch: RefCell<Scratch>,
    /// From the start on.
    started: Option<Started>,
}

struct Started {
    service: Service,
    ledger: Arc<OutputLedger>,
    /// The refused entity was spoken of.
    warned_of_entity: Cell<bool>,
}

/// Bodies of a whole delivery, for benchmarks and for those who want to look at them.
pub struct Encoding(CloudWatchLogs);

/// What became of one stream's events.
#[derive(Debug, Default)]
struct Lane {
    verdicts: Vec<(usize, Verdict)>,
    /// The service took a request, or refused one for what is in it.
    was_heard: bool,
    cut: usize,
}

/// Reads the settings.
pub(super) fn build(settings: &Section) -> Result<Box<dyn Output>, Reported> {
    Ok(Box::new(CloudWatchLogs::new(Settings::read(settings)?)))
}

// === impl CloudWatchLogs ===

impl CloudWatchLogs {
    fn new(settings: Settings) -> Self {
        let known = Known::new(settings.max_streams);
        CloudWatchLogs { settings, known, scratch: RefCell::default(), started: None }
    }

    fn views<'a>(&'a self, delivery: &'a Delivery) -> Vec<View<'a>> {
        delivery.parts.iter().map(|part| View::new(&self.settings, &part.batch)).collect()
    }

    async fn send(&self, delivery: &Delivery) -> Outcome {
        let Some(started) = &self.started else {
            return Outcome::Retry { why: "the output has not started".to_owned(), after: None, degraded: true };
        };
        // Without an account there is no use in any of it.
        if let Err(error) = started.service.client().await {
            return error.into_outcome();
        }
        let mut plan = Plan::new(&self.settings, delivery);
        let views = self.views(delivery);
        let apart = std::mem::take(&mut plan.apart);
        let trouble = RefCell::default();
        let lanes: Vec<Lane> = stream::iter(&plan.streams)
            .map(|stream| self.send_stream(started, stream, &views, &trouble))
            .buffer_unordered(LANES)
            .collect()
            .await;
        started.ledger.altered.add(EVENT_CUT, lanes.iter().map(|lane| lane.cut).sum());
        let outcome = join(apart, lanes, trouble.into_inner());
        started.ledger.altered.add(DIMENSIONS_ALTERED, delivered(&plan.altered, &outcome));
        outcome
    }

    /// Sends a stream's events, in order, in as many requests as it takes; none after `trouble`, which is everybody's.
    async fn send_stream(
        &self,
        started: &Started,
        stream: &Stream,
        views: &[View<'_>],
        trouble: &RefCell<Option<Retry>>,
    ) -> Lane {
        let group = self.known.group(&stream.group);
        let known = self.known.stream(&stream.group, &stream.stream);
        let mut lane = Lane::default();
        let mut todo: Vec<&[Event]> = vec![&stream.events];
        let mut searches = 0;
        while let Some(events) = todo.pop() {
            if let Some(Retry { why, degraded, .. }) = &*trouble.borrow() {
                todo.push(events);
                lane.wait(stream, todo, why, None, *degraded);
                return lane;
            }
            if let Some(Shut { why, wait, degraded }) = known.shut() {
                todo.push(events);
                lane.wait(stream, todo, &why, Some(wait), degraded);
                return lane;
            }
            let (buffer, written) = self.write(started.service.buffers(), stream, events, views);
            if written.taken < events.len() {
                todo.push(&events[written.taken..]);
            }
            if written.len() == 0 {
                lane.verdicts.extend(written.apart);
                continue;
            }
            let put = self.put(started, stream, (&group, &known), buffer).await;
            match put {
                Ok(answer) => {
                    known.went_well();
                    lane.was_heard = true;
                    lane.cut += written.cut;
                    lane.note_taken(started, stream, events, written, &answer);
                    create::tend_group(&started.service, &self.settings, &stream.group, &group).await;
                }
                Err(Trouble::Taken) => {
                    known.went_well();
                    lane.was_heard = true;
                    lane.verdicts.extend(written.apart);
                }
                // One of them, or several, spoil the request for all: they are looked for by halves.
                Err(Trouble::TooLarge) if written.len() > 1 => halve(&mut todo, &events[..written.taken]),
                Err(Trouble::Invalid(_)) if written.len() > 1 && searches < SEARCHES => {
                    searches += 1;
                    halve(&mut todo, &events[..written.taken]);
                }
                Err(Trouble::Retry(retry)) => {
                    todo.push(&events[..written.taken]);
                    let wait = (retry.of == Of::Stream).then(|| known.failed(&retry.why, retry.degraded));
                    lane.wait(stream, todo, &retry.why, wait, retry.degraded);
                    if wait.is_none() {
                        trouble.replace(Some(retry));
                    }
                    return lane;
                }
                // It was made a moment ago, and is not everywhere yet.
                Err(Trouble::Missing(why)) => {
                    todo.push(&events[..written.taken]);
                    lane.wait(stream, todo, &why, Some(known.failed(&why, false)), false);
                    return lane;
                }
                Err(trouble) => {
                    lane.was_heard = true;
                    let reason =
                        if matches!(trouble, Trouble::TooLarge) { Reason::TOO_LARGE } else { Reason::REJECTED };
                    let detail = trouble.to_string();
                    for event in written.sent(events) {
                        lane.set(stream, event, Verdict::Refused { reason, detail: detail.clone() });
                    }
                    lane.verdicts.extend(written.apart);
                }
            }
        }
        lane
    }

    /// Sends one body; makes the stream where it is missing.
    async fn put(
        &self,
        started: &Started,
        stream: &Stream,
        (group, known): (&KnownGroup, &KnownStream),
        buffer: Buffer,
    ) -> Result<PutLogEventsOutput, Trouble> {
        let service = &started.service;
        let emf = matches!(self.settings.format, Format::Emf(_));
        let body = buffer.into_bytes();
        let made = known.made.load(Relaxed);
        let put = async || {
            let _under_way = known.begin();
            service.put(body.clone(), emf).await
        };
        match put().await {
            Err(Trouble::Missing(_)) => {
                let names = ((stream.group.as_str(), group), (stream.stream.as_str(), known));
                create::make_stream(service, &self.settings, names.0, names.1, made).await?;
                put().await
            }
            other => other,
        }
    }

    fn write(
        &self,
        buffers: &suiro_sdk::http::Buffers,
        stream: &Stream,
        events: &[Event],
        views: &[View<'_>],
    ) -> (Buffer, Written) {
        let mut buffer = buffers.take();
        let mut scratch = self.scratch.borrow_mut();
        let written = body::write(&self.settings, stream, events, views, &mut scratch, &mut buffer.bytes);
        (buffer, written)
    }
}

impl Output for CloudWatchLogs {
    fn signals(&self) -> &'static [Signal] {
        match self.settings.format {
            Format::Text => &[Signal::Logs],
            Format::Emf(_) => &[Signal::Logs, Signal::Metrics],
        }
    }

    /// What makes one request of one stream mostly: lines of 100 bytes become a quarter longer by what events count for.
    /// A stream each, requests are many where little comes of much: waiting a second makes them fewer.
    fn limits(&self) -> Limits {
        Limits { max_bytes: 800 << 10, max_records: MAX_EVENTS, timeout: Duration::from_secs(1) }
    }

    fn is_apart(&self) -> bool {
        true
    }

    fn start(&mut self, setup: &OutputSetup) -> Result<(), StartError> {
        let account = Account::new(self.settings.account.clone());
        self.started = Some(Started {
            service: Service::new(account, self.settings.timeout, setup.ledger.clone()),
            ledger: setup.ledger.clone(),
            warned_of_entity: Cell::new(false),
        });
        Ok(())
    }

    fn deliver<'a>(&'a self, delivery: &'a Delivery) -> Delivering<'a> {
        Box::pin(self.send(delivery))
    }
}

// === impl Lane ===

impl Lane {
    /// The service took a request: what it left out of it.
    fn note_taken(
        &mut self,
        started: &Started,
        stream: &Stream,
        events: &[Event],
        written: Written,
        answer: &PutLogEventsOutput,
    ) {
        let rejected = Rejected::of(answer.rejected_log_events_info(), written.len());
        if !rejected.is_empty(written.len()) {
            for (place, event) in written.sent(events).enumerate() {
                if let Some((reason, detail)) = rejected.reason(place) {
                    self.set(stream, event, Verdict::Refused { reason, detail: detail.to_owned() });
                }
            }
        }
        self.verdicts.extend(written.apart);
        if let Some(info) = answer.rejected_entity_info()
            && !started.warned_of_entity.replace(true)
        {
            tracing::warn!(
                group = %stream.group,
                "the service takes the events, but not the `entity` with them: {}",
                info.error_type().as_str()
            );
        }
    }

    /// All these events are to be tried again, `after` that time.
    fn wait(&mut self, stream: &Stream, todo: Vec<&[Event]>, why: &str, after: Option<Duration>, degraded: bool) {
        for event in todo.into_iter().flatten() {
            self.set(stream, event, Verdict::Retry { why: why.to_owned(), after, degraded });
        }
    }

    fn set(&mut self, stream: &Stream, event: &Event, verdict: Verdict) {
        stream.each_number(event, |number| self.verdicts.push((number, verdict.clone())));
    }
}

// === impl Encoding ===

impl Encoding {
    /// With these settings.
    pub fn new(settings: Settings) -> Self {
        Encoding(CloudWatchLogs::new(settings))
    }

    /// Calls `each` with each body.
    pub fn encode(&self, delivery: &Delivery, buffers: &suiro_sdk::http::Buffers, mut each: impl FnMut(&[u8])) {
        let plan = Plan::new(&self.0.settings, delivery);
        let views = self.0.views(delivery);
        for stream in &plan.streams {
            let mut events = &stream.events[..];
            while !events.is_empty() {
                let (buffer, written) = self.0.write(buffers, stream, events, &views);
                each(buffer.body());
                events = &events[written.taken..];
            }
        }
    }
}

/// Has both halves of these events tried, the first one next.
fn halve<'e>(todo: &mut Vec<&'e [Event]>, events: &'e [Event]) {
    let (head, rest) = events.split_at(events.len() / 2);
    todo.extend([rest, head]);
}

/// One outcome of all streams'; `trouble` is everybody's.
fn join(apart: Vec<(usize, Verdict)>, lanes: Vec<Lane>, trouble: Option<Retry>) -> Outcome {
    let nobody_was_heard = lanes.iter().all(|lane| !lane.was_heard);
    let mut verdicts = apart;
    verdicts.extend(lanes.into_iter().flat_map(|lane| lane.verdicts));
    if let Some(retry) = trouble.filter(|_| nobody_was_heard) {
        // What was decided about the others will be decided again.
        return Outcome::Retry { why: retry.why, after: None, degraded: retry.degraded };
    }
    if verdicts.is_empty() {
        return Outcome::Delivered;
    }
    // A record can be in several events: as long as one of them is to be tried again, so is the record.
    let rank = |verdict: &Verdict| !matches!(verdict, Verdict::Retry { .. });
    verdicts.sort_by_key(|(number, verdict)| (*number, rank(verdict)));
    verdicts.dedup_by_key(|(number, _)| *number);
    Outcome::Partial(verdicts)
}
