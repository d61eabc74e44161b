//! The world around the agent of this example: servers that stand for Loki, Elasticsearch, AWS and an OTLP backend, and a shop.
//!
//! stdout first carries `NAME=VALUE` lines, the environment the agent is to be started with, up to an empty line. A line on stdin
//! then lets the shop open: it writes its log beside the configuration and posts its spans to the agent. When everything has
//! arrived everywhere, what is where is printed, and the program ends; if it does not arrive in a minute, it says so and fails.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use suiro_test_servers::{Aws, AwsOptions, Elasticsearch, Loki, Sink};

const PATIENCE: Duration = Duration::from_secs(60);
const CHECKOUTS: u64 = 4;
/// Lines of a checkout that are no debug lines, and its spans.
const LINES: usize = 2;
const SPANS: usize = 3;
/// The checkout whose payment fails.
const FAILS: u64 = 2;

struct World {
    loki: Loki,
    elasticsearch: Elasticsearch,
    aws: Aws,
    otlp: Sink,
}

fn main() -> Result<(), Box<dyn Error>> {
    let world = World {
        loki: Loki::start()?,
        elasticsearch: Elasticsearch::start()?,
        aws: Aws::start()?,
        otlp: Sink::start()?,
    };
    let options = AwsOptions::default();
    let agent = (Ipv4Addr::LOCALHOST, TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port());
    let mut out = io::stdout();
    for (name, value) in [
        ("LOKI_URL", world.loki.url()),
        ("ELASTICSEARCH_URL", world.elasticsearch.url()),
        ("OTLP_URL", world.otlp.url()),
        ("OTLP_LISTEN", format!("{}:{}", agent.0, agent.1)),
        ("AWS_ENDPOINT_URL", world.aws.url()),
        ("AWS_REGION", options.region),
        ("AWS_ACCESS_KEY_ID", options.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", options.secret_access_key),
    ] {
        writeln!(out, "{name}={value}")?;
    }
    writeln!(out)?;
    out.flush()?;
    io::stdin().read_line(&mut String::new())?;

    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(agent).is_err() {
        if Instant::now() > until {
            return Err("the agent does not listen".into());
        }
        thread::sleep(Duration::from_millis(20));
    }
    for n in 0..CHECKOUTS {
        checkout(n, agent)?;
    }
    let (lines, spans) = (LINES * CHECKOUTS as usize, SPANS * CHECKOUTS as usize);
    while world.counts() != [lines, lines, lines, spans, spans] {
        if Instant::now() > until {
            return Err(format!("there are {:?} of {lines} lines and {spans} spans", world.counts()).into());
        }
        thread::sleep(Duration::from_millis(20));
    }
    world.show(&mut out)?;
    Ok(())
}

/// One checkout: lines in the log, and a trace of three spans.
fn checkout(n: u64, agent: (Ipv4Addr, u16)) -> Result<(), Box<dyn Error>> {
    let start = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    let trace = format!("{:08x}{:024x}", start / 1_000_000_000, start ^ u128::from(n));
    let order = 1000 + n;
    let fails = n == FAILS;
    let mut log = OpenOptions::new().create(true).append(true).open("shop.log")?;
    let (level, message) = if fails { ("error", "the bank did not answer") } else { ("info", "paid") };
    for (level, message) in [("debug", "cart is there"), (level, message), ("info", "checkout ended")] {
        let time = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
        let line = json!({ "time": time, "level": level, "message": message, "order": order, "trace_id": trace });
        writeln!(log, "{line}")?;
    }

    let id = |part: u64| format!("{:016x}", (order << 8) + part);
    let span = |part: u64, name: &str, kind: u8, milliseconds: (u128, u128), attributes: Value| {
        let at = |milliseconds: u128| (start + milliseconds * 1_000_000).to_string();
        let attributes = attributes.as_object().into_iter().flatten().map(|(key, value)| {
            let value = if value.is_string() { json!({ "stringValue": value }) } else { json!({ "intValue": value }) };
            json!({ "key": key, "value": value })
        });
        json!({
            "traceId": trace, "spanId": id(part), "name": name, "kind": kind,
            "startTimeUnixNano": at(milliseconds.0), "endTimeUnixNano": at(milliseconds.1),
            "attributes": attributes.collect::<Vec<_>>(),
        })
    };
    let status = if fails { 502 } else { 200 };
    let server = json!({ "http.request.method": "POST", "url.path": "/checkout", "http.response.status_code": status, "order.id": order });
    let mut spans = vec![span(0, "POST /checkout", 2, (0, 84), server)];
    let bank = json!({ "peer.service": "bank", "http.request.method": "POST", "http.response.status_code": status, "order.id": order });
    spans.push(span(1, "charge", 3, (3, 60), bank));
    let database =
        json!({ "db.system": "postgresql", "db.name": "orders", "db.statement": "INSERT INTO orders VALUES ($1, $2)" });
    spans.push(span(2, "INSERT orders", 3, (61, 80), database));
    for below in &mut spans[1..] {
        below["parentSpanId"] = id(0).into();
    }
    if fails {
        let event = json!({ "timeUnixNano": (start + 60_000_000).to_string(), "name": "exception", "attributes": [
            { "key": "exception.type", "value": { "stringValue": "TimeoutError" } },
            { "key": "exception.message", "value": { "stringValue": "the bank did not answer" } },
        ] });
        spans[1]["events"] = json!([event]);
        spans[1]["status"] = json!({ "code": 2, "message": "the bank did not answer" });
    }
    let resource = json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": "shop" } }] });
    let request =
        json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "spans": spans }] }] }).to_string();
    let mut stream = TcpStream::connect(agent)?;
    write!(
        stream,
        "POST /v1/traces HTTP/1.1\r\nhost: agent\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{request}",
        request.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if !answer.starts_with("HTTP/1.1 200") {
        return Err(format!("the agent says {answer}").into());
    }
    Ok(())
}

