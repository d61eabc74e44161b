//! GETs: a document that the agent wants for itself (a module), not records it sends.
//!
//! Unlike deliveries, these follow redirects, since registries hand out files that way: at most [`HOPS`], and from `https`
//! only to `https`. Credentials stay behind where a redirect leads to another host. `http` is for the loopback alone.

use std::time::Duration;

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use reqwest::{Url, redirect};

use super::answer::Answer;
use super::client::install_provider;
use super::failure::Failure;
use super::tls::Tls;
use crate::input::StartError;

/// Redirects that are followed.
const HOPS: usize = 5;
/// To open a connection may take this long.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two pieces of an answer this long may pass. The whole is for the caller to bound.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Fetches documents.
#[derive(Clone, Debug)]
pub struct Fetcher(reqwest::Client);

/// What came back.
#[derive(Debug)]
pub struct Fetched {
    /// The answer.
    pub answer: Answer,
    /// `WWW-Authenticate`, all of them.
    pub challenges: Vec<String>,
}

/// A redirect that is not followed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refused(String);

// === impl Fetcher ===

impl Fetcher {
    /// Sets it up, with the system's trust or what `tls` says.
    pub fn new(tls: Option<Tls>) -> Result<Fetcher, StartError> {
        install_provider();
        let builder = reqwest::Client::builder()
            .user_agent(concat!("suiro/", env!("CARGO_PKG_VERSION")))
            .http1_only()
            .redirect(redirect::Policy::custom(follow))
            .referer(false)
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT);
        let client = tls.unwrap_or_default().apply(builder).build();
        client.map(Fetcher).map_err(|error| StartError(format!("the HTTP client can't be set up: {error}")))
    }

    /// GETs `url`, and reads at most `limit` bytes of the answer: nothing of one that says it is longer.
    pub async fn get(&self, url: Url, headers: HeaderMap, limit: usize) -> Result<Fetched, Failure> {
        let response = self.0.get(url).headers(headers).send().await.map_err(Failure::new)?;
        let challenges = response.headers().get_all(WWW_AUTHENTICATE).iter();
        let challenges = challenges.filter_map(|value| Some(value.to_str().ok()?.to_owned())).collect();
        let too_long = response.content_length().is_some_and(|length| length > limit as u64);
        let mut answer = Answer::read(response, if too_long { 0 } else { limit }).await;
        answer.cut |= too_long;
        Ok(Fetched { answer, challenges })
    }
}

/// Whether it is plain `http` on this machine: nobody is on the way.
pub fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        None => false,
    }
}

fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let encrypted = attempt.previous().iter().any(|url| url.scheme() == "https");
    let url = attempt.url();
    let why = if attempt.previous().len() > HOPS {
        format!("there are more than {HOPS} redirects")
    } else if url.scheme() == "https" || (url.scheme() == "http" && !encrypted && is_loopback(url)) {
        return attempt.follow();
    } else {
        format!("it leads to {}://{}, which is not https", url.scheme(), url.host_str().unwrap_or_default())
    };
    attempt.error(Refused(why))
}
