//! Signature version 4, by the SDK's own signer.
//!
//! | service | what is special |
//! | --- | --- |
//! | `s3` | the path is signed as it is sent, not encoded again; `X-Amz-Content-Sha256` |
//! | `aoss` | `X-Amz-Content-Sha256` |
//!
//! Signed are `Host`, `Content-Type`, `Content-MD5` and all that begin with `x-amz-`: what AWS asks for, and nothing that
//! a proxy may touch.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::error::AccountError;
pub use crate::http::Signable;

/// What a signature is made with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seal<'a> {
    pub(super) credentials: &'a Credentials,
    pub(super) region: &'a str,
    /// The service's name in signatures.
    pub(super) service: &'a str,
    pub(super) time: SystemTime,
}

// === impl Seal ===

impl Seal<'_> {
    /// The headers to add to a request.
    pub(super) fn sign(&self, request: Signable<'_>) -> Result<HeaderMap, AccountError> {
        let failed = |why: &dyn std::error::Error| AccountError(format!("the request can't be signed: {why}"));
        let mut settings = SigningSettings::default();
        if self.service == "s3" {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        if matches!(self.service, "s3" | "aoss") {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let identity = self.credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(self.time)
            .settings(settings)
            .build()
            .map_err(|error| failed(&error))?
            .into();
        let headers = request.headers.iter().filter(|(name, _)| is_signed(name));
        let headers = headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let body = SignableBody::Bytes(request.body);
        let signable = SignableRequest::new(request.method.as_str(), request.url.as_str(), headers, body)
            .map_err(|error| failed(&error))?;
        let (instructions, _) = sign(signable, &params).map_err(|error| failed(&error))?.into_parts();
        let mut added = HeaderMap::new();
        for header in instructions.into_parts().0 {
            let mut value = HeaderValue::from_str(header.value()).map_err(|error| failed(&error))?;
            value.set_sensitive(header.sensitive() || header.name() == "authorization");
            added.insert(HeaderName::from_static(header.name()), value);
        }
        Ok(added)
    }
}

fn is_signed(name: &HeaderName) -> bool {
    matches!(name.as_str(), "content-type" | "content-md5") || name.as_str().starts_with("x-amz-")
}
