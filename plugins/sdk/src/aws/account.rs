//! Who signs, and where.

use std::sync::Arc;

use aws_types::SdkConfig;
use reqwest::Url;
use reqwest::header::HeaderMap;

use super::error::AccountError;
use super::service::Service;
use super::settings::AccountSettings;
use super::sign::Signable;

/// Credentials, region and endpoints of one block. No I/O until asked; refreshed before they expire. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Account(Arc<AccountSettings>);

// === impl Account ===

impl Account {
    /// The account of these settings.
    pub fn new(settings: AccountSettings) -> Self {
        Account(Arc::new(settings))
    }

    /// Its region, such as `eu-central-1`.
    pub async fn region(&self) -> Result<String, AccountError> {
        Err(AccountError("no region".to_owned()))
    }

    /// Where `service` is, without a path's end: the setting `endpoint`, `AWS_ENDPOINT_URL_*`, or the region's.
    pub async fn endpoint(&self, service: Service) -> Result<Url, AccountError> {
        let _ = service;
        Err(AccountError("no endpoint".to_owned()))
    }

    /// Signs a request; the headers to add.
    pub async fn sign(&self, signing_name: &str, request: Signable<'_>) -> Result<HeaderMap, AccountError> {
        let _ = (signing_name, request);
        Err(AccountError("no credentials".to_owned()))
    }

    /// For clients of the SDK's (`aws-sdk-*`): credentials, region, endpoint, an HTTP client on rustls with ring; without
    /// retries of its own.
    pub async fn sdk_config(&self) -> Result<SdkConfig, AccountError> {
        Err(AccountError("no credentials".to_owned()))
    }

    /// Learns from an answer that is no success, of a request that this account signed: how far our clock is off (from
    /// `Date`), and that credentials are no longer taken. [`Caller`](super::Caller) tells it by itself.
    pub fn learn(&self, code: &str, headers: &HeaderMap) {
        let _ = (code, headers);
    }
}
