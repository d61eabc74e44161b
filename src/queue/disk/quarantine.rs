//! Where damaged bytes are kept for whoever wants to look at them.
//!
//! A damaged frame is appended to the file `quarantine` as it stands on disk, prefix and all; a segment whose frames can't
//! be told apart any more is renamed to `<name>.corrupt`. Nothing reads either again. Both together keep at most 64 MiB,
//! and no more than the queue itself; beyond that damage is logged and counted, not kept. Remove them when you like.

use std::io;
use std::sync::{Mutex, PoisonError};

use super::fs::{Fs, write_all};

const NAME: &str = "quarantine";
const SUFFIX: &str = ".corrupt";
const MAX: u64 = 64 << 20;

/// See the module.
#[derive(Debug)]
pub(super) struct Quarantine {
    max: u64,
    sizes: Mutex<Sizes>,
}

#[derive(Debug)]
struct Sizes {
    /// Of the file of frames.
    file: u64,
    /// Of everything.
    all: u64,
}

// === impl Quarantine ===

impl Quarantine {
    /// The quarantine in a folder of these files and sizes, of a queue of at most `max_size` bytes.
    pub(super) fn new(files: &[(String, u64)], max_size: u64) -> Self {
        let file = files.iter().find(|(name, _)| name == NAME).map_or(0, |(_, len)| *len);
        let segments: u64 = files.iter().filter(|(name, _)| name.ends_with(SUFFIX)).map(|(_, len)| len).sum();
        Quarantine { max: MAX.min(max_size), sizes: Mutex::new(Sizes { file, all: file + segments }) }
    }

    /// Keeps the bytes of a frame. Says whether there was room.
    pub(super) fn keep(&self, fs: &dyn Fs, frame: &[u8]) -> io::Result<bool> {
        let mut sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        if sizes.all + frame.len() as u64 > self.max {
            return Ok(false);
        }
        let mut file = fs.open(NAME, true)?;
        write_all(&mut *file, frame, sizes.file)?;
        sizes.file += frame.len() as u64;
        sizes.all += frame.len() as u64;
        Ok(true)
    }

    /// Sets a segment of `len` bytes aside under another name, or removes it if there is no room.
    pub(super) fn set_aside(&self, fs: &dyn Fs, name: &str, len: u64) -> io::Result<()> {
        let mut sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        if sizes.all + len > self.max {
            return fs.remove(name);
        }
        fs.rename(name, &format!("{name}{SUFFIX}"))?;
        sizes.all += len;
        Ok(())
    }
}
