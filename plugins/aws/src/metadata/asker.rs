//! Questions to a metadata service: small, bounded, without redirects.

use std::sync::Arc;
use std::time::Duration;

use suiro_sdk::aws::Method;
use suiro_sdk::compress::Compression;
use suiro_sdk::http::header::{HeaderMap, HeaderValue};
use suiro_sdk::http::{Client, ClientSettings, Endpoint, Request, StatusCode};

/// Longest answer, bytes: that of a task with many containers.
const ANSWER: usize = 1 << 20;

/// A client for one service.
#[derive(Debug)]
pub(super) struct Asker {
    client: Client,
    base: Endpoint,
}

// === impl Asker ===

impl Asker {
    /// For the service at `base`; each question may take `timeout`.
    pub(super) fn new(base: Endpoint, timeout: Duration) -> Result<Asker, String> {
        let settings = ClientSettings {
            endpoints: vec![base.clone()],
            headers: HeaderMap::new(),
            tls: None,
            timeout,
            compression: Compression::None,
            signer: None,
        };
        let client = Client::new(settings, Arc::default()).map_err(|error| error.to_string())?;
        Ok(Asker { client, base })
    }

    /// Asks for `path`: the text, or `None` where there is none (404).
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        header: Option<(&'static str, &HeaderValue)>,
    ) -> Result<Option<String>, String> {
        let client = self.client.to(vec![self.base.clone().with_path(path)]);
        let body = client.buffer();
        let request = Request { method, body, content_type: "text/plain", header, limit: ANSWER };
        let answer = client.send(request).await.map_err(|failure| failure.to_string())?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !answer.is_success() {
            return Err(format!("{path}: {}", answer.summary()));
        }
        if let Some(failure) = answer.broken {
            return Err(format!("{path}: {failure}"));
        }
        if answer.cut {
            return Err(format!("{path}: the answer is longer than {ANSWER} bytes"));
        }
        String::from_utf8(answer.body).map(Some).map_err(|_| format!("{path}: the answer is no text"))
    }
}
