//! The output: pack, send, judge.

use std::time::Duration;

use reqwest::Method;
use suiro_record::Signal;
use suiro_sdk::http::{Answer, Client, Request, excerpt, judge, one_outcome};
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Delivering, Delivery, Limits, Outcome, Output, OutputSetup, StartError};

use crate::pack::{Packed, Piece};
use crate::series::Route;
use crate::settings::Settings;

/// An answer is read so far. Those that are well are a few bytes.
const ANSWER: usize = 64 << 10;

struct Datadog {
    settings: Settings,
    /// From the start on.
    clients: Option<Clients>,
}

struct Clients {
    series: Client,
    distributions: Client,
}

/// Reads the settings.
pub(crate) fn build(settings: &Section) -> Result<Box<dyn Output>, Reported> {
    Ok(Box::new(Datadog { settings: Settings::read(settings)?, clients: None }))
}

// === impl Datadog ===

impl Datadog {
    async fn send(&self, delivery: &Delivery) -> Outcome {
        let Some(clients) = &self.clients else {
            return Outcome::Retry { why: "the output has not started".to_owned(), after: None, degraded: true };
        };
        let mut packed = Packed::new(&self.settings, delivery);
        let apart = std::mem::take(&mut packed.apart);
        let mut todo = std::mem::take(&mut packed.pieces);
        todo.reverse();
        let mut answered = Vec::new();
        while let Some(mut piece) = todo.pop() {
            match clients.send(&packed, &piece).await {
                Outcome::TooLarge if piece.records.len() > 1 => {
                    let rest = piece.split_off();
                    todo.extend([rest, piece]);
                }
                outcome => answered.push((piece.numbers(), outcome)),
            }
        }
        one_outcome(apart, answered)
    }
}

impl Output for Datadog {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Metrics]
    }

    /// Points are small and come in windows: a second makes few requests of many.
    fn limits(&self) -> Limits {
        Limits { timeout: Duration::from_secs(1), max_records: 10_000, ..Limits::default() }
    }

    fn start(&mut self, setup: &OutputSetup) -> Result<(), StartError> {
        let client =
            |route: Route| Client::new(self.settings.client.clone().with_path(route.path()), setup.ledger.clone());
        self.clients = Some(Clients { series: client(Route::Series)?, distributions: client(Route::Distributions)? });
        Ok(())
    }

    fn deliver<'a>(&'a self, delivery: &'a Delivery) -> Delivering<'a> {
        Box::pin(self.send(delivery))
    }
}

// === impl Clients ===

impl Clients {
    async fn send(&self, packed: &Packed, piece: &Piece) -> Outcome {
        let client = match piece.route {
            Route::Series => &self.series,
            Route::Distributions => &self.distributions,
        };
        let mut body = client.buffer();
        packed.write(piece, &mut body.bytes);
        let request =
            Request { method: Method::POST, body, content_type: "application/json", header: None, limit: ANSWER };
        match client.send(request).await {
            Ok(answer) => outcome(&answer),
            Err(failure) => failure.into_outcome(),
        }
    }
}

/// What an answer means. The table is in the crate's documentation.
fn outcome(answer: &Answer) -> Outcome {
    let wrong = || {
        let why = format!("{}; is `site` or `url` right?", answer.summary());
        Outcome::Retry { why, after: answer.retry_after, degraded: true }
    };
    if answer.is_wrong_address() || (answer.is_success() && answer.body.trim_ascii_start().starts_with(b"<")) {
        return wrong();
    }
    let text = String::from_utf8_lossy(&answer.body);
    let errors = text.split_once("\"errors\":").map_or("", |(_, rest)| rest.trim_start());
    if answer.is_success() && errors.starts_with('[') && !errors[1..].trim_start().starts_with(']') {
        return Outcome::Unidentified { rejected: None, detail: excerpt(&answer.body) };
    }
    judge(answer)
}
