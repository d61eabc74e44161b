//! Answers of AWS's services, as JSON, as XML, or as neither: each means one thing, and what is said of it is short and on
//! one line.
#![no_main]

use suiro_sdk::Outcome;
use suiro_sdk::aws::{ServiceError, judge};
use suiro_sdk::http::header::{HeaderMap, HeaderName, HeaderValue};
use suiro_sdk::http::{Answer, StatusCode};

/// No log line or dead letter says more of an answer. Bytes.
const SAID: usize = 4096;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&[status, header], rest)) = data.split_first_chunk::<2>() else { return };
    let statuses = [200, 201, 301, 400, 401, 403, 404, 408, 413, 429, 500, 503];
    let status = StatusCode::from_u16(statuses[usize::from(status) % statuses.len()]).expect("a status");
    let mut headers = HeaderMap::new();
    let name = ["x-amzn-errortype", "date", "content-type", "x-amzn-error-message"].get(usize::from(header));
    let (value, body) = rest.split_at(rest.len().min(name.map_or(0, |_| 40)));
    if let (Some(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
        headers.insert(HeaderName::from_static(name), value);
    }
    let body = body.to_vec();
    let answer = Answer { status, retry_after: None, location: None, headers, body, cut: false, broken: None };

    if let Some(error) = ServiceError::of(&answer) {
        assert!(!status.is_success() && !error.code.is_empty());
        assert!(error.code.len() <= 128 && error.message.len() <= SAID);
        assert!(!error.message.contains(['\n', '\r']));
    }
    match judge(&answer) {
        Outcome::Delivered => assert!(status.is_success()),
        Outcome::Retry { why: said, .. } | Outcome::Refused { detail: said, .. } => {
            assert!(said.len() <= SAID && !said.contains('\n'), "{said}");
        }
        _ => {}
    }
});
