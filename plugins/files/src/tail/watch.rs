//! Being told by the system that files changed (inotify, kqueue, ...).
//!
//! Folders are watched, not files: a folder tells of the files in it, and of new ones. What it tells only ever makes the
//! source look sooner: a scan finds everything in any case, later. So an event that is lost, a folder that can't be
//! watched and a file system that tells nothing (a network's) cost time, not records.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use notify::event::{EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use suiro_sdk::Waker;

/// Changed paths that are remembered; beyond, everything is looked at.
const MAX_CHANGED: usize = 4096;
/// Folders that are watched, at most.
const MAX_FOLDERS: usize = 32 << 10;
/// A writer that appends line by line makes an event per line. While the watcher's thread rests, the system folds those
/// that repeat.
const REST: Duration = Duration::from_millis(5);

/// What was told since the last look.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Files whose content changed.
    pub(crate) changed: HashSet<PathBuf>,
    /// Files came, went, or were renamed.
    pub(crate) names: bool,
    /// More than could be remembered.
    pub(crate) all: bool,
}

/// Watches folders.
pub(crate) struct Watch {
    watcher: RecommendedWatcher,
    told: Arc<Mutex<Told>>,
    folders: HashSet<PathBuf>,
    /// Some folder can't be watched.
    pub(crate) partial: bool,
}

// === impl Told ===

impl Told {
    fn is_empty(&self) -> bool {
        self.changed.is_empty() && !self.names && !self.all
    }

    fn take_in(&mut self, event: notify::Result<notify::Event>) {
        let Ok(event) = event else {
            self.all = true;
            return;
        };
        if event.need_rescan() {
            self.all = true;
        }
        match event.kind {
            // Our own reading.
            EventKind::Access(_) => {}
            EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_) | ModifyKind::Any) => {
                for path in event.paths {
                    if self.changed.len() >= MAX_CHANGED {
                        self.all = true;
                        break;
                    }
                    self.changed.insert(path);
                }
            }
            _ => self.names = true,
        }
    }
}

// === impl Watch ===

impl Watch {
    /// Starts watching nothing yet.
    pub(crate) fn new(waker: Waker) -> notify::Result<Self> {
        let told = Arc::new(Mutex::new(Told::default()));
        let telling = told.clone();
        let mut rested = Instant::now();
        let watcher = notify::recommended_watcher(move |event| {
            let mut told = lock(&telling);
            let was_empty = told.is_empty();
            told.take_in(event);
            let wake = was_empty && !told.is_empty();
            drop(told);
            if wake {
                waker.wake();
            }
            if rested.elapsed() > REST {
                std::thread::sleep(REST);
                rested = Instant::now();
            }
        })?;
        Ok(Watch { watcher, told, folders: HashSet::new(), partial: false })
    }

    /// Watches `folder` as well.
    pub(crate) fn folder(&mut self, folder: &Path) {
        if self.folders.contains(folder) {
            return;
        }
        if self.folders.len() >= MAX_FOLDERS {
            self.give_up(folder, "too many folders");
            return;
        }
        match self.watcher.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.folders.insert(folder.to_owned());
            }
            Err(error) => self.give_up(folder, &error.to_string()),
        }
    }

    /// Forgets the folders that are not there any more.
    pub(crate) fn prune(&mut self) {
        let Watch { watcher, folders, .. } = self;
        folders.retain(|folder| {
            let there = folder.is_dir();
            if !there {
                // The system has let go of it already, or does so now.
                let _ = watcher.unwatch(folder);
            }
            there
        });
    }

    fn give_up(&mut self, folder: &Path, why: &str) {
        if !std::mem::replace(&mut self.partial, true) {
            tracing::warn!(
                folder = %folder.display(),
                why,
                "can't be told of changes: files are looked at every `scan_interval` instead; \
                 raise fs.inotify.max_user_watches and fs.inotify.max_user_instances"
            );
        }
    }

    /// What was told since the last time.
    pub(crate) fn take(&mut self) -> Told {
        std::mem::take(&mut *lock(&self.told))
    }
}

fn lock(told: &Mutex<Told>) -> MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use notify::event::{CreateKind, DataChange, Flag};

    use super::*;

    #[test]
    fn what_is_told_is_bounded() {
        let mut told = Told::default();
        told.take_in(Ok(notify::Event::new(EventKind::Access(notify::event::AccessKind::Any))));
        assert!(told.is_empty());
        for i in 0..MAX_CHANGED + 1 {
            let event = notify::Event::new(EventKind::Modify(ModifyKind::Data(DataChange::Any)));
            told.take_in(Ok(event.add_path(format!("/{i}").into())));
        }
        assert_eq!(told.changed.len(), MAX_CHANGED);
        assert!(told.all && !told.names);
    }

    #[test]
    fn names_and_overflows_are_told() {
        let mut told = Told::default();
        told.take_in(Ok(notify::Event::new(EventKind::Create(CreateKind::File))));
        assert!(told.names && !told.all);
        told.take_in(Ok(notify::Event::new(EventKind::Other).set_flag(Flag::Rescan)));
        assert!(told.all);
    }

    #[test]
    fn a_write_wakes() {
        let folder = tempfile::tempdir().unwrap();
        let folder_path = folder.path().canonicalize().unwrap();
        let (wake, woken) = mpsc::channel();
        let Ok(mut watch) = Watch::new(Waker::new(move || wake.send(()).unwrap_or_default())) else {
            return; // no inotify here
        };
        watch.folder(&folder_path);
        assert!(!watch.partial);
        std::fs::write(folder_path.join("a.log"), b"x\n").unwrap();
        woken.recv_timeout(Duration::from_secs(10)).unwrap();
        assert!(watch.take().names);
    }
}
