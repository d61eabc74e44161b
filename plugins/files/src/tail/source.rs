//! The source of one worker: which file is read next, and what becomes of what is read.
//!
//! Files with something to read stand in a queue and are read in turn, a chunk each. A file is *lively* while something
//! may still come of it soon (records not settled, a line without its end, rotated): lively files are looked at four times
//! a second, whatever the system tells, and saved every second. All others cost nothing between two scans.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use suiro_record::{Scope, Source as Origin};
use suiro_sdk::ledger::add;
use suiro_sdk::{Custody, Flow, Line, Polled, Progress, Source, SourceSetup, StartError, Tracker};

use super::file::{Incarnation, TailFile};
use super::identity::{FileKey, Imprint};
use super::journal::{Entry, Id, Journal, Known, Stored};
use super::missed::Turn;
use super::point;
use super::read::{Found, Reading, read};
use super::settings::TailSettings;
use super::watch::Watch;

/// How often lively files are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How soon after a scan another is made because the system told of new names; later where scans take long.
const SCAN_GAP: Duration = Duration::from_millis(100);
/// The share of its time a worker may spend on scans because of names: one in so many parts.
const SCAN_SHARE: u32 = 20;
/// Receipts of one file that are not settled, at most: then the file waits.
const MAX_OPEN_RECEIPTS: usize = 4096;
/// Settled ranges above the mark of one file, at most: then the file waits.
const MAX_RANGES: usize = 1024;
/// Files that stay open, at most, in one source.
pub(super) const MAX_OPEN_FILES: usize = 512;
/// Files that turn out to have nothing, or pieces of long lines, in one poll.
const WORK: usize = 16;
/// Warnings that are remembered so as not to repeat them; then they are forgotten, and may come again.
const MAX_WARNED: usize = 4096;

/// What one worker follows.
pub(super) struct TailSource {
    pub(super) setup: SourceSetup,
    pub(super) settings: Arc<TailSettings>,
    pub(super) journal: Journal,
    /// Syncs of the journal so far.
    syncs: u64,
    pub(super) files: HashMap<FileKey, TailFile>,
    /// What checkpoints say of files that were not met yet.
    pub(super) stored: HashMap<FileKey, Vec<Stored>>,
    ready: VecDeque<FileKey>,
    pub(super) lively: HashSet<FileKey>,
    /// Not lively any more, and not in a checkpoint as they are now.
    pub(super) unsaved: HashSet<FileKey>,
    /// Rotated and not read to their end: newer files of their paths wait.
    pub(super) rotating: HashSet<FileKey>,
    /// The real paths the system tells of.
    pub(super) paths: HashMap<PathBuf, FileKey>,
    pub(super) watch: Option<Watch>,
    pub(super) next_scan: Instant,
    pub(super) last_scan: Option<Instant>,
    scan_gap: Duration,
    next_look: Instant,
    pub(super) open_files: usize,
    pub(super) numbered: u64,
    /// Paths that lead to another file than before.
    pub(super) turned: HashMap<PathBuf, Turn>,
    /// Files that are no text, left alone.
    pub(super) ignored: HashSet<FileKey>,
    warned: HashSet<(PathBuf, &'static str)>,
    lines: Vec<Line>,
    /// Of files that were let go of.
    past: Progress,
    stopped: bool,
}

/// Whether a file is still followed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Yes,
    No,
}

// === impl TailSource ===

impl TailSource {
    pub(super) fn new(
        setup: SourceSetup,
        settings: Arc<TailSettings>,
        journal: Journal,
        known: Known,
    ) -> Result<Self, StartError> {
        let sample = Scope::new(Arc::new(Origin::new(setup.name.clone(), 0)));
        suiro_sdk::tag::render(&setup.tag, &Arc::new(sample.with("file.path", "/file").with("file.name", "file")))?;
        let watch = match Watch::new(setup.waker.clone()) {
            _ if setup.once => None,
            Ok(watch) => Some(watch),
            Err(error) => {
                tracing::warn!(
                    input = &*setup.name,
                    %error,
                    "the system can't tell of changes: files are looked at every `scan_interval` instead; \
                     raise fs.inotify.max_user_instances"
                );
                None
            }
        };
        let mut stored: HashMap<FileKey, Vec<Stored>> = HashMap::new();
        for (_, one) in known {
            stored.entry(one.key).or_default().push(one);
        }
        let now = Instant::now();
        Ok(TailSource {
            setup,
            settings,
            journal,
            syncs: 0,
            files: HashMap::new(),
            stored,
            ready: VecDeque::new(),
            lively: HashSet::new(),
            unsaved: HashSet::new(),
            rotating: HashSet::new(),
            paths: HashMap::new(),
            watch,
            next_scan: now,
            last_scan: None,
            scan_gap: SCAN_GAP,
            next_look: now + LOOK,
            open_files: 0,
            numbered: 0,
            turned: HashMap::new(),
            ignored: HashSet::new(),
            warned: HashSet::new(),
            lines: Vec::new(),
            past: Progress::default(),
            stopped: false,
        })
    }

