//! What becomes of what is answered, by a scripted server, and by one that is as strict as S3.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use suiro_sdk::http::test_kit::{Reply, Server, batch, delivery, setup};
use suiro_sdk::settings::Section;
use suiro_sdk::{Delivery, Outcome, Output, Reason, Verdict};
use suiro_test_servers::{Aws, Fault};

use super::ACCOUNT;
use crate::s3::output;

const TIME: i64 = 1_795_966_212_000_000_000;

fn built(url: &str, text: &str) -> Box<dyn Output> {
    let text = format!("{ACCOUNT}endpoint = '{url}'\nbucket = 'suiro'\ntimeout = '2s'\n{text}");
    let (section, diagnostics) = Section::from_text("[[output]] s3", &text);
    let Ok(mut output) = output::build(&section) else { panic!("{}", diagnostics.render(false)) };
    output.start(&setup()).unwrap();
    output
}

fn three() -> Delivery {
    delivery(vec![batch(&["{\"k\":\"a\"}", "{\"k\":\"b\"}", "{\"k\":\"a\"}"], TIME)])
}

/// 12 MiB that do not compress away.
fn large() -> Delivery {
    let lines: Vec<String> = (0..12).map(|n| format!("{n:02}:{}", "x".repeat((1 << 20) - 4))).collect();
    delivery(vec![batch(&lines, TIME)])
}

/// Settings with which [`large`] takes three parts.
const IN_PARTS: &str = "compression = 'none'\nformat = 'raw'\npart_size = '5MiB'";

fn error(status: u16, code: &str, more: &str) -> Reply {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>no</Message>{more}</Error>"
    );
    Reply::text(status, body)
}

async fn outcome(reply: Reply) -> Outcome {
    let server = Server::start(move |_| reply.clone()).await.unwrap();
    built(&server.url, "").deliver(&three()).await
}

#[tokio::test]
async fn nothing_is_set_aside_for_an_answer() {
    assert_eq!(outcome(Reply::text(200, "")).await, Outcome::Delivered);
    for (reply, degraded, word) in [
        (error(503, "SlowDown", ""), false, "SlowDown"),
        (error(500, "InternalError", ""), false, "InternalError"),
        (error(400, "RequestTimeout", ""), false, "RequestTimeout"),
        (error(400, "BadDigest", ""), false, "BadDigest"),
        (error(400, "XAmzContentSHA256Mismatch", ""), false, "Mismatch"),
        (error(409, "ConditionalRequestConflict", ""), false, "Conflict"),
        (error(409, "Whatever", ""), false, "Whatever"),
        (error(403, "AccessDenied", ""), true, "AccessDenied"),
        (error(404, "NoSuchBucket", ""), true, "mend `bucket`"),
        (error(400, "InvalidStorageClass", ""), true, "InvalidStorageClass"),
        (error(400, "KMS.DisabledException", ""), true, "KMS.Disabled"),
        (error(400, "AuthorizationHeaderMalformed", "<Region>us-west-2</Region>"), true, "region = \"us-west-2\""),
        (error(301, "PermanentRedirect", "").with("x-amz-bucket-region", "eu-west-1"), true, "region = \"eu-west-1\""),
        (error(301, "PermanentRedirect", "<Region>\"; x = \"</Region>"), true, "mend `region`"),
        (Reply::text(404, "<h1>not found</h1>"), true, "404"),
        (Reply::Reset, false, ""),
    ] {
        let got = outcome(reply.clone()).await;
        let Outcome::Retry { why, degraded: is_degraded, .. } = got else { panic!("{reply:?}: {got:?}") };
        assert!(is_degraded == degraded && why.contains(word), "{reply:?}: {why}");
    }
}

