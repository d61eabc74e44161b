//! Unary calls of gRPC, by the same client: HTTP/2, `h2c` where the URL is plain http. Calls share one connection.
//!
//! How a call ended stands in `grpc-status`, among the trailers, or among the headers where there is no message. What comes
//! from something that is no gRPC server at all is translated as gRPC's own documents say (`http-grpc-status-mapping`).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use hyper::body::Body as _;
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, TE};
use reqwest::{Body, Method, Response, StatusCode};

use super::buffer::Buffer;
use super::client::Client;
use super::failure::Failure;
use super::retry_after::retry_after;
use crate::ledger::add;

/// Room to leave in front of a message: one byte says whether it is compressed, four how long it is.
pub const FRAME: usize = 5;

/// How a call ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallAnswer {
    /// gRPC's code; 0 is success.
    pub code: i32,
    /// In words.
    pub message: String,
    /// `google.rpc.Status`, if the server sent one.
    pub details: Vec<u8>,
    /// The message that came back; `None`: there was none that could be read.
    pub body: Option<Vec<u8>>,
    /// Of servers in front that speak only HTTP.
    pub retry_after: Option<Duration>,
}

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Client {
    /// Calls the method at `path` (`/package.Service/Method`). `message` has [`FRAME`] bytes of room in front. Of the answer,
    /// at most `limit` bytes are read.
    pub async fn call(&self, path: &str, message: Buffer, limit: usize) -> Result<CallAnswer, Failure> {
        let (message, encoding) = self.frame(message);
        self.call_with(path, &[message.into_bytes()], encoding, limit).await
    }

    /// As [`Client::call`], with a message that lies in pieces, which go to the socket from where they are: none is copied.
    /// Only where nothing is [compressed](Client::compresses).
    pub async fn call_in_pieces(
        &self,
        path: &str,
        message: impl IntoIterator<Item = Bytes>,
        limit: usize,
    ) -> Result<CallAnswer, Failure> {
        let mut pieces = vec![Bytes::new()];
        pieces.extend(message);
        let len = pieces.iter().map(Bytes::len).sum();
        pieces[0] = Bytes::copy_from_slice(&frame(0, len));
        self.call_with(path, &pieces, None, limit).await
    }

    /// Whether it compresses what it sends.
    pub fn compresses(&self) -> bool {
        self.compression.content_encoding().is_some()
    }

    async fn call_with(
        &self,
        path: &str,
        message: &[Bytes],
        encoding: Option<&'static str>,
        limit: usize,
    ) -> Result<CallAnswer, Failure> {
        let mut failure = None;
        for at in self.endpoints.order() {
            add(&self.ledger.bytes, message.iter().map(Bytes::len).sum());
            let mut headers = HeaderMap::with_capacity(4);
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            headers.insert(TE, HeaderValue::from_static("trailers"));
            if let Some(encoding) = encoding {
                headers.insert(ENCODING, HeaderValue::from_static(encoding));
            }
            let mut url = self.endpoints.url(at).clone();
            url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
            let body = match message {
                [whole] => Body::from(whole.clone()),
                pieces => Body::wrap(Pieces(pieces.to_vec().into())),
            };
            match self.http.request(Method::POST, url).headers(headers).body(body).send().await {
                Ok(response) => {
                    self.endpoints.note(at, true);
                    return CallAnswer::read(response, limit).await;
                }
                Err(error) => {
                    let error = Failure::new(error);
                    self.endpoints.note(at, false);
                    if !error.unsent {
                        return Err(error);
                    }
                    failure = Some(error);
                }
            }
        }
        Err(failure.unwrap_or_else(Failure::no_endpoint))
    }

    /// Fills the room in front of a message, which is compressed on the way.
    fn frame(&self, mut plain: Buffer) -> (Buffer, Option<&'static str>) {
        let encoding = self.compression.content_encoding();
        if encoding.is_some() {
            let mut packed = self.buffers.take();
            packed.bytes.extend_from_slice(&[0; FRAME]);
            if self.compressor.borrow_mut().compress(plain.bytes.get(FRAME..).unwrap_or_default(), &mut packed.bytes) {
                write_frame(&mut packed.bytes, 1);
                return (packed, encoding);
            }
        }
        write_frame(&mut plain.bytes, 0);
        (plain, None)
    }
}

