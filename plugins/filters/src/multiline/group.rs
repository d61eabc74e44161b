//! Lines that are being joined within a batch.

use std::ops::Range;

use suiro_record::{Batch, NewValue, Path, Resolved, Row};
use suiro_sdk::{Custody, FilterContext, Flow};

use super::held::Held;
use super::settings::Settings;
use super::trace::State;

/// Batches that one record may have come in. A source whose every batch is held here would wait for ever: it stops reading
/// when too many of its receipts are open.
const MAX_RECEIPTS: usize = 1024;

/// The text of a row.
pub(super) struct Line {
    text: Text,
    /// The row is nothing but `{ "log": text }`.
    pub(super) sole: bool,
}

/// A text: where it stands in the heap, as long as that is possible.
#[derive(Debug)]
pub(super) enum Text {
    Span(Range<usize>),
    /// UTF-8.
    Owned(Vec<u8>),
}

/// Lines that are one record.
#[derive(Debug)]
pub(super) struct Group {
    /// The first line's, and the end of the last that is not blank.
    pub(super) row: Row,
    /// Where the next line begins if nothing lies between.
    pub(super) end: u64,
    pub(super) text: Text,
    /// Length of the text up to the last line that is not blank.
    pub(super) solid: usize,
    /// All of them.
    pub(super) lines: usize,
    /// A row that covers those of this batch, if there are any.
    pub(super) fresh: Option<Row>,
    pub(super) state: State,
    pub(super) sole: bool,
    /// Where it began in an earlier batch.
    pub(super) before: Option<Box<Held>>,
}

// === impl Line ===

impl Line {
    pub(super) fn of(batch: &Batch, row: &Row, path: &Resolved<'_>, is_log: bool) -> Option<Line> {
        if is_log && let Some(span) = batch.sole_span(row.root()) {
            return Some(Line { text: Text::Span(span), sole: true });
        }
        let text = batch.get(row, path)?.as_str()?;
        Some(Line { text: Text::Owned(text.into_owned().into_bytes()), sole: false })
    }

    pub(super) fn bytes<'a>(&'a self, batch: &'a Batch) -> &'a [u8] {
        self.text.bytes(batch)
    }
}

// === impl Text ===

impl Text {
    pub(super) fn bytes<'a>(&'a self, batch: &'a Batch) -> &'a [u8] {
        match self {
            Text::Span(span) => &batch.heap()[span.clone()],
            Text::Owned(bytes) => bytes,
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Text::Span(span) => span.len(),
            Text::Owned(bytes) => bytes.len(),
        }
    }

    pub(super) fn truncate(&mut self, len: usize) {
        match self {
            Text::Span(span) => span.end = span.end.min(span.start + len),
            Text::Owned(bytes) => bytes.truncate(len),
        }
    }

    /// Adds a line: one that follows in the heap, with nothing but a line feed between, costs nothing.
    fn append(&mut self, batch: &Batch, line: &Text) {
        if let (Text::Span(span), Text::Span(next)) = (&mut *self, line)
            && span.end <= next.start
            && batch.heap()[span.end..next.start] == *b"\n"
        {
            span.end = next.end;
            return;
        }
        let mut joined = match self {
            Text::Span(span) => batch.heap()[span.clone()].to_vec(),
            Text::Owned(bytes) => std::mem::take(bytes),
        };
        joined.push(b'\n');
        joined.extend_from_slice(line.bytes(batch));
        *self = Text::Owned(joined);
    }
}

// === impl Group ===

impl Group {
    pub(super) fn new(batch: &Batch, line: Line, row: Row, state: State) -> Self {
        let Line { text, sole } = line;
        let blank = text.bytes(batch).trim_ascii().is_empty();
        let solid = if blank { 0 } else { text.len() };
        Group { end: row.end, row, solid, text, lines: 1, fresh: Some(row), state, sole, before: None }
    }

    /// What was held goes on.
    pub(super) fn resumed(mut held: Held) -> Self {
        let text = Text::Owned(std::mem::take(&mut held.text));
        Group {
            row: held.row(),
            end: held.end,
            text,
            solid: held.solid,
            lines: held.lines,
            fresh: None,
            state: held.state,
            sole: held.sole,
            before: Some(Box::new(held)),
        }
    }

    pub(super) fn has_room(&self, settings: &Settings, more: usize) -> bool {
        let receipts = self.before.as_ref().map_or(0, |held| held.receipts());
        self.lines < settings.max_lines && self.text.len() + 1 + more <= settings.max_bytes && receipts < MAX_RECEIPTS
    }

    pub(super) fn append(&mut self, batch: &Batch, line: Line, row: &Row, blank: bool) {
        self.text.append(batch, &line.text);
        self.lines += 1;
        self.end = row.end;
        if !blank {
            // Blank lines at the end are trimmed, and are no part of the origin: whether they were there yet when the
            // record was closed must not change its id.
            self.row.end = self.row.end.max(row.end);
            self.solid = self.text.len();
        }
        match &mut self.fresh {
            Some(fresh) => fresh.end = fresh.end.max(row.end),
            None => self.fresh = Some(*row),
        }
    }

    /// Sends it on, at the end of the batch's rows. What it brings of custody of earlier batches.
    pub(super) fn close(mut self, flow: &mut Flow, path: &Path, cx: &mut FilterContext) -> Custody {
        // One of nothing but blank lines keeps them.
        if self.solid > 0 {
            self.text.truncate(self.solid);
        }
        match self.before.take() {
            Some(held) => return held.finish(self, flow, path, cx),
            None if self.lines == 1 => flow.batch.rows.push(self.row),
            None => {
                flow.batch.rows.push(self.row);
                let at = flow.batch.rows.len() - 1;
                if !self.write(&mut flow.batch, at, path) {
                    cx.failed += 1;
                }
            }
        }
        Custody::default()
    }

    /// Gives row `at` of `batch` the joined text.
    fn write(self, batch: &mut Batch, at: usize, path: &Path) -> bool {
        match self.text {
            Text::Span(span) if self.sole => {
                let root = batch.text_body(span);
                batch.rows[at].set_root(root);
                true
            }
            text => {
                let joined = String::from_utf8_lossy(text.bytes(batch)).into_owned();
                set_text(batch, at, path, &joined)
            }
        }
    }
}

/// Sets the text of a record that was joined. Says whether it could be set.
pub(super) fn set_text(batch: &mut Batch, row: usize, path: &Path, text: &str) -> bool {
    batch.set(row, path, NewValue::Str(text)).is_ok()
}
