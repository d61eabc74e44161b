//! What Loki answers to requests that it refuses in whole or in part, without the agent: the in-process server of the
//! other tests imitates these answers, and the output relies on them. A new version of Loki that answers otherwise
//! fails here, by name.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::loki;
use super::server;

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3600 * SECOND;

fn now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is past 1970");
    i64::try_from(now.as_nanos()).expect("the clock is before 2262")
}

/// Status and body.
fn push(url: &str, streams: &Value) -> (u16, String) {
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let mut answer = ureq::Agent::from(config)
        .post(format!("{url}/loki/api/v1/push"))
        .header("content-type", "application/json")
        .send(json!({ "streams": streams }).to_string())
        .unwrap_or_else(|error| panic!("{url}: {error}"));
    (answer.status().as_u16(), answer.body_mut().read_to_string().expect("the answer can be read"))
}

fn stream(job: &str, entries: &[(i64, &str)]) -> Value {
    let values: Vec<[String; 2]> = entries.iter().map(|(time, line)| [time.to_string(), (*line).to_owned()]).collect();
    json!({ "stream": { "job": job }, "values": values })
}

fn lines(url: &str, job: &str) -> Vec<String> {
    let all = loki::all(url, &format!("{{job=\"{job}\"}}"), now() - 6 * HOUR, now() + HOUR);
    all.into_iter().map(|entry| entry.line).collect()
}

#[test]
fn a_400_for_an_entry_stores_the_others() {
    let Some(server) = server::loki() else { return };
    let long = "x".repeat(256 * 1024 + 1);
    let (week, minutes) = (now() - 200 * HOUR, now() + HOUR / 4);
    let entries = [(week, "old"), (now(), "good"), (minutes, "new"), (now(), &long)];
    let (status, body) = push(&server.url, &json!([stream("fact-400", &entries)]));
    assert_eq!(status, 400);
    assert_eq!(body.matches("1 errors like: ").count(), 3, "{body}");
    for text in ["has timestamp too old: ", "has timestamp too new: ", "max entry size '262144' bytes exceeded"] {
        assert!(body.contains(text), "{body}");
    }
    assert_eq!(lines(&server.url, "fact-400"), ["good"]);
}

#[test]
fn a_label_that_cannot_be_read_refuses_the_whole_request() {
    let Some(server) = server::loki() else { return };
    let bad = json!({ "stream": { "a-b": "c" }, "values": [[now().to_string(), "bad"]] });
    let (status, body) = push(&server.url, &json!([stream("fact-label", &[(now(), "good")]), bad]));
    assert_eq!(status, 400);
    assert!(body.starts_with("couldn't parse labels: "), "{body}");
    assert!(lines(&server.url, "fact-label").is_empty());
}

/// The answer is the last stream's: what Loki refuses of the streams before it is lost behind a 204. Why the output
/// has to know the newest time it sent for each stream.
#[test]
fn an_entry_too_far_behind_is_told_of_in_the_last_stream_only() {
    let Some(server) = server::loki() else { return };
    let newest = now();
    assert_eq!(push(&server.url, &json!([stream("fact-behind", &[(newest, "newest")])])).0, 204);
    let behind =
        stream("fact-behind", &[(newest - HOUR - 60 * SECOND, "behind"), (newest - HOUR + 60 * SECOND, "late")]);

    let (status, body) = push(&server.url, &json!([stream("fact-other", &[(newest, "first")]), behind]));
    assert_eq!(status, 400);
    assert!(body.contains("ignored, reason: 'entry too far behind, "), "{body}");
    assert!(body.contains("user 'fake', total ignored: 1 out of 2 for stream: "), "{body}");

    let (status, body) = push(&server.url, &json!([behind, stream("fact-other", &[(newest, "last")])]));
    assert_eq!((status, body.as_str()), (204, ""));
    assert_eq!(lines(&server.url, "fact-behind"), ["late", "newest"]);
}

#[test]
fn what_is_equal_is_kept_once() {
    let Some(server) = server::loki() else { return };
    let time = now();
    for _ in 0..2 {
        let entries = [(time, "same"), (time, "other"), (time, "same"), (time + 1, "same")];
        assert_eq!(push(&server.url, &json!([stream("fact-equal", &entries)])).0, 204);
    }
    let mut there = lines(&server.url, "fact-equal");
    there.sort();
    assert_eq!(there, ["other", "same", "same"]);
}

/// 4 MiB is what the parts of a Loki send each other at most; nothing is gained by sending the same request again.
#[test]
fn a_request_beyond_four_mebibytes_is_a_500() {
    let Some(server) = server::loki() else { return };
    let line = "y".repeat(200_000);
    let entries: Vec<(i64, &str)> = (0..22).map(|i| (now() + i, &*line)).collect();
    // Other tests spend from the same allowance of bytes a second: 429 until there is enough of it.
    let (status, body) = loop {
        let (status, body) = push(&server.url, &json!([stream("fact-large", &entries)]));
        if status != 429 {
            break (status, body);
        }
        assert!(body.starts_with("ingestion rate limit exceeded for user fake "), "{body}");
        std::thread::sleep(std::time::Duration::from_millis(200));
    };
    assert_eq!(status, 500);
    assert!(body.contains("grpc: received message larger than max ("), "{body}");
    assert!(lines(&server.url, "fact-large").is_empty());
}

#[test]
fn a_request_beyond_the_burst_is_refused_for_ever() {
    let Some(server) = server::loki() else { return };
    let line = "z".repeat(200_000);
    let entries: Vec<(i64, &str)> = (0..35).map(|i| (now() + i, &*line)).collect();
    let (status, body) = push(&server.url, &json!([stream("fact-burst", &entries)]));
    assert_eq!(status, 429);
    assert!(body.contains("while attempting to ingest '35' lines totaling '7000000' bytes"), "{body}");
}

#[test]
fn a_request_without_streams_is_a_422() {
    let Some(server) = server::loki() else { return };
    let answer = push(&server.url, &json!([]));
    assert_eq!(answer, (422, "error at least one valid stream is required for ingestion\n".to_owned()));
}
