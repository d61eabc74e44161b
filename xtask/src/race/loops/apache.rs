//! Apache combined to Elasticsearch: read, split, captures of the `regex` crate, write JSON, send.
//!
//! The loop most people would write. The agent's own parser is asked to beat it.

use std::{net::SocketAddr, path::Path};

use regex::bytes::{CaptureLocations, Regex};

use super::{
    BODY,
    client::Client,
    json::{ACTION, TARGET},
    reader,
};
use crate::error::Error;

/// Fields in the order of the groups; the fourth is the time, which becomes `@timestamp`.
const PATTERN: &str =
    r#"^(?-u)(\S+) (\S+) (\S+) \[([^\]]+)\] "([^\s"]+) ([^\s"]+) ([^\s"]+)" (\d{3}) (\d+|-) "([^"]*)" "([^"]*)"$"#;
const KEYS: [&[u8]; 11] = [
    b",\"host\":",
    b",\"ident\":",
    b",\"user\":",
    b"",
    b",\"method\":",
    b",\"path\":",
    b",\"protocol\":",
    b",\"status\":",
    b",\"size\":",
    b",\"referer\":",
    b",\"agent\":",
];
const TIME: usize = 3;
/// Groups written as numbers.
const NUMBERS: [usize; 2] = [7, 8];

pub(super) fn run(file: &Path, address: SocketAddr) -> Result<(), Error> {
    let mut client = Client::connect(address, TARGET, "application/x-ndjson")?;
    let pattern = Regex::new(PATTERN).map_err(|error| Error::Message(error.to_string()))?;
    let mut groups = pattern.capture_locations();
    let mut body = Vec::with_capacity(2 * BODY);
    reader::blocks(file, |block| {
        for line in reader::split(block) {
            add(line, &pattern, &mut groups, &mut body).ok_or_else(|| {
                Error::Message(format!("not a record of the race: {}", String::from_utf8_lossy(line)))
            })?;
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

/// Appends one record with its action line. `None` if the line isn't what these files hold.
fn add(line: &[u8], pattern: &Regex, groups: &mut CaptureLocations, body: &mut Vec<u8>) -> Option<()> {
    pattern.captures_read(groups, line)?;
    let group = |number: usize| groups.get(number + 1).map(|(start, end)| &line[start..end]).unwrap_or_default();
    body.extend_from_slice(ACTION);
    add_time(group(TIME), body)?;
    body.push(b'"');
    for (number, key) in KEYS.iter().enumerate() {
        let text = group(number);
        if number == TIME || text == b"-" {
            continue;
        }
        body.extend_from_slice(key);
        if NUMBERS.contains(&number) {
            body.extend_from_slice(text);
        } else {
            add_string(text, body)?;
        }
    }
    body.extend_from_slice(b"}\n");
    Some(())
}

/// `01/Mar/2026:08:00:00 +0000` as RFC 3339. `None` if it isn't of that shape and zone.
fn add_time(text: &[u8], body: &mut Vec<u8>) -> Option<()> {
    const MONTHS: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let text: &[u8; 26] = text.try_into().ok()?;
    let month = MONTHS.chunks(3).position(|name| name == &text[3..6])? as u8 + 1;
    if &text[20..] != b" +0000" {
        return None;
    }
    let mut out = *b"0000-00-00T00:00:00Z";
    out[..4].copy_from_slice(&text[7..11]);
    out[5] += month / 10;
    out[6] += month % 10;
    out[8..10].copy_from_slice(&text[..2]);
    out[11..19].copy_from_slice(&text[12..20]);
    body.extend_from_slice(&out);
    Some(())
}

/// A JSON string. `None` if it isn't UTF-8.
fn add_string(text: &[u8], body: &mut Vec<u8>) -> Option<()> {
    simdutf8::basic::from_utf8(text).ok()?;
    body.push(b'"');
    if text.iter().all(|byte| *byte >= 0x20 && *byte != b'"' && *byte != b'\\') {
        body.extend_from_slice(text);
    } else {
        for &byte in text {
            match byte {
                b'"' | b'\\' => body.extend_from_slice(&[b'\\', byte]),
                0..0x20 => body.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
                _ => body.push(byte),
            }
        }
    }
    body.push(b'"');
    Some(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_line_becomes_its_fields() {
        let line = br#"10.1.2.3 - alice [01/Mar/2026:08:00:59 +0000] "GET /a\b HTTP/1.1" 200 - "-" "curl/8""#;
        let pattern = Regex::new(PATTERN).unwrap();
        let mut body = Vec::new();
        add(line, &pattern, &mut pattern.capture_locations(), &mut body).unwrap();
        let text = String::from_utf8(body).unwrap();
        let record: Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
        let wanted = json!({
            "@timestamp": "2026-03-01T08:00:59Z", "host": "10.1.2.3", "user": "alice", "method": "GET", "path": "/a\\b",
            "protocol": "HTTP/1.1", "status": 200, "agent": "curl/8"
        });
        assert_eq!(record, wanted);
        assert!(add(b"something else", &pattern, &mut pattern.capture_locations(), &mut Vec::new()).is_none());
    }
}
