//! The input `forward`, from outside: clients of Fluentd's protocol, and what arrives of what they send.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};
use suiro_test_servers::{Fault, Sink};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

use crate::PATIENCE;
use crate::agent::{Running, Site};

/// A site whose records go to files by their tags.
fn files(input: &str) -> Site {
    let output = |name: &str, tags: &str| {
        format!(
            "[[output]]\nname = '{name}'\ntype = 'file'\nmatch = '{tags}'\npath = '{name}.jsonl'\nformat = 'full'\n\
             batch = {{ timeout = '20ms' }}\n"
        )
    };
    Site::new(&format!(
        "[[input]]\nname = 'in'\ntype = 'forward'\nlisten = '127.0.0.1:0'\n{input}\n{}{}",
        output("app", "app.*"),
        output("rest", "!app.*")
    ))
}

/// One whose records go to `sink`, in an order of the test's.
fn to_sink(sink: &Sink, service: &str, input: &str) -> Site {
    Site::new(&format!(
        "[service]\ndata_dir = 'data'\napi = {{ listen = '127.0.0.1:0' }}\n{service}\n\
         [[input]]\nname = 'in'\ntype = 'forward'\nlisten = '127.0.0.1:0'\n{input}\n\
         [[output]]\nname = 'out'\ntype = 'http'\nurl = '{}'\nbatch = {{ timeout = '10ms' }}\n\
         retry = {{ initial = '10ms', max = '50ms' }}\ntimeout = '200ms'\n",
        sink.url()
    ))
}

fn connect(running: &Running) -> TcpStream {
    let stream = TcpStream::connect(running.listens("listens")).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream
}

fn records(site: &Site, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(site.path(&format!("{name}.jsonl"))).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// A value as MessagePack.
fn put(out: &mut Vec<u8>, value: &Value) {
    use rmp::encode as to;
    match value {
        Value::Null => to::write_nil(out).unwrap(),
        Value::Bool(is) => to::write_bool(out, *is).unwrap(),
        Value::Number(n) => match n.as_i64() {
            Some(n) => drop(to::write_sint(out, n).unwrap()),
            None => to::write_f64(out, n.as_f64().expect("a number")).unwrap(),
        },
        Value::String(text) => to::write_str(out, text).unwrap(),
        Value::Array(items) => {
            to::write_array_len(out, items.len() as u32).unwrap();
            items.iter().for_each(|item| put(out, item));
        }
        Value::Object(members) => {
            to::write_map_len(out, members.len() as u32).unwrap();
            for (key, value) in members {
                to::write_str(out, key).unwrap();
                put(out, value);
            }
        }
    }
}

fn pack(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, value);
    out
}

/// `[time, record]`, the time with nanoseconds.
fn event(record: &Value) -> Vec<u8> {
    let mut out = vec![0x92, 0xd7, 0x00];
    out.extend(1_700_000_000_u32.to_be_bytes());
    out.extend(123_456_789_u32.to_be_bytes());
    put(&mut out, record);
    out
}

/// `[tag, events as bytes, option]`
fn packed(tag: &str, events: &[u8], option: &Value) -> Vec<u8> {
    let mut out = vec![0x93];
    put(&mut out, &tag.into());
    rmp::encode::write_bin(&mut out, events).unwrap();
    put(&mut out, option);
    out
}

fn ack(chunk: &str) -> Vec<u8> {
    pack(&json!({ "ack": chunk }))
}

fn expect(stream: &mut impl Read, bytes: &[u8]) {
    let mut read = vec![0; bytes.len()];
    stream.read_exact(&mut read).expect("an answer");
    assert_eq!(read, bytes);
}

