//! Segments of X-Ray's SDKs, through the agent, and their requests for sampling rules.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};

use serde_json::{Value, json};
use suiro_test_servers::Aws;

use crate::PATIENCE;
use crate::agent::Site;

const HEADER: &str = "{\"format\": \"json\", \"version\": 1}\n";

/// As the SDK for Python writes it.
const SEGMENT: &str = r#"{"id": "53995c3f42cd8ad8", "name": "shop", "start_time": 1478293361.271, "end_time": 1478293361.449, "in_progress": false, "trace_id": "1-581cf771-a006649127e371903a2de979", "http": {"request": {"method": "GET", "url": "http://shop/cart", "client_ip": "10.0.0.1"}, "response": {"status": 200}}, "annotations": {"tenant": "a"}, "subsegments": [{"id": "53995c3f42cd8ad9", "name": "S3", "namespace": "aws", "start_time": 1478293361.3, "end_time": 1478293361.4, "fault": true, "aws": {"operation": "GetObject"}}]}"#;

fn site(input: &str, output: &str) -> Site {
    Site::new(&format!(
        "[[input]]\nname = 'in'\ntype = 'xray'\ntag = 'traces'\n{input}\n\
         [[output]]\nname = 'out'\ntype = 'file'\npath = 'out.jsonl'\nformat = 'full'\n{output}"
    ))
}