// === impl World ===

impl World {
    /// Records in Loki, Elasticsearch, CloudWatch Logs, X-Ray and behind OTLP.
    fn counts(&self) -> [usize; 5] {
        let (events, segments) = self.aws.look(|taken| (taken.log_event_count(), taken.segment_count));
        [self.loki.len(), self.elasticsearch.len(), events, segments, self.otlp_spans().len()]
    }

    /// Names and status codes of the spans that were sent on by OTLP.
    fn otlp_spans(&self) -> Vec<Value> {
        let requests =
            self.otlp.bodies().into_iter().filter_map(|body| serde_json::from_slice::<Value>(&body.bytes).ok());
        let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
        requests
            .flat_map(|request| list(&request, "resourceSpans"))
            .flat_map(|resource| list(&resource, "scopeSpans"))
            .flat_map(|scope| list(&scope, "spans"))
            .collect()
    }

    fn show(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "Loki: {} lines", self.loki.len())?;
        for stream in self.loki.streams() {
            writeln!(out, "  {:?}: {}", stream.labels, stream.entries.len())?;
        }
        writeln!(out, "Elasticsearch: {} documents", self.elasticsearch.len())?;
        let mut indices: BTreeMap<String, usize> = BTreeMap::new();
        for document in self.elasticsearch.documents() {
            *indices.entry(document.index).or_default() += 1;
        }
        for (index, count) in indices {
            writeln!(out, "  {index}: {count}")?;
        }
        let taken = self.aws.taken();
        writeln!(out, "CloudWatch Logs: {} events", taken.log_event_count())?;
        for (name, group) in &taken.log_groups {
            let days = group.retention.unwrap_or_default();
            for (stream, events) in &group.streams {
                writeln!(out, "  {name} (kept {days} days) {stream}: {}", events.len())?;
            }
        }
        writeln!(out, "X-Ray: {} documents", taken.segment_count)?;
        let mut traces: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for segment in &taken.segments {
            let value = segment.value();
            let kind = if value["type"] == "subsegment" { "subsegment" } else { "segment" };
            let fault = if value["fault"] == true { ", fault" } else { "" };
            let name = value["name"].as_str().unwrap_or_default();
            traces.entry(&segment.trace_id).or_default().push(format!("{kind} {name}{fault}"));
        }
        for (id, mut parts) in traces {
            parts.sort();
            writeln!(out, "  {id}: {}", parts.join("; "))?;
        }
        let spans = self.otlp_spans();
        let failed = spans.iter().filter(|span| span["status"]["code"] == 2).count();
        writeln!(out, "OTLP: {} spans, {failed} of them failed", spans.len())
    }
}
