//! Text to Loki: read, split, protobuf, snappy, send.

use std::{
    net::SocketAddr,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{BODY, client::Client, reader};
use crate::error::{Context, Error};

const LABELS: &[u8] = b"{job=\"race\"}";

/// Room before the entries for the two headers that hold the length of what follows.
const HEADER: usize = 32;

pub(super) fn run(file: &Path, address: SocketAddr) -> Result<(), Error> {
    let mut client = Client::connect(address, "/loki/api/v1/push", "application/x-protobuf")?;
    let mut push = Push::new();
    reader::blocks(file, |block| {
        for line in reader::split(block) {
            push.add(line);
            if push.message.len() >= BODY {
                client.send(push.finish()?)?;
            }
        }
        Ok(())
    })?;
    if push.message.len() > HEADER {
        client.send(push.finish()?)?;
    }
    Ok(())
}

/// A push request in the making: one stream.
pub(in crate::race) struct Push {
    /// `HEADER` spare bytes, then the entries.
    message: Vec<u8>,
    body: Vec<u8>,
    encoder: snap::raw::Encoder,
    /// Of the current request, in seconds, and the nanosecond of its next line.
    seconds: u64,
    nano: u64,
}

impl Push {
    pub(in crate::race) fn new() -> Self {
        let body = vec![0; snap::raw::max_compress_len(2 * BODY)];
        let mut push = Self {
            message: Vec::with_capacity(2 * BODY),
            body,
            encoder: snap::raw::Encoder::new(),
            seconds: 0,
            nano: 0,
        };
        push.begin();
        push
    }

    fn begin(&mut self) {
        self.message.clear();
        self.message.resize(HEADER, 0);
        self.seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        self.nano = 1 << 28; // So that the nanosecond always takes five bytes, whatever is added.
    }

    /// Adds a line, one nanosecond after the one before it.
    pub(in crate::race) fn add(&mut self, line: &[u8]) {
        // Timestamp { 1: seconds, 2: nanos }
        let mut time = [0; 16];
        time[0] = 0x08;
        let mut length = 1 + varint(self.seconds, &mut time[1..]);
        time[length] = 0x10;
        length += 1;
        length += varint(self.nano, &mut time[length..]);
        self.nano += 1;
        // Entry { 1: timestamp, 2: line }
        let mut size = [0; 10];
        let size_length = varint(line.len() as u64, &mut size);
        let entry = 2 + length + 1 + size_length + line.len();
        let mut head = [0; 48];
        head[0] = 0x12;
        let mut at = 1 + varint(entry as u64, &mut head[1..]);
        head[at] = 0x0a;
        head[at + 1] = length as u8;
        at += 2;
        head[at..at + length].copy_from_slice(&time[..length]);
        at += length;
        head[at] = 0x12;
        at += 1;
        head[at..at + size_length].copy_from_slice(&size[..size_length]);
        at += size_length;
        self.message.extend_from_slice(&head[..at]);
        self.message.extend_from_slice(line);
    }

    /// The request's body, compressed; the next one is begun.
    pub(in crate::race) fn finish(&mut self) -> Result<&[u8], Error> {
        // PushRequest { 1: Stream { 1: labels, 2: entries } }, its head written right before the entries.
        let stream = 2 + LABELS.len() + self.message.len() - HEADER;
        let mut head = [0; HEADER];
        head[0] = 0x0a;
        let mut at = 1 + varint(stream as u64, &mut head[1..]);
        head[at] = 0x0a;
        head[at + 1] = LABELS.len() as u8;
        at += 2;
        head[at..at + LABELS.len()].copy_from_slice(LABELS);
        at += LABELS.len();
        self.message[HEADER - at..HEADER].copy_from_slice(&head[..at]);

        let message = &self.message[HEADER - at..];
        let needed = snap::raw::max_compress_len(message.len());
        if self.body.len() < needed {
            self.body.resize(needed, 0);
        }
        let compressed = self.encoder.compress(message, &mut self.body);
        let length = compressed.map_err(std::io::Error::other).context("snappy")?;
        self.begin();
        Ok(&self.body[..length])
    }
}

fn varint(mut value: u64, to: &mut [u8]) -> usize {
    let mut at = 0;
    while value >= 0x80 {
        to[at] = value as u8 | 0x80;
        value >>= 7;
        at += 1;
    }
    to[at] = value as u8;
    at + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_is_what_loki_reads() {
        let mut push = Push::new();
        push.add(b"one");
        push.add("two".repeat(200).as_bytes());
        let body = push.finish().unwrap().to_vec();
        let plain = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
        // One stream, whose length is what is left; the labels; two entries, the first of 3 + 12 + 2 bytes.
        assert_eq!(plain[0], 0x0a);
        let length = usize::from(plain[1] & 0x7f) | usize::from(plain[2]) << 7;
        assert_eq!(length, plain.len() - 3);
        assert_eq!(&plain[3..5], &[0x0a, LABELS.len() as u8]);
        let entries = &plain[5 + LABELS.len()..];
        let first = 2 + usize::from(entries[1]);
        assert_eq!((entries[0], entries[first]), (0x12, 0x12));
        assert!(entries[..first].ends_with(b"\x12\x03one"));
        assert!(entries.ends_with(b"twotwo"));
        // The next request starts afresh.
        push.add(b"three");
        let next = push.finish().unwrap().to_vec();
        let plain = snap::raw::Decoder::new().decompress_vec(&next).unwrap();
        assert!(plain.ends_with(b"three") && !plain.windows(3).any(|bytes| bytes == b"one"));
    }
}
