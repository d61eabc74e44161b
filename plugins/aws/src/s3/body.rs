//! The bytes of an object, made as they are sent: records are written a piece at a time, and compressed at once.

use std::io;

use suiro_sdk::compress::CompressStream;

use super::plan::Object;
use super::settings::Settings;

/// So much is written before it is compressed. Bytes.
const PIECE: usize = 64 << 10;

/// An object that is being written.
#[derive(Debug)]
pub(crate) struct Body<'a> {
    settings: &'a Settings,
    object: &'a Object<'a>,
    /// How many of its records are written.
    written: usize,
    plain: Vec<u8>,
    stream: CompressStream,
    /// Whether the stream has its end.
    finished: bool,
    /// Bytes that are made already, for the next part.
    rest: Vec<u8>,
}

// === impl Body ===

impl<'a> Body<'a> {
    pub(crate) fn new(settings: &'a Settings, object: &'a Object<'a>) -> io::Result<Self> {
        let stream = CompressStream::new(settings.compression)?;
        let plain = Vec::with_capacity(PIECE + 4096);
        Ok(Body { settings, object, written: 0, plain, stream, finished: false, rest: Vec::new() })
    }

    /// Fills `out`, which is empty, with the next `size` bytes, or with all that are left: whether that is so. Not to be
    /// called again then.
    ///
    /// Exactly `size`: there are systems (R2) that want all parts but the last to be of one length.
    pub(crate) fn fill(&mut self, out: &mut Vec<u8>, size: usize) -> io::Result<bool> {
        out.append(&mut self.rest);
        while out.len() < size && self.written < self.object.records.len() {
            self.plain.clear();
            for (_, batch, row) in &self.object.records[self.written..] {
                self.settings.format.write(batch, row, &mut self.plain);
                self.plain.push(b'\n');
                self.written += 1;
                if self.plain.len() >= PIECE {
                    break;
                }
            }
            self.stream.write(&self.plain, out)?;
        }
        if !self.finished && self.written == self.object.records.len() {
            self.stream.finish(out)?;
            self.finished = true;
        }
        self.rest.extend_from_slice(&out[size.min(out.len())..]);
        out.truncate(size);
        Ok(self.finished && self.rest.is_empty())
    }
}
