//! Checkpoints on disk: `checkpoints/<input>/<shard>.journal` in the data folder.
//!
//! # Format
//!
//! One line per change, `<crc32c of the JSON, 8 hex digits> <JSON>\n`. What an incarnation is known by comes first
//! ([`Entry::Seen`], synced to disk before its first record leaves the source), then what was read when
//! ([`Entry::Read`], before each batch leaves), then how far it is settled ([`Entry::At`]), and at last that it need not
//! be remembered ([`Entry::Gone`]). A journal four times as long as what it says is written anew beside the old one and
//! renamed over it.
//!
//! # Why this is enough
//!
//! 1. A line counts only if its checksum does. A torn or damaged one is skipped; the position is then an earlier one of
//!    the same incarnation, and the bytes behind it are read again, with the same origins. Nothing is lost.
//! 2. Positions of an incarnation only ever grow. So of two journals that speak of it (the number of workers was changed)
//!    the higher position is the newer.
//! 3. `Seen` is synced, the rest is not: after a crash of the agent the kernel still has it; after a power failure an
//!    older position is as good as a torn one. What may never happen is that an incarnation is forgotten whose records
//!    are out: their ids would be given to nobody, and the records read again under new ones.
//!
//! The time of reading is kept per batch, not per record, and only while the batch is not settled: a replay gives each
//! line the time its batch had.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::point;
use serde::{Deserialize, Serialize};

use super::identity::{CONTEXT, FileKey, Imprint};

/// A line longer than this is not ours. Bytes.
const MAX_ENTRY: u64 = 4 << 20;
/// Lines are kept back, while the disk takes none, up to this. Bytes.
const MAX_BUFFER: usize = 1 << 20;
/// Journals shorter than this are not worth compacting. Bytes.
const SMALL: u64 = 256 << 10;

/// An incarnation's 128 random bits; hexadecimal on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id(pub(crate) u128);

/// A stretch of a file that was read at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReadSpan {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Nanoseconds since the epoch.
    #[serde(rename = "time")]
    pub(crate) at: i64,
    /// The bytes before `end`.
    pub(crate) before: Imprint,
}

/// A line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Entry {
    Seen {
        id: Id,
        key: FileKey,
        path: String,
        /// Where its reading begins.
        from: u64,
        head: Imprint,
        /// When the file was created, nanoseconds since the epoch, where the file system knows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        born: Option<i64>,
    },
    Read {
        id: Id,
        #[serde(flatten)]
        span: ReadSpan,
        /// Where it grew since the last line.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        head: Option<Imprint>,
    },
    At {
        id: Id,
        mark: u64,
        /// Settled ranges above the mark.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        settled: Vec<Range<u64>>,
        head: Imprint,
        /// The bytes before some place at or below the mark.
        before: Imprint,
        /// Of the file, when it was last looked at.
        size: u64,
    },
    Gone {
        id: Id,
    },
}

/// What the journal says of one incarnation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) id: Id,
    pub(crate) key: FileKey,
    /// Under which it was first seen; what of it is no UTF-8 is replaced, and its siblings are then not found.
    pub(crate) path: String,
    pub(crate) mark: u64,
    pub(crate) settled: Vec<Range<u64>>,
    pub(crate) head: Imprint,
    pub(crate) before: Imprint,
    pub(crate) size: u64,
    pub(crate) born: Option<i64>,
    pub(crate) reads: Vec<ReadSpan>,
}

/// An open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    /// Lines not yet handed to the system.
    buffer: Vec<u8>,
    /// Bytes in the file, and those it would have if written anew.
    written: u64,
    live: u64,
    /// The last write failed somewhere within a line.
    torn: bool,
    unsynced: bool,
}

/// All that journals say, by incarnation.
pub(crate) type Known = BTreeMap<Id, Stored>;

// === impl Id ===

impl Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:032x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map(Id).map_err(serde::de::Error::custom)
    }
}

// === impl Stored ===

