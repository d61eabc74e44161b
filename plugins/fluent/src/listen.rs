//! Sockets, and who comes to them.

use std::fmt::Display;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::Path;
use std::sync::Arc;

use nix::sys::socket::{setsockopt, sockopt};
use suiro_sdk::serve::{self, Tls, unix};
use suiro_sdk::{Complaint, Reason, StartError};
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Duration, timeout};

use crate::connection::{self, Busy, LAST_BYTES, Terms};
use crate::settings::Settings;

/// A TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// For acknowledgements when the agent stops.
const LAST_ANSWERS: Duration = Duration::from_secs(30);
/// A connection on which nothing was said for so long is asked whether it is still there, by the system.
const KEEPALIVE: u32 = 120;

/// Sockets, bound.
pub(crate) struct Sockets {
    tcp: Option<(std::net::TcpListener, SocketAddr)>,
    udp: Option<std::net::UdpSocket>,
    unix: Option<StdUnixListener>,
}

/// The same, on the input's thread.
struct Listeners {
    tcp: Option<TcpListener>,
    unix: Option<UnixListener>,
}

/// Who came.
pub(crate) enum Caller {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

// === impl Sockets ===

impl Sockets {
    /// Opens them. Who connects waits until they are served.
    pub(crate) fn open(settings: &Settings) -> Result<Sockets, StartError> {
        let tcp = settings.listen.map(|address| serve::bind(address, "listen")).transpose()?;
        let heartbeat = tcp.as_ref().filter(|_| settings.udp_heartbeat);
        let udp = heartbeat.map(|(_, address)| bind_udp(*address)).transpose()?;
        let unix = settings.unix.as_deref().map(|path| bind_unix(path, settings.unix_mode)).transpose()?;
        Ok(Sockets { tcp, udp, unix })
    }

