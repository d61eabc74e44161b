//! Which file is which.
//!
//! A path says little: files are renamed, truncated and replaced under it. A device and inode number say more, until the
//! file is deleted and its inode given to another. So what a checkpoint says is believed only where the content agrees:
//! the first bytes ([`Imprint`] of up to [`HEAD`] bytes, of as many as there were), and the bytes just before a position.
//! Content alone is never enough either: files with equal headers are common.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

/// First bytes that are remembered, at most.
pub(crate) const HEAD: usize = 1024;
/// Bytes before a position that are remembered, at most.
pub(crate) const CONTEXT: usize = 64;

/// Device and inode number: the file system's own name of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct FileKey {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
}

/// What stood at some bytes of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Imprint {
    /// First byte.
    #[serde(rename = "at")]
    pub(crate) start: u64,
    /// How many bytes; none of them says nothing, and matches everything.
    pub(crate) len: u32,
    /// FNV-1a, 64 bits: it is stored, so it must stay the same in all versions.
    pub(crate) hash: u64,
}

// === impl FileKey ===

impl FileKey {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        FileKey { dev: metadata.dev(), ino: metadata.ino() }
    }

    /// Which of `shards` workers reads the file: the same in every run, so the device does not count, whose number may
    /// change when it is mounted again.
    pub(crate) fn shard(self, shards: usize) -> usize {
        (fnv(&self.ino.to_le_bytes()) % shards.max(1) as u64) as usize
    }
}

// === impl Imprint ===

impl Imprint {
    /// Of `bytes`, the first of which is byte `start` of the file.
    pub(crate) fn of(bytes: &[u8], start: u64) -> Self {
        let hash = if bytes.is_empty() { 0 } else { fnv(bytes) };
        Imprint { start, len: bytes.len() as u32, hash }
    }

    /// One past the last byte.
    pub(crate) fn end(&self) -> u64 {
        self.start + u64::from(self.len)
    }

    /// Of the first bytes of `file`.
    pub(crate) fn head(file: &File) -> io::Result<Self> {
        let mut bytes = [0; HEAD];
        let n = read_at(file, &mut bytes, 0)?;
        Ok(Imprint::of(&bytes[..n], 0))
    }

    /// Whether the file still says the same there.
    pub(crate) fn matches(&self, file: &File) -> io::Result<bool> {
        // Lengths come from disk: whatever is longer than what is ever written is not ours.
        let mut bytes = [0; HEAD];
        let Some(bytes) = bytes.get_mut(..self.len as usize) else { return Ok(false) };
        let n = read_at(file, bytes, self.start)?;
        Ok(n == bytes.len() && Imprint::of(bytes, self.start) == *self)
    }
}

/// When the file was created, nanoseconds since the epoch, where its file system knows.
pub(crate) fn born(metadata: &Metadata) -> Option<i64> {
    let since = metadata.created().ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_nanos()).ok()
}

/// Reads until `bytes` is full or the file ends.
pub(crate) fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    let mut n = 0;
    while n < bytes.len() {
        match file.read_at(&mut bytes[n..], at + n as u64) {
            Ok(0) => break,
            Ok(read) => n += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(n)
}

fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn an_imprint_holds_while_the_bytes_stay() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"hello world").unwrap();
        let head = Imprint::head(&file).unwrap();
        let tail = Imprint::of(b"world", 6);
        assert_eq!((head.len, head.end(), tail.end()), (11, 11, 11));
        file.write_all(b", and more").unwrap();
        assert!(head.matches(&file).unwrap() && tail.matches(&file).unwrap());
        file.write_all_at(b"W", 6).unwrap();
        assert!(!head.matches(&file).unwrap() && !tail.matches(&file).unwrap());
    }

    #[test]
    fn nothing_matches_everything_and_what_is_too_long_nothing() {
        let file = tempfile::tempfile().unwrap();
        assert!(Imprint::default().matches(&file).unwrap());
        assert!(Imprint::head(&file).unwrap().matches(&file).unwrap());
        assert!(!Imprint { start: 0, len: u32::MAX, hash: 0 }.matches(&file).unwrap());
        assert!(!Imprint { start: u64::MAX / 4, len: 4, hash: 0 }.matches(&file).unwrap());
    }

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
