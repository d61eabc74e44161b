//! Finding files: those of the paths, those that were renamed, and at the start those that were renamed meanwhile.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::file::TailFile;
use super::follow::find_in;
use super::identity::{self, FileKey, Imprint, read_at};
use super::journal::{Entry, Stored};
use super::packed;
use super::point;
use super::settings::{MATCHING, ReadFrom};
use super::source::{Keep, MAX_OPEN_FILES, TailSource};

/// How often files are looked for where the system tells of changes.
const SCAN_TOLD: Duration = Duration::from_secs(5);
/// And where it does not.
const SCAN_UNTOLD: Duration = Duration::from_secs(1);
/// Bytes at the end of a file in which the last line end is looked for.
const LAST_LINE: u64 = 64 << 10;

/// A path of the configuration, and the file it leads to.
pub(super) type Seen = (PathBuf, Metadata);

impl TailSource {
    /// Looks for files.
    pub(super) fn scan(&mut self, now: Instant) {
        let first = self.last_scan.is_none();
        let seen = self.expand(first);
        point::pass("tail.expanded");
        self.watch_folders();
        let moved = self.files.iter().filter(|(key, file)| !seen.get(key).is_some_and(|seen| file.is_as_seen(seen)));
        for key in self.by_age(moved.map(|(key, _)| *key)) {
            self.follow_path(key, seen.get(&key), now);
        }
        if first {
            self.find_rotated(&seen, now);
        }
        self.find_missed(&seen);
        self.ignored.retain(|key| seen.contains_key(key));
        let mut fresh: Vec<_> = seen.into_iter().filter(|(key, _)| self.is_new(*key)).collect();
        fresh.sort_by(|(_, (a, _)), (_, (b, _))| a.cmp(b));
        for (key, (path, metadata)) in fresh {
            // It may have turned out to be the copy of another meanwhile.
            if self.is_new(key) {
                self.discover(key, path, &metadata, first);
            }
        }
        if let Some(watch) = &mut self.watch {
            watch.prune();
        }
        let told = self.watch.as_ref().is_some_and(|watch| !watch.partial);
        let interval = self.settings.scan_interval.unwrap_or(if told { SCAN_TOLD } else { SCAN_UNTOLD });
        self.last_scan = Some(now);
        self.next_scan = now + interval;
    }

    pub(super) fn is_new(&self, key: FileKey) -> bool {
        !self.files.contains_key(&key) && !self.ignored.contains(&key)
    }

