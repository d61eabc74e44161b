//! The programs that log: numbered records into files that are rotated and truncated.
//!
//! | file | content | rotation | the agent follows |
//! | --- | --- | --- | --- |
//! | `a.log` | JSON | renamed, three generations | `a.log*`: it may see a generation first under its second name |
//! | `b.log` | JSON | renamed, three generations, once the agent has begun it | `b.log`: it must not lose sight of it |
//! | `c.log` | JSON | copied and truncated, once the agent is alive and has caught up | `c.log` |
//! | `m.log` | groups of lines | as `a.log` | `m.log*` |
//! | `d.log` | groups of lines | as `c.log` | `d.log` |
//!
//! A generation is deleted only when all of it arrived; its inode is then free for the next. Groups are written by one call
//! each; lines of JSON at times in two halves.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::agent::Slot;
use super::oracle::{Generation, Kind, Oracle};
use crate::error::{Context, Error};

/// Bytes after which a file is rotated, at least and at most.
const ROTATE: std::ops::Range<u64> = 8_000..160_000;
/// Rotated generations that are kept, at most; more while their records did not all arrive.
const KEEP: usize = 3;
/// Generations there may be before the writer waits for the agent.
const MAX_KEPT: usize = 12;

/// What the writer did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Done {
    pub(super) rotations: u64,
    pub(super) truncations: u64,
    pub(super) bytes: u64,
}

/// How a file begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rotation {
    Rename,
    RenameOnceSeen,
    CopyTruncate,
}

/// A file that is written to.
#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: File,
    groups: bool,
    rotation: Rotation,
    generation: Generation,
    /// Rotated, the newest first.
    old: Vec<Generation>,
    written: u64,
    rotate_at: u64,
}

/// Writes until told to stop.
pub(super) struct Writer {
    rng: StdRng,
    oracle: Arc<Oracle>,
    agent: Arc<Slot>,
    logs: Vec<Log>,
    may_go: bool,
    done: Done,
}

// === impl Writer ===

impl Writer {
    /// Where arrivals can be taken back (`may_go`), nothing is deleted or truncated.
    pub(super) fn new(
        folder: &Path,
        seed: u64,
        oracle: Arc<Oracle>,
        agent: Arc<Slot>,
        may_go: bool,
    ) -> Result<Writer, Error> {
        let mut rng = StdRng::seed_from_u64(seed ^ 0x77_72_69_74_65);
        let mut logs = Vec::new();
        for (name, groups, rotation) in [
            ("a.log", false, Rotation::Rename),
            ("b.log", false, Rotation::RenameOnceSeen),
            ("c.log", false, Rotation::CopyTruncate),
            ("m.log", true, Rotation::Rename),
            ("d.log", true, Rotation::CopyTruncate),
        ] {
            let path = folder.join(name);
            let file = open(&path).context(path.display())?;
            let generation = oracle.lock().generation(path.clone());
            let rotate_at = rng.random_range(ROTATE);
            let rotation =
                if may_go && rotation == Rotation::CopyTruncate { Rotation::RenameOnceSeen } else { rotation };
            logs.push(Log { path, file, groups, rotation, generation, old: Vec::new(), written: 0, rotate_at });
        }
        Ok(Writer { rng, oracle, agent, logs, may_go, done: Done::default() })
    }

    /// Writes `rate` documents a second, in bursts, until `stop`.
    pub(super) fn run(mut self, rate: u32, stop: &AtomicBool) -> Result<Done, Error> {
        let began = Instant::now();
        let mut written = 0;
        while !stop.load(Ordering::Relaxed) {
            let ahead = written as f64 / f64::from(rate) - began.elapsed().as_secs_f64();
            if ahead > 0.0 {
                thread::sleep(Duration::from_secs_f64(ahead.min(0.2)));
                continue;
            }
            let at = self.rng.random_range(0..self.logs.len());
            if !self.make_room(at)? {
                thread::sleep(Duration::from_millis(1));
                continue;
            }
            written += self.burst(at)?;
        }
        Ok(self.done)
    }

    /// Rotates the file if it is time to. Says whether it may be written to.
    fn make_room(&mut self, at: usize) -> Result<bool, Error> {
        let log = &mut self.logs[at];
        if log.written < log.rotate_at {
            return Ok(true);
        }
        let path = log.path.clone();
        let rotated = match log.rotation {
            Rotation::CopyTruncate => {
                if !self.oracle.lock().is_complete(log.generation) {
                    return Ok(false);
                }
                // Nobody kills it meanwhile; that it dies by itself can't be helped, and does no harm.
                self.agent.while_alive(|| truncate(log)).transpose().context(path.display())?.is_some()
            }
            Rotation::RenameOnceSeen if self.oracle.lock().progress(log.generation).0 == 0 => false,
            Rotation::Rename | Rotation::RenameOnceSeen => self.rename(at).context(path.display())?,
        };
        if !rotated {
            return Ok(false);
        }
        let log = &mut self.logs[at];
        match log.rotation {
            Rotation::CopyTruncate => self.done.truncations += 1,
            _ => self.done.rotations += 1,
        }
        log.generation = self.oracle.lock().generation(path);
        log.written = 0;
        log.rotate_at = self.rng.random_range(ROTATE);
        Ok(true)
    }

