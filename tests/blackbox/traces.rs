//! Spans of Jaeger's and Zipkin's clients, through the agent. The bytes are those of real clients: the fixtures of
//! `plugins/jaeger` and `plugins/zipkin`.

use std::fs;
use std::net::UdpSocket;

use serde_json::{Value, json};

use crate::PATIENCE;
use crate::agent::{Running, Site};

const JAEGER_HTTP: &[u8] = include_bytes!("../../plugins/jaeger/src/tests/fixtures/otel-python-http.thrift");
const JAEGER_COMPACT: &[u8] = include_bytes!("../../plugins/jaeger/src/tests/fixtures/thrift-lib-batch-compact.thrift");
const JAEGER_UDP: &[u8] = include_bytes!("../../plugins/jaeger/src/tests/fixtures/jaeger-client-udp.thrift");
const JAEGER_UDP_BINARY: &[u8] =
    include_bytes!("../../plugins/jaeger/src/tests/fixtures/thrift-lib-emit-binary.thrift");
const ZIPKIN_JSON: &[u8] = include_bytes!("../../plugins/zipkin/src/tests/fixtures/otel-python.json");
const ZIPKIN_PROTOBUF: &[u8] = include_bytes!("../../plugins/zipkin/src/tests/fixtures/otel-python.pb");

const FILE: &str = "[[output]]\nname = 'out'\ntype = 'file'\npath = 'spans.jsonl'\nformat = 'full'\n";

/// Posts; the status and the body of the answer.
pub(crate) fn post(url: &str, content_type: &str, body: &[u8]) -> (u16, String) {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build().into();
    let mut answer = agent.post(url).header("content-type", content_type).send(body).expect("an answer");
    let text = answer.body_mut().read_to_string().expect("a text");
    (answer.status().as_u16(), text)
}

/// The spans in a file, by their ids.
fn spans(site: &Site) -> Vec<Value> {
    let text = fs::read_to_string(site.path("spans.jsonl")).expect("the file is there");
    let mut spans: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    spans.sort_by_key(|span| (span["@trace_id"].to_string(), span["@span_id"].to_string()));
    spans
}

fn delivered(agent: &Running, input: &str, count: u64) {
    agent.wait_for_ledger("all of it is delivered", |ledger| {
        ledger.input(input, "settled") == count && ledger.output("out", "delivered") == count
    });
}

