//! Requests of somebody else's, passed on: any method, any headers, an answer as it came.
//!
//! Unlike [`Client`](super::Client) it may be shared among tasks, and adds nothing: what is sent was signed before. Unlike
//! [`Fetcher`](super::Fetcher) it follows no redirects.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Body, Method, Url, redirect};

use super::answer::Answer;
use super::client::install_provider;
use super::failure::Failure;
use super::tls::Tls;
use crate::input::StartError;

/// Kept connections are closed before servers usually close them (60 s).
const IDLE: Duration = Duration::from_secs(30);

/// Passes requests on.
#[derive(Clone, Debug)]
pub struct Relay(reqwest::Client);

// === impl Relay ===

impl Relay {
    /// Sets it up, with the system's trust. A request may take `timeout` altogether.
    pub fn new(timeout: Duration) -> Result<Relay, StartError> {
        install_provider();
        let builder = reqwest::Client::builder()
            .http1_only()
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .tcp_nodelay(true)
            .timeout(timeout)
            .pool_idle_timeout(IDLE);
        let client = Tls::default().apply(builder).build();
        client.map(Relay).map_err(|error| StartError(format!("the HTTP client can't be set up: {error}")))
    }

    /// Sends a request, and reads at most `limit` bytes of the answer.
    pub async fn send(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: impl Into<Body>,
        limit: usize,
    ) -> Result<Answer, Failure> {
        let response = self.0.request(method, url).headers(headers).body(body).send().await.map_err(Failure::new)?;
        Ok(Answer::read(response, limit).await)
    }
}
