//! Files that came and went at a path between two looks.
//!
//! `app.log` is renamed to `app.log.1`, a new `app.log` is written, and all of that happens again before anybody looks:
//! then `app.log.1` is a file that no path of the configuration ever led to. It has a name as rotation gives it, it is not
//! known, and it was created after the file that was known: so it is read, from its beginning, between the two.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

use super::copies::is_beginning;
use super::file::TailFile;
use super::identity::{self, FileKey, Imprint};
use super::scan::{Seen, is_packed, open};
use super::source::{Keep, TailSource};

/// Scans after which a path is not looked into any more: a listing that others rename files under may miss some.
const PASSES: u32 = 3;

/// A path leads to another file than before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// When the one before was created, nanoseconds since the epoch.
    born: i64,
    /// How often the folder is still looked into.
    passes: u32,
}

impl TailSource {
    /// The path leads to another file now than to the one created at `born`.
    pub(super) fn note_turn(&mut self, path: &Path, born: Option<i64>) {
        if let Some(born) = born {
            let turn = self.turned.entry(path.to_owned()).or_insert(Turn { born, passes: PASSES });
            *turn = Turn { born: born.min(turn.born), passes: PASSES };
        }
    }

    /// Looks for files in between.
    pub(super) fn find_missed(&mut self, seen: &HashMap<FileKey, Seen>) {
        let mut missed: Vec<(i64, FileKey, PathBuf, PathBuf)> = Vec::new();
        // A folder may hold thousands of files that were rotated in one night: it is looked through once for all of them.
        let mut folders: HashMap<PathBuf, HashMap<String, i64>> = HashMap::new();
        self.turned.retain(|path, turn| {
            if let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) {
                folders.entry(folder.to_owned()).or_default().insert(name.to_owned(), turn.born);
            }
            turn.passes -= 1;
            turn.passes > 0
        });
        for (folder, names) in folders {
            // A folder that is gone has nothing; one that can't be read was told of by the scan.
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let file_name = entry.file_name();
                let Some(other) = file_name.to_str() else { continue };
                for (name, &born) in originals(other).filter_map(|name| names.get_key_value(name)) {
                    let (path, current) = (folder.join(name), entry.path());
                    // While somebody looks, a file in between was created before the one that stands there now: what is
                    // younger is a copy of that. What was copied and truncated while nobody looked is found at the start
                    // alone.
                    let next = || {
                        fs::metadata(&path).ok().as_ref().and_then(identity::born).filter(|_| self.last_scan.is_some())
                    };
                    let Ok(metadata) = entry.metadata() else { continue };
                    if let Some((created, key)) = self.is_missed(&current, &metadata, born, seen)
                        && next().is_none_or(|next| created <= next)
                    {
                        missed.push((created, key, path, current));
                    }
                }
            }
        }
        missed.sort();
        for (created, key, path, current) in missed {
            if !self.is_made_of(&path, &current) {
                self.take_missed(key, path, current, created);
            }
        }
    }

    /// Whether the file at `current` is a copy of the one that stands at `path`, or stood there when it was last read: that
    /// is truncated by now, or will be.
    fn is_made_of(&self, path: &Path, current: &Path) -> bool {
        let Some((copy, _)) = open(current).ok().flatten() else { return false };
        let size = copy.metadata().map_or(0, |metadata| metadata.len());
        let followed = self.files.values().find(|file| file.current == path && !file.rotated && !file.finished);
        let read = followed.is_some_and(|file| file.stands_in(&copy).unwrap_or(false));
        let original = open(path).ok().flatten();
        read || original.is_some_and(|(original, _)| is_beginning(&copy, size, &original).unwrap_or(false))
    }

    fn is_missed(
        &self,
        current: &Path,
        metadata: &Metadata,
        born: i64,
        seen: &HashMap<FileKey, Seen>,
    ) -> Option<(i64, FileKey)> {
        let key = FileKey::of(metadata);
        let created = identity::born(metadata).filter(|&created| created > born)?;
        let known = seen.contains_key(&key) || self.stored.contains_key(&key) || !self.is_new(key);
        let ours = key.shard(self.setup.shards) == self.setup.shard;
        (metadata.is_file() && !known && ours && !self.settings.excludes(current)).then_some((created, key))
    }

    fn take_missed(&mut self, key: FileKey, path: PathBuf, current: PathBuf, created: i64) {
        let handle = match open(&current) {
            Ok(Some((handle, found))) if found == key && !is_packed(&handle) => handle,
            Ok(_) => return,
            Err(error) => return self.warn_once(current, "can't open the file", &error),
        };
        let size = handle.metadata().map_or(0, |metadata| metadata.len());
        let head = Imprint::head(&handle).unwrap_or_default();
        match self.incarnation(key, &path, 0, head, Some(created)) {
            Ok(incarnation) => {
                let mut file = TailFile::new(key, path, handle, 0, incarnation);
                (file.head, file.born, file.current) = (head, Some(created), current);
                self.admit(file, size);
                self.with_file(key, |source, file| (source.rotated(file), Keep::Yes));
            }
            Err(error) => {
                self.warn_once(current, "can't write checkpoints: the file is not read until that works", &error)
            }
        }
    }
}

/// The names that rotation may have made `name` of: it puts a sign and a number behind them.
pub(super) fn originals(name: &str) -> impl Iterator<Item = &str> {
    let cuts = name.match_indices(['.', '-', '_']).map(|(at, _)| &name[..at]);
    cuts.filter(move |original| is_rotated_name(original, name))
}

/// Whether rotation makes `other` of `name`: a number or a date behind it.
pub(super) fn is_rotated_name(name: &str, other: &str) -> bool {
    let Some(suffix) = other.strip_prefix(name) else { return false };
    let mut rest = suffix.chars();
    rest.next().is_some_and(|first| matches!(first, '.' | '-' | '_'))
        && rest.next().is_some_and(|second| second.is_ascii_digit())
        && rest.all(|more| more.is_ascii_digit() || matches!(more, '.' | '-' | '_' | ':' | '+' | 'T' | 'Z'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_rotated_files() {
        for other in ["a.log.1", "a.log-20260131", "a.log.20260131-120000", "a.log.2026-01-31T12:00:00Z", "a.log_3"] {
            assert!(is_rotated_name("a.log", other), "{other}");
            assert!(originals(other).any(|original| original == "a.log"), "{other}");
        }
        for other in ["a.log", "a.log.", "a.log.gz", "a.log.1.gz", "a.log.bak", "a.logs.1", "b.log.1", "a.log1"] {
            assert!(!is_rotated_name("a.log", other), "{other}");
        }
    }
}
