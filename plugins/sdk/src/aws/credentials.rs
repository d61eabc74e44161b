//! Credentials, kept until shortly before they expire.
//!
//! The SDK's cache belongs to its clients, and asks again for each request while nobody answers. This one serves our own
//! signatures and the SDK's clients alike.
//!
//! - Asked anew [`LEAD`] before they expire (or when three quarters of a shorter life are over), and when a service no
//!   longer takes them.
//! - One asks at a time. Who has credentials that are still good does not wait for it, and they serve on while nobody has
//!   new ones.
//! - After a failure the next attempt is on a [`Backoff`]; until then the failure is the answer.
//! - Credentials that are expired already when they come are used: it may be the clock here that is wrong, and the service
//!   knows.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use tokio::time::Instant;

use super::backoff::Backoff;
use super::clock::Clock;
use super::error::AccountError;
use super::providers::Providers;
use super::settings::AccountSettings;
use super::surroundings::Surroundings;

/// So long before they expire, new ones are asked for.
const LEAD: Duration = Duration::from_secs(5 * 60);
/// Asking everybody may take this long.
const PATIENCE: Duration = Duration::from_secs(20);
/// Credentials that a service refuses are not asked for anew more often.
const AT_MOST_EVERY: Duration = Duration::from_secs(5);

/// What is kept.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    current: Mutex<Option<Current>>,
    asking: tokio::sync::Mutex<Asking>,
}

#[derive(Clone, Debug)]
struct Current {
    credentials: Credentials,
    /// `None`: never, unless a service refuses them.
    renew_at: Option<SystemTime>,
    came: Instant,
    refused: bool,
}

/// Held by who asks.
#[derive(Debug, Default)]
struct Asking {
    /// They remember things between two questions (a session with the instance's metadata), but failures too: after one,
    /// and after a refusal, they are made anew.
    providers: Option<Providers>,
    backoff: Backoff,
}

// === impl Keeper ===

impl Keeper {
    /// Credentials to use now.
    pub(super) async fn get(
        &self,
        settings: &AccountSettings,
        surroundings: &Surroundings,
        clock: &Clock,
    ) -> Result<Credentials, AccountError> {
        let kept = self.current();
        let mut asking = match &kept {
            Some(current) if current.is_fresh(clock) => return Ok(current.credentials.clone()),
            Some(current) if current.is_good(clock) => match self.asking.try_lock() {
                Ok(asking) => asking,
                Err(_) => return Ok(current.credentials.clone()),
            },
            _ => self.asking.lock().await,
        };
        // Somebody may have asked while we waited.
        let kept = self.current();
        if let Some(current) = kept.as_ref().filter(|current| current.is_fresh(clock)) {
            return Ok(current.credentials.clone());
        }
        let serves_on = |error| match &kept {
            Some(current) if current.is_good(clock) => Ok(current.credentials.clone()),
            _ => Err(error),
        };
        if let Err(error) = asking.backoff.check() {
            return serves_on(error);
        }
        if kept.as_ref().is_some_and(|current| current.refused) {
            asking.providers = None;
        }
        match asking.ask(settings, surroundings).await {
            Ok(credentials) => {
                asking.backoff.succeeded();
                let current = Current::new(credentials.clone(), clock.now());
                *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(current);
                Ok(credentials)
            }
            Err(error) => {
                asking.providers = None;
                asking.backoff.failed(error.clone());
                let served = serves_on(error.clone());
                if served.is_ok() {
                    // Nothing has failed yet, and it will.
                    tracing::warn!("credentials can't be renewed; the old ones serve until they expire: {error}");
                }
                served
            }
        }
    }

    /// A service does not take them: the next who needs some asks anew.
    pub(super) fn refused(&self) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(current) = current.as_mut().filter(|current| current.came.elapsed() >= AT_MOST_EVERY) {
            current.refused = true;
        }
    }

    fn current(&self) -> Option<Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

// === impl Current ===

impl Current {
    fn new(credentials: Credentials, now: SystemTime) -> Self {
        let renew_at = credentials.expiry().map(|expiry| {
            let life = expiry.duration_since(now).unwrap_or_default();
            let wait = life.saturating_sub(LEAD.min(life / 4)).max(AT_MOST_EVERY);
            now.checked_add(wait).unwrap_or(expiry)
        });
        Current { credentials, renew_at, came: Instant::now(), refused: false }
    }

    /// There is no reason to ask for others.
    fn is_fresh(&self, clock: &Clock) -> bool {
        !self.refused && self.renew_at.is_none_or(|at| clock.now() < at)
    }

    /// They can be used still.
    fn is_good(&self, clock: &Clock) -> bool {
        !self.refused && self.credentials.expiry().is_none_or(|expiry| clock.now() < expiry)
    }
}

// === impl Asking ===

impl Asking {
    async fn ask(
        &mut self,
        settings: &AccountSettings,
        surroundings: &Surroundings,
    ) -> Result<Credentials, AccountError> {
        let providers = match &mut self.providers {
            Some(providers) => providers,
            none => none.insert(Providers::new(settings, surroundings).await),
        };
        match tokio::time::timeout(PATIENCE, providers.ask()).await {
            Ok(asked) => asked,
            Err(_) => {
                let seconds = PATIENCE.as_secs();
                Err(AccountError(format!("no credentials: nobody had any within {seconds} s; set `credentials`")))
            }
        }
    }
}
