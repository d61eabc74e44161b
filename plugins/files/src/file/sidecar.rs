//! The file beside a file: what stands in it, so that a replay adds nothing twice.
//!
//! Beside `app.log` lies `.app.log.suiro`. Its lines are `<crc32c, 8 hex digits> <JSON>\n`:
//!
//! - `file`: device and inode of the data file. If another file stands at the path, somebody moved ours away.
//! - `write`: so many bytes will now be written behind so many. Written before them.
//! - `done`: they are all there, and are these records. Written after them, and before anybody is told that the records
//!   are delivered.
//!
//! So whatever is behind the last `write` without its `done` belongs to records that are delivered again: it is cut off,
//! and no more than that is ever cut off: what others appended stays.
//!
//! A line counts only if its checksum does. A last line without its end was torn by a crash. A damaged line elsewhere
//! means that disk or user did something: then nothing is cut off, and at worst records are there twice.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::disk::Disk;
use super::settled::{Settled, Share};
use crate::tail::FileKey;

/// A line longer than this is not ours. Bytes.
const MAX_LINE: u64 = 256 << 20;
/// A sidecar shorter than this is not worth writing anew. Bytes.
const SMALL: u64 = 1 << 20;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Entry {
    File { key: FileKey },
    Write { at: u64, len: u64 },
    Done { shares: Vec<Share> },
}

/// Bytes that may be there in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Intent {
    pub(super) at: u64,
    pub(super) len: u64,
}

/// An open sidecar.
#[derive(Debug)]
pub(super) struct Sidecar {
    path: PathBuf,
    file: File,
    pub(super) settled: Settled,
    /// Of the data file.
    pub(super) key: Option<FileKey>,
    /// The last `write`, if it has no `done`.
    pub(super) pending: Option<Intent>,
    written: u64,
    live: u64,
}

/// The sidecar of `data`.
pub(super) fn path_of(data: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(data.file_name().unwrap_or_default());
    name.push(".suiro");
    data.with_file_name(name)
}

/// Whether `path` is a sidecar's.
pub(super) fn is_sidecar(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.starts_with('.') && name.contains(".suiro")
}

fn encode(entry: &Entry, out: &mut Vec<u8>) -> io::Result<()> {
    let json = serde_json::to_vec(entry).map_err(io::Error::other)?;
    write!(out, "{:08x} ", crc32c::crc32c(&json))?;
    out.extend_from_slice(&json);
    out.push(b'\n');
    Ok(())
}

fn decode(line: &[u8]) -> Option<Entry> {
    let (crc, json) = line.split_at_checked(9)?;
    let (digits, space) = crc.split_at(8);
    let crc = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    (space == b" " && crc32c::crc32c(json) == crc).then(|| serde_json::from_slice(json).ok()).flatten()
}

// === impl Sidecar ===

impl Sidecar {
    /// Reads the sidecar at `path`, or begins one. It is written anew, so that what was torn is gone.
    pub(super) fn open(path: PathBuf, disk: &dyn Disk) -> io::Result<Self> {
        let mut settled = Settled::default();
        let (mut key, mut pending, mut damaged) = (None, None, false);
        match File::open(&path) {
            Ok(file) => {
                let mut reader = BufReader::new(file);
                let mut line = Vec::new();
                while reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? > 0 {
                    match line.strip_suffix(b"\n").map(|line| (line.is_empty(), decode(line))) {
                        Some((_, Some(Entry::File { key: found }))) => key = Some(found),
                        Some((_, Some(Entry::Write { at, len }))) => pending = Some(Intent { at, len }),
                        Some((_, Some(Entry::Done { shares }))) => {
                            shares.iter().for_each(|share| settled.add(share));
                            pending = None;
                        }
                        Some((empty, None)) => damaged |= !empty,
                        // Torn: it was never relied on.
                        None => {}
                    }
                    line.clear();
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        if damaged {
            tracing::warn!(path = %path.display(), "skipped damaged lines: records may be written twice");
            pending = None;
        }
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let written = file.metadata()?.len();
        let mut sidecar = Sidecar { path, file, settled, key, pending, written, live: 0 };
        if damaged || sidecar.written > 0 {
            sidecar.rewrite(disk)?;
        }
        Ok(sidecar)
    }

    /// The data file is that one from here on.
    pub(super) fn note_file(&mut self, key: FileKey, disk: &dyn Disk) -> io::Result<()> {
        self.append(&Entry::File { key }, disk)?;
        self.key = Some(key);
        Ok(())
    }

    /// `len` bytes will be written behind `at`.
    pub(super) fn begin(&mut self, at: u64, len: u64, disk: &dyn Disk) -> io::Result<()> {
        self.append(&Entry::Write { at, len }, disk)
    }

    /// They are there, and are these records.
    pub(super) fn done(&mut self, shares: Vec<Share>, disk: &dyn Disk) -> io::Result<()> {
        let entry = Entry::Done { shares };
        self.append(&entry, disk)?;
        if let Entry::Done { shares } = entry {
            shares.iter().for_each(|share| self.settled.add(share));
        }
        if self.written > SMALL.max(4 * self.live) { self.rewrite(disk) } else { Ok(()) }
    }

    /// Makes what was written durable.
    pub(super) fn sync(&self, disk: &dyn Disk) -> io::Result<()> {
        disk.sync(&self.file)
    }

    fn append(&mut self, entry: &Entry, disk: &dyn Disk) -> io::Result<()> {
        let mut line = Vec::new();
        encode(entry, &mut line)?;
        disk.write(&self.file, &line)?;
        self.written += line.len() as u64;
        Ok(())
    }

    /// Writes it anew, beside itself and then over it.
    fn rewrite(&mut self, disk: &dyn Disk) -> io::Result<()> {
        let mut bytes = Vec::new();
        if let Some(key) = self.key {
            encode(&Entry::File { key }, &mut bytes)?;
        }
        encode(&Entry::Done { shares: self.settled.shares() }, &mut bytes)?;
        if let Some(Intent { at, len }) = self.pending {
            encode(&Entry::Write { at, len }, &mut bytes)?;
        }
        let fresh = self.path.with_extension("suiro-new");
        let file = OpenOptions::new().create(true).write(true).truncate(true).open(&fresh)?;
        disk.write(&file, &bytes)?;
        disk.sync(&file)?;
        disk.rename(&fresh, &self.path)?;
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        self.written = bytes.len() as u64;
        self.live = self.written;
        Ok(())
    }
}
