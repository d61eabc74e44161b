//! Copies that `copytruncate` makes: `app.log` is copied to `app.log.1` and then truncated.
//!
//! What was not read of the file before it was truncated stands in the copy: reading goes on there, as the same
//! incarnation, before the file is begun again. So does what was read and is not settled yet: after a crash it is read
//! again from the copy. Which file is the copy, its name says (as rotation gives it), its age (created after the file) and
//! its content: the first bytes, and those before the positions.
//!
//! A copy that the paths lead to as well is not read as a file of its own as long as it says nothing but what its original
//! said.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::file::TailFile;
use super::identity::{self, CONTEXT, FileKey, Imprint, read_at};
use super::journal::{Entry, Stored};
use super::missed::{is_rotated_name, originals};
use super::scan::{belongs, open};
use super::source::{Keep, TailSource};

/// A folder that changed within this time may be changing yet.
const SETTLING: Duration = Duration::from_millis(30);
/// Between two listings of a folder that is changing, and how many there are at most.
pub(super) const BETWEEN_LISTINGS: Duration = Duration::from_millis(if cfg!(test) { 0 } else { 5 });
const MAX_LISTINGS: usize = 8;

/// A copy of a file.
#[derive(Debug)]
pub(super) struct Copy {
    path: PathBuf,
    file: File,
    key: FileKey,
    size: u64,
}

impl TailSource {
    /// The copy of the file `stored` speaks of, if there is one that nobody reads.
    pub(super) fn find_copy(&self, stored: &Stored) -> Option<Copy> {
        let folder = Path::new(&stored.path).parent()?;
        for _ in 0..MAX_LISTINGS {
            if let Some(copy) = self.list_copies(stored) {
                return Some(copy);
            }
            // A listing that others rename files under may miss one that is there.
            let changed = fs::metadata(folder).and_then(|metadata| metadata.modified()).ok()?;
            if changed.elapsed().is_ok_and(|age| age > SETTLING) {
                break;
            }
            thread::sleep(BETWEEN_LISTINGS);
        }
        None
    }

    /// One listing.
    fn list_copies(&self, stored: &Stored) -> Option<Copy> {
        let path = Path::new(&stored.path);
        let name = path.file_name()?.to_str()?;
        let born = stored.born?;
        if !stored.is_telling() {
            return None;
        }
        let mut best: Option<(i64, Copy)> = None;
        for entry in fs::read_dir(path.parent()?).ok()?.flatten() {
            if !entry.file_name().to_str().is_some_and(|other| is_rotated_name(name, other)) {
                continue;
            }
            let Ok(Some((file, key))) = open(&entry.path()) else { continue };
            let Ok(metadata) = file.metadata() else { continue };
            let Some(created) = identity::born(&metadata).filter(|&created| created > born) else { continue };
            let known = self.files.contains_key(&key) || self.stored.get(&key).is_some_and(|stored| !stored.is_empty());
            if known || key == stored.key || best.as_ref().is_some_and(|(other, _)| *other > created) {
                continue;
            }
            if belongs(stored, &file, metadata.len()).unwrap_or(false) {
                best = Some((created, Copy { path: entry.path(), file, key, size: metadata.len() }));
            }
        }
        best.map(|(_, copy)| copy)
    }

    /// Goes on with a truncated file's old incarnation in its copy.
    pub(super) fn go_on_in_copy(&mut self, mut old: TailFile, copy: Copy) {
        tracing::info!(path = %old.path.display(), copy = %copy.path.display(), "the file was truncated: its rest is read from its copy");
        old.move_to(copy.key, copy.path, copy.file, copy.size);
        let (id, key, path) = (old.id, old.key, old.path.to_string_lossy().into_owned());
        let _ = self.journal.append(&Entry::Seen { id, key, path, from: 0, head: old.head, born: old.born });
        self.open_files += 1;
        self.rotating.insert(key);
        self.lively.insert(key);
        self.enqueue(&mut old);
        self.files.insert(key, old);
    }

    /// At the start: a file that was truncated meanwhile goes on in its copy. Says whether there is one.
    pub(super) fn take_up_copy(&mut self, stored: &Stored) -> bool {
        let Some(copy) = self.find_copy(stored) else { return false };
        self.take_up(stored, copy.key, copy.path, copy.file, copy.size);
        self.with_file(copy.key, |source, file| (source.rotated(file), Keep::Yes));
        true
    }

    /// Whether a new file is the copy of one that is followed, or its beginning.
    pub(super) fn is_copy(&self, path: &Path, file: &File, size: u64, created: Option<i64>) -> bool {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
        originals(name).any(|original| {
            let Ok(metadata) = fs::metadata(path.with_file_name(original)) else { return false };
            self.files.get(&FileKey::of(&metadata)).is_some_and(|original| {
                !original.rotated
                    && !original.finished
                    && original.born.zip(created).is_some_and(|(born, created)| created > born)
                    && original.is_copied_to(file, size).unwrap_or(false)
            })
        })
    }
}

impl TailFile {
    /// Whether `copy` says what this file said first; or all that was read of it, should it have been truncated since and
    /// say something else by now.
    fn is_copied_to(&self, copy: &File, size: u64) -> io::Result<bool> {
        let opened;
        let now = match &self.handle {
            Some(handle) => handle,
            None => {
                opened = File::open(&self.current)?;
                &opened
            }
        };
        Ok(is_beginning(copy, size, now)? || !self.known_in(now)? && self.stands_in(copy)?)
    }
}

/// Whether the first and the last bytes of `copy` stand in `original` too, and in the same places.
pub(super) fn is_beginning(copy: &File, size: u64, original: &File) -> io::Result<bool> {
    if size > original.metadata()?.len() {
        return Ok(false);
    }
    let head = Imprint::head(copy)?;
    let start = size.saturating_sub(CONTEXT as u64);
    let mut bytes = [0; CONTEXT];
    let n = read_at(copy, &mut bytes[..(size - start) as usize], start)?;
    Ok(head.matches(original)? && Imprint::of(&bytes[..n], start).matches(original)?)
}
