//! Who asks, on a thread of its own, and keeps what is known.

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use suiro_record::Attributes;
use suiro_sdk::{BlockHealth, FilterSetup, StartError};
use tokio::sync::oneshot;

use super::settings::Settings;
use super::{Found, Trouble};

/// Until it is asked again after the first failure; twice as long after each other one.
const AGAIN: Duration = Duration::from_secs(1);
/// Longest such pause.
const AGAIN_MAX: Duration = Duration::from_secs(60);

/// A question, asked.
pub(super) type Asking<'a> = Pin<Box<dyn Future<Output = Result<Found, Trouble>> + 'a>>;

/// What knows where we are.
pub(super) trait Ask: Send + Sync + 'static {
    /// Finds out what can be. It may be given up at any time.
    fn ask(&self) -> Asking<'_>;
}

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Known(RwLock<Option<Arc<Attributes>>>);

/// Keeps the thread for as long as it lives.
#[derive(Debug)]
pub(super) struct Keeper {
    _alive: oneshot::Sender<()>,
}

// === impl Known ===

impl Known {
    /// What is known now.
    pub(super) fn facts(&self) -> Option<Arc<Attributes>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, facts: Attributes) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.as_deref() != Some(&facts) {
            *known = Some(Arc::new(facts));
        }
    }
}

// === impl Keeper ===

impl Keeper {
    /// Starts the thread and waits until something is known, as long as the settings say.
    pub(super) fn start(
        ask: Arc<dyn Ask>,
        known: Arc<Known>,
        settings: &Settings,
        setup: &FilterSetup,
    ) -> Result<Keeper, StartError> {
        let (alive, end) = oneshot::channel();
        let (asked, first) = channel();
        let round = Round {
            ask,
            known,
            settings: settings.clone(),
            filter: setup.name.clone(),
            health: setup.health.clone(),
            asked,
        };
        let failed = |error: std::io::Error| StartError(format!("no thread to be had for metadata: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        std::thread::Builder::new()
            .name(format!("meta:{}", setup.name))
            .spawn(move || runtime.block_on(round.run(end)))
            .map_err(failed)?;
        if first.recv_timeout(settings.wait).is_err() && !settings.wait.is_zero() {
            let why = format!("no metadata within {:?} (`wait`): records go on without, until there is", settings.wait);
            tracing::warn!(filter = %setup.name, "{why}");
            setup.health.degraded(&why);
        }
        Ok(Keeper { _alive: alive })
    }
}

/// The thread's work.
struct Round {
    ask: Arc<dyn Ask>,
    known: Arc<Known>,
    settings: Settings,
    filter: Arc<str>,
    health: BlockHealth,
    /// Told when there is something known, or will not be; whoever waits for it does so for a while only.
    asked: Sender<()>,
}

// === impl Round ===

impl Round {
    /// Until nobody wants to know any more.
    async fn run(self, mut end: oneshot::Receiver<()>) {
        let mut pause = AGAIN;
        let mut said = String::new();
        loop {
            let found = tokio::select! {
                found = self.ask.ask() => found,
                _ = &mut end => return,
            };
            let lasting = matches!(found, Err(Trouble::Lasting(_)));
            let trouble = self.take(found);
            let next = match &trouble {
                None => {
                    self.health.ok();
                    pause = AGAIN;
                    self.settings.refresh
                }
                Some(why) => {
                    if *why != said {
                        tracing::warn!(filter = %self.filter, "{why}");
                    }
                    self.health.degraded(why);
                    let next = pause;
                    pause = (pause * 2).min(AGAIN_MAX);
                    Some(next).filter(|_| !lasting)
                }
            };
            said = trouble.unwrap_or_default();
            if lasting || self.known.facts().is_some() {
                // Nobody may be waiting any more.
                let _ = self.asked.send(());
            }
            let Some(next) = next else { return };
            tokio::select! {
                () = tokio::time::sleep(next) => {}
                _ = &mut end => return,
            }
        }
    }

    /// Keeps what was found. What is wrong, if anything.
    fn take(&self, found: Result<Found, Trouble>) -> Option<String> {
        match found {
            Ok(Found { mut facts, missing }) => {
                facts.retain(|(name, _)| self.settings.takes(name));
                self.known.set(facts);
                missing
            }
            Err(Trouble::Passing(why) | Trouble::Lasting(why)) => Some(match self.known.facts() {
                Some(_) => format!("metadata can't be had again, and stays as it is: {why}"),
                None => format!("no metadata to be had, records go on without: {why}"),
            }),
        }
    }
}
