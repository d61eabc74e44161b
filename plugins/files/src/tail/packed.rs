//! Rotated files that were compressed while the agent was down: `app.log.1.gz`, and the kubelet's `0.log.<time>.gz`.
//!
//! Which of them is the one a checkpoint speaks of, their content says: the first bytes and those before the position,
//! unpacked. What was not read of it is unpacked into a nameless file at the same offsets (the rest of that is a hole),
//! and read like any other.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::identity::{CONTEXT, FileKey, HEAD, Imprint};
use super::journal::Stored;
use super::scan::belongs;

/// Bytes that are unpacked to find a position, at most: the worker waits meanwhile.
const MAX_BEFORE: u64 = 2 << 30;
/// Bytes behind the position that are unpacked, at most; what is beyond is given up.
const MAX_BEHIND: u64 = 1 << 30;
/// Compressed files that are looked into for one checkpoint, at most.
const MAX_CANDIDATES: usize = 64;

/// The rest of a compressed file.
#[derive(Debug)]
pub(super) struct Unpacked {
    /// Where it is compressed.
    pub(super) path: PathBuf,
    /// Its content from shortly before the position on.
    pub(super) file: File,
    pub(super) key: FileKey,
    /// Of all of it.
    pub(super) size: u64,
}

/// The unpacked rest of the file `stored` speaks of, if it is among the compressed ones in `folder`.
pub(super) fn find(stored: &Stored, folder: &Path, room: &Path) -> io::Result<Option<Unpacked>> {
    // Without content nothing tells it from any other.
    let Some(name) = Path::new(&stored.path).file_name().and_then(|name| name.to_str()) else { return Ok(None) };
    if !stored.is_telling() || stored.mark > MAX_BEFORE {
        return Ok(None);
    }
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let mut candidates = Vec::new();
    for entry in entries {
        let entry = entry?;
        let file_name = entry.file_name();
        let Some(other) = file_name.to_str() else { continue };
        if other.ends_with(".gz")
            && (other.starts_with(name) || other.starts_with(stem))
            && entry.file_type()?.is_file()
        {
            candidates.push(entry.path());
        }
    }
    candidates.sort();
    for path in candidates.into_iter().take(MAX_CANDIDATES) {
        if let Some((file, size)) = unpack(stored, &path, room)? {
            let key = FileKey::of(&file.metadata()?);
            return Ok(Some(Unpacked { path, file, key, size }));
        }
    }
    Ok(None)
}

fn unpack(stored: &Stored, path: &Path, room: &Path) -> io::Result<Option<(File, u64)>> {
    let mut source = MultiGzDecoder::new(File::open(path)?);
    let mut head = Vec::with_capacity(HEAD);
    if Read::by_ref(&mut source).take(HEAD as u64).read_to_end(&mut head).is_err() {
        return Ok(None);
    }
    let known = head.get(..stored.head.len as usize);
    if known.is_none_or(|bytes| Imprint::of(bytes, 0) != stored.head) {
        return Ok(None);
    }
    let mut file = tempfile::tempfile_in(room)?;
    file.write_all(&head)?;
    let mut at = head.len() as u64;
    let keep_from = stored.mark.saturating_sub(CONTEXT as u64 + HEAD as u64);
    let end = stored.mark + MAX_BEHIND;
    let mut piece = vec![0; 64 << 10];
    loop {
        let n = match source.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a compressed file is damaged: read as far as it goes");
                break;
            }
        };
        let next = at + n as u64;
        if next > keep_from {
            file.seek(SeekFrom::Start(at))?;
            file.write_all(&piece[..n])?;
        }
        at = next;
        if at >= end {
            tracing::warn!(path = %path.display(), "a compressed file is larger than is unpacked: the rest is not read");
            break;
        }
    }
    Ok(belongs(stored, &file, at)?.then_some((file, at)))
}
