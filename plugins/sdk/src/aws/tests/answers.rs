//! Answers of services, and what they mean.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use proptest::prelude::*;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderName, HeaderValue};

use crate::aws::{ServiceError, element, judge};
use crate::http::Answer;
use crate::ledger::Reason;
use crate::output::Outcome;

fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        retry_after: None,
        location: None,
        headers: HeaderMap::new(),
        body: body.into(),
        cut: false,
        broken: None,
    }
}

fn with(mut answer: Answer, name: &'static str, value: &str) -> Answer {
    answer.headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    answer
}

fn error(code: &str, message: &str) -> Option<ServiceError> {
    Some(ServiceError { code: code.to_owned(), message: message.to_owned() })
}

#[test]
fn errors_in_every_shape() {
    let s3 = "<?xml version=\"1.0\"?>\n<Error><Code>NoSuchBucket</Code><Message>The &lt;bucket&gt; is &amp;lt; not there\
              </Message><BucketName>b</BucketName></Error>";
    let query = "<ErrorResponse xmlns=\"x\"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message>\
                 </Error><RequestId>1</RequestId></ErrorResponse>";
    for (answer, expected) in [
        (
            answer(400, r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#),
            error("ThrottlingException", "Rate exceeded"),
        ),
        (
            answer(400, r#"{"__type":"com.amazonaws.kinesis.v1#ResourceNotFoundException","message":"no \"x\""}"#),
            error("ResourceNotFoundException", "no \"x\""),
        ),
        (
            with(
                answer(400, r#"{"Message":"bad"}"#),
                "x-amzn-errortype",
                "InvalidRequestException:http://internal.amazon.com/x/",
            ),
            error("InvalidRequestException", "bad"),
        ),
        (with(answer(403, ""), "x-amzn-errortype", "AccessDeniedException"), error("AccessDeniedException", "")),
        (
            with(with(answer(400, "\u{8}\u{1}"), "x-amzn-errortype", "X"), "x-amzn-error-message", "in a header"),
            error("X", "in a header"),
        ),
        (answer(500, r#"{"code":"InternalFailure","Message":"two\nlines"}"#), error("InternalFailure", "two lines")),
        (answer(404, s3), error("NoSuchBucket", "The <bucket> is &lt; not there")),
        (answer(403, query), error("AccessDenied", "no")),
        (answer(400, "<Error><Code>Cut</Code><Message>off"), error("Cut", "")),
        (answer(404, "<UnknownOperationException/>\n"), error("UnknownOperationException", "")),
        (answer(404, "<html/>"), None),
        (answer(200, r#"{"__type":"ThrottlingException"}"#), None),
        (answer(502, "<html><body>Bad Gateway</body></html>"), None),
        (answer(400, r#"{"message":"no code"}"#), None),
        (answer(400, r#"{"__type":7}"#), None),
        (answer(400, r#"{"__type":"not a code"}"#), None),
        (answer(400, r#"{"__type":"#), None),
        (answer(400, ""), None),
    ] {
        assert_eq!(ServiceError::of(&answer), expected, "{}", answer.summary());
    }
    assert_eq!(ServiceError::of(&answer(400, &format!("{{\"__type\":\"{}\"}}", "x".repeat(200)))), None);
}

#[test]
fn elements() {
    let text = "<?xml?>\n<R xmlns=\"x\"><Key>a</Key><UploadId>a&amp;lt;b&lt;c&quot;</UploadId></R>";
    assert_eq!(element(text, "UploadId").as_deref(), Some("a&lt;b<c\""));
    assert_eq!(element(text, "Code"), None);
    assert_eq!(element("<Code>x", "Code"), None);
}

fn json(status: u16, code: &str) -> Answer {
    answer(status, &format!("{{\"__type\":\"{code}\",\"message\":\"words\"}}"))
}

#[test]
fn the_table_of_the_module() {
    let retry = |answer: &Answer, degraded: bool, words: &str| match judge(answer) {
        Outcome::Retry { why, degraded: is, .. } => {
            assert_eq!(is, degraded, "{why}");
            assert!(why.contains(words), "{why}");
        }
        other => panic!("{}: {other:?}", answer.summary()),
    };
    for code in ["ThrottlingException", "ProvisionedThroughputExceededException", "LimitExceededException", "SlowDown"]
    {
        retry(&json(400, code), false, "400 Bad Request: ");
    }
    for (status, code) in [(400, "RequestTimeout"), (500, "InternalFailure"), (503, "ServiceUnavailableException")] {
        retry(&json(status, code), false, "words");
    }
    retry(&json(500, "SomethingNew"), false, "500 Internal Server Error: SomethingNew: words");
    retry(&json(400, "ExpiredTokenException"), false, "asked for anew");
    retry(&json(403, "RequestTimeTooSkewed"), false, "the service's time");
    for (status, code, words) in [
        (400, "AccessDeniedException", "allow it in the policy"),
        (403, "AccessDenied", "allow it in the policy"),
        (400, "UnrecognizedClientException", "mend `credentials` or `profile`"),
        (403, "InvalidClientTokenId", "`region`"),
        (403, "SignatureDoesNotMatch", "secret access key"),
        (400, "AuthorizationHeaderMalformed", "`region` must be"),
        (301, "PermanentRedirect", "`region` must be"),
        (400, "ResourceNotFoundException", "make it"),
        (404, "NoSuchBucket", "make it"),
        (400, "KMSDisabledException", "make it"),
        (403, "SomethingNew", "allow it"),
        (400, "UnknownOperationException", "mend `endpoint`"),
        (404, "UnknownOperationException", "mend `endpoint`"),
        (400, "UnknownOperation", "mend `endpoint`"),
        (400, "InvalidAction", "mend `endpoint`"),
        (400, "MissingAction", "mend `endpoint`"),
        (400, "UnknownServiceException", "mend `endpoint`"),
    ] {
        retry(&json(status, code), true, words);
    }
    for (status, code) in [(413, "Anything"), (413, "RequestEntityTooLarge"), (400, "EntityTooLarge")] {
        assert_eq!(judge(&json(status, code)), Outcome::TooLarge);
    }
    let detail = "400 Bad Request: ValidationException: words".to_owned();
    assert_eq!(judge(&json(400, "ValidationException")), Outcome::Refused { reason: Reason::REJECTED, detail });
    assert_eq!(judge(&answer(200, "")), Outcome::Delivered);
    // No service's words: as for any server.
    assert_eq!(judge(&answer(413, "")), Outcome::TooLarge);
    retry(&answer(403, "<html>no</html>"), true, "403 Forbidden: no");
    retry(
        &answer(404, "<html>no</html>"),
        true,
        "404 Not Found: no; no service of AWS's says so: is `endpoint` right?",
    );
    retry(&answer(400, ""), true, "is `endpoint` right?");
    retry(&answer(502, ""), false, "502");
}

#[test]
fn how_long_to_wait_is_heard() {
    let mut throttled = json(400, "ThrottlingException");
    throttled.retry_after = Some(Duration::from_secs(7));
    assert!(matches!(judge(&throttled), Outcome::Retry { after: Some(wait), .. } if wait == Duration::from_secs(7)));
}

/// A signature that is refused while the clocks differ is the clock's fault, otherwise the key's.
#[test]
fn a_clock_that_is_off_is_told_from_a_key_that_is_wrong() {
    let date = |ahead: u64| {
        let time = Timestamp::try_from(SystemTime::now() + Duration::from_secs(ahead)).unwrap();
        DateTimePrinter::new().timestamp_to_rfc9110_string(&time).unwrap()
    };
    let refused = |ahead| with(json(403, "InvalidSignatureException"), DATE.as_str(), &date(ahead));
    match judge(&refused(3600)) {
        Outcome::Retry { why, degraded: false, .. } => assert!(why.contains("s behind the service's"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(judge(&refused(0)), Outcome::Retry { degraded: true, .. }));
}

proptest! {
    /// Whatever stands in an answer, it is an answer.
    #[test]
    fn nothing_in_an_answer_is_too_strange(status in 100_u16..=599, body in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut answer = answer(status, "");
        answer.body = body;
        let _ = judge(&answer);
    }

    #[test]
    fn nor_what_looks_like_an_error(text in "(<Error>|<Code>|</Code>|<Message>|</Message>|&amp;|&lt;|é|[{}\":,a]){0,20}") {
        if let Some(error) = ServiceError::of(&answer(400, &text)) {
            prop_assert!(!error.code.is_empty() && error.code.len() <= 128);
        }
    }
}
