//! The output: pack, send, judge.

use std::cell::RefCell;
use std::time::Duration;

use suiro_record::Signal;
use suiro_sdk::aws::{Account, Call, Caller, Method};
use suiro_sdk::http::{Tried, in_requests, one_outcome};
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Delivering, Delivery, Limits, Outcome, Output, OutputSetup, StartError};

use super::answer::{self, ANSWER};
use super::encode::{Encoder, Records};
use super::service::Service;
use super::settings::Settings;

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

struct Kinesis {
    settings: Settings,
    encoder: RefCell<Encoder>,
    /// From the start on.
    caller: Option<Caller>,
}

/// Reads the settings of `kinesis`.
pub(super) fn build_kinesis(settings: &Section) -> Result<Box<dyn Output>, Reported> {
    build(settings, Service::Streams)
}

/// Reads the settings of `firehose`.
pub(super) fn build_firehose(settings: &Section) -> Result<Box<dyn Output>, Reported> {
    build(settings, Service::Firehose)
}

fn build(settings: &Section, service: Service) -> Result<Box<dyn Output>, Reported> {
    let settings = Settings::read(settings, service)?;
    Ok(Box::new(Kinesis { settings, encoder: RefCell::default(), caller: None }))
}

// === impl Kinesis ===

impl Kinesis {
    /// Mostly one request. More where records grew beyond one, or where one of them may be what the service does not take.
    async fn send(&self, delivery: &Delivery) -> Outcome {
        let Some(caller) = &self.caller else {
            return Outcome::Retry { why: "the output has not started".to_owned(), after: None, degraded: true };
        };
        let records = Records::new(&self.settings, delivery);
        let mut apart = Vec::new();
        let answered = in_requests(records.len(), async |mut numbers| {
            let mut body = caller.buffer();
            let request = self.encoder.borrow_mut().write(&records, &numbers, &mut apart, &mut body.bytes);
            let left = numbers.split_off(request.looked_at);
            let sent = request.sent;
            if sent.is_empty() {
                return Tried { left, answered: None };
            }
            let call = Call {
                method: Method::POST,
                path: "/",
                target: Some(self.settings.service.target()),
                content_type: CONTENT_TYPE,
                headers: &[],
                body,
                limit: ANSWER,
            };
            let outcome = match caller.call(call).await {
                Ok(answer) => answer::outcome(&answer, &self.settings.stream, &sent),
                Err(failure) => failure.into_outcome(),
            };
            Tried { left, answered: Some((sent, outcome)) }
        })
        .await;
        one_outcome(apart, answered)
    }
}

impl Output for Kinesis {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Logs, Signal::Traces, Signal::Metrics]
    }

    /// A delivery is a request, and requests are billed and limited by number: a second makes few of many.
    fn limits(&self) -> Limits {
        let Settings { service, bounds, .. } = &self.settings;
        Limits { max_bytes: service.likes(), max_records: bounds.records, timeout: Duration::from_secs(1) }
    }

    fn start(&mut self, setup: &OutputSetup) -> Result<(), StartError> {
        let Settings { service, account, client, .. } = self.settings.clone();
        self.caller = Some(Caller::new(Account::new(account), service.endpoint(), client, setup.ledger.clone())?);
        Ok(())
    }

    fn deliver<'a>(&'a self, delivery: &'a Delivery) -> Delivering<'a> {
        Box::pin(self.send(delivery))
    }
}
