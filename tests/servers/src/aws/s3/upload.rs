//! Uploads in parts.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use super::{checksum, kept, md5};
use crate::aws::credentials::hex;
use crate::aws::error::{Refusal, escape};
use crate::aws::taken::Object;
use crate::aws::{Node, Signed};
use crate::http::{Answer, Head};

const MIN_PART: usize = 5 << 20;
const MAX_PARTS: u32 = 10_000;

/// What is under way, by id.
pub(in crate::aws) type Uploads = BTreeMap<String, Upload>;

#[derive(Clone, Debug)]
pub(in crate::aws) struct Upload {
    bucket: String,
    key: String,
    headers: BTreeMap<String, String>,
    parts: BTreeMap<u32, Part>,
}

#[derive(Clone, Debug)]
struct Part {
    md5: [u8; 16],
    data: Vec<u8>,
}

// === impl Node ===

impl Node {
    /// Calls `work` with the uploads, and tells tests which are open afterwards.
    fn with_uploads<T>(&self, work: impl FnOnce(&mut Uploads) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut uploads);
        self.taken.change(|taken| taken.open_uploads = uploads.keys().cloned().collect());
        result
    }

    pub(super) fn create_upload(&self, bucket: &str, key: &str, head: &Head) -> Answer {
        let id = format!("upload-{:016}", self.next());
        let upload =
            Upload { bucket: bucket.to_owned(), key: key.to_owned(), headers: kept(head), parts: BTreeMap::new() };
        // Nothing in it can fail.
        let _ = self.with_uploads(|uploads| {
            uploads.insert(id.clone(), upload);
            Ok(())
        });
        let inner = format!("<Bucket>{}</Bucket><Key>{}</Key><UploadId>{id}</UploadId>", escape(bucket), escape(key));
        xml("InitiateMultipartUploadResult", &inner)
    }

    pub(super) fn upload_part(&self, bucket: &str, key: &str, signed: &Signed<'_>) -> Result<Answer, Refusal> {
        let (head, body) = (&signed.request.head, &signed.request.body);
        checksum::check(head, body)?;
        let number = head.parameter("partNumber").and_then(|number| number.parse::<u32>().ok());
        let number = number.filter(|number| (1..=MAX_PARTS).contains(number)).ok_or_else(|| {
            Refusal::new("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
        })?;
        let sum = md5(body);
        self.with_uploads(|uploads| {
            let upload = find(uploads, bucket, key, head)?;
            upload.parts.insert(number, Part { md5: sum, data: body.clone() });
            Ok(Answer::empty(200).with("etag", format!("\"{}\"", hex(&sum))))
        })
    }

    pub(super) fn complete_upload(&self, bucket: &str, key: &str, signed: &Signed<'_>) -> Result<Answer, Refusal> {
        let head = &signed.request.head;
        let text = String::from_utf8_lossy(&signed.request.body);
        let malformed = || {
            Refusal::new(
                "MalformedXML",
                "The XML you provided was not well-formed or did not validate against our published schema",
            )
        };
        let listed = parts(&text).filter(|parts| !parts.is_empty()).ok_or_else(malformed)?;
        let etag = self.with_uploads(|uploads| {
            let upload = find(uploads, bucket, key, head)?;
            if !listed.is_sorted_by(|(a, _), (b, _)| a < b) {
                let text = "The list of parts was not in ascending order. Parts must be ordered by part number.";
                return Err(Refusal::new("InvalidPartOrder", text));
            }
            let mut data = Vec::new();
            let mut sums = Vec::new();
            for (at, (number, etag)) in listed.iter().enumerate() {
                let part = upload.parts.get(number).filter(|part| hex(&part.md5) == *etag).ok_or_else(|| {
                    let text = "One or more of the specified parts could not be found.  The part may not have been uploaded, \
                                or the specified entity tag may not match the part's entity tag.";
                    Refusal::new("InvalidPart", text).with_detail("PartNumber", number.to_string())
                })?;
                if part.data.len() < MIN_PART && at + 1 < listed.len() {
                    let text = "Your proposed upload is smaller than the minimum allowed size";
                    return Err(Refusal::new("EntityTooSmall", text).with_detail("PartNumber", number.to_string()));
                }
                data.extend_from_slice(&part.data);
                sums.extend_from_slice(&part.md5);
            }
            let etag = format!("\"{}-{}\"", hex(&md5(&sums)), listed.len());
            let object = Object { data, etag: etag.clone(), headers: upload.headers.clone(), parts: listed.len() };
            self.put(bucket, key, object)?;
            uploads.remove(&head.parameter("uploadId").unwrap_or_default());
            Ok(etag)
        })?;
        let inner =
            format!("<Bucket>{}</Bucket><Key>{}</Key><ETag>{}</ETag>", escape(bucket), escape(key), escape(&etag));
        Ok(xml("CompleteMultipartUploadResult", &inner))
    }

    pub(super) fn abort_upload(&self, bucket: &str, key: &str, head: &Head) -> Result<Answer, Refusal> {
        self.with_uploads(|uploads| {
            find(uploads, bucket, key, head)?;
            uploads.remove(&head.parameter("uploadId").unwrap_or_default());
            Ok(Answer::empty(204))
        })
    }
}

fn find<'a>(uploads: &'a mut Uploads, bucket: &str, key: &str, head: &Head) -> Result<&'a mut Upload, Refusal> {
    let id = head.parameter("uploadId").unwrap_or_default();
    let own = uploads.get_mut(&id).filter(|upload| upload.bucket == bucket && upload.key == key);
    own.ok_or_else(|| {
        let text = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted \
                    or completed.";
        Refusal::new("NoSuchUpload", text).with_detail("UploadId", id)
    })
}

/// Numbers and ETags (without quotes) of the parts that `CompleteMultipartUpload` lists.
fn parts(text: &str) -> Option<Vec<(u32, String)>> {
    let inner = between(text, "<CompleteMultipartUpload", "</CompleteMultipartUpload>")?;
    inner
        .split("<Part>")
        .skip(1)
        .map(|part| {
            let number = between(part, "<PartNumber>", "</PartNumber>")?.trim().parse().ok()?;
            let etag = between(part, "<ETag>", "</ETag>")?.replace("&quot;", "\"").replace("&#34;", "\"");
            Some((number, etag.trim().trim_matches('"').to_owned()))
        })
        .collect()
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    Some(rest.split_once(end)?.0)
}

fn xml(name: &str, inner: &str) -> Answer {
    let space = "http://s3.amazonaws.com/doc/2006-03-01/";
    let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{name} xmlns=\"{space}\">{inner}</{name}>");
    Answer::new(200, "application/xml", body)
}
