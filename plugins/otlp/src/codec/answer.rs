//! What the other side says: `Export*ServiceResponse` with its partial success, and `google.rpc.Status` for errors.
//!
//! ```text
//! Export*ServiceResponse { 1 partial_success { 1 rejected (int64), 2 error_message } }
//! Status { 1 code, 2 message, 3 details { 1 type_url, 2 value } }
//! RetryInfo { 1 retry_delay { 1 seconds, 2 nanos } }
//! ```

use std::time::Duration;

use serde_json::{Value, json};
use suiro_record::Signal;
use suiro_sdk::protobuf::{Raw, Reader, close, open, put_int, put_uint};

use super::index::check;
use super::value::{messages, put_text};
use super::{json as text, schema};

/// How bodies are encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`
    #[default]
    Protobuf,
    /// `application/json`
    Json,
}

/// Of the records of a request, some were refused; or none were, and there is a warning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartialSuccess {
    /// How many.
    pub rejected: i64,
    /// Why, or what else there is to say.
    pub message: String,
}

/// An error of gRPC's model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// One of gRPC's codes.
    pub code: i32,
    /// In words.
    pub message: String,
    /// When to try again (`google.rpc.RetryInfo`).
    pub retry: Option<Duration>,
}

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

// === impl PartialSuccess ===

impl PartialSuccess {
    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.rejected == 0 && self.message.is_empty()
    }

    /// Appends the response that says so; one that has nothing to say is empty.
    pub fn write(&self, signal: Signal, encoding: Encoding, out: &mut Vec<u8>) {
        let mut protobuf = Vec::new();
        if !self.is_empty() {
            let partial = open(1, self.message.len() + 12, &mut protobuf);
            if self.rejected != 0 {
                put_int(1, self.rejected, &mut protobuf);
            }
            put_text(2, self.message.as_bytes(), &mut protobuf);
            close(partial, &mut protobuf);
        }
        match encoding {
            Encoding::Protobuf => out.append(&mut protobuf),
            // What was just written can be read.
            Encoding::Json => drop(text::write(schema::response(signal), &protobuf, out)),
        }
    }

    /// What a response says; `None` where it is no response. An empty body has nothing to say, in either encoding.
    pub fn read(signal: Signal, encoding: Encoding, body: &[u8]) -> Option<PartialSuccess> {
        let response = schema::response(signal);
        let mut read = Vec::new();
        let protobuf = match encoding {
            Encoding::Protobuf => body,
            Encoding::Json if body.trim_ascii().is_empty() => &[],
            Encoding::Json => {
                text::read(response, body, &mut read).ok()?;
                &read
            }
        };
        check(protobuf, 0..protobuf.len(), response, 0).ok()?;
        let mut partial = PartialSuccess::default();
        for span in messages(protobuf, 0..protobuf.len(), 1) {
            let mut reader = Reader::new(protobuf, span);
            while let Ok(Some(field)) = reader.field() {
                match (field.number, field.value) {
                    (1, Raw::Varint(n)) => partial.rejected = n.cast_signed(),
                    (2, Raw::Len(span)) => partial.message = String::from_utf8_lossy(&protobuf[span]).into_owned(),
                    _ => {}
                }
            }
        }
        Some(partial)
    }
}

// === impl Status ===

impl Status {
    /// Appends it, for a body or (protobuf) `grpc-status-details-bin`.
    pub fn write(&self, encoding: Encoding, out: &mut Vec<u8>) {
        if encoding == Encoding::Json {
            let details: Vec<Value> = self
                .retry
                .iter()
                .map(|after| {
                    let delay = format!("{}.{:09}s", after.as_secs(), after.subsec_nanos());
                    json!({ "@type": RETRY_INFO, "retryDelay": delay })
                })
                .collect();
            let status = json!({ "code": self.code, "message": self.message, "details": details });
            return out.extend_from_slice(status.to_string().as_bytes());
        }
        if self.code != 0 {
            put_int(1, i64::from(self.code), out);
        }
        put_text(2, self.message.as_bytes(), out);
        if let Some(after) = self.retry {
            let any = open(3, 60, out);
            put_text(1, RETRY_INFO.as_bytes(), out);
            let info = open(2, 12, out);
            let delay = open(1, 10, out);
            put_uint(1, after.as_secs(), out);
            put_uint(2, u64::from(after.subsec_nanos()), out);
            close(delay, out);
            close(info, out);
            close(any, out);
        }
    }

    /// What it says; `None` where it is none.
    pub fn read(encoding: Encoding, body: &[u8]) -> Option<Status> {
        match encoding {
            Encoding::Protobuf => Self::read_protobuf(body),
            Encoding::Json => Self::read_json(body),
        }
    }

