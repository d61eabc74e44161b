//! The output: encode, send, judge.

use reqwest::Method;
use suiro_record::Signal;
use suiro_sdk::http::{Client, ClientSettings, Offer, Request, judge, set_apart};
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Delivering, Delivery, Outcome, Output, OutputSetup, Reason, StartError, Verdict};

use crate::encode::write_span;

const OFFER: Offer = Offer { url: "\"http://127.0.0.1:9411\"", several: true, api_key: false, compression: true };
const PATH: &str = "/api/v2/spans";

/// An answer is read so far, for what is quoted of it.
const ANSWER: usize = 64 << 10;

struct Zipkin {
    settings: ClientSettings,
    /// From the start on.
    client: Option<Client>,
}

/// Reads the settings.
pub(crate) fn build(settings: &Section) -> Result<Box<dyn Output>, Reported> {
    let client = ClientSettings::read(settings, OFFER);
    settings.finish()?;
    Ok(Box::new(Zipkin { settings: client?.with_path(PATH), client: None }))
}

// === impl Zipkin ===

impl Zipkin {
    async fn send(&self, delivery: &Delivery) -> Outcome {
        let Some(client) = &self.client else {
            return Outcome::Retry { why: "the output has not started".to_owned(), after: None, degraded: true };
        };
        let mut body = client.buffer();
        let (mut sent, mut apart) = (Vec::new(), Vec::new());
        body.bytes.push(b'[');
        for (number, (batch, row)) in delivery.records().enumerate() {
            let from = body.bytes.len();
            if !sent.is_empty() {
                body.bytes.push(b',');
            }
            match write_span(batch, row, &mut body.bytes) {
                Ok(()) => sent.push(number),
                Err(why) => {
                    body.bytes.truncate(from);
                    let detail = format!("this is no span for Zipkin: {why}");
                    apart.push((number, Verdict::Refused { reason: Reason::MALFORMED, detail }));
                }
            }
        }
        body.bytes.push(b']');
        if sent.is_empty() {
            return Outcome::Partial(apart);
        }
        let request =
            Request { method: Method::POST, body, content_type: "application/json", header: None, limit: ANSWER };
        let outcome = match client.send(request).await {
            Ok(answer) if answer.is_wrong_address() => {
                let why = format!("{}: `url` is not a Zipkin's", answer.summary());
                Outcome::Retry { why, after: answer.retry_after, degraded: true }
            }
            Ok(answer) => judge(&answer),
            Err(failure) => failure.into_outcome(),
        };
        set_apart(apart, &sent, outcome)
    }
}

impl Output for Zipkin {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Traces]
    }

    fn start(&mut self, setup: &OutputSetup) -> Result<(), StartError> {
        self.client = Some(Client::new(self.settings.clone(), setup.ledger.clone())?);
        Ok(())
    }

    fn deliver<'a>(&'a self, delivery: &'a Delivery) -> Delivering<'a> {
        Box::pin(self.send(delivery))
    }
}
