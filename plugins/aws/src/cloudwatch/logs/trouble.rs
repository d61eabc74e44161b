//! What an error of the service's means, and whom it concerns.

use aws_sdk_cloudwatchlogs::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use suiro_sdk::aws::{AccountError, judge};
use suiro_sdk::http::header::{HeaderMap, HeaderName, HeaderValue};
use suiro_sdk::http::{Answer, StatusCode, excerpt};
use suiro_sdk::{Outcome, Reason};

use crate::cloudwatch::outcome::foreign;

/// Bytes of an answer that are looked at.
const ANSWER: usize = 64 << 10;

/// Why a call did not do what it should.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The group or the stream is not there.
    Missing(String),
    /// It is there already.
    Exists,
    /// The service has these events.
    Taken,
    /// The request is not what the service takes: it is in an event, or in all.
    Invalid(String),
    /// It is too much at once.
    TooLarge,
    /// Try again.
    Retry(Retry),
    /// It will never be taken.
    Refused(String),
}

/// A call that may do better later.
#[derive(Clone, Debug)]
pub(super) struct Retry {
    pub(super) why: String,
    /// An operator must mend it.
    pub(super) degraded: bool,
    /// Whose trouble it is.
    pub(super) of: Of,
}

/// Whose trouble it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// The stream's, perhaps: others may do well.
    Stream,
    /// Everybody's.
    Account,
}

// === impl Trouble ===

impl Trouble {
    /// What an error of the SDK's means.
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>) -> Trouble
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match error {
            SdkError::ServiceError(refusal) => {
                let meta = refusal.err().meta();
                let code = meta.code().unwrap_or_default();
                Trouble::of_answer(code, meta.message().unwrap_or_default(), &answer_of(refusal.raw()))
            }
            SdkError::ResponseError(broken) => {
                let why = format!("the answer can't be read: {}", cause_of(error));
                let answer = answer_of(broken.raw());
                if answer.is_success() {
                    Trouble::later(why, false, Of::Stream)
                } else {
                    Trouble::of_answer("", "", &answer)
                }
            }
            SdkError::TimeoutError(_) => Trouble::later("no answer in `timeout`".to_owned(), false, Of::Stream),
            SdkError::DispatchFailure(failure) => {
                // What is neither a timeout nor the network is a certificate, or an address that is none.
                let is_passing = failure.is_timeout() || failure.is_io() || failure.as_other().is_some();
                Trouble::later(format!("no answer: {}", cause_of(error)), !is_passing, Of::Account)
            }
            // No credentials.
            _ => Trouble::later(format!("the request can't be made: {}", cause_of(error)), true, Of::Account),
        }
    }

    /// No credentials, no region.
    pub(super) fn of_account(error: AccountError) -> Trouble {
        match error.into_outcome() {
            Outcome::Retry { why, degraded, .. } => Trouble::later(why, degraded, Of::Account),
            _ => Trouble::later("there is no account".to_owned(), true, Of::Account),
        }
    }

    fn of_answer(code: &str, message: &str, answer: &Answer) -> Trouble {
        let said =
            || if message.is_empty() { answer.summary() } else { format!("{code}: {}", excerpt(message.as_bytes())) };
        match code {
            "ResourceNotFoundException" => return Trouble::Missing(said()),
            "ResourceAlreadyExistsException" => return Trouble::Exists,
            "DataAlreadyAcceptedException" => return Trouble::Taken,
            // Of old; tokens are ignored today.
            "InvalidSequenceTokenException" => return Trouble::later(said(), false, Of::Stream),
            "OperationAbortedException" => return Trouble::later(said(), false, Of::Stream),
            "InvalidParameterException" | "ValidationException" | "SerializationException" => {
                return Trouble::Invalid(said());
            }
            _ => {}
        }
        match judge(answer) {
            // An answer that is no error of the service's, where one was expected.
            Outcome::Delivered | Outcome::Partial(_) => Trouble::later(foreign(&said()), true, Of::Account),
            Outcome::TooLarge => Trouble::TooLarge,
            Outcome::Refused { detail, .. } | Outcome::Unidentified { detail, .. } => Trouble::Refused(detail),
            Outcome::Retry { why, degraded, .. } => {
                // Throttling comes as any status; policies name groups.
                let of_stream =
                    code.contains("Throttl") || code.starts_with("AccessDenied") || code == "LimitExceededException";
                let of = if of_stream { Of::Stream } else { Of::Account };
                Trouble::Retry(Retry { why, degraded, of })
            }
        }
    }

    pub(super) fn later(why: String, degraded: bool, of: Of) -> Trouble {
        Trouble::Retry(Retry { why, degraded, of })
    }
}

/// For people: of a call whose trouble is only told.
impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Trouble::Missing(why) | Trouble::Invalid(why) | Trouble::Refused(why) => why,
            Trouble::Retry(retry) => &retry.why,
            Trouble::Exists => "it is there already",
            Trouble::Taken => "it was taken before",
            Trouble::TooLarge => Reason::TOO_LARGE.0,
        })
    }
}

/// An answer as the project's own HTTP client would have given it.
pub(super) fn answer_of(response: &HttpResponse) -> Answer {
    let mut headers = HeaderMap::new();
    for (name, value) in response.headers() {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            headers.append(name, value);
        }
    }
    let body = response.body().bytes().unwrap_or_default();
    Answer {
        status: StatusCode::from_u16(response.status().as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        retry_after: None,
        location: None,
        headers,
        body: body[..body.len().min(ANSWER)].to_vec(),
        cut: body.len() > ANSWER,
        broken: None,
    }
}

/// The innermost error says what happened, those around it only where.
fn cause_of(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    excerpt(inner.to_string().as_bytes())
}
