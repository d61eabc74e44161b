//! Prometheus at both doors: a target that is scraped, remote write from one agent to another, and a page to be scraped.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::agent::{Running, Site};

const BODY: &str = "# HELP reqs_total All requests.\n# TYPE reqs_total counter\nreqs_total{path=\"/\"} 5\n\
                    reqs_total{path=\"/a\"} 7\n# TYPE lat_seconds histogram\nlat_seconds_bucket{le=\"0.5\"} 1\n\
                    lat_seconds_bucket{le=\"+Inf\"} 3\nlat_seconds_sum 4.5\nlat_seconds_count 3\nwrong{ 1\ntemp -3.5\ntemp 9\n";

/// A server that answers every request with the body of the moment, or 503 where there is none.
struct Target {
    address: String,
    body: Arc<Mutex<Option<String>>>,
}

impl Target {
    fn start(body: &str) -> Target {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let body = Arc::new(Mutex::new(Some(body.to_owned())));
        let shown = body.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut stream = stream;
                let mut head = Vec::new();
                let mut piece = [0; 1024];
                while !head.windows(4).any(|w| w == b"\r\n\r\n") {
                    match stream.read(&mut piece) {
                        Ok(n) if n > 0 => head.extend_from_slice(&piece[..n]),
                        _ => break,
                    }
                }
                let body = shown.lock().expect("no panic").clone();
                let status = if body.is_some() { "200 OK" } else { "503 Busy" };
                let body = body.unwrap_or_default();
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Target { address, body }
    }

    fn show(&self, body: Option<&str>) {
        *self.body.lock().expect("no panic") = body.map(str::to_owned);
    }
}

fn get(address: SocketAddr, accept: &str) -> (String, String) {
    let answer = ureq::get(format!("http://{address}/metrics")).header("accept", accept).call();
    let mut answer = answer.expect("a page");
    let kind = answer.headers()["content-type"].to_str().expect("a text").to_owned();
    (kind, answer.body_mut().read_to_string().expect("a text"))
}

const EXPORTER: &str = "[[output]]\nname = 'page'\ntype = 'prometheus_exporter'\nlisten = '127.0.0.1:0'\n";

fn scrape(target: &Target) -> String {
    format!(
        "[[input]]\nname = 'scrape'\ntype = 'prometheus_scrape'\ntargets = ['http://{}']\ninterval = '1s'\njob = 'web'\n",
        target.address
    )
}

/// Waits until the page says so.
fn page_with(running: &Running, address: SocketAddr, wanted: &[&str]) -> String {
    let mut page = String::new();
    running.wait_for(&format!("{wanted:?}"), |_| {
        page = get(address, "text/plain").1;
        wanted.iter().all(|line| page.contains(line))
    });
    page
}

#[test]
fn what_a_target_shows_is_shown_again() {
    let target = Target::start(BODY);
    let running = Site::new(&format!("{}{EXPORTER}", scrape(&target)));
    let running = running.start();
    let exporter = running.listens("listens for scrapes");
    let own = format!("instance=\"{}\",job=\"web\"", target.address);
    let bucket = format!("lat_seconds_bucket{{{own},le=\"0.5\"}} 1\n");
    let wanted = [
        format!(
            "# HELP reqs_total All requests.\n# TYPE reqs_total counter\nreqs_total{{{own},path=\"/\"}} 5\nreqs_total{{{own},path=\"/a\"}} 7\n"
        ),
        format!("# TYPE lat_seconds histogram\n{bucket}lat_seconds_bucket{{{own},le=\"+Inf\"}} 3\n"),
        format!("# TYPE temp untyped\ntemp{{{own}}} -3.5\n"),
        format!("up{{{own}}} 1\n"),
        // The duplicate among them; the line that is none is not.
        format!("scrape_samples_scraped{{{own}}} 8\n"),
        format!("scrape_duration_seconds{{{own}}} "),
    ];
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    page_with(&running, exporter, &wanted);
    let (kind, open) = get(exporter, "application/openmetrics-text; version=1.0.0");
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
    assert!(open.contains("# TYPE reqs counter\n") && open.ends_with("# EOF\n"), "{open}");
    // What was wrong is counted at the door.
    running.wait_for("what was turned away", |running| {
        let (_, metrics) = running.get("/metrics");
        ["malformed", "duplicate"].iter().all(|reason| metrics.contains(&format!("reason=\"{reason}\"")))
    });
    target.show(None);
    page_with(&running, exporter, &[&format!("up{{{own}}} 0\n")]);
    target.show(Some("back 1\n"));
    page_with(&running, exporter, &[&format!("up{{{own}}} 1\n"), &format!("back{{{own}}} 1\n")]);
    let outcome = running.stop();
    let ledger = outcome.all_well();
    assert_eq!(ledger.output("page", "delivered"), ledger.input("scrape", "received"));
    assert!(outcome.stderr.contains("can't scrape: 503") && outcome.stderr.contains("can be scraped again"));
}