    fn rename(&mut self, at: usize) -> io::Result<bool> {
        let log = &mut self.logs[at];
        while !self.may_go
            && log.old.len() >= KEEP
            && let Some(&last) = log.old.last()
            && self.oracle.lock().is_complete(last)
        {
            fs::remove_file(rotated(&log.path, log.old.len()))?;
            log.old.pop();
        }
        if log.old.len() >= MAX_KEPT && !self.may_go {
            return Ok(false);
        }
        for n in (1..=log.old.len()).rev() {
            fs::rename(rotated(&log.path, n), rotated(&log.path, n + 1))?;
        }
        fs::rename(&log.path, rotated(&log.path, 1))?;
        log.old.insert(0, log.generation);
        log.file = open(&log.path)?;
        Ok(true)
    }

    /// Writes some records to a file; how many documents they are.
    fn burst(&mut self, at: usize) -> Result<u64, Error> {
        let units = self.rng.random_range(1..25);
        let log = &mut self.logs[at];
        let mut pieces: Vec<Vec<u8>> = Vec::new();
        let mut documents = 0;
        {
            // All of it is known before the first byte is there to be read.
            let mut oracle = self.oracle.lock();
            let mut offset = log.written;
            for _ in 0..units {
                let number = oracle.next_number();
                let mut add = |kind, copies: u16, text: &str| {
                    documents += u64::from(copies);
                    oracle.expect(kind, copies, log.generation, offset, text);
                };
                let mut piece = String::new();
                let mut copies = 1;
                // Writing to a `String` does not fail.
                if log.groups {
                    let text = group(number, &mut self.rng);
                    add(Kind::Group, 1, &text);
                    piece = text + "\n";
                } else {
                    match self.rng.random_range(0..10) {
                        0 => {
                            copies = self.rng.random_range(2..8);
                            add(Kind::Same, copies, "the very same line");
                            let _ = writeln!(piece, r#"{{"kind":"same","n":{number},"text":"the very same line"}}"#);
                        }
                        1 | 2 => {
                            let items = self.rng.random_range(1..9);
                            let text = format!("list of {items}");
                            let list: Vec<String> = (0..items)
                                .map(|item| {
                                    add(Kind::Item, 1, &text);
                                    format!(r#"{{"n":{}}}"#, number + item)
                                })
                                .collect();
                            let list = list.join(",");
                            let _ = writeln!(piece, r#"{{"kind":"split","items":[{list}],"text":"{text}"}}"#);
                        }
                        _ => {
                            let text = words(number, &mut self.rng);
                            add(Kind::Line, 1, &text);
                            let _ = writeln!(piece, r#"{{"n":{number},"kind":"line","text":"{text}"}}"#);
                        }
                    }
                }
                offset += piece.len() as u64 * u64::from(copies);
                pieces.extend(std::iter::repeat_n(piece.into_bytes(), usize::from(copies)));
            }
        }
        // Identical lines are seldom neighbours.
        if !log.groups {
            pieces.shuffle(&mut self.rng);
        }
        let bytes = pieces.concat();
        if log.groups {
            for group in &pieces {
                log.file.write_all(group).context(log.path.display())?;
            }
        } else {
            let half = if self.rng.random_ratio(1, 8) { self.rng.random_range(0..bytes.len()) } else { 0 };
            let (first, second) = bytes.split_at(half);
            log.file.write_all(first).context(log.path.display())?;
            if half > 0 {
                thread::sleep(Duration::from_millis(self.rng.random_range(1..30)));
            }
            log.file.write_all(second).context(log.path.display())?;
        }
        log.written += bytes.len() as u64;
        self.done.bytes += bytes.len() as u64;
        Ok(documents)
    }
}

/// As `logrotate` does it with `copytruncate`.
fn truncate(log: &mut Log) -> io::Result<()> {
    fs::copy(&log.path, log.path.with_extension("copy"))?;
    log.file.set_len(0)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// `a.log.1`
fn rotated(path: &Path, n: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{n}"));
    name.into()
}

fn words(number: u32, rng: &mut StdRng) -> String {
    let fill = rng.random_range(0..120);
    format!("record {number} says {}", "é水x".repeat(fill / 3))
}

fn group(number: u32, rng: &mut StdRng) -> String {
    let mut text = format!("[{number}] went wrong");
    for line in 0..rng.random_range(0..6) {
        let _ = write!(text, "\n    at frame {line} of {number}");
    }
    text
}
