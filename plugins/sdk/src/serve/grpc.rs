//! gRPC's framing: unary calls over HTTP/2, <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.
//!
//! A message is one byte (1: compressed), four bytes of length, and the message. How a call ended stands in trailers,
//! `grpc-status` and `grpc-message`; `grpc-status-details-bin` is a `google.rpc.Status`, which is where a sender finds when to
//! come again (`RetryInfo`).

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::{BufMut as _, Bytes, BytesMut};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode, Version};

use super::answer::{Answer, Refusal, Response};
use super::request::{Body, Request};
use crate::decompress::Encoding;
use crate::ledger::Reason;
use crate::protobuf::{close, open, put_len, put_uint};

/// Bytes before a message.
const PREFIX: usize = 5;
/// Encodings messages may have.
const ACCEPTED: &str = "identity,gzip,deflate,zstd";
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// How a call ends, of those ways that a server has use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are gRPC's own")]
pub enum Code {
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

/// Whether a request is a call of gRPC.
pub fn is_grpc(request: &Request) -> bool {
    let kind = request.media_type();
    kind == "application/grpc" || kind.starts_with("application/grpc+")
}

/// Refuses what is not a call of gRPC with protobuf: as plain HTTP, since whoever sent it speaks that.
pub fn expect_call(request: &Request) -> Result<(), Refusal> {
    if request.method != Method::POST {
        return Err(Refusal::method(&request.method, "POST"));
    }
    let kind = request.media_type();
    if kind != "application/grpc" && kind != "application/grpc+proto" {
        return Err(Refusal::media_type(&kind, "gRPC: application/grpc"));
    }
    if request.is_http_1() {
        return Err(Refusal::bad_request("gRPC needs HTTP/2"));
    }
    Ok(())
}

/// The message of a unary call, decompressed.
pub async fn message(request: &mut Request) -> Result<Body, Refusal> {
    let terms = request.terms.clone();
    let mut pace = request.pace();
    let mut prefix = BytesMut::with_capacity(PREFIX);
    let mut rest = Bytes::new();
    while prefix.len() < PREFIX {
        let Some(mut data) = request.next(&mut pace).await? else {
            request.turn_away(Reason::MALFORMED);
            return Err(Refusal::bad_request("the call has no message"));
        };
        prefix.put(data.split_to(data.len().min(PREFIX - prefix.len())));
        rest = data;
    }
    let compressed = prefix[0];
    let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
    if length > terms.max_body {
        return Err(terms.too_large());
    }
    let malformed = |why: &str| {
        terms.desk.turn_away(Reason::MALFORMED, 1);
        Refusal::bad_request(why)
    };
    let encoding = match compressed {
        0 => Encoding::Identity,
        1 => {
            let name = request.header("grpc-encoding");
            // snappy in gRPC is framed.
            match Encoding::read(name, Encoding::SnappyFramed) {
                Some(Encoding::Identity) => return Err(malformed("a compressed message needs a grpc-encoding")),
                Some(encoding) => encoding,
                None => {
                    terms.desk.turn_away(Reason::MALFORMED, 1);
                    let shown: String = name.chars().take(100).collect();
                    let why = format!("the grpc-encoding {shown:?} can't be read; use one of {ACCEPTED}");
                    return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, why));
                }
            }
        }
        _ => return Err(malformed("the message has no gRPC frame: its first byte is neither 0 nor 1")),
    };
    let mut body = terms.begin(length).await?;
    body.expect(length);
    loop {
        if body.bytes.len() + rest.len() > length {
            return Err(malformed("a unary call has one message, and this has more"));
        }
        body.append(&rest)?;
        match request.next(&mut pace).await? {
            Some(data) => rest = data,
            None => break,
        }
    }
    if body.bytes.len() < length {
        return Err(malformed("the message is shorter than its gRPC frame says"));
    }
    terms.unpack(body, encoding)
}

/// The answer to a call that went well.
pub fn reply(message: &[u8]) -> Response {
    let mut framed = BytesMut::with_capacity(PREFIX + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(message);
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(STATUS, HeaderValue::from_static("0"));
    let mut response = Response::new(Answer::with_trailers(framed.freeze(), trailers));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// The answer to a call that is refused.
pub fn refuse(refusal: &Refusal) -> Response {
    let code = Code::of(refusal.status);
    let mut response = Response::new(Answer::default());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(STATUS, HeaderValue::from(code as u16));
    if let Ok(message) = HeaderValue::from_str(&percent(&refusal.why)) {
        headers.insert(MESSAGE, message);
    }
    if code == Code::Unimplemented {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(ACCEPTED));
    }
    if let Some(after) = refusal.retry_after {
        let details = STANDARD_NO_PAD.encode(status_proto(code as u32, &refusal.why, Some(after)));
        if let Ok(details) = HeaderValue::from_str(&details) {
            headers.insert(DETAILS, details);
        }
    }
    response
}

/// A `google.rpc.Status` in protobuf, with a `RetryInfo` where it says when to come again.
pub fn status_proto(code: u32, message: &str, retry_after: Option<Duration>) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 80);
    if code > 0 {
        put_uint(1, u64::from(code), &mut out);
    }
    put_len(2, message.as_bytes(), &mut out);
    if let Some(after) = retry_after {
        let any = open(3, 60, &mut out);
        put_len(1, b"type.googleapis.com/google.rpc.RetryInfo", &mut out);
        let info = open(2, 10, &mut out);
        let delay = open(1, 8, &mut out);
        put_uint(1, after.as_secs(), &mut out);
        if after.subsec_nanos() > 0 {
            put_uint(2, u64::from(after.subsec_nanos()), &mut out);
        }
        close(delay, &mut out);
        close(info, &mut out);
        close(any, &mut out);
    }
    out
}

/// `grpc-message`: all but printable ASCII in percent signs.
fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' | 0..=0x1f | 0x7f.. => {
                let _ = write!(out, "%{byte:02X}");
            }
            _ => out.push(byte as char),
        }
    }
    out
}

// === impl Code ===

impl Code {
    /// The code that says what `status` says.
    pub fn of(status: StatusCode) -> Code {
        match status.as_u16() {
            401 => Code::Unauthenticated,
            403 => Code::PermissionDenied,
            404 | 405 | 501 => Code::Unimplemented,
            408 => Code::DeadlineExceeded,
            413 => Code::ResourceExhausted,
            429 | 502..=504 => Code::Unavailable,
            400..=499 => Code::InvalidArgument,
            _ => Code::Internal,
        }
    }
}

// === impl Request ===

impl Request {
    fn is_http_1(&self) -> bool {
        self.version < Version::HTTP_2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_protobuf() {
        assert_eq!(status_proto(3, "no", None), b"\x08\x03\x12\x02no");
        let with = status_proto(14, "", Some(Duration::from_millis(1500)));
        assert!(with.starts_with(b"\x08\x0e\x12\x00\x1a\x36\x0a\x28type.googleapis.com/google.rpc.RetryInfo"));
        assert!(with.ends_with(b"\x12\x0a\x0a\x08\x08\x01\x10\x80\xca\xb5\xee\x01"), "{with:?}");
        assert_eq!(with.len(), 4 + 2 + 0x36);
    }

    #[test]
    fn messages_are_ascii() {
        assert_eq!(percent("a 100% sûre\n"), "a 100%25 s%C3%BBre%0A");
    }
}
