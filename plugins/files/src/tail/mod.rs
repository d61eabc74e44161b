//! The input `tail`: follows files.
//!
//! Nothing is taken from a file that is not answered for: a position moves only over bytes whose records every output has
//! taken. What happens to files meanwhile is the work here:
//!
//! | what happens | what is done |
//! | --- | --- |
//! | renamed | read on to its end through the open file, before the newer one of its path is begun; let go of once it has said nothing for `rotate_wait` and all of it is settled |
//! | renamed while the agent was down | found by device and inode among the files of its folder, whatever its name; or unpacked, where it was compressed |
//! | rotated twice between two looks, or while the agent was down | the file between, which no path ever led to while anybody looked, is found by its name (`app.log.1`, `app.log-20260131`, `0.log.20260131-120000`) and by having been created later than the file before it; where file systems don't know that, it is not |
//! | deleted | as renamed, as long as it is open; what is not read at a restart is counted as abandoned |
//! | truncated (`copytruncate`) | a new incarnation from 0. Seen by the size, and by the bytes before the position: only a file that has grown again and says the very same there can't be told. What was not read before is read from the copy (`app.log.1`), where there is one; otherwise it is gone: no agent can read it, and what is known of it is counted as abandoned |
//! | replaced, its inode reused | a new incarnation, since the first bytes or those before the position differ |
//! | a line without its end | waits for it; becomes a record when the file is let go of, and with `run --once` |
//! | a line beyond `max_line` | cut, marked, counted; what is beyond is counted as abandoned |
//!
//! # Parts
//!
//! [`scan`] finds files, [`missed`], [`packed`] and [`copies`] those that are easily missed, [`follow`] sees to what becomes of them,
//! [`source`] decides what is read next, [`read`] reads a chunk, [`file`] knows one file's state, [`identity`] tells files
//! apart, [`journal`] keeps positions, [`watch`] hears of changes.
//!
//! # Missing
//!
//! Encodings other than UTF-8. Order between a rotated file and its successor, and finding a file that came and went
//! between two looks, hold within a worker; with several `workers` the two files may belong to different ones.

mod copies;
mod file;
mod follow;
mod identity;
mod journal;
mod missed;
mod packed;
mod point;
mod read;
mod scan;
mod settings;
mod source;
mod watch;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Input, Source, SourceSetup, StartError};

pub(crate) use self::identity::FileKey;
use self::journal::{Journal, Known, Stored};
use self::settings::TailSettings;
use self::source::TailSource;

/// What `suiro list` says.
pub(crate) const ABOUT: &str = "follows files through rotation and truncation, with checkpoints";

/// The input, as configured.
#[derive(Debug)]
pub(crate) struct Tail {
    settings: Arc<TailSettings>,
    /// The journals, once they are laid out for the workers.
    laid_out: Mutex<Option<Layout>>,
}

/// A journal for each worker.
#[derive(Debug)]
struct Layout {
    shards: usize,
    /// Those that no worker has opened.
    fresh: BTreeMap<usize, (Journal, Known)>,
}

/// Reads the settings.
pub(crate) fn build(section: &Section) -> Result<Box<dyn Input>, Reported> {
    Ok(Box::new(Tail::new(TailSettings::read(section)?)))
}

// === impl Tail ===

impl Tail {
    fn new(settings: TailSettings) -> Self {
        Tail { settings: Arc::new(settings), laid_out: Mutex::new(None) }
    }

    /// The source of one worker, as the type it is.
    fn open(&self, setup: SourceSetup) -> Result<TailSource, StartError> {
        let folder = setup.data_dir.join("checkpoints").join(folder_name(&setup.name));
        let failed = |error: io::Error| {
            StartError(format!(
                "can't keep checkpoints in {}: {error}; set `service.data_dir` to a folder that can be written",
                folder.display()
            ))
        };
        let mut laid_out = self.laid_out.lock().unwrap_or_else(PoisonError::into_inner);
        if laid_out.as_ref().is_none_or(|layout| layout.shards != setup.shards) {
            *laid_out = Some(lay_out(&folder, setup.shards).map_err(failed)?);
        }
        let fresh = laid_out.as_mut().and_then(|layout| layout.fresh.remove(&setup.shard));
        drop(laid_out);
        // Opened before, by a worker that died: what it wrote since counts.
        let reopen = || Journal::open(journal_path(&folder, setup.shard));
        let (journal, known) = fresh.map_or_else(reopen, Ok).map_err(failed)?;
        TailSource::new(setup, self.settings.clone(), journal, known)
    }
}

impl Input for Tail {
    fn source(&self, setup: SourceSetup) -> Result<Option<Box<dyn Source>>, StartError> {
        Ok(Some(Box::new(self.open(setup)?)))
    }
}

fn journal_path(folder: &Path, shard: usize) -> PathBuf {
    folder.join(format!("{shard}.journal"))
}

/// An input's name as the name of a folder: what might mean something in a path is written `%xx`.
fn folder_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for (i, byte) in name.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => out.push(char::from(byte)),
            b'.' if i > 0 => out.push('.'),
            _ => out.push_str(&format!("%{byte:02x}")),
        }
    }
    out
}

/// Gives each of `shards` workers a journal with the files that are its own, whatever the number of workers was before.
/// Where it was the same, they stay as they are: a start with many files must not write them all.
fn lay_out(folder: &Path, shards: usize) -> io::Result<Layout> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let wanted: BTreeSet<PathBuf> = (0..shards).map(|shard| journal_path(folder, shard)).collect();
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "journal") {
            let mut known = Known::new();
            let extent = journal::read_file(&path, &mut known)?;
            found.insert(path, (extent, known));
        }
    }
    let shard_of = |stored: &Stored| stored.key.shard(shards);
    let in_place = found.keys().eq(&wanted)
        && (0..shards).all(|shard| found[&journal_path(folder, shard)].1.values().all(|one| shard_of(one) == shard));
    let mut fresh = BTreeMap::new();
    if in_place {
        for (shard, path) in (0..shards).map(|shard| (shard, journal_path(folder, shard))) {
            if let Some((extent, known)) = found.remove(&path) {
                fresh.insert(shard, (Journal::resume(path, extent, &known)?, known));
            }
        }
        return Ok(Layout { shards, fresh });
    }
    let orphans: Vec<PathBuf> = found.keys().filter(|path| !wanted.contains(*path)).cloned().collect();
    let mut all = Known::new();
    found.into_values().for_each(|(_, known)| journal::merge(&mut all, known));
    for (shard, path) in (0..shards).map(|shard| (shard, journal_path(folder, shard))) {
        let own: Known =
            all.iter().filter(|(_, one)| shard_of(one) == shard).map(|(id, one)| (*id, one.clone())).collect();
        fresh.insert(shard, (Journal::create(path, own.values())?, own));
    }
    // Last: whoever dies before reads them once more.
    orphans.iter().try_for_each(fs::remove_file)?;
    Ok(Layout { shards, fresh })
}