#[tokio::test]
async fn the_bucket_is_in_the_path_of_an_endpoint() {
    let server = Server::start(|_| Reply::text(200, "")).await.unwrap();
    let output = built(&server.url, "key = 'a b+{k}/'\nstorage_class = 'STANDARD_IA'\ncompression = 'none'");
    assert_eq!(output.deliver(&three()).await, Outcome::Delivered);
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    for request in requests.iter() {
        assert_eq!(request.method, "PUT");
        assert!(request.target.starts_with("/suiro/a%20b%2B"), "{}", request.target);
        assert_eq!(request.header("content-type"), Some("application/x-ndjson"));
        assert_eq!(request.header("content-encoding"), None);
        let signed = request.header("authorization").unwrap();
        for name in ["x-amz-checksum-crc32c", "x-amz-storage-class", "x-amz-content-sha256"] {
            assert!(request.header(name).is_some() && signed.contains(name), "{name}: {signed}");
        }
        assert!(signed.contains("/eu-central-1/s3/aws4_request"), "{signed}");
    }
}

/// Scenario: a delivery has two keys; the server refuses one of the objects for now.
/// Guarantees: what is in the other is delivered, and just the records of the refused one are tried again.
#[tokio::test]
async fn objects_of_a_delivery_have_their_own_fates() {
    let server = Server::start(|request| match request.target.contains("/b") {
        true => error(503, "SlowDown", ""),
        false => Reply::text(200, ""),
    });
    let server = server.await.unwrap();
    let got = built(&server.url, "key = 'x/{k}'").deliver(&three()).await;
    let Outcome::Partial(verdicts) = got else { panic!("{got:?}") };
    assert!(matches!(&verdicts[..], [(1, Verdict::Retry { degraded: false, .. })]), "{verdicts:?}");
}

/// A server that takes no more than `limit` bytes at once.
async fn narrow(limit: usize) -> Server {
    let reply = move |large| if large { error(413, "EntityTooLarge", "") } else { Reply::text(200, "") };
    Server::start(move |request| reply(request.body.len() > limit)).await.unwrap()
}

/// The objects it took: keys, and their records.
fn taken(server: &Server, limit: usize) -> BTreeMap<String, Vec<String>> {
    let requests = server.requests();
    let small = requests.iter().filter(|request| request.body.len() <= limit);
    small.map(|request| (request.target.clone(), request.text().lines().map(str::to_owned).collect())).collect()
}

/// Scenario: of a delivery with more objects than are written at a time, all but one are larger than the server takes, and
/// one record is by itself.
/// Guarantees: what fits is delivered, each record once; the large record is set aside; nothing is tried again. A second
/// time, the same objects are written.
#[tokio::test]
async fn objects_that_are_too_large_are_cut_in_two() {
    const LIMIT: usize = 250;
    let line =
        |key: &str, n: usize, size: usize| format!("{{\"k\":\"{key}\",\"n\":{n},\"x\":\"{}\"}}", "x".repeat(size));
    let mut lines: Vec<String> = (0..40).map(|n| line(["a", "b", "c", "d", "e"][n % 5], n, 40)).collect();
    lines[7] = line("c", 7, LIMIT);
    lines.push(line("small", 40, 1));
    let records = || delivery(vec![batch(&lines, TIME)]);
    let server = narrow(LIMIT).await;
    let output = built(&server.url, "key = 'x/{k}/'\ncompression = 'none'");
    let got = output.deliver(&records()).await;
    let Outcome::Partial(verdicts) = got else { panic!("{got:?}") };
    assert!(matches!(&verdicts[..], [(7, Verdict::Refused { reason: Reason::TOO_LARGE, .. })]), "{verdicts:?}");
    let objects = taken(&server, LIMIT);
    let mut written: Vec<&String> = objects.values().flatten().collect();
    written.push(&lines[7]);
    written.sort();
    let mut expected: Vec<&String> = lines.iter().collect();
    expected.sort();
    assert_eq!(written, expected);
    assert!(objects.values().all(|lines| !lines.is_empty()) && objects.len() > 10, "{objects:?}");
    output.deliver(&records()).await;
    assert_eq!(taken(&server, LIMIT), objects);
}

/// The only record of a delivery is the driver's to set aside.
#[tokio::test]
async fn a_record_that_is_too_large_by_itself_is_no_ones_to_retry() {
    let server = narrow(10).await;
    let output = built(&server.url, "compression = 'none'");
    let got = output.deliver(&delivery(vec![batch(&["{\"k\":\"aaaaaaaa\"}"], TIME)])).await;
    assert_eq!((got, server.requests().len()), (Outcome::TooLarge, 1));
}

