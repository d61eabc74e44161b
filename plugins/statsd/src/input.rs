//! The input: its sockets.
//!
//! Datagrams that come while the thread is busy wait in the system's buffer, and are lost where that is full: no reader of
//! datagrams can do better. Those that come in a burst are read in one go.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use suiro_sdk::intake::{Desk, Intake};
use suiro_sdk::serve::unix;
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Flow, Input, InputLedger, Polled, Source, SourceSetup, StartError, Tracker};
use tokio::io::AsyncReadExt;
use tokio::net::{UdpSocket, UnixDatagram, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::parse::MAX_LINE;
use crate::receive::Collector;
use crate::settings::Settings;

/// Datagrams read in one go.
const BURST: usize = 512;
/// Connections of `unix_stream` at once.
const MAX_STREAMS: usize = 256;
/// How soon a window that found no room is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(1);

struct Statsd {
    settings: Settings,
    intake: Arc<Intake>,
    /// What the network side counts in, once it is there.
    collector: Arc<Mutex<Option<Shared>>>,
}

/// What a worker reads: what is handed over, and at the end what nobody had handed over yet.
struct StatsdSource {
    inner: Box<dyn Source>,
    collector: Arc<Mutex<Option<Shared>>>,
    ledger: Arc<InputLedger>,
    last: VecDeque<Flow>,
}

/// Sockets, bound.
struct Sockets {
    udp: Option<std::net::UdpSocket>,
    unix: Option<std::os::unix::net::UnixDatagram>,
    stream: Option<std::os::unix::net::UnixListener>,
}

type Shared = Arc<Mutex<Collector>>;

/// Reads the settings.
pub(crate) fn build(section: &Section) -> Result<Box<dyn Input>, Reported> {
    let settings = Settings::read(section)?;
    Ok(Box::new(Statsd { intake: Intake::new(settings.max_pending), settings, collector: Arc::default() }))
}

impl Input for Statsd {
    fn source(&self, setup: SourceSetup) -> Result<Option<Box<dyn Source>>, StartError> {
        if let Some(desk) = self.intake.desk(&setup)? {
            let sockets = Sockets::open(&self.settings, &desk)?;
            let settings = self.settings.clone();
            let collector = Arc::new(Mutex::new(Collector::new(desk.clone(), &settings.shape)));
            *lock(&self.collector) = Some(collector.clone());
            desk.spawn(move |desk| serve(desk, settings, sockets, collector))?;
        }
        Ok(Some(Box::new(StatsdSource {
            inner: self.intake.source(&setup),
            collector: self.collector.clone(),
            ledger: setup.ledger.clone(),
            last: VecDeque::new(),
        })))
    }
}

impl Source for StatsdSource {
    fn poll(&mut self) -> Polled {
        self.inner.poll()
    }

    /// Nobody sends a datagram again: what was handed over is taken, and the window ends. The collector is closed first, so
    /// that nothing is handed over behind that.
    fn stop(&mut self) {
        let collector = lock(&self.collector).take();
        let batches = collector.map(|collector| lock(&collector).close()).unwrap_or_default();
        // It panics if the network side has died: there is nothing more then.
        while let Ok(polled) = catch_unwind(AssertUnwindSafe(|| self.inner.poll())) {
            match polled {
                Polled::Batch(flow) => self.last.push_back(flow),
                Polled::Idle { until: Some(_) } => {}
                Polled::Idle { until: None } | Polled::Done => break,
            }
        }
        for batch in batches.into_iter().filter(|batch| !batch.is_empty()) {
            let tracker = Tracker::new(batch.scopes()[0].source.clone(), 0, self.ledger.clone(), None);
            let end = batch.rows.iter().map(|row| row.end).max().unwrap_or(0);
            let receipt = tracker.open(0..end, batch.len() as u64);
            self.last.push_back(Flow::new(batch, receipt));
        }
        self.inner.stop();
    }

    fn finish(&mut self) -> Option<Flow> {
        self.last.pop_front()
    }
}

async fn serve(desk: Desk, settings: Settings, sockets: Sockets, collector: Shared) {
    let stopping = desk.stopping();
    let name = desk.name().clone();
    let failed = |error: std::io::Error| tracing::error!(input = %name, %error, "can't listen");
    if let Some(socket) = sockets.udp {
        match UdpSocket::from_std(socket) {
            Ok(socket) => drop(tokio::spawn(read_udp(socket, collector.clone()))),
            Err(error) => return failed(error),
        }
    }
    if let Some(socket) = sockets.unix {
        match UnixDatagram::from_std(socket) {
            Ok(socket) => drop(tokio::spawn(read_unix(socket, collector.clone()))),
            Err(error) => return failed(error),
        }
    }
    if let Some(listener) = sockets.stream {
        match UnixListener::from_std(listener) {
            Ok(listener) => drop(tokio::spawn(accept(listener, collector.clone()))),
            Err(error) => return failed(error),
        }
    }
    tokio::pin!(stopping);
    let Some(interval) = settings.shape.interval else {
        stopping.await;
        return;
    };
    let mut next = Instant::now() + interval;
    loop {
        tokio::select! {
            () = &mut stopping => break,
            () = tokio::time::sleep_until(next) => {
                next = Instant::now() + if lock(&collector).close_window() { interval } else { TRY_AGAIN };
            }
        }
    }
}

fn lock<T>(collector: &Mutex<T>) -> MutexGuard<'_, T> {
    // A collector that panicked within a line has counted part of it: the others are sound.
    collector.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn read_udp(socket: UdpSocket, collector: Shared) {
    let mut buffer = vec![0; MAX_LINE + 1];
    while socket.readable().await.is_ok() {
        burst(&collector, &mut buffer, |buffer| socket.try_recv(buffer));
        tokio::task::yield_now().await;
    }
}

async fn read_unix(socket: UnixDatagram, collector: Shared) {
    let mut buffer = vec![0; MAX_LINE + 1];
    while socket.readable().await.is_ok() {
        burst(&collector, &mut buffer, |buffer| socket.try_recv(buffer));
        tokio::task::yield_now().await;
    }
}

/// Reads what has come.
fn burst(collector: &Mutex<Collector>, buffer: &mut [u8], mut recv: impl FnMut(&mut [u8]) -> std::io::Result<usize>) {
    let mut collector = lock(collector);
    for _ in 0..BURST {
        match recv(buffer) {
            Ok(len) if len > MAX_LINE => collector.cut(),
            Ok(len) => collector.datagram(&buffer[..len]),
            // An error of an earlier datagram to somebody else says nothing of the next.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
            Err(_) => break,
        }
    }
    collector.hand_over();
}

async fn accept(listener: UnixListener, collector: Shared) {
    let slots = Arc::new(Semaphore::new(MAX_STREAMS));
    loop {
        // A slot first: who comes meanwhile waits in the socket.
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let collector = collector.clone();
                tokio::spawn(async move {
                    read_stream(stream, &collector).await;
                    drop(slot);
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Datagrams behind their lengths, 32 bits, little endian.
async fn read_stream(mut stream: UnixStream, collector: &Mutex<Collector>) {
    let mut buffer = Vec::new();
    while let Ok(len) = stream.read_u32_le().await {
        let len = len as usize;
        if len > MAX_LINE {
            // What follows can't be found.
            return lock(collector).cut();
        }
        buffer.resize(len, 0);
        if stream.read_exact(&mut buffer).await.is_err() {
            return lock(collector).cut();
        }
        let mut collector = lock(collector);
        collector.datagram(&buffer);
        collector.hand_over();
    }
}

// === impl Sockets ===

impl Sockets {
    fn open(settings: &Settings, desk: &Desk) -> Result<Sockets, StartError> {
        let udp = settings
            .udp
            .map(|address| {
                let failed = |error| StartError(format!("`udp`: can't listen on {address}: {error}"));
                let socket = std::net::UdpSocket::bind(address).map_err(failed)?;
                socket.set_nonblocking(true).map_err(failed)?;
                if let Some(bytes) = settings.receive_buffer {
                    enlarge(&socket, bytes, desk);
                }
                tracing::info!(input = %desk.name(), address = %socket.local_addr().map_err(failed)?, "takes datagrams");
                Ok(socket)
            })
            .transpose()?;
        let unix = settings.unix.as_deref().map(|path| {
            let socket = unix::bind_at("unix", path, unix::MODE, || std::os::unix::net::UnixDatagram::bind(path))?;
            socket.set_nonblocking(true).map_err(|error| StartError(format!("`unix`: {error}")))?;
            if let Some(bytes) = settings.receive_buffer {
                enlarge(&socket, bytes, desk);
            }
            Ok(socket)
        });
        let stream = settings.unix_stream.as_deref().map(|path| {
            let listener =
                unix::bind_at("unix_stream", path, unix::MODE, || std::os::unix::net::UnixListener::bind(path))?;
            listener.set_nonblocking(true).map_err(|error| StartError(format!("`unix_stream`: {error}")))?;
            Ok(listener)
        });
        Ok(Sockets { udp, unix: unix.transpose()?, stream: stream.transpose()? })
    }
}

/// Asks the system for a receive buffer; it may give less.
fn enlarge(socket: &impl std::os::fd::AsFd, bytes: usize, desk: &Desk) {
    let _ = setsockopt(socket, sockopt::RcvBuf, &bytes);
    // The system doubles what it is asked for, for its own needs, and says so.
    let given = getsockopt(socket, sockopt::RcvBuf).map_or(0, |given| given / 2);
    if given < bytes {
        tracing::warn!(
            input = %desk.name(),
            wanted = bytes,
            given,
            "`receive_buffer` is more than the system allows: raise net.core.rmem_max, or datagrams may be lost in bursts"
        );
    }
}
