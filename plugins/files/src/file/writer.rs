//! One file that is written, its sidecar, and its rotation.
//!
//! # Order of things
//!
//! `write` into the sidecar, the records into the file, `done` into the sidecar; only then are they delivered. A crash
//! before `done` leaves bytes that the next start cuts off ([`super::sidecar`]); one behind it leaves records that a
//! replay finds settled. With `fsync = "batch"` each of the three is on disk before the next, so that the same holds when
//! the power fails.
//!
//! Rotation happens between deliveries, when nothing is pending: renames from the oldest on, then a new file. Cut short
//! anywhere, the next start finds either the file in its place or none, and begins one.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use suiro_record::Batch;
use suiro_sdk::{Custody, Part};

use super::disk::Disk;
use super::settled::Share;
use super::sidecar::{Intent, Sidecar, path_of};
use crate::encode::Format;
use crate::tail::FileKey;

/// With more ranges than this of one incarnation, its source is asked how far it is settled.
const MANY_PIECES: usize = 32;

/// When a file is put aside for a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rotate {
    /// Bytes.
    pub(super) max_size: u64,
    /// How many old ones are kept: `app.log.1` is the newest of them.
    pub(super) keep: u32,
}

/// A file that is written.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    data: File,
    sidecar: Sidecar,
    /// Turn in which it was last used.
    pub(super) used: u64,
}

/// Records for one file, in order.
pub(super) type Rows<'d> = Vec<(&'d Part, usize)>;

// === impl Writer ===

impl Writer {
    /// Opens `path` for appending, and cuts off what a crash left half written.
    pub(super) fn open(path: &Path, disk: &dyn Disk) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let data = append_to(path)?;
        let mut sidecar = Sidecar::open(path_of(path), disk)?;
        let metadata = data.metadata()?;
        let key = FileKey::of(&metadata);
        if sidecar.key == Some(key) {
            if let Some(Intent { at, len }) = sidecar.pending {
                if metadata.len() > at && metadata.len() - at <= len {
                    disk.truncate(&data, at)?;
                }
                sidecar.done(Vec::new(), disk)?;
            }
        } else {
            sidecar.note_file(key, disk)?;
        }
        sidecar.pending = None;
        Ok(Writer { path: path.to_owned(), data, sidecar, used: 0 })
    }

    /// Whether the path still leads to the file that is open.
    pub(super) fn is_current(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|metadata| self.sidecar.key == Some(FileKey::of(&metadata)))
    }

    /// Appends those of `rows` that are not there yet; how many bytes that were.
    pub(super) fn append(
        &mut self,
        rows: &Rows<'_>,
        format: Format,
        rotate: Option<Rotate>,
        disk: &dyn Disk,
    ) -> io::Result<usize> {
        let mut text = Vec::new();
        let mut shares: Vec<(u128, Share)> = Vec::new();
        for &(part, n) in rows {
            let batch: &Batch = &part.batch;
            let Some(row) = batch.rows.get(part.row_index(n) as usize) else { continue };
            let origin = batch.origin(row);
            if self.sidecar.settled.has(&origin) {
                continue;
            }
            format.write(batch, row, &mut text);
            let id = origin.source.incarnation();
            match shares.iter_mut().rev().find(|(other, _)| *other == id) {
                Some((_, share)) => share.push(&origin),
                None => {
                    let mut share = Share::of(id);
                    share.push(&origin);
                    shares.push((id, share));
                }
            }
        }
        if text.is_empty() {
            return Ok(0);
        }
        self.fold(rows, &mut shares);
        let mut at = self.data.metadata()?.len();
        if let Some(rotate) = rotate
            && at > 0
            && at.saturating_add(text.len() as u64) > rotate.max_size
        {
            self.rotate(rotate.keep, disk)?;
            at = 0;
        }
        self.sidecar.begin(at, text.len() as u64, disk)?;
        self.sidecar.sync(disk)?;
        disk.write(&self.data, &text)?;
        disk.sync(&self.data)?;
        self.sidecar.done(shares.into_iter().map(|(_, share)| share).collect(), disk)?;
        self.sidecar.sync(disk)?;
        Ok(text.len())
    }

    /// Forgets the details of what sources have settled, where there are many.
    fn fold(&mut self, rows: &Rows<'_>, shares: &mut [(u128, Share)]) {
        for (id, share) in shares {
            if self.sidecar.settled.pieces(*id) < MANY_PIECES {
                continue;
            }
            let part = rows.iter().map(|(part, _)| *part).find(|part| knows(&part.custody, *id));
            let receipts = part.map(|part| part.custody.receipts()).unwrap_or_default();
            for receipt in receipts.iter().filter(|receipt| receipt.tracker().source().incarnation() == *id) {
                let mark = receipt.tracker().position().mark;
                self.sidecar.settled.fold(*id, mark);
                share.below = share.below.max(mark);
            }
        }
    }

    fn rotate(&mut self, keep: u32, disk: &dyn Disk) -> io::Result<()> {
        let numbered = |n: u32| {
            let mut name = self.path.file_name().unwrap_or_default().to_os_string();
            name.push(format!(".{n}"));
            self.path.with_file_name(name)
        };
        for n in (1..keep).rev() {
            if numbered(n).exists() {
                disk.rename(&numbered(n), &numbered(n + 1))?;
            }
        }
        if keep == 0 {
            disk.remove(&self.path)?;
        } else {
            disk.rename(&self.path, &numbered(1))?;
        }
        self.data = append_to(&self.path)?;
        self.sidecar.note_file(FileKey::of(&self.data.metadata()?), disk)
    }
}

fn knows(custody: &Custody, id: u128) -> bool {
    custody.receipts().iter().any(|receipt| receipt.tracker().source().incarnation() == id)
}

fn append_to(path: &Path) -> io::Result<File> {
    let strange = || io::Error::other("not a regular file; for a pipe use the output `stdout`");
    // To open a pipe that nobody reads would wait for ever.
    let file = OpenOptions::new().create(true).append(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = file.map_err(|error| if error.raw_os_error() == Some(libc::ENXIO) { strange() } else { error })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(strange()) }
}
