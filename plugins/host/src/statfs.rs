//! How full filesystems are, asked so that nobody waits for one that is gone.
//!
//! `statvfs` of a network filesystem whose server does not answer waits for ever, and can't be interrupted. So a helper
//! thread asks. One that does not come back in time is left behind, with its mount, which is passed over until it does
//! come back; another helper goes on with the others. So there is at most one thread that waits per mount, and never more
//! than [`MAX_STUCK`].

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// A filesystem that takes longer is not waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// Helpers that are left behind. Beyond, nothing is asked any more until one comes back.
const MAX_STUCK: usize = 32;

/// Space of a filesystem.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Space {
    /// Bytes.
    pub(crate) block: u64,
    pub(crate) blocks: u64,
    /// Those reserved for root included.
    pub(crate) free: u64,
    pub(crate) available: u64,
    /// Inodes.
    pub(crate) files: u64,
    pub(crate) files_free: u64,
}

/// What came of asking.
#[derive(Debug)]
pub(crate) enum Answer {
    Space(Space),
    Failed(String),
    /// Nothing, in time.
    Stuck,
}

type Probe = fn(&Path) -> Result<Space, String>;

/// Asks.
pub(crate) struct StatFs {
    probe: Probe,
    patience: Duration,
    helper: Option<Helper>,
    /// Mounts that some helper waits for.
    stuck: Arc<Mutex<BTreeSet<String>>>,
}

struct Helper {
    ask: Sender<(String, PathBuf)>,
    answers: Receiver<Result<Space, String>>,
}

// === impl StatFs ===

impl StatFs {
    pub(crate) fn new() -> StatFs {
        StatFs::with(statvfs, PATIENCE)
    }

    fn with(probe: Probe, patience: Duration) -> StatFs {
        StatFs { probe, patience, helper: None, stuck: Arc::default() }
    }

    /// Asks for the space of what is mounted at `mount`, which is at `path` here.
    pub(crate) fn ask(&mut self, mount: &str, path: PathBuf) -> Answer {
        {
            let stuck = self.stuck();
            if stuck.contains(mount) || stuck.len() >= MAX_STUCK {
                return Answer::Stuck;
            }
        }
        let helper = match &mut self.helper {
            Some(helper) => helper,
            none => match Helper::start(self.probe, self.stuck.clone()) {
                Ok(helper) => none.insert(helper),
                Err(error) => return Answer::Failed(error.to_string()),
            },
        };
        // Noted before it is asked: the helper takes it off again when it comes back.
        self.stuck.lock().unwrap_or_else(PoisonError::into_inner).insert(mount.to_owned());
        if helper.ask.send((mount.to_owned(), path)).is_err() {
            self.stuck().remove(mount);
            self.helper = None;
            return Answer::Failed("the thread that asks ended".to_owned());
        }
        let answer = helper.answers.recv_timeout(self.patience);
        match answer {
            Ok(Ok(space)) => Answer::Space(space),
            Ok(Err(why)) => Answer::Failed(why),
            Err(RecvTimeoutError::Timeout) => {
                self.helper = None;
                Answer::Stuck
            }
            Err(RecvTimeoutError::Disconnected) => {
                self.stuck().remove(mount);
                self.helper = None;
                Answer::Failed("the thread that asks ended".to_owned())
            }
        }
    }

    fn stuck(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.stuck.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Helper ===

impl Helper {
    fn start(probe: Probe, stuck: Arc<Mutex<BTreeSet<String>>>) -> std::io::Result<Helper> {
        let (ask, asked) = channel::<(String, PathBuf)>();
        let (tell, answers) = channel();
        thread::Builder::new().name("host:statvfs".to_owned()).spawn(move || {
            // Ends when it is left behind, or the input is.
            for (mount, path) in asked {
                let answer = probe(&path);
                stuck.lock().unwrap_or_else(PoisonError::into_inner).remove(&mount);
                if tell.send(answer).is_err() {
                    return;
                }
            }
        })?;
        Ok(Helper { ask, answers })
    }
}

fn statvfs(path: &Path) -> Result<Space, String> {
    let told = nix::sys::statvfs::statvfs(path).map_err(|error| error.desc().to_owned())?;
    Ok(Space {
        block: told.fragment_size(),
        blocks: told.blocks(),
        free: told.blocks_free(),
        available: told.blocks_available(),
        files: told.files(),
        files_free: told.files_free(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Condvar;
    use std::time::Instant;

    use super::*;

    static GATE: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

    fn one(path: &Path) -> Result<Space, String> {
        match path.to_str() {
            Some("/gone") => Err("no such file".to_owned()),
            Some("/hangs") => {
                let mut open = GATE.0.lock().unwrap();
                while !*open {
                    open = GATE.1.wait(open).unwrap();
                }
                Ok(Space { block: 1, blocks: 1, free: 0, available: 0, files: 0, files_free: 0 })
            }
            _ => Ok(Space { block: 4096, blocks: 10, free: 5, available: 4, files: 0, files_free: 0 }),
        }
    }

    #[test]
    fn one_that_hangs_keeps_nobody() {
        let mut statfs = StatFs::with(one, Duration::from_millis(50));
        let mut ask = |mount: &str| statfs.ask(mount, mount.into());
        assert!(matches!(ask("/"), Answer::Space(Space { blocks: 10, .. })));
        assert!(matches!(ask("/gone"), Answer::Failed(why) if why == "no such file"));
        assert!(matches!(ask("/hangs"), Answer::Stuck));
        assert!(matches!(ask("/"), Answer::Space(_)), "others are asked by another thread");
        let began = Instant::now();
        for _ in 0..1000 {
            assert!(matches!(ask("/hangs"), Answer::Stuck), "no second thread waits for it");
        }
        assert!(began.elapsed() < Duration::from_secs(20), "and nobody waits for that");
        *GATE.0.lock().unwrap() = true;
        GATE.1.notify_all();
        let until = Instant::now() + Duration::from_secs(20);
        while !matches!(ask("/hangs"), Answer::Space(_)) {
            assert!(Instant::now() < until, "it came back");
            thread::yield_now();
        }
    }

    #[test]
    fn asks_the_kernel() {
        let folder = tempfile::tempdir().unwrap();
        let Answer::Space(space) = StatFs::new().ask("/", folder.path().to_owned()) else { panic!("no answer") };
        assert!(space.blocks >= space.free && space.free >= space.available && space.block > 0);
        assert!(
            matches!(StatFs::new().ask("/", "/no/such".into()), Answer::Failed(why) if why.contains("No such file"))
        );
    }
}
