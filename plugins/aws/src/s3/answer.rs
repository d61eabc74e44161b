//! From an answer to what becomes of an object. The table is in the module's documentation.

use suiro_sdk::Outcome;
use suiro_sdk::aws::{self, ServiceError, element};
use suiro_sdk::http::{Answer, excerpt};

/// An answer is read so far.
pub(crate) const ANSWER: usize = 64 << 10;

/// Codes behind a 4xx that another try can mend: damaged on the way; two at once; an upload that is gone, since the answer to
/// its end was lost.
const PASSING: [&str; 6] = [
    "BadDigest",
    "ConditionalRequestConflict",
    "IncompleteBody",
    "NoSuchUpload",
    "XAmzContentChecksumMismatch",
    "XAmzContentSHA256Mismatch",
];

/// `Delivered`, `Retry` or `TooLarge`.
fn outcome(answer: &Answer, bucket: &str) -> Outcome {
    if answer.is_success() {
        return Outcome::Delivered;
    }
    let retry = |why: String, degraded| Outcome::Retry { why, after: answer.retry_after, degraded };
    let ServiceError { code, message } =
        ServiceError::of(answer).unwrap_or_else(|| ServiceError { code: String::new(), message: String::new() });
    let elsewhere = matches!(answer.status.as_u16(), 301 | 307);
    if elsewhere || matches!(code.as_str(), "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") {
        if let Some(region) = region(answer) {
            let why =
                format!("the bucket `{bucket}` is in another region: write region = \"{region}\" ({})", answer.status);
            return retry(why, true);
        }
        if elsewhere {
            let why = format!("{}: the bucket `{bucket}` is elsewhere: mend `region` or `endpoint`", answer.status);
            return retry(why, true);
        }
    }
    let said = format!("{code}: {}", excerpt(message.as_bytes()));
    match code.as_str() {
        "NoSuchBucket" => retry(format!("there is no bucket `{bucket}`: mend `bucket` ({said})"), true),
        code if PASSING.contains(&code) => retry(said, false),
        _ => match aws::judge(answer) {
            Outcome::Refused { detail, .. } if answer.status.as_u16() == 409 => retry(detail, false),
            Outcome::Refused { detail, .. } => retry(detail, true),
            other => other,
        },
    }
}

/// Whether it was taken; otherwise `Retry` or `TooLarge`.
pub(crate) fn taken(answer: &Answer, bucket: &str) -> Result<(), Outcome> {
    match outcome(answer, bucket) {
        Outcome::Delivered => Ok(()),
        other => Err(other),
    }
}

/// The id of the upload that was begun.
pub(crate) fn begun(answer: &Answer, bucket: &str) -> Result<String, Outcome> {
    taken(answer, bucket)?;
    let id = element(&String::from_utf8_lossy(&answer.body), "UploadId");
    id.filter(|id| !id.is_empty() && id.len() <= 4096).ok_or_else(|| lacks(answer, "the id of the upload"))
}

/// The tag of a part, which completing the upload repeats: as it came, in quotes.
pub(crate) fn part_taken(answer: &Answer, bucket: &str) -> Result<String, Outcome> {
    taken(answer, bucket)?;
    let tag = answer.headers.get("etag").and_then(|tag| tag.to_str().ok());
    let tag = tag.filter(|tag| !tag.is_empty() && tag.len() <= 1024 && !tag.contains(['<', '>', '&']));
    tag.map(str::to_owned).ok_or_else(|| lacks(answer, "an ETag"))
}

/// Whether an upload is complete: a 200 is sent before that is known, and the body says it.
pub(crate) fn completed(answer: &Answer, bucket: &str) -> Result<(), Outcome> {
    taken(answer, bucket)?;
    let text = String::from_utf8_lossy(&answer.body);
    if text.contains("<CompleteMultipartUploadResult") {
        return Ok(());
    }
    let Some(code) = quoted(&text, "Code") else { return Err(lacks(answer, "a result")) };
    let message = quoted(&text, "Message").unwrap_or_default();
    let why = format!("{} on completing the upload, then {code}: {message}", answer.status);
    Err(Outcome::Retry { why, after: answer.retry_after, degraded: false })
}

fn lacks(answer: &Answer, what: &str) -> Outcome {
    let why = format!("{} without {what}", answer.status);
    Outcome::Retry { why, after: answer.retry_after, degraded: false }
}

/// The region a bucket is in, if the answer says so.
fn region(answer: &Answer) -> Option<String> {
    let header = answer.headers.get("x-amz-bucket-region").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let region = header.or_else(|| quoted(&String::from_utf8_lossy(&answer.body), "Region"))?;
    let is_one = region.len() <= 64 && region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (is_one && !region.is_empty()).then_some(region)
}

/// What an element says, fit for a message.
fn quoted(text: &str, name: &str) -> Option<String> {
    element(text, name).map(|text| excerpt(text.as_bytes()))
}
