//! A disk that forgets: a folder in memory that knows what is durable, and fails where it is told to.
//!
//! It is as unkind as the real ones: what was not synced is gone after a power loss, files and names apart; and after a
//! failed sync the pages count as clean, so the next sync says "done" and has written nothing.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::fs::{File, Fs};

/// How something goes wrong, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing reaches the disk any more: the machine is dead.
    Death,
    /// The same, in the middle of a write.
    DeathHalfway,
    /// The operation fails and does nothing.
    Error(io::ErrorKind),
    /// A write does half of its work, then fails.
    Half(io::ErrorKind),
    /// A write does half of its work and says so.
    Short,
}

/// What survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crash {
    /// The process is killed.
    Kill,
    /// The power is cut: only what was synced is left.
    Power,
    /// The power is cut: names are all there, of the contents only what was synced.
    PowerKeepsNames,
}

#[derive(Clone, Default)]
pub(super) struct Disk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    files: Vec<Content>,
    /// Operations that change something, so far.
    ops: usize,
    fault: Option<(usize, Fault)>,
    dead: bool,
    /// Bytes that fit.
    capacity: Option<usize>,
    log: Vec<String>,
}

#[derive(Clone, Default)]
struct Content {
    data: Vec<u8>,
    durable: Vec<u8>,
    dirty: Vec<Range<usize>>,
}

struct Handle {
    disk: Disk,
    name: String,
    file: usize,
}

// === impl Disk ===

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The operation number `at`, from 0, goes wrong.
    pub(super) fn fail(&self, at: usize, fault: Fault) {
        self.state().fault = Some((at, fault));
    }

    /// How many operations there were: the number of the next.
    pub(super) fn ops(&self) -> usize {
        self.state().ops
    }

    /// From now on only so many bytes fit.
    pub(super) fn set_capacity(&self, bytes: Option<usize>) {
        self.state().capacity = bytes;
    }

    /// What was done, in words.
    pub(super) fn log(&self) -> Vec<String> {
        self.state().log.clone()
    }

    /// Names of the files that are there.
    pub(super) fn names(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    /// Content of a file.
    pub(super) fn content(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        state.names.get(name).map(|&file| state.files[file].data.clone()).unwrap_or_default()
    }

    /// Replaces the content of a file, durably.
    pub(super) fn set_content(&self, name: &str, data: Vec<u8>) {
        let mut state = self.state();
        let file = state.files.len();
        state.files.push(Content { durable: data.clone(), data, dirty: Vec::new() });
        state.names.insert(name.to_owned(), file);
        state.durable_names.insert(name.to_owned(), file);
    }

    /// A disk of its own with what a crash leaves of this one.
    pub(super) fn crash(&self, crash: Crash) -> Disk {
        let state = self.state();
        let mut left = State {
            names: if crash == Crash::Power { state.durable_names.clone() } else { state.names.clone() },
            files: state.files.clone(),
            ..State::default()
        };
        for file in &mut left.files {
            if crash != Crash::Kill {
                file.data = file.durable.clone();
            }
            file.durable = file.data.clone();
            file.dirty.clear();
        }
        left.durable_names = left.names.clone();
        Disk(Arc::new(Mutex::new(left)))
    }
}

// === impl State ===

impl State {
    /// Counts an operation; the fault it meets.
    fn begin(&mut self, what: String) -> io::Result<Option<Fault>> {
        if self.dead {
            return Err(io::Error::other("dead"));
        }
        self.log.push(what);
        let op = self.ops;
        self.ops += 1;
        match self.fault.filter(|(at, _)| *at == op).map(|(_, fault)| fault) {
            Some(Fault::Death) => {
                self.dead = true;
                Err(io::Error::other("dead"))
            }
            Some(Fault::DeathHalfway) => {
                self.dead = true;
                Ok(Some(Fault::DeathHalfway))
            }
            Some(Fault::Error(kind)) => Err(kind.into()),
            fault => Ok(fault),
        }
    }

    fn used(&self) -> usize {
        self.names.values().map(|&file| self.files[file].data.len()).sum()
    }
}

// === impl Fs ===

impl Fs for Disk {
    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let state = self.state();
        Ok(state.names.iter().map(|(name, &file)| (name.clone(), state.files[file].data.len() as u64)).collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        if self.state().names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.open(name, true)
    }

    fn open(&self, name: &str, create: bool) -> io::Result<Box<dyn File>> {
        let mut state = self.state();
        let file = match state.names.get(name) {
            Some(&file) => file,
            None if create => {
                state.begin(format!("create {name}"))?;
                let file = state.files.len();
                state.files.push(Content::default());
                state.names.insert(name.to_owned(), file);
                file
            }
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Box::new(Handle { disk: self.clone(), name: name.to_owned(), file }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.begin(format!("remove {name}"))?;
        state.names.remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.begin(format!("rename {from} {to}"))?;
        let file = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), file);
        Ok(())
    }

    fn sync_folder(&self) -> io::Result<()> {
        let mut state = self.state();
        state.begin("sync folder".to_owned())?;
        state.durable_names = state.names.clone();
        Ok(())
    }
}

// === impl File ===

impl File for Handle {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.state();
        let fault = state.begin(format!("write {}", self.name))?;
        let mut take = match fault {
            Some(Fault::Half(_) | Fault::Short | Fault::DeathHalfway) => bytes.len().div_ceil(2),
            _ => bytes.len(),
        };
        let start = offset as usize;
        let grows = (start + take).saturating_sub(state.files[self.file].data.len());
        let room = state.capacity.map_or(usize::MAX, |capacity| capacity.saturating_sub(state.used()));
        if grows > room {
            take = take.saturating_sub(grows - room);
            if take == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        let file = &mut state.files[self.file];
        if file.data.len() < start + take {
            file.data.resize(start + take, 0);
        }
        file.data[start..start + take].copy_from_slice(&bytes[..take]);
        file.dirty.push(start..start + take);
        match fault {
            Some(Fault::Half(kind)) => Err(kind.into()),
            Some(Fault::DeathHalfway) => Err(io::Error::other("dead")),
            _ => Ok(take),
        }
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.state();
        let data = state.files[self.file].data.get(offset as usize..).unwrap_or_default();
        let len = data.len().min(into.len());
        into[..len].copy_from_slice(&data[..len]);
        Ok(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.state();
        let begun = state.begin(format!("sync {}", self.name));
        let dead = state.dead;
        let file = &mut state.files[self.file];
        if begun.is_ok() {
            file.durable.resize(file.data.len(), 0);
            for range in &file.dirty {
                let end = range.end.min(file.data.len());
                if range.start < end {
                    file.durable[range.start..end].copy_from_slice(&file.data[range.start..end]);
                }
            }
        }
        if !dead {
            file.dirty.clear();
        }
        begun.map(drop)
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.begin(format!("cut {}", self.name))?;
        state.files[self.file].data.truncate(len as usize);
        Ok(())
    }
}