    /// Serves until the agent stops and all is answered. As long as somebody may come, it is `busy`.
    pub(crate) async fn serve(self, terms: Arc<Terms>, tls: Option<Tls>, max_connections: usize, busy: Busy) {
        let input = terms.desk.name().clone();
        let Sockets { tcp, udp, unix } = self;
        let address = tcp.as_ref().map(|(_, address)| *address);
        let listeners = (|| {
            Ok::<_, std::io::Error>(Listeners {
                tcp: tcp.map(|(socket, _)| TcpListener::from_std(socket)).transpose()?,
                unix: unix.map(UnixListener::from_std).transpose()?,
            })
        })();
        let listeners = match listeners {
            Ok(listeners) => listeners,
            Err(error) => return tracing::error!(%input, %error, "can't listen"),
        };
        if let Some(socket) = udp.and_then(|socket| UdpSocket::from_std(socket).ok()) {
            tokio::spawn(answer_heartbeats(socket));
        }
        let path = listeners.unix.as_ref().and_then(|unix| unix.local_addr().ok());
        let path = path.and_then(|path| path.as_pathname().map(|path| path.display().to_string()));
        let address = address.map(|address| address.to_string());
        tracing::info!(%input, address, unix = path, tls = tls.is_some(), "listens");

        let tls = tls.map(|tls| tls.acceptor(&[]));
        let slots = Arc::new(Semaphore::new(max_connections));
        let closing = terms.closing.wait();
        tokio::pin!(closing);
        let (all, alive) = watch::channel(());
        let mut crowded = Complaint::default();
        let mut is_closing = false;
        loop {
            let caller = if is_closing {
                // Who waits to be let in may have sent something already.
                let Ok(caller) = timeout(LAST_BYTES, listeners.next()).await else { break };
                caller
            } else {
                tokio::select! {
                    () = &mut closing => {
                        is_closing = true;
                        continue;
                    }
                    caller = listeners.next() => caller,
                }
            };
            let caller = match caller {
                Ok(caller) => caller,
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
                terms.desk.turn_away(Reason::TOO_MANY_CONNECTIONS, 1);
                if let Some(closed) = crowded.of(1) {
                    tracing::warn!(%input, max_connections, closed, "all connections are taken: more are closed at once");
                }
                continue;
            };
            let busy = Busy::new(&terms.closing);
            tokio::spawn(caller.serve(terms.clone(), tls.clone(), busy, (slot, alive.clone())));
        }
        drop((listeners, alive, busy));
        // The queues are the last to be told: what connections have handed over is answered until then.
        let rest = async { tokio::join!(all.closed(), terms.desk.stopping()) };
        if timeout(LAST_ANSWERS, rest).await.is_err() {
            tracing::warn!(%input, "some chunks were not acknowledged when the agent stopped: their senders send them again");
        }
    }
}

fn bind_udp(address: SocketAddr) -> Result<std::net::UdpSocket, StartError> {
    let failed = |error| StartError(format!("`udp_heartbeat`: can't listen on {address} (UDP): {error}"));
    let socket = std::net::UdpSocket::bind(address).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    Ok(socket)
}

fn bind_unix(path: &Path, mode: u32) -> Result<StdUnixListener, StartError> {
    let listener = unix::bind_at("unix", path, mode, || StdUnixListener::bind(path))?;
    listener.set_nonblocking(true).map_err(|error| StartError(format!("`unix`: {error}")))?;
    Ok(listener)
}

/// A byte for each datagram: that is all a heartbeat is. An answer is never longer than the question.
async fn answer_heartbeats(socket: UdpSocket) {
    let mut byte = [0; 1];
    loop {
        match socket.recv_from(&mut byte).await {
            Ok((0, _)) => {}
            Ok((_, peer)) => drop(socket.try_send_to(&[0], peer)),
            // An error of an earlier answer.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

// === impl Listeners ===

impl Listeners {
    async fn next(&self) -> std::io::Result<Caller> {
        let tcp = async {
            match &self.tcp {
                Some(tcp) => tcp.accept().await.map(|(stream, peer)| Caller::Tcp(stream, peer)),
                None => std::future::pending().await,
            }
        };
        let unix = async {
            match &self.unix {
                Some(unix) => unix.accept().await.map(|(stream, _)| Caller::Unix(stream)),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            caller = tcp => caller,
            caller = unix => caller,
        }
    }
}

// === impl Caller ===

impl Caller {
    /// Serves it. `counted` is held as long.
    pub(crate) async fn serve(
        self,
        terms: Arc<Terms>,
        tls: Option<tokio_rustls::TlsAcceptor>,
        busy: Busy,
        counted: (OwnedSemaphorePermit, watch::Receiver<()>),
    ) {
        match (self, tls) {
            (Caller::Unix(stream), _) => connection::serve(terms, stream, "the Unix socket", busy).await,
            (Caller::Tcp(stream, peer), tls) => {
                let _ = stream.set_nodelay(true);
                // A container may say nothing for days; a peer that is gone says nothing ever.
                let _ = setsockopt(&stream, sockopt::KeepAlive, &true);
                let _ = setsockopt(&stream, sockopt::TcpKeepIdle, &KEEPALIVE);
                let peer = peer.to_string();
                let Some(tls) = tls else { return connection::serve(terms, stream, &peer, busy).await };
                let shaken = tokio::select! {
                    shaken = timeout(HANDSHAKE, tls.accept(stream)) => shaken,
                    () = terms.closing.wait() => return,
                };
                match shaken {
                    Ok(Ok(stream)) => connection::serve(terms, stream, &peer, busy).await,
                    Ok(Err(error)) => without_tls(&terms, &peer, &error),
                    Err(_) => without_tls(&terms, &peer, &"it took too long"),
                }
            }
        }
        drop(counted);
    }
}

/// Counts one whose handshake came to nothing. Probes of ports do that all day: it is no line in the log.
fn without_tls(terms: &Terms, peer: &str, why: &dyn Display) {
    terms.desk.turn_away(Reason::UNAUTHORIZED, 1);
    tracing::debug!(input = %terms.desk.name(), %peer, "no TLS: {why}");
}
