//! The settings of the `s3` output.

use suiro_sdk::aws::{AccountSettings, client_settings};
use suiro_sdk::compress::Compression;
use suiro_sdk::http::ClientSettings;
use suiro_sdk::http::header::{CONTENT_ENCODING, HeaderName, HeaderValue};
use suiro_sdk::lang::Destination;
use suiro_sdk::settings::{ByteSize, Reported, Section};

use super::key;
use crate::format::Format;

/// A header that is signed.
pub(crate) type Header = (HeaderName, HeaderValue);

/// The settings.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Its name.
    pub(crate) bucket: String,
    /// What keys begin with.
    pub(crate) key: Destination,
    /// What a record looks like.
    pub(crate) format: Format,
    /// Of objects.
    pub(crate) compression: Compression,
    /// A larger object goes in parts of this size. Bytes.
    pub(crate) part_size: usize,
    /// `None`: as the endpoint wants.
    pub(crate) path_style: Option<bool>,
    /// Whether CRC-32C goes with what is sent.
    pub(crate) checksum: bool,
    /// What an object is made with: class, encryption, tags.
    pub(crate) headers: Vec<Header>,
    /// Who signs.
    pub(crate) account: AccountSettings,
    /// How requests go.
    pub(crate) client: ClientSettings,
}

const DEFAULT_KEY: &str = "suiro/{@time:%Y/%m/%d/%H}/";

const STORAGE_CLASSES: [(&str, &str); 9] = [
    ("STANDARD", "STANDARD"),
    ("STANDARD_IA", "STANDARD_IA"),
    ("ONEZONE_IA", "ONEZONE_IA"),
    ("INTELLIGENT_TIERING", "INTELLIGENT_TIERING"),
    ("GLACIER_IR", "GLACIER_IR"),
    ("GLACIER", "GLACIER"),
    ("DEEP_ARCHIVE", "DEEP_ARCHIVE"),
    ("REDUCED_REDUNDANCY", "REDUCED_REDUNDANCY"),
    ("EXPRESS_ONEZONE", "EXPRESS_ONEZONE"),
];

const ENCRYPTIONS: [(&str, &str); 3] = [("AES256", "AES256"), ("aws:kms", "aws:kms"), ("aws:kms:dsse", "aws:kms:dsse")];

const ACLS: [(&str, &str); 7] = [
    ("private", "private"),
    ("public-read", "public-read"),
    ("public-read-write", "public-read-write"),
    ("authenticated-read", "authenticated-read"),
    ("aws-exec-read", "aws-exec-read"),
    ("bucket-owner-read", "bucket-owner-read"),
    ("bucket-owner-full-control", "bucket-owner-full-control"),
];

/// Tags of an object, at most.
const MAX_TAGS: usize = 10;

// === impl Settings ===

impl Settings {
    /// Reads them.
    pub(crate) fn read(settings: &Section) -> Result<Settings, Reported> {
        let bucket = read_bucket(settings);
        let key = match settings.value("key") {
            Some(value) => Destination::read_checked(&value, key::check),
            None => Destination::parse(DEFAULT_KEY).map_err(|error| settings.error(error.message, "")),
        };
        let formats = [("json_lines", Format::Json), ("raw", Format::Raw), ("full", Format::Full)];
        let format = settings.choice("format", &formats).unwrap_or_default();
        let compression = match settings.has("compression") {
            true => Compression::read_with_zstd(settings),
            false => Compression::Gzip,
        };
        let part_size = settings.within("part_size", ByteSize::mib(5)..=ByteSize::mib(256)).unwrap_or(ByteSize::mib(8));
        let path_style = settings.get("path_style");
        let checksum = settings.choice("checksum", &[("crc32c", true), ("none", false)]).unwrap_or(true);
        let headers = read_headers(settings, compression);
        let account = AccountSettings::read(settings);
        let client = client_settings(settings, false);
        settings.finish()?;
        Ok(Settings {
            bucket: bucket?,
            key: key?,
            format,
            compression,
            part_size: part_size.as_usize(),
            path_style,
            checksum,
            headers: headers?,
            account: account?,
            client: client?,
        })
    }

