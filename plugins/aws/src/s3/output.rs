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
        let stopped = RefCell::new(None);
        let stored = stream::iter(objects).map(|object| store(bucket, object, &stopped)).buffer_unordered(LANES);
        let answered: Vec<Vec<Answered>> = stored.collect().await;
        one_outcome(apart, answered.into_iter().flatten().collect())
    }
}

/// Writes an object; what the server does not take at once, in halves. A bucket in trouble is not asked for each object:
/// what it said is in `stopped`.
async fn store<'a>(bucket: &Bucket, object: Object<'a>, stopped: &RefCell<Option<Outcome>>) -> Vec<Answered> {
    let mut answered = Vec::new();
    let mut todo = vec![object];
    while let Some(mut object) = todo.pop() {
        let before = stopped.borrow().clone();
        let outcome = match before {
            Some(outcome) => outcome,
            None => bucket.store(&object).await,
        };
        if outcome == Outcome::TooLarge && object.records.len() > 1 {
            let rest = object.split_off_half();
            todo.extend([rest, object]);
            continue;
        }
        if matches!(outcome, Outcome::Retry { .. }) {
            stopped.borrow_mut().get_or_insert_with(|| outcome.clone());
        }
        answered.push((object.numbers(), outcome));
    }
    answered
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
