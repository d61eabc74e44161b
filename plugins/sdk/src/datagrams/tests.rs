//! Datagrams through a socket.

use std::io::IoSlice;
use std::net::UdpSocket;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use suiro_record::{Key, Row, Scope, Source as Origin};

use super::*;
use crate::input::{Polled, Source, SourceSetup, StartError, Waker};
use crate::intake::{Desk, Intake};
use crate::spans::Spans;

/// Long enough for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// A span for each letter of a datagram, of that name; `!` can't be read, and `?` is a panic.
struct Letters(Arc<Origin>);

impl Decode for Letters {
    type Error = &'static str;

    fn begin(&mut self, source: Arc<Origin>) {
        self.0 = source;
    }

    fn decode(&mut self, datagram: &[u8], base: u64, spans: &mut Spans<'_>) -> Result<(), &'static str> {
        assert!(!datagram.contains(&b'?'), "a question");
        if datagram.contains(&b'!') || datagram.is_empty() {
            return Err("no letters");
        }
        let scope = Arc::new(Scope::new(self.0.clone()));
        for (at, letter) in datagram.iter().enumerate() {
            let place = base + at as u64;
            let write = |batch: &mut suiro_record::Batch| {
                let mut record = batch.assemble()?;
                record.put_text(Key::Name("name"), (*letter as char).encode_utf8(&mut [0; 4]))?;
                Ok(Row::new(record.finish(None)?, 0, place, place + 1))
            };
            spans.add(&scope, write).map_err(|_| "no room")?;
        }
        Ok(())
    }
}

/// A socket that is read, and what a worker would have of it.
struct Read {
    address: String,
    setup: SourceSetup,
    source: Box<dyn Source>,
    /// How often something was handed over, or died.
    woken: Arc<AtomicUsize>,
}

impl Read {
    fn start(max_pending: usize, open: impl FnOnce(&Desk) -> Result<Datagrams, StartError>) -> Read {
        let woken = Arc::<AtomicUsize>::default();
        let count = woken.clone();
        let waker = Waker::new(move || {
            count.fetch_add(1, Relaxed);
        });
        let setup = SourceSetup { waker, ..crate::intake::tests::setup() };
        let intake = Intake::new(max_pending);
        let desk = intake.desk(&setup).unwrap().unwrap();
        let gate = Arc::<Gate>::default();
        let source = gate.source(intake.source(&setup));
        let socket = open(&desk).unwrap();
        let address = socket.address().to_owned();
        desk.spawn(move |desk| async move {
            let mut reader = SpanReader::new(desk.clone(), gate, Letters(desk.origin()));
            tokio::select! {
                () = desk.stopping() => {}
                () = socket.read(desk.clone(), move |burst| reader.take(burst)) => {}
            }
        })
        .unwrap();
        Read { address, setup, source, woken }
    }

    fn udp(max_pending: usize) -> (Read, UdpSocket) {
        let any = "127.0.0.1:0".parse().unwrap();
        let read = Read::start(max_pending, |desk| Datagrams::udp(desk, "udp", any, Some(1 << 20), ""));
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(&read.address).unwrap();
        (read, client)
    }

    /// What was counted at the door, once it is so many.
    fn turned_away(&self, reason: &str, count: u64) {
        let counted = || self.setup.ledger.turned_away.snapshot().get(reason).copied().unwrap_or(0);
        wait(&format!("{count} {reason}"), || counted() >= count);
        assert_eq!(counted(), count);
    }

    /// The names of so many records, and their places.
    fn names(&mut self, count: usize) -> Vec<(String, u64)> {
        let mut names = Vec::new();
        wait("records", || {
            if let Polled::Batch(flow) = self.source.poll() {
                names.extend(shown(&flow.batch));
                flow.custody.settle();
            }
            names.len() >= count
        });
        names
    }
}

fn shown(batch: &suiro_record::Batch) -> Vec<(String, u64)> {
    let name = |row: &Row| {
        let mut text = Vec::new();
        batch.write_json(row, &mut text);
        let text = String::from_utf8(text).unwrap();
        (text.trim_start_matches("{\"name\":\"").trim_end_matches("\"}").to_owned(), row.start)
    };
    batch.rows.iter().map(name).collect()
}

fn named(names: &[(&str, u64)]) -> Vec<(String, u64)> {
    names.iter().map(|&(name, place)| (name.to_owned(), place)).collect()
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "no {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn what_can_be_read_comes_in_and_the_rest_is_counted() {
    let (mut read, client) = Read::udp(1 << 20);
    for datagram in [b"a".as_slice(), b"", b"b!", &vec![b'!'; 65_507], b"cd"] {
        client.send(datagram).unwrap();
    }
    let names: Vec<String> = read.names(3).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["a", "c", "d"]);
    read.turned_away("malformed", 3);
    assert_eq!((read.setup.ledger.received(), read.setup.ledger.settled_records()), (3, 3));
    read.source.stop();
}

