//! Signature version 4.

use reqwest::header::HeaderMap;
use reqwest::{Method, Url};

/// A request that is final but for its signature.
#[derive(Clone, Copy, Debug)]
pub struct Signable<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Where it goes, query included, encoded.
    pub url: &'a Url,
    /// Headers to sign: whatever is not changed on the way. `Host` need not be among them.
    pub headers: &'a HeaderMap,
    /// As it is sent.
    pub body: &'a [u8],
}
