//! What the other side says: `Export*ServiceResponse` with its partial success, and `google.rpc.Status` for errors.
//!
//! ```text
//! Export*ServiceResponse { 1 partial_success { 1 rejected (int64), 2 error_message } }
//! Status { 1 code, 2 message, 3 details { 1 type_url, 2 value } }
//! RetryInfo { 1 retry_delay { 1 seconds, 2 nanos } }
//! ```

use std::time::Duration;

use suiro_record::Signal;

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

impl PartialSuccess {
    /// Appends the response that says so; one that has nothing to say is empty.
    pub fn write(&self, signal: Signal, encoding: Encoding, out: &mut Vec<u8>) {
        let _ = (signal, encoding, out);
    }

    /// What a response says; `None` where it is no response.
    pub fn read(signal: Signal, encoding: Encoding, body: &[u8]) -> Option<PartialSuccess> {
        let _ = (signal, encoding, body);
        None
    }
}

impl Status {
    /// Appends it, for a body or (protobuf) `grpc-status-details-bin`.
    pub fn write(&self, encoding: Encoding, out: &mut Vec<u8>) {
        let _ = (encoding, out);
    }

    /// What it says; `None` where it is none.
    pub fn read(encoding: Encoding, body: &[u8]) -> Option<Status> {
        let _ = (encoding, body);
        None
    }
}
