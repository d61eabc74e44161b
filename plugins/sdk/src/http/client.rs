//! The client.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url, redirect};

use super::answer::Answer;
use super::buffer::{Buffer, Buffers};
use super::endpoint::{Endpoint, Endpoints};
use super::failure::Failure;
use super::settings::ClientSettings;
use super::sign::{Sign, Signable};
use super::tls::Tls;
use crate::compress::{Compression, Compressor};
use crate::input::StartError;
use crate::ledger::{OutputLedger, add};

/// To open a connection may take this long, and never longer than a request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Kept connections are closed before servers and load balancers usually close them (60 s): a request that meets the
/// closing half-way is one that nobody knows the fate of.
const IDLE: Duration = Duration::from_secs(30);
/// An HTTP/2 connection that is silent for so long is asked, and given up when it takes as long to answer.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// An output's connections. Lives on the output's thread.
#[derive(Debug)]
pub struct Client {
    pub(super) http: reqwest::Client,
    pub(super) endpoints: Endpoints,
    pub(super) buffers: Buffers,
    /// The configuration sets it.
    own_content_type: bool,
    pub(super) compression: Compression,
    pub(super) compressor: RefCell<Compressor>,
    pub(super) ledger: Arc<OutputLedger>,
    signer: Option<Signer>,
}

/// Who signs, and the headers of every request, which it sees too.
#[derive(Clone, Debug)]
struct Signer {
    sign: Arc<dyn Sign>,
    headers: HeaderMap,
}

/// A request with a body.
#[derive(Debug)]
pub struct Request<'a> {
    /// `POST`, mostly.
    pub method: Method,
    /// The body, before compression.
    pub body: Buffer,
    /// Its type.
    pub content_type: &'static str,
    /// One header more.
    pub header: Option<(&'static str, &'a HeaderValue)>,
    /// Bytes of the answer that are read, at most.
    pub limit: usize,
}

/// A request as every attempt sends it.
struct Outgoing {
    method: Method,
    headers: HeaderMap,
    body: Bytes,
}

// === impl Client ===

impl Client {
    /// Sets it up. `ledger` is told the bytes that are sent.
    pub fn new(settings: ClientSettings, ledger: Arc<OutputLedger>) -> Result<Self, StartError> {
        Self::build(settings, ledger, reqwest::ClientBuilder::http1_only)
    }

    /// Sets up one that speaks HTTP/2 and nothing else, for gRPC ([`Client::call`]): all requests to a host share
    /// one connection, which is asked now and then whether it is still there.
    pub fn http2(settings: ClientSettings, ledger: Arc<OutputLedger>) -> Result<Self, StartError> {
        if settings.signer.is_some() {
            return Err(StartError("requests over gRPC are not signed".to_owned()));
        }
        Self::build(settings, ledger, |builder| {
            builder
                .http2_prior_knowledge()
                .http2_adaptive_window(true)
                .http2_keep_alive_interval(KEEP_ALIVE)
                .http2_keep_alive_timeout(KEEP_ALIVE)
        })
    }

