//! A socket, and the thread that reads it.

use std::io::{ErrorKind, IoSliceMut, PipeReader};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, getsockopt, recv, recvmsg, setsockopt, sockopt};

use crate::complaint::Complaint;
use crate::input::StartError;
use crate::intake::Desk;
use crate::ledger::Reason;
use crate::serve::unix::{MODE, bind_at};
use crate::settings::{ByteSize, Section};

/// The largest datagram that is taken: by UDP there is none larger. Bytes.
const MAX_DATAGRAM: usize = 64 << 10;
/// A burst ends at so many bytes.
const MAX_BURST: usize = 256 << 10;
/// And at so many datagrams.
const MAX_DATAGRAMS: usize = 1024;
/// What the system is asked to keep, unless it is set.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Nobody waits, and what is cut tells how long it was.
const FLAGS: MsgFlags = MsgFlags::MSG_DONTWAIT.union(MsgFlags::MSG_TRUNC);
/// After an error of the socket's.
const PAUSE: Duration = Duration::from_millis(10);

/// The system dropped datagrams since its buffer was full.
pub const RECEIVE_BUFFER_FULL: Reason = Reason("receive_buffer_full");

/// Reads the setting `receive_buffer`: bytes the system keeps for datagrams nobody has read yet. `None`: as many as are good.
pub fn receive_buffer(section: &Section) -> Option<usize> {
    section.within("receive_buffer", ByteSize(4096)..=ByteSize::mib(1024)).map(ByteSize::as_usize)
}

/// A socket for datagrams, bound.
#[derive(Debug)]
pub struct Datagrams {
    socket: OwnedFd,
    is_udp: bool,
    /// What its address is called.
    setting: &'static str,
    address: String,
    /// What the system gave, bytes.
    buffer: usize,
}

/// Datagrams that were there at one time.
#[derive(Clone, Copy, Debug)]
pub struct Burst<'b> {
    bytes: &'b [u8],
    ends: &'b [usize],
}

/// What the thread that reads has.
struct Reader {
    desk: Desk,
    socket: OwnedFd,
    is_udp: bool,
    /// It hangs up when the thread is to end.
    until: PipeReader,
    /// What the system had dropped when last it said so.
    dropped: u32,
    overflowed: Complaint,
    too_large: Complaint,
}

// === impl Datagrams ===

impl Datagrams {
    /// Binds a UDP socket. `setting` is what the address is called, `receive_buffer` how many bytes the system is to keep, if
    /// that was set. Where another process has the port, `rival` says which that may be.
    pub fn udp(
        desk: &Desk,
        setting: &'static str,
        address: SocketAddr,
        receive_buffer: Option<usize>,
        rival: &str,
    ) -> Result<Datagrams, StartError> {
        let complain = |error: std::io::Error| {
            let fix = match error.kind() {
                ErrorKind::AddrInUse => format!(
                    "; another process has that port{rival}: stop it, choose another port, or set `{setting}` to false"
                ),
                ErrorKind::AddrNotAvailable => "; this machine has no such address".to_owned(),
                _ => String::new(),
            };
            StartError(format!("`{setting}`: can't listen on {address} (UDP): {error}{fix}"))
        };
        let socket = UdpSocket::bind(address).map_err(complain)?;
        let address = socket.local_addr().map_err(complain)?.to_string();
        // Older kernels don't count; then nobody does.
        let _ = setsockopt(&socket, sockopt::RxqOvfl, &1);
        Ok(Datagrams { is_udp: true, ..Datagrams::of(desk, setting, address, socket.into(), receive_buffer) })
    }

    /// Binds a Unix socket, at which everybody may send. The system keeps who sends waiting where it has no room.
    pub fn unix(
        desk: &Desk,
        setting: &'static str,
        path: &Path,
        receive_buffer: Option<usize>,
    ) -> Result<Datagrams, StartError> {
        let socket = bind_at(setting, path, MODE, || UnixDatagram::bind(path))?;
        Ok(Datagrams::of(desk, setting, path.display().to_string(), socket.into(), receive_buffer))
    }

    fn of(
        desk: &Desk,
        setting: &'static str,
        address: String,
        socket: OwnedFd,
        receive_buffer: Option<usize>,
    ) -> Datagrams {
        let wanted = receive_buffer.unwrap_or(RECEIVE_BUFFER);
        // The first may exceed net.core.rmem_max, and needs a privilege.
        if setsockopt(&socket, sockopt::RcvBufForce, &wanted).is_err() {
            let _ = setsockopt(&socket, sockopt::RcvBuf, &wanted);
        }
        // The system doubles what it is asked for, for its own needs, and says so.
        let buffer = getsockopt(&socket, sockopt::RcvBuf).map_or(0, |given| given / 2);
        if buffer < wanted && receive_buffer.is_some() {
            tracing::warn!(
                input = %desk.name(),
                wanted,
                given = buffer,
                "`receive_buffer` is more than the system allows: raise net.core.rmem_max, or datagrams may be lost in bursts"
            );
        }
        Datagrams { socket, is_udp: false, setting, address, buffer }
    }