    /// Of objects' bytes, once they are uncompressed.
    pub(crate) fn content_type(&self) -> &'static str {
        match self.format {
            Format::Json | Format::Full => "application/x-ndjson",
            Format::Raw => "text/plain; charset=utf-8",
        }
    }

    /// The end of their keys, that of the compression left out.
    pub(crate) fn suffix(&self) -> &'static str {
        match self.format {
            Format::Json | Format::Full => ".jsonl",
            Format::Raw => ".log",
        }
    }

    /// Whether the bucket can be part of a host's name: with a dot in it, no certificate is made out for that.
    pub(crate) fn is_host_name(&self) -> bool {
        let label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        self.bucket.len() <= 63 && self.bucket.bytes().all(label)
    }
}

/// A name, the older ones of us-east-1 included.
fn read_bucket(settings: &Section) -> Result<String, Reported> {
    let bucket = settings.require::<String>("bucket", "\"my-logs\"")?;
    let named = bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    if named && (3..=255).contains(&bucket.len()) && !bucket.contains("..") {
        return Ok(bucket);
    }
    let help = match bucket.starts_with("arn:") {
        true => "for an access point, write its alias, which looks like a bucket's name",
        false => "a name has 3 to 63 lower case letters, digits, `.` and `-`; what keys begin with goes into `key`",
    };
    Err(settings.error_at("bucket", format!("`{bucket}` can't be the name of a bucket"), help))
}

/// What objects are made with.
fn read_headers(settings: &Section, compression: Compression) -> Result<Vec<Header>, Reported> {
    let mut headers = Vec::new();
    let mut put = |name: &'static str, value: &'static str| {
        headers.push((HeaderName::from_static(name), HeaderValue::from_static(value)));
    };
    if let Some(class) = settings.choice("storage_class", &STORAGE_CLASSES) {
        put("x-amz-storage-class", class);
    }
    let encryption = settings.choice("server_side_encryption", &ENCRYPTIONS);
    if let Some(encryption) = encryption {
        put("x-amz-server-side-encryption", encryption);
    }
    if let Some(acl) = settings.choice("acl", &ACLS) {
        put("x-amz-acl", acl);
    }
    if let Some(encoding) = compression.content_encoding() {
        headers.push((CONTENT_ENCODING, HeaderValue::from_static(encoding)));
    }
    if let Some(key) = settings.get::<String>("kms_key_id") {
        if !encryption.is_some_and(|encryption| encryption.starts_with("aws:kms")) {
            let help = "add: server_side_encryption = \"aws:kms\"";
            return Err(settings.error_at(
                "kms_key_id",
                "`kms_key_id` is set, but objects are not encrypted with KMS",
                help,
            ));
        }
        let Ok(value) = HeaderValue::from_str(&key) else {
            let help = "write its id, its ARN, or its alias as \"alias/NAME\"";
            return Err(settings.error_at("kms_key_id", "this can't be the name of a key of KMS", help));
        };
        headers.push((HeaderName::from_static("x-amz-server-side-encryption-aws-kms-key-id"), value));
    }
    if let Some(tags) = read_tags(settings)? {
        headers.push((HeaderName::from_static("x-amz-tagging"), tags));
    }
    Ok(headers)
}

/// As a query has them.
fn read_tags(settings: &Section) -> Result<Option<HeaderValue>, Reported> {
    let tags = settings.map::<String>("tags");
    if tags.is_empty() {
        return Ok(None);
    }
    if tags.len() > MAX_TAGS {
        return Err(settings.error_at("tags", format!("an object has at most {MAX_TAGS} tags"), ""));
    }
    let mut query = String::new();
    for (name, value) in &tags {
        if name.is_empty() || name.chars().count() > 128 || value.chars().count() > 256 {
            let message = format!("the tag `{name}` is longer than S3 takes");
            return Err(settings.error_at_key(
                "tags",
                name,
                message,
                "a name has 1 to 128 characters, a value at most 256",
            ));
        }
        if !query.is_empty() {
            query.push('&');
        }
        key::push_encoded(name, true, &mut query);
        query.push('=');
        key::push_encoded(value, true, &mut query);
    }
    HeaderValue::from_str(&query).map(Some).map_err(|_| settings.error_at("tags", "these can't be tags", ""))
}
