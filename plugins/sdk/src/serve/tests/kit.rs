//! A door with a service that counts bytes, and clients that say exactly what the test says.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body as _, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::input::{Source, SourceSetup};
use crate::intake::Desk;
use crate::ledger::InputLedger;
use crate::serve::{Body, Door, Refusal, Request, Response, ServerSettings, Service, StatusCode, answer, grpc};
use crate::settings::Section;

/// A service at `/count`, which says how many bytes a body has, and at `/grpc`, which sends the message back. `/hang` takes a
/// body and never answers.
pub struct Count {
    pub desk: Desk,
    /// Requests that hang.
    pub hanging: AtomicUsize,
}

impl Count {
    async fn take(&self, request: &mut Request) -> Result<Response, Refusal> {
        match request.path.as_str() {
            "/count" => {
                request.expect_post()?;
                let kind = request.media_type();
                if kind != "text/plain" {
                    return Err(Refusal::media_type(&kind, "text/plain"));
                }
                let Body { bytes, wire, .. } = request.body().await?;
                Ok(answer(StatusCode::OK, "text/plain", format!("{} of {wire}", bytes.len())))
            }
            "/hang" => {
                let _body = request.body().await?;
                self.hanging.fetch_add(1, SeqCst);
                self.desk.stopping().await;
                Ok(answer(StatusCode::OK, "text/plain", "late"))
            }
            path => Err(Refusal::not_found(path, "POST /count")),
        }
    }
}

impl Service for Count {
    async fn call(&self, request: &mut Request) -> Response {
        if grpc::is_grpc(request) {
            let message = match grpc::expect_call(request) {
                Err(refusal) => return refusal.into_response(),
                Ok(()) => grpc::message(request).await,
            };
            return match message {
                Ok(body) => grpc::reply(&body.bytes),
                Err(refusal) => grpc::refuse(&refusal),
            };
        }
        self.take(request).await.unwrap_or_else(Refusal::into_response)
    }
}

/// A door that is served until it is dropped.
pub struct Served {
    pub address: SocketAddr,
    pub ledger: Arc<InputLedger>,
    pub desk: Desk,
    pub service: Arc<Count>,
    pub source: Box<dyn Source>,
    pub done: std::sync::mpsc::Receiver<()>,
}

/// Serves with those settings.
pub fn serve(settings: &str) -> Served {
    let (section, diagnostics) = Section::from_text("[[input]] x", settings);
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = ServerSettings::read(&section, &[address]);
    assert!(section.finish().is_ok(), "{}", diagnostics.render(false));
    let settings = settings.unwrap();
    let setup = SourceSetup::sample("x");
    let ledger = setup.ledger.clone();
    let intake = settings.intake();
    let desk = intake.desk(&setup).unwrap().unwrap();
    let source = intake.source(&setup);
    let door = Door::open(address, "listen", &settings).unwrap();
    let address = door.address();
    let service = Arc::new(Count { desk: desk.clone(), hanging: AtomicUsize::new(0) });
    let (tell, done) = std::sync::mpsc::channel();
    let served = service.clone();
    desk.spawn(move |desk| async move {
        door.serve(desk, served).await;
        let _ = tell.send(());
    })
    .unwrap();
    Served { address, ledger, desk, service, source, done }
}

impl Served {
    /// What was counted at the door.
    pub fn turned_away(&self) -> BTreeMap<&'static str, u64> {
        self.ledger.turned_away.snapshot()
    }

    /// Waits until so many were turned away for that: the answer, or the end of a connection, may come before it is counted.
    pub async fn expect_turned_away(&self, reason: &str, n: u64) {
        let counted = || self.turned_away().get(reason).copied().unwrap_or(0);
        let deadline = Instant::now() + Duration::from_secs(20);
        while counted() < n && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(counted(), n, "{:?}", self.turned_away());
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends `request` over HTTP/1.1 and reads until the connection is closed.
    pub async fn raw(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        // The other side may have closed it already, and said why.
        let _ = stream.write_all(request.as_ref()).await;
        read_all(stream).await
    }

    /// A `POST` to `/count` over HTTP/1.1.
    pub async fn post(&self, headers: &str, body: &[u8]) -> String {
        let length = body.len();
        let head = format!(
            "POST /count HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n{headers}\r\n"
        );
        self.raw([head.as_bytes(), body].concat()).await
    }
}

pub async fn read_all(mut stream: impl AsyncRead + Unpin) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// A client of HTTP/2.
pub struct Http2(hyper::client::conn::http2::SendRequest<Frames>);

/// A body of frames, a flag whether it ends.
pub struct Frames(pub Vec<Bytes>, pub bool);

impl hyper::body::Body for Frames {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        if self.0.is_empty() {
            return if self.1 { std::task::Poll::Ready(None) } else { std::task::Poll::Pending };
        }
        std::task::Poll::Ready(Some(Ok(hyper::body::Frame::data(self.0.remove(0)))))
    }
}

/// An answer, its trailers included.
#[derive(Debug)]
pub struct Answered {
    pub status: u16,
    pub headers: hyper::HeaderMap,
    pub body: Vec<u8>,
}

impl Answered {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Http2 {
    pub async fn new(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Http2(sender)
    }

    pub async fn send(&mut self, path: &str, headers: &[(&str, &str)], body: Frames) -> Result<Answered, hyper::Error> {
        let mut request = hyper::Request::post(format!("http://x{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.0.send_request(request.body(body).unwrap()).await?;
        let (parts, body) = response.into_parts();
        let mut answered = Answered { status: parts.status.as_u16(), headers: parts.headers, body: Vec::new() };
        answered.read(body).await?;
        Ok(answered)
    }

    pub async fn post(&mut self, headers: &[(&str, &str)], body: &[u8]) -> Answered {
        let headers = [&[("content-type", "text/plain")], headers].concat();
        self.send("/count", &headers, Frames(vec![Bytes::copy_from_slice(body)], true)).await.unwrap()
    }

    /// A call of gRPC with that body, its frame included.
    pub async fn call(&mut self, headers: &[(&str, &str)], body: Vec<Bytes>) -> Answered {
        let headers = [&[("content-type", "application/grpc"), ("te", "trailers")], headers].concat();
        self.send("/grpc", &headers, Frames(body, true)).await.unwrap()
    }
}

impl Answered {
    async fn read(&mut self, mut body: Incoming) -> Result<(), hyper::Error> {
        while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            match frame?.into_data() {
                Ok(data) => self.body.extend_from_slice(&data),
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        self.headers.extend(trailers);
                    }
                }
            }
        }
        Ok(())
    }
}

pub fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    to.write_all(plain).unwrap();
    to.finish().unwrap()
}

/// A message in gRPC's frame.
pub fn framed(compressed: u8, message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    Bytes::from([&[compressed][..], &length, message].concat())
}
