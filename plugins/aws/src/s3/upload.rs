//! Sending an object: at once, or in parts.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream::{self, StreamExt as _};
use suiro_sdk::Outcome;
use suiro_sdk::aws::{AccountError, Call, Caller, Method};
use suiro_sdk::http::header::{HeaderName, HeaderValue};
use suiro_sdk::http::{Answer, Buffer, Failure};

use super::answer::{self, ANSWER};
use super::body::Body;
use super::key::push_encoded;
use super::plan::Object;
use super::settings::{Header, Settings};

/// How often a request of an upload is sent before the upload is given up.
const ATTEMPTS: u32 = 3;
/// Before the second; twice as long before the third.
const WAIT: Duration = Duration::from_millis(200);
/// How long giving up what is open may take at the end.
const FAREWELL: Duration = Duration::from_secs(3);
/// Uploads that are remembered to be given up at the end. More are left to the bucket's lifecycle rules.
const MAX_OPEN: usize = 64;

/// A bucket, and how to speak to it.
#[derive(Debug)]
pub(crate) struct Bucket {
    settings: Settings,
    /// The output's, which keys are made of.
    name: Arc<str>,
    /// For the bucket in the path.
    caller: Caller,
    /// For the bucket in the host's name.
    hosted: Caller,
    /// Which of them it is; settled when the endpoint is known.
    in_host: Cell<bool>,
    /// Uploads neither completed nor given up: the path, and the id.
    open: RefCell<Vec<Upload>>,
}

/// An upload in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Upload {
    path: String,
    /// Encoded for a query.
    id: String,
}

/// A part that is there.
struct Part {
    etag: String,
    /// In base64.
    checksum: Option<String>,
}

/// A request of an upload.
struct Step<'a> {
    method: Method,
    path: &'a str,
    content_type: &'static str,
    headers: &'a [Header],
    body: &'a [u8],
}

// === impl Bucket ===

impl Bucket {
    pub(crate) fn new(settings: Settings, name: Arc<str>, caller: Caller) -> Self {
        let hosted = caller.with_host_prefix(&settings.bucket);
        Bucket { settings, name, caller, hosted, in_host: Cell::new(false), open: RefCell::default() }
    }