impl Stored {
    /// The lines that say the same.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        let seen = Entry::Seen {
            id: self.id,
            key: self.key,
            path: self.path.clone(),
            from: self.mark,
            head: self.head,
            born: self.born,
        };
        let at = Entry::At {
            id: self.id,
            mark: self.mark,
            settled: self.settled.clone(),
            head: self.head,
            before: self.before,
            size: self.size,
        };
        let reads = self.reads.iter().map(|&span| Entry::Read { id: self.id, span, head: None });
        [seen, at].into_iter().chain(reads)
    }

    /// Whether enough is known of its bytes to know them again in another file: a few first ones may be any file's.
    pub(crate) fn is_telling(&self) -> bool {
        self.head.len > 0 && (self.mark > 0 || !self.reads.is_empty() || self.head.len as usize >= CONTEXT)
    }

    /// Forgets when settled stretches were read.
    fn prune(&mut self) {
        let (mark, settled) = (self.mark, &self.settled);
        self.reads.retain(|span| {
            span.end > mark && !settled.iter().any(|range| range.start <= span.start && span.end <= range.end)
        });
    }
}

// === reading ===

/// Takes one line into account.
fn apply(known: &mut Known, entry: Entry) {
    match entry {
        Entry::Seen { id, key, path, from, head, born } => {
            known.entry(id).and_modify(|stored| stored.key = key).or_insert_with(|| Stored {
                id,
                key,
                path,
                mark: from,
                settled: Vec::new(),
                head,
                before: Imprint::default(),
                size: from,
                born,
                reads: Vec::new(),
            });
        }
        Entry::Read { id, span, head } => {
            if let Some(stored) = known.get_mut(&id) {
                stored.size = stored.size.max(span.end);
                stored.head = head.unwrap_or(stored.head);
                if span.end > stored.mark && span.start < span.end {
                    stored.reads.push(span);
                }
            }
        }
        Entry::At { id, mark, settled, head, before, size } => {
            if let Some(stored) = known.get_mut(&id)
                && mark >= stored.mark
            {
                stored.mark = mark;
                stored.settled = settled;
                stored.head = head;
                stored.before = before;
                stored.size = size;
                stored.prune();
            }
        }
        Entry::Gone { id } => {
            known.remove(&id);
        }
    }
}

/// One line, without its end; `None` if it is not as it was written.
fn parse(line: &[u8]) -> Option<Entry> {
    let (crc, json) = line.split_at_checked(9)?;
    let (digits, space) = crc.split_at(8);
    let crc = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    if space != b" " || crc32c::crc32c(json) != crc {
        return None;
    }
    serde_json::from_slice(json).ok()
}

/// What a journal is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) bytes: u64,
    pub(crate) lines: u64,
    /// Lines that are not as they were written.
    pub(crate) damaged: u64,
}

/// Reads a journal.
pub(crate) fn read(source: impl Read, known: &mut Known) -> io::Result<Extent> {
    let mut source = BufReader::with_capacity(64 << 10, source);
    let mut extent = Extent::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let len = source.by_ref().take(MAX_ENTRY).read_until(b'\n', &mut line)?;
        if len == 0 {
            return Ok(extent);
        }
        extent.bytes += len as u64;
        extent.lines += 1;
        // A line without its end was torn while it was written, even where its checksum holds: what follows it later
        // would not.
        match line.strip_suffix(b"\n") {
            Some(b"") => {}
            Some(line) => match parse(line) {
                Some(entry) => apply(known, entry),
                None => extent.damaged += 1,
            },
            None => extent.damaged += 1,
        }
    }
}

/// Reads the journal at `path`, and tells of damage.
pub(crate) fn read_file(path: &Path, known: &mut Known) -> io::Result<Extent> {
    let extent = read(File::open(path)?, known)?;
    if extent.damaged > 0 {
        tracing::warn!(path = %path.display(), damaged = extent.damaged, "skipped damaged lines of the checkpoints");
    }
    Ok(extent)
}

/// Of two accounts of the same incarnation the one further on is the newer.
pub(crate) fn merge(known: &mut Known, other: Known) {
    for (id, stored) in other {
        match known.get_mut(&id) {
            Some(have) if (have.mark, have.settled.len()) >= (stored.mark, stored.settled.len()) => {}
            _ => {
                known.insert(id, stored);
            }
        }
    }
}

// === writing ===

fn write_entry(entry: &Entry, out: &mut Vec<u8>) -> io::Result<()> {
    let json = serde_json::to_vec(entry).map_err(io::Error::other)?;
    write!(out, "{:08x} ", crc32c::crc32c(&json))?;
    out.extend_from_slice(&json);
    out.push(b'\n');
    Ok(())
}