    /// [`Source::poll`] at a given time.
    pub(super) fn step(&mut self, now: Instant) -> Polled {
        if self.stopped {
            return Polled::Idle { until: None };
        }
        self.hear(now);
        if now >= self.next_scan {
            let begun = Instant::now();
            self.scan(now);
            self.scan_gap = SCAN_GAP.max(begun.elapsed() * SCAN_SHARE);
        }
        if now >= self.next_look {
            for key in self.by_age(self.lively.iter().copied()) {
                self.look(key, now);
            }
            self.next_look = now + LOOK;
        }
        for _ in 0..WORK {
            let Some(key) = self.ready.pop_front() else { break };
            if let Some(flow) = self.with_file(key, |source, file| source.read_file(file)).flatten() {
                return Polled::Batch(flow);
            }
        }
        if !self.ready.is_empty() {
            return Polled::Idle { until: Some(now) };
        }
        if self.setup.once && self.files.values().all(|file| file.finished) {
            return Polled::Done;
        }
        let look = if self.lively.is_empty() { self.next_scan } else { self.next_look };
        Polled::Idle { until: Some(look.min(self.next_scan)) }
    }

    /// Files, the oldest first.
    pub(super) fn by_age(&self, keys: impl Iterator<Item = FileKey>) -> Vec<FileKey> {
        let mut keys: Vec<_> = keys.collect();
        keys.sort_by_cached_key(|key| self.files.get(key).map(|file| file.number));
        keys
    }

    /// What the system told.
    fn hear(&mut self, now: Instant) {
        let Some(watch) = &mut self.watch else { return };
        let told = watch.take();
        if told.names || told.all {
            let soon = self.last_scan.map_or(now, |last| last + self.scan_gap);
            self.next_scan = self.next_scan.min(soon);
        }
        for path in told.changed {
            if let Some(&key) = self.paths.get(&path) {
                self.look(key, now);
            }
        }
    }

    /// Calls `act` with a file, and keeps count of open ones.
    pub(super) fn with_file<R>(
        &mut self,
        key: FileKey,
        act: impl FnOnce(&mut Self, &mut TailFile) -> (R, Keep),
    ) -> Option<R> {
        let mut file = self.files.remove(&key)?;
        let was_open = file.handle.is_some();
        let (result, keep) = act(self, &mut file);
        if keep == Keep::No {
            file.handle = None;
        }
        self.open_files = self.open_files + usize::from(file.handle.is_some()) - usize::from(was_open);
        if keep == Keep::Yes {
            self.files.insert(key, file);
        } else {
            self.past.read += file.offset.saturating_sub(file.began);
            self.past.total += file.size.saturating_sub(file.began);
            self.lively.remove(&key);
            self.unsaved.remove(&key);
            self.rotating.remove(&key);
            if let Some(real) = &file.real
                && self.paths.get(real) == Some(&key)
            {
                self.paths.remove(real);
            }
        }
        Some(result)
    }

    /// Puts a file in the queue of those to be read.
    pub(super) fn enqueue(&mut self, file: &mut TailFile) {
        if !file.queued {
            file.queued = true;
            self.ready.push_back(file.key);
        }
    }

    /// Whether an older file of the same path is not read to its end.
    fn waits(&self, file: &TailFile) -> bool {
        self.rotating
            .iter()
            .filter_map(|key| self.files.get(key))
            .any(|older| older.key != file.key && older.number < file.number && older.path == file.path)
    }

    /// Reads the next lines of a file.
    fn read_file(&mut self, file: &mut TailFile) -> (Option<Flow>, Keep) {
        file.queued = false;
        if file.finished {
            return (None, Keep::Yes);
        }
        self.lively.insert(file.key);
        if file.crowded || file.tracker.open_receipts() >= MAX_OPEN_RECEIPTS || self.waits(file) {
            return (None, Keep::Yes);
        }
        match file.reopen() {
            Ok(true) => {}
            Ok(false) => {
                self.lost_sight(file);
                return (None, Keep::Yes);
            }
            Err(error) => {
                self.failed(file, "can't open the file", &error);
                return (None, Keep::Yes);
            }
        }
        if !self.make_durable(file) {
            return (None, Keep::Yes);
        }
        let flow = self.fill(file);
        if self.open_files > MAX_OPEN_FILES && !file.rotated && file.at_end() {
            file.handle = None;
        }
        (flow, Keep::Yes)
    }