    fn caller(&self) -> &Caller {
        if self.in_host.get() { &self.hosted } else { &self.caller }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Writes an object. `Delivered`, `Retry` or `TooLarge`.
    pub(crate) async fn store(&self, object: &Object<'_>) -> Outcome {
        match self.try_store(object).await {
            Ok(()) => Outcome::Delivered,
            Err(outcome) => outcome,
        }
    }

    async fn try_store(&self, object: &Object<'_>) -> Result<(), Outcome> {
        let path = self.path(&object.key(&self.settings, &self.name)).await?;
        let mut body = Body::new(&self.settings, object).map_err(unwritable)?;
        let mut first = self.caller().buffer();
        if body.fill(&mut first.bytes, self.settings.part_size).map_err(unwritable)? {
            self.put(&path, first).await
        } else {
            self.put_in_parts(path, body, first).await
        }
    }

    /// An object at once. Who tries it again is the driver.
    async fn put(&self, path: &str, body: Buffer) -> Result<(), Outcome> {
        let mut headers = self.settings.headers.clone();
        headers.extend(self.checksum(body.body()).map(checksum_header));
        let call = Call {
            method: Method::PUT,
            path,
            target: None,
            content_type: self.settings.content_type(),
            headers: &headers,
            body,
            limit: ANSWER,
        };
        let answer = self.caller().call(call).await.map_err(Failure::into_outcome)?;
        answer::taken(&answer, &self.settings.bucket)
    }

    async fn put_in_parts(&self, path: String, mut body: Body<'_>, mut part: Buffer) -> Result<(), Outcome> {
        let upload = self.begin(path).await?;
        let mut parts = Vec::new();
        let mut last = false;
        let sent = loop {
            match self.put_part(&upload, parts.len() + 1, part.body()).await {
                Ok(put) => parts.push(put),
                Err(outcome) => break Err(outcome),
            }
            if last {
                break Ok(());
            }
            part.bytes.clear();
            match body.fill(&mut part.bytes, self.settings.part_size) {
                Ok(done) => last = done,
                Err(error) => break Err(unwritable(error)),
            }
        };
        drop((body, part));
        let outcome = match sent {
            Ok(()) => self.complete(&upload, &parts).await,
            Err(outcome) => Err(outcome),
        };
        match outcome {
            Ok(()) => self.forget(&upload),
            Err(_) => self.give_up(&upload).await,
        }
        outcome
    }

    async fn begin(&self, path: String) -> Result<Upload, Outcome> {
        let mut headers = self.settings.headers.clone();
        if self.settings.checksum {
            let name = HeaderName::from_static("x-amz-checksum-algorithm");
            headers.push((name, HeaderValue::from_static("CRC32C")));
        }
        let step = Step {
            method: Method::POST,
            path: &format!("{path}?uploads"),
            content_type: self.settings.content_type(),
            headers: &headers,
            body: &[],
        };
        let id = self.persist(step, answer::begun).await?;
        let mut upload = Upload { path, id: String::with_capacity(id.len()) };
        push_encoded(&id, true, &mut upload.id);
        let mut open = self.open.borrow_mut();
        if open.len() < MAX_OPEN {
            open.push(upload.clone());
        }
        Ok(upload)
    }

    async fn put_part(&self, upload: &Upload, number: usize, body: &[u8]) -> Result<Part, Outcome> {
        let checksum = self.checksum(body);
        let headers: Vec<Header> = checksum.clone().map(checksum_header).into_iter().collect();
        let step = Step {
            method: Method::PUT,
            path: &format!("{}?partNumber={number}&uploadId={}", upload.path, upload.id),
            content_type: "application/octet-stream",
            headers: &headers,
            body,
        };
        let etag = self.persist(step, answer::part_taken).await?;
        Ok(Part { etag, checksum })
    }

    async fn complete(&self, upload: &Upload, parts: &[Part]) -> Result<(), Outcome> {
        let mut list = String::from("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
        for (number, Part { etag, checksum }) in (1..).zip(parts) {
            let _ = write!(list, "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag>");
            if let Some(checksum) = checksum {
                let _ = write!(list, "<ChecksumCRC32C>{checksum}</ChecksumCRC32C>");
            }
            list.push_str("</Part>");
        }
        list.push_str("</CompleteMultipartUpload>");
        let step = Step {
            method: Method::POST,
            path: &format!("{}?uploadId={}", upload.path, upload.id),
            content_type: "application/xml",
            headers: &[],
            body: list.as_bytes(),
        };
        self.persist(step, answer::completed).await
    }

    /// Gives an upload up, so that nobody pays for its parts.
    async fn give_up(&self, upload: &Upload) {
        let call = Call {
            method: Method::DELETE,
            path: &format!("{}?uploadId={}", upload.path, upload.id),
            target: None,
            content_type: "application/xml",
            headers: &[],
            body: self.caller().buffer(),
            limit: ANSWER,
        };
        // 404: it is gone already, perhaps since it was completed after all.
        let why = match self.caller().call(call).await {
            Ok(answer) if answer.is_success() || answer.status.as_u16() == 404 => return self.forget(upload),
            Ok(answer) => answer.summary(),
            Err(failure) => failure.to_string(),
        };
        tracing::warn!(
            output = %self.name,
            "an upload in parts could not be given up, and its parts stay in the bucket `{}`, unseen and paid for: {why}; a \
             lifecycle rule with AbortIncompleteMultipartUpload removes such",
            self.settings.bucket
        );
    }

    /// Gives up what is still open: the agent ends.
    pub(crate) async fn close(&self) {
        let open = std::mem::take(&mut *self.open.borrow_mut());
        let given_up = stream::iter(&open).for_each_concurrent(None, |upload| self.give_up(upload));
        // Who stops the agent does not wait for a bucket that does not answer.
        if tokio::time::timeout(FAREWELL, given_up).await.is_err() {
            tracing::warn!(output = %self.name, "{} uploads in parts may stay in the bucket", open.len());
        }
    }

    fn forget(&self, upload: &Upload) {
        self.open.borrow_mut().retain(|open| open != upload);
    }

    /// Sends a request, and again while another try can mend it.
    async fn persist<T>(&self, step: Step<'_>, judge: fn(&Answer, &str) -> Result<T, Outcome>) -> Result<T, Outcome> {
        let Step { method, path, content_type, headers, body } = step;
        let mut attempt = 1;
        loop {
            let mut copy = self.caller().buffer();
            copy.bytes.extend_from_slice(body);
            let method = method.clone();
            let call = Call { method, path, target: None, content_type, headers, body: copy, limit: ANSWER };
            let judged = match self.caller().call(call).await {
                Ok(answer) => judge(&answer, &self.settings.bucket),
                Err(failure) => Err(failure.into_outcome()),
            };
            match judged {
                Err(Outcome::Retry { after: None, degraded: false, why }) if attempt < ATTEMPTS => {
                    tracing::debug!(output = %self.name, attempt, "a request of an upload in parts is sent again: {why}");
                    tokio::time::sleep(WAIT * attempt).await;
                    attempt += 1;
                }
                judged => return judged,
            }
        }
    }

    /// CRC-32C as S3 wants it, where it does.
    fn checksum(&self, bytes: &[u8]) -> Option<String> {
        self.settings.checksum.then(|| STANDARD.encode(crc32c::crc32c(bytes).to_be_bytes()))
    }

    /// The path of an object's URL: the bucket is in front where it is not in the host's name.
    async fn path(&self, key: &str) -> Result<String, Outcome> {
        let Settings { bucket, path_style, account, .. } = &self.settings;
        self.in_host.set(match path_style {
            Some(in_path) => !in_path,
            None if account.endpoint.is_some() || !self.settings.is_host_name() => false,
            None => self.caller.takes_host_prefix().await.map_err(AccountError::into_outcome)?,
        });
        let mut path = String::with_capacity(key.len() + 64);
        path.push('/');
        if !self.in_host.get() {
            path.push_str(bucket);
            path.push('/');
        }
        push_encoded(key, false, &mut path);
        Ok(path)
    }
}

fn checksum_header(checksum: String) -> Header {
    // Base64 is fit for a header.
    let value = HeaderValue::from_str(&checksum).unwrap_or_else(|_| HeaderValue::from_static(""));
    (HeaderName::from_static("x-amz-checksum-crc32c"), value)
}

/// Only for lack of memory.
fn unwritable(error: std::io::Error) -> Outcome {
    Outcome::Retry { why: format!("the object can't be compressed: {error}"), after: None, degraded: false }
}