fn write_all_entries<'s>(stored: impl Iterator<Item = &'s Stored>) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    for entry in stored.flat_map(Stored::entries) {
        write_entry(&entry, &mut out)?;
    }
    Ok(out)
}

/// Puts `bytes` at `path`, whole or not at all, and durable.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let fresh = path.with_extension("new");
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    point::pass("journal.replace");
    fs::rename(&fresh, path)?;
    point::pass("journal.replaced");
    sync_folder(path)?;
    OpenOptions::new().append(true).open(path)
}

/// Makes what was created or renamed in a file's folder durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if folder != Path::new("") => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

// === impl Journal ===

impl Journal {
    /// A journal at `path` that says what is in `stored` and nothing else, durable.
    pub(crate) fn create<'s>(path: PathBuf, stored: impl Iterator<Item = &'s Stored>) -> io::Result<Self> {
        let bytes = write_all_entries(stored)?;
        let file = replace(&path, &bytes)?;
        let live = bytes.len() as u64;
        Ok(Journal { path, file, buffer: Vec::new(), written: live, live, torn: false, unsynced: false })
    }

    /// Opens the journal at `path`, or begins one; what it says.
    pub(crate) fn open(path: PathBuf) -> io::Result<(Self, Known)> {
        let mut known = Known::new();
        let journal = match read_file(&path, &mut known) {
            Ok(extent) => Journal::resume(path, extent, &known)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Journal::create(path, known.values())?,
            Err(error) => return Err(error),
        };
        Ok((journal, known))
    }

    /// The journal at `path` as it was read, to be written on; written anew only where that is worth it.
    pub(crate) fn resume(path: PathBuf, extent: Extent, known: &Known) -> io::Result<Self> {
        let needed: usize = known.values().map(|stored| 2 + stored.reads.len()).sum();
        let live = extent.bytes / extent.lines.max(1) * needed as u64;
        if extent.damaged > 0 {
            return Journal::create(path, known.values());
        }
        let file = OpenOptions::new().append(true).open(&path)?;
        // Whoever wrote it may have died before it made the last incarnations durable.
        file.sync_data()?;
        let written = extent.bytes;
        let mut journal = Journal { path, file, buffer: Vec::new(), written, live, torn: false, unsynced: false };
        if journal.is_bloated() {
            journal.compact(known.values())?;
        }
        Ok(journal)
    }

    /// Adds a line. It is on its way only after [`Journal::flush`].
    pub(crate) fn append(&mut self, entry: &Entry) -> io::Result<()> {
        if self.buffer.len() > MAX_BUFFER {
            self.flush()?;
        }
        let whole = self.buffer.len();
        write_entry(entry, &mut self.buffer).inspect_err(|_| self.buffer.truncate(whole))?;
        self.unsynced |= matches!(entry, Entry::Seen { .. });
        Ok(())
    }

    /// Hands the lines to the system: they survive the process.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        if self.torn {
            self.buffer.insert(0, b'\n');
        }
        // Repeated lines do no harm, so a failed write is simply made again, whole.
        self.torn = true;
        point::pass("journal.write");
        point::write_all(&mut self.file, &self.buffer, "journal.torn")?;
        point::pass("journal.written");
        self.torn = false;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Makes every incarnation that was named durable.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        if self.unsynced {
            self.file.sync_data()?;
            self.unsynced = false;
        }
        Ok(())
    }

    /// Whether most of it is outdated.
    pub(crate) fn is_bloated(&self) -> bool {
        self.written > SMALL.max(4 * self.live)
    }

    /// Writes it anew.
    pub(crate) fn compact<'s>(&mut self, stored: impl Iterator<Item = &'s Stored>) -> io::Result<()> {
        self.flush()?;
        *self = Journal::create(self.path.clone(), stored)?;
        Ok(())
    }
}

#[cfg(test)]
impl Journal {
    /// From here on the disk is full.
    pub(crate) fn break_for_test(&mut self) {
        self.file = OpenOptions::new().write(true).open("/dev/full").expect("a Linux system");
    }

    /// There is room again.
    pub(crate) fn mend_for_test(&mut self) {
        self.file = OpenOptions::new().append(true).open(&self.path).expect("the journal is there");
    }
}
