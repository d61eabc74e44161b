//! The dead letter: records that will not be delivered, set aside with the reason.
//!
//! A file of JSON lines per block, `<folder>/<YYYY-MM-DD>.jsonl`, one line a record:
//!
//! ```json
//! {"at":"2026-11-22T16:00:00Z","block":"es","reason":"rejected","detail":"mapper_parsing_exception: ...","ambiguous":false,
//!  "tag":"app.log","time":"2026-11-22T15:59:59Z","input":"tail","id":"...","record":{...}}
//! ```
//!
//! `ambiguous` is true where the other side refused some records of a request without saying which: this record may have
//! been stored. The folder is bounded (`max_size`, default 1 GiB); what does not fit is dropped and counted as
//! `dead_letter_full`.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use suiro_record::{Batch, Row, write_json_str};
use suiro_sdk::Reason;
use suiro_sdk::settings::{ByteSize, Data, Section};
use suiro_sdk::time;

use super::settings::default_dead_letter;

/// Where dead letters go: `dead_letter = "folder"`, or `{ path, max_size }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterSettings {
    /// The folder.
    pub path: PathBuf,
    /// Most bytes of all its files.
    pub max_size: u64,
}

/// A block's dead letters.
#[derive(Debug)]
pub struct DeadLetter {
    settings: DeadLetterSettings,
    block: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: Option<(String, File)>,
    /// Bytes in the folder, once somebody looked.
    size: Option<u64>,
    line: Vec<u8>,
    warned: bool,
}

/// Why records are set aside.
#[derive(Clone, Copy, Debug)]
pub struct Cause<'a> {
    /// The word that is counted.
    pub reason: Reason,
    /// In the other side's words.
    pub detail: &'a str,
    /// Whether the record may have been stored all the same.
    pub ambiguous: bool,
}

// === impl DeadLetterSettings ===

impl DeadLetterSettings {
    pub(super) fn read(section: &Section, name: &str, data_dir: &Path) -> Self {
        let mut settings = DeadLetterSettings::of(data_dir, name);
        if let Some(value) = section.value("dead_letter") {
            match value.data() {
                Data::Table => {
                    if let Some(inner) = section.section("dead_letter") {
                        settings.path = inner.or("path", settings.path);
                        settings.max_size =
                            inner.get::<ByteSize>("max_size").map_or(settings.max_size, ByteSize::bytes);
                    }
                }
                _ => settings.path = section.or("dead_letter", settings.path),
            }
        }
        settings
    }

    /// The default: `data_dir/dead-letter/<name>`, at most 1 GiB.
    pub fn of(data_dir: &Path, name: &str) -> Self {
        DeadLetterSettings { path: default_dead_letter(data_dir, name), max_size: 1 << 30 }
    }
}

// === impl DeadLetter ===

impl DeadLetter {
    /// Dead letters of the block `block`. Nothing is created before the first.
    pub fn new(settings: DeadLetterSettings, block: &str) -> Self {
        DeadLetter { settings, block: block.to_owned(), state: Mutex::default() }
    }

    /// Sets a record aside; says whether it is there. It is written, not synced: it survives the end of the agent.
    pub fn put(&self, batch: &Batch, row: &Row, cause: Cause<'_>) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut line = std::mem::take(&mut state.line);
        line.clear();
        if batch.is_packed() {
            let one = batch.unpacked([row]);
            one.rows.first().into_iter().for_each(|row| self.write_line(&one, row, cause, &mut line));
        } else {
            self.write_line(batch, row, cause, &mut line);
        }
        let written = state.append(&self.settings, &line);
        state.line = line;
        match written {
            Ok(true) => true,
            Ok(false) => {
                self.warn(&mut state, format_args!("full (max_size {} bytes)", self.settings.max_size));
                false
            }
            Err(error) => {
                // Opened anew, it is looked at anew.
                state.open = None;
                state.size = None;
                self.warn(&mut state, format_args!("not writable: {error}"));
                false
            }
        }
    }

    fn warn(&self, state: &mut State, what: std::fmt::Arguments<'_>) {
        if !std::mem::replace(&mut state.warned, true) {
            tracing::error!(
                block = %self.block,
                folder = %self.settings.path.display(),
                "the dead letter is {what}; records that should go there are dropped and counted. Set `dead_letter` of the block to a folder with room"
            );
        }
    }

