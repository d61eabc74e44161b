//! Where a record came from.
//!
//! `origin = (input, incarnation, start, end, ordinal)`. An incarnation is 128 random bits given to a source (a file, a
//! connection) when it is first seen and renewed when it is truncated or replaced; `start..end` are source bytes. A
//! record made out of another counts up an ordinal and adds a hash of its content. So an id made of an origin never
//! repeats for different content, and always repeats for the same record read again.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A source of records: one file between two truncations, one connection, one request.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    input: Arc<str>,
    incarnation: u128,
    /// The incarnation as 22 characters, the head of every id.
    prefix: [u8; PREFIX],
}

/// Length of an incarnation in base64.
const PREFIX: usize = 22;
/// Digits of the largest number in base 36.
const DIGITS: usize = 13;

/// One record's origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The source.
    pub source: &'a Source,
    /// First source byte.
    pub start: u64,
    /// One past the last source byte.
    pub end: u64,
    /// 0 for the record as it was read; from 1 for those made of it.
    pub ordinal: u32,
    /// Hash of the content, for those made of another.
    pub salt: u64,
}

// === impl Source ===

impl Source {
    /// The source `incarnation` of the input named `input`.
    pub fn new(input: Arc<str>, incarnation: u128) -> Self {
        let mut prefix = [b'A'; PREFIX];
        // 16 bytes are 22 characters: it can't fail.
        let _ = URL_SAFE_NO_PAD.encode_slice(incarnation.to_be_bytes(), &mut prefix);
        Source { input, incarnation, prefix }
    }

    /// Name of the input.
    pub fn input(&self) -> &Arc<str> {
        &self.input
    }

    /// The 128 random bits.
    pub fn incarnation(&self) -> u128 {
        self.incarnation
    }
}

// === impl Origin ===

impl Origin<'_> {
    /// Appends the id: `<incarnation>-<start>-<length>`, and `-<ordinal>-<hash>` for derived records; base64 and lower
    /// case base 36, so at most 22 + 13 + 13 + 7 + 13 characters and four dashes.
    pub fn write_id(&self, out: &mut Vec<u8>) {
        let mut id = [b'-'; PREFIX + 4 * (1 + DIGITS)];
        id[..PREFIX].copy_from_slice(&self.source.prefix);
        let mut at = put_base36(self.start, &mut id, PREFIX + 1);
        at = put_base36(self.end - self.start, &mut id, at + 1);
        if self.ordinal > 0 {
            at = put_base36(u64::from(self.ordinal), &mut id, at + 1);
            at = put_base36(self.salt, &mut id, at + 1);
        }
        out.extend_from_slice(&id[..at]);
    }
}

/// Writes `n` at `at`; where it ends.
#[inline]
fn put_base36(mut n: u64, out: &mut [u8], at: usize) -> usize {
    let mut digits = [0; DIGITS];
    let mut from = DIGITS;
    loop {
        from -= 1;
        digits[from] = b"0123456789abcdefghijklmnopqrstuvwxyz"[(n % 36) as usize];
        n /= 36;
        if n == 0 {
            break;
        }
    }
    let end = at + DIGITS - from;
    out[at..end].copy_from_slice(&digits[from..]);
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(start: u64, end: u64, ordinal: u32, salt: u64) -> String {
        let source = Source::new("in".into(), 7);
        let mut out = Vec::new();
        Origin { source: &source, start, end, ordinal, salt }.write_id(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn ids_tell_origins_apart() {
        assert_eq!(id(0, 36, 0, 0), "AAAAAAAAAAAAAAAAAAAABw-0-10");
        assert_eq!(id(36, 36 + 71, 2, 35), "AAAAAAAAAAAAAAAAAAAABw-10-1z-2-z");
        assert!(id(u64::MAX - 1, u64::MAX, u32::MAX, u64::MAX).len() < 80);
        assert_ne!(id(1, 23, 0, 0), id(12, 3 + 12, 0, 0));
    }
}
