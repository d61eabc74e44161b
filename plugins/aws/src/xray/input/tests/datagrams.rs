//! The input's settings, and its decoder behind a socket.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use suiro_sdk::datagrams::{Datagrams, Gate, SpanReader};
use suiro_sdk::intake::Intake;
use suiro_sdk::settings::Section;
use suiro_sdk::{Polled, Source, SourceSetup};

use super::*;

/// Long enough for anything.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn segments_come_in_and_the_rest_is_counted() {
    for format in [Format::Spans, Format::Segments] {
        let setup = SourceSetup::sample("x");
        let intake = Intake::new(1 << 20);
        let desk = intake.desk(&setup).unwrap().unwrap();
        let mut source: Box<dyn Source> = intake.source(&setup);
        let socket = Datagrams::udp(&desk, "udp", "127.0.0.1:0".parse().unwrap(), None, "").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(socket.address()).unwrap();
        desk.spawn(move |desk| async move {
            let mut reader = SpanReader::new(desk.clone(), Arc::<Gate>::default(), Decoder::new(format));
            tokio::select! {
                () = desk.stopping() => {}
                () = socket.read(desk.clone(), move |burst| reader.take(burst)) => {}
            }
        })
        .unwrap();
        let document = |name: &str| {
            format!(
                r#"{HEADER}{{"id":"53995c3f42cd8ad8","trace_id":"1-581cf771-a006649127e371903a2de979","name":"{name}","start_time":1,"end_time":2}}"#
            )
        };
        let (a, b) = (document("a"), document("b"));
        for datagram in [a.as_bytes(), b"", b"x", HEADER.as_bytes(), &vec![b'{'; 65_000], b.as_bytes()] {
            client.send(datagram).unwrap();
        }
        let mut names = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        while names.len() < 2 {
            assert!(Instant::now() < deadline, "{names:?}");
            match source.poll() {
                Polled::Batch(flow) => {
                    let records = shown(std::slice::from_ref(&flow.batch));
                    names.extend(records.iter().map(|record| record.body["name"].clone()));
                    flow.custody.settle();
                }
                _ => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        assert_eq!(names, ["a", "b"]);
        assert_eq!(setup.ledger.turned_away.snapshot().get("malformed"), Some(&4));
        assert_eq!((setup.ledger.received(), setup.ledger.settled_records()), (2, 2));
        source.stop();
    }
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
