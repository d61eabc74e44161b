//! The body of a push: protobuf in a snappy block, or JSON.

use serde_json::Value;

use super::{Entry, Refusal};
use crate::http::Request;

/// A push as sent.
pub(super) struct Push {
    /// Labels and entries.
    pub(super) streams: Vec<(String, Vec<Entry>)>,
    /// Bytes of it as protobuf, or as JSON.
    pub(super) decoded: usize,
}

pub(super) fn read(request: &Request) -> Result<Push, Refusal> {
    let kind = request.head.header("content-type").unwrap_or_default();
    if kind.split(';').next().unwrap_or_default().trim() == "application/json" {
        let value: Value = serde_json::from_slice(&request.body).map_err(|error| {
            (
                400,
                format!(
                    "readObjectStart: expect {{ or n, but found something else, error found in #1 byte of ...: {error}"
                ),
            )
        })?;
        let streams = json(&value).ok_or((400, "loghttp.PushRequest.Streams: unexpected value".to_owned()))?;
        return Ok(Push { streams, decoded: request.body.len() });
    }
    let plain = snap::raw::Decoder::new()
        .decompress_vec(&request.body)
        .map_err(|_| (400, "snappy: corrupt input".to_owned()))?;
    let streams = protobuf(&plain).ok_or((400, "proto: PushRequest: wiretype end group for non-group".to_owned()))?;
    Ok(Push { streams, decoded: plain.len() })
}

fn json(value: &Value) -> Option<Vec<(String, Vec<Entry>)>> {
    let mut streams = Vec::new();
    for stream in value.get("streams")?.as_array()? {
        let labels: Option<Vec<String>> = stream
            .get("stream")?
            .as_object()?
            .iter()
            .map(|(name, value)| Some(format!("{name}={:?}", value.as_str()?)))
            .collect();
        let mut entries = Vec::new();
        for entry in stream.get("values")?.as_array()? {
            let metadata = match entry.get(2) {
                None => Vec::new(),
                Some(all) => {
                    let pairs = all.as_object()?.iter();
                    pairs
                        .map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                        .collect::<Option<_>>()?
                }
            };
            entries.push(Entry {
                time: entry.get(0)?.as_str()?.parse().ok()?,
                line: entry.get(1)?.as_str()?.to_owned(),
                metadata,
            });
        }
        streams.push((format!("{{{}}}", labels?.join(",")), entries));
    }
    Some(streams)
}

fn protobuf(bytes: &[u8]) -> Option<Vec<(String, Vec<Entry>)>> {
    let mut streams = Vec::new();
    for (number, field) in fields(bytes)? {
        if let (1, Field::Bytes(stream)) = (number, field) {
            let mut labels = String::new();
            let mut entries = Vec::new();
            for (number, field) in fields(stream)? {
                match (number, field) {
                    // Invalid UTF-8 is found out about when labels are parsed.
                    (1, Field::Bytes(text)) => labels = String::from_utf8_lossy(text).into_owned(),
                    (2, Field::Bytes(bytes)) => entries.push(entry(bytes)?),
                    _ => {}
                }
            }
            streams.push((labels, entries));
        }
    }
    Some(streams)
}

fn entry(bytes: &[u8]) -> Option<Entry> {
    let mut entry = Entry { time: 0, line: String::new(), metadata: Vec::new() };
    for (number, field) in fields(bytes)? {
        match (number, field) {
            (1, Field::Bytes(time)) => {
                for (number, field) in fields(time)? {
                    match (number, field) {
                        (1, Field::Varint(seconds)) => entry.time += (seconds as i64).checked_mul(1_000_000_000)?,
                        (2, Field::Varint(nanoseconds)) => entry.time += nanoseconds as i64,
                        _ => {}
                    }
                }
            }
            (2, Field::Bytes(line)) => entry.line = String::from_utf8_lossy(line).into_owned(),
            (3, Field::Bytes(pair)) => {
                let mut metadata = (String::new(), String::new());
                for (number, field) in fields(pair)? {
                    match (number, field) {
                        (1, Field::Bytes(name)) => metadata.0 = String::from_utf8_lossy(name).into_owned(),
                        (2, Field::Bytes(value)) => metadata.1 = String::from_utf8_lossy(value).into_owned(),
                        _ => {}
                    }
                }
                entry.metadata.push(metadata);
            }
            _ => {}
        }
    }
    Some(entry)
}

enum Field<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed,
}

/// The fields of a message.
fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Field<'_>)>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let field = match key & 7 {
            0 => Field::Varint(varint(&mut bytes)?),
            1 => {
                bytes = bytes.get(8..)?;
                Field::Fixed
            }
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (value, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Field::Bytes(value)
            }
            5 => {
                bytes = bytes.get(4..)?;
                Field::Fixed
            }
            _ => return None,
        };
        fields.push((key >> 3, field));
    }
    Some(fields)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