#[test]
fn jaegers_clients_over_http_and_udp() {
    let site = Site::new(&format!(
        "[[input]]\nname = 'in'\ntype = 'jaeger'\ntag = 'traces'\nlisten = '127.0.0.1:0'\n\
         udp_compact = '127.0.0.1:0'\nudp_binary = '127.0.0.1:0'\nack = 'delivered'\nmax_body = '100KiB'\n{FILE}"
    ));
    let agent = site.start();
    let http = agent.listens("setting=listen ");
    let udp = ["setting=udp_compact ", "setting=udp_binary "].map(|setting| agent.listens(setting));
    let url = format!("http://{http}/api/traces");

    assert_eq!(post(&url, "application/x-thrift", JAEGER_HTTP), (202, String::new()));
    // Delivered, not only taken: the settings say so.
    assert_eq!(spans(&site).len(), 3);
    let (status, _) =
        post(&format!("{url}?format=jaeger.thrift"), "application/vnd.apache.thrift.compact", JAEGER_COMPACT);
    assert_eq!(status, 202);
    for (path, content_type, body, status, why) in [
        (
            "",
            "application/vnd.apache.thrift.binary",
            &JAEGER_HTTP[..2000],
            400,
            "this is no batch of Jaeger's in Thrift: byte ",
        ),
        ("", "application/x-thrift", b"{}".as_slice(), 400, "byte 1: 123 is no type of the binary protocol"),
        ("", "application/json", b"{}".as_slice(), 415, "it takes application/x-thrift"),
        ("/v2", "application/x-thrift", JAEGER_HTTP, 404, "this input takes POST /api/traces"),
        ("", "application/x-thrift", &[0; 200_000], 413, "`max_body`"),
    ] {
        let (got, text) = post(&format!("{url}{path}"), content_type, body);
        assert_eq!(got, status, "{text}");
        assert!(text.contains(why), "{why}: {text}");
    }

    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    // Both sockets are given all: what is of the other protocol is counted, and harms nothing.
    for address in &udp {
        for datagram in [JAEGER_UDP, JAEGER_UDP_BINARY, b"".as_slice(), &JAEGER_UDP[..300], b"stats.d:1|c"] {
            socket.send_to(datagram, address).expect("it is sent");
        }
    }
    agent.wait_for_ledger("all datagrams are read", |ledger| {
        ledger.input("in", "settled") == 8 && ledger.input("in", "turned_away") == 5 + 8
    });
    let outcome = agent.stop();
    let ledger = outcome.all_well();
    assert_eq!((ledger.input("in", "received"), ledger.output("out", "delivered")), (8, 8));

    let spans = spans(&site);
    let names: Vec<&str> = spans.iter().map(|span| span["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["reserve", "notify", "place", "send", "send", "GET /cart", "charge", "render"]);
    for span in &spans {
        assert_eq!(
            (&span["@signal"], &span["@tag"], &span["@input"]),
            (&json!("traces"), &json!("traces"), &json!("in"))
        );
    }
    let charge = &spans[6];
    assert_eq!(charge["@resource"], json!({ "service.name": "shop" }));
    assert_eq!(charge["@scope"], json!({ "name": "shop.checkout", "version": "2.1" }));
    assert_eq!(charge["@trace_id"], "0123456789abcdeffedcba9876543210");
    assert_eq!(charge["parent_span_id"], spans[5]["@span_id"]);
    assert_eq!(charge["status"], json!({ "code": "error", "message": "card declined" }));
    assert_eq!(charge["attributes"]["server.port"], 8443);
    assert_eq!(charge["events"][0]["attributes"]["code"], 51);
    assert_eq!(spans[0]["@trace_id"], "0000000000000000d11011c5580b1f1d");
}

#[test]
fn zipkin_through_two_agents_is_what_it_was() {
    let input = "[[input]]\nname = 'in'\ntype = 'zipkin'\ntag = 'traces'\nlisten = '127.0.0.1:0'\n";
    let second = Site::new(&format!("{input}ack = 'delivered'\n{FILE}"));
    let behind = second.start();
    let address = behind.listens("setting=listen ");
    let first = Site::new(&format!(
        "{input}{FILE}[[output]]\nname = 'next'\ntype = 'zipkin'\nurl = 'http://{address}'\ncompression = 'gzip'\n"
    ));
    let agent = first.start();
    let url = format!("http://{}/api/v2/spans", agent.listens("setting=listen "));

    assert_eq!(post(&url, "application/json; charset=utf-8", ZIPKIN_JSON), (202, String::new()));
    let full = json!([{
        "traceId": "000000000000000a", "id": "000000000000000b", "parentId": "000000000000000c", "kind": "CONSUMER",
        "name": "größe", "timestamp": 1_795_364_943_000_000_u64, "duration": 5, "debug": true, "shared": true,
        "localEndpoint": { "serviceName": "a", "ipv4": "10.0.0.1", "ipv6": "2001:db8::1", "port": 80 },
        "remoteEndpoint": { "serviceName": "b", "ipv4": "10.0.0.2", "ipv6": "2001:db8::2", "port": 81 },
        "annotations": [{ "timestamp": 1_795_364_943_000_001_u64, "value": "ws" }],
        "tags": { "error": "boom", "peer.service": "c", "x": "y\n" }
    }]);
    assert_eq!(post(&url, "", full.to_string().as_bytes()).0, 202);
    for (content_type, body, status, why) in [
        (
            "application/json",
            b"[{\"id\":\"1\"}]".as_slice(),
            400,
            "span 0 of the list (byte 1): missing field `traceId`",
        ),
        ("application/json", br#"[{"traceId":"x","id":"1"}]"#, 400, "`traceId`: \"x\" is no id"),
        ("application/x-protobuf", &ZIPKIN_PROTOBUF[..100], 400, "a length goes beyond the end"),
        ("application/x-thrift", b"", 415, "it takes application/json or application/x-protobuf"),
    ] {
        let (got, text) = post(&url, content_type, body);
        assert_eq!(got, status, "{text}");
        assert!(text.contains(why), "{why}: {text}");
    }
    delivered(&agent, "in", 4);
    agent.wait_for_ledger("the other has it too", |ledger| ledger.output("next", "delivered") == 4);
    delivered(&behind, "in", 4);
    let outcome = agent.stop();
    assert_eq!(outcome.all_well().input("in", "turned_away"), 4);
    assert_eq!(behind.stop().all_well().input("in", "turned_away"), 0);
    let (before, after) = (spans(&first), spans(&second));
    assert_eq!(before.len(), 4);
    assert_eq!(before[0]["name"], "größe");
    assert_eq!(
        before[0]["@resource"],
        json!({ "service.name": "a", "host.ip": ["10.0.0.1", "2001:db8::1"], "net.host.port": 80 })
    );
    assert_eq!(before, after);
}

#[test]
fn protobuf_says_the_same_as_json() {
    let read = |content_type: &str, body: &[u8]| {
        let site = Site::new(&format!("[[input]]\nname = 'in'\ntype = 'zipkin'\nlisten = '127.0.0.1:0'\n{FILE}"));
        let agent = site.start();
        let url = format!("http://{}/api/v2/spans", agent.listens("setting=listen "));
        assert_eq!(post(&url, content_type, body).0, 202);
        delivered(&agent, "in", 3);
        agent.stop().all_well();
        spans(&site)
    };
    assert_eq!(read("application/json", ZIPKIN_JSON), read("application/x-protobuf", ZIPKIN_PROTOBUF));
}

#[test]
fn a_port_in_use_names_its_setting() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken_udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let (tcp, udp) = (taken.local_addr().expect("one"), taken_udp.local_addr().expect("one"));
    for (settings, setting) in [
        (format!("type = 'zipkin'\nlisten = '{tcp}'"), "`listen`: can't listen on"),
        (
            format!("type = 'jaeger'\nudp_compact = false\nudp_binary = false\nlisten = '{tcp}'"),
            "`listen`: can't listen on",
        ),
        (
            format!("type = 'jaeger'\nlisten = false\nudp_binary = false\nudp_compact = '{udp}'"),
            "`udp_compact`: can't listen on",
        ),
    ] {
        let site = Site::new(&format!("[[input]]\n{settings}\n{FILE}"));
        let outcome = site.command(&["run", "-c", "suiro.toml"]);
        assert_ne!(outcome.code(), 0);
        assert!(outcome.stderr.contains(setting), "{}", outcome.stderr);
    }
    let nowhere = Site::new(&format!(
        "[[input]]\ntype = 'jaeger'\nlisten = false\nudp_compact = false\nudp_binary = false\n{FILE}"
    ));
    let outcome = nowhere.command(&["check", "-c", "suiro.toml"]);
    assert!(outcome.stdout.contains("listens nowhere") || outcome.stderr.contains("listens nowhere"), "{outcome:?}");
}
