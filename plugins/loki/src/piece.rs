//! What one request carries: entries of some streams, as many as fit.

use std::ops::Range;

use crate::clock::entry_time;
use crate::json;
use crate::plan::Plan;
use crate::protobuf;
use crate::settings::Format;
use crate::view::View;

/// A single-binary Loki hands a request on to its ingester as one message of at most 4 MiB, and adds a label to each
/// stream: 5 % are left for it. Bytes, before compression.
pub(crate) const MAX_REQUEST: usize = 3_900_000;

/// Entries: ranges of the entries of streams, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece(pub(crate) Vec<(usize, Range<usize>)>);

/// Memory that bodies are made with.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    line: Vec<u8>,
    item: Vec<u8>,
    metadata: Vec<u8>,
    labels: Vec<u8>,
}

// === impl Piece ===

impl Piece {
    /// Entries.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|(_, entries)| entries.len()).sum()
    }

    /// Numbers of its records.
    pub(crate) fn numbers<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = usize> + 'a {
        let entries = |(stream, range): &(usize, Range<usize>)| plan.streams[*stream].entries[range.clone()].iter();
        self.0.iter().flat_map(entries).map(|entry| entry.number as usize)
    }

    /// Cuts it behind its first `n` entries; the rest.
    pub(crate) fn split_off(&mut self, n: usize) -> Piece {
        let mut left = n;
        let mut rest = Vec::new();
        for (stream, entries) in &mut self.0 {
            let cut = entries.start + left.min(entries.len());
            left -= cut - entries.start;
            if cut < entries.end {
                rest.push((*stream, cut..entries.end));
                entries.end = cut;
            }
        }
        self.0.retain(|(_, entries)| !entries.is_empty());
        Piece(rest)
    }

    /// Appends the request's body to `out`, before compression. Says how many entries fitted: at least one.
    pub(crate) fn write(
        &self,
        plan: &Plan,
        views: &[View<'_>],
        format: Format,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> usize {
        let mut written = 0;
        let mut full = false;
        if format == Format::Json {
            out.extend_from_slice(json::OPEN);
        }
        for (stream, range) in &self.0 {
            let stream = &plan.streams[*stream];
            let before = out.len();
            scratch.labels.clear();
            let open = match format {
                Format::Protobuf => {
                    stream.labels.write_text(&mut scratch.labels);
                    Some(protobuf::open_stream(&scratch.labels, out))
                }
                Format::Json => {
                    stream.labels.write_json(&mut scratch.labels);
                    json::open_stream(&scratch.labels, out);
                    None
                }
            };
            let first = written;
            for entry in &stream.entries[range.clone()] {
                let view = &views[entry.part as usize];
                let row = &view.batch.rows[entry.row as usize];
                let from = out.len();
                let Scratch { line, item, metadata, .. } = scratch;
                metadata.clear();
                let time = entry_time(row);
                match format {
                    Format::Protobuf => {
                        view.metadata(row, item, |name, value| protobuf::write_metadata(name, value, metadata));
                        protobuf::write_entry(time, view.line(row, line), metadata, out);
                    }
                    Format::Json => {
                        view.metadata(row, item, |name, value| json::write_metadata(name, value, metadata));
                        json::write_entry(time, view.line(row, line), metadata, out);
                    }
                }
                if out.len() > MAX_REQUEST && written > 0 {
                    out.truncate(from);
                    full = true;
                    break;
                }
                written += 1;
            }
            if written == first {
                // It did not fit at all, not even its head.
                out.truncate(before);
            } else if let Some(open) = open {
                protobuf::close_stream(open, out);
            } else {
                out.extend_from_slice(json::CLOSE_STREAM);
            }
            if full {
                break;
            }
        }
        if format == Format::Json {
            out.extend_from_slice(json::CLOSE);
        }
        written
    }
}