    fn write_line(&self, batch: &Batch, row: &Row, cause: Cause<'_>, line: &mut Vec<u8>) {
        let text = |line: &mut Vec<u8>, key: &str, value: &str| {
            line.extend_from_slice(key.as_bytes());
            write_json_str(value, line);
        };
        line.extend_from_slice(b"{\"at\":\"");
        time::write_rfc3339(time::now(), line);
        text(line, "\",\"block\":", &self.block);
        text(line, ",\"reason\":", cause.reason.0);
        text(line, ",\"detail\":", cause.detail);
        line.extend_from_slice(if cause.ambiguous { b",\"ambiguous\":true" } else { b",\"ambiguous\":false" });
        text(line, ",\"tag\":", &batch.tag);
        line.extend_from_slice(b",\"time\":\"");
        time::write_rfc3339(row.time, line);
        text(line, "\",\"input\":", batch.scope(row).source.input());
        line.extend_from_slice(b",\"id\":\"");
        batch.origin(row).write_id(line);
        line.extend_from_slice(b"\"");
        if let Some(header) = batch.header(row) {
            line.extend_from_slice(b",\"header\":");
            header.write_json(line);
        }
        line.extend_from_slice(b",\"record\":");
        batch.write_json(row, line);
        line.extend_from_slice(b"}\n");
    }
}

// === impl State ===

impl State {
    /// Says whether there was room.
    fn append(&mut self, settings: &DeadLetterSettings, line: &[u8]) -> std::io::Result<bool> {
        let size = match self.size {
            Some(size) => size,
            None => {
                std::fs::create_dir_all(&settings.path)?;
                folder_size(&settings.path)?
            }
        };
        self.size = Some(size);
        if size + line.len() as u64 > settings.max_size {
            return Ok(false);
        }
        let mut day = Vec::new();
        time::write_rfc3339(time::now(), &mut day);
        day.truncate(10);
        let day = String::from_utf8_lossy(&day).into_owned();
        if self.open.as_ref().is_none_or(|(open, _)| *open != day) {
            let path = settings.path.join(format!("{day}.jsonl"));
            let file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
            cut_torn(&file)?;
            self.open = Some((day, file));
        }
        if let Some((_, file)) = &mut self.open {
            file.write_all(line)?;
            self.size = Some(size + line.len() as u64);
        }
        Ok(true)
    }
}

/// Cuts off a last line without its end: a crash or a full disk left it, and it would spoil the next one. Its record was
/// not counted as set aside.
fn cut_torn(file: &File) -> std::io::Result<()> {
    const PIECE: u64 = 64 << 10;
    let len = file.metadata()?.len();
    let mut end = len;
    while end > 0 {
        let start = end.saturating_sub(PIECE);
        let mut piece = vec![0; (end - start) as usize];
        file.read_exact_at(&mut piece, start)?;
        if let Some(at) = piece.iter().rposition(|&byte| byte == b'\n') {
            end = start + at as u64 + 1;
            break;
        }
        end = start;
    }
    if end < len { file.set_len(end) } else { Ok(()) }
}

fn folder_size(path: &Path) -> std::io::Result<u64> {
    let mut size = 0;
    for entry in std::fs::read_dir(path)? {
        size += entry?.metadata()?.len();
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use suiro_record::{Scope, Source};

    use super::*;

    #[test]
    fn a_line_that_a_crash_left_without_its_end_does_not_spoil_the_next() {
        let folder = tempfile::tempdir().expect("a folder");
        let scope = Arc::new(Scope::new(Arc::new(Source::new("in".into(), 1))));
        let mut batch = Batch::new("t".into(), scope, 0);
        batch.heap_mut().extend_from_slice(b"text");
        let row = Row::new(batch.text_body(0..4), 0, 0, 5);
        let settings = DeadLetterSettings::of(folder.path(), "out");
        let put = || {
            let letters = DeadLetter::new(settings.clone(), "out");
            assert!(letters.put(&batch, &row, Cause { reason: Reason::REJECTED, detail: "no", ambiguous: false }));
        };
        let file = || {
            let mut files = std::fs::read_dir(&settings.path).expect("the folder");
            files.next().expect("a file").expect("it can be listed").path()
        };
        put();
        for torn in ["{\"at\":\"2026".to_owned(), "x".repeat(200_000)] {
            let mut open = OpenOptions::new().append(true).open(file()).expect("the file");
            open.write_all(torn.as_bytes()).expect("it takes more");
            put();
        }
        let text = std::fs::read_to_string(file()).expect("text");
        let whole = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_ok();
        assert!(text.lines().count() == 3 && text.lines().all(whole), "{text}");
        // Nothing but half a line: the file is begun again.
        std::fs::write(file(), "x".repeat(70_000)).expect("it can be written");
        put();
        assert!(whole(&std::fs::read_to_string(file()).expect("text")));
    }
}
