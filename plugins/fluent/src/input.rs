//! The input: what a worker reads of it, and how it ends.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex as Lock};
use std::time::{Duration, Instant};

use suiro_record::{Scope, Source as Origin};
use suiro_sdk::decompress::Decompressor;
use suiro_sdk::intake::Intake;
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Flow, Input, Polled, Source, SourceSetup, StartError};
use tokio::sync::{Mutex, Semaphore};

use crate::buffer::BufferTerms;
use crate::connection::{Busy, Closing, TAG, Terms};
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
                    said: Lock::default(),
                });
                sockets.serve(terms, tls, max_connections, busy)
            })?;
        }
        let (inner, closing) = (self.intake.source(&setup), self.closing.clone());
        Ok(Some(Box::new(ForwardSource { inner, closing, last: VecDeque::new() })))
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
        loop {
            // What is handed over now is taken in the next round, which is the last.
            let is_last = self.closing.is_done() || Instant::now() >= until;
            self.take();
            if is_last {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.inner.stop();
    }

    fn finish(&mut self) -> Option<Flow> {
        self.last.pop_front()
    }
}

// === impl ForwardSource ===

impl ForwardSource {
    /// Takes what is handed over.
    fn take(&mut self) {
        // It panics if the network side has died: there is nothing more then.
        while let Ok(polled) = catch_unwind(AssertUnwindSafe(|| self.inner.poll())) {
            match polled {
                Polled::Batch(flow) => self.last.push_back(flow),
                Polled::Idle { until: Some(_) } => {}
                Polled::Idle { until: None } | Polled::Done => break,
            }
        }
    }
}
