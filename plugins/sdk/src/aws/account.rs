//! Who signs, and where.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::identity::IdentityCache;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::origin::Origin;
use reqwest::Url;
use reqwest::header::{DATE, HeaderMap, HeaderValue};

use super::answer::Subject;
use super::backoff::Backoff;
use super::clock::Clock;
use super::credentials::Keeper;
use super::error::AccountError;
use super::service::Service;
use super::settings::AccountSettings;
use super::sign::{Seal, Signable};
use super::surroundings::Surroundings;

/// To open a connection may take a client of the SDK's this long.
const CONNECT: Duration = Duration::from_secs(10);
/// A call of its, answer included, if nothing else is said.
const OPERATION: Duration = Duration::from_secs(30);

/// Credentials, region and endpoints of one block. No I/O until asked; refreshed before they expire. Cheap to clone: clones
/// share what is known.
#[derive(Clone)]
pub struct Account(Arc<Inner>);

struct Inner {
    settings: AccountSettings,
    clock: Clock,
    surroundings: OnceLock<Surroundings>,
    /// Held by who looks around.
    looking: tokio::sync::Mutex<Backoff>,
    keeper: Keeper,
}

// === impl Account ===

impl Account {
    /// The account of these settings.
    pub fn new(settings: AccountSettings) -> Self {
        Account(Arc::new(Inner {
            settings,
            clock: Clock::default(),
            surroundings: OnceLock::new(),
            looking: tokio::sync::Mutex::default(),
            keeper: Keeper::default(),
        }))
    }

    /// What it was made of.
    pub fn settings(&self) -> &AccountSettings {
        &self.0.settings
    }

    /// Its region, such as `eu-central-1`.
    pub async fn region(&self) -> Result<String, AccountError> {
        Ok(self.surroundings().await?.region.clone())
    }

    /// Where `service` is, without a path's end: the setting `endpoint`, `AWS_ENDPOINT_URL_*`, or the region's.
    pub async fn endpoint(&self, service: Service) -> Result<Url, AccountError> {
        self.surroundings().await?.endpoint(&self.0.settings, service)
    }

    /// Signs a request; the headers to add. Of its own headers, `Content-Type`, `Content-MD5` and all that begin with
    /// `x-amz-` are signed.
    pub async fn sign(&self, signing_name: &str, request: Signable<'_>) -> Result<HeaderMap, AccountError> {
        let surroundings = self.surroundings().await?;
        let credentials = self.credentials().await?;
        let time = self.0.clock.now();
        Seal { credentials: &credentials, region: &surroundings.region, service: signing_name, time }.sign(request)
    }

    /// For clients of the SDK's (`aws-sdk-*`): credentials, region, endpoint, an HTTP client on rustls with ring; without
    /// retries of its own. Credentials are asked for when the client needs them, and kept here. A call may take 30 s, which
    /// the client's own configuration can change.
    pub async fn sdk_config(&self) -> Result<SdkConfig, AccountError> {
        let mut builder = self.surroundings().await?.sdk.to_builder();
        if let Some(endpoint) = &self.0.settings.endpoint {
            builder.set_endpoint_url(Some(endpoint.url().to_string()));
            // Before the variables, as the setting is.
            builder.insert_origin("endpoint_url", Origin::shared_config());
        }
        builder.set_credentials_provider(Some(SharedCredentialsProvider::new(Provider(self.clone()))));
        // Those of the surroundings are for small questions.
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_timeout(OPERATION).build();
        let builder = builder.identity_cache(IdentityCache::no_cache()).retry_config(RetryConfig::disabled());
        Ok(builder.timeout_config(timeouts).build())
    }

    /// Learns from an answer that is no success, of a request that this account signed: how far our clock is off (from
    /// `Date`), and that credentials are no longer taken. `code` is the error's, or empty. [`Caller`](super::Caller) tells
    /// it by itself; who uses [`Account::sdk_config`] may.
    pub fn learn(&self, code: &str, headers: &HeaderMap) {
        let Inner { clock, keeper, .. } = &*self.0;
        let date = headers.get(DATE).map(HeaderValue::as_bytes);
        let off = date.and_then(|date| clock.difference(date));
        match (Subject::of(code), date, off) {
            (Subject::Skew, Some(date), _) => clock.set(date),
            (Subject::Signature, Some(date), Some(off)) => {
                tracing::warn!("the clock here is {} s off the service's: signatures take its time", off.as_secs());
                clock.set(date);
            }
            (Subject::Expired | Subject::Signature | Subject::UnknownKey, ..) => keeper.refused(),
            // What is no service of AWS's own (an OpenSearch domain) refuses without a code.
            (Subject::Other, Some(date), Some(_)) if code.is_empty() => clock.set(date),
            _ => {}
        }
    }

    async fn credentials(&self) -> Result<Credentials, AccountError> {
        let Inner { settings, clock, keeper, .. } = &*self.0;
        keeper.get(settings, self.surroundings().await?, clock).await
    }

    /// Looks around, once that it succeeds.
    async fn surroundings(&self) -> Result<&Surroundings, AccountError> {
        let Inner { settings, clock, surroundings, looking, .. } = &*self.0;
        if let Some(known) = surroundings.get() {
            return Ok(known);
        }
        let mut backoff = looking.lock().await;
        if let Some(known) = surroundings.get() {
            return Ok(known);
        }
        backoff.check()?;
        match Surroundings::find(settings, clock).await {
            Ok(found) => Ok(surroundings.get_or_init(|| found)),
            Err(error) => {
                backoff.failed(error.clone());
                Err(error)
            }
        }
    }
}

impl fmt::Debug for Account {
    /// What it was made of: secrets print as `***`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Account").field(&self.0.settings).finish()
    }
}

/// The account as a provider of the SDK's.
#[derive(Debug)]
struct Provider(Account);

impl ProvideCredentials for Provider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async { self.0.credentials().await.map_err(CredentialsError::provider_error) })
    }
}
