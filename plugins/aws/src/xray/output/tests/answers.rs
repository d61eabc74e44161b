//! What is said of single documents.

use serde_json::{Value, json};
use suiro_sdk::http::header::HeaderMap;
use suiro_sdk::http::{Answer, StatusCode};
use suiro_sdk::{Outcome, Reason, Verdict};

use super::super::answer::{Sent, read};
use crate::xray::ids::SegmentId;

fn answer(body: &str) -> Answer {
    Answer {
        status: StatusCode::OK,
        retry_after: None,
        location: None,
        headers: HeaderMap::new(),
        body: body.as_bytes().to_vec(),
        cut: false,
        broken: None,
    }
}

fn id(n: usize) -> String {
    format!("{:016x}", n + 1)
}

/// Documents of these records, each with the id of its place; a negative record has a document without one.
fn sent(records: &[i32]) -> Vec<Sent> {
    let one = |(n, &record): (usize, &i32)| Sent {
        record: record.unsigned_abs() as usize,
        id: (record >= 0).then(|| SegmentId::parse(&id(n)).unwrap()),
    };
    records.iter().enumerate().map(one).collect()
}

fn verdicts(unprocessed: &Value, records: &[i32]) -> Vec<(usize, Verdict)> {
    match read(&answer(&json!({ "UnprocessedTraceSegments": unprocessed }).to_string()), &sent(records)) {
        Outcome::Partial(verdicts) => verdicts,
        Outcome::Delivered => Vec::new(),
        other => panic!("{other:?}"),
    }
}

fn refused(detail: &str) -> Verdict {
    Verdict::Refused { reason: Reason::REJECTED, detail: detail.to_owned() }
}

fn retry(why: &str) -> Verdict {
    Verdict::Retry { why: why.to_owned(), after: None, degraded: false }
}

fn perhaps(rejected: bool, detail: &str) -> Verdict {
    Verdict::Unidentified { rejected, detail: detail.to_owned() }
}

#[test]
fn all_were_taken() {
    for body in ["{}", "{\"UnprocessedTraceSegments\":[]}", "{\"UnprocessedTraceSegments\":null,\"x\":1}"] {
        assert_eq!(read(&answer(body), &sent(&[0, 1])), Outcome::Delivered, "{body}");
    }
}

#[test]
fn what_is_named_is_named() {
    let unprocessed = json!([
        { "Id": id(2), "ErrorCode": "InvalidName", "Message": "Invalid segment.\nErrorCode: InvalidName" },
        { "Id": id(0), "ErrorCode": "ThrottledException", "Message": "slow" },
        { "Id": id(3), "ErrorCode": "InternalFailure" },
        { "Id": id(4), "Message": "hm" },
        { "Id": id(5) },
    ]);
    assert_eq!(
        verdicts(&unprocessed, &[0, 1, 2, 3, 4, 5]),
        [
            (0, retry("ThrottledException: slow")),
            (2, refused("InvalidName: Invalid segment. ErrorCode: InvalidName")),
            (3, retry("InternalFailure")),
            (4, refused("hm")),
            (5, refused("X-Ray did not take it")),
        ]
    );
}

#[test]
fn of_two_documents_the_worse_counts() {
    let one = |n: usize, code: &str| json!({ "Id": id(n), "ErrorCode": code });
    assert_eq!(verdicts(&json!([one(0, "InvalidName")]), &[0, 0, 1]), [(0, refused("InvalidName"))]);
    // What is tried again is tried again with both.
    let both = json!([one(0, "InvalidName"), one(1, "ThrottledException")]);
    assert_eq!(verdicts(&both, &[0, 0, 1]), [(0, retry("ThrottledException"))]);
    let both = json!([one(0, "ThrottledException"), one(1, "InvalidName")]);
    assert_eq!(verdicts(&both, &[0, 0, 1]), [(0, retry("ThrottledException"))]);
}

#[test]
fn documents_of_one_id_one_after_the_other() {
    let twice = Sent { record: 1, ..sent(&[0])[0] };
    let both = [sent(&[0])[0], twice];
    let body = |n: usize| {
        let list: Vec<Value> = (0..n).map(|_| json!({ "Id": id(0), "ErrorCode": "InvalidName" })).collect();
        answer(&json!({ "UnprocessedTraceSegments": list }).to_string())
    };
    let refused = || refused("InvalidName");
    assert_eq!(read(&body(1), &both), Outcome::Partial(vec![(0, refused())]));
    assert_eq!(read(&body(2), &both), Outcome::Partial(vec![(0, refused()), (1, refused())]));
}

#[test]
fn what_has_no_id_is_meant_where_none_is_named() {
    let nameless = json!([{ "ErrorCode": "MissingId" }]);
    // Document 1 shows no id.
    assert_eq!(verdicts(&nameless, &[0, -1, 2]), [(1, refused("MissingId"))]);
    // As many as there are.
    assert_eq!(verdicts(&nameless, &[7]), [(7, refused("MissingId"))]);
    let both = json!([{ "ErrorCode": "MissingId" }, { "Id": id(1), "ErrorCode": "InvalidName" }]);
    assert_eq!(verdicts(&both, &[0, 1]), [(0, refused("MissingId")), (1, refused("InvalidName"))]);
}

#[test]
fn what_nobody_can_tell_is_ambiguous() {
    let nameless = json!([{ "ErrorCode": "MissingId" }, { "Id": "ffffffffffffffff", "ErrorCode": "x" }]);
    assert_eq!(
        verdicts(&nameless, &[0, 1, 2]),
        [(0, perhaps(true, "MissingId")), (1, perhaps(true, "MissingId")), (2, perhaps(false, "MissingId"))]
    );
    // Of what was named, the name holds.
    let mixed = json!([{ "ErrorCode": "MissingId" }, { "Id": id(1), "ErrorCode": "InvalidName" }]);
    assert_eq!(
        verdicts(&mixed, &[0, 1, 2]),
        [(0, perhaps(true, "MissingId")), (1, refused("InvalidName")), (2, perhaps(false, "MissingId"))]
    );
    // Nothing is wrong with any: all of them once more.
    let throttled = json!([{ "ErrorCode": "ThrottledException" }]);
    assert_eq!(verdicts(&throttled, &[0, 1]), [(0, retry("ThrottledException")), (1, retry("ThrottledException"))]);
}

#[test]
fn answers_that_are_none() {
    for (answer, degraded) in [
        (answer("<html>login</html>"), true),
        (answer(""), true),
        (answer("[]"), true),
        (answer("{\"UnprocessedTraceSegments\":7}"), true),
        (Answer { cut: true, ..answer("{}") }, false),
    ] {
        match read(&answer, &sent(&[0])) {
            Outcome::Retry { degraded: is, .. } => assert_eq!(is, degraded, "{answer:?}"),
            other => panic!("{other:?}"),
        }
    }
}
