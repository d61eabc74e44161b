//! Watching the module's file, at batch boundaries: a look at most once a second costs nothing, and sees a file that was
//! replaced, edited in place, or is behind a link that changed (a ConfigMap).

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often the file is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// A file, and what it was like.
#[derive(Debug)]
pub(crate) struct Watch {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    seen: Option<Stamp>,
    next: Instant,
    /// Somebody deals with a change.
    busy: bool,
}

/// What tells a file from another: device, inode, size, and when it was changed.
type Stamp = (u64, u64, u64, i64, i64);

// === impl Watch ===

impl Watch {
    /// Watches the file as it is now.
    pub(crate) fn of(path: &Path) -> Watch {
        let state = State { seen: stamp(path), next: Instant::now() + EVERY, busy: false };
        Watch { path: path.to_owned(), state: Mutex::new(state) }
    }

    /// Whether it changed since it was last asked. Whoever is told so calls [`Watch::done`] when the change is dealt with.
    pub(crate) fn has_changed(&self, now: Instant) -> bool {
        let mut state = self.state();
        if state.busy || now < state.next {
            return false;
        }
        state.next = now + EVERY;
        // A file that is gone may be about to be replaced.
        let Some(found) = stamp(&self.path) else { return false };
        state.busy = state.seen.replace(found) != Some(found);
        state.busy
    }

    /// The change is dealt with.
    pub(crate) fn done(&self) {
        self.state().busy = false;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.size(), file.ctime(), file.ctime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_what_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wasm");
        std::fs::write(&path, "one").unwrap();
        let watch = Watch::of(&path);
        let mut now = Instant::now();
        let mut look = |watch: &Watch| {
            now += EVERY * 2;
            watch.has_changed(now)
        };
        assert!(!look(&watch));
        std::fs::write(folder.path().join("b"), "two").unwrap();
        std::fs::rename(folder.path().join("b"), &path).unwrap();
        assert!(look(&watch) && !look(&watch), "once, until it is dealt with");
        watch.done();
        assert!(!look(&watch));
        std::fs::remove_file(&path).unwrap();
        assert!(!look(&watch));
        std::fs::write(&path, "three").unwrap();
        assert!(look(&watch));
    }
}