    /// The incarnation must be on disk before its first record leaves.
    fn make_durable(&mut self, file: &TailFile) -> bool {
        if self.syncs > file.sync {
            return true;
        }
        match self.journal.sync() {
            Ok(()) => {
                self.syncs += 1;
                true
            }
            Err(error) => {
                self.warn_once(PathBuf::new(), "can't write checkpoints: nothing is read until that works", &error);
                false
            }
        }
    }

    fn fill(&mut self, file: &mut TailFile) -> Option<Flow> {
        if self.setup.once {
            file.last = true;
        }
        let read_at = file.clock.now();
        let mut batch = self.setup.pool.batch(file.tag.clone(), file.scope.clone(), read_at);
        let mut lines = std::mem::take(&mut self.lines);
        let mut taken = None;
        for _ in 0..WORK {
            lines.clear();
            batch.heap_mut().clear();
            let reading = Reading { max_line: self.settings.max_line, ledger: &self.setup.ledger };
            match read(file, batch.heap_mut(), &mut lines, reading) {
                Ok((Found::Lines { more }, chunk)) => {
                    let from = file.offset;
                    let all = lines.last().map_or(from, |line| line.end);
                    let (mut end, time) = file.select(&mut lines);
                    let mut range = end..end;
                    batch.read_at = time.unwrap_or(read_at);
                    if let Some(first) = lines.first() {
                        let n = self.setup.decoder.decode(&mut batch, chunk.start, &lines);
                        if let Some(last) = n.checked_sub(1).and_then(|last| lines.get(last)) {
                            range = first.start..last.end;
                            end = last.end;
                        }
                    }
                    if let Err(error) = file.take_up_to(end, batch.heap(), chunk) {
                        self.failed(file, "can't read the file", &error);
                    }
                    self.setup.ledger.add_bytes(end - from);
                    if more || end < all {
                        self.enqueue(file);
                    }
                    if batch.rows.is_empty() {
                        file.tracker.advance(end);
                        if end == from {
                            break;
                        }
                        if more || end < all {
                            continue;
                        }
                    } else {
                        taken = Some((range, time.is_none()));
                    }
                    self.after_read(file, more || end < all);
                    break;
                }
                Ok((Found::Onward, _)) => {
                    self.enqueue(file);
                }
                Ok((Found::Nothing, _)) => {
                    self.after_read(file, false);
                    break;
                }
                Ok((Found::Changed, _)) => {
                    // How long it was, nobody knows: what was looked through without finding a line is gone in any case.
                    file.lost = file.scanned.saturating_sub(file.offset);
                    if !self.renew(file) {
                        break;
                    }
                    self.enqueue(file);
                    break;
                }
                Err(error) => {
                    self.failed(file, "can't read the file", &error);
                    break;
                }
            }
        }
        self.lines = lines;
        file.quiet_since = None;
        let Some((range, first_time)) = taken else {
            self.setup.pool.recycle(batch);
            return None;
        };
        point::pass("tail.read");
        if first_time {
            let entry = file.note_read(range.start, range.end, read_at);
            // It survives the process once it is handed to the system. Where that fails, a replay has a later time.
            if let Err(error) = self.journal.append(&entry).and_then(|()| self.journal.flush()) {
                self.warn_once(PathBuf::new(), "can't write checkpoints", &error);
            }
        }
        point::pass("tail.noted");
        let receipt = file.tracker.open(range, batch.rows.len() as u64);
        Some(Flow::new(batch, Custody::from(receipt)))
    }

    /// A file was read to what is its end just now, or has `more`. With `run --once` it ends where it ended when it was
    /// found, or at the next line end behind.
    fn after_read(&mut self, file: &mut TailFile, more: bool) {
        if self.setup.once && (!more || file.offset >= file.limit) {
            self.finish(file);
        }
        if !more {
            self.let_others_on(file);
        }
    }

    /// There is nothing more to read of a file just now: those of its path that came after it may go on.
    pub(super) fn let_others_on(&mut self, file: &TailFile) {
        if !self.rotating.remove(&file.key) {
            return;
        }
        for key in self.by_age(self.lively.iter().copied()) {
            if let Some(other) = self.files.get_mut(&key)
                && other.path == file.path
                && !std::mem::replace(&mut other.queued, true)
            {
                self.ready.push_back(key);
            }
        }
    }

