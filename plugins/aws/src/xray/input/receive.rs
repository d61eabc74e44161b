//! Segments in datagrams.
//!
//! They are read on a thread of their own, by calls that block, so that no request to X-Ray and no TLS handshake keeps it from
//! reading: what the system's buffer holds is a few milliseconds' worth. What is there is taken in one go: a burst shares an
//! origin and a hand-over. Nobody can be told to send a segment again, so what finds no room is counted by records, what can't
//! be read by datagrams, and what the system dropped since its buffer was full, by its own count (`SO_RXQ_OVFL`).

use std::io::{ErrorKind, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, getsockopt, recv, recvmsg, setsockopt, sockopt};
use suiro_record::Signal;
use suiro_sdk::intake::Desk;
use suiro_sdk::spans::Spans;
use suiro_sdk::{Reason, StartError};

use super::decode::{Decoder, Format};

/// The largest datagram there can be.
const MAX_DATAGRAM: usize = 65_535;
/// A burst ends at so many bytes.
const MAX_BURST: usize = 256 << 10;
/// And at so many datagrams: empty ones take no bytes.
const MAX_DATAGRAMS: usize = 1024;
/// What the system is asked to keep, unless it is set.
const RECEIVE_BUFFER: usize = 4 << 20;
/// How often who reads looks whether it shall end.
const LOOK_UP: Duration = Duration::from_millis(200);
/// After an error of the socket's.
const PAUSE: Duration = Duration::from_millis(10);
/// After that long something that went wrong is worth another line in the log.
const SAY_AGAIN: Duration = Duration::from_secs(60);
/// Of a datagram that is none, so much is shown.
const SHOWN: usize = 80;

/// The system dropped datagrams since its buffer was full.
pub(crate) const RECEIVE_BUFFER_FULL: Reason = Reason("receive_buffer_full");
/// The agent has stopped.
const STOPPED: Reason = Reason("stopped");

/// A socket, bound.
pub(crate) struct Socket {
    socket: UdpSocket,
    address: SocketAddr,
    /// What the system gave, bytes.
    buffer: usize,
}

/// Whether segments are still taken. Locked while a burst is handed over, so that who closes it knows that all is.
#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<bool>);

/// Ends the thread that reads.
pub(crate) struct Reading(Arc<AtomicBool>);

/// What reads.
struct Reader {
    desk: Desk,
    decoder: Decoder,
    gate: Arc<Gate>,
    /// What the system had dropped when last it said so.
    dropped: u32,
    malformed: Complaint,
    no_room: Complaint,
    overflowed: Complaint,
}

/// Something that is said once in a while.
#[derive(Debug, Default)]
struct Complaint {
    said: Option<Instant>,
    unsaid: usize,
}

// === impl Socket ===

impl Socket {
    pub(crate) fn open(address: SocketAddr, receive_buffer: Option<usize>, input: &str) -> Result<Socket, StartError> {
        let complain = |error: std::io::Error| {
            let fix = match error.kind() {
                ErrorKind::AddrInUse => {
                    "; another process has that port, perhaps the X-Ray daemon: stop it, choose another port, or set `udp` \
                     to false"
                }
                ErrorKind::AddrNotAvailable => "; this machine has no such address",
                _ => "",
            };
            StartError(format!("`udp`: can't listen on {address}: {error}{fix}"))
        };
        let socket = UdpSocket::bind(address).map_err(complain)?;
        socket.set_read_timeout(Some(LOOK_UP)).map_err(complain)?;
        let address = socket.local_addr().map_err(complain)?;
        // Older kernels don't count; then nobody does.
        let _ = setsockopt(&socket, sockopt::RxqOvfl, &1);
        let wanted = receive_buffer.unwrap_or(RECEIVE_BUFFER);
        // The first may exceed net.core.rmem_max, and needs a privilege.
        if setsockopt(&socket, sockopt::RcvBufForce, &wanted).is_err() {
            let _ = setsockopt(&socket, sockopt::RcvBuf, &wanted);
        }
        // The system doubles what it is asked for, for its own needs, and says so.
        let buffer = getsockopt(&socket, sockopt::RcvBuf).map_or(0, |given| given / 2);
        if buffer < wanted && receive_buffer.is_some() {
            tracing::warn!(
                %input,
                wanted,
                given = buffer,
                "`receive_buffer` is more than the system allows: raise net.core.rmem_max, or segments may be lost in bursts"
            );
        }
        Ok(Socket { socket, address, buffer })
    }

