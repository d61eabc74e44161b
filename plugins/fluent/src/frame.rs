//! Where messages end in a stream of them.
//!
//! MessagePack says nothing of the length of a value in front of it, so its heads are walked. The walk goes on where it
//! stopped when more bytes have come: each byte is looked at once, and what a head announces is passed over, not read.

use crate::msgpack::{Broken, Reader};

/// Finds the ends of messages, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Scanner {
    /// Where the message begins that is being scanned.
    start: usize,
    /// How far it is scanned. May lie behind the bytes there are: a payload is on its way.
    at: usize,
    /// Values of it that were announced and not seen yet; `None`: it has not begun.
    left: Option<u64>,
}

/// What comes next in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A message, which ends there.
    Complete(usize),
    /// Not all of a message.
    Partial {
        /// How long it is at least.
        least: usize,
        /// Nothing but an option comes behind that: it will hardly be longer.
        is_most: bool,
    },
}

// === impl Scanner ===

impl Scanner {
    /// Goes on in `bytes`, which begin with those that were given before.
    pub fn next(&mut self, bytes: &[u8]) -> Result<Next, Broken> {
        let mut left = self.left.unwrap_or(1);
        while left > 0 && self.at < bytes.len() {
            let mut reader = Reader::new(bytes, self.at..bytes.len());
            let head = match reader.head() {
                Ok(head) => head,
                Err(Broken::Truncated) => break,
                Err(error) => return Err(error),
            };
            self.at = reader.at().saturating_add(head.payload());
            // At most 2^33 for each of fewer than 2^31 bytes.
            left = left - 1 + head.values();
        }
        if left == 0 && self.at <= bytes.len() {
            self.left = None;
            self.start = self.at;
            return Ok(Next::Complete(self.at));
        }
        self.left = Some(left);
        // Each value that is still to come takes a byte or more.
        let least = (self.at - self.start).saturating_add(usize::try_from(left).unwrap_or(usize::MAX));
        let is_most = left <= 1 && self.at > bytes.len();
        Ok(Next::Partial { least, is_most })
    }

    /// Where the message begins that is not complete.
    pub fn start(&self) -> usize {
        self.start
    }

    /// The stream goes on in another buffer, which begins with that message.
    pub fn rebase(&mut self) {
        self.at -= self.start;
        self.start = 0;
    }
}
