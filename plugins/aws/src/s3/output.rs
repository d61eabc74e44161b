//! The output: plan, store, judge.

use std::cell::RefCell;
use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use suiro_record::Signal;
use suiro_sdk::aws::{Account, Caller, Service};
use suiro_sdk::http::{Answered, one_outcome};
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Delivering, Delivery, Limits, Outcome, Output, OutputSetup, StartError};

use super::plan::{Object, Plan};
use super::settings::Settings;
use super::upload::Bucket;

/// Objects of one delivery under way at a time, where it is several.
const LANES: usize = 4;

struct S3 {
    settings: Settings,
    /// From the start on.
    bucket: Option<Bucket>,
}

/// Reads the settings.
pub(super) fn build(settings: &Section) -> Result<Box<dyn Output>, Reported> {
    Ok(Box::new(S3 { settings: Settings::read(settings)?, bucket: None }))
}

// === impl S3 ===

impl S3 {
    async fn send(&self, delivery: &Delivery) -> Outcome {
        let Some(bucket) = &self.bucket else {
            return Outcome::Retry { why: "the output has not started".to_owned(), after: None, degraded: true };
        };
        let Plan { objects, apart } = Plan::new(bucket.settings(), delivery);
        let alone = objects.len() == 1;
        // A bucket in trouble is not asked for each object.
        let stopped = RefCell::new(None);
        let store = async |object: &Object<'_>| -> Answered {
            let before = stopped.borrow().clone();
            let outcome = match before {
                Some(outcome) => outcome,
                None => bucket.store(object).await,
            };
            let outcome = match outcome {
                // Only a whole delivery can be halved: it comes again with what is left of it.
                Outcome::TooLarge if !alone => {
                    let why = "an object was larger than the server takes: lower `batch.max_bytes`".to_owned();
                    Outcome::Retry { why, after: None, degraded: false }
                }
                outcome => outcome,
            };
            if matches!(outcome, Outcome::Retry { .. }) {
                stopped.borrow_mut().get_or_insert_with(|| outcome.clone());
            }
            (object.numbers(), outcome)
        };
        let answered = stream::iter(&objects).map(store).buffer_unordered(LANES).collect().await;
        one_outcome(apart, answered)
    }
}

impl Output for S3 {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Logs, Signal::Traces, Signal::Metrics]
    }

    /// Few and large objects: each is paid for when it is written, listed and read.
    fn limits(&self) -> Limits {
        Limits { max_bytes: 64 << 20, max_records: usize::MAX, timeout: Duration::from_secs(300) }
    }

    fn start(&mut self, setup: &OutputSetup) -> Result<(), StartError> {
        let Settings { account, client, .. } = self.settings.clone();
        let caller = Caller::new(Account::new(account), Service::S3, client, setup.ledger.clone())?;
        self.bucket = Some(Bucket::new(self.settings.clone(), setup.name.clone(), caller));
        Ok(())
    }

    fn deliver<'a>(&'a self, delivery: &'a Delivery) -> Delivering<'a> {
        Box::pin(self.send(delivery))
    }

    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async {
            if let Some(bucket) = &self.bucket {
                bucket.close().await;
            }
        })
    }
}