fn records(site: &Site) -> Vec<Value> {
    let text = fs::read_to_string(site.path("out.jsonl")).expect("the file is there");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn post(address: SocketAddr, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    (head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status"), body.to_owned())
}

#[test]
fn segments_become_spans() {
    let site = site("udp = '127.0.0.1:0'\ntcp = false", "");
    let agent = site.start();
    let udp = agent.listens("setting=udp ");
    let client = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let cut = format!("{HEADER}{{\"id\":\"{}", "x".repeat(65_000));
    let good = format!("{HEADER}{SEGMENT}");
    for datagram in [&good[..], SEGMENT, "", HEADER, &good[..300], &cut, "stats.d:1|c", &good] {
        client.send_to(datagram.as_bytes(), udp).expect("it is sent");
    }
    agent.wait_for_ledger("all of it is delivered", |ledger| {
        ledger.output("out", "delivered") == 4 && ledger.input("in", "turned_away") == 6
    });
    // One line a minute says so, however many there are.
    let said = agent.stderr().lines().filter(|line| line.contains("a datagram can't be read")).count();
    assert_eq!(said, 1, "{}", agent.stderr());
    let outcome = agent.stop();
    let ledger = outcome.all_well();
    assert_eq!((ledger.input("in", "received"), ledger.input("in", "settled")), (4, 4));

    let records = records(&site);
    assert_eq!(records.len(), 4);
    let shop = &records[0];
    assert_eq!((&shop["@signal"], &shop["@tag"]), (&json!("traces"), &json!("traces")));
    assert_eq!(shop["@trace_id"], "581cf771a006649127e371903a2de979");
    assert_eq!(shop["@resource"], json!({ "service.name": "shop" }));
    assert_eq!((&shop["name"], &shop["kind"]), (&json!("shop"), &json!("server")));
    assert_eq!(shop["start"], 1_478_293_361_271_000_000_i64);
    assert_eq!(shop["attributes"]["tenant"], "a");
    let s3 = &records[1];
    assert_eq!((&s3["@span_id"], &s3["parent_span_id"]), (&json!("53995c3f42cd8ad9"), &json!("53995c3f42cd8ad8")));
    assert_eq!(s3["attributes"], json!({ "rpc.system": "aws-api", "rpc.service": "S3", "rpc.method": "GetObject" }));
    assert_eq!((&s3["status"]["code"], &s3["@resource"]), (&json!("error"), &shop["@resource"]));
}

#[test]
fn segments_pass_through_as_they_came() {
    let site = site("udp = '127.0.0.1:0'\ntcp = false\nformat = 'segments'", "");
    let agent = site.start();
    let udp = agent.listens("setting=udp ");
    let client = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for n in 0..100 {
        let segment = SEGMENT.replace("\"shop\"", &format!("\"shop {n}\""));
        client.send_to(format!("{HEADER}{segment}\n").as_bytes(), udp).expect("it is sent");
        if n % 10 == 9 {
            // Ten at a time: the system's buffer has room for them, and nothing may be lost here.
            agent.wait_for_ledger("what was sent", |ledger| ledger.input("in", "received") == n + 1);
        }
    }
    agent.wait_for_ledger("all of it is delivered", |ledger| ledger.output("out", "delivered") == 100);
    agent.stop().all_well();
    let records = records(&site);
    assert_eq!(records.len(), 100);
    for (n, record) in records.iter().enumerate() {
        assert_eq!(record["xray.segment"], SEGMENT.replace("\"shop\"", &format!("\"shop {n}\"")));
        assert_eq!(record["name"], format!("shop {n}"));
        assert_eq!(record["@span_id"], "53995c3f42cd8ad8");
    }
}

/// Settings of an account that the server knows.
fn account(aws: &Aws) -> String {
    format!(
        "region = 'eu-central-1'\nendpoint = '{}'\n\
         credentials = {{ access_key_id = 'AKIDSUIROTEST', secret_access_key = 'suiro-secret' }}\n",
        aws.url()
    )
}

#[test]
fn in_the_daemons_place() {
    let aws = Aws::start().expect("a server");
    for format in ["segments", "spans"] {
        let site = Site::new(&format!(
            "[[input]]\nname = 'in'\ntype = 'xray'\nudp = '127.0.0.1:0'\ntcp = false\nformat = '{format}'\n\
             [[output]]\nname = 'out'\ntype = 'xray'\n{}",
            account(&aws)
        ));
        let agent = site.start();
        let client = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        client.send_to(format!("{HEADER}{SEGMENT}").as_bytes(), agent.listens("setting=udp ")).expect("it is sent");
        let count = if format == "spans" { 2 } else { 1 };
        agent.wait_for_ledger("all of it is delivered", |ledger| ledger.output("out", "delivered") == count);
        agent.stop().all_well();
    }
    let segments = aws.taken().segments;
    assert_eq!(segments[0].document, SEGMENT);
    let sent: Value = serde_json::from_str(SEGMENT).expect("JSON");
    let [shop, s3] =
        [&segments[1], &segments[2]].map(|segment| -> Value { serde_json::from_str(&segment.document).expect("JSON") });
    for key in ["id", "name", "trace_id", "http", "annotations"] {
        assert_eq!(shop[key], sent[key], "{key}");
    }
    let call = &sent["subsegments"][0];
    for key in ["id", "name", "namespace", "fault"] {
        assert_eq!(s3[key], call[key], "{key}");
    }
    assert_eq!(s3["aws"]["operation"], "GetObject");
    assert_eq!((&s3["type"], &s3["parent_id"]), (&json!("subsegment"), &sent["id"]));
}

#[test]
fn requests_for_rules_are_signed() {
    let aws = Aws::start().expect("a server");
    let site = site(&format!("udp = false\ntcp = '127.0.0.1:0'\n{}", account(&aws)), "");
    let agent = site.start();
    let tcp = agent.listens("setting=tcp ");
    let (status, body) = post(tcp, "/GetSamplingRules", "{\"NextToken\":null}");
    assert!(status == 200 && body.contains("\"RuleName\":\"Default\""), "{status} {body}");
    let report = "{\"SamplingStatisticsDocuments\":[{\"RuleName\":\"Default\",\"ClientID\":\"0123456789abcdef01234567\",\
                  \"Timestamp\":1795364943,\"RequestCount\":9,\"SampledCount\":2,\"BorrowCount\":0}]}";
    let (status, body) = post(tcp, "/SamplingTargets", report);
    assert!(status == 200 && body.contains("\"ReservoirQuota\":1"), "{status} {body}");
    assert_eq!((aws.calls_of("GetSamplingRules"), aws.taken().sampling_statistics.len()), (1, 1));
    // What X-Ray refuses is the sender's to know.
    let (status, body) = post(tcp, "/SamplingTargets", "{}");
    assert!(status == 400 && body.contains("SamplingStatisticsDocuments"), "{status} {body}");
    aws.remove_key("AKIDSUIROTEST");
    let (status, body) = post(tcp, "/GetSamplingRules", "{}");
    assert!((400..=403).contains(&status) && body.contains("security token"), "{status} {body}");
    agent.wait_for("it says so", |agent| agent.stderr().contains("X-Ray refused a request"));
    assert_eq!(agent.ledger().input("in", "turned_away"), 0);
    // X-Ray is gone.
    drop(aws);
    let (status, body) = post(tcp, "/SamplingTargets", "{}");
    assert_eq!(status, 502, "{body}");
    assert!(body.contains("the agent could not ask X-Ray"), "{body}");
    agent.wait_for_ledger("it is counted", |ledger| ledger.input("in", "turned_away") == 1);
    agent.stop().all_well();
}

#[test]
fn rules_of_a_file_are_answered_here() {
    let site = site("udp = false\ntcp = '127.0.0.1:0'\nsampling = 'local'\nsampling_rules = 'rules.json'", "");
    site.write("rules.json", r#"{"version":2,"default":{"fixed_target":1,"rate":0.05}}"#);
    let agent = site.start();
    let tcp = agent.listens("setting=tcp ");
    let (status, body) = post(tcp, "/GetSamplingRules", "{}");
    assert!(status == 200 && body.contains("\"RuleName\":\"Default\""), "{body}");
    assert_eq!(post(tcp, "/SamplingTargets", "").0, 400);
    agent.stop().all_well();
}

#[test]
fn the_daemons_configuration_is_sound() {
    let site = site("", "");
    let outcome = site.command(&["check", "-c", concat!(env!("CARGO_MANIFEST_DIR"), "/conf/xray-daemon.toml")]);
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
}

#[test]
fn a_port_somebody_has_and_one_that_is_open_are_told() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let busy = site(&format!("udp = '{}'\ntcp = false", taken.local_addr().expect("bound")), "");
    let outcome = busy.command(&["run", "-c", busy.path("suiro.toml").to_str().expect("UTF-8")]);
    assert!(outcome.code() != 0 && outcome.stderr.contains("perhaps the X-Ray daemon"), "{}", outcome.stderr);
    let open = site("udp = '0.0.0.0:0'\ntcp = '0.0.0.0:0'", "");
    let outcome = open.command(&["check", "-c", open.path("suiro.toml").to_str().expect("UTF-8")]);
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(outcome.code() == 0 && said.contains("others can have requests to X-Ray signed"), "{said}");
}
