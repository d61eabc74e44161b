//! The push request as protobuf, written by hand out of borrowed lines.
//!
//! ```text
//! PushRequest { 1: Stream* }      Stream { 1: labels as text, 2: Entry* }
//! Entry { 1: Timestamp { 1: seconds, 2: nanoseconds }, 2: line, 3: Metadata* }      Metadata { 1: name, 2: value }
//! ```
//!
//! All lengths come before what they measure. An entry's is known before it is written; a stream's is not, so it takes a
//! varint of four bytes whatever its value (a longer form than need be is valid), filled in at the end.

use suiro_sdk::protobuf::{put_varint, varint_len};

/// One past the largest length four bytes of varint hold.
const MAX_STREAM: usize = 1 << 28;

/// Field 1, length-delimited, and so on.
const FIELD_1: u8 = 0x0a;
const FIELD_2: u8 = 0x12;
const FIELD_3: u8 = 0x1a;
/// Fields 1 and 2 as varints.
const VARINT_1: u8 = 0x08;
const VARINT_2: u8 = 0x10;

const SECOND: i64 = 1_000_000_000;

/// A stream that is being written.
#[derive(Debug)]
pub(crate) struct OpenStream {
    /// Where its length goes.
    at: usize,
}

/// Begins a stream.
pub(crate) fn open_stream(labels: &[u8], out: &mut Vec<u8>) -> OpenStream {
    out.push(FIELD_1);
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    out.push(FIELD_1);
    put_varint(labels.len() as u64, out);
    out.extend_from_slice(labels);
    OpenStream { at }
}

/// Ends it.
pub(crate) fn close_stream(stream: OpenStream, out: &mut [u8]) {
    let mut len = out.len() - stream.at - 4;
    debug_assert!(len < MAX_STREAM, "requests are cut long before");
    for (i, byte) in out[stream.at..stream.at + 4].iter_mut().enumerate() {
        *byte = (len & 0x7f) as u8 | if i < 3 { 0x80 } else { 0 };
        len >>= 7;
    }
}

/// Appends an entry. `metadata` is its metadata as [`write_metadata`] wrote it.
#[inline]
pub(crate) fn write_entry(time: i64, line: &[u8], metadata: &[u8], out: &mut Vec<u8>) {
    // seconds: 1 + at most 10, nanoseconds: 1 + at most 5.
    let mut stamp = [0; 17];
    let mut stamp_len = 0;
    let (seconds, nanos) = (time.div_euclid(SECOND), time.rem_euclid(SECOND));
    for (tag, value) in [(VARINT_1, seconds), (VARINT_2, nanos)] {
        if value != 0 {
            stamp[stamp_len] = tag;
            stamp_len = place_varint(value.cast_unsigned(), &mut stamp, stamp_len + 1);
        }
    }
    let line_len = if line.is_empty() { 0 } else { 1 + varint_len(line.len() as u64) + line.len() };
    let entry_len = 2 + stamp_len + line_len + metadata.len();

    let mut head = [0; 42];
    head[0] = FIELD_2;
    let mut at = place_varint(entry_len as u64, &mut head, 1);
    head[at] = FIELD_1;
    head[at + 1] = stamp_len as u8;
    at += 2;
    head[at..at + stamp_len].copy_from_slice(&stamp[..stamp_len]);
    at += stamp_len;
    if !line.is_empty() {
        head[at] = FIELD_2;
        at = place_varint(line.len() as u64, &mut head, at + 1);
    }
    out.reserve(at + line.len() + metadata.len());
    out.extend_from_slice(&head[..at]);
    out.extend_from_slice(line);
    out.extend_from_slice(metadata);
}

/// Appends an item of metadata, as an entry holds it.
pub(crate) fn write_metadata(name: &str, value: &[u8], out: &mut Vec<u8>) {
    let field = |len: usize| 1 + varint_len(len as u64) + len;
    out.push(FIELD_3);
    put_varint((field(name.len()) + field(value.len())) as u64, out);
    for (tag, text) in [(FIELD_1, name.as_bytes()), (FIELD_2, value)] {
        out.push(tag);
        put_varint(text.len() as u64, out);
        out.extend_from_slice(text);
    }
}

#[inline]
fn place_varint(mut value: u64, out: &mut [u8], mut at: usize) -> usize {
    while value >= 0x80 {
        out[at] = value as u8 | 0x80;
        value >>= 7;
        at += 1;
    }
    out[at] = value as u8;
    at + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_as_protoc_writes_them() {
        let mut out = Vec::new();
        let mut metadata = Vec::new();
        write_metadata("k", b"v", &mut metadata);
        write_entry(3 * SECOND + 300, b"hi", &metadata, &mut out);
        #[rustfmt::skip]
        assert_eq!(out, [
            0x12, 19,
                0x0a, 5, 0x08, 3, 0x10, 0xac, 0x02,
                0x12, 2, b'h', b'i',
                0x1a, 6, 0x0a, 1, b'k', 0x12, 1, b'v',
        ]);
        // Before 1970 the seconds are negative, the nanoseconds never; empty fields are left out.
        let mut out = Vec::new();
        write_entry(-1, b"", b"", &mut out);
        assert_eq!(out[..4], [0x12, 19, 0x0a, 17]);
        assert_eq!(out[4..15], [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
        assert_eq!(out[15], 0x10);
        assert_eq!(out.len(), 21);
    }
}