    /// Where it listens, the port included if the system chose it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Reads on a thread of its own, which calls `take` with what is there, until this future is dropped. It completes if the
    /// thread ended by itself, and panics if that did. Within the runtime of [`Desk::spawn`].
    pub async fn read(self, desk: Desk, mut take: impl FnMut(Burst<'_>) + Send + 'static) {
        let Datagrams { socket, is_udp, setting, address, buffer } = self;
        let (until, _hangs_up_when_dropped) = match std::io::pipe() {
            Ok(pipe) => pipe,
            Err(error) => return tracing::error!(input = %desk.name(), %error, "can't make a pipe"),
        };
        tracing::info!(input = %desk.name(), %setting, %address, receive_buffer = buffer, "takes datagrams");
        let mut reader = Reader {
            desk,
            socket,
            is_udp,
            until,
            dropped: 0,
            overflowed: Complaint::default(),
            too_large: Complaint::default(),
        };
        let thread = tokio::task::spawn_blocking(move || reader.run(&mut take));
        if let Err(error) = thread.await
            && let Ok(panic) = error.try_into_panic()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

// === impl Reader ===

impl Reader {
    fn run(&mut self, take: &mut impl FnMut(Burst<'_>)) {
        let mut buffer = vec![0; MAX_BURST + MAX_DATAGRAM];
        let mut control = nix::cmsg_space!(u32);
        let mut ends = Vec::new();
        while self.wait() {
            match self.receive(&mut buffer, &mut control, &mut ends) {
                Ok(()) if ends.is_empty() => {}
                Ok(()) => take(Burst::of(&buffer, &ends)),
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                // There is none to be expected: who knows what it is may know how long it lasts.
                Err(error) => {
                    tracing::debug!(input = %self.desk.name(), %error, "can't receive");
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    /// Until there is something to read. `false`: the thread is to end.
    fn wait(&self) -> bool {
        let mut both =
            [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN), PollFd::new(self.until.as_fd(), PollFlags::empty())];
        // An error is a signal, or nothing that waiting mends: the read says.
        let _ = poll(&mut both, PollTimeout::NONE);
        both[1].revents().is_none_or(|events| events.is_empty())
    }

    /// Takes the datagrams that are there: where each ends in `buffer`.
    fn receive(&mut self, buffer: &mut [u8], control: &mut [u8], ends: &mut Vec<usize>) -> nix::Result<()> {
        ends.clear();
        let mut length = self.first(&mut buffer[..MAX_DATAGRAM], control)?;
        let (mut at, mut too_large) = (0, 0);
        loop {
            if length > MAX_DATAGRAM {
                too_large += 1;
            } else {
                at += length;
                ends.push(at);
            }
            // What is received is taken: whether to go on is asked before.
            if at >= MAX_BURST || ends.len() + too_large == MAX_DATAGRAMS {
                break;
            }
            match recv(self.socket.as_raw_fd(), &mut buffer[at..at + MAX_DATAGRAM], FLAGS) {
                Ok(next) => length = next,
                Err(_) => break,
            }
        }
        self.desk.turn_away(Reason::TOO_LARGE, too_large);
        if let Some(datagrams) = self.too_large.of(too_large) {
            tracing::warn!(
                input = %self.desk.name(),
                datagrams,
                "datagrams of more than {MAX_DATAGRAM} bytes are counted and left out"
            );
        }
        Ok(())
    }

    /// Takes the first datagram, and what the system says beside it. Its length.
    fn first(&mut self, buffer: &mut [u8], control: &mut [u8]) -> nix::Result<usize> {
        let socket = self.socket.as_raw_fd();
        if !self.is_udp {
            // Beside a datagram at a Unix socket its sender may put open files: nobody asks for them.
            return recv(socket, buffer, FLAGS);
        }
        let mut slices = [IoSliceMut::new(buffer)];
        let received = recvmsg::<()>(socket, &mut slices, Some(control), FLAGS)?;
        for message in received.cmsgs()? {
            if let ControlMessageOwned::RxqOvfl(dropped) = message {
                self.overflow(dropped);
            }
        }
        Ok(received.bytes)
    }

    /// The system has dropped so many since the socket was made.
    fn overflow(&mut self, dropped: u32) {
        let new = dropped.wrapping_sub(self.dropped) as usize;
        self.dropped = dropped;
        self.desk.turn_away(RECEIVE_BUFFER_FULL, new);
        if let Some(datagrams) = self.overflowed.of(new) {
            tracing::warn!(
                input = %self.desk.name(),
                datagrams,
                "the system dropped datagrams, since nobody had read those before them: raise `receive_buffer` and \
                 net.core.rmem_max, or give the agent more of a CPU"
            );
        }
    }
}

// === impl Burst ===

impl<'b> Burst<'b> {
    /// Of datagrams that stand one behind the other in `bytes`, by where each ends.
    pub(super) fn of(bytes: &'b [u8], ends: &'b [usize]) -> Self {
        Burst { bytes, ends }
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Each, behind the place of its first byte among those of the burst.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &'b [u8])> + use<'b> {
        let Burst { bytes, ends } = *self;
        let mut from = 0;
        ends.iter().map(move |&end| {
            let at = std::mem::replace(&mut from, end);
            (at as u64, &bytes[at..end])
        })
    }
}
