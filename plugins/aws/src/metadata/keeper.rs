//! Who asks, on a thread of its own, and keeps what is known.
//!
//! Only that thread says how the filter is, so that what it says last is how it is.

use std::convert::Infallible;
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
        if !settings.wait.is_zero() {
            // The thread says when to wait no longer. An error: it is gone.
            let _ = first.recv();
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
    /// Told when there is something known, or will not be, or it takes too long.
    asked: Sender<()>,
}

// === impl Round ===

impl Round {
    /// Until nobody wants to know any more.
    async fn run(self, end: oneshot::Receiver<()>) {
        tokio::select! {
            () = self.keep_asking() => {}
            never = self.be_late() => match never {},
            _ = end => {}
        }
    }

    /// Says that nothing is known, if it is so when the start waits no longer.
    async fn be_late(&self) -> Infallible {
        let wait = self.settings.wait;
        tokio::time::sleep(wait).await;
        if self.known.facts().is_none() && !wait.is_zero() {
            let why = format!("no metadata within {wait:?} (`wait`): records go on without, until there is");
            tracing::warn!(filter = %self.filter, "{why}");
            self.health.degraded(&why);
        }
        self.tell();
        std::future::pending().await
    }

    /// Lets the start go on. Nobody may be waiting any more.
    fn tell(&self) {
        let _ = self.asked.send(());
    }

    /// Asks, as long as an answer may be of use.
    async fn keep_asking(&self) {
        let mut pause = AGAIN;
        let mut said = String::new();
        loop {
            let found = self.ask.ask().await;
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
                self.tell();
            }
            let Some(next) = next else { return };
            tokio::time::sleep(next).await;
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::Receiver;

    use suiro_record::Value;
    use suiro_sdk::ReportHealth;

    use super::*;

    /// Answers after that long.
    struct Slow(Duration);

    impl Ask for Slow {
        fn ask(&self) -> Asking<'_> {
            Box::pin(async {
                tokio::time::sleep(self.0).await;
                Ok(Found { facts: vec![("host.id".to_owned(), Value::from("i-1"))], missing: None })
            })
        }
    }

    /// What is wrong now.
    #[derive(Default)]
    struct Health(Mutex<Option<String>>);

    impl ReportHealth for Health {
        fn ok(&self, _: &str) {
            *self.0.lock().unwrap() = None;
        }

        fn degraded(&self, _: &str, why: &str) {
            *self.0.lock().unwrap() = Some(why.to_owned());
        }
    }

    impl Health {
        fn is_late(&self) -> bool {
            self.0.lock().unwrap().as_ref().is_some_and(|why| why.contains("no metadata within 5s"))
        }
    }

    fn round(answer: Duration, health: &Arc<Health>) -> (Round, Receiver<()>) {
        let (asked, first) = channel();
        let settings = Settings {
            fields: Vec::new(),
            replace: false,
            wait: Duration::from_secs(5),
            refresh: Some(Duration::from_secs(3600)),
        };
        let health = BlockHealth::new("here".into(), health.clone());
        let (ask, known) = (Arc::new(Slow(answer)), Arc::default());
        (Round { ask, known, settings, filter: "here".into(), health, asked }, first)
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_answer_mends_health() {
        let health = Arc::<Health>::default();
        let (round, first) = round(Duration::from_secs(7), &health);
        let (_alive, end) = oneshot::channel();
        let running = round.run(end);
        tokio::pin!(running);
        let mut run_for = async |seconds| {
            let _ = tokio::time::timeout(Duration::from_secs(seconds), &mut running).await;
        };
        run_for(4).await;
        assert!(!health.is_late() && first.try_recv().is_err());
        run_for(2).await;
        assert!(health.is_late() && first.try_recv().is_ok());
        run_for(2).await;
        assert_eq!(*health.0.lock().unwrap(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_just_in_time_leaves_no_trace() {
        // Whichever comes first, what is said last is true.
        for _ in 0..20 {
            let health = Arc::<Health>::default();
            let (round, first) = round(Duration::from_secs(5), &health);
            let (_alive, end) = oneshot::channel();
            let _ = tokio::time::timeout(Duration::from_secs(6), round.run(end)).await;
            assert!(first.try_recv().is_ok());
            assert_eq!(*health.0.lock().unwrap(), None);
        }
    }
}
