//! Modules that are fetched, over TLS.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use sha2::{Digest as _, Sha256};
use suiro_test_servers::Elasticsearch;

use super::compiled;
use super::guests::each;
use crate::agent::Site;
use crate::records::{TAIL_JSON, assert_numbered, by_number, elasticsearch, numbered};
use crate::tls::tls_before;

/// Gives these bytes to everybody; how often it did.
fn serve(bytes: Vec<u8>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap_or(0) == 0 {
                    break;
                }
                request.push(byte[0]);
            }
            count.fetch_add(1, SeqCst);
            let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", bytes.len())
                .and_then(|()| stream.write_all(&bytes));
        }
    });
    (url, asked)
}

#[test]
fn a_module_is_fetched_over_tls_once_and_runs() {
    let server = Elasticsearch::start().unwrap();
    let guest = compiled(&each(
        "(func $record (param $rec i32)
           (drop (call $set_str (local.get $rec) (call $field (i32.const 8) (i32.const 4)) (i32.const 32) (i32.const 5))))",
    ));
    let sha256: String = Sha256::digest(&guest).iter().map(|byte| format!("{byte:02x}")).collect();
    let (plain, asked) = serve(guest);
    let (url, ca) = tls_before(&plain);
    let filter = |sha256: &str, ca: &str| {
        format!(
            "{TAIL_JSON}[[filter]]\nname = 'guest'\ntype = 'wasm'\nmodule = '{url}/redact.wasm'\nsha256 = '{sha256}'\n\
             tls = {{ ca_file = '{ca}' }}\n{}",
            elasticsearch(&server, "")
        )
    };
    let site = Site::new(&filter(&sha256, "ca.pem"));
    site.write("ca.pem", ca);
    site.write("app.log", numbered(0, 1000));
    // `check` needs no server.
    let config = site.path("suiro.toml");
    let checked = site.command(&["check", "-c", config.to_str().unwrap()]);
    assert_eq!((checked.code(), asked.load(SeqCst)), (0, 0), "{}", checked.stderr);
    let outcome = site.once();
    let ledger = outcome.all_well();
    assert_eq!((ledger.filter("guest", "in"), ledger.output("es", "delivered")), (1000, 1000));
    assert_eq!(asked.load(SeqCst), 1);
    // Again, with what was kept.
    site.append("app.log", numbered(1000, 1000));
    assert_eq!(site.once().all_well().output("es", "delivered"), 1000);
    assert_eq!(asked.load(SeqCst), 1);
    assert_numbered(&server, 2000);
    assert!(by_number(&server).values().all(|document| document["seen"] == "other"));
    // Who is not trusted gives no module, and the agent does not start; nor with another module than was pinned.
    let (_, stranger) = tls_before(&plain);
    site.write("stranger.pem", stranger);
    site.append("app.log", numbered(2000, 1));
    for (sha256, ca, says) in [("0".repeat(64), "stranger.pem", "certificate"), ("0".repeat(64), "ca.pem", &*sha256)] {
        site.configure(&filter(&sha256, ca));
        let outcome = site.once();
        assert_eq!(outcome.code(), 1, "{}", outcome.stderr);
        assert!(outcome.stderr.contains(says) && outcome.stderr.contains("filter `guest`"), "{}", outcome.stderr);
    }
    assert_eq!(server.len(), 2000, "an agent without its filter delivers nothing");
}