#[test]
fn the_datagrams_of_a_burst_have_places_of_their_own() {
    let burst = Burst::of(b"abbccc", &[1, 1, 3, 6]);
    let all: Vec<(u64, &[u8])> = burst.iter().collect();
    assert_eq!(all, [(0, b"a".as_slice()), (1, b""), (1, b"bb"), (3, b"ccc")]);
    assert_eq!(burst.bytes(), 6);
}

#[test]
fn empty_datagrams_keep_nobody_from_reading() {
    let (mut read, client) = Read::udp(1 << 20);
    for _ in 0..20 {
        client.send(b"").unwrap();
    }
    client.send(b"a").unwrap();
    assert_eq!(read.names(1).len(), 1);
    read.turned_away("malformed", 20);
    read.source.stop();
}

#[test]
fn what_finds_no_room_is_counted() {
    let (mut read, client) = Read::udp(1);
    // The first is taken alone, whatever its size; as long as no worker takes it, no other is.
    client.send(b"a").unwrap();
    wait("hand-over", || read.woken.load(Relaxed) > 0);
    client.send(b"bcd").unwrap();
    read.turned_away("queue_full", 3);
    assert_eq!(read.names(1), named(&[("a", 0)]));
    client.send(b"e").unwrap();
    assert_eq!(read.names(1), named(&[("e", 0)]));
    read.source.stop();
}

/// Scenario: the agent stops while something is handed over that no worker has taken.
/// Guarantees: that is taken, and what comes behind it is counted.
#[test]
fn what_was_read_is_taken_when_the_agent_stops() {
    let (mut read, client) = Read::udp(1 << 20);
    client.send(b"ab").unwrap();
    wait("hand-over", || read.woken.load(Relaxed) > 0);
    read.source.stop();
    let flow = read.source.finish().expect("a batch");
    assert_eq!(shown(&flow.batch), named(&[("a", 0), ("b", 1)]));
    flow.custody.settle();
    assert!(read.source.finish().is_none());
    assert_eq!((read.setup.ledger.received(), read.setup.ledger.settled_records()), (2, 2));
}

#[test]
fn behind_a_closed_gate_nothing_is_taken() {
    let setup = crate::intake::tests::setup();
    let desk = Intake::new(1 << 20).desk(&setup).unwrap().unwrap();
    let gate = Arc::<Gate>::default();
    let mut reader = SpanReader::new(desk.clone(), gate.clone(), Letters(desk.origin()));
    gate.close();
    reader.take(Burst::of(b"abc", &[1, 3]));
    let counted = || setup.ledger.turned_away.snapshot().get("stopped").copied();
    assert_eq!(counted(), Some(3));
    gate.open();
    reader.take(Burst::of(b"abc", &[1, 3]));
    assert_eq!(counted(), Some(3));
}

#[test]
fn what_the_system_drops_is_counted() {
    const SENT: usize = 100;
    let (setup, desk, socket, client) = unread(4096);
    for _ in 0..SENT {
        client.send(&[b'x'; 1000]).unwrap();
    }
    let dropped = || setup.ledger.turned_away.snapshot().get("receive_buffer_full").copied().unwrap_or(0) as usize;
    let read = read_until(socket, &desk, &client, |read| dropped() > 0 && read + dropped() >= SENT);
    assert!(dropped() > 0 && read > 0 && read < SENT, "{read}");
}

/// Reads what waits at a socket until `done`, with datagrams of `y` sent meanwhile; how many of the others came.
fn read_until(socket: Datagrams, desk: &Desk, client: &UdpSocket, done: impl Fn(usize) -> bool) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let read = Arc::<AtomicUsize>::default();
    let count = read.clone();
    runtime.block_on(async {
        let reading = socket.read(desk.clone(), move |burst| {
            count.fetch_add(burst.iter().filter(|(_, datagram)| *datagram != b"y").count(), Relaxed);
        });
        let sending = async {
            // What was dropped is told with the next that is not.
            while !done(read.load(Relaxed)) {
                let _ = client.send(b"y");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            () = reading => panic!("it ended"),
            done = tokio::time::timeout(PATIENCE, sending) => done.expect("all is accounted for"),
        }
    });
    read.load(Relaxed)
}

