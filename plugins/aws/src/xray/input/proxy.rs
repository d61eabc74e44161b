//! Requests of applications, signed and passed on to X-Ray.
//!
//! Any path, any method: SDKs ask for `/GetSamplingRules` and `/SamplingTargets`, and whatever X-Ray will have next. What comes
//! back goes back: status, headers, body, refusals too. Only when X-Ray can't be asked is the answer the agent's own: 502 with
//! the reason as `{"message":..}`; SDKs go on with their local rules then.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use suiro_sdk::aws::{Account, AccountError, AccountSettings, Service, ServiceError, Signable};
use suiro_sdk::decompress::Encoding;
use suiro_sdk::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use suiro_sdk::http::{Answer, Failure, Relay, Url};
use suiro_sdk::serve::{Refusal, Request, Response, StatusCode, answer};
use suiro_sdk::{Complaint, StartError};

/// For a request and its answer: SDKs ask in the background, every 10 s.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer: hundreds of rules are some hundred KB.
const MAX_ANSWER: usize = 4 << 20;

/// Of a connection, not of a request.
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
/// What the signature brings, or the client sets itself.
const REPLACED: [HeaderName; 8] = [
    header::AUTHORIZATION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("x-amz-content-sha256"),
    HeaderName::from_static("x-amz-date"),
    HeaderName::from_static("x-amz-security-token"),
];

/// Signs requests and passes them on.
#[derive(Debug)]
pub(crate) struct Proxy {
    account: Account,
    relay: Relay,
    unreachable: Mutex<Complaint>,
    refused: Mutex<Complaint>,
}

/// Why X-Ray could not be asked.
#[derive(Debug)]
pub(crate) struct Unreachable(String);

// === impl Proxy ===

impl Proxy {
    pub(crate) fn new(account: AccountSettings) -> Result<Proxy, StartError> {
        let (account, relay) = (Account::new(account), Relay::new(TIMEOUT)?);
        Ok(Proxy { account, relay, unreachable: Mutex::default(), refused: Mutex::default() })
    }

    /// X-Ray's answer, or ours.
    pub(crate) async fn pass(
        &self,
        request: &mut Request,
        input: &str,
    ) -> Result<Result<Response, Unreachable>, Refusal> {
        // As it came: what it is encoded in is between the two of them.
        let body = request.body_as(Encoding::Identity).await?.bytes;
        let answer = match self.send(request, body).await {
            Ok(answer) => answer,
            Err(unreachable) => {
                if let Some(requests) = count(&self.unreachable) {
                    tracing::warn!(%input, path = %request.path, requests, "X-Ray could not be asked: {}", unreachable.0);
                }
                return Ok(Err(unreachable));
            }
        };
        if let Some(error) = ServiceError::of(&answer) {
            self.account.learn(&error.code, &answer.headers);
            if let Some(requests) = count(&self.refused) {
                let status = answer.status.as_u16();
                let ServiceError { code, message } = &error;
                tracing::warn!(%input, path = %request.path, status, requests, "X-Ray refused a request: {code}: {message}");
            }
        }
        Ok(Ok(passed_back(answer)))
    }

    async fn send(&self, request: &Request, body: Vec<u8>) -> Result<Answer, Unreachable> {
        let endpoint = self.account.endpoint(Service::XRAY).await?;
        let url = target(endpoint, &request.path, request.query.as_deref());
        let mut headers = passed_on(&request.headers);
        let signable = Signable { method: &request.method, url: &url, headers: &headers, body: &body };
        let signature = self.account.sign(Service::XRAY.signing, signable).await?;
        headers.extend(signature);
        let answer = self.relay.send(request.method.clone(), url, headers, body, MAX_ANSWER).await?;
        if answer.cut {
            return Err(Unreachable(format!("the answer is larger than {MAX_ANSWER} bytes")));
        }
        match answer.broken {
            Some(failure) => Err(failure.into()),
            None => Ok(answer),
        }
    }
}

/// One more. How many there were, if it is time to say it.
fn count(complaint: &Mutex<Complaint>) -> Option<usize> {
    complaint.lock().unwrap_or_else(PoisonError::into_inner).of(1)
}

// === impl Unreachable ===

impl Unreachable {
    pub(crate) fn into_response(self) -> Response {
        let message = serde_json::json!({ "message": format!("the agent could not ask X-Ray: {}", self.0) });
        answer(StatusCode::BAD_GATEWAY, "application/json", message.to_string())
    }
}

impl From<AccountError> for Unreachable {
    fn from(error: AccountError) -> Self {
        Unreachable(error.to_string())
    }
}

impl From<Failure> for Unreachable {
    fn from(failure: Failure) -> Self {
        Unreachable(failure.to_string())
    }
}

/// The request's path behind the endpoint's own.
fn target(mut endpoint: Url, path: &str, query: Option<&str>) -> Url {
    let own = endpoint.path().trim_end_matches('/');
    let path = format!("{own}{path}");
    endpoint.set_path(&path);
    endpoint.set_query(query);
    endpoint
}

/// The headers of a request that are for X-Ray.
fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let mut passed = without_hops(headers);
    for name in REPLACED {
        passed.remove(name);
    }
    passed
}

/// Without those of the connection, and those that `Connection` names.
fn without_hops(headers: &HeaderMap) -> HeaderMap {
    let named = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<HeaderName> =
        named.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok()).collect();
    let mut headers = headers.clone();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
    headers
}

fn passed_back(from: Answer) -> Response {
    let mut response = answer(from.status, "application/json", from.body);
    let mut headers = without_hops(&from.headers);
    headers.remove(header::CONTENT_LENGTH);
    headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    *response.headers_mut() = headers;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_behind_the_endpoints_own() {
        for (endpoint, path, query, url) in [
            (
                "https://xray.eu-central-1.amazonaws.com",
                "/GetSamplingRules",
                None,
                "https://xray.eu-central-1.amazonaws.com/GetSamplingRules",
            ),
            ("http://h:1/x/", "/a%20b", Some("c=d%2F"), "http://h:1/x/a%20b?c=d%2F"),
            ("http://h", "/", None, "http://h/"),
            ("http://h", "//evil.example/x", None, "http://h//evil.example/x"),
        ] {
            assert_eq!(target(endpoint.parse().unwrap(), path, query).as_str(), url);
        }
    }

    #[test]
    fn headers_of_the_connection_stay_behind() {
        let headers = |all: &[(&str, &str)]| -> HeaderMap {
            all.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
        };
        let came = headers(&[
            ("connection", "keep-alive, X-Mine"),
            ("keep-alive", "5"),
            ("x-mine", "1"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("host", "127.0.0.1:2000"),
            ("content-length", "2"),
            ("authorization", "none"),
            ("x-amz-date", "20200101T000000Z"),
            ("content-type", "application/json"),
            ("x-amzn-trace-id", "Root=1"),
            ("user-agent", "sdk"),
        ]);
        let passed = passed_on(&came);
        assert_eq!(
            passed,
            headers(&[("content-type", "application/json"), ("x-amzn-trace-id", "Root=1"), ("user-agent", "sdk")])
        );
    }
}
