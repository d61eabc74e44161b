//! The server, asked by a client that signs.

mod limits;
mod signatures;
mod sources;
mod storage;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::credentials::hex;
use super::signature::{Scope, Subject, basic};
use super::{Aws, AwsOptions};
use crate::http::Head;

/// An answer: status, head in lower case, body.
#[derive(Debug)]
struct Said {
    status: u16,
    head: String,
    body: String,
}

/// Somebody who signs.
#[derive(Clone)]
struct Client {
    address: String,
    key: String,
    secret: String,
    token: Option<String>,
    region: String,
    service: String,
    /// Seconds.
    ahead: i64,
    /// Headers that are there and not signed.
    unsigned: Vec<&'static str>,
}

// === impl Client ===

impl Client {
    fn of(aws: &Aws, service: &str) -> Client {
        let AwsOptions { access_key_id, secret_access_key, region, .. } = AwsOptions::default();
        Client {
            address: aws.url().trim_start_matches("http://").to_owned(),
            key: access_key_id,
            secret: secret_access_key,
            token: None,
            region,
            service: service.to_owned(),
            ahead: 0,
            unsigned: Vec::new(),
        }
    }

    /// `None`: the connection ended without an answer.
    fn try_ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Said> {
        let now = jiff::Timestamp::now().as_millisecond() + 1000 * self.ahead;
        let time = basic(now);
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nx-amz-date: {time}\r\n", self.address);
        if let Some(token) = &self.token {
            text += &format!("x-amz-security-token: {token}\r\n");
        }
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += &format!("content-length: {}\r\nconnection: close\r\n", body.len());
        let head = Head::read(&mut format!("{text}\r\n").as_bytes()).unwrap().unwrap();
        let mut signed: Vec<&str> = head.headers().iter().map(|(name, _)| name.as_str()).collect();
        signed.retain(|name| !self.unsigned.contains(name) && *name != "connection");
        signed.sort_unstable();
        signed.dedup();
        let own = hex(&Sha256::digest(body));
        let payload = head.header("x-amz-content-sha256").unwrap_or(&own);
        let scope = Scope { date: &time[..8], region: &self.region, service: &self.service };
        let signature = Subject { head: &head, headers: &signed, payload, time: &time, scope }.signature(&self.secret);
        text += &format!(
            "authorization: AWS4-HMAC-SHA256 Credential={}/{}/{}/{}/aws4_request, SignedHeaders={}, Signature={signature}\r\n",
            self.key,
            &time[..8],
            self.region,
            self.service,
            signed.join(";")
        );
        send(&self.address, &text, body)
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Said {
        self.try_ask(method, path, headers, body).unwrap()
    }

    /// By AWS JSON 1.1.
    fn json(&self, target: &str, body: &Value) -> Said {
        let headers = [("x-amz-target", target), ("content-type", "application/x-amz-json-1.1")];
        self.ask("POST", "/", &headers, body.to_string().as_bytes())
    }

    /// By the Query protocol.
    fn form(&self, body: &str) -> Said {
        self.ask("POST", "/", &[("content-type", "application/x-www-form-urlencoded; charset=utf-8")], body.as_bytes())
    }

    /// To S3, the hash of the body included.
    fn s3(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Said {
        let hash = hex(&Sha256::digest(body));
        let headers = [&[("x-amz-content-sha256", hash.as_str())], headers].concat();
        self.ask(method, path, &headers, body)
    }
}

/// `head` without the empty line at its end.
fn send(address: &str, head: &str, body: &[u8]) -> Option<Said> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(format!("{head}\r\n").as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some(Said { status: head.split(' ').nth(1)?.parse().ok()?, head: head.to_ascii_lowercase(), body: body.to_owned() })
}

// === impl Said ===

impl Said {
    fn value(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// The code of an error, wherever the protocol has it.
    fn code(&self) -> String {
        let header = self.head.lines().find_map(|line| line.strip_prefix("x-amzn-errortype: "));
        if let Some(kind) = header {
            // Header values are read in lower case here.
            return kind.split(':').next().unwrap_or_default().to_owned();
        }
        if let Some((_, rest)) = self.body.split_once("<Code>") {
            return rest.split('<').next().unwrap_or_default().to_owned();
        }
        self.value()["__type"].as_str().unwrap_or_default().to_owned()
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A group `g` with a stream `s`.
fn with_stream(logs: &Client) {
    assert_eq!(logs.json("Logs_20140328.CreateLogGroup", &json!({ "logGroupName": "g" })).status, 200);
    let stream = json!({ "logGroupName": "g", "logStreamName": "s" });
    assert_eq!(logs.json("Logs_20140328.CreateLogStream", &stream).status, 200);
}

fn put(logs: &Client, events: &[(i64, &str)]) -> Said {
    let events: Vec<Value> =
        events.iter().map(|(time, message)| json!({ "timestamp": time, "message": message })).collect();
    let body = json!({ "logGroupName": "g", "logStreamName": "s", "logEvents": events });
    logs.json("Logs_20140328.PutLogEvents", &body)
}

/// What stands between these two.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).unwrap().1.split_once(end).unwrap().0
}