    /// Begins the file again at 0: it was truncated, or replaced.
    pub(super) fn renew(&mut self, file: &mut TailFile) -> bool {
        let lost = std::mem::take(&mut file.lost);
        let copy = self.find_copy(&file.snapshot());
        match self.incarnation(file.key, file.next_path(), 0, Imprint::default(), file.born) {
            Ok(incarnation) => {
                let Some(old) = file.renew(incarnation) else { return false };
                if let Some(copy) = copy {
                    // Begun after its copy is read to the end.
                    file.number = self.numbered;
                    self.numbered += 1;
                    self.go_on_in_copy(old, copy);
                } else {
                    old.tracker.end();
                    self.note_turn(&file.path.clone(), old.born);
                    let _ = self.journal.append(&Entry::Gone { id: old.id });
                    add(&self.setup.ledger.abandoned_bytes, usize::try_from(lost).unwrap_or(usize::MAX));
                    tracing::info!(path = %file.path.display(), unread = lost, "the file was truncated or replaced: read from its beginning");
                }
                true
            }
            Err(error) => {
                file.lost = lost;
                self.warn_once(PathBuf::new(), "can't write checkpoints: nothing is read until that works", &error);
                false
            }
        }
    }

    /// A new incarnation of the file that was first seen at `path`.
    pub(super) fn incarnation(
        &mut self,
        key: FileKey,
        path: &std::path::Path,
        from: u64,
        head: Imprint,
        born: Option<i64>,
    ) -> std::io::Result<Incarnation> {
        let id = Id(rand::random());
        let entry = Entry::Seen { id, key, path: path.to_string_lossy().into_owned(), from, head, born };
        self.journal.append(&entry)?;
        point::pass("tail.seen");
        Ok(self.known_incarnation(id, path, from))
    }

    /// The incarnation `id`, which the journal knows.
    pub(super) fn known_incarnation(&self, id: Id, path: &std::path::Path, from: u64) -> Incarnation {
        let source = Arc::new(Origin::new(self.setup.name.clone(), id.0));
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let scope = Scope::new(source.clone()).with("file.path", &*path.to_string_lossy());
        let scope = Arc::new(scope.with("file.name", &*name));
        // The start has seen that a file's fields are enough for it.
        let tag = suiro_sdk::tag::render(&self.setup.tag, &scope).unwrap_or_else(|_| "_".into());
        let tracker = Tracker::new(source, from, self.setup.ledger.clone(), None);
        tracker.will_look();
        Incarnation { id, tracker, scope, tag, sync: self.syncs }
    }

    /// A file that can't be read is tried again, and the reason told once.
    pub(super) fn failed(&mut self, file: &mut TailFile, what: &'static str, error: &std::io::Error) {
        self.warn_once(file.current.clone(), what, error);
        if self.setup.once {
            let unread = file.size.saturating_sub(file.offset);
            add(&self.setup.ledger.abandoned_bytes, usize::try_from(unread).unwrap_or(usize::MAX));
            self.finish(file);
        }
    }

    /// Tells of a trouble once.
    pub(super) fn warn_once(&mut self, path: PathBuf, what: &'static str, error: &dyn std::fmt::Display) {
        if self.warned.len() >= MAX_WARNED {
            self.warned.clear();
        }
        let shown = path.display().to_string();
        if self.warned.insert((path, what)) {
            tracing::warn!(input = &*self.setup.name, path = shown, %error, "{what}");
        }
    }
}

impl Source for TailSource {
    fn poll(&mut self) -> Polled {
        self.step(Instant::now())
    }

    fn checkpoint(&mut self) -> Result<(), std::io::Error> {
        point::pass("tail.checkpoint");
        // Of all others nothing is unsettled: nothing of them changes until they are read.
        for key in self.lively.iter().chain(&self.unsaved) {
            let Some(file) = self.files.get_mut(key) else { continue };
            if let Some(entry) = file.changes() {
                if let Entry::At { settled, .. } = &entry {
                    file.crowded = settled.len() > MAX_RANGES;
                }
                if let Err(error) = self.journal.append(&entry) {
                    file.unsaved();
                    return Err(error);
                }
            }
        }
        self.journal.flush()?;
        self.unsaved.clear();
        if self.journal.is_bloated() {
            let mut all: Vec<Stored> = self.files.values_mut().map(TailFile::snapshot).collect();
            all.extend(self.stored.values().flatten().cloned());
            self.journal.compact(all.iter())?;
            self.forget_vanished();
        }
        Ok(())
    }

    fn stop(&mut self) {
        self.stopped = true;
        self.watch = None;
        for file in self.files.values_mut() {
            file.handle = None;
        }
        self.open_files = 0;
    }

    fn progress(&self) -> Progress {
        let mut progress = self.past;
        for file in self.files.values() {
            progress.read += file.offset.saturating_sub(file.began);
            progress.total += file.size.max(file.offset).saturating_sub(file.began);
        }
        progress
    }
}
