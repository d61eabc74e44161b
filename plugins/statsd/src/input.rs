//! The input: its sockets.

use std::os::unix::net::UnixListener as StdListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use suiro_sdk::datagrams::Datagrams;
use suiro_sdk::intake::{Desk, Intake, LastCall};
use suiro_sdk::record::Batch;
use suiro_sdk::serve::unix;
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Flow, Input, InputLedger, Source, SourceSetup, StartError, Tracker};
use tokio::io::AsyncReadExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::parse::MAX_LINE;
use crate::receive::Collector;
use crate::settings::Settings;

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

/// Where it listens.
struct Sockets {
    udp: Option<Datagrams>,
    unix: Option<Datagrams>,
    stream: Option<StdListener>,
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
            let shape = &self.settings.shape;
            let new = || Arc::new(Mutex::new(Collector::new(desk.clone(), shape)));
            // Where the network side died, that of the one before: its window is open, and it knows the gauges.
            let before = lock(&self.collector).clone().filter(|collector| !lock(collector).is_closed());
            let collector = before.unwrap_or_else(new);
            *lock(&self.collector) = Some(collector.clone());
            let interval = shape.interval;
            desk.spawn(move |desk| serve(desk, interval, sockets, collector))?;
        }
        let (collector, ledger) = (self.collector.clone(), setup.ledger.clone());
        // The collector is closed before what it handed over is taken.
        let close = move || {
            // Each shard waits for it, so that none ends the intake before.
            let collector = lock(&collector).clone();
            collector.map(|collector| flows(&collector, &ledger)).unwrap_or_default()
        };
        Ok(Some(Box::new(LastCall::new(self.intake.source(&setup), close))))
    }
}

/// What a collector held when the agent stopped.
fn flows(collector: &Mutex<Collector>, ledger: &Arc<InputLedger>) -> Vec<Flow> {
    let batches = lock(collector).close().into_iter().filter(|batch| !batch.is_empty());
    let flow = |batch: Batch| {
        let tracker = Tracker::new(batch.scopes()[0].source.clone(), 0, ledger.clone(), None);
        let end = batch.rows.iter().map(|row| row.end).max().unwrap_or(0);
        let receipt = tracker.open(0..end, batch.len() as u64);
        Flow::new(batch, receipt)
    };
    batches.map(flow).collect()
}

/// Until the agent stops, or who reads datagrams has died: then all of it is opened anew.
async fn serve(desk: Desk, interval: Option<Duration>, sockets: Sockets, collector: Shared) {
    let stopping = desk.stopping();
    let read = async |socket: Option<Datagrams>| {
        let Some(socket) = socket else { return std::future::pending().await };
        let collector = collector.clone();
        socket.read(desk.clone(), move |burst| lock(&collector).take(burst)).await;
    };
    let streams = async {
        let Some(listener) = sockets.stream else { return std::future::pending().await };
        match UnixListener::from_std(listener) {
            Ok(listener) => accept(listener, &collector).await,
            Err(error) => tracing::error!(input = %desk.name(), %error, "can't listen"),
        }
    };
    tokio::select! {
        () = stopping => {}
        () = read(sockets.udp) => {}
        () = read(sockets.unix) => {}
        () = streams => {}
        () = end_windows(interval, &collector) => {}
    }
}

/// Ends a window each interval, if there is one.
async fn end_windows(interval: Option<Duration>, collector: &Mutex<Collector>) {
    let Some(interval) = interval else { return std::future::pending().await };
    let mut next = Instant::now() + interval;
    loop {
        tokio::time::sleep_until(next).await;
        next = Instant::now() + if lock(collector).close_window() { interval } else { TRY_AGAIN };
    }
}

fn lock<T>(collector: &Mutex<T>) -> MutexGuard<'_, T> {
    // A collector that panicked within a line has counted part of it: the others are sound.
    collector.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: UnixListener, collector: &Shared) {
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
            return lock(collector).broken("the length of a datagram is more than one may have");
        }
        buffer.resize(len, 0);
        if stream.read_exact(&mut buffer).await.is_err() {
            return lock(collector).broken("a stream ended within a datagram");
        }
        let mut collector = lock(collector);
        collector.datagram(&buffer);
        collector.hand_over();
    }
}

// === impl Sockets ===

impl Sockets {
    fn open(settings: &Settings, desk: &Desk) -> Result<Sockets, StartError> {
        let Settings { udp, unix, unix_stream, receive_buffer, .. } = settings;
        let udp = udp.map(|address| Datagrams::udp(desk, "udp", address, *receive_buffer, ""));
        let unix = unix.as_deref().map(|path| Datagrams::unix(desk, "unix", path, *receive_buffer));
        let stream = unix_stream.as_deref().map(|path| {
            let listener = unix::bind_at("unix_stream", path, unix::MODE, || StdListener::bind(path))?;
            listener.set_nonblocking(true).map_err(|error| StartError(format!("`unix_stream`: {error}")))?;
            Ok(listener)
        });
        Ok(Sockets { udp: udp.transpose()?, unix: unix.transpose()?, stream: stream.transpose()? })
    }
}