/// One agent scrapes and sends, the other takes and shows.
fn relay(version: &str) {
    let target = Target::start(BODY);
    let receiver = Site::new(&format!(
        "[[input]]\nname = 'in'\ntype = 'prometheus_remote_write'\nlisten = '127.0.0.1:0'\nack = 'delivered'\n{EXPORTER}"
    ));
    let receiver = receiver.start();
    let (exporter, door) = (receiver.listens("listens for scrapes"), receiver.listens("input=in"));
    let sender = Site::new(&format!(
        "{}[[output]]\nname = 'rw'\ntype = 'prometheus_remote_write'\nurl = 'http://{door}/api/v1/write'\nversion = '{version}'\n",
        scrape(&target)
    ));
    let sender = sender.start();
    let own = format!("instance=\"{}\",job=\"web\"", target.address);
    let wanted = [
        format!("# TYPE reqs_total counter\nreqs_total{{{own},path=\"/\"}} 5\n"),
        format!("lat_seconds_bucket{{{own},le=\"0.5\"}} 1\n"),
        format!("up{{{own}}} 1\n"),
        "target_info{".to_owned(),
    ];
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    page_with(&receiver, exporter, &wanted);
    let sent = sender.stop();
    let sent = sent.all_well();
    assert_eq!(sent.output("rw", "delivered"), sent.input("scrape", "received"));
    let taken = receiver.stop();
    let taken = taken.all_well();
    assert_eq!(taken.output("page", "delivered"), taken.input("in", "received"));
    assert!(taken.input("in", "received") >= sent.output("rw", "delivered"));
}

#[test]
fn remote_write_from_agent_to_agent() {
    relay("auto");
}

#[test]
fn remote_write_as_1_0() {
    relay("1.0");
}

#[test]
fn what_is_no_remote_write_is_refused_with_a_reason() {
    let site = Site::new(&format!(
        "[[input]]\nname = 'in'\ntype = 'prometheus_remote_write'\nlisten = '127.0.0.1:0'\n{EXPORTER}"
    ));
    let running = site.start();
    let url = format!("http://{}/api/v1/write", running.listens("input=in"));
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let send = |kind: &str, body: &[u8]| {
        let mut answer = agent.post(&url).header("content-type", kind).send(body).expect("an answer");
        (answer.status().as_u16(), answer.body_mut().read_to_string().expect("a text"))
    };
    let protobuf = "application/x-protobuf";
    // A block of snappy: its length, then one literal.
    let packed = |bytes: &[u8]| [&[bytes.len() as u8, (bytes.len() as u8 - 1) << 2], bytes].concat();
    for (kind, body, status, text) in [
        ("application/json", &b"{}"[..], 415, "x-protobuf"),
        ("application/x-protobuf;proto=io.prometheus.write.v3.Request", b"", 415, "write.v2.Request"),
        (protobuf, b"\xff\xff\xff\xff\xff\xff", 400, "snappy"),
        (protobuf, &packed(b"\x0a\xff\x01"), 400, "beyond the end"),
        // A bomb: a length of 4 GiB.
        (protobuf, b"\xff\xff\xff\xff\x0f\x00", 400, ""),
    ] {
        let (got, said) = send(kind, body);
        assert!(got == status || (text.is_empty() && got == 413), "{kind} {body:?}: {got} {said}");
        assert!(said.contains(text), "{said}");
    }
    // A series without a name beside one with: the other is taken.
    let sample = b"\x12\x0b\x09\x00\x00\x00\x00\x00\x00\xf0\x3f\x10\x01";
    let named = [&b"\x0a\x0d\x0a\x08__name__\x12\x01a"[..], sample].concat();
    let nameless = sample.to_vec();
    let series = |series: &[u8]| [&[0x0a, series.len() as u8], series].concat();
    let body = [series(&nameless), series(&named)].concat();
    let (status, said) = send(protobuf, &packed(&body));
    assert_eq!(status, 400);
    assert!(
        said.contains("1 of the samples were not taken, the first since a series has no label `__name__`"),
        "{said}"
    );
    running.wait_for_ledger("the good one", |ledger| ledger.output("page", "delivered") == 1);
    running.stop().all_well();
}
