//! The listener, its connections, and who gets in.

use std::convert::Infallible;
use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

use super::answer::{Refusal, Response};
use super::auth::Auth;
use super::request::{Request, Terms};
use super::settings::ServerSettings;
use crate::complaint::Complaint;
use crate::input::StartError;
use crate::intake::Desk;
use crate::ledger::Reason;

/// A connection on which nothing happens is closed after this: longer than load balancers keep theirs (60 s), so that it is
/// they who close.
const IDLE: Duration = Duration::from_secs(75);
/// To those who don't go when asked.
const GRACE: Duration = Duration::from_secs(5);
/// For requests under way when the agent stops: longer than anybody waits for an answer by default.
const LAST_ANSWERS: Duration = Duration::from_secs(30);
/// A TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Requests at once on one connection of HTTP/2.
const MAX_STREAMS: u32 = 128;
/// Bytes of bodies nobody asked for yet, a connection: flow control of HTTP/2.
const WINDOW: u32 = 256 << 10;
/// Bytes of headers.
const MAX_HEADERS: u32 = 16 << 10;
/// Buffers of HTTP/1.
const BUFFER: usize = 64 << 10;
/// The peer of a connection of HTTP/2 is asked whether it is still there.
const PING: Duration = Duration::from_secs(30);

/// What answers requests.
pub trait Service: Send + Sync + 'static {
    /// Answers one. Dropped, half done, if its sender goes away.
    fn call<'a>(&'a self, request: &'a mut Request) -> impl Future<Output = Response> + Send + 'a;
}

/// A socket that listens, and the terms on which requests get in.
#[derive(Debug)]
pub struct Door {
    listener: std::net::TcpListener,
    address: SocketAddr,
    setting: &'static str,
    settings: ServerSettings,
}

/// What the connections of a door share.
struct House<S> {
    service: Arc<S>,
    auth: Option<Auth>,
    terms: Arc<Terms>,
    http: Builder<TokioExecutor>,
    timeout: Duration,
}

/// What happens on a connection.
struct Traffic {
    active: AtomicUsize,
    last: Mutex<Instant>,
    requests: AtomicUsize,
}

/// A request under way.
struct Active(Arc<Traffic>);

// === impl Door ===

impl Door {
    /// Opens the socket. Requests wait in it until [`serve`](Self::serve) is called. `setting` is what the address is called.
    pub fn open(address: SocketAddr, setting: &'static str, settings: &ServerSettings) -> Result<Door, StartError> {
        let (listener, address) = bind(address, setting)?;
        Ok(Door { listener, address, setting, settings: settings.clone() })
    }

    /// Where it listens, the port included if the system chose it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the agent stops and all requests are answered. Call it inside [`Desk::spawn`].
    pub async fn serve<S: Service>(self, desk: Desk, service: Arc<S>) {
        let Door { listener, address, setting, settings } = self;
        let input = desk.name().clone();
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%input, %address, %error, "can't listen");
                return;
            }
        };
        let tls = settings.tls.as_ref().map(|tls| tls.acceptor(&[b"h2", b"http/1.1"]));
        tracing::info!(%input, %setting, %address, tls = tls.is_some(), "listens");
        let slots = Arc::new(Semaphore::new(settings.max_connections));
        let stopping = desk.stopping();
        let house = Arc::new(House {
            service,
            auth: settings.auth,
            http: http(),
            timeout: settings.timeout,
            terms: Arc::new(Terms {
                max_body: settings.max_body,
                timeout: settings.timeout,
                desk,
                decompressor: Mutex::default(),
            }),
        });
        let (stop, stopped) = watch::channel(false);
        let mut crowded = Complaint::default();
        tokio::pin!(stopping);
        loop {
            let accepted = tokio::select! {
                () = &mut stopping => break,
                accepted = listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // One that went away while it waited says nothing about the next; out of descriptors, a pause helps.
                    if !matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) {
                        tracing::warn!(%input, %error, "can't take a connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    continue;
                }
            };
            let Ok(slot) = slots.clone().try_acquire_owned() else {
                house.terms.desk.turn_away(Reason::TOO_MANY_CONNECTIONS, 1);
                let max = settings.max_connections;
                if let Some(closed) = crowded.of(1) {
                    tracing::warn!(%input, max_connections = max, closed, "all connections are taken: more are closed at once");
                }
                continue;
            };
            let (house, tls, stopped) = (house.clone(), tls.clone(), stopped.clone());
            tokio::spawn(async move {
                house.receive(stream, peer, tls, stopped).await;
                drop(slot);
            });
        }
        drop((listener, stopped));
        stop.send_replace(true);
        // Each connection holds a receiver until it is done.
        if timeout(LAST_ANSWERS, stop.closed()).await.is_err() {
            tracing::warn!(%input, %address, "some requests were not answered when the agent stopped");
        }
    }
}

