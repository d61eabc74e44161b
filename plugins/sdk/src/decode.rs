//! From lines to records: what every input that reads text shares.
//!
//! The source puts bytes into a batch's heap and says where the lines are; the decoder checks that they are UTF-8 (once
//! per chunk, line by line only where that fails), parses each in its place, and finds its time. A line that does not
//! parse stays as text, `{ "log": line }`, and is counted, or is dropped where the configuration says so.

use std::ops::Range;
use std::sync::Arc;

use suiro_record::{Batch, LOG_KEY, Path, RootId, Row, TimeKind, Utf8Report};

use crate::filter::{Filter, FilterContext, FilterFactory, Stateless};
use crate::flow::{Flow, Selection};
use crate::ledger::{InputLedger, Reason, add};
use crate::parser::{ParseError, Parser, TimeRule};
use crate::time::TimeFormat;

/// A line: its text in the heap, without its end, and its place in the source, with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where its text stands in the heap.
    pub span: Range<usize>,
    /// First source byte.
    pub start: u64,
    /// One past the last source byte, the line end included.
    pub end: u64,
}

/// What happens to a line its parser does not take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnParseError {
    /// It stays as text.
    #[default]
    Keep,
    /// It is dropped and counted as `parse_error`.
    Drop,
}

/// Makes records of lines.
pub struct Decoder {
    parser: Option<Arc<dyn Parser>>,
    on_error: OnParseError,
    keep_blank: bool,
    auto: [Path; 4],
    auto_format: TimeFormat,
    log: Path,
    ledger: Arc<InputLedger>,
}

/// The parser as a filter behind another one (multiline): it parses the text under `log` and puts what it finds in place
/// of the body.
#[derive(Clone)]
struct ParseFilter(Arc<Decoder>);

// === impl Decoder ===

impl Decoder {
    /// A decoder; without a parser each line is the record `{ "log": line }`. Blank lines are no records, unless they may
    /// belong to something that spans lines (`keep_blank`).
    pub fn new(
        parser: Option<Arc<dyn Parser>>,
        on_error: OnParseError,
        keep_blank: bool,
        ledger: Arc<InputLedger>,
    ) -> Self {
        let auto = ["@timestamp", "timestamp", "time", "ts"].map(Path::key);
        Decoder { parser, on_error, keep_blank, auto, auto_format: TimeFormat::auto(), log: Path::key(LOG_KEY), ledger }
    }

    /// The decoder as a filter, for inputs whose lines are joined before they are parsed.
    pub fn into_filter(self) -> Box<dyn FilterFactory> {
        Box::new(Stateless(ParseFilter(Arc::new(self))))
    }

    /// Makes records of `lines`, all of them in the heap from `chunk` on. Says how many lines it took: all, unless the
    /// batch ran out of keys; then the source gives the rest a fresh batch.
    pub fn decode(&self, batch: &mut Batch, chunk: usize, lines: &[Line]) -> usize {
        let first = batch.rows.len();
        batch.rows.reserve(lines.len());
        let mut taken = lines.len();
        let mut errors = 0;
        let mut repaired = 0;
        let clean = batch.check_utf8(chunk) == Utf8Report::Valid;
        for (i, line) in lines.iter().enumerate() {
            if line.span.is_empty() && !self.keep_blank {
                continue;
            }
            let span = if clean {
                line.span.clone()
            } else {
                let (span, changed) = batch.repair_utf8(line.span.clone());
                repaired += usize::from(changed);
                span
            };
            let root = match self.parse(batch, span.clone()) {
                Ok(root) => root,
                Err(ParseError::KeysFull) if batch.rows.len() > first || first > 0 => {
                    taken = i;
                    break;
                }
                Err(_) => {
                    errors += 1;
                    batch.text_body(span)
                }
            };
            batch.rows.push(Row::new(root, batch.read_at, line.start, line.end));
        }
        add(&self.ledger.parse_errors, errors);
        add(&self.ledger.invalid_utf8, repaired);
        if let Some(parser) = &self.parser {
            self.find_times(batch, first, parser.time());
        }
        taken
    }

    fn parse(&self, batch: &mut Batch, span: Range<usize>) -> Result<RootId, ParseError> {
        match &self.parser {
            Some(parser) => parser.parse(batch, span),
            None => Ok(batch.text_body(span)),
        }
    }

    /// Gives the rows from `first` on the time they carry, where they carry one.
    fn find_times(&self, batch: &mut Batch, first: usize, rule: &TimeRule) {
        let mut rows = std::mem::take(&mut batch.rows);
        match rule {
            TimeRule::None => {}
            TimeRule::Auto => {
                let paths = self.auto.each_ref().map(|path| batch.resolve(path));
                for row in &mut rows[first..] {
                    let read = |path| self.auto_format.read(batch.get(row, path)?, batch.read_at);
                    let found = paths.iter().find_map(read);
                    set_time(row, found);
                }
            }
            TimeRule::Field { path, format, .. } => {
                let path = batch.resolve(path);
                for row in &mut rows[first..] {
                    let found = batch.get(row, &path).and_then(|field| format.read(field, batch.read_at));
                    set_time(row, found);
                }
            }
        }
        batch.rows = rows;
        if let TimeRule::Field { path, keep: false, .. } = rule {
            for row in first..batch.rows.len() {
                if batch.rows[row].time_kind == TimeKind::Own {
                    let path = batch.resolve(path);
                    batch.remove(row, &path);
                }
            }
        }
    }
}

fn set_time(row: &mut Row, time: Option<i64>) {
    if let Some(time) = time {
        row.time = time;
        row.time_kind = TimeKind::Own;
    }
}

// === impl ParseFilter ===

impl Filter for ParseFilter {
    fn apply(&mut self, flow: &mut Flow, rows: &Selection, cx: &mut FilterContext) {
        let decoder = &self.0;
        let batch = &mut flow.batch;
        let Some(parser) = &decoder.parser else { return };
        let log = batch.resolve(&decoder.log);
        let mut failed = vec![false; batch.rows.len()];
        let (mut errors, mut dropped) = (0, 0);
        for i in rows.iter(batch.rows.len()) {
            let row = batch.rows[i];
            let Some(text) = batch.get(&row, &log).and_then(|field| field.as_str().map(|text| text.into_owned()))
            else {
                continue;
            };
            let heap = batch.heap_mut();
            let start = heap.len();
            heap.extend_from_slice(text.as_bytes());
            let end = heap.len();
            match parser.parse(batch, start..end) {
                Ok(root) => batch.rows[i].set_root(root),
                // The batch's fault, not the record's: it stays as text.
                Err(ParseError::KeysFull) => errors += 1,
                Err(ParseError::Mismatch(_)) => {
                    errors += 1;
                    dropped += 1;
                    failed[i] = true;
                }
            }
        }
        add(&decoder.ledger.parse_errors, errors);
        decoder.find_times(batch, 0, parser.time());
        if decoder.on_error == OnParseError::Drop && dropped > 0 {
            let mut at = 0;
            batch.rows.retain(|_| {
                at += 1;
                !failed[at - 1]
            });
            cx.drop_records(Reason::PARSE_ERROR, dropped);
        }
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("parser", &self.parser.is_some()).field("on_error", &self.on_error).finish()
    }
}
