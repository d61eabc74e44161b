//! What an answer of a service means.
//!
//! | code, or status | outcome |
//! | --- | --- |
//! | 2xx | delivered |
//! | throttling codes, whatever the status (400 is usual) | retry, when `Retry-After` says |
//! | `RequestTimeout`, `InternalError`, … and 5xx | retry |
//! | `ExpiredToken`, … | retry: credentials are asked for anew |
//! | `RequestTimeTooSkewed`, …, or a signature refused while the clocks differ | retry: signatures take the service's time |
//! | `AccessDenied`, unknown keys, wrong signatures, wrong region, no such stream or bucket, 401, 403 | retry, degraded: an operator must mend it |
//! | `UnknownOperationException`, `InvalidAction`, … | retry, degraded: `endpoint` is another service's |
//! | 413, `RequestEntityTooLarge`, `EntityTooLarge` | too large: in halves |
//! | any other 4xx | refused, in the service's words |
//!
//! What no service of AWS's wrote (a proxy's page) is judged by its status, as [`crate::http::judge`] has it; but it refuses no
//! record: retry, degraded.

use std::borrow::Cow;
use std::sync::Arc;

use reqwest::header::{DATE, HeaderMap, HeaderValue};
use suiro_record::{Batch, Scope, Source};

use super::clock;
use crate::http::{Answer, excerpt};
use crate::ledger::Reason;
use crate::output::Outcome;

/// Longer is no code.
const CODE: usize = 128;
/// An error is not longer.
const LOOKED_AT: usize = 64 << 10;

/// Code and message of an answer that is no success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceError {
    /// `ThrottlingException`, without namespace and URL.
    pub code: String,
    /// In the service's words, on one line; perhaps empty.
    pub message: String,
}

/// What a code is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// Too much in too short a time.
    Throttled,
    /// The service's own trouble.
    Trouble,
    /// Credentials that were good once.
    Expired,
    /// The time in the signature.
    Skew,
    /// The signature, or the time in it.
    Signature,
    /// A key that the service does not know.
    UnknownKey,
    /// What the key may do.
    Permission,
    /// Another region, or another partition.
    Region,
    /// A stream, group or bucket that is not there, or a key of KMS's.
    Missing,
    /// An operation that the service does not know: it is another one.
    Operation,
    /// The size of the request.
    Size,
    /// The records.
    Other,
}

// === impl ServiceError ===

impl ServiceError {
    /// Reads it; `None` of a success, and of what no service of AWS's wrote.
    pub fn of(answer: &Answer) -> Option<Self> {
        if answer.is_success() {
            return None;
        }
        let body = answer.body.get(..LOOKED_AT).unwrap_or(&answer.body);
        let (in_body, message) = if body.trim_ascii_start().starts_with(b"<") { of_xml(body) } else { of_json(body) };
        let header = |name: &str| Some(answer.headers.get(name)?.to_str().ok()?.to_owned());
        let code = header("x-amzn-errortype").or(in_body);
        let code = bare(&code?)?;
        let message = message.or_else(|| header("x-amzn-error-message")).unwrap_or_default();
        Some(ServiceError { code, message: excerpt(message.as_bytes()) })
    }

    pub(super) fn subject(&self) -> Subject {
        Subject::of(&self.code)
    }

    /// `AccessDenied: it is not yours`
    fn quoted(&self) -> String {
        if self.message.is_empty() { self.code.clone() } else { format!("{}: {}", self.code, self.message) }
    }
}

// === impl Subject ===

impl Subject {
    pub(super) fn of(code: &str) -> Subject {
        match code {
            "BandwidthLimitExceeded"
            | "EC2ThrottledException"
            | "KMSThrottlingException"
            | "LimitExceededException"
            | "PriorRequestNotComplete"
            | "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "SlowDown"
            | "ThrottledException"
            | "Throttling"
            | "ThrottlingException"
            | "TooManyRequests"
            | "TooManyRequestsException"
            | "TransactionInProgressException" => Subject::Throttled,
            "InternalError"
            | "InternalFailure"
            | "InternalServerError"
            | "InternalServerException"
            | "InternalServiceError"
            | "InternalServiceException"
            | "InternalServiceFault"
            | "OperationAborted"
            | "OperationAbortedException"
            | "RequestTimeout"
            | "RequestTimeoutException"
            | "ServiceUnavailable"
            | "ServiceUnavailableException" => Subject::Trouble,
            "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => Subject::Expired,
            "RequestExpired" | "RequestInTheFuture" | "RequestTimeTooSkewed" => Subject::Skew,
            "AuthFailure"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "InvalidSignature"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch" => Subject::Signature,
            "InvalidAccessKeyId"
            | "InvalidClientTokenId"
            | "InvalidToken"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "UnrecognizedClientException" => Subject::UnknownKey,
            "AccessDenied"
            | "AccessDeniedException"
            | "KMSAccessDeniedException"
            | "NotAuthorized"
            | "OptInRequired"
            | "UnauthorizedAccess"
            | "UnauthorizedException"
            | "UnauthorizedOperation" => Subject::Permission,
            "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException"
            | "PermanentRedirect"
            | "TemporaryRedirect" => Subject::Region,
            "InvalidKMSResourceException"
            | "KMSDisabledException"
            | "KMSInvalidStateException"
            | "KMSNotFoundException"
            | "KMSOptInRequired"
            | "NoSuchBucket"
            | "ResourceNotFoundException" => Subject::Missing,
            "InvalidAction"
            | "MissingAction"
            | "UnknownOperation"
            | "UnknownOperationException"
            | "UnknownServiceException" => Subject::Operation,
            "EntityTooLarge" | "RequestEntityTooLarge" | "RequestEntityTooLargeException" => Subject::Size,
            _ => Subject::Other,
        }
    }

