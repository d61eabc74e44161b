//! The output: encode, send, judge.

use suiro_sdk::http::{Client, ClientSettings, Request, set_apart};
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Delivering, Delivery, Outcome, Output, OutputSetup, StartError};

use crate::answer::{self, ANSWER, ANSWER_MAX, ANSWER_PER_RECORD};
use crate::encode::Encoder;
use crate::settings::Settings;

struct Elasticsearch {
    encoder: Encoder,
    settings: ClientSettings,
    /// From the start on.
    client: Option<Client>,
}

/// Reads the settings.
pub(crate) fn build(settings: &Section) -> Result<Box<dyn Output>, Reported> {
    let Settings { client, index, action, id } = Settings::read(settings)?;
    Ok(Box::new(Elasticsearch { encoder: Encoder::new(index, action, id), settings: client, client: None }))
}

// === impl Elasticsearch ===

impl Elasticsearch {
    async fn send(&self, delivery: &Delivery) -> Outcome {
        let Some(client) = &self.client else {
            return Outcome::Retry { why: "the output has not started".to_owned(), after: None, degraded: true };
        };
        let mut body = client.buffer();
        let encoded = self.encoder.encode(delivery, &mut body.bytes);
        if encoded.sent.is_empty() {
            return Outcome::Partial(encoded.apart);
        }
        let request = Request {
            method: reqwest::Method::POST,
            body,
            content_type: "application/x-ndjson",
            header: None,
            limit: (ANSWER + encoded.sent.len() * ANSWER_PER_RECORD).min(ANSWER_MAX),
        };
        let outcome = match client.send(request).await {
            Ok(answer) => answer::outcome(&answer, &encoded.sent, self.encoder.ids_are_ours()),
            Err(failure) => failure.into_outcome(),
        };
        set_apart(encoded.apart, &encoded.sent, outcome)
    }
}

impl Output for Elasticsearch {
    fn start(&mut self, setup: &OutputSetup) -> Result<(), StartError> {
        self.client = Some(Client::new(self.settings.clone(), setup.ledger.clone())?);
        Ok(())
    }

    fn deliver<'a>(&'a self, delivery: &'a Delivery) -> Delivering<'a> {
        Box::pin(self.send(delivery))
    }
}
