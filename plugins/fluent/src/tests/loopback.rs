//! Connections over a Unix socket, and a worker that the test plays.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use suiro_record::Value;
use suiro_sdk::settings::Section;
use suiro_sdk::{Flow, Input, InputLedger, Polled, Source, SourceSetup};
use tempfile::TempDir;

use super::kit::{event, map, message, packed, put};
use crate::input;

/// Far longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// An input that listens.
struct Agent {
    source: Box<dyn Source>,
    ledger: Arc<InputLedger>,
    _input: Box<dyn Input>,
    folder: TempDir,
}

// === impl Agent ===

impl Agent {
    fn start(settings: &str) -> Agent {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let text = format!("listen = false\nunix = '{}'\n{settings}", path.display());
        let (section, diagnostics) = Section::from_text("[[input]] forward", &text);
        let input = input::build(&section).unwrap_or_else(|_| panic!("{}", diagnostics.render(false)));
        let setup = SourceSetup::sample(input.default_tag().unwrap());
        let ledger = setup.ledger.clone();
        let source = input.source(setup).unwrap().unwrap();
        Agent { source, ledger, _input: input, folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.path()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn poll(&mut self) -> Option<Flow> {
        match self.source.poll() {
            Polled::Batch(flow) => Some(flow),
            Polled::Idle { .. } | Polled::Done => None,
        }
    }

    /// The next batch a worker would take.
    fn next(&mut self) -> Flow {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(flow) = self.poll() {
                return flow;
            }
            assert!(Instant::now() < until, "nothing came");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn turned_away(&self, reason: &str) -> u64 {
        self.ledger.turned_away.snapshot().get(reason).copied().unwrap_or(0)
    }

    /// Waits until so many were: a client may see the end of its connection before it is counted.
    fn expect_turned_away(&self, reason: &str, number: u64) {
        let until = Instant::now() + PATIENCE;
        while self.turned_away(reason) < number {
            assert!(Instant::now() < until, "{:?}", self.ledger.turned_away.snapshot());
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(self.turned_away(reason), number, "{reason}");
    }

    /// Stops it as a worker does: what it still had, in records.
    fn stop(mut self) -> usize {
        self.source.stop();
        let mut records = 0;
        while let Some(flow) = self.source.finish() {
            records += flow.batch.len();
            flow.custody.settle();
        }
        assert_eq!(self.ledger.received(), self.ledger.settled_records() + self.ledger.in_flight());
        records
    }
}

fn log(text: &str, option: &[(&str, Value)]) -> Vec<u8> {
    let mut body = Vec::new();
    put(&mut body, &map(&[("log", text.into())]));
    message("app", &[&[0x01], &body], option)
}

fn chunk(name: &str) -> [(&'static str, Value); 1] {
    [("chunk", name.into())]
}

fn ack(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, &map(&[("ack", name.into())]));
    out
}

fn expect(stream: &mut UnixStream, bytes: &[u8]) {
    let mut read = vec![0; bytes.len()];
    stream.read_exact(&mut read).unwrap();
    assert_eq!(read, bytes);
}

/// The connection is closed by the agent, without another word.
fn expect_end(stream: &mut UnixStream) {
    let mut rest = Vec::new();
    // It may be reset, since there is something it has not read.
    let _ = stream.read_to_end(&mut rest);
    assert_eq!(rest, []);
}

#[test]
fn a_chunk_is_acknowledged_when_its_records_are_queued() {
    let mut agent = Agent::start("");
    let mut client = agent.connect();
    client.write_all(&log("a", &chunk("1"))).unwrap();
    let flow = agent.next();
    assert_eq!((&*flow.batch.tag, flow.batch.len()), ("app", 1));
    client.set_nonblocking(true).unwrap();
    assert!(client.read(&mut [0]).is_err(), "not acknowledged before it is in a queue");
    client.set_nonblocking(false).unwrap();
    flow.custody.note_queued();
    expect(&mut client, &ack("1"));
    // Those that nobody waits for are not acknowledged.
    client.write_all(&[log("b", &[]), log("c", &chunk("2"))].concat()).unwrap();
    let mut records = 0;
    while records < 2 {
        let flow = agent.next();
        records += flow.batch.len();
        flow.custody.settle();
    }
    expect(&mut client, &ack("2"));
    flow.custody.settle();
    assert_eq!(agent.stop(), 0);
}

#[test]
fn delivered_is_later_than_queued() {
    let mut agent = Agent::start("ack = 'delivered'");
    let mut client = agent.connect();
    client.write_all(&log("a", &chunk("1"))).unwrap();
    let flow = agent.next();
    flow.custody.note_queued();
    // Others go on meanwhile, on the same connection too.
    client.write_all(&log("b", &chunk("2"))).unwrap();
    agent.next().custody.settle();
    expect(&mut client, &ack("2"));
    flow.custody.settle();
    expect(&mut client, &ack("1"));
    agent.stop();
}

#[test]
fn without_an_answer_in_time_the_connection_ends() {
    let mut agent = Agent::start("ack_timeout = '50ms'");
    let mut client = agent.connect();
    client.write_all(&log("a", &chunk("1"))).unwrap();
    let flow = agent.next();
    expect_end(&mut client);
    flow.custody.settle();
    agent.stop();
}

#[test]
fn without_room_nothing_more_is_read_and_nothing_is_lost() {
    let mut agent = Agent::start("max_pending = '64KiB'\nmax_message = '64KiB'");
    let client = agent.connect();
    let events: Vec<u8> =
        (0..50).flat_map(|_| event(&[0x01], &map(&[("log", "x".repeat(500).as_str().into())]))).collect();
    let bytes = message("app", &[&packed(&events)], &[]);
    client.set_nonblocking(true).unwrap();
    let (mut sent, mut all) = (0, 0);
    let until = Instant::now() + PATIENCE;
    // Until the agent's memory and the system's are full: a few hundred KiB.
    let mut quiet = Instant::now();
    while quiet.elapsed() < Duration::from_millis(300) {
        let at = all % bytes.len();
        match (&client).write(&bytes[at..]) {
            Ok(n) => {
                all += n;
                quiet = Instant::now();
            }
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
        assert!(Instant::now() < until && all < 64 << 20, "it takes whatever comes");
    }
    client.set_nonblocking(false).unwrap();
    let rest = (bytes.len() - all % bytes.len()) % bytes.len();
    let records = (all + rest) / bytes.len() * 50;
    let writer = std::thread::spawn(move || {
        (&client).write_all(&bytes[bytes.len() - rest..]).unwrap();
        client
    });
    while sent < records {
        let flow = agent.next();
        sent += flow.batch.len();
        flow.custody.settle();
    }
    writer.join().unwrap();
    assert_eq!(sent, records);
    assert_eq!(agent.ledger.turned_away.total(), 0);
    agent.stop();
}

#[test]
fn large_messages_of_many_wait_for_each_other() {
    // Room for one at a time.
    let mut agent = Agent::start("max_pending = '1MiB'\nmax_message = '1MiB'");
    let events: Vec<u8> =
        (0..900).flat_map(|_| event(&[0x01], &map(&[("log", "x".repeat(1000).as_str().into())]))).collect();
    let path = agent.path();
    let clients: Vec<_> = (0..6)
        .map(|n: usize| {
            let (path, name) = (path.clone(), n.to_string());
            let bytes = message("app", &[&packed(&events)], &chunk(&name));
            std::thread::spawn(move || {
                let mut client = UnixStream::connect(path).unwrap();
                client.set_read_timeout(Some(PATIENCE)).unwrap();
                // In pieces, so that all have begun before any is complete.
                bytes.chunks(50_000).for_each(|piece| client.write_all(piece).unwrap());
                expect(&mut client, &ack(&name));
            })
        })
        .collect();
    let mut records = 0;
    while records < 6 * 900 {
        let flow = agent.next();
        records += flow.batch.len();
        flow.custody.settle();
    }
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert_eq!(agent.ledger.turned_away.total(), 0);
    agent.stop();
}

#[test]
fn who_is_no_client_is_closed_and_counted() {
    let agent = Agent::start("max_message = '64KiB'\ntimeout = '200ms'");
    let large = message("app", &[&[0xc6, 0, 16, 0, 0]], &[]);
    for (bytes, reason) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "malformed"),
        (&[0xc1], "malformed"),
        (&[0x92, 0xa1, b't', 0xc1], "malformed"),
        (&[0x92, 0xa1, b't', 0xdd, 255, 255, 255, 255], "too_large"),
        (&large, "too_large"),
        // It hangs within a message.
        (&[0x93, 0xa1, b't'], "incomplete"),
    ] {
        let before = agent.turned_away(reason);
        let mut client = agent.connect();
        client.write_all(bytes).unwrap();
        expect_end(&mut client);
        agent.expect_turned_away(reason, before + 1);
    }
    // One that ends within a message, and one that says nothing, which may.
    let quiet = agent.connect();
    let mut client = agent.connect();
    client.write_all(&[0x93]).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    expect_end(&mut client);
    agent.expect_turned_away("incomplete", 2);
    drop(quiet);
    assert_eq!(agent.ledger.received(), 0);
    agent.stop();
}

#[test]
fn connections_are_counted() {
    let mut agent = Agent::start("max_connections = 1");
    let mut first = agent.connect();
    first.write_all(&log("a", &chunk("1"))).unwrap();
    agent.next().custody.settle();
    expect(&mut first, &ack("1"));
    let mut second = agent.connect();
    expect_end(&mut second);
    assert_eq!(agent.turned_away("too_many_connections"), 1);
    agent.stop();
}

#[test]
fn a_shared_key_comes_first() {
    let mut agent = Agent::start("shared_key = 's3cr3t'\nhostname = 'agent'\ntimeout = '200ms'");
    let mut hello = [0; 64];
    let mut client = agent.connect();
    client.read_exact(&mut hello).unwrap();
    // Behind the word and a head of two bytes.
    let at = hello.windows(5).position(|word| word == b"nonce").unwrap() + 7;
    let nonce = String::from_utf8(hello[at..at + 32].to_vec()).unwrap();
    let ping = |key: &str| {
        let digest = crate::handshake::digest(&[b"saltme", nonce.as_bytes(), key.as_bytes()]);
        let mut out = Vec::new();
        let parts = ["PING", "me", "salt", &digest, "", ""].map(Value::from);
        put(&mut out, &Value::Array(parts.to_vec()));
        out
    };
    // Records may follow at once.
    client.write_all(&[ping("s3cr3t"), log("a", &chunk("1"))].concat()).unwrap();
    agent.next().custody.settle();
    let mut pong = [0; 6];
    client.read_exact(&mut pong).unwrap();
    assert_eq!(pong, [0x95, 0xa4, b'P', b'O', b'N', b'G']);
    // Who sends records instead, a wrong key, or nothing is sent away.
    for bytes in [log("a", &[]), ping("wrong"), Vec::new()] {
        let mut client = agent.connect();
        client.write_all(&bytes).unwrap();
        let mut rest = Vec::new();
        let _ = client.read_to_end(&mut rest);
        let text = String::from_utf8_lossy(&rest).into_owned();
        assert!(text.contains("HELO") && text.contains("PONG") != bytes.is_empty(), "{text}");
    }
    agent.expect_turned_away("unauthorized", 3);
    assert_eq!(agent.ledger.received(), 1);
    agent.stop();
}

#[test]
fn what_was_sent_before_the_stop_is_taken() {
    let agent = Agent::start("");
    let mut client = agent.connect();
    for n in 0..1000 {
        client.write_all(&log(&n.to_string(), &[])).unwrap();
    }
    // Nothing was polled so far; all of it is on its way.
    let ledger = agent.ledger.clone();
    assert_eq!(agent.stop(), 1000);
    assert_eq!((ledger.received(), ledger.settled_records()), (1000, 1000));
    expect_end(&mut client);
}

#[test]
fn acknowledgements_come_after_the_stop_as_well() {
    let mut agent = Agent::start("");
    let mut client = agent.connect();
    client.write_all(&log("a", &chunk("1"))).unwrap();
    let flow = agent.next();
    agent.source.stop();
    flow.custody.settle();
    expect(&mut client, &ack("1"));
    expect_end(&mut client);
}