    /// The files the paths lead to, those of this worker.
    fn expand(&mut self, first: bool) -> HashMap<FileKey, Seen> {
        let mut seen: HashMap<FileKey, Seen> = HashMap::new();
        let settings = self.settings.clone();
        for pattern in &settings.paths {
            let literal = !pattern.contains(['*', '?', '[']);
            let Ok(paths) = glob::glob_with(pattern, MATCHING) else { continue };
            let mut any = false;
            for path in paths {
                let path = match path {
                    Ok(path) => path,
                    Err(error) => {
                        self.warn_once(error.path().to_owned(), "can't look into the folder", error.error());
                        continue;
                    }
                };
                any = true;
                if settings.excludes(&path) {
                    continue;
                }
                let metadata = match fs::metadata(&path) {
                    Ok(metadata) => metadata,
                    // Gone since, or a link to nothing.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => {
                        self.warn_once(path, "can't look at the file", &error);
                        continue;
                    }
                };
                if metadata.is_file() {
                    let key = FileKey::of(&metadata);
                    if key.shard(self.setup.shards) == self.setup.shard {
                        seen.entry(key).or_insert((path, metadata));
                    }
                } else if metadata.is_dir() {
                    if literal {
                        let help = format!("to read the files in it, write `path = \"{}/*\"`", path.display());
                        self.warn_once(path, "`path` names a folder, not a file", &help);
                    }
                } else {
                    let help = "only regular files can be followed; for a pipe use the input `stdin`";
                    self.warn_once(path, "`path` names a device, pipe or socket: left alone", &help);
                }
            }
            if first && !any && self.setup.shard == 0 {
                tracing::warn!(input = &*self.setup.name, path = pattern, "no file matches `path` yet");
            }
        }
        seen
    }

    /// Watches the folders the paths speak of, as far as they are there.
    fn watch_folders(&mut self) {
        let Some(watch) = &mut self.watch else { return };
        for pattern in &self.settings.paths {
            let Some((folder, _)) = pattern.rsplit_once('/') else { continue };
            let folders = glob::glob_with(if folder.is_empty() { "/" } else { folder }, MATCHING);
            for folder in folders.into_iter().flatten().flatten() {
                if let Ok(real) = folder.canonicalize()
                    && real.is_dir()
                {
                    watch.folder(&real);
                }
            }
        }
    }

    /// Sees to a known file, with what the paths say of it now.
    fn follow_path(&mut self, key: FileKey, seen: Option<&Seen>, now: Instant) {
        let mut changed = false;
        self.with_file(key, |source, file| {
            match seen {
                Some((path, metadata)) => {
                    if *path != file.current {
                        file.current.clone_from(path);
                        source.note_real(file);
                        source.note_turn(&file.path, file.born);
                        // Renamed, and still among the paths: what comes after it under its old name waits.
                        source.rotating.insert(key);
                        source.lively.insert(key);
                    }
                    file.rotated &= file.finished;
                    changed = metadata.len() != file.size || (metadata.mtime(), metadata.mtime_nsec()) != file.modified;
                }
                None if !file.rotated && !file.finished => match fs::metadata(&file.current) {
                    Ok(metadata) if FileKey::of(&metadata) == key && source.settings.wants(&file.current) => {}
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {}
                    _ => source.rotated(file),
                },
                None => {}
            }
            ((), Keep::Yes)
        });
        if changed {
            self.look(key, now);
        }
    }

    /// A file that was not known.
    fn discover(&mut self, key: FileKey, path: PathBuf, metadata: &Metadata, first: bool) {
        let handle = match open(&path) {
            Ok(Some((handle, real_key))) if real_key == key => handle,
            // Replaced in this very moment: the next scan sees what by.
            Ok(_) => return,
            Err(error) => {
                self.warn_once(path, "can't open the file", &error);
                return;
            }
        };
        if is_packed(&handle) {
            let help = "exclude it, for example: exclude = [\"*.gz\"]";
            self.warn_once(path, "the file is compressed: left alone", &help);
            self.ignored.insert(key);
            return;
        }
        let size = metadata.len();
        point::pass("tail.opened");
        if let Some(stored) = self.recall(key, &path, &handle, size) {
            self.take_up(&stored, key, path, handle, size);
            return;
        }
        let born = identity::born(metadata);
        if self.is_copy(&path, &handle, size, born) {
            return;
        }
        let from = match self.settings.read_from {
            ReadFrom::End if first => last_line(&handle, size).unwrap_or(size),
            _ => 0,
        };
        let head = Imprint::head(&handle).unwrap_or_default();
        match self.incarnation(key, &path, from, head, born) {
            Ok(incarnation) => {
                let mut file = TailFile::new(key, path, handle, from, incarnation);
                (file.head, file.born) = (head, born);
                self.admit(file, size);
            }
            Err(error) => {
                self.warn_once(path, "can't write checkpoints: the file is not read until that works", &error)
            }
        }
    }

    /// The checkpoint that is this file's; others of the same inode are outdated.
    fn recall(&mut self, key: FileKey, path: &Path, handle: &File, size: u64) -> Option<Stored> {
        let key = if self.stored.contains_key(&key) {
            key
        } else {
            // Mounted again, a device may have another number.
            let same =
                |stored: &&Stored| stored.key.ino == key.ino && Path::new(&stored.path) == path && stored.head.len > 0;
            self.stored.values().flatten().find(same).map(|stored| stored.key)?
        };
        // Of several lives of one file (a truncation, and a crash before the end of the old one was saved) the one that is
        // read furthest: one of which nothing was read yet fits any content.
        let mut found: Option<Stored> = None;
        let mut others = Vec::new();
        for stored in self.stored.remove(&key)? {
            let fits = belongs(&stored, handle, size).unwrap_or(false);
            let known = |stored: &Stored| {
                let read = stored.reads.iter().map(|span| span.end).max();
                (stored.mark.max(read.unwrap_or(0)), stored.head.len)
            };
            let other = if fits && found.as_ref().is_none_or(|best| known(best) <= known(&stored)) {
                found.replace(stored)
            } else {
                Some(stored)
            };
            others.extend(other);
        }
        // Copied, perhaps, and truncated since it was looked for.
        for other in others {
            let folder = Path::new(&other.path).parent().unwrap_or(Path::new(".")).to_owned();
            self.find_packed(&other, &folder);
        }
        found
    }

    /// Follows a file from its checkpoint on.
    pub(super) fn take_up(&mut self, stored: &Stored, key: FileKey, current: PathBuf, handle: File, size: u64) {
        let path = PathBuf::from(&stored.path);
        let incarnation = self.known_incarnation(stored.id, &path, stored.mark);
        let mut file = TailFile::new(key, path, handle, stored.mark, incarnation);
        point::pass("tail.recalled");
        file.resume(stored);
        file.born = stored.born;
        if key != stored.key {
            let (id, head, path, born) = (stored.id, stored.head, stored.path.clone(), stored.born);
            let _ = self.journal.append(&Entry::Seen { id, key, path, from: stored.mark, head, born });
        }
        file.current = current;
        if file.current != file.path {
            self.rotating.insert(key);
            self.note_turn(&file.path, file.born);
        }
        self.admit(file, size);
    }

    pub(super) fn admit(&mut self, mut file: TailFile, size: u64) {
        file.size = size;
        file.limit = size;
        file.number = self.numbered;
        self.numbered += 1;
        self.note_real(&mut file);
        if self.open_files >= MAX_OPEN_FILES && !file.rotated && file.current == file.path {
            file.handle = None;
        }
        self.open_files += usize::from(file.handle.is_some());
        self.enqueue(&mut file);
        self.files.insert(file.key, file);
    }

    /// Where the file really is: that is what the system tells of.
    fn note_real(&mut self, file: &mut TailFile) {
        let Some(watch) = &mut self.watch else { return };
        if let Ok(real) = file.current.canonicalize() {
            if let Some(folder) = real.parent() {
                watch.folder(folder);
            }
            self.paths.insert(real.clone(), file.key);
            file.real = Some(real);
        }
    }

    /// At the start: files with a checkpoint that no path leads to. They were renamed, compressed or deleted meanwhile.
    fn find_rotated(&mut self, seen: &HashMap<FileKey, Seen>, now: Instant) {
        let mut folders: HashMap<PathBuf, HashSet<FileKey>> = HashMap::new();
        let mut displaced = Vec::new();
        let remounted: HashSet<(&Path, u64)> = seen.iter().map(|(key, (path, _))| (path.as_path(), key.ino)).collect();
        for stored in self.stored.values().flatten() {
            let path = Path::new(&stored.path);
            let known = seen.contains_key(&stored.key) || remounted.contains(&(path, stored.key.ino));
            // What the configuration does not want any more keeps its checkpoint, in case it is wanted again.
            if !self.settings.wants(path) {
                continue;
            }
            if known {
                // Its inode may be another file's by now, and itself be compressed.
                let reused = seen.get(&stored.key).is_some_and(|(path, metadata)| {
                    let opened = open(path).ok().flatten();
                    // Renamed since, the path leads to another one, which says nothing about this.
                    opened
                        .filter(|(_, key)| *key == stored.key)
                        .is_some_and(|(file, _)| belongs(stored, &file, metadata.len()).is_ok_and(|belongs| !belongs))
                });
                if reused {
                    displaced.push(stored.clone());
                }
            } else {
                folders.entry(path.parent().unwrap_or(Path::new(".")).to_owned()).or_default().insert(stored.key);
            }
        }
        for stored in displaced {
            if let Some(others) = self.stored.get_mut(&stored.key) {
                others.retain(|other| other.id != stored.id);
            }
            let folder = Path::new(&stored.path).parent().unwrap_or(Path::new(".")).to_owned();
            self.find_packed(&stored, &folder);
        }
        let mut found: Vec<(i64, i64, FileKey, PathBuf)> = Vec::new();
        for (folder, keys) in folders {
            let here = match find_in(&folder, &keys) {
                Ok(here) => here,
                Err(error) if error.kind() == io::ErrorKind::NotFound => HashMap::new(),
                Err(error) => {
                    self.warn_once(folder, "can't look for rotated files in the folder", &error);
                    continue;
                }
            };
            for key in keys {
                match here.get(&key) {
                    Some(path) => {
                        // Renamed in this very moment, its age does not matter.
                        let age = fs::metadata(path).map(|metadata| (metadata.mtime(), metadata.mtime_nsec()));
                        let (seconds, nanoseconds) = age.unwrap_or_default();
                        found.push((seconds, nanoseconds, key, path.clone()));
                    }
                    None => {
                        for stored in self.stored.remove(&key).unwrap_or_default() {
                            self.find_packed(&stored, &folder);
                        }
                    }
                }
            }
        }
        // The oldest first: newer ones of the same path wait for it.
        found.sort();
        for (_, _, key, path) in found {
            self.resume_rotated(key, path, now);
        }
    }

    fn resume_rotated(&mut self, key: FileKey, mut current: PathBuf, now: Instant) {
        let open_it = |path: &Path| {
            open(path).and_then(|opened| match opened {
                Some((handle, found)) if found == key => {
                    handle.metadata().map(|metadata| Some((handle, metadata.len())))
                }
                _ => Ok(None),
            })
        };
        let mut opened = open_it(&current);
        // Renamed again since it was found.
        if !matches!(opened, Ok(Some(_)))
            && let Some(folder) = current.parent()
            && let Some(path) = find_in(folder, &HashSet::from([key])).unwrap_or_default().remove(&key)
        {
            opened = open_it(&path);
            current = path;
        }
        match opened {
            Ok(Some((handle, size))) => {
                if let Some(stored) = self.recall(key, &current, &handle, size) {
                    self.take_up(&stored, key, current, handle, size);
                    self.with_file(key, |source, file| (source.rotated(file), Keep::Yes));
                    self.look(key, now);
                }
            }
            Ok(None) => {}
            Err(error) => self.warn_once(current, "can't open the file", &error),
        }
    }

    /// A file that is not in its folder any more, unless copied or compressed.
    fn find_packed(&mut self, stored: &Stored, folder: &Path) {
        if self.take_up_copy(stored) {
            return;
        }
        match packed::find(stored, folder, &self.setup.data_dir) {
            Ok(Some(unpacked)) => {
                let key = unpacked.key;
                self.take_up(stored, key, unpacked.path, unpacked.file, unpacked.size);
                self.with_file(key, |source, file| (source.rotated(file), Keep::Yes));
                return;
            }
            Ok(None) => {}
            Err(error) => self.warn_once(folder.to_owned(), "can't unpack a rotated file", &error),
        }
        self.note_turn(Path::new(&stored.path), stored.born);
        self.abandon(Path::new(&stored.path), stored.size.saturating_sub(stored.mark));
        let _ = self.journal.append(&Entry::Gone { id: stored.id });
    }
}

