//! The text of one configuration file, and where things are in it.
//!
//! Offsets are bytes and fit `u32`: a file is bounded by [`MAX_FILE_BYTES`]. Lines and columns count from 1, columns in
//! characters. A byte order mark is taken off before anything is counted. The text outlives the parse, in an `Arc`,
//! because a plugin may complain about a setting long after its file was read.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The largest configuration file that is read, in bytes. Far above any real one, and small enough that a device or a
/// log file given by mistake is refused at once.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;

/// The text of one file. Cheap to share; never changes, except that parts of it may come to be known as secrets.
pub struct Source {
    name: String,
    dir: PathBuf,
    text: String,
    /// The place of the file among all files given, so that reports come in the order of the command line.
    rank: u32,
    line_starts: Vec<u32>,
    /// Spans that must never be shown: literals read as secrets.
    masks: Mutex<Vec<Range<u32>>>,
}

/// A span of a file: what a diagnostic points at.
#[derive(Clone, Debug)]
pub struct Place {
    pub(super) source: Arc<Source>,
    pub(super) start: u32,
    pub(super) end: u32,
}

// === impl Source ===

impl Source {
    /// `name` is what is shown, `dir` what relative paths in the file start from, `rank` orders files in reports.
    /// Text beyond [`MAX_FILE_BYTES`] is cut: who reads the file refuses it before.
    pub fn new(name: impl Into<String>, dir: impl Into<PathBuf>, text: &str, rank: u32) -> Arc<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut end = text.len().min(MAX_FILE_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = text[..end].to_owned();
        let mut line_starts = vec![0];
        line_starts.extend(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at as u32 + 1));
        Arc::new(Self { name: name.into(), dir: dir.into(), text, rank, line_starts, masks: Mutex::new(Vec::new()) })
    }

    /// The name as given by the user.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder relative paths in this file start from.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The whole text, without its byte order mark.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn rank(&self) -> u32 {
        self.rank
    }

    /// The number of the line that holds `offset`, from 0.
    pub(super) fn line_at(&self, offset: u32) -> usize {
        self.line_starts.partition_point(|start| *start <= offset).saturating_sub(1)
    }

    /// The bytes of a line (from 0), without its end.
    pub(super) fn line_range(&self, line: usize) -> Range<usize> {
        let start = self.line_starts.get(line).map_or(self.text.len(), |at| *at as usize);
        let end = self.line_starts.get(line + 1).map_or(self.text.len(), |next| *next as usize - 1);
        let text = &self.text[start..end.max(start)];
        start..start + text.strip_suffix('\r').unwrap_or(text).len()
    }

    /// Line and column of an offset, both from 1.
    pub(super) fn position(&self, offset: u32) -> (usize, usize) {
        let line = self.line_at(offset);
        let range = self.line_range(line);
        let end = self.floor((offset as usize).min(range.end));
        (line + 1, self.text[range.start..end.max(range.start)].chars().count() + 1)
    }

    /// The nearest character boundary at or below `offset`.
    pub(super) fn floor(&self, offset: usize) -> usize {
        let mut at = offset.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }

    pub(super) fn mask(&self, span: Range<u32>) {
        self.masks.lock().unwrap_or_else(PoisonError::into_inner).push(span);
    }

    pub(super) fn masks(&self) -> Vec<Range<u32>> {
        self.masks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl std::fmt::Debug for Source {
    /// The name only: the text may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Source({})", self.name)
    }
}

// === impl Place ===

impl Place {
    /// A place in a file. The span is brought into the bounds of the text.
    pub fn new(source: &Arc<Source>, span: Range<u32>) -> Self {
        let limit = source.text.len() as u32;
        let start = span.start.min(limit);
        Self { source: source.clone(), start, end: span.end.clamp(start, limit) }
    }

    /// `file:line:column`, for logs.
    pub fn describe(&self) -> String {
        let (line, column) = self.source.position(self.start);
        format!("{}:{line}:{column}", self.source.name)
    }

    pub(super) fn order(&self) -> (u32, u32) {
        (self.source.rank(), self.start)
    }

    pub(super) fn same(&self, other: &Place) -> bool {
        Arc::ptr_eq(&self.source, &other.source) && self.start == other.start && self.end == other.end
    }
}
