//! A request, and its body: read when the service asks for it, and no more of it than there is room for.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode, Version};
use tokio::time::{Instant, timeout_at};

use super::answer::Refusal;
use crate::decompress::{DecompressError, Decompressor, Encoding};
use crate::intake::{Desk, Room};
use crate::ledger::Reason;

/// Memory for a body that does not say how long it is, at first.
const FIRST: usize = 64 << 10;
/// Memory that is set aside for a body before any of it is there, at most: promises are cheap.
const AHEAD: usize = 1 << 20;
/// Bytes a second a body must come with, over all of its time but the first `timeout`.
const SLOWEST: u64 = 16 << 10;
/// What is left of a refused body is thrown away for so long; then the connection is closed in the sender's face.
const DISCARD: Duration = Duration::from_secs(2);

/// A request.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path, without a query.
    pub path: String,
    /// The query, encoded as it came, without its `?`.
    pub query: Option<String>,
    /// The headers.
    pub headers: HeaderMap,
    /// Who sends it. Behind a proxy, the proxy.
    pub peer: SocketAddr,
    pub(super) version: Version,
    body: Incoming,
    ended: bool,
    pub(super) terms: Arc<Terms>,
}

/// What holds for all bodies.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) max_body: usize,
    pub(super) timeout: Duration,
    pub(super) desk: Desk,
    pub(super) decompressor: Mutex<Decompressor>,
}

/// A body, read and decompressed.
#[derive(Debug)]
pub struct Body {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The memory they take, for [`Desk::submit`].
    pub room: Room,
    /// How many they were on the wire.
    pub wire: u64,
    /// Bytes of `room`.
    granted: usize,
}

/// Until when the next piece of a body must be there.
pub(super) struct Pace {
    began: Instant,
    timeout: Duration,
    read: u64,
}

// === impl Request ===

impl Request {
    pub(super) fn new(parts: Parts, body: Incoming, peer: SocketAddr, terms: Arc<Terms>) -> Self {
        let path = parts.uri.path().to_owned();
        let query = parts.uri.query().map(str::to_owned);
        let Parts { method, version, headers, .. } = parts;
        Request { method, path, query, headers, peer, version, ended: body.is_end_stream(), body, terms }
    }

    /// A header's value; empty if it is not there or is no text.
    pub fn header(&self, name: impl hyper::header::AsHeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// `Content-Type` without its parameters, in lower case.
    pub fn media_type(&self) -> String {
        let value = self.header(CONTENT_TYPE);
        value.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
    }

    /// Refuses all methods but `POST`.
    pub fn expect_post(&self) -> Result<(), Refusal> {
        if self.method == Method::POST { Ok(()) } else { Err(Refusal::method(&self.method, "POST")) }
    }

    /// The whole body, decompressed as `Content-Encoding` says. `snappy` there means blocks.
    pub async fn body(&mut self) -> Result<Body, Refusal> {
        let given = self.header(CONTENT_ENCODING);
        let Some(encoding) = Encoding::read(given, Encoding::Snappy) else {
            let refusal = Refusal::encoding(given);
            self.turn_away(Reason::MALFORMED);
            return Err(refusal);
        };
        self.body_as(encoding).await
    }

    /// The whole body, decompressed as `encoding` says, for protocols that don't say it themselves.
    pub async fn body_as(&mut self, encoding: Encoding) -> Result<Body, Refusal> {
        let body = self.read_all().await?;
        self.terms.clone().unpack(body, encoding)
    }

    async fn read_all(&mut self) -> Result<Body, Refusal> {
        let limit = self.terms.max_body;
        let announced = self.body.size_hint().exact();
        if announced.is_some_and(|length| length > limit as u64) {
            return Err(self.terms.too_large());
        }
        let announced = announced.map(|length| usize::try_from(length).unwrap_or(limit));
        let mut body = self.terms.begin(announced.unwrap_or(FIRST).min(limit)).await?;
        body.expect(announced.unwrap_or(0));
        let mut pace = self.pace();
        while let Some(data) = self.next(&mut pace).await? {
            if body.bytes.len() + data.len() > limit {
                return Err(self.terms.too_large());
            }
            body.append(&data)?;
        }
        Ok(body)
    }

    pub(super) fn pace(&self) -> Pace {
        Pace { began: Instant::now(), timeout: self.terms.timeout, read: 0 }
    }

    /// The next piece of the body, as it came; `None` at its end.
    pub(super) async fn next(&mut self, pace: &mut Pace) -> Result<Option<Bytes>, Refusal> {
        while !self.ended {
            let body = &mut self.body;
            let frame = timeout_at(pace.deadline(), poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx))).await;
            match frame {
                Err(_) => {
                    self.ended = true;
                    let why = "the body came too slowly, or not at all";
                    return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, why));
                }
                Ok(None) => self.ended = true,
                Ok(Some(Err(error))) => {
                    self.ended = true;
                    tracing::debug!(input = %self.terms.desk.name(), peer = %self.peer, %error, "a body broke off");
                    return Err(Refusal::bad_request(format!("the body broke off: {error}")));
                }
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        pace.read += data.len() as u64;
                        return Ok(Some(data));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Throws away what was not read of the body. Who writes a whole body before it looks for an answer finds one then,
    /// and not a broken connection. HTTP/2 needs none of it: there an answer goes its own way.
    pub(super) async fn discard(&mut self) {
        if self.version == Version::HTTP_2 {
            return;
        }
        let mut left = self.terms.max_body.saturating_mul(2);
        let mut pace = Pace { began: Instant::now(), timeout: DISCARD, read: 0 };
        while let Ok(Some(data)) = self.next(&mut pace).await {
            pace.read = 0;
            left = left.saturating_sub(data.len());
            if left == 0 {
                return;
            }
        }
    }