/// A socket nobody reads, and who sends there.
fn unread(receive_buffer: usize) -> (SourceSetup, Desk, Datagrams, UdpSocket) {
    let any = "127.0.0.1:0".parse().unwrap();
    let setup = crate::intake::tests::setup();
    let desk = Intake::new(1 << 20).desk(&setup).unwrap().unwrap();
    let socket = Datagrams::udp(&desk, "udp", any, Some(receive_buffer), "").unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(socket.address()).unwrap();
    (setup, desk, socket, client)
}

/// Scenario: more datagrams wait than one burst takes.
/// Guarantees: each is taken, or counted as dropped where the system had no room for it.
#[test]
fn nothing_is_lost_between_bursts() {
    const SENT: usize = 2500;
    let (setup, desk, socket, client) = unread(4 << 20);
    for _ in 0..SENT {
        client.send(b"x").unwrap();
    }
    let dropped = || setup.ledger.turned_away.snapshot().get("receive_buffer_full").copied().unwrap_or(0) as usize;
    let read = read_until(socket, &desk, &client, |read| read + dropped() >= SENT);
    assert!(read <= SENT && read > 0, "{read}");
}

/// Scenario: who sends to a Unix socket sends an open file beside a datagram.
/// Guarantees: the agent does not hold it.
#[test]
fn files_beside_datagrams_are_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.sock");
    let mut read = Read::start(1 << 20, |desk| Datagrams::unix(desk, "unix", &path, None));
    let client = UnixDatagram::unbound().unwrap();
    client.connect(&path).unwrap();
    let (held, sent) = std::io::pipe().unwrap();
    let files = [sent.as_raw_fd()];
    let beside = [ControlMessage::ScmRights(&files)];
    sendmsg::<()>(client.as_raw_fd(), &[IoSlice::new(b"a")], &beside, MsgFlags::empty(), None).unwrap();
    drop(sent);
    assert_eq!(read.names(1), named(&[("a", 0)]));
    // It hangs up once nobody holds the other end.
    let mut polled = [PollFd::new(held.as_fd(), PollFlags::empty())];
    assert_eq!(poll(&mut polled, PollTimeout::try_from(PATIENCE).unwrap()), Ok(1));
    read.source.stop();
}

#[test]
fn a_unix_socket_takes_datagrams_up_to_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.sock");
    let mut read = Read::start(1 << 20, |desk| Datagrams::unix(desk, "unix", &path, Some(1 << 20)));
    assert_eq!(read.address, path.display().to_string());
    let client = UnixDatagram::unbound().unwrap();
    client.send_to(&vec![b'x'; (64 << 10) + 1], &path).unwrap();
    client.send_to(b"a", &path).unwrap();
    client.send_to(&vec![b'!'; 64 << 10], &path).unwrap();
    assert_eq!(read.names(1)[0].0, "a");
    read.turned_away("too_large", 1);
    read.turned_away("malformed", 1);
    read.source.stop();
}

#[test]
fn a_panic_is_the_inputs() {
    let (mut read, client) = Read::udp(1 << 20);
    client.send(b"?").unwrap();
    wait("word of it", || read.woken.load(Relaxed) > 0);
    let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| read.source.poll())).unwrap_err();
    let text = died.downcast_ref::<String>().unwrap();
    assert!(text.contains("its network side died") && text.contains("a question"), "{text}");
    read.source.stop();
}

#[test]
fn a_port_that_is_taken_is_told() {
    let desk = Intake::new(1).desk(&crate::intake::tests::setup()).unwrap().unwrap();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let open = Datagrams::udp(&desk, "udp", taken.local_addr().unwrap(), None, ", perhaps a daemon");
    let error = open.expect_err("it is taken").to_string();
    assert!(
        error.contains("`udp`: can't listen on") && error.contains("that port, perhaps a daemon: stop it"),
        "{error}"
    );
    let open = Datagrams::udp(&desk, "udp", "192.0.2.1:1".parse().unwrap(), None, "");
    assert!(open.expect_err("it is elsewhere").to_string().contains("no such address"));
}
