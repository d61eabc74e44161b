//! Spans in datagrams, as Jaeger's clients send them to an agent beside them.
//!
//! What is there is taken in one go: a burst shares an origin and a hand-over. Nobody can be told to send it again, so what
//! finds no room is counted span by span, and what can't be read datagram by datagram. What the kernel drops since its
//! buffer is full, or while no agent is there, nobody can count here.

use std::net::SocketAddr;

use suiro_record::Signal;
use suiro_sdk::intake::Desk;
use suiro_sdk::spans::Spans;
use suiro_sdk::{Reason, StartError};
use tokio::net::UdpSocket;
use tokio::time::{Duration, Instant};

use crate::decode::{Form, decode};
use crate::thrift::Protocol;

/// The largest datagram there can be.
const MAX_DATAGRAM: usize = 65_535;
/// A burst ends at so many bytes.
const MAX_BURST: usize = 256 << 10;
/// And at so many datagrams: empty ones add no bytes.
const MAX_DATAGRAMS: usize = 4096;
/// After that long something that went wrong is worth another line in the log.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// A socket, bound.
pub(crate) struct Socket {
    socket: std::net::UdpSocket,
    protocol: Protocol,
}

/// What is said about datagrams, once in a while.
#[derive(Default)]
struct Complaints(Option<Instant>);

// === impl Socket ===

impl Socket {
    /// `setting` is what the address is called.
    pub(crate) fn open(address: SocketAddr, protocol: Protocol, setting: &str) -> Result<Socket, StartError> {
        let complain = |error: std::io::Error| {
            let fix = match error.kind() {
                std::io::ErrorKind::AddrInUse => {
                    format!(
                        "; another process has that port: stop it, choose another port, or set `{setting}` to false"
                    )
                }
                _ => String::new(),
            };
            StartError(format!("`{setting}`: can't listen on {address} (UDP): {error}{fix}"))
        };
        let socket = std::net::UdpSocket::bind(address).map_err(complain)?;
        socket.set_nonblocking(true).map_err(complain)?;
        Ok(Socket { socket, protocol })
    }

    /// Takes spans until it is dropped.
    pub(crate) async fn serve(self, desk: Desk) {
        let input = desk.name().clone();
        let address = self.socket.local_addr().ok();
        let socket = match UdpSocket::from_std(self.socket) {
            Ok(socket) => socket,
            Err(error) => {
                tracing::error!(%input, ?address, %error, "can't listen");
                return;
            }
        };
        tracing::info!(%input, address = %address.map(|address| address.to_string()).unwrap_or_default(), "listens (UDP)");
        let mut buffer = vec![0; MAX_BURST + MAX_DATAGRAM];
        let mut datagrams = Vec::new();
        let mut complaints = Complaints::default();
        loop {
            if let Err(error) = receive(&socket, &mut buffer, &mut datagrams).await {
                // An error that a datagram of ours caused elsewhere; there are none, but who knows.
                tracing::debug!(%input, %error, "can't receive");
                tokio::task::yield_now().await;
                continue;
            }
            take(&desk, self.protocol, &buffer, &datagrams, &mut complaints);
            // A flood must not starve who shares this thread.
            tokio::task::yield_now().await;
        }
    }
}

/// Waits for datagrams and takes those that are there: where each ends in `buffer`.
async fn receive(socket: &UdpSocket, buffer: &mut [u8], ends: &mut Vec<usize>) -> std::io::Result<()> {
    ends.clear();
    let mut at = socket.recv(buffer).await?;
    ends.push(at);
    while at < MAX_BURST && ends.len() < MAX_DATAGRAMS {
        match socket.try_recv(&mut buffer[at..]) {
            Ok(length) => at += length,
            Err(_) => break,
        }
        ends.push(at);
    }
    Ok(())
}

fn take(desk: &Desk, protocol: Protocol, buffer: &[u8], ends: &[usize], complaints: &mut Complaints) {
    let origin = desk.origin();
    let mut open = |scope| desk.batch(scope, Signal::Traces);
    let mut spans = Spans::new(&mut open);
    let (mut from, mut bad) = (0, 0);
    for &end in ends {
        let mark = spans.mark();
        let datagram = &buffer[from..end];
        if let Err(error) = decode(datagram, protocol, Form::Message, &origin, from as u64, &mut spans) {
            spans.cut(mark);
            bad += 1;
            if complaints.is_time() {
                tracing::warn!(input = %desk.name(), ?protocol, %error, "a datagram that is no batch of Jaeger's");
            }
        }
        from = end;
    }
    desk.turn_away(Reason::MALFORMED, bad);
    let count = spans.len();
    if count == 0 {
        return;
    }
    match desk.try_room(spans.used()) {
        // Nobody waits for an answer.
        Ok(room) => drop(desk.submit(room, spans.finish(), from as u64)),
        Err(_) => {
            desk.turn_away(Reason::QUEUE_FULL, count);
            if complaints.is_time() {
                tracing::warn!(input = %desk.name(), spans = count, "no room for spans that came over UDP: they are lost");
            }
        }
    }
}

// === impl Complaints ===

impl Complaints {
    /// Whether to say it.
    fn is_time(&mut self) -> bool {
        let is_time = self.0.is_none_or(|said| said.elapsed() > SAY_AGAIN);
        if is_time {
            self.0 = Some(Instant::now());
        }
        is_time
    }
}