    fn build(
        settings: ClientSettings,
        ledger: Arc<OutputLedger>,
        protocol: fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
    ) -> Result<Self, StartError> {
        let ClientSettings { endpoints, headers, tls, timeout, compression, signer } = settings;
        install_provider();
        let own_content_type = headers.contains_key(CONTENT_TYPE);
        let signer = signer.map(|sign| Signer { sign, headers: headers.clone() });
        // Without any, each request says where it goes.
        let https = endpoints.is_empty() || endpoints.iter().any(Endpoint::is_https);
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("suiro/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .tcp_nodelay(true)
            .connect_timeout(timeout.min(CONNECT_TIMEOUT))
            .timeout(timeout)
            .pool_idle_timeout(IDLE);
        builder = protocol(builder);
        builder = match tls {
            Some(tls) => tls.apply(builder),
            None if https => Tls::default().apply(builder),
            // Nothing to trust, so nothing to load: the system's certificates are 150 parsed files.
            None => builder.tls_certs_only([]),
        };
        let http = builder.build().map_err(|error| StartError(format!("the HTTP client can't be set up: {error}")))?;
        Ok(Client {
            http,
            endpoints: Endpoints::new(endpoints),
            buffers: Buffers::default(),
            own_content_type,
            compression,
            compressor: RefCell::new(Compressor::new(compression)),
            ledger,
            signer,
        })
    }

    /// The same client for other URLs: connections and buffers are shared.
    #[must_use]
    pub fn to(&self, endpoints: Vec<super::Endpoint>) -> Client {
        Client {
            http: self.http.clone(),
            endpoints: Endpoints::new(endpoints),
            buffers: self.buffers.clone(),
            own_content_type: self.own_content_type,
            compression: self.compression,
            compressor: RefCell::new(Compressor::new(self.compression)),
            ledger: self.ledger.clone(),
            signer: self.signer.clone(),
        }
    }

    /// An empty buffer to build a body in.
    pub fn buffer(&self) -> Buffer {
        self.buffers.take()
    }

    /// Where bodies come from.
    pub fn buffers(&self) -> &Buffers {
        &self.buffers
    }

    /// Sends a request and reads the answer. Of several endpoints, the next is tried as long as nothing was sent.
    pub async fn send(&self, request: Request<'_>) -> Result<Answer, Failure> {
        let limit = request.limit;
        let outgoing = self.prepare(request);
        let mut failure = None;
        for at in self.endpoints.order() {
            match self.attempt(self.endpoints.url(at).clone(), &outgoing, limit).await {
                Ok(answer) => {
                    self.endpoints.note(at, true);
                    return Ok(answer);
                }
                Err(error) => {
                    self.endpoints.note(at, false);
                    if !error.unsent {
                        return Err(error);
                    }
                    failure = Some(error);
                }
            }
        }
        Err(failure.unwrap_or_else(Failure::no_endpoint))
    }

    /// Sends a request to `url`, which need not be one of the endpoints, with more headers.
    pub async fn send_to(
        &self,
        url: Url,
        request: Request<'_>,
        headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
    ) -> Result<Answer, Failure> {
        let limit = request.limit;
        let mut outgoing = self.prepare(request);
        for (name, value) in headers {
            outgoing.headers.insert(name, value);
        }
        self.attempt(url, &outgoing, limit).await
    }

    /// Asks for what is at `url`, which need not be one of the endpoints.
    pub async fn get(&self, url: &Endpoint, limit: usize) -> Result<Answer, Failure> {
        let outgoing = Outgoing { method: Method::GET, headers: HeaderMap::new(), body: Bytes::new() };
        self.attempt(url.url().clone(), &outgoing, limit).await
    }

    /// Compresses the body and writes the headers.
    fn prepare(&self, request: Request<'_>) -> Outgoing {
        let Request { method, body, content_type, header, limit: _ } = request;
        let (body, encoding) = self.compress(body);
        let mut headers = HeaderMap::with_capacity(8);
        if !self.own_content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        if let Some(encoding) = encoding {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        if let Some((name, value)) = header {
            headers.insert(name, value.clone());
        }
        Outgoing { method, headers, body: body.into_bytes() }
    }

    /// One attempt: signed, if that is asked for, sent, answered.
    async fn attempt(&self, url: Url, outgoing: &Outgoing, limit: usize) -> Result<Answer, Failure> {
        let Outgoing { method, headers, body } = outgoing;
        let mut headers = headers.clone();
        if let Some(signer) = &self.signer {
            let added = signer.sign(method, &url, &headers, body).await?;
            headers.extend(added);
        }
        add(&self.ledger.bytes, body.len());
        let mut request = self.http.request(method.clone(), url).headers(headers);
        if method != Method::GET {
            request = request.body(body.clone());
        }
        let response = request.send().await.map_err(Failure::new)?;
        let answer = Answer::read(response, limit).await;
        let refused = self.signer.as_ref().and_then(|signer| signer.sign.answered(&answer));
        refused.map_or(Ok(answer), Err)
    }

    fn compress(&self, plain: Buffer) -> (Buffer, Option<&'static str>) {
        let Some(encoding) = self.compression.content_encoding() else { return (plain, None) };
        let mut packed = self.buffers.take();
        let done = self.compressor.borrow_mut().compress(plain.body(), &mut packed.bytes);
        if done { (packed, Some(encoding)) } else { (plain, None) }
    }
}

// === impl Signer ===

impl Signer {
    async fn sign(&self, method: &Method, url: &Url, headers: &HeaderMap, body: &[u8]) -> Result<HeaderMap, Failure> {
        let mut all = self.headers.clone();
        for (name, value) in headers {
            all.insert(name, value.clone());
        }
        self.sign.sign(Signable { method, url, headers: &all, body }).await
    }
}

/// reqwest asks for one provider per process. Whoever comes second finds ours, or the one an embedder chose.
pub(super) fn install_provider() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