    fn read_protobuf(body: &[u8]) -> Option<Status> {
        let mut status = Status::default();
        let mut reader = Reader::new(body, 0..body.len());
        while let Some(field) = reader.field().ok()? {
            match (field.number, field.value) {
                (1, Raw::Varint(n)) => status.code = n as i32,
                (2, Raw::Len(span)) => status.message = String::from_utf8(body[span].to_vec()).ok()?,
                (3, Raw::Len(span)) => {
                    let is_retry =
                        messages(body, span.clone(), 1).any(|url| body[url].ends_with(b"/google.rpc.RetryInfo"));
                    for info in messages(body, span, 2).filter(|_| is_retry) {
                        status.retry = messages(body, info, 1).last().map(|delay| read_duration(body, delay));
                    }
                }
                (1..=3, _) => return None,
                _ => {}
            }
        }
        Some(status)
    }

    fn read_json(body: &[u8]) -> Option<Status> {
        let value: Value = serde_json::from_slice(body).ok()?;
        let members = value.as_object()?;
        let code = members.get("code").and_then(Value::as_i64).and_then(|code| i32::try_from(code).ok());
        let message = members.get("message").and_then(Value::as_str);
        if code.is_none() && message.is_none() {
            return None;
        }
        let details = members.get("details").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let retry = details.iter().find_map(|detail| {
            let url = detail.get("@type")?.as_str()?;
            let delay = detail.get("retryDelay")?.as_str()?.strip_suffix('s')?;
            let seconds = delay.parse::<f64>().ok().filter(|_| url.ends_with("/google.rpc.RetryInfo"))?;
            Duration::try_from_secs_f64(seconds).ok()
        });
        Some(Status { code: code.unwrap_or(0), message: message.unwrap_or_default().to_owned(), retry })
    }
}

fn read_duration(body: &[u8], span: std::ops::Range<usize>) -> Duration {
    let (mut seconds, mut nanos) = (0, 0);
    let mut reader = Reader::new(body, span);
    while let Ok(Some(field)) = reader.field() {
        match (field.number, field.value) {
            // Below 0 is now.
            (1, Raw::Varint(n)) => seconds = if n.cast_signed() < 0 { 0 } else { n },
            (2, Raw::Varint(n)) => nanos = u32::try_from(n).unwrap_or(0).min(999_999_999),
            _ => {}
        }
    }
    Duration::new(seconds, nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENCODINGS: [Encoding; 2] = [Encoding::Protobuf, Encoding::Json];

    #[test]
    fn a_partial_success_comes_back() {
        for signal in [Signal::Logs, Signal::Traces, Signal::Metrics] {
            for encoding in ENCODINGS {
                for (rejected, message) in [(0, ""), (0, "slow"), (3, ""), (i64::MAX, "水\n"), (-1, "x")] {
                    let partial = PartialSuccess { rejected, message: message.to_owned() };
                    let mut body = Vec::new();
                    partial.write(signal, encoding, &mut body);
                    assert_eq!(PartialSuccess::read(signal, encoding, &body), Some(partial), "{body:?}");
                }
                assert_eq!(PartialSuccess::read(signal, encoding, b""), Some(PartialSuccess::default()));
                assert_eq!(PartialSuccess::read(signal, encoding, b"<html>"), None);
            }
        }
        let named = br#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"no"},"more":1}"#;
        assert_eq!(PartialSuccess::read(Signal::Traces, Encoding::Json, named).map(|p| p.rejected), Some(2));
        assert_eq!(PartialSuccess::read(Signal::Logs, Encoding::Json, named).map(|p| p.rejected), Some(0));
    }

    #[test]
    fn a_status_comes_back() {
        for encoding in ENCODINGS {
            for retry in
                [None, Some(Duration::ZERO), Some(Duration::new(3, 500_000_000)), Some(Duration::from_nanos(1))]
            {
                let status = Status { code: 8, message: "slower".to_owned(), retry };
                let mut body = Vec::new();
                status.write(encoding, &mut body);
                assert_eq!(Status::read(encoding, &body), Some(status));
            }
            assert_eq!(Status::read(encoding, b"<html>no</html>"), None);
        }
        assert_eq!(Status::read(Encoding::Json, b"{}"), None);
    }

    #[test]
    fn hostile_answers_are_none_or_short() {
        let mut body = Vec::new();
        Status { code: 14, message: "x".repeat(300), retry: Some(Duration::MAX) }.write(Encoding::Protobuf, &mut body);
        for cut in 0..body.len() {
            let _ = Status::read(Encoding::Protobuf, &body[..cut]);
            let _ = PartialSuccess::read(Signal::Logs, Encoding::Protobuf, &body[..cut]);
        }
    }
}
