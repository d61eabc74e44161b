//! JSON to Elasticsearch: read, split, validate, splice, send; with or without the filters.
//!
//! The record goes out as its source text with two splices: the action line before it, and `@timestamp`, copied from
//! the record's own `time`, which these files begin every record with. Filtering looks for the level, cuts one field
//! out and puts one in, all on the text. Validation is complete (grammar and UTF-8): it is the one thing a loop that
//! copies text still owes the server.

use std::{net::SocketAddr, path::Path};

use memchr::memmem::Finder;
use sonic_rs::LazyValue;

use super::{BODY, client::Client, reader};
use crate::error::Error;

/// Where a bulk request goes, and the only part of the answer a loop needs.
pub(super) const TARGET: &str = "/race/_bulk?filter_path=errors";
/// What precedes every record.
pub(super) const ACTION: &[u8] = b"{\"create\":{}}\n{\"@timestamp\":\"";

pub(super) fn run(file: &Path, address: SocketAddr, filter: bool) -> Result<(), Error> {
    let mut client = Client::connect(address, TARGET, "application/x-ndjson")?;
    let filter = filter.then(Filter::new);
    let mut body = Vec::with_capacity(2 * BODY);
    reader::blocks(file, |block| {
        for line in reader::split(block) {
            add(line, filter.as_ref(), &mut body)?;
            if body.len() >= BODY {
                client.send(&body)?;
                body.clear();
            }
        }
        Ok(())
    })?;
    if !body.is_empty() {
        client.send(&body)?;
    }
    Ok(())
}

fn add(line: &[u8], filter: Option<&Filter>, body: &mut Vec<u8>) -> Result<(), Error> {
    const TIME: &[u8] = b"{\"time\":\"";
    let wrong = || Error::Message(format!("not a record of the race: {}", String::from_utf8_lossy(line)));
    // Text first, then grammar: sonic-rs does not look at the encoding of what it only skips.
    let text = simdutf8::basic::from_utf8(line).map_err(|_| wrong())?;
    sonic_rs::from_str::<LazyValue<'_>>(text).map_err(|_| wrong())?;
    let time = line.strip_prefix(TIME).and_then(|rest| Some(&rest[..memchr::memchr(b'"', rest)?])).ok_or_else(wrong)?;
    match filter {
        None => {
            body.extend_from_slice(ACTION);
            body.extend_from_slice(time);
            body.extend_from_slice(b"\",");
            body.extend_from_slice(&line[1..]);
        }
        Some(filter) => {
            let Some(kept) = filter.split(line) else { return Ok(()) };
            body.extend_from_slice(ACTION);
            body.extend_from_slice(time);
            body.extend_from_slice(b"\",");
            body.extend_from_slice(&kept.0[1..]);
            body.extend_from_slice(&kept.1[..kept.1.len() - 1]);
            body.extend_from_slice(b",\"env\":\"prod\"}");
        }
    }
    body.push(b'\n');
    Ok(())
}

/// Finds `level` and `session` in the text.
struct Filter {
    level: Finder<'static>,
    session: Finder<'static>,
}

impl Filter {
    fn new() -> Self {
        Self { level: Finder::new(b"\"level\":\"debug\""), session: Finder::new(b"\"session\":\"") }
    }

    /// The record without its session, in two pieces. `None` if it is dropped.
    fn split<'a>(&self, line: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        if self.level.find(line).is_some() {
            return None;
        }
        let Some(at) = self.session.find(line) else { return Some((line, &[])) };
        let value = at + self.session.needle().len();
        let end = value + memchr::memchr(b'"', &line[value..])? + 1;
        // The field is never the first of these records, so the comma before it goes with it.
        Some((&line[..at - 1], &line[end..]))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const DEBUG: &[u8] = br#"{"time":"2026-03-01T08:00:00Z","level":"debug","msg":"a","session":"ff","n":1}"#;
    const INFO: &[u8] = br#"{"time":"2026-03-01T08:00:00Z","level":"info","msg":"a","session":"ff","n":1}"#;

    fn sent(lines: &[&[u8]], filter: Option<&Filter>) -> Vec<Value> {
        let mut body = Vec::new();
        lines.iter().for_each(|line| add(line, filter, &mut body).unwrap());
        let text = String::from_utf8(body).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_record_goes_out_whole_with_its_time() {
        let sent = sent(&[INFO], None);
        assert_eq!(sent[0], json!({"create": {}}));
        let mut wanted: Value = serde_json::from_slice(INFO).unwrap();
        wanted["@timestamp"] = json!("2026-03-01T08:00:00Z");
        assert_eq!(sent[1], wanted);
    }

    #[test]
    fn the_filter_drops_debug_cuts_the_session_and_sets_env() {
        let sent = sent(&[DEBUG, INFO, DEBUG], Some(&Filter::new()));
        assert_eq!(sent.len(), 2);
        let time = "2026-03-01T08:00:00Z";
        assert_eq!(
            sent[1],
            json!({"@timestamp": time, "time": time, "level": "info", "msg": "a", "n": 1, "env": "prod"})
        );
    }

    #[test]
    fn what_is_not_json_is_not_sent() {
        let mut body = Vec::new();
        assert!(add(br#"{"time":"2026-03-01T08:00:00Z","n":01}"#, None, &mut body).is_err());
        assert!(add(b"{\"time\":\"2026-03-01T08:00:00Z\",\"n\":\"\xff\"}", None, &mut body).is_err());
        assert!(body.is_empty());
    }
}
