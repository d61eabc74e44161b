//! S3, as far as writing goes: REST XML, the bucket in the path.
//!
//! - `PutObject`, and uploads in parts: part numbers 1 to 10,000; every part but the last at least 5 MiB, which is looked at
//!   when the upload is completed; the list of parts ascends and names the ETags. Nothing is there before it is completed.
//! - A body has a length (no bare chunks). `Content-MD5` and `x-amz-checksum-*` are checked where given.
//! - `If-None-Match: *` is honoured; `GET` and `HEAD` of an object and `HEAD` of a bucket answer; buckets can be made.
//! - Keys are at most 1,024 bytes. [`Fault::RefuseSome`](crate::Fault::RefuseSome) is `SlowDown`.

mod checksum;
mod upload;

use std::collections::BTreeMap;

pub(super) use checksum::md5;
pub(super) use upload::Uploads;

use super::credentials::hex;
use super::error::Refusal;
use super::signature::decode;
use super::taken::Object;
use super::{Node, Signed};
use crate::http::{Answer, Head};

/// What is kept of the headers of an object.
const KEPT: [&str; 8] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-md5",
    "content-type",
    "expires",
    "if-none-match",
];

// === impl Node ===

impl Node {
    pub(super) fn s3(&self, action: &str, signed: &Signed<'_>) -> Result<Answer, Refusal> {
        let head = &signed.request.head;
        let path = String::from_utf8(decode(head.path.trim_start_matches('/')))
            .map_err(|_| Refusal::new("InvalidURI", "Couldn't parse the specified URI."))?;
        let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
        if action == "CreateBucket" {
            return Err(Refusal::new("NotImplemented", "Buckets are named when the server is started."));
        }
        if !self.options.buckets.iter().any(|known| known == bucket) {
            let refusal = Refusal::new("NoSuchBucket", "The specified bucket does not exist");
            return Err(refusal.with_detail("BucketName", bucket));
        }
        if key.len() > 1024 {
            return Err(Refusal::new("KeyTooLongError", "Your key is too long"));
        }
        if signed.fault.is_some() {
            return Err(Refusal::named("SlowDown"));
        }
        match action {
            "PutObject" => self.put_object(bucket, key, signed),
            "CreateMultipartUpload" => Ok(self.create_upload(bucket, key, head)),
            "UploadPart" => self.upload_part(bucket, key, signed),
            "CompleteMultipartUpload" => self.complete_upload(bucket, key, signed),
            "AbortMultipartUpload" => self.abort_upload(bucket, key, head),
            "HeadBucket" => Ok(Answer::empty(200).with("x-amz-bucket-region", &self.options.region)),
            "GetObject" | "HeadObject" => self.get_object(bucket, key),
            _ => Err(Refusal::new("MethodNotAllowed", "The specified method is not allowed against this resource.")),
        }
    }

    fn put_object(&self, bucket: &str, key: &str, signed: &Signed<'_>) -> Result<Answer, Refusal> {
        let (head, body) = (&signed.request.head, &signed.request.body);
        checksum::check(head, body)?;
        let etag = format!("\"{}\"", hex(&md5(body)));
        let object = Object { data: body.clone(), etag: etag.clone(), headers: kept(head), parts: 0 };
        self.put(bucket, key, object)?;
        Ok(Answer::empty(200).with("etag", etag))
    }

    /// Makes the object be there.
    fn put(&self, bucket: &str, key: &str, object: Object) -> Result<(), Refusal> {
        self.taken.change(|taken| {
            let place = (bucket.to_owned(), key.to_owned());
            let new = object.headers.get("if-none-match").is_some_and(|value| value == "*");
            if new && taken.objects.contains_key(&place) {
                let text = "At least one of the pre-conditions you specified did not hold";
                return Err(Refusal::new("PreconditionFailed", text).with_status(412));
            }
            taken.objects.insert(place, object);
            Ok(())
        })
    }

    fn get_object(&self, bucket: &str, key: &str) -> Result<Answer, Refusal> {
        let taken = self.taken.lock();
        let object = taken.object(bucket, key);
        let object = object.ok_or_else(|| Refusal::new("NoSuchKey", "The specified key does not exist."))?;
        let kind = object.headers.get("content-type").map_or("binary/octet-stream", String::as_str);
        let answer = Answer::new(200, kind, object.data.clone()).with("etag", &object.etag);
        Ok(match object.headers.get("content-encoding") {
            Some(encoding) => answer.with("content-encoding", encoding),
            None => answer,
        })
    }
}

/// What the client says of an object.
fn kept(head: &Head) -> BTreeMap<String, String> {
    let own = |name: &str| {
        let signing = matches!(name, "x-amz-date" | "x-amz-content-sha256" | "x-amz-security-token");
        KEPT.contains(&name) || (name.starts_with("x-amz-") && !signing)
    };
    head.headers().iter().filter(|(name, _)| own(name)).cloned().collect()
}
