//! What is done about a file that was looked at: more of it, quiet, truncated, gone.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use suiro_sdk::ledger::add;

use super::copies::BETWEEN_LISTINGS;
use super::file::{Look, TailFile};
use super::identity::FileKey;
use super::journal::Entry;
use super::point;
use super::source::{Keep, TailSource};

/// A folder that changed within this time may have changed again at what looks like the same time.
const CLOCK_STEP: Duration = Duration::from_millis(20);
/// Listings of a folder that is changing, at most.
const MAX_LISTINGS: usize = 6;

/// Files of `folder` by device and inode, those of `wanted` only. One that is not in the answer is not in the folder: a
/// listing that others rename files under may miss one that is there, so it is made again until nothing moves.
pub(super) fn find_in(folder: &Path, wanted: &HashSet<FileKey>) -> io::Result<HashMap<FileKey, PathBuf>> {
    let mut found: HashMap<FileKey, PathBuf> = HashMap::new();
    for attempt in 1.. {
        let before = fs::metadata(folder)?.modified()?;
        found.retain(|key, path| fs::metadata(path).is_ok_and(|metadata| FileKey::of(&metadata) == *key));
        let missing: HashSet<FileKey> = wanted.iter().filter(|key| !found.contains_key(key)).copied().collect();
        found.extend(list(folder, &missing)?);
        let unmoved = fs::metadata(folder)?.modified()? == before && before.elapsed().is_ok_and(|age| age > CLOCK_STEP);
        if unmoved || found.len() == wanted.len() || attempt >= MAX_LISTINGS {
            break;
        }
        thread::sleep(BETWEEN_LISTINGS);
    }
    Ok(found)
}

/// One listing.
fn list(folder: &Path, wanted: &HashSet<FileKey>) -> io::Result<HashMap<FileKey, PathBuf>> {
    let mut found = HashMap::new();
    let inodes: HashSet<u64> = wanted.iter().map(|key| key.ino).collect();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // The entry's inode number comes with it; only where that fits is the file looked at.
        if !inodes.contains(&entry.ino()) {
            continue;
        }
        if let Ok(metadata) = entry.metadata()
            && metadata.is_file()
        {
            found.insert(FileKey::of(&metadata), entry.path());
        }
    }
    Ok(found)
}

impl TailSource {
    /// Looks at a file, and acts.
    pub(super) fn look(&mut self, key: FileKey, now: Instant) {
        self.with_file(key, |source, file| {
            if file.finished {
                let settled = !source.setup.once && file.tracker.open_receipts() == 0;
                return ((), if settled { source.forget(file) } else { Keep::Yes });
            }
            let look = file.look();
            point::pass("tail.looked");
            match look {
                Ok(Look::More) => {
                    file.quiet_since = None;
                    source.enqueue(file);
                }
                Ok(Look::Same) => source.quiet(file, now),
                Ok(Look::Truncated) => match file.reopen() {
                    Ok(true) => {
                        if source.renew(file) {
                            source.enqueue(file);
                        }
                    }
                    Ok(false) => source.lost_sight(file),
                    Err(error) => source.failed(file, "can't open the file", &error),
                },
                Ok(Look::Missing) => source.lost_sight(file),
                Err(error) => source.failed(file, "can't look at the file", &error),
            }
            ((), Keep::Yes)
        });
    }

    /// There was nothing to read.
    fn quiet(&mut self, file: &mut TailFile, now: Instant) {
        if !file.has_partial() {
            file.tracker.note_quiet(now);
        }
        self.let_others_on(file);
        let since = *file.quiet_since.get_or_insert(now);
        if file.rotated {
            if now.saturating_duration_since(since) < self.settings.rotate_wait {
                return;
            }
            if file.has_partial() {
                // Nobody will end this line.
                file.last = true;
                self.enqueue(file);
            } else {
                self.finish(file);
            }
        } else if file.tracker.open_receipts() == 0 && !file.has_partial() {
            self.lively.remove(&file.key);
            self.unsaved.insert(file.key);
        }
    }

    /// Nothing more is read of the file.
    pub(super) fn finish(&mut self, file: &mut TailFile) {
        file.finished = true;
        file.handle = None;
        file.tracker.end();
        self.let_others_on(file);
    }

    /// All of it is settled. What is still there keeps its checkpoint, in case it is met again.
    fn forget(&mut self, file: &mut TailFile) -> Keep {
        let folder = file.current.parent().unwrap_or(Path::new("."));
        // It may have been renamed again since it was last seen.
        let there = fs::metadata(&file.current).is_ok_and(|metadata| FileKey::of(&metadata) == file.key)
            || find_in(folder, &HashSet::from([file.key])).is_ok_and(|found| !found.is_empty());
        if there {
            if let Some(entry) = file.changes()
                && self.journal.append(&entry).is_err()
            {
                // Tried again at the next look.
                file.unsaved();
                return Keep::Yes;
            }
            self.stored.insert(file.key, vec![file.snapshot()]);
        } else {
            let _ = self.journal.append(&Entry::Gone { id: file.id });
        }
        Keep::No
    }

    /// Its path leads elsewhere, and it is not open: it is looked for in its folder.
    pub(super) fn lost_sight(&mut self, file: &mut TailFile) {
        let folder = file.current.parent().unwrap_or(Path::new("."));
        match find_in(folder, &HashSet::from([file.key])) {
            Ok(mut found) => match found.remove(&file.key) {
                Some(path) => {
                    file.current = path;
                    self.rotated(file);
                }
                None => {
                    let unread = file.size.saturating_sub(file.offset);
                    self.abandon(&file.path.clone(), unread);
                    self.finish(file);
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let unread = file.size.saturating_sub(file.offset);
                self.abandon(&file.path.clone(), unread);
                self.finish(file);
            }
            Err(error) => self.failed(file, "can't look for the file in its folder", &error),
        }
    }

    /// No path of the configuration leads to it any more.
    pub(super) fn rotated(&mut self, file: &mut TailFile) {
        if !file.rotated {
            file.rotated = true;
            self.rotating.insert(file.key);
            self.note_turn(&file.path, file.born);
        }
        self.lively.insert(file.key);
    }

    /// Counts bytes that nobody will read.
    pub(super) fn abandon(&self, path: &Path, bytes: u64) {
        if bytes > 0 {
            add(&self.setup.ledger.abandoned_bytes, usize::try_from(bytes).unwrap_or(usize::MAX));
            tracing::warn!(input = &*self.setup.name, path = %path.display(), bytes, "a file is gone before it was read to its end");
        }
    }

    /// Drops the checkpoints of files that are settled and not in their folder any more.
    pub(super) fn forget_vanished(&mut self) {
        let mut folders: HashMap<PathBuf, HashSet<FileKey>> = HashMap::new();
        for stored in self.stored.values().flatten().filter(|stored| stored.mark >= stored.size) {
            if let Some(folder) = Path::new(&stored.path).parent() {
                folders.entry(folder.to_owned()).or_default().insert(stored.key);
            }
        }
        for (folder, keys) in folders {
            let found = match find_in(&folder, &keys) {
                Ok(found) => found,
                Err(error) if error.kind() == io::ErrorKind::NotFound => HashMap::new(),
                Err(_) => continue,
            };
            for key in keys.iter().filter(|key| !found.contains_key(key)) {
                for gone in self.stored.remove(key).unwrap_or_default() {
                    let _ = self.journal.append(&Entry::Gone { id: gone.id });
                }
            }
        }
    }
}
