//! How many records a request body holds, at the least cost per format.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use memchr::{memchr, memchr_iter, memmem};

/// The largest body taken, before and after decompression.
pub(super) const MAX_BODY: usize = 256 << 20;

/// Undoes `Content-Encoding: gzip`.
pub(super) fn gunzip(body: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    let read = MultiGzDecoder::new(body).take(MAX_BODY as u64 + 1).read_to_end(&mut plain).ok()?;
    (read <= MAX_BODY).then_some(plain)
}

/// Records of a bulk body (two lines each, the last newline required), and whether the first action is `index`
/// rather than `create`. No sender of the race mixes the two.
pub(super) fn bulk(body: &[u8]) -> Option<(u64, bool)> {
    let lines = memchr_iter(b'\n', body).count() as u64;
    let action = &body[..memchr(b'\n', body)?];
    let index = memmem::find(action, b"\"index\"").is_some() && memmem::find(action, b"\"create\"").is_none();
    (lines.is_multiple_of(2) && body.last() == Some(&b'\n')).then_some((lines / 2, index))
}

/// Entries of a Loki push in JSON: each begins with `["`, which no label and no line of the race's files contains.
pub(super) fn loki_json(body: &[u8]) -> Option<u64> {
    (body.first() == Some(&b'{')).then(|| memmem::find_iter(body, b"[\"").count() as u64)
}

/// Events of a `PutLogEvents`: each begins with its time, and in a message the quotes would be escaped.
pub(super) fn log_events(body: &[u8]) -> Option<u64> {
    (body.first() == Some(&b'{')).then(|| memmem::find_iter(body, b"{\"timestamp\":").count() as u64)
}

/// Entries of a Loki push in protobuf, snappy block format.
pub(super) fn loki_protobuf(body: &[u8], decoder: &mut snap::raw::Decoder, plain: &mut Vec<u8>) -> Option<u64> {
    let length = snap::raw::decompress_len(body).ok().filter(|length| *length <= MAX_BODY)?;
    if plain.len() < length {
        plain.resize(length, 0);
    }
    let length = decoder.decompress(body, plain).ok()?;
    // PushRequest { 1: Stream { 1: labels, 2: Entry } }
    let mut entries = 0;
    for_each_field(&plain[..length], |field, stream| {
        if field == 1 { for_each_field(stream, |field, _| entries += u64::from(field == 2)) } else { Some(()) }
    })?;
    Some(entries)
}

/// Records of an OTLP export request: log records or spans, whose messages nest alike.
pub(super) fn otlp(body: &[u8]) -> Option<u64> {
    // Request { 1: Resource.. { 2: Scope.. { 2: record } } }
    let mut records = 0;
    for_each_field(body, |_, resource| {
        for_each_field(resource, |field, scope| {
            let mut count = |field, _: &[u8]| records += u64::from(field == 2);
            if field == 2 { for_each_field(scope, &mut count) } else { Some(()) }
        })
    })?;
    Some(records)
}

/// Calls `see` for each length-delimited field of a message made of such fields only; `None` if it isn't.
fn for_each_field<'a, R: Into<Seen>>(mut message: &'a [u8], mut see: impl FnMut(u64, &'a [u8]) -> R) -> Option<()> {
    while !message.is_empty() {
        let key = varint(&mut message)?;
        let length = usize::try_from(varint(&mut message)?).ok()?;
        if key & 7 != 2 {
            return None;
        }
        let (value, rest) = message.split_at_checked(length)?;
        see(key >> 3, value).into().0?;
        message = rest;
    }
    Some(())
}

/// What a visitor says: nothing (go on), or `None` (malformed, stop).
struct Seen(Option<()>);

impl From<()> for Seen {
    fn from((): ()) -> Self {
        Self(Some(()))
    }
}

impl From<Option<()>> for Seen {
    fn from(outcome: Option<()>) -> Self {
        Self(outcome)
    }
}

fn varint(from: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = from.split_first()?;
        *from = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    #[test]
    fn bulk_counts_pairs_of_lines() {
        assert_eq!(bulk(b"{\"create\":{}}\n{\"a\":1}\n{\"create\":{}}\n{}\n"), Some((2, false)));
        assert_eq!(bulk(b"{\"index\":{\"_index\":\"x\"}}\n{}\n"), Some((1, true)));
        assert_eq!(bulk(b"{\"create\":{}}\n{}"), None, "the last newline is required");
        assert_eq!(bulk(b"{\"create\":{}}\n"), None, "an action without a document");
        assert_eq!(bulk(b""), None);
    }

    #[test]
    fn log_events_are_counted_but_not_what_they_say() {
        let body = br#"{"logGroupName":"race","logEvents":[{"timestamp":1,"message":"x"},{"timestamp":2,"message":"{\"timestamp\":3}"}]}"#;
        assert_eq!(log_events(body), Some(2));
        assert_eq!(log_events(br#"{"logGroupName":"race","logStreamName":"race"}"#), Some(0));
        assert_eq!(log_events(b"x"), None);
    }

    #[test]
    fn loki_entries_are_counted_in_both_formats() {
        let json = br#"{"streams":[{"stream":{"job":"a"},"values":[["1","x"],["2","y \"[\" z"]]}]}"#;
        assert_eq!(loki_json(json), Some(2));

        let stream = |entries: usize| {
            let mut inside = b"\x0a\x09{job=\"a\"}".to_vec();
            inside.extend(b"\x12\x03\x12\x01x".repeat(entries));
            let mut whole = vec![0x0a, inside.len() as u8];
            whole.extend(inside);
            whole
        };
        let message = [stream(3), stream(4)].concat();
        let body = snap::raw::Encoder::new().compress_vec(&message).unwrap();
        let mut decoder = snap::raw::Decoder::new();
        assert_eq!(loki_protobuf(&body, &mut decoder, &mut Vec::new()), Some(7));
        let cut = snap::raw::Encoder::new().compress_vec(&message[..message.len() - 1]).unwrap();
        assert_eq!(loki_protobuf(&cut, &mut decoder, &mut Vec::new()), None);
        assert_eq!(loki_protobuf(b"not snappy", &mut decoder, &mut Vec::new()), None);
    }

    #[test]
    fn gzip_is_undone_and_damage_noticed() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(b"{\"create\":{}}\n{}\n").unwrap();
        let body = encoder.finish().unwrap();
        assert_eq!(gunzip(&body).as_deref(), Some(&b"{\"create\":{}}\n{}\n"[..]));
        assert_eq!(gunzip(&body[..body.len() - 4]), None);
    }
}
