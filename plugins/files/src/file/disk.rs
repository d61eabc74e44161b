//! What changes the disk, behind a trait: tests stop it at every byte.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use suiro_sdk::killpoint;

/// What changes the disk.
pub(super) trait Disk: Send {
    /// Appends all of `bytes`.
    fn write(&self, file: &File, bytes: &[u8]) -> io::Result<()>;
    /// Cuts a file off.
    fn truncate(&self, file: &File, len: u64) -> io::Result<()>;
    /// Renames a file, over another if need be.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes a file's content durable.
    fn sync(&self, file: &File) -> io::Result<()>;
}

/// The disk itself.
#[derive(Debug)]
pub(super) struct RealDisk {
    /// Whether content is made durable, at the price of waiting for it.
    pub(super) sync: bool,
}

impl Disk for RealDisk {
    fn write(&self, mut file: &File, bytes: &[u8]) -> io::Result<()> {
        killpoint::write_all(&mut file, bytes, "file.torn")?;
        killpoint::pass("file.written");
        Ok(())
    }

    fn truncate(&self, file: &File, len: u64) -> io::Result<()> {
        file.set_len(len)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        if self.sync { file.sync_data() } else { Ok(()) }
    }
}
