//! Bodies of requests: their memory goes round.
//!
//! A megabyte that is new from the system costs a page fault per 4 KiB. So a body is built in a buffer that was a body
//! before, handed to the socket as it is (no copy, see [`Bytes::from_owner`]), and comes back here when the client lets go
//! of it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Buffers kept for the next use, at most: the requests under way, and one for compression.
const KEPT: usize = 4;
/// A larger one is given back to the system. Bytes.
const KEPT_CAPACITY: usize = 4 << 20;

/// Used buffers.
#[derive(Clone, Debug, Default)]
pub struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

/// A body that is being built.
///
/// Its bytes are the first [`len`](Buffer::keep) of `bytes`, or all of them: some encoders need room that is initialised
/// (snappy), and would pay for clearing it with each body.
#[derive(Debug)]
pub struct Buffer {
    /// The bytes.
    pub bytes: Vec<u8>,
    from: usize,
    to: Option<usize>,
    pool: Buffers,
}

// === impl Buffers ===

impl Buffers {
    /// An empty buffer.
    pub fn take(&self) -> Buffer {
        let mut buffer = self.take_dirty();
        buffer.bytes.clear();
        buffer
    }

    /// A buffer that may hold bytes of the body before: for those who overwrite them and say how many count
    /// ([`Buffer::keep`]).
    pub fn take_dirty(&self) -> Buffer {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        Buffer { bytes, from: 0, to: None, pool: self.clone() }
    }
}

// === impl Buffer ===

impl Buffer {
    /// The body is only this part of the bytes.
    pub fn keep(&mut self, part: std::ops::Range<usize>) {
        self.from = part.start;
        self.to = Some(part.end);
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        let to = self.to.unwrap_or(self.bytes.len()).min(self.bytes.len());
        &self.bytes[self.from.min(to)..to]
    }

    /// The body as the client sends it.
    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.body()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        if bytes.capacity() == 0 || bytes.capacity() > KEPT_CAPACITY {
            return;
        }
        let mut free = self.pool.0.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT {
            free.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_goes_round() {
        let buffers = Buffers::default();
        let mut first = buffers.take();
        first.bytes.extend_from_slice(b"abcdef");
        first.keep(1..3);
        let memory = first.bytes.as_ptr();
        let bytes = first.into_bytes();
        assert_eq!(&bytes[..], b"bc");
        let clone = bytes.clone();
        drop(bytes);
        assert_eq!(buffers.take().bytes.capacity(), 0);
        drop(clone);
        let again = buffers.take();
        assert_eq!((again.bytes.as_ptr(), again.body()), (memory, &b""[..]));
    }

    #[test]
    fn a_giant_is_not_kept_nor_are_many() {
        let buffers = Buffers::default();
        let mut giant = buffers.take();
        giant.bytes.reserve(KEPT_CAPACITY + 1);
        drop(giant);
        assert_eq!(buffers.take().bytes.capacity(), 0);
        let many: Vec<Buffer> = (0..10)
            .map(|_| {
                let mut buffer = buffers.take();
                buffer.bytes.push(1);
                buffer
            })
            .collect();
        drop(many);
        assert_eq!(buffers.0.lock().unwrap().len(), KEPT);
    }
}
