//! Signatures: what can be written only when a request is final, its body compressed and its URL chosen.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use reqwest::header::HeaderMap;
use reqwest::{Method, Url};

use super::answer::Answer;
use super::failure::Failure;

/// A request that is final but for its signature.
#[derive(Clone, Copy, Debug)]
pub struct Signable<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Where it goes, query included, encoded.
    pub url: &'a Url,
    /// Its headers, but for those that say how it is sent (`Host`, `Content-Length`, `Connection`).
    pub headers: &'a HeaderMap,
    /// As it is sent.
    pub body: &'a [u8],
}

/// The headers to add, when they are there.
pub type Signing<'a> = Pin<Box<dyn Future<Output = Result<HeaderMap, Failure>> + Send + 'a>>;

/// Who signs the requests of a [`Client`](super::Client).
pub trait Sign: Debug + Send + Sync {
    /// Signs a request.
    fn sign<'a>(&'a self, request: Signable<'a>) -> Signing<'a>;

    /// Hears what was answered to a request it signed. If it is the signature that was refused, and not what was sent, that
    /// is a failure, of which the records are not guilty, whatever the output makes of such a status.
    fn answered(&self, answer: &Answer) -> Option<Failure>;
}
