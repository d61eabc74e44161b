//! The servers, asked as clients ask them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::{Elasticsearch, ElasticsearchOptions, Fault, Loki, Sink};

/// Status and body, or nothing where the connection ended before.
fn post(url: &str, path: &str, headers: &str, body: &[u8]) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

fn bulk(server: &Elasticsearch, body: &str) -> (u16, Value) {
    let path = "/_bulk?filter_path=errors,items.*.status,items.*.error";
    let (status, body) = post(&server.url(), path, "content-type: application/x-ndjson\r\n", body.as_bytes()).unwrap();
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

fn create(id: &str, document: &str) -> String {
    format!("{{\"create\":{{\"_index\":\"i\",\"_id\":\"{id}\"}}}}\n{document}\n")
}

fn statuses(answer: &Value) -> Vec<u64> {
    answer["items"].as_array().unwrap().iter().map(|item| item["create"]["status"].as_u64().unwrap()).collect()
}

#[test]
fn each_document_of_a_bulk_has_its_own_answer() {
    let server = Elasticsearch::start().unwrap();
    let body = create("a", "{\"n\":1}")
        + &create("b", "{\"refuse_me\":true}")
        + &create("a", "{\"n\":2}")
        + &create("c", "[]");
    let (status, answer) = bulk(&server, &body);
    assert_eq!((status, statuses(&answer), &answer["errors"]), (200, vec![201, 400, 409, 400], &Value::from(true)));
    assert_eq!(answer["items"][1]["create"]["error"]["type"], "document_parsing_exception");
    assert_eq!(answer["items"][2]["create"]["error"]["type"], "version_conflict_engine_exception");
    assert_eq!((server.len(), server.conflicts(), server.refused()), (1, 1, 2));
    assert_eq!(server.documents()[0].source, "{\"n\":1}");
    server.faults().script([Fault::RefuseSome(2)]);
    let (_, answer) = bulk(&server, &(create("d", "{}") + &create("e", "{}") + &create("f", "{}")));
    assert_eq!(statuses(&answer), [429, 201, 429]);
}

#[test]
fn one_bad_action_stops_a_bulk_before_it_begins() {
    let server = Elasticsearch::with(ElasticsearchOptions { max_coordinating: 2000, ..Default::default() }).unwrap();
    let long = create(&"x".repeat(513), "{}");
    let cases = [
        (create("a", "{}") + "{\"foo\":{}}\n{}\n", "illegal_argument_exception"),
        (create("a", "{}") + &long, "action_request_validation_exception"),
        (create("a", "{}") + "{\"create\":{}}\n{}\n", "action_request_validation_exception"),
        (create("a", "{}").trim_end().to_owned(), "illegal_argument_exception"),
        (String::new(), "parse_exception"),
    ];
    for (body, kind) in cases {
        let (status, answer) = bulk(&server, &body);
        assert_eq!((status, answer["error"]["type"].as_str()), (400, Some(kind)), "{body}");
    }
    let (status, answer) = bulk(&server, &create("a", &format!("{{\"x\":\"{}\"}}", "x".repeat(2000))));
    assert_eq!((status, answer["error"]["type"].as_str()), (429, Some("es_rejected_execution_exception")));
    assert!(server.is_empty());
}

#[test]
fn faults_store_what_they_say_they_store() {
    let server = Elasticsearch::start().unwrap();
    for (n, (fault, stored)) in [
        (Fault::ResetBeforeBody, 0),
        (Fault::ResetMidBody, 0),
        (Fault::ResetAfterStore, 1),
        (Fault::ResetMidAnswer, 2),
        (Fault::StoreAndHang, 3),
        (Fault::Hang, 3),
    ]
    .into_iter()
    .enumerate()
    {
        server.faults().script([fault.clone()]);
        let answer = post(
            &server.url(),
            "/_bulk",
            "content-type: application/json\r\n",
            create(&n.to_string(), "{}").as_bytes(),
        );
        assert_eq!(answer, None, "{fault:?}");
        assert!(server.wait_for(stored, Duration::from_secs(5)) && server.len() == stored, "{fault:?}");
    }
}

#[test]
fn loki_tells_of_entries_too_far_behind_only_in_the_last_stream() {
    let server = Loki::start().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let old = now - 2 * 3_600_000_000_000;
    let push = |streams: Value| {
        let body = json!({ "streams": streams }).to_string();
        post(&server.url(), "/loki/api/v1/push", "content-type: application/json\r\n", body.as_bytes()).unwrap()
    };
    let stream =
        |job: &str, time: u128, line: &str| json!({ "stream": { "job": job }, "values": [[time.to_string(), line]] });
    assert_eq!(push(json!([stream("a", now, "new")])), (204, String::new()));
    assert_eq!(push(json!([stream("a", now, "new")])).0, 204);
    assert_eq!(server.len(), 1, "equal time and line are one");
    assert_eq!(push(json!([stream("a", old, "swallowed"), stream("b", now, "good")])).0, 204);
    let (status, text) = push(json!([stream("b", now, "fine"), stream("a", old, "told")]));
    assert!(status == 400 && text.contains("entry too far behind") && text.contains("1 out of 1"), "{status} {text}");
    let mut lines = server.lines();
    lines.sort();
    assert_eq!(lines, ["fine", "good", "new"]);
    let (status, text) = push(json!([stream("a", now, "taken"), stream("a", 5, "ancient")]));
    assert!(status == 400 && text.contains("timestamp too old"), "{text}");
    assert_eq!(server.len(), 4, "a 400 may have stored something");
    assert_eq!(push(json!([{ "stream": { "a-b": "c" }, "values": [] }, stream("a", now, "poisoned")])).0, 400);
    assert_eq!(push(json!([])).0, 422);
    assert_eq!(server.len(), 4);
}

#[test]
fn a_sink_keeps_what_is_sent() {
    let server = Sink::start().unwrap();
    server.faults().script([Fault::Busy(Some(7)), Fault::Html(502)]);
    let ask = || post(&server.url(), "/x?y", "x-a: b\r\n", b"one\ntwo\n").unwrap();
    assert_eq!((ask().0, ask().0, ask().0), (429, 502, 200));
    assert_eq!((server.lines(), server.requests()), (vec!["one".to_owned(), "two".to_owned()], 3));
}
