//! StatsD through the agent: datagrams by UDP and Unix sockets, to a file.

use std::io::Write as _;
use std::net::UdpSocket;
use std::os::unix::net::{UnixDatagram, UnixStream};

use serde_json::Value;

use crate::agent::Site;

fn site(input: &str) -> Site {
    Site::new(&format!(
        "[service]\ndata_dir = 'data'\napi = {{ listen = '127.0.0.1:0' }}\n\
         [[input]]\nname = 'in'\ntype = 'statsd'\n{input}\n\
         [[output]]\nname = 'out'\ntype = 'file'\npath = 'out.jsonl'\nformat = 'full'\nbatch = {{ timeout = '20ms' }}\n"
    ))
}

fn records(site: &Site) -> Vec<Value> {
    let text = std::fs::read_to_string(site.path("out.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn find<'r>(records: &'r [Value], name: &str) -> &'r Value {
    let mut found = records.iter().filter(|record| record["name"] == name);
    let record = found.next().unwrap_or_else(|| panic!("no {name} in {records:?}"));
    assert!(found.next().is_none(), "{name} twice");
    record
}

#[test]
fn datagrams_become_points_logs_and_counts() {
    let site = site("udp = '127.0.0.1:0'\nunix = 'd.sock'\nunix_stream = 's.sock'\ninterval = '500ms'");
    let running = site.start();
    let udp = running.listens("setting=udp ");
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    let send = |text: &str| assert_eq!(client.send_to(text.as_bytes(), udp).unwrap(), text.len());
    send("hits:1|c|#route:/a\nhits:2|c|#route:/a\n\nnot statsd at all");
    send("_sc|db|2|m:no answer\n_e{5,4}:Title|text|t:warning");
    let datagram = UnixDatagram::unbound().unwrap();
    datagram.send_to(b"depth:7|g", site.path("d.sock")).unwrap();
    let mut stream = UnixStream::connect(site.path("s.sock")).unwrap();
    for text in ["time:10:20:30|ms", "users:anna|s"] {
        stream.write_all(&(text.len() as u32).to_le_bytes()).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
    }
    // A length nobody would send: the connection ends, the others don't.
    let mut liar = UnixStream::connect(site.path("s.sock")).unwrap();
    liar.write_all(&u32::MAX.to_le_bytes()).unwrap();
    running.wait_for_ledger("six records, and what is none", |ledger| {
        ledger.output("out", "delivered") == 6 && ledger.input("in", "turned_away") == 2
    });
    let ledger = running.stop().all_well().clone();
    ledger.assert_balanced();
    assert_eq!((ledger.input("in", "received"), ledger.input("in", "settled")), (6, 6));

    let records = records(&site);
    let hits = find(&records, "hits");
    assert_eq!(
        (&hits["@signal"], &hits["value"], &hits["attributes"]["route"]),
        (&"metrics".into(), &3.into(), &"/a".into())
    );
    assert_eq!((&hits["kind"], &hits["temporality"]), (&"sum".into(), &"delta".into()));
    assert_eq!(find(&records, "depth")["value"], 7);
    assert_eq!(find(&records, "users")["value"], 1);
    let time = find(&records, "time");
    assert_eq!((&time["count"], &time["sum"], &time["unit"]), (&3.into(), &60.0.into(), &"ms".into()));
    let check = find(&records, "db");
    assert_eq!(
        (&check["@signal"], &check["status"], &check["@severity"]),
        (&"logs".into(), &"critical".into(), &"ERROR".into())
    );
    let event = records.iter().find(|record| record["type"] == "event").expect("an event");
    assert_eq!((&event["title"], &event["@severity"]), (&"Title".into(), &"WARN".into()));
}

#[test]
fn without_aggregation_every_value_comes_through() {
    let site = site("udp = '127.0.0.1:0'\naggregate = false");
    let running = site.start();
    let udp = running.listens("setting=udp ");
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    for i in 0..100 {
        client.send_to(format!("n:{i}|c\nd:{i}:1|d").as_bytes(), udp).unwrap();
        if i % 10 == 9 {
            // Ten at a time: the system's buffer has room for them, and nothing may be lost here.
            running.wait_for_ledger("what was sent", |ledger| ledger.input("in", "received") == 2 * (i + 1));
        }
    }
    running.wait_for_ledger("all records", |ledger| ledger.output("out", "delivered") == 200);
    running.stop().all_well().assert_balanced();
    let records = records(&site);
    let sum: i64 = records.iter().filter(|record| record["name"] == "n").filter_map(|n| n["value"].as_i64()).sum();
    assert_eq!(sum, 99 * 100 / 2);
    assert_eq!(records.iter().filter(|record| record["metadata"]["type"] == "distribution").count(), 100);
}

#[test]
fn a_socket_somebody_has_is_told() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let refused = |site: &Site| site.command(&["run", "-c", site.path("suiro.toml").to_str().expect("UTF-8")]);
    let outcome = refused(&site(&format!("udp = '{address}'")));
    assert!(outcome.stderr.contains("`udp`: can't listen on") && outcome.code() != 0, "{}", outcome.stderr);
    // A file that is no socket is left alone.
    let site = site("udp = false\nunix = 'file'");
    site.write("file", "precious");
    let outcome = refused(&site);
    assert!(outcome.stderr.contains("`unix`: can't listen at"), "{}", outcome.stderr);
    assert_eq!(std::fs::read(site.path("file")).unwrap(), b"precious");
}
