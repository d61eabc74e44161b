//! A service's signed HTTP client.

use std::sync::Arc;

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Url};

use super::account::Account;
use super::error::AccountError;
use super::request_signer::RequestSigner;
use super::service::Service;
use crate::http::{Answer, Buffer, Client, ClientSettings, Endpoint, Failure, Request, Sign, Signable, Signing};
use crate::input::StartError;
use crate::ledger::OutputLedger;
use crate::settings::{Reported, Section};

/// The SDK's [`Client`] that knows where a service is and signs what it sends. Lives on the output's thread.
#[derive(Debug)]
pub struct Caller {
    account: Account,
    service: Service,
    client: Client,
    host_prefix: Option<String>,
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
    /// More headers. Those that begin with `x-amz-` are signed.
    pub headers: &'a [(HeaderName, HeaderValue)],
    /// The body, before compression.
    pub body: Buffer,
    /// Bytes of the answer that are read, at most.
    pub limit: usize,
}

/// Signs, and leaves all answers to who calls.
#[derive(Debug)]
struct Signer(RequestSigner);

// === impl Caller ===

impl Caller {
    /// Sets it up. `client` is what [`client_settings`] read; `ledger` is told the bytes that are sent.
    pub fn new(
        account: Account,
        service: Service,
        mut client: ClientSettings,
        ledger: Arc<OutputLedger>,
    ) -> Result<Self, StartError> {
        // Certificates of authorities are loaded unless all that can be spoken to is plain http.
        client.endpoints = account.settings().endpoint.iter().cloned().collect();
        client.signer = Some(Arc::new(Signer(RequestSigner::new(account.clone(), service.signing))));
        Ok(Caller { account, service, client: Client::new(client, ledger)?, host_prefix: None })
    }

    /// The same with a name before the service's host, as S3 has its buckets (`BUCKET.s3.REGION.amazonaws.com`). Not where
    /// [`Caller::takes_host_prefix`] says no: there the bucket belongs in the path.
    #[must_use]
    pub fn with_host_prefix(self, prefix: &str) -> Self {
        Caller { host_prefix: Some(prefix.to_owned()), ..self }
    }

    /// Whether the endpoint's host takes a name before it: it is the region's own, no override.
    pub async fn takes_host_prefix(&self) -> Result<bool, AccountError> {
        let endpoint = self.account.endpoint(self.service).await?;
        let own = format!("{}.", self.service.host);
        let fips = format!("{}-fips.", self.service.host);
        let has_own_host = |host: &str| host.starts_with(&own) || host.starts_with(&fips);
        Ok(endpoint.scheme() == "https" && endpoint.path() == "/" && endpoint.host_str().is_some_and(has_own_host))
    }

    /// An empty buffer to build a body in.
    pub fn buffer(&self) -> Buffer {
        self.client.buffer()
    }

    /// Who signs.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Sends a request and reads the answer. Credentials and endpoint are looked up where they are not known yet; what
    /// fails of that is a [`Failure`] that wants an operator.
    pub async fn call(&self, call: Call<'_>) -> Result<Answer, Failure> {
        const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
        let Call { method, path, target, content_type, headers, body, limit } = call;
        let url = self.url(path).await?;
        let target = target.map(|target| (TARGET, HeaderValue::from_static(target)));
        let headers = target.into_iter().chain(headers.iter().cloned());
        self.client.send_to(url, Request { method, body, content_type, header: None, limit }, headers).await
    }

    pub(super) async fn url(&self, path: &str) -> Result<Url, AccountError> {
        let endpoint = self.account.endpoint(self.service).await?;
        let mut text = format!("{}://", endpoint.scheme());
        if let Some(prefix) = &self.host_prefix {
            text.push_str(prefix);
            text.push('.');
        }
        text.push_str(endpoint.host_str().unwrap_or_default());
        if let Some(port) = endpoint.port() {
            text.push_str(&format!(":{port}"));
        }
        text.push_str(endpoint.path().trim_end_matches('/'));
        text.push_str(path);
        let wrong = |why: String| AccountError(format!("no request can be sent to {text}: {why}"));
        let url = Url::parse(&text).map_err(|error| wrong(error.to_string()))?;
        // What the path holds must not lead to another host.
        let host_is_kept = match &self.host_prefix {
            Some(prefix) => url.host_str() == Some(&format!("{prefix}.{}", endpoint.host_str().unwrap_or_default())),
            None => url.host_str() == endpoint.host_str(),
        };
        if host_is_kept { Ok(url) } else { Err(wrong("the host would be another".to_owned())) }
    }
}

impl Sign for Signer {
    fn sign<'a>(&'a self, request: Signable<'a>) -> Signing<'a> {
        self.0.sign(request)
    }

    fn answered(&self, answer: &Answer) -> Option<Failure> {
        self.0.hear(answer);
        None
    }
}

/// Reads the settings of the client of an AWS output: `timeout`, `tls`, `headers`, and `compression` where it is one. There
/// is no `url`: the endpoint comes from the account.
pub fn client_settings(settings: &Section, compression: bool) -> Result<ClientSettings, Reported> {
    let client = ClientSettings::read_without_url(settings, compression)?;
    let plain = settings.get::<Endpoint>("endpoint").is_some_and(|endpoint| !endpoint.is_https());
    if plain && client.tls.is_some() {
        let message = "`tls` is set, but `endpoint` is plain http: nothing would be encrypted";
        return Err(settings.error_at("tls", message, "write https:// in `endpoint`, or leave `tls` out"));
    }
    Ok(client)
}
