//! Datagrams through a socket.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use suiro_sdk::intake::{Desk, Intake};
use suiro_sdk::settings::Section;
use suiro_sdk::{Polled, SourceSetup, Waker};

use super::*;
use crate::xray::input::receive::{Gate, Socket};

/// Long enough for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// A socket that is read, and what a worker would have of it.
struct Read {
    client: UdpSocket,
    setup: SourceSetup,
    source: Box<dyn suiro_sdk::Source>,
    gate: Arc<Gate>,
    /// How often something was.
    handed_over: Arc<AtomicUsize>,
}

impl Read {
    fn start(format: Format, max_pending: usize) -> Read {
        let handed_over = Arc::<AtomicUsize>::default();
        let count = handed_over.clone();
        let waker = Waker::new(move || {
            count.fetch_add(1, Relaxed);
        });
        let setup = SourceSetup { waker, ..setup() };
        let intake = Intake::new(max_pending);
        let desk: Desk = intake.desk(&setup).unwrap().unwrap();
        let source = intake.source(&setup);
        let socket = Socket::open("127.0.0.1:0".parse().unwrap(), Some(1 << 20), "in").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(socket.address()).unwrap();
        let gate = Arc::<Gate>::default();
        let gated = gate.clone();
        desk.spawn(move |desk| async move {
            let stopping = desk.stopping();
            let (_reading, _thread) = socket.read(desk, format, gated);
            stopping.await;
        })
        .unwrap();
        Read { client, setup, source, gate, handed_over }
    }

    fn send(&self, name: &str) {
        let document = format!(
            r#"{HEADER}{{"id":"53995c3f42cd8ad8","trace_id":"1-581cf771-a006649127e371903a2de979","name":"{name}","start_time":1,"end_time":2}}"#
        );
        self.client.send(document.as_bytes()).unwrap();
    }

    /// What was counted at the door, once it is so many.
    fn turned_away(&self, reason: &str, count: u64) {
        let counted = || self.setup.ledger.turned_away.snapshot().get(reason).copied().unwrap_or(0);
        wait(&format!("{count} {reason}"), || counted() >= count);
        assert_eq!(counted(), count);
    }

    /// The names of so many records.
    fn names(&mut self, count: usize) -> Vec<Value> {
        let mut names = Vec::new();
        wait("records", || {
            if let Polled::Batch(flow) = self.source.poll() {
                let records = shown(std::slice::from_ref(&flow.batch));
                names.extend(records.iter().map(|record| record.body["name"].clone()));
                flow.custody.settle();
            }
            names.len() >= count
        });
        names
    }
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "no {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn segments_come_in_and_the_rest_is_counted() {
    for format in [Format::Spans, Format::Segments] {
        let mut read = Read::start(format, 1 << 20);
        read.send("a");
        for datagram in [b"".as_slice(), b"x", HEADER.as_bytes(), &vec![b'{'; 65_000]] {
            read.client.send(datagram).unwrap();
        }
        read.send("b");
        assert_eq!(read.names(2), ["a", "b"]);
        read.turned_away("malformed", 4);
        assert_eq!((read.setup.ledger.received(), read.setup.ledger.settled_records()), (2, 2));
        read.source.stop();
    }
}

#[test]
fn empty_datagrams_keep_nobody_from_reading() {
    let mut read = Read::start(Format::Spans, 1 << 20);
    for _ in 0..20 {
        read.client.send(b"").unwrap();
    }
    read.send("a");
    assert_eq!(read.names(1), ["a"]);
    read.turned_away("malformed", 20);
    read.source.stop();
}

#[test]
fn what_finds_no_room_is_counted() {
    let mut read = Read::start(Format::Segments, 1);
    // The first is taken alone, whatever its size; as long as no worker takes it, no other is.
    read.send("a");
    wait("hand-over", || read.handed_over.load(Relaxed) > 0);
    read.send("b");
    read.turned_away("queue_full", 1);
    assert_eq!(read.names(1), ["a"]);
    read.send("c");
    assert_eq!(read.names(1), ["c"]);
    read.source.stop();
}

#[test]
fn behind_a_closed_gate_nothing_is_taken() {
    let read = Read::start(Format::Spans, 1 << 20);
    read.gate.close();
    read.send("a");
    read.turned_away("stopped", 1);
    assert_eq!(read.setup.ledger.received(), 0);
}

#[test]
fn a_port_that_is_taken_is_told() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let error = Socket::open(taken.local_addr().unwrap(), None, "in").err().expect("it is taken").to_string();
    assert!(error.contains("`udp`: can't listen on") && error.contains("perhaps the X-Ray daemon"), "{error}");
}

#[test]
fn settings_that_are_wrong_say_so() {
    let read = |text: &str| {
        let (section, diagnostics) = Section::from_text("[[input]] xray", text);
        let built = crate::xray::input::build(&section).is_ok();
        (built, diagnostics.render(false))
    };
    assert_eq!(read(""), (true, String::new()));
    for (text, why) in [
        ("udp = false\ntcp = false", "listens nowhere"),
        ("format = 'json'", "`format`"),
        ("receive_buffer = '1B'", "receive_buffer"),
        ("sampling = 'local'", "missing setting `sampling_rules`"),
        ("sampling_rules = 'rules.json'", "are asked for nowhere"),
        ("sampling = 'local'\nsampling_rules = '/nonexistent'", "can't read /nonexistent"),
        ("sampling = 'local'\nsampling_rules = '/dev/null'", "holds no sampling rules"),
        ("region = 'no region'", "region"),
        ("nope = 1", "nope"),
    ] {
        let (built, said) = read(text);
        assert!(!built && said.contains(why), "{text}: {said}");
    }
    let (built, said) = read("udp = '0.0.0.0:2000'\ntcp = '0.0.0.0:2000'");
    assert!(built && said.contains("others can send segments") && said.contains("others can have requests"), "{said}");
}
