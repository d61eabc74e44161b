//! The server that stands for AWS in the other tests (`tests/servers`), asked by Amazon's own SDK for Python: it takes the SDK's
//! signatures, its encodings and its checksums, and what it refuses the SDK reads as the error it is.

use serde_json::json;
use suiro_test_servers::Aws;

use super::{aws, server};

/// Scenario: boto3 writes events, segments, records and objects, signed with right and wrong keys.
/// Guarantees: what is right is taken; each error has the status and the code that the SDK knows it by.
#[test]
fn amazons_sdk_takes_the_test_server_for_amazons() {
    let Some(python) = server::python() else { return };
    let aws = Aws::start().expect("a server");
    let facts = aws::ask(python, "facts", &aws.url(), &[]);
    let codes = json!({
        "no group": [400, "ResourceNotFoundException"],
        "order": [400, "InvalidParameterException"],
        "logs secret": [400, "InvalidSignatureException"],
        "logs key": [400, "UnrecognizedClientException"],
        "s3 secret": [403, "SignatureDoesNotMatch"],
        "s3 key": [403, "InvalidAccessKeyId"],
        "sts secret": [403, "SignatureDoesNotMatch"],
        "sts key": [403, "InvalidClientTokenId"],
        "xray secret": [403, "InvalidSignatureException"],
        "xray key": [403, "UnrecognizedClientException"],
        "no stream": [400, "ResourceNotFoundException"],
        "501 records": [400, "ValidationException"],
        "no bucket": [404, "NoSuchBucket"],
        "small part": [400, "EntityTooSmall"],
    });
    assert_eq!(facts["codes"], codes);
    assert_eq!(facts["rejected"], json!({ "tooNewLogEventStartIndex": 1 }));
    assert_eq!((&facts["groups"], &facts["rules"]), (&json!(["facts"]), &json!(["Default"])));
    let unprocessed = json!([
        { "Id": "0123456789abcdef", "ErrorCode": "MissingEndTime", "Message": "Invalid segment. ErrorCode: MissingEndTime" },
        { "ErrorCode": "MissingId", "Message": "Invalid segment. ErrorCode: MissingId" },
    ]);
    assert_eq!(facts["unprocessed"], unprocessed);
    assert_eq!((&facts["kinesis"], &facts["firehose"]), (&json!([0, 2]), &json!(0)));
    assert_eq!(facts["etag"], "\"5d41402abc4b2a76b9719d911017c592\"");
    let taken = aws.taken();
    let messages: Vec<&str> = taken.log_events("facts", "s").iter().map(|event| event.message.as_str()).collect();
    assert_eq!(messages, ["ü", "ü"]);
    let keys: Vec<&str> = taken.objects_of("suiro").into_keys().collect();
    assert_eq!((keys, taken.open_uploads.len()), (vec!["a b/ü+=&?.txt", "large"], 0));
    assert_eq!((taken.segment_count, taken.record_count), (1, 3));
}
