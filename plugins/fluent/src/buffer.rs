//! What came on a connection and was not read yet.
//!
//! The first [`BASE`] bytes of a buffer cost nobody anything. A message that needs more waits until all of it may be kept,
//! out of what all connections share, and is read on only then: a connection that holds a part of the whole never waits for
//! another part, so no two wait for each other. How long a message is, its first bytes say where it is packed, as
//! those of Fluentd and Fluent Bit are; otherwise it is taken to be as long as it may.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Duration, Instant, timeout_at};

use crate::frame::{Next, Scanner};
use crate::msgpack::Broken;

/// Bytes of a connection that are not counted.
pub(crate) const BASE: usize = 64 << 10;
/// A quiet connection has no more.
const SMALL: usize = 4 << 10;
/// Behind the events of a packed message comes an option, of less than this.
const OPTION: usize = 64 << 10;
/// A message gets a second more for so many bytes that came.
const PER_SECOND: usize = 16 << 10;

/// Bytes of a connection, and how far they are looked through.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    scanner: Scanner,
    ends: Vec<usize>,
    /// How long the message is that is not complete, at least, and whether it is hardly longer.
    least: usize,
    is_most: bool,
    /// What it may have beyond [`BASE`].
    permit: Option<OwnedSemaphorePermit>,
    allowed: usize,
    /// When the message began that is not complete.
    began: Instant,
    terms: BufferTerms,
}

/// On what terms bytes are kept.
#[derive(Clone, Debug)]
pub(crate) struct BufferTerms {
    /// Bytes of a message, at most.
    pub(crate) max_message: usize,
    /// How long it may take to come in.
    pub(crate) timeout: Duration,
    /// What all connections may keep beyond their [`BASE`].
    pub(crate) shared: Arc<Semaphore>,
}

/// Messages that are complete.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) bytes: Vec<u8>,
    pub(crate) ends: Vec<usize>,
    /// Held until the bytes are read.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
}

/// Why nothing more can be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("what comes is no MessagePack: {0}")]
    Broken(#[from] Broken),
    #[error("a message is larger than {0} bytes: raise `max_message`, or have its sender send less at once")]
    TooLarge(usize),
    #[error("a message did not come to its end in time")]
    Timeout,
    #[error("the connection ended within a message")]
    Incomplete,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

// === impl Buffer ===

impl Buffer {
    pub(crate) fn new(terms: BufferTerms) -> Self {
        Buffer {
            bytes: Vec::new(),
            scanner: Scanner::default(),
            ends: Vec::new(),
            least: 0,
            is_most: false,
            permit: None,
            allowed: BASE,
            began: Instant::now(),
            terms,
        }
    }

    /// Its sender was kept waiting: the time for the message that is not complete begins anew.
    pub(crate) fn touch(&mut self) {
        self.began = Instant::now();
    }

    /// Looks through what has come, and takes the messages that are complete, if there are any.
    pub(crate) fn take(&mut self) -> Result<Option<Taken>, ReadError> {
        let broken = loop {
            match self.scanner.next(&self.bytes) {
                Ok(Next::Complete(end)) => self.ends.push(end),
                Ok(Next::Partial { least, is_most }) => {
                    (self.least, self.is_most) = (least, is_most);
                    break None;
                }
                Err(error) => break Some(error),
            }
        };
        if self.ends.is_empty() {
            return match broken {
                Some(error) => Err(error.into()),
                None if self.least > self.terms.max_message => Err(ReadError::TooLarge(self.terms.max_message)),
                None => Ok(None),
            };
        }
        // What is broken behind the messages that are not is found again when they are gone.
        let start = self.scanner.start();
        let rest = self.bytes[start..].to_vec();
        let bytes = std::mem::replace(&mut self.bytes, rest);
        self.scanner.rebase();
        self.allowed = BASE;
        self.touch();
        Ok(Some(Taken { bytes, ends: std::mem::take(&mut self.ends), permit: self.permit.take() }))
    }

    /// Takes the first message, if it is complete.
    pub(crate) fn take_one(&mut self) -> Result<Option<Vec<u8>>, ReadError> {
        match self.scanner.next(&self.bytes)? {
            Next::Complete(end) => {
                self.scanner.rebase();
                Ok(Some(self.bytes.drain(..end).collect()))
            }
            Next::Partial { least, is_most } => {
                (self.least, self.is_most) = (least, is_most);
                Ok(None)
            }
        }
    }

    /// Bytes that have come.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Goes on in this memory, if it is of use.
    pub(crate) fn reuse(&mut self, mut spare: Vec<u8>) {
        if spare.capacity() > self.bytes.capacity() && spare.capacity() <= BASE {
            spare.clear();
            spare.extend_from_slice(&self.bytes);
            self.bytes = spare;
        }
    }

    /// Reads more; `false` at the end of the connection. Nothing is lost if it is dropped half-way.
    pub(crate) async fn fill(&mut self, input: &mut (impl AsyncRead + Unpin)) -> Result<bool, ReadError> {
        self.make_room().await?;
        let so_far = self.bytes.len();
        let was_empty = so_far == 0;
        let wanted = self.least.saturating_sub(so_far).max(SMALL);
        // A large message is read to its end and not far beyond: what comes behind it must not need as much.
        let room = self.bytes.capacity() - so_far;
        let mut piece = (&mut *input).take(if self.permit.is_some() { wanted.min(room) } else { room } as u64);
        let read = piece.read_buf(&mut self.bytes);
        let read = if was_empty {
            read.await?
        } else {
            let most = self.began + self.terms.timeout + Duration::from_secs((so_far / PER_SECOND) as u64);
            timeout_at(most, read).await.map_err(|_| ReadError::Timeout)??
        };
        if was_empty {
            self.touch();
        }
        match read {
            0 if was_empty => Ok(false),
            0 => Err(ReadError::Incomplete),
            _ => Ok(true),
        }
    }

    /// Sees to it that there is room for a byte.
    async fn make_room(&mut self) -> Result<(), ReadError> {
        let used = self.bytes.len();
        if used < self.bytes.capacity() {
            return Ok(());
        }
        if used >= self.allowed {
            let max = self.terms.max_message;
            if self.permit.is_some() || used >= max {
                return Err(ReadError::TooLarge(self.allowed.min(max)));
            }
            let wanted = if self.is_most { self.least.saturating_add(OPTION).min(max) } else { max };
            let permits = u32::try_from(wanted).unwrap_or(u32::MAX);
            // It is never closed.
            self.permit = self.terms.shared.clone().acquire_many_owned(permits).await.ok();
            self.allowed = wanted.max(BASE);
            self.touch();
        }
        // As bytes come, not as a length promises.
        let grown = (used * 2).clamp(SMALL, self.allowed);
        self.bytes.reserve_exact(grown - used);
        Ok(())
    }
}