#[tokio::test]
async fn a_large_object_goes_in_parts_and_is_one() {
    let aws = Aws::start().unwrap();
    let output = built(&aws.url(), IN_PARTS);
    assert_eq!(output.deliver(&large()).await, Outcome::Delivered);
    // Tried again, as after an answer that was lost: the same object.
    assert_eq!(output.deliver(&large()).await, Outcome::Delivered);
    let taken = aws.taken();
    assert_eq!(taken.objects.len(), 1);
    let ((bucket, key), object) = taken.objects.iter().next().unwrap();
    assert!(bucket == "suiro" && key.starts_with("suiro/2026/11/29/15/") && key.ends_with(".log"), "{key}");
    assert_eq!((object.parts, object.data.len()), (3, 12 << 20));
    let text = String::from_utf8(object.data.clone()).unwrap();
    let heads: Vec<String> = text.lines().map(|line| line.split(':').next().unwrap().to_owned()).collect();
    assert!(heads.iter().map(|head| head.parse::<usize>().unwrap()).eq(0..12), "{heads:?}");
    assert_eq!(taken.open_uploads.len(), 0);
    assert_eq!(object.headers.get("content-type").map(String::as_str), Some("text/plain; charset=utf-8"));
}

/// Scenario: records end elsewhere than parts, and one of them is larger than two parts.
/// Guarantees: all parts but the last have exactly the size that is set, as R2 wants it; together they are the object.
#[tokio::test]
async fn parts_are_of_one_length() {
    let server = Server::start(|request| match request.method.as_str() {
        "POST" if request.target.ends_with("?uploads") => Reply::text(200, "<R><UploadId>u</UploadId></R>"),
        "POST" => Reply::text(200, "<CompleteMultipartUploadResult/>"),
        _ => Reply::text(200, "").with("ETag", "\"x\""),
    });
    let server = server.await.unwrap();
    let lines: Vec<String> = [3, 3, 11, 3, 1].iter().map(|size| "x".repeat(size * 1_000_000)).collect();
    assert_eq!(built(&server.url, IN_PARTS).deliver(&delivery(vec![batch(&lines, TIME)])).await, Outcome::Delivered);
    let parts: Vec<Vec<u8>> = server
        .requests()
        .iter()
        .filter(|request| request.method == "PUT")
        .map(|request| request.body.clone())
        .collect();
    let sizes: Vec<usize> = parts.iter().map(Vec::len).collect();
    assert_eq!(sizes, [5 << 20, 5 << 20, 5 << 20, 5 << 20, 21_000_005 - (20 << 20)]);
    assert_eq!(String::from_utf8(parts.concat()).unwrap().lines().collect::<Vec<_>>(), lines);
}

/// Scenario: requests of an upload fail, each in turn, in ways that a second one mends.
/// Guarantees: the object is written, and no upload is left behind.
#[tokio::test]
async fn what_fails_once_is_sent_again() {
    for action in ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"] {
        for fault in [Fault::Busy(None), Fault::Status(500, String::new()), Fault::ResetMidBody, Fault::ResetMidAnswer]
        {
            // A lost answer to the first: S3 has begun an upload that nobody knows of. That is for its lifecycle rules.
            let orphan = action == "CreateMultipartUpload" && fault == Fault::ResetMidAnswer;
            // A lost answer to the last: what of it came may say it all, else nobody knows what became of the upload.
            let unknown = action == "CompleteMultipartUpload" && fault == Fault::ResetMidAnswer;
            let aws = Aws::start().unwrap();
            aws.faults_of(action).script([fault.clone()]);
            let output = built(&aws.url(), IN_PARTS);
            let got = output.deliver(&large()).await;
            if unknown && matches!(got, Outcome::Retry { .. }) {
                assert_eq!(output.deliver(&large()).await, Outcome::Delivered);
            } else {
                assert_eq!(got, Outcome::Delivered, "{action}, {fault:?}");
            }
            let taken = aws.taken();
            assert_eq!(taken.objects.len(), 1);
            assert_eq!(taken.open_uploads.len(), usize::from(orphan), "{action}, {fault:?}");
        }
    }
}