/// What comes until the other side ends it.
fn rest(stream: &mut impl Read) -> Vec<u8> {
    let mut rest = Vec::new();
    // It may be reset, if there is something it has not read.
    let _ = stream.read_to_end(&mut rest);
    rest
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn sha512(text: &str) -> String {
    Sha512::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn all_modes_arrive_by_their_tags_and_are_acknowledged() {
    let site = files("unix = 'f.sock'\nunix_mode = '0660'");
    let running = site.start();
    let log = |text: &str| json!({ "log": text, "container_name": "/web" });
    let message = pack(&json!(["app.message", 1_700_000_000, log("message"), { "chunk": "1" }]));
    let mut forward = vec![0x93, 0xab];
    forward.extend_from_slice(b"app.forward");
    forward.extend([0x92].iter().copied().chain(event(&log("one"))).chain(event(&log("two"))));
    put(&mut forward, &json!({ "chunk": "2" }));
    let events = [event(&log("three")), event(&log("four"))].concat();
    let heartbeat = vec![0xc0];

    let mut tcp = connect(&running);
    for (bytes, chunk) in [
        (message, "1"),
        (forward, "2"),
        (packed("app.packed", &events, &json!({ "chunk": "3", "size": 2 })), "3"),
        (packed("other", &gzip(&events), &json!({ "chunk": "4", "compressed": "gzip" })), "4"),
        (
            packed("other", &zstd::encode_all(&events[..], 1).unwrap(), &json!({ "chunk": "5", "compressed": "zstd" })),
            "5",
        ),
    ] {
        tcp.write_all(&[bytes, heartbeat.clone()].concat()).unwrap();
        expect(&mut tcp, &ack(chunk));
    }
    let mut unix = UnixStream::connect(site.path("f.sock")).unwrap();
    unix.set_read_timeout(Some(PATIENCE)).unwrap();
    unix.write_all(&pack(&json!(["app.unix", 0, log("unix"), { "chunk": "6" }]))).unwrap();
    expect(&mut unix, &ack("6"));
    let mode = std::fs::metadata(site.path("f.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);

    running.wait_for_ledger("ten records", |ledger| {
        ledger.output("app", "delivered") + ledger.output("rest", "delivered") == 10
    });
    let ledger = running.stop().all_well().clone();
    assert_eq!((ledger.input("in", "received"), ledger.input("in", "turned_away")), (10, 0));
    assert_eq!((ledger.output("app", "delivered"), ledger.output("rest", "delivered")), (6, 4));
    let app = records(&site, "app");
    let of =
        |text: &str| app.iter().find(|record| record["log"] == text).unwrap_or_else(|| panic!("no {text} in {app:?}"));
    assert_eq!(of("message")["@tag"], "app.message");
    assert_eq!((&of("two")["@tag"], &of("two")["container_name"]), (&"app.forward".into(), &"/web".into()));
    assert_eq!(of("two")["@time"], "2023-11-14T22:13:20.123456789Z");
    assert_eq!(of("four")["@resource"]["fluent.tag"], "app.packed");
    assert!(records(&site, "rest").iter().all(|record| record["@tag"] == "other"));
}

#[test]
fn a_tag_may_be_made_of_the_one_that_was_sent() {
    let site = files("tag = 'app.{@input}.{@fluent.tag}'");
    let running = site.start();
    let mut client = connect(&running);
    client.write_all(&pack(&json!(["web-firelens-1", 0, { "log": "x" }, { "chunk": "1" }]))).unwrap();
    expect(&mut client, &ack("1"));
    running.wait_for_ledger("the record", |ledger| ledger.output("app", "delivered") == 1);
    running.stop().all_well();
    assert_eq!(records(&site, "app")[0]["@tag"], "app.in.web-firelens-1");
}

#[test]
fn a_shared_key_lets_in_and_keeps_out() {
    let site = files("shared_key = { file = 'key' }\nusers = { anna = 'pa55' }\nhostname = 'agent'\ntimeout = '10s'");
    site.write("key", "s3cr3t\n");
    let running = site.start();
    let shake = |key: &str, password: &str| {
        let mut client = connect(&running);
        let mut hello = vec![0; 97];
        client.read_exact(&mut hello).unwrap();
        let word = |name: &[u8]| {
            let at = hello.windows(name.len()).position(|found| found == name).expect("it is in HELO") + name.len() + 2;
            String::from_utf8(hello[at..at + 32].to_vec()).unwrap()
        };
        let (nonce, auth) = (word(b"nonce"), word(b"auth"));
        let digest = sha512(&format!("saltclient{nonce}{key}"));
        let password = sha512(&format!("{auth}anna{password}"));
        client.write_all(&pack(&json!(["PING", "client", "salt", digest, "anna", password]))).unwrap();
        (client, nonce)
    };
    let (mut client, nonce) = shake("s3cr3t", "pa55");
    let shown = sha512(&format!("saltagent{nonce}s3cr3t"));
    expect(&mut client, &pack(&json!(["PONG", true, "", "agent", shown])));
    client.write_all(&pack(&json!(["app.x", 0, { "log": "x" }, { "chunk": "1" }]))).unwrap();
    expect(&mut client, &ack("1"));
    for (key, password, why) in
        [("guess", "pa55", "shared_key mismatch"), ("s3cr3t", "guess", "username/password mismatch")]
    {
        let (mut client, _) = shake(key, password);
        assert_eq!(rest(&mut client), pack(&json!(["PONG", false, why, "", ""])));
    }
    running.wait_for_ledger("two to be sent away", |ledger| ledger.input("in", "turned_away") == 2);
    running.wait_for_ledger("the record", |ledger| ledger.output("app", "delivered") == 1);
    let outcome = running.stop();
    assert_eq!(outcome.all_well().input("in", "received"), 1);
    assert!(outcome.stderr.contains("shared_key mismatch") && !outcome.stderr.contains("s3cr3t"), "{}", outcome.stderr);
}

#[test]
fn over_tls() {
    let site = files("tls = { cert_file = 'cert.pem', key_file = 'key.pem' }");
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    site.write("cert.pem", certificate.pem());
    site.write("key.pem", key.serialize_pem());
    let running = site.start();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config =
        builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots).with_no_client_auth();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let stream = tokio::net::TcpStream::connect(running.listens("listens")).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        let bytes = packed("app.tls", &event(&json!({ "log": "secret" })), &json!({ "chunk": "1" }));
        stream.write_all(&bytes).await.unwrap();
        let mut read = vec![0; ack("1").len()];
        stream.read_exact(&mut read).await.unwrap();
        assert_eq!(read, ack("1"));
    });
    // In the clear nobody gets in.
    let mut plain = connect(&running);
    plain.write_all(&pack(&json!(["app.plain", 0, { "log": "x" }]))).unwrap();
    assert!(!rest(&mut plain).starts_with(b"\x81"));
    running.wait_for_ledger("one to be sent away", |ledger| ledger.input("in", "turned_away") == 1);
    running.wait_for_ledger("the record", |ledger| ledger.output("app", "delivered") == 1);
    assert_eq!(running.stop().all_well().input("in", "received"), 1);
    assert_eq!(records(&site, "app")[0]["log"], "secret");
}

#[test]
fn broken_clients_harm_nobody() {
    let site = files("max_message = '64KiB'\ntimeout = '300ms'");
    let running = site.start();
    let mut client = connect(&running);
    let good = |chunk: &str| packed("app.good", &event(&json!({ "log": chunk })), &json!({ "chunk": chunk }));
    client.write_all(&good("1")).unwrap();
    expect(&mut client, &ack("1"));
    let events = event(&json!({ "log": "x" }));
    for bytes in [
        b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(),
        b"{\"log\":\"x\"}\n".to_vec(),
        vec![0xc1],
        pack(&json!([1, 2, 3])),
        packed("app.metrics", &events, &json!({ "fluent_signal": 1 })),
        packed("app.lz4", &events, &json!({ "compressed": "lz4" })),
        packed("app.gzip", &events, &json!({ "compressed": "gzip", "chunk": "no" })),
        packed("app.large", &vec![0; 100_000], &json!({})),
        vec![0x93, 0xa1, b't', 0xdd, 0xff, 0xff, 0xff, 0xff],
        // It hangs.
        vec![0x93, 0xa1, b't'],
    ] {
        let mut broken = connect(&running);
        // It may be closed before all is written.
        let _ = broken.write_all(&bytes);
        assert!(rest(&mut broken).is_empty(), "{bytes:?}");
    }
    // Events that are none, among some that are: they are counted, and the chunk is done with.
    let mixed = [events.clone(), vec![0x92, 0x01, 0xc0], events].concat();
    client.write_all(&packed("app.mixed", &mixed, &json!({ "chunk": "2" }))).unwrap();
    expect(&mut client, &ack("2"));
    client.write_all(&good("3")).unwrap();
    expect(&mut client, &ack("3"));
    // One that goes away before it is answered.
    let mut hasty = connect(&running);
    hasty.write_all(&good("4")).unwrap();
    hasty.shutdown(Shutdown::Write).unwrap();
    expect(&mut hasty, &ack("4"));
    running.wait_for_ledger("all counts", |ledger| {
        ledger.output("app", "delivered") == 5 && ledger.input("in", "turned_away") == 11
    });
    let ledger = running.stop().all_well().clone();
    assert_eq!(ledger.input("in", "received"), 5);
}

#[test]
fn a_client_without_chunks_loses_nothing_it_sent_before_the_end() {
    let site = files("unix = 'f.sock'");
    let running = site.start();
    running.listens("listens");
    let mut client = UnixStream::connect(site.path("f.sock")).unwrap();
    // As Docker sends: a message for each line, and nobody waits.
    for n in 0..5000 {
        client.write_all(&pack(&json!(["app.web", 1_700_000_000, { "log": n.to_string() }]))).unwrap();
    }
    let ledger = running.stop().all_well().clone();
    assert_eq!((ledger.input("in", "received"), ledger.output("app", "delivered")), (5000, 5000));
    let numbers: Vec<Value> = records(&site, "app").into_iter().map(|record| record["log"].clone()).collect();
    assert_eq!(numbers, (0..5000).map(|n: u32| Value::from(n.to_string())).collect::<Vec<_>>());
}

#[test]
fn an_end_while_acknowledgements_wait() {
    let sink = Sink::start().unwrap();
    sink.faults().always(Fault::Hang);
    let bytes = packed("app", &event(&json!({ "log": "x" })), &json!({ "chunk": "1" }));
    // Delivered: it never was, and its client knows, since it is told nothing.
    {
        let site = to_sink(&sink, "shutdown_timeout = '300ms'", "ack = 'delivered'");
        let running = site.start();
        let mut client = connect(&running);
        client.write_all(&bytes).unwrap();
        running.wait_for_ledger("the record", |ledger| ledger.input("in", "in_flight") == 1);
        let outcome = running.stop();
        assert!(rest(&mut client).is_empty());
        let ledger = outcome.ledger(0);
        assert_eq!((ledger.input("in", "in_flight"), ledger.output("out", "in_flight")), (1, 1));
    }
    // Delivered at the last moment: it is told so.
    {
        let site = to_sink(&sink, "shutdown_timeout = '60s'", "ack = 'delivered'");
        let running = site.start();
        let mut client = connect(&running);
        client.write_all(&bytes).unwrap();
        running.wait_for_ledger("the record", |ledger| ledger.input("in", "in_flight") == 1);
        running.interrupt();
        running.wait_for("the end to begin", |running| running.stderr().contains("stopping"));
        sink.faults().heal();
        let outcome = running.end();
        expect(&mut client, &ack("1"));
        assert_eq!(outcome.all_well().output("out", "delivered"), 1);
    }
}

#[test]
fn a_client_that_sends_again_loses_nothing() {
    let sink = Sink::start().unwrap();
    sink.faults().always(Fault::Hang);
    let site = to_sink(&sink, "", "ack = 'delivered'\nack_timeout = '200ms'");
    let running = site.start();
    let bytes = packed("app", &event(&json!({ "log": "x" })), &json!({ "chunk": "1" }));
    let mut client = connect(&running);
    client.write_all(&bytes).unwrap();
    // No answer in time: the connection ends, so that its client need not wait for the end of its own patience.
    assert!(rest(&mut client).is_empty());
    sink.faults().heal();
    let mut client = connect(&running);
    client.write_all(&bytes).unwrap();
    expect(&mut client, &ack("1"));
    running.wait_for_ledger("both", |ledger| ledger.is_settled() && ledger.output("out", "delivered") == 2);
    assert_eq!(running.stop().all_well().input("in", "received"), 2);
}