    /// What an operator can do about it.
    fn help(self) -> &'static str {
        match self {
            Subject::Signature => {
                "the secret access key does not belong to its id, or something on the way changed the request: mend \
                 `credentials` or `profile`"
            }
            Subject::UnknownKey => {
                "this key is not known there: mend `credentials` or `profile`; is `region` in another partition?"
            }
            Subject::Permission => {
                "allow it in the policy of the role or user (docs/aws.md lists what each plugin needs)"
            }
            Subject::Region => "`region` must be the one it is in",
            Subject::Missing => "make it, or mend its name or `region`",
            Subject::Operation => "another service answers there: mend `endpoint` (or `url`)",
            _ => "",
        }
    }
}

/// What an answer means: the table of the module.
pub fn judge(answer: &Answer) -> Outcome {
    let Some(error) = ServiceError::of(answer) else {
        return match crate::http::judge(answer) {
            Outcome::Refused { detail, .. } => {
                let why = format!("{detail}; no service of AWS's says so: is `endpoint` right?");
                Outcome::Retry { why, after: answer.retry_after, degraded: true }
            }
            outcome => outcome,
        };
    };
    let status = answer.status;
    let quoted = format!("{status}: {}", error.quoted());
    let retry = |why: String, degraded: bool| Outcome::Retry { why, after: answer.retry_after, degraded };
    let subject = error.subject();
    match subject {
        Subject::Throttled | Subject::Trouble => retry(quoted, false),
        Subject::Expired => retry(format!("{quoted}; credentials are asked for anew"), false),
        Subject::Skew => retry(format!("{quoted}; {}", clocks(&answer.headers)), false),
        Subject::Signature if differing(&answer.headers).is_some() => {
            retry(format!("{quoted}; {}", clocks(&answer.headers)), false)
        }
        Subject::Signature
        | Subject::UnknownKey
        | Subject::Permission
        | Subject::Region
        | Subject::Missing
        | Subject::Operation => retry(format!("{quoted}; {}", subject.help()), true),
        Subject::Size => Outcome::TooLarge,
        Subject::Other => match status.as_u16() {
            401 | 403 => retry(format!("{quoted}; {}", Subject::Permission.help()), true),
            300..=399 => retry(format!("{quoted}; {}", Subject::Region.help()), true),
            413 => Outcome::TooLarge,
            408 | 425 | 429 | 500.. => retry(quoted, false),
            _ => Outcome::Refused { reason: Reason::REJECTED, detail: quoted },
        },
    }
}

/// By how much the service's clock and ours differ, in words, if it is enough to spoil signatures.
fn differing(headers: &HeaderMap) -> Option<String> {
    headers.get(DATE).map(HeaderValue::as_bytes).and_then(clock::complaint)
}

fn clocks(headers: &HeaderMap) -> String {
    let difference = differing(headers).unwrap_or_else(|| "the time in the signature was refused".to_owned());
    format!("{difference}; signatures take the service's time from now on")
}

/// `com.amazonaws.logs#ThrottlingException:http://…` is a `ThrottlingException`.
fn bare(code: &str) -> Option<String> {
    let code = code.split(':').next()?.trim();
    let code = code.rsplit('#').next()?;
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"._-".contains(&c);
    (!code.is_empty() && code.len() <= CODE && code.bytes().all(plain)).then(|| code.to_owned())
}

/// Code and message of `{"__type": "…", "message": "…"}`.
fn of_json(body: &[u8]) -> (Option<String>, Option<String>) {
    let scope = Arc::new(Scope::new(Arc::new(Source::new("aws".into(), 0))));
    let mut batch = Batch::new("aws".into(), scope, 0);
    if std::str::from_utf8(body).is_err() {
        return (None, None);
    }
    batch.heap_mut().extend_from_slice(body);
    let Ok(root) = batch.parse_json(0..body.len()) else { return (None, None) };
    let (mut code, mut message) = (None, None);
    for member in batch.body(root).children() {
        let place = match member.key() {
            Some("__type" | "code" | "Code") => &mut code,
            Some("message" | "Message") => &mut message,
            _ => continue,
        };
        if place.is_none() {
            *place = member.as_str().map(Cow::into_owned);
        }
    }
    (code, message)
}

/// Code and message of `<Error><Code>…</Code><Message>…</Message>`, wherever that is; or all there is is
/// `<UnknownOperationException/>`.
fn of_xml(body: &[u8]) -> (Option<String>, Option<String>) {
    let text = String::from_utf8_lossy(body);
    let Some(at) = text.find("<Error>") else { return (exception(&text), None) };
    (element(&text[at..], "Code"), element(&text[at..], "Message"))
}

/// The name of an element that is all there is.
fn exception(text: &str) -> Option<String> {
    let name = text.trim().strip_prefix('<')?.strip_suffix("/>")?;
    name.ends_with("Exception").then(|| name.to_owned())
}

/// The text of the first element of that name, as services write them: no attributes, nothing inside but text.
pub fn element(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (inner, _) = rest.split_once(&format!("</{name}>"))?;
    Some(unescaped(inner))
}

/// Text of XML as it reads.
fn unescaped(text: &str) -> String {
    // `&amp;` last: what it hides is no escape.
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&#34;", "\""), ("&amp;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}
