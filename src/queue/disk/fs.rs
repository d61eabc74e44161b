//! The little of a file system that the queue needs, behind a trait so that tests can make it fail at every point.
//!
//! Names are names inside the queue's own folder: no path ever comes from a record.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use suiro_sdk::killpoint;

/// The queue's folder.
pub(super) trait Fs: Send + Sync {
    /// Names and sizes of the files in it.
    fn list(&self) -> io::Result<Vec<(String, u64)>>;

    /// Creates a file that is not there yet.
    fn create(&self, name: &str) -> io::Result<Box<dyn File>>;

    /// Opens a file for reading and writing; creates it if `create`.
    fn open(&self, name: &str, create: bool) -> io::Result<Box<dyn File>>;

    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Renames a file, over another one if need be.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Makes what was created, renamed and removed durable.
    fn sync_folder(&self) -> io::Result<()>;
}

/// A file of it.
pub(super) trait File: Send {
    /// Writes some of `bytes` at `offset`: how many.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Reads some bytes at `offset`: how many; none at the end.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Makes what was written durable.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts it.
    fn cut(&mut self, len: u64) -> io::Result<()>;
}

/// A folder of the system's.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Holds the lock for as long as the folder is in use.
    _lock: std::fs::File,
}

/// Why a folder can't be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum FolderError {
    /// Another agent has it.
    #[error("another agent uses the queue in {0}: give each agent a `data_dir` of its own in [service]")]
    InUse(PathBuf),
    /// The system says no.
    #[error("the queue's folder {0} can't be used: {1}; `data_dir` in [service] says where it is")]
    Io(PathBuf, #[source] io::Error),
}

/// Name of the file that is locked. It stays: removing it would let two agents lock two files of the same name.
const LOCK: &str = "lock";

// === impl Folder ===

impl Folder {
    /// Creates the folder if need be, for the agent's user alone, and locks it.
    pub(super) fn open(path: &Path) -> Result<Self, FolderError> {
        let failed = |error| FolderError::Io(path.to_owned(), error);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let lock = options().create(true).truncate(false).open(path.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Folder { path: path.to_owned(), _lock: lock }),
            Err(std::fs::TryLockError::WouldBlock) => Err(FolderError::InUse(path.to_owned())),
            Err(std::fs::TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

impl Fs for Folder {
    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            let meta = entry.metadata()?;
            if let Some(name) = entry.file_name().to_str().filter(|_| meta.is_file()) {
                files.push((name.to_owned(), meta.len()));
            }
        }
        Ok(files)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        Ok(Box::new(options().create_new(true).open(self.path.join(name))?))
    }

    fn open(&self, name: &str, create: bool) -> io::Result<Box<dyn File>> {
        Ok(Box::new(options().create(create).truncate(false).open(self.path.join(name))?))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        killpoint::pass("queue.remove");
        std::fs::remove_file(self.path.join(name))?;
        killpoint::pass("queue.removed");
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn sync_folder(&self) -> io::Result<()> {
        std::fs::File::open(&self.path)?.sync_all()
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

// === impl File ===

impl File for std::fs::File {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::write_at(self, bytes, offset)
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, into, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        killpoint::pass("queue.sync");
        self.sync_data()
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }
}

// === whole reads and writes ===

/// Writes all of `bytes` at `offset`, short writes and interruptions or not.
pub(super) fn write_all(file: &mut dyn File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = file.write_at(killpoint::cut(bytes, "queue.torn"), offset);
        killpoint::pass("queue.torn");
        match written {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                bytes = &bytes[n.min(bytes.len())..];
                offset += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Fills `into` from `offset` on, as far as the file goes: how many bytes.
pub(super) fn read_full(file: &dyn File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match file.read_at(&mut into[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