fn write_frame(message: &mut [u8], compressed: u8) {
    let len = message.len().saturating_sub(FRAME);
    if let Some(room) = message.first_chunk_mut::<FRAME>() {
        *room = frame(compressed, len);
    }
}

/// What stands in front of a message of `len` bytes.
fn frame(compressed: u8, len: usize) -> [u8; FRAME] {
    let [a, b, c, d] = u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
    [compressed, a, b, c, d]
}

/// A body that lies in pieces.
#[derive(Debug)]
struct Pieces(VecDeque<Bytes>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(hyper::body::Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        hyper::body::SizeHint::with_exact(self.0.iter().map(|piece| piece.len() as u64).sum())
    }
}

// === impl CallAnswer ===

impl CallAnswer {
    async fn read(response: Response, limit: usize) -> Result<CallAnswer, Failure> {
        let (head, mut body) = hyper::Response::<Body>::from(response).into_parts();
        let mut answer = CallAnswer::default();
        let after = head.headers.get(RETRY_AFTER).map(HeaderValue::as_bytes);
        answer.retry_after = after.and_then(|value| retry_after(value, Timestamp::now()));
        let mut ended = answer.read_end(&head.headers);
        let is_grpc =
            head.headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
        let mut message = Vec::new();
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let frame = frame.map_err(Failure::new)?;
            match frame.into_data() {
                Ok(data) => {
                    let room = limit.saturating_sub(message.len());
                    message.extend_from_slice(&data[..data.len().min(room)]);
                    if data.len() > room {
                        break;
                    }
                }
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        ended |= answer.read_end(&trailers);
                    }
                }
            }
        }
        if !ended {
            answer.code = match head.status {
                StatusCode::BAD_REQUEST => 13,
                StatusCode::UNAUTHORIZED => 16,
                StatusCode::FORBIDDEN => 7,
                StatusCode::NOT_FOUND => 12,
                StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT => 14,
                _ => 2,
            };
            let what = if is_grpc { "the call ended without a status" } else { "this is no gRPC server" };
            answer.message = format!("{what}: {} {}", head.status, super::excerpt(&message));
        }
        // An answer is never compressed: nobody asked for that.
        answer.body = match message.split_first_chunk::<FRAME>() {
            Some(([0, len @ ..], rest)) if u32::from_be_bytes(*len) as usize == rest.len() => Some(rest.to_vec()),
            _ => None,
        };
        Ok(answer)
    }

    /// Reads how it ended; says whether that stands there.
    fn read_end(&mut self, headers: &HeaderMap) -> bool {
        let Some(code) = headers.get(STATUS).and_then(|value| value.to_str().ok()).and_then(|code| code.parse().ok())
        else {
            return false;
        };
        self.code = code;
        if let Some(message) = headers.get(MESSAGE) {
            self.message = super::excerpt(&percent_decoded(message.as_bytes()));
        }
        if let Some(details) = headers.get(DETAILS) {
            self.details = BASE64.decode(details.as_bytes()).unwrap_or_default();
        }
        true
    }
}

/// `%20` is a space; what is no such escape stays as it is.
fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| text.get(at).and_then(|&c| char::from(c).to_digit(16)).map(|d| d as u8);
    let mut out = Vec::with_capacity(text.len());
    let mut i = 0;
    while let Some(&byte) = text.get(i) {
        match (byte, digit(i + 1), digit(i + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                i += 3;
            }
            _ => {
                out.push(byte);
                i += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_percent_encoded() {
        for (text, said) in [("a%20b%C3%A9", "a bé"), ("100%", "100%"), ("%2", "%2"), ("%zz%41", "%zzA"), ("", "")] {
            assert_eq!(percent_decoded(text.as_bytes()), said.as_bytes());
        }
    }

    #[test]
    fn a_frame_says_how_long_the_message_is() {
        let mut message = vec![0; FRAME + 258];
        write_frame(&mut message, 1);
        assert_eq!(message[..FRAME], [1, 0, 0, 1, 2]);
    }
}