    /// Counts this request at the door, as one.
    pub fn turn_away(&self, reason: Reason) {
        self.terms.desk.turn_away(reason, 1);
    }
}

// === impl Terms ===

impl Terms {
    /// A body of which nothing is there yet, and room for `bytes` of it.
    pub(super) async fn begin(&self, bytes: usize) -> Result<Body, Refusal> {
        let room = self.desk.room(bytes).await?;
        Ok(Body { bytes: Vec::new(), granted: bytes, room, wire: 0 })
    }

    /// Decompresses a body.
    pub(super) fn unpack(&self, body: Body, encoding: Encoding) -> Result<Body, Refusal> {
        if encoding == Encoding::Identity {
            return Ok(body);
        }
        let Body { bytes: packed, mut room, wire, .. } = body;
        let mut bytes = Vec::new();
        let mut decompressor = self.decompressor.lock().unwrap_or_else(PoisonError::into_inner);
        match decompressor.decompress(encoding, &packed, self.max_body, &mut bytes) {
            Ok(()) => {}
            Err(DecompressError::TooLarge { .. }) => return Err(self.too_large()),
            Err(error) => {
                self.desk.turn_away(Reason::MALFORMED, 1);
                return Err(Refusal::bad_request(format!("the body can't be decompressed: {error}")));
            }
        }
        drop(packed);
        let granted = bytes.len();
        room.resize(granted)?;
        Ok(Body { bytes, granted, room, wire })
    }

    pub(super) fn too_large(&self) -> Refusal {
        self.desk.turn_away(Reason::TOO_LARGE, 1);
        Refusal::too_large(self.max_body)
    }
}

// === impl Body ===

impl Body {
    /// Sets memory aside for so many bytes, which have not come yet; an eighth more, so that a filter that makes messages a
    /// little longer can use it again.
    pub(super) fn expect(&mut self, length: usize) {
        self.bytes.reserve_exact((length + length / 8).min(AHEAD));
    }

    /// Appends a piece. Room is taken as bytes come, in steps that double.
    pub(super) fn append(&mut self, data: &[u8]) -> Result<(), Refusal> {
        let length = self.bytes.len() + data.len();
        if length > self.granted {
            let more = length.max(self.granted.saturating_mul(2));
            self.room.resize(more)?;
            self.granted = more;
        }
        self.wire += data.len() as u64;
        self.bytes.extend_from_slice(data);
        Ok(())
    }
}

// === impl Pace ===

impl Pace {
    fn deadline(&self) -> Instant {
        self.began + self.timeout + Duration::from_secs(self.read / SLOWEST)
    }
}
