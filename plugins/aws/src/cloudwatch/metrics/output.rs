//! The output: pack, send, judge.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use suiro_record::Signal;
use suiro_sdk::aws::{Account, Call, Caller, Method, Service, ServiceError, judge};
use suiro_sdk::http::{Answer, one_outcome};
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Delivering, Delivery, Limits, Outcome, Output, OutputLedger, OutputSetup, Reason, StartError, time};

use super::detector::Detectors;
use super::pack::{Packed, Piece};
use super::query;
use super::settings::Settings;
use crate::cloudwatch::outcome::{delivered, foreign};

/// An answer is read so far. Those that are well are a few hundred bytes.
const ANSWER: usize = 64 << 10;
/// Requests that a delivery may cost more than it has pieces, to find the records that are refused.
const SEARCHES: usize = 100;
/// Records whose dimensions were escaped or cut.
const DIMENSIONS_ALTERED: Reason = Reason("dimensions_altered");

struct Metrics {
    settings: Settings,
    /// From the start on.
    started: Option<Started>,
    detectors: Detectors,
}

struct Started {
    caller: Caller,
    ledger: Arc<OutputLedger>,
}

/// What became of a piece.
struct Judged {
    outcome: Outcome,
    /// Whether one of its data is to blame, and which, if the answer says so.
    guilty: Option<Option<usize>>,
    /// Those of other namespaces may fare better.
    is_of_namespace: bool,
}

/// Reads the settings.
pub(super) fn build(settings: &Section) -> Result<Box<dyn Output>, Reported> {
    let settings = Settings::read(settings)?;
    let detectors = Detectors::new(settings.detectors.clone());
    Ok(Box::new(Metrics { settings, started: None, detectors }))
}

// === impl Metrics ===

impl Metrics {
    async fn send(&self, delivery: &Delivery) -> Outcome {
        let Some(started) = &self.started else {
            return Outcome::Retry { why: "the output has not started".to_owned(), after: None, degraded: true };
        };
        let mut packed = Packed::new(&self.settings, delivery, time::now());
        self.detectors.note(std::mem::take(&mut packed.seen));
        let altered = std::mem::take(&mut packed.altered);
        let (outcome, ()) = join(started.put(packed), self.detectors.put(&started.caller)).await;
        started.ledger.altered.add(DIMENSIONS_ALTERED, delivered(&altered, &outcome));
        outcome
    }
}

impl Output for Metrics {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Metrics]
    }

    /// Points are small and come in windows: a second makes few requests of many, and each request is paid for.
    fn limits(&self) -> Limits {
        Limits { timeout: Duration::from_secs(1), max_records: 10_000, ..Limits::default() }
    }

    fn start(&mut self, setup: &OutputSetup) -> Result<(), StartError> {
        let Settings { account, client, .. } = &self.settings;
        let account = Account::new(account.clone());
        let caller = Caller::new(account, Service::MONITORING, client.clone(), setup.ledger.clone())?;
        self.started = Some(Started { caller, ledger: setup.ledger.clone() });
        Ok(())
    }

    fn deliver<'a>(&'a self, delivery: &'a Delivery) -> Delivering<'a> {
        Box::pin(self.send(delivery))
    }
}

// === impl Started ===

impl Started {
    /// Sends all pieces, one at a time. Where one is to be tried again, so are those behind it that would fare alike.
    async fn put(&self, mut packed: Packed) -> Outcome {
        let apart = std::mem::take(&mut packed.apart);
        let mut todo = std::mem::take(&mut packed.pieces);
        todo.reverse();
        let mut searches = 0;
        let mut answered = Vec::new();
        while let Some(piece) = todo.pop() {
            let Judged { outcome, guilty, is_of_namespace } = self.put_piece(&packed, &piece).await;
            let is_search = guilty.is_some() && searches < SEARCHES && matches!(outcome, Outcome::Refused { .. });
            if piece.len() > 1 && (is_search || outcome == Outcome::TooLarge) {
                searches += usize::from(is_search);
                let parts = packed.split(piece, guilty.flatten());
                todo.extend(parts.into_iter().rev());
                continue;
            }
            let mut numbers = packed.numbers(&piece);
            if matches!(outcome, Outcome::Retry { .. }) {
                let fares_alike = |left: &Piece| !is_of_namespace || left.has_namespace_of(&piece);
                let (alike, others) = todo.into_iter().partition::<Vec<_>, _>(fares_alike);
                todo = others;
                numbers.extend(alike.iter().flat_map(|left| packed.numbers(left)));
                numbers.sort_unstable();
            }
            answered.push((numbers, outcome));
        }
        one_outcome(apart, answered)
    }

    /// Sends a piece.
    async fn put_piece(&self, packed: &Packed, piece: &Piece) -> Judged {
        let mut body = self.caller.buffer();
        packed.write(piece, &mut body.bytes);
        let call = Call {
            method: Method::POST,
            path: "/",
            target: None,
            content_type: query::CONTENT_TYPE,
            headers: &[],
            body,
            limit: ANSWER,
        };
        match self.caller.call(call).await {
            Ok(answer) => Judged::new(&answer),
            Err(failure) => Judged { outcome: failure.into_outcome(), guilty: None, is_of_namespace: false },
        }
    }
}

// === impl Judged ===

impl Judged {
    fn new(answer: &Answer) -> Judged {
        // Policies name namespaces.
        let is_of_namespace = ServiceError::of(answer).is_some_and(|error| error.code.starts_with("AccessDenied"));
        Judged { outcome: outcome(answer), guilty: blame(answer), is_of_namespace }
    }
}

/// What an answer means. The table is in the module's documentation.
fn outcome(answer: &Answer) -> Outcome {
    if !answer.is_success() || contains(&answer.body, b"PutMetricDataResponse") {
        return judge(answer);
    }
    let retry = |why, degraded| Outcome::Retry { why, after: answer.retry_after, degraded };
    if answer.broken.is_some() {
        return retry(format!("{}: the answer ended early", answer.status), false);
    }
    retry(foreign(&answer.summary()), true)
}

/// Whether a refusal is for something in the data, and the number of the datum it names: CloudWatch refuses a request
/// whole, and says `The value NaN for parameter MetricData.member.3.Value is invalid.`
fn blame(answer: &Answer) -> Option<Option<usize>> {
    const OF_DATA: [&str; 6] = [
        "InvalidParameterValue",
        "InvalidParameterCombination",
        "MissingParameter",
        "MissingRequiredParameter",
        "InvalidFormat",
        "ValidationError",
    ];
    let ServiceError { code, message } = ServiceError::of(answer)?;
    let code = code.strip_suffix("Exception").unwrap_or(&code);
    if !OF_DATA.contains(&code) || message.contains("parameter Namespace") {
        return None;
    }
    let number = message.split_once("MetricData.member.").map(|(_, rest)| {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse::<usize>().ok().filter(|&number| number > 0)
    });
    Some(number.flatten())
}

fn contains(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|window| window == what)
}
