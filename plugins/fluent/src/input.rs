//! The input: what a worker reads of it, and how it ends.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex as Lock};
use std::time::{Duration, Instant};

use suiro_record::{Scope, Source as Origin};
use suiro_sdk::decompress::Decompressor;
use suiro_sdk::intake::Intake;
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Flow, Input, Polled, Source, SourceSetup, StartError};
use tokio::sync::{Mutex, Semaphore};

use crate::buffer::BufferTerms;
use crate::connection::{Busy, Closing, Complaints, TAG, Terms};
use crate::group;
use crate::listen::Sockets;
use crate::settings::Settings;

/// How long connections may take to hand over what they have read when the agent stops.
const LAST_RECORDS: Duration = Duration::from_secs(2);

struct Forward {
    settings: Settings,
    intake: Arc<Intake>,
    closing: Arc<Closing>,
}

/// What a worker reads: what is handed over, and at the end what connections hand over then.
struct ForwardSource {
    inner: Box<dyn Source>,
    closing: Arc<Closing>,
    last: VecDeque<Flow>,
    /// Bytes that may be in there while connections hand over more, of all workers.
    most: usize,
}

/// Reads the settings.
pub(crate) fn build(section: &Section) -> Result<Box<dyn Input>, Reported> {
    let settings = Settings::read(section)?;
    Ok(Box::new(Forward { intake: Intake::new(settings.max_pending), settings, closing: Closing::new() }))
}

impl Input for Forward {
    fn source(&self, setup: SourceSetup) -> Result<Option<Box<dyn Source>>, StartError> {
        let example = Scope::new(Arc::new(Origin::new(setup.name.clone(), 0))).with(TAG, "app");
        if let Some(desk) = self.intake.desk_of(&setup, example)? {
            let Settings { ack, max_message, timeout, max_connections, .. } = self.settings;
            let (tls, security) = (self.settings.tls.clone(), self.settings.security.clone());
            let sockets = Sockets::open(&self.settings)?;
            let (tag, closing) = (setup.tag.clone(), self.closing.clone());
            let busy = Busy::new(&closing);
            let shared = Arc::new(Semaphore::new(self.settings.max_pending));
            desk.spawn(move |desk| {
                let terms = Arc::new(Terms {
                    desk,
                    tag,
                    ack,
                    security,
                    buffer: BufferTerms { max_message, timeout, shared },
                    bench: Mutex::new(Decompressor::default()),
                    closing,
                    complaints: Lock::new(Complaints::default()),
                });
                sockets.serve(terms, tls, max_connections, busy)
            })?;
        }
        let (inner, closing) = (self.intake.source(&setup), self.closing.clone());
        let most = self.settings.max_pending;
        Ok(Some(Box::new(ForwardSource { inner, closing, last: VecDeque::new(), most })))
    }

    fn default_tag(&self) -> Option<&'static str> {
        Some("{@fluent.tag}")
    }
}

impl Source for ForwardSource {
    fn poll(&mut self) -> Polled {
        self.inner.poll()
    }

    /// Who sends without chunks does not send again: what was read is taken, before nothing more is.
    fn stop(&mut self) {
        self.closing.told.send_replace(true);
        let until = Instant::now() + LAST_RECORDS;
        while !self.closing.is_done() && Instant::now() < until {
            self.take(self.most);
            std::thread::sleep(Duration::from_millis(1));
        }
        // What is handed over by now has found room: it is as much again at most.
        let most = || self.closing.held.load(SeqCst).saturating_add(self.most);
        let most = *self.closing.most.get_or_init(most);
        self.take(most);
        self.inner.stop();
    }

    fn finish(&mut self) -> Option<Flow> {
        self.last.pop_front()
    }
}

// === impl ForwardSource ===

impl ForwardSource {
    /// Takes what is handed over, until workers hold `most` bytes: what is not taken keeps its room, so that connections wait.
    /// (`LastCall` can't do that: there nothing is handed over any more when it takes.)
    fn take(&mut self, most: usize) {
        while self.closing.held.load(SeqCst) < most {
            match catch_unwind(AssertUnwindSafe(|| self.inner.poll())) {
                Ok(Polled::Batch(flow)) => {
                    self.closing.held.fetch_add(group::used(&flow.batch), SeqCst);
                    self.last.push_back(flow);
                }
                Ok(Polled::Idle { until: Some(_) }) => {}
                Ok(Polled::Idle { until: None } | Polled::Done) => break,
                // The network side has died, which is only said behind all that it handed over.
                Err(_) => break,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use suiro_record::{Batch, Row};
    use suiro_sdk::Custody;

    use super::*;

    /// There is always more, as from senders that do not stop.
    struct Endless;

    impl Source for Endless {
        fn poll(&mut self) -> Polled {
            let mut batch = Batch::new("t".into(), Arc::new(Scope::new(Arc::new(Origin::new("in".into(), 1)))), 0);
            let root = batch.assemble().unwrap().finish(None).unwrap();
            batch.heap_mut().resize(10_000, b' ');
            batch.rows.push(Row::new(root, 0, 0, 1));
            Polled::Batch(Flow::new(batch, Custody::default()))
        }
    }

    #[test]
    fn at_a_stop_no_more_is_taken_than_may_wait() {
        let closing = Closing::new();
        let source =
            |most| ForwardSource { inner: Box::new(Endless), closing: closing.clone(), last: VecDeque::new(), most };
        let mut first = source(100_000);
        first.take(first.most);
        first.take(first.most);
        assert_eq!(first.last.len(), 10);
        // Nor of two workers together.
        let mut second = source(100_000);
        second.take(second.most);
        assert!(second.last.is_empty());
        // No connection is left: what found room when nothing was taken any more is as much again.
        second.stop();
        assert_eq!(second.last.len(), 10);
    }
}