    /// Where it listens, the port included if the system chose it.
    #[cfg(test)]
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes segments until what is returned first is dropped. The second ends with it, or with a panic.
    pub(crate) fn read(self, desk: Desk, format: Format, gate: Arc<Gate>) -> (Reading, tokio::task::JoinHandle<()>) {
        let Socket { socket, address, buffer } = self;
        tracing::info!(input = %desk.name(), %address, receive_buffer = buffer, "takes segments (UDP)");
        let ended = Arc::new(AtomicBool::new(false));
        let reading = Reading(ended.clone());
        let mut reader = Reader {
            desk,
            decoder: Decoder::new(format),
            gate,
            dropped: 0,
            malformed: Complaint::default(),
            no_room: Complaint::default(),
            overflowed: Complaint::default(),
        };
        let thread = tokio::task::spawn_blocking(move || reader.run(&socket, &ended));
        (reading, thread)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

// === impl Gate ===

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }

    #[cfg(test)]
    pub(crate) fn is_closed(&self) -> bool {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is read from now on is turned away; what was read before is handed over.
    pub(crate) fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }
}

// === impl Reader ===

impl Reader {
    fn run(&mut self, socket: &UdpSocket, ended: &AtomicBool) {
        let mut buffer = vec![0; MAX_BURST + MAX_DATAGRAM];
        let mut control = nix::cmsg_space!(u32);
        let mut ends = Vec::new();
        while !ended.load(Relaxed) {
            match self.receive(socket, &mut buffer, &mut control, &mut ends) {
                Ok(()) => self.take(&buffer, &ends),
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                // There is none to be expected: who knows what it is may know how long it lasts.
                Err(error) => {
                    tracing::debug!(input = %self.desk.name(), %error, "can't receive");
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    /// Waits for datagrams and takes those that are there: where each ends in `buffer`.
    fn receive(
        &mut self,
        socket: &UdpSocket,
        buffer: &mut [u8],
        control: &mut [u8],
        ends: &mut Vec<usize>,
    ) -> nix::Result<()> {
        ends.clear();
        let mut at = {
            let mut slices = [IoSliceMut::new(buffer)];
            let received = recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(control), MsgFlags::empty())?;
            for message in received.cmsgs()? {
                if let ControlMessageOwned::RxqOvfl(dropped) = message {
                    let new = dropped.wrapping_sub(self.dropped);
                    self.dropped = dropped;
                    self.desk.turn_away(RECEIVE_BUFFER_FULL, new as usize);
                    if let Some(segments) = self.overflowed.of(new as usize) {
                        tracing::warn!(
                            input = %self.desk.name(),
                            segments,
                            "the system dropped segments, since nobody had read those before them: raise \
                             `receive_buffer` and net.core.rmem_max, or give the agent more of a CPU"
                        );
                    }
                }
            }
            received.bytes
        };
        ends.push(at);
        while at < MAX_BURST && ends.len() < MAX_DATAGRAMS {
            match recv(socket.as_raw_fd(), &mut buffer[at..], MsgFlags::MSG_DONTWAIT) {
                Ok(length) => at += length,
                Err(_) => break,
            }
            ends.push(at);
        }
        Ok(())
    }

    fn take(&mut self, buffer: &[u8], ends: &[usize]) {
        let gate = self.gate.clone();
        let closed = gate.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *closed {
            return self.desk.turn_away(STOPPED, ends.len());
        }
        let desk = self.desk.clone();
        let mut open = |scope| desk.batch(scope, Signal::Traces);
        let mut spans = Spans::new(&mut open);
        self.decoder.begin(desk.origin());
        let (mut from, mut bad) = (0, 0);
        for &end in ends {
            let datagram = &buffer[from..end];
            if let Err(error) = self.decoder.decode(datagram, from as u64, &mut spans) {
                bad += 1;
                if let Some(malformed) = self.malformed.of(1) {
                    let begins = suiro_sdk::http::excerpt(&datagram[..datagram.len().min(SHOWN)]);
                    tracing::warn!(
                        input = %desk.name(),
                        bytes = datagram.len(),
                        %begins,
                        malformed,
                        "a datagram is no segment: {error}; it is counted and left out"
                    );
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
                if let Some(records) = self.no_room.of(count) {
                    tracing::warn!(
                        input = %desk.name(),
                        records,
                        "no room for segments: they are lost; is an output slow? Or raise `max_pending`"
                    );
                }
            }
        }
    }
}

// === impl Complaint ===

impl Complaint {
    /// How many there were since it was last said, if it is time to say it.
    fn of(&mut self, n: usize) -> Option<usize> {
        self.unsaid += n;
        let is_time = self.unsaid > 0 && self.said.is_none_or(|said| said.elapsed() >= SAY_AGAIN);
        is_time.then(|| {
            self.said = Some(Instant::now());
            std::mem::take(&mut self.unsaid)
        })
    }
}
