//! A stream of Fluentd's protocol: where its messages end does not depend on the pieces it comes in, and what is in them is
//! refused, or is records that write as JSON, in pieces that are bounded. The first byte says where it is cut.
#![no_main]

use std::sync::Arc;

use suiro_fluent::burst::Burst;
use suiro_fluent::frame::{Next, Scanner};
use suiro_record::{Batch, MAX_DEPTH, Scope, Source};
use suiro_sdk::decompress::Decompressor;

const LIMIT: usize = 1 << 20;

/// Where messages end, if the stream comes in pieces of so many bytes.
fn ends(stream: &[u8], piece: usize) -> Vec<usize> {
    let mut scanner = Scanner::default();
    let mut ends = Vec::new();
    let mut come = 0;
    while come < stream.len() {
        come = (come + piece).min(stream.len());
        loop {
            match scanner.next(&stream[..come]) {
                Ok(Next::Complete(end)) => ends.push(end),
                Ok(Next::Partial { .. }) => break,
                Err(_) => return ends,
            }
        }
    }
    ends
}

/// Whether a record nests as deep as records may.
fn is_deepest(json: &[u8]) -> bool {
    let brackets = json.iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
    brackets >= MAX_DEPTH
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&piece, stream)) = data.split_first() else { return };
    let whole = ends(stream, usize::MAX - stream.len());
    assert_eq!(whole, ends(stream, usize::from(piece) + 1));
    let source = Arc::new(Source::new("in".into(), 1));
    let mut open = |_: &[u8]| Batch::new("t".into(), Arc::new(Scope::new(source.clone())), 0);
    let mut burst = Burst::new(stream.to_vec(), whole, 0, LIMIT);
    let mut decompressor = Decompressor::default();
    while let Ok(Some(batch)) = burst.next(&mut decompressor, &mut open) {
        // A record may be as large as it may, the batch in front of it as large as a piece.
        assert!(batch.used() <= (16 << 20) + 2 * LIMIT, "{} for {}", batch.used(), stream.len());
        for row in &batch.rows {
            let mut json = Vec::new();
            batch.write_json(row, &mut json);
            // A record may nest one level deeper than this reader follows.
            let read = serde_json::from_slice::<serde_json::Value>(&json);
            assert!(read.is_ok() || is_deepest(&json), "no JSON");
        }
    }
});