impl TailFile {
    /// Whether the paths say of it what they said before.
    fn is_as_seen(&self, (path, metadata): &Seen) -> bool {
        !self.rotated
            && metadata.len() == self.size
            && (metadata.mtime(), metadata.mtime_nsec()) == self.modified
            && path.as_os_str() == self.current.as_os_str()
    }
}

/// Whether the file says what the checkpoint remembers of it.
pub(super) fn belongs(stored: &Stored, file: &File, size: u64) -> io::Result<bool> {
    if size < stored.mark || !stored.head.matches(file)? || !stored.before.matches(file)? {
        return Ok(false);
    }
    let last = stored.reads.iter().max_by_key(|span| span.end);
    match last {
        Some(span) if size < span.end => Ok(false),
        Some(span) => span.before.matches(file),
        None => Ok(true),
    }
}

/// Opens a regular file and nothing else; should it have become a pipe meanwhile, that does not block.
pub(super) fn open(path: &Path) -> io::Result<Option<(File, FileKey)>> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    Ok(metadata.is_file().then(|| (file, FileKey::of(&metadata))))
}

/// Whether it begins like gzip, zstd, xz or bzip2.
pub(super) fn is_packed(file: &File) -> bool {
    let mut head = [0; 6];
    let n = read_at(file, &mut head, 0).unwrap_or(0);
    let magics: [&[u8]; 4] =
        [&[0x1f, 0x8b, 0x08], &[0x28, 0xb5, 0x2f, 0xfd], &[0xfd, b'7', b'z', b'X', b'Z', 0], b"BZh"];
    magics.iter().any(|magic| head[..n].starts_with(magic))
}

/// Where the last line begins: a line that is not complete is read whole once it is.
fn last_line(file: &File, size: u64) -> io::Result<u64> {
    let from = size.saturating_sub(LAST_LINE);
    let mut bytes = vec![0; (size - from) as usize];
    let n = read_at(file, &mut bytes, from)?;
    let found = memchr::memrchr(b'\n', &bytes[..n]).map(|newline| from + newline as u64 + 1);
    Ok(found.unwrap_or(if from == 0 { 0 } else { size }))
}
