//! Unary calls of gRPC, by the same client: HTTP/2, `h2c` where the URL is plain http. Calls share one connection.
//!
//! How a call ended stands in `grpc-status`, among the trailers, or among the headers where there is no message. What comes
//! from something that is no gRPC server at all is translated as gRPC's own documents say (`http-grpc-status-mapping`).

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
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
        let body = message.into_bytes();
        let mut failure = None;
        for at in self.endpoints.order() {
            add(&self.ledger.bytes, body.len());
            let mut headers = HeaderMap::with_capacity(4);
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            headers.insert(TE, HeaderValue::from_static("trailers"));
            if let Some(encoding) = encoding {
                headers.insert(ENCODING, HeaderValue::from_static(encoding));
            }
            let mut url = self.endpoints.url(at).clone();
            url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
            match self.http.request(Method::POST, url).headers(headers).body(body.clone()).send().await {
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
    let len = u32::try_from(message.len().saturating_sub(FRAME)).unwrap_or(u32::MAX);
    if let Some(frame) = message.first_chunk_mut::<FRAME>() {
        frame[0] = compressed;
        frame[1..].copy_from_slice(&len.to_be_bytes());
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
