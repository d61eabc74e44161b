//! What is answered.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Method, StatusCode};

use crate::intake::{AckTimeout, Full};

/// An answer.
pub type Response = hyper::Response<Answer>;

/// The body of an answer, and what comes behind it.
#[derive(Debug, Default)]
pub struct Answer {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

/// Why a request is not taken, and what its sender is told. The text says what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status of HTTP; gRPC's follows from it.
    pub status: StatusCode,
    /// For people.
    pub why: String,
    /// When to come again; `None`: the same request would be refused again, or the status says it all.
    pub retry_after: Option<Duration>,
    header: Option<(HeaderName, HeaderValue)>,
}

/// An answer with a body.
pub fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Answer::from(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// An answer without a body: `202 Accepted`, `204 No Content`.
pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Answer::default());
    *response.status_mut() = status;
    response
}

// === impl Refusal ===

impl Refusal {
    /// A refusal.
    pub fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Refusal { status, why: why.into(), retry_after: None, header: None }
    }

    /// The body is not what it should be.
    pub fn bad_request(why: impl Into<String>) -> Self {
        Refusal::new(StatusCode::BAD_REQUEST, why)
    }

    /// It is not for this path. `paths` are those there are, as a text.
    pub fn not_found(path: &str, paths: &str) -> Self {
        let shown: String = path.chars().take(100).collect();
        Refusal::new(StatusCode::NOT_FOUND, format!("there is nothing at {shown:?}; this input takes {paths}"))
    }

    /// Another method was meant.
    pub fn method(method: &Method, allowed: &'static str) -> Self {
        let mut refusal =
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, format!("{method} is not for this path; use {allowed}"));
        refusal.header = Some((ALLOW, HeaderValue::from_static(allowed)));
        refusal
    }

    /// Another type of content was meant. `types` are those that are taken, as a text.
    pub fn media_type(given: &str, types: &str) -> Self {
        let given: String = given.chars().take(100).collect();
        let why = match given.as_str() {
            "" => format!("the request has no content-type; this path takes {types}"),
            given => format!("the content-type {given:?} is not for this path; it takes {types}"),
        };
        Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why)
    }

    /// It is larger than `limit`.
    pub fn too_large(limit: usize) -> Self {
        let why = format!("the body is larger than {limit} bytes (`max_body`); send it in pieces");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, why)
    }

    /// Come again later.
    pub fn later(why: impl Into<String>, after: Duration) -> Self {
        Refusal { retry_after: Some(after), ..Refusal::new(StatusCode::SERVICE_UNAVAILABLE, why) }
    }

    /// Who sends must say who they are.
    pub(super) fn unauthorized(scheme: &'static str) -> Self {
        let why = format!("this input wants a header `Authorization: {scheme} ...` with the right credentials");
        let mut refusal = Refusal::new(StatusCode::UNAUTHORIZED, why);
        let challenge = if scheme == "Basic" { "Basic realm=\"suiro\"" } else { "Bearer realm=\"suiro\"" };
        refusal.header = Some((WWW_AUTHENTICATE, HeaderValue::from_static(challenge)));
        refusal
    }

    /// The encoding of the body is none of those there are.
    pub(super) fn encoding(given: &str) -> Self {
        const TAKEN: &str = "gzip, deflate, zstd, identity";
        let given: String = given.chars().take(100).collect();
        let why = format!("the content-encoding {given:?} can't be read; use one of {TAKEN}");
        let mut refusal = Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why);
        refusal.header = Some((hyper::header::ACCEPT_ENCODING, HeaderValue::from_static(TAKEN)));
        refusal
    }

    /// As plain text.
    pub fn into_response(self) -> Response {
        let body = format!("{}\n", self.why);
        self.with_body("text/plain; charset=utf-8", body)
    }

    /// With a body in the sender's own form.
    pub fn with_body(self, content_type: &'static str, body: impl Into<Bytes>) -> Response {
        let mut response = answer(self.status, content_type, body);
        let headers = response.headers_mut();
        if let Some(after) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        if let Some((name, value)) = self.header {
            headers.insert(name, value);
        }
        response
    }
}

impl From<Full> for Refusal {
    fn from(full: Full) -> Self {
        Refusal::later(full.to_string(), full.retry_after())
    }
}

impl From<AckTimeout> for Refusal {
    fn from(timeout: AckTimeout) -> Self {
        Refusal::later(timeout.to_string(), Duration::from_secs(1))
    }
}

// === impl Answer ===

impl Answer {
    /// With `trailers` behind the body.
    pub(super) fn with_trailers(data: Bytes, trailers: HeaderMap) -> Self {
        Answer { trailers: Some(trailers), ..Answer::from(data) }
    }
}

impl From<Bytes> for Answer {
    fn from(data: Bytes) -> Self {
        Answer { data: (!data.is_empty()).then_some(data), trailers: None }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = self.data.take().map(Frame::data);
        let frame = data.or_else(|| self.trailers.take().map(Frame::trailers));
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64))
    }
}
