//! Signatures: the examples of Amazon's documentation, and what is wrong with others.

use serde_json::json;

use super::{Client, now, put, send, with_stream};
use crate::aws::signature::{Scope, Subject};
use crate::http::Head;
use crate::{Aws, Fault};

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Scenario: requests that the documentation of S3 and the test suite of the specification sign.
/// Guarantees: the signatures are theirs.
#[test]
fn signatures_are_those_of_the_documentation() {
    let sign = |text: &str, headers: &[&str], payload: &str, time: &str, service: &str, secret: &str| {
        let head = Head::read(&mut text.as_bytes()).unwrap().unwrap();
        let scope = Scope { date: &time[..8], region: "us-east-1", service };
        Subject { head: &head, headers, payload, time, scope }.signature(secret)
    };
    let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    let vanilla = "GET / HTTP/1.1\r\nHost: example.amazonaws.com\r\nX-Amz-Date: 20150830T123600Z\r\n\r\n";
    assert_eq!(
        sign(vanilla, &["host", "x-amz-date"], EMPTY, "20150830T123600Z", "service", secret),
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    );
    let users = "GET /?Action=ListUsers&Version=2010-05-08 HTTP/1.1\r\nHost: iam.amazonaws.com\r\n\
                 Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\nX-Amz-Date: 20150830T123600Z\r\n\r\n";
    assert_eq!(
        sign(users, &["content-type", "host", "x-amz-date"], EMPTY, "20150830T123600Z", "iam", secret),
        "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    );
    let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let get = format!(
        "GET /test.txt HTTP/1.1\r\nHost: examplebucket.s3.amazonaws.com\r\nRange: bytes=0-9\r\n\
         x-amz-content-sha256: {EMPTY}\r\nx-amz-date: 20130524T000000Z\r\n\r\n"
    );
    let headers = ["host", "range", "x-amz-content-sha256", "x-amz-date"];
    assert_eq!(
        sign(&get, &headers, EMPTY, "20130524T000000Z", "s3", secret),
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    );
    let welcome = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    let put = format!(
        "PUT /test%24file.text HTTP/1.1\r\nHost: examplebucket.s3.amazonaws.com\r\nDate: Fri, 24 May 2013 00:00:00 GMT\r\n\
         x-amz-content-sha256: {welcome}\r\nx-amz-date: 20130524T000000Z\r\nx-amz-storage-class: REDUCED_REDUNDANCY\r\n\r\n"
    );
    let headers = ["date", "host", "x-amz-content-sha256", "x-amz-date", "x-amz-storage-class"];
    assert_eq!(
        sign(&put, &headers, welcome, "20130524T000000Z", "s3", secret),
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
    );
}

/// Scenario: requests signed by the wrong key, for the wrong place or at the wrong time, to services of every protocol.
/// Guarantees: each is refused in the service's own words, and nothing is taken.
#[test]
fn what_is_signed_wrongly_is_refused_in_each_protocols_words() {
    let aws = Aws::start().unwrap();
    let ask = |client: &Client| {
        let said = match client.service.as_str() {
            "logs" => client.json("Logs_20140328.CreateLogGroup", &json!({ "logGroupName": "g" })),
            "xray" => client.ask("POST", "/TraceSegments", &[], b"{}"),
            "monitoring" => client.form("Action=PutMetricData&Version=2010-08-01&Namespace=a"),
            _ => client.s3("PUT", "/suiro/a", &[], b"x"),
        };
        (said.status, said.code())
    };
    type Change = fn(&mut Client);
    let changes: [(&str, Change); 5] = [
        ("unknown key", |client| client.key = "AKIDNOBODY".to_owned()),
        ("wrong secret", |client| client.secret = "other".to_owned()),
        ("wrong region", |client| client.region = "us-east-1".to_owned()),
        ("clock", |client| client.ahead = -20 * 60),
        ("token", |client| client.token = Some("x".to_owned())),
    ];
    let expected = [
        (
            "logs",
            [400, 400, 400, 400, 400],
            [
                "UnrecognizedClientException",
                "InvalidSignatureException",
                "InvalidSignatureException",
                "InvalidSignatureException",
                "UnrecognizedClientException",
            ],
        ),
        (
            "xray",
            [403, 403, 403, 403, 403],
            [
                "unrecognizedclientexception",
                "invalidsignatureexception",
                "invalidsignatureexception",
                "invalidsignatureexception",
                "unrecognizedclientexception",
            ],
        ),
        (
            "monitoring",
            [403, 403, 403, 403, 403],
            [
                "InvalidClientTokenId",
                "SignatureDoesNotMatch",
                "SignatureDoesNotMatch",
                "SignatureDoesNotMatch",
                "InvalidClientTokenId",
            ],
        ),
        (
            "s3",
            [403, 403, 400, 403, 400],
            [
                "InvalidAccessKeyId",
                "SignatureDoesNotMatch",
                "AuthorizationHeaderMalformed",
                "RequestTimeTooSkewed",
                "InvalidToken",
            ],
        ),
    ];
    for (service, statuses, codes) in expected {
        for ((what, change), (status, code)) in changes.iter().zip(statuses.into_iter().zip(codes)) {
            let mut client = Client::of(&aws, service);
            change(&mut client);
            assert_eq!(ask(&client), (status, code.to_owned()), "{service}: {what}");
        }
    }
    let other = Client { service: "kinesis".to_owned(), ..Client::of(&aws, "logs") };
    let said = other.json("Logs_20140328.CreateLogGroup", &json!({ "logGroupName": "g" }));
    assert!(said.body.contains("Credential should be scoped to correct service: 'logs'"), "{}", said.body);
    let taken = aws.taken();
    assert!(taken.log_groups.is_empty() && taken.objects.is_empty());
    assert_eq!(taken.refusals("PutObject").len(), 5);
}

/// Scenario: requests without a signature, with a header that is not signed, or with a body that is not what was signed.
/// Guarantees: they are refused.
#[test]
fn all_must_be_signed() {
    let aws = Aws::start().unwrap();
    let logs = Client::of(&aws, "logs");
    let bare =
        format!("POST / HTTP/1.1\r\nhost: {}\r\nconnection: close\r\nx-amz-target: Logs_20140328.X\r\n", logs.address);
    assert_eq!(send(&logs.address, &bare, b"").unwrap().code(), "MissingAuthenticationTokenException");
    let loose = Client { unsigned: vec!["x-amz-target"], ..logs.clone() };
    let said = loose.json("Logs_20140328.CreateLogGroup", &json!({ "logGroupName": "g" }));
    assert!(said.body.contains("'x-amz-target' must be a 'SignedHeader'"), "{}", said.body);

    let s3 = Client::of(&aws, "s3");
    let said = s3.ask("PUT", "/suiro/a", &[], b"x");
    assert_eq!((said.status, said.code().as_str()), (400, "InvalidRequest"));
    assert_eq!(s3.ask("PUT", "/suiro/a", &[("x-amz-content-sha256", EMPTY)], b"x").code(), "XAmzContentSHA256Mismatch");
    assert_eq!(s3.ask("PUT", "/suiro/a", &[("x-amz-content-sha256", "UNSIGNED-PAYLOAD")], b"x").status, 200);
    assert_eq!(aws.taken().objects.len(), 1);
}

/// Scenario: the server's clock is ahead of the client's, then a client measures it by `Date`.
/// Guarantees: five minutes are the most; the answer has the server's time.
#[test]
fn clocks_may_differ_by_five_minutes() {
    let aws = Aws::start().unwrap();
    let logs = Client::of(&aws, "logs");
    with_stream(&logs);
    aws.set_clock(290);
    assert_eq!(put(&logs, &[(now(), "a")]).status, 200);
    aws.set_clock(7200);
    let said = put(&logs, &[(now(), "b")]);
    assert!(said.body.contains("Signature expired"), "{}", said.body);
    let date = said.head.lines().find_map(|line| line.strip_prefix("date: ")).unwrap().to_owned();
    let date = jiff::fmt::rfc2822::parse(&date).unwrap().timestamp().as_millisecond();
    assert!((date - now() - 7_200_000).abs() < 30_000, "{date}");
    let ahead = Client { ahead: 7200, ..logs };
    assert_eq!(put(&ahead, &[(now(), "c")]).status, 200);
    aws.set_clock(0);
    assert!(put(&ahead, &[(now(), "d")]).body.contains("Signature not yet current"));
    assert_eq!(aws.taken().log_event_count(), 2);
}

/// Scenario: errors by script, for one action and for all.
/// Guarantees: the action's come first, each in the shape of its protocol.
#[test]
fn faults_are_told_in_each_protocols_shape() {
    let aws = Aws::start().unwrap();
    let (logs, xray, s3) = (Client::of(&aws, "logs"), Client::of(&aws, "xray"), Client::of(&aws, "s3"));
    with_stream(&logs);
    aws.faults_of("PutLogEvents").script([Fault::Busy(None), Fault::Named("ExpiredTokenException".to_owned())]);
    aws.faults().script([Fault::Busy(Some(3)), Fault::Busy(None), Fault::Unavailable(None)]);
    let say = |said: super::Said| (said.status, said.code());
    assert_eq!(say(put(&logs, &[(now(), "a")])), (400, "ThrottlingException".to_owned()));
    let said = xray.ask("POST", "/TraceSegments", &[], b"{}");
    assert!(said.head.contains("retry-after: 3"));
    assert_eq!(say(said), (429, "throttledexception".to_owned()));
    assert_eq!(say(put(&logs, &[(now(), "a")])), (400, "ExpiredTokenException".to_owned()));
    assert_eq!(say(s3.s3("PUT", "/suiro/a", &[], b"x")), (503, "SlowDown".to_owned()));
    assert_eq!(say(put(&logs, &[(now(), "a")])), (503, "ServiceUnavailableException".to_owned()));
    assert_eq!(say(put(&logs, &[(now(), "a")])).0, 200);
    assert_eq!(aws.faults_of("PutLogEvents").seen().len(), 2);
}
