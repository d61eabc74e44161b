//! The push request as JSON.
//!
//! ```text
//! {"streams":[{"stream":{"job":"app"},"values":[["1795364943000000000","line",{"trace_id":"1"}]]}]}
//! ```

use suiro_record::write_json_str;

pub(crate) const OPEN: &[u8] = b"{\"streams\":[";
pub(crate) const CLOSE: &[u8] = b"]}";
pub(crate) const CLOSE_STREAM: &[u8] = b"]}";

/// Begins a stream. `labels` is its label set as JSON.
pub(crate) fn open_stream(labels: &[u8], out: &mut Vec<u8>) {
    separate(out);
    out.extend_from_slice(b"{\"stream\":");
    out.extend_from_slice(labels);
    out.extend_from_slice(b",\"values\":[");
}

/// Appends an entry. `metadata` is its metadata as [`write_metadata`] wrote it.
pub(crate) fn write_entry(time: i64, line: &[u8], metadata: &[u8], out: &mut Vec<u8>) {
    separate(out);
    out.extend_from_slice(format!("[\"{time}\",").as_bytes());
    write_text(line, out);
    if !metadata.is_empty() {
        out.extend_from_slice(b",{");
        out.extend_from_slice(metadata);
        out.push(b'}');
    }
    out.push(b']');
}

/// Appends an item of metadata, as an entry holds it.
pub(crate) fn write_metadata(name: &str, value: &[u8], out: &mut Vec<u8>) {
    if !out.is_empty() {
        out.push(b',');
    }
    write_json_str(name, out);
    out.push(b':');
    write_text(value, out);
}

/// A comma, unless it would be the first item.
fn separate(out: &mut Vec<u8>) {
    if !out.ends_with(b"[") {
        out.push(b',');
    }
}

fn write_text(text: &[u8], out: &mut Vec<u8>) {
    write_json_str(&String::from_utf8_lossy(text), out);
}
