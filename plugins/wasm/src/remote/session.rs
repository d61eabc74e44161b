//! Requests that are tried again until one answers, or the time is up.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use suiro_sdk::http::header::HeaderMap;
use suiro_sdk::http::{Fetched, Fetcher, Tls, Url};
use tokio::time::{Instant, sleep, timeout_at};

use super::Hash;
use crate::inspect::Refusal;
use crate::program::hex;

/// Before the second attempt.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// Between two attempts, at most, where the server does not say how long.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// All requests for one module.
pub(super) struct Session {
    fetcher: Fetcher,
    patience: Duration,
    deadline: Instant,
}

/// An answer that says what was asked for, or who may ask.
pub(super) struct Response {
    pub(super) url: Url,
    pub(super) fetched: Fetched,
}

// === impl Session ===

impl Session {
    pub(super) fn new(tls: Option<Tls>, patience: Duration) -> Result<Session, Refusal> {
        let fetcher = Fetcher::new(tls).map_err(|error| Refusal::new(error.0, ""))?;
        Ok(Session { fetcher, patience, deadline: Instant::now() + patience })
    }

    /// GETs `url`, at most `limit` bytes. What may pass is tried again: no connection, a broken one, an overloaded server.
    pub(super) async fn get(&self, url: &Url, headers: &HeaderMap, limit: usize) -> Result<Response, Refusal> {
        let at = shown(url);
        let mut wait = FIRST_WAIT;
        let mut tried = 1_u32;
        let mut last = String::from("the server is too slow");
        loop {
            let answer = timeout_at(self.deadline, self.fetcher.get(url.clone(), headers.clone(), limit)).await;
            let (why, after) = match answer {
                Err(_) => return Err(self.too_late(&at, &last, tried)),
                Ok(Err(failure)) if failure.degraded => return Err(Refusal::new(format!("{at}: {failure}"), "")),
                Ok(Err(failure)) => (failure.to_string(), None),
                Ok(Ok(fetched)) => {
                    let answer = &fetched.answer;
                    let status = answer.status;
                    if let Some(broken) = &answer.broken {
                        (broken.to_string(), None)
                    } else if status.is_success() && answer.cut {
                        let message = format!("{at}: it is larger than {} MiB", limit >> 20);
                        return Err(Refusal::new(message, "is it a module?"));
                    } else if status.is_success() || status.as_u16() == 401 {
                        return Ok(Response { url: url.clone(), fetched });
                    } else if status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429) {
                        (answer.summary(), answer.retry_after)
                    } else {
                        return Err(Refusal::new(format!("{at}: {}", answer.summary()), ""));
                    }
                }
            };
            let pause = after.unwrap_or(wait);
            if Instant::now() + pause >= self.deadline {
                return Err(self.too_late(&at, &why, tried));
            }
            tracing::warn!("{at}: {why}; tried again in {pause:?}");
            sleep(pause).await;
            wait = (wait * 2).min(LONGEST_WAIT);
            tried += 1;
            last = why;
        }
    }

    fn too_late(&self, at: &str, why: &str, tried: u32) -> Refusal {
        let times = if tried == 1 { "once".to_owned() } else { format!("{tried} times") };
        let message = format!("{at}: {why} (tried {times}; `fetch_timeout` is {:?})", self.patience);
        Refusal::new(message, "")
    }
}

// === impl Response ===

impl Response {
    /// What the server wants to know before, if that is so.
    pub(super) fn is_refused(&self) -> bool {
        self.fetched.answer.status.as_u16() == 401
    }

    /// What was asked for.
    pub(super) fn body(self) -> Result<Vec<u8>, Refusal> {
        if self.is_refused() {
            let message = format!("{}: {}", shown(&self.url), self.fetched.answer.summary());
            return Err(Refusal::new(message, "give credentials as `auth`"));
        }
        Ok(self.fetched.answer.body)
    }

    /// The same, where it is known what it must be.
    pub(super) fn body_of(self, digest: &Hash) -> Result<Vec<u8>, Refusal> {
        let at = shown(&self.url);
        let body = self.body()?;
        let found: Hash = Sha256::digest(&body).into();
        if found == *digest {
            return Ok(body);
        }
        let message = format!("{at}: its SHA-256 is {}, and should be {}", hex(&found), hex(digest));
        Err(Refusal::new(message, "something else is there than was pinned"))
    }
}

/// As it is shown: a query may hold a signature.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.into()
}
