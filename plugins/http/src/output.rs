//! The output: encode, send, judge.

use reqwest::Method;
use suiro_sdk::http::{Client, ClientSettings, Offer, Request, judge};
use suiro_sdk::record::Signal;
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Delivering, Delivery, Outcome, Output, OutputSetup, StartError};

use crate::encode::Format;

const OFFER: Offer = Offer { url: "\"http://127.0.0.1:8080/in\"", several: false, api_key: false, compression: true };

/// An answer is read so far, for what is quoted of it. What is longer costs the connection.
const ANSWER: usize = 64 << 10;

struct Http {
    settings: ClientSettings,
    method: Method,
    format: Format,
    /// From the start on.
    client: Option<Client>,
}

/// Reads the settings.
pub(crate) fn build(settings: &Section) -> Result<Box<dyn Output>, Reported> {
    let client = ClientSettings::read(settings, OFFER);
    let method = settings.choice("method", &[("POST", Method::POST), ("PUT", Method::PUT)]).unwrap_or(Method::POST);
    let format = settings.choice("format", &Format::ALL).unwrap_or_default();
    settings.finish()?;
    Ok(Box::new(Http { settings: client?, method, format, client: None }))
}

// === impl Http ===

impl Http {
    async fn send(&self, delivery: &Delivery) -> Outcome {
        let Some(client) = &self.client else {
            return Outcome::Retry { why: "the output has not started".to_owned(), after: None, degraded: true };
        };
        let mut body = client.buffer();
        self.format.write(delivery, &mut body.bytes);
        let request = Request {
            method: self.method.clone(),
            body,
            content_type: self.format.content_type(),
            header: None,
            limit: ANSWER,
        };
        match client.send(request).await {
            Ok(answer) => judge(&answer),
            Err(failure) => failure.into_outcome(),
        }
    }
}

impl Output for Http {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Logs, Signal::Traces, Signal::Metrics]
    }

    fn start(&mut self, setup: &OutputSetup) -> Result<(), StartError> {
        self.client = Some(Client::new(self.settings.clone(), setup.ledger.clone())?);
        Ok(())
    }

    fn deliver<'a>(&'a self, delivery: &'a Delivery) -> Delivering<'a> {
        Box::pin(self.send(delivery))
    }
}