/// A socket that listens at `address`, and where that is: the port included if the system chose it. `setting` is what the
/// address is called.
pub fn bind(address: SocketAddr, setting: &str) -> Result<(std::net::TcpListener, SocketAddr), StartError> {
    let complain = |error: std::io::Error| {
        let fix = match error.kind() {
            ErrorKind::AddrInUse => "; another process has that port: stop it, or choose another port",
            ErrorKind::AddrNotAvailable => "; this machine has no such address",
            ErrorKind::PermissionDenied => "; ports below 1024 need a privilege",
            _ => "",
        };
        StartError(format!("`{setting}`: can't listen on {address}: {error}{fix}"))
    };
    let listener = std::net::TcpListener::bind(address).map_err(complain)?;
    listener.set_nonblocking(true).map_err(complain)?;
    let address = listener.local_addr().map_err(complain)?;
    Ok((listener, address))
}

/// How HTTP is spoken, in both versions.
fn http() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE).max_buf_size(BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_frame_size(64 << 10)
        .max_header_list_size(MAX_HEADERS)
        .max_send_buf_size(BUFFER)
        .keep_alive_interval(PING)
        .keep_alive_timeout(GRACE * 4);
    builder
}

// === impl House ===

impl<S: Service> House<S> {
    async fn receive(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        tls: Option<TlsAcceptor>,
        stopped: watch::Receiver<bool>,
    ) {
        let _ = stream.set_nodelay(true);
        let Some(tls) = tls else { return self.converse(stream, peer, stopped).await };
        match timeout(HANDSHAKE, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.converse(stream, peer, stopped).await,
            Ok(Err(error)) => {
                self.terms.desk.turn_away(Reason::UNAUTHORIZED, 1);
                tracing::debug!(input = %self.terms.desk.name(), %peer, %error, "no TLS");
            }
            Err(_) => {
                self.terms.desk.turn_away(Reason::UNAUTHORIZED, 1);
                tracing::debug!(input = %self.terms.desk.name(), %peer, "no TLS in time");
            }
        }
    }

    /// Serves one connection until it is closed, is quiet for too long, or the agent stops.
    async fn converse(
        self: Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: SocketAddr,
        mut stopped: watch::Receiver<bool>,
    ) {
        let traffic = Arc::new(Traffic {
            active: AtomicUsize::new(0),
            last: Mutex::new(Instant::now()),
            requests: AtomicUsize::new(0),
        });
        let house = self.clone();
        let seen = traffic.clone();
        let service = service_fn(move |request| {
            let (house, active) = (house.clone(), Active::new(&seen));
            async move {
                let response = house.answer(request, peer).await;
                drop(active);
                Ok::<_, Infallible>(response)
            }
        });
        let connection = self.http.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let mut going = false;
        let grace = GRACE.min(self.timeout);
        let mut until = Instant::now() + self.timeout;
        loop {
            tokio::select! {
                result = connection.as_mut() => {
                    if let Err(error) = result {
                        tracing::debug!(input = %self.terms.desk.name(), %peer, %error, "a connection broke");
                    }
                    return;
                }
                _ = stopped.wait_for(|stopped| *stopped), if !going => {
                    going = true;
                    connection.as_mut().graceful_shutdown();
                    until = Instant::now() + grace;
                }
                () = sleep_until(until) => {
                    match traffic.quiet_until(self.timeout) {
                        None => until = Instant::now() + grace,
                        Some(_) if going => return,
                        Some(later) if later > Instant::now() => until = later,
                        Some(_) => {
                            going = true;
                            connection.as_mut().graceful_shutdown();
                            until = Instant::now() + grace;
                        }
                    }
                }
            }
        }
    }

    async fn answer(&self, request: hyper::Request<Incoming>, peer: SocketAddr) -> Response {
        let (parts, body) = request.into_parts();
        let mut request = Request::new(parts, body, peer, self.terms.clone());
        let response = match &self.auth {
            Some(auth) if !auth.admits(&request.headers) => {
                request.turn_away(Reason::UNAUTHORIZED);
                Refusal::unauthorized(auth.scheme()).into_response()
            }
            _ => self.service.call(&mut request).await,
        };
        request.discard().await;
        response
    }
}

// === impl Traffic ===

impl Traffic {
    /// Until when the connection may be quiet; `None` while there are requests under way.
    fn quiet_until(&self, first: Duration) -> Option<Instant> {
        if self.active.load(Relaxed) > 0 {
            return None;
        }
        let last = *self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Some(last + if self.requests.load(Relaxed) == 0 { first } else { IDLE })
    }

    fn touch(&self) {
        *self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Instant::now();
    }
}

// === impl Active ===

impl Active {
    fn new(traffic: &Arc<Traffic>) -> Self {
        traffic.active.fetch_add(1, Relaxed);
        traffic.requests.fetch_add(1, Relaxed);
        traffic.touch();
        Active(traffic.clone())
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.touch();
        self.0.active.fetch_sub(1, Relaxed);
    }
}
