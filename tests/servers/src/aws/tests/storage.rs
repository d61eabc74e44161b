//! S3.

use super::{Client, between};
use crate::Aws;

/// Scenario: objects by a single request: keys that need encoding, checksums right and wrong, no bucket.
/// Guarantees: what is there is what was sent, under the key that was meant.
#[test]
fn objects_are_what_was_sent() {
    let aws = Aws::start().unwrap();
    let s3 = Client::of(&aws, "s3");
    let headers = [
        ("content-md5", "XUFAKrxLKna5cZ2REBfFkg=="),
        ("content-encoding", "gzip"),
        ("x-amz-checksum-crc32", "NhCmhg=="),
    ];
    let said = s3.s3("PUT", "/suiro/a%20b/%C3%BC%2B%3D1.gz", &headers, b"hello");
    assert_eq!(
        (said.status, said.head.contains("etag: \"5d41402abc4b2a76b9719d911017c592\"")),
        (200, true),
        "{said:?}"
    );
    for header in [("content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="), ("x-amz-checksum-crc32c", "AAAAAA==")] {
        assert_eq!(s3.s3("PUT", "/suiro/b", &[header], b"hello").code(), "BadDigest");
    }
    let said = s3.s3("PUT", "/none/b", &[], b"hello");
    assert_eq!((said.status, said.code().as_str()), (404, "NoSuchBucket"));
    assert_eq!(s3.s3("PUT", "/suiro/a%20b/%C3%BC%2B%3D1.gz", &[("if-none-match", "*")], b"x").status, 412);
    assert_eq!(s3.s3("GET", "/suiro/a%20b/%C3%BC%2B%3D1.gz", &[], b"").body, "hello");
    let taken = aws.taken();
    assert_eq!(taken.objects_of("suiro").into_keys().collect::<Vec<_>>(), ["a b/ü+=1.gz"]);
    assert_eq!(taken.object("suiro", "a b/ü+=1.gz").unwrap().headers["content-encoding"], "gzip");
}

/// Scenario: uploads in parts: completed, aborted, with a small part, in the wrong order.
/// Guarantees: an object is there as soon as it is completed, and not before.
#[test]
fn parts_become_an_object_when_completed() {
    let aws = Aws::start().unwrap();
    let s3 = Client::of(&aws, "s3");
    let begin = || between(&s3.s3("POST", "/suiro/k?uploads", &[], b"").body, "<UploadId>", "</UploadId>").to_owned();
    let part = |id: &str, number: u32, size: usize| {
        let said = s3.s3("PUT", &format!("/suiro/k?partNumber={number}&uploadId={id}"), &[], &vec![b'x'; size]);
        assert_eq!(said.status, 200, "{said:?}");
        between(&said.head, "etag: ", "\r\n").to_owned()
    };
    let complete = |id: &str, parts: &[(u32, String)]| {
        let parts: Vec<String> = parts
            .iter()
            .map(|(number, etag)| format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"))
            .collect();
        let body = format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", parts.concat());
        s3.s3("POST", &format!("/suiro/k?uploadId={id}"), &[], body.as_bytes())
    };
    let id = begin();
    let parts = [(1, part(&id, 1, 5 << 20)), (2, part(&id, 2, 3))];
    assert_eq!(aws.taken().open_uploads.len(), 1);
    assert!(aws.taken().objects.is_empty());
    assert_eq!(complete(&id, &[parts[1].clone(), parts[0].clone()]).code(), "InvalidPartOrder");
    assert_eq!(complete(&id, &[(1, "\"x\"".to_owned())]).code(), "InvalidPart");
    assert_eq!(complete(&id, &parts).status, 200);
    assert_eq!(complete(&id, &parts).code(), "NoSuchUpload");
    let taken = aws.taken();
    let object = taken.object("suiro", "k").unwrap();
    assert_eq!((object.data.len(), object.parts, taken.open_uploads.len()), ((5 << 20) + 3, 2, 0));

    let id = begin();
    let parts = [(1, part(&id, 1, (5 << 20) - 1)), (2, part(&id, 2, 3))];
    assert_eq!(complete(&id, &parts).code(), "EntityTooSmall");
    assert_eq!(s3.s3("DELETE", &format!("/suiro/k?uploadId={id}"), &[], b"").status, 204);
    assert_eq!(aws.taken().open_uploads.len(), 0);
}