/// Scenario: a part is refused for good, or again and again.
/// Guarantees: the delivery is to be tried again, nothing is there of it, and the upload was given up.
#[tokio::test]
async fn an_upload_that_fails_is_given_up() {
    for (fault, degraded) in [(Fault::Named("AccessDenied".to_owned()), true), (Fault::Unavailable(None), false)] {
        let aws = Aws::start().unwrap();
        aws.faults_of("UploadPart").always(fault.clone());
        let output = built(&aws.url(), IN_PARTS);
        let got = output.deliver(&large()).await;
        assert!(
            matches!(got, Outcome::Retry { degraded: is_degraded, .. } if is_degraded == degraded),
            "{fault:?}: {got:?}"
        );
        assert_eq!((aws.taken().objects.len(), aws.taken().open_uploads.len()), (0, 0));
        aws.faults_of("UploadPart").heal();
        assert_eq!(output.deliver(&large()).await, Outcome::Delivered);
    }
}

/// Scenario: the agent ends while an upload is under way.
/// Guarantees: closing the output gives it up.
#[tokio::test]
async fn an_upload_the_agent_leaves_is_given_up() {
    let aws = Aws::start().unwrap();
    let parts = aws.faults_of("UploadPart");
    parts.always(Fault::Hang);
    let output = built(&aws.url(), IN_PARTS);
    let large = large();
    {
        let mut sending = output.deliver(&large);
        let a_part_is_under_way = async {
            while parts.seen().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            got = &mut sending => panic!("{got:?}"),
            () = a_part_is_under_way => {}
        }
    }
    assert_eq!(aws.taken().open_uploads.len(), 1);
    output.close().await;
    assert_eq!((aws.taken().open_uploads.len(), aws.taken().objects.len()), (0, 0));
}

/// Scenario: S3 says 200 to completing, and then that it failed.
/// Guarantees: it is asked again; if it stays so the upload is given up, and the delivery is tried again.
#[tokio::test]
async fn completing_can_fail_behind_a_200() {
    for (times, expected) in [(1, true), (9, false)] {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let server = Server::start(move |request| match (request.method.as_str(), request.target.split_once('?')) {
            ("POST", Some((_, "uploads"))) => Reply::text(200, "<R><UploadId>a/b&amp;c</UploadId></R>"),
            ("PUT", Some((_, query))) => {
                assert!(query.starts_with("partNumber=") && query.ends_with("&uploadId=a%2Fb%26c"), "{query}");
                Reply::text(200, "").with("ETag", "\"x\"")
            }
            ("POST", Some(_)) if count.fetch_add(1, Ordering::Relaxed) < times => error(200, "InternalError", ""),
            ("POST", Some(_)) => {
                let text = request.text();
                assert!(text.contains("<PartNumber>3</PartNumber><ETag>\"x\"</ETag><ChecksumCRC32C>"), "{text}");
                Reply::text(200, "  \n<CompleteMultipartUploadResult xmlns=\"x\"></CompleteMultipartUploadResult>")
            }
            ("DELETE", Some(_)) => Reply::text(204, ""),
            _ => Reply::text(400, ""),
        });
        let server = server.await.unwrap();
        let got = built(&server.url, IN_PARTS).deliver(&large()).await;
        let given_up = server.requests().iter().filter(|request| request.method == "DELETE").count();
        if expected {
            assert_eq!((got, given_up), (Outcome::Delivered, 0));
        } else {
            let Outcome::Retry { why, degraded: false, .. } = got else { panic!("{got:?}") };
            assert!(why.contains("InternalError"), "{why}");
            assert_eq!((given_up, asked.load(Ordering::Relaxed)), (1, 3));
        }
    }
}

#[tokio::test]
async fn a_record_without_a_key_is_set_aside() {
    let aws = Aws::start().unwrap();
    let records = delivery(vec![batch(&["{\"k\":\"a\"}", "{}"], TIME)]);
    let got = built(&aws.url(), "key = 'x/{k}/'").deliver(&records).await;
    let Outcome::Partial(verdicts) = got else { panic!("{got:?}") };
    assert!(matches!(&verdicts[..], [(1, Verdict::Refused { reason: Reason::MISSING_FIELD, .. })]), "{verdicts:?}");
    assert_eq!(aws.taken().objects.len(), 1);
}
