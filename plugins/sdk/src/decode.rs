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
    ///
    /// A record that says no time of its own gets that of reading plus a nanosecond for each byte of its source by which it
    /// is behind the first line. So records of one reading have times in the order of their source, no two the same, and
    /// where a store takes equal times and lines for one (Loki), lines repeated in earnest survive.
    pub fn decode(&self, batch: &mut Batch, chunk: usize, lines: &[Line]) -> usize {
        let first = batch.rows.len();
        batch.rows.reserve(lines.len());
        let mut taken = lines.len();
        let mut errors = 0;
        let mut repaired = 0;
        let clean = batch.check_utf8(chunk) == Utf8Report::Valid;
        let begin = lines.first().map_or(0, |line| line.start);
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
            let time = batch.read_at.saturating_add_unsigned(line.start - begin);
            batch.rows.push(Row::new(root, time, line.start, line.end));
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use suiro_record::{Scope, Source};

    use super::*;
    use crate::custody::Custody;
    use crate::ledger::read;

    struct Json;

    impl Parser for Json {
        fn parse(&self, batch: &mut Batch, span: Range<usize>) -> Result<RootId, ParseError> {
            Ok(batch.parse_json(span)?)
        }

        fn time(&self) -> &TimeRule {
            &TimeRule::Auto
        }
    }

    fn decoder(on_error: OnParseError, keep_blank: bool) -> (Decoder, Arc<InputLedger>) {
        let ledger = Arc::<InputLedger>::default();
        (Decoder::new(Some(Arc::new(Json)), on_error, keep_blank, ledger.clone()), ledger)
    }

    fn batch() -> Batch {
        Batch::new("t".into(), Arc::new(Scope::new(Arc::new(Source::new("in".into(), 1)))), 7)
    }

    /// Fills the heap with lines.
    fn lines(batch: &mut Batch, texts: &[&[u8]]) -> Vec<Line> {
        let mut at = 0;
        let line = |text: &&[u8]| {
            let span = batch.heap().len()..batch.heap().len() + text.len();
            batch.heap_mut().extend_from_slice(text);
            let start = at;
            at += text.len() as u64 + 1;
            Line { span, start, end: at }
        };
        texts.iter().map(line).collect()
    }

    fn bodies(batch: &Batch) -> Vec<String> {
        let body = |row: &Row| {
            let mut out = Vec::new();
            batch.write_json(row, &mut out);
            String::from_utf8_lossy(&out).into_owned()
        };
        batch.rows.iter().map(body).collect()
    }

    #[test]
    fn each_line_is_parsed_or_stays_as_text() {
        let texts: [&[u8]; 6] =
            [br#"{"a":1,"ts":1767225600}"#, b"plain", b"", b"bad \xff byte", b"{\"a\":\"\xff\"}", b"{\"a\":1"];
        for keep_blank in [false, true] {
            let (decoder, ledger) = decoder(OnParseError::Keep, keep_blank);
            let mut batch = batch();
            let lines = lines(&mut batch, &texts);
            assert_eq!(decoder.decode(&mut batch, 0, &lines), lines.len());
            let mut want = vec![
                r#"{"a":1,"ts":1767225600}"#,
                r#"{"log":"plain"}"#,
                r#"{"log":""}"#,
                "{\"log\":\"bad \u{fffd} byte\"}",
                "{\"a\":\"\u{fffd}\"}",
                r#"{"log":"{\"a\":1"}"#,
            ];
            if !keep_blank {
                want.remove(2);
            }
            assert_eq!(bodies(&batch), want);
            assert_eq!(read(&ledger.parse_errors), 3 + u64::from(keep_blank));
            assert_eq!(read(&ledger.invalid_utf8), 2, "only the lines that were changed");
            let times: Vec<_> = batch.rows.iter().map(|row| (row.time, row.time_kind)).collect();
            // Behind the first line by its bytes.
            let behind = 7 + lines[1].start.cast_signed();
            assert_eq!(times[..2], [(1_767_225_600_000_000_000, TimeKind::Own), (behind, TimeKind::Read)]);
        }
    }

    #[test]
    fn a_batch_without_room_for_keys_leaves_the_rest_to_the_next() {
        let texts: Vec<String> = (0..70_000).map(|n| format!("{{\"k{n}\":1}}")).collect();
        let (decoder, ledger) = decoder(OnParseError::Keep, false);
        let mut rest: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
        let mut got = Vec::new();
        let mut batches = 0;
        while !rest.is_empty() {
            let mut batch = batch();
            let lines = lines(&mut batch, &rest);
            let taken = decoder.decode(&mut batch, 0, &lines);
            assert!(taken > 0 && taken == batch.rows.len());
            got.extend(bodies(&batch));
            rest.drain(..taken);
            batches += 1;
        }
        assert_eq!((batches, read(&ledger.parse_errors)), (2, 0));
        assert!(got == texts);
        // One that has no room in any batch is a text.
        let members: Vec<String> = (0..70_000).map(|n| format!("\"k{n}\":1")).collect();
        let giant = format!("{{{}}}", members.join(","));
        let mut batch = batch();
        let lines = lines(&mut batch, &[giant.as_bytes()]);
        assert_eq!((decoder.decode(&mut batch, 0, &lines), read(&ledger.parse_errors)), (1, 1));
        assert!(batch.sole_text(batch.rows[0].root()) == Some(giant.as_bytes()));
    }

    #[test]
    fn as_a_filter_it_parses_what_was_joined() {
        for on_error in [OnParseError::Keep, OnParseError::Drop] {
            let plain = Decoder::new(None, OnParseError::Keep, false, Arc::default());
            let mut batch = batch();
            let lines = lines(&mut batch, &[br#"{"a":1,"time":1767225600}"#, b"no", b"{}"]);
            plain.decode(&mut batch, 0, &lines);
            let (decoder, ledger) = decoder(on_error, false);
            let mut flow = Flow { batch, custody: Custody::default() };
            let mut cx = FilterContext::new(Instant::now());
            decoder.into_filter().instance().apply(&mut flow, &Selection::All, &mut cx);
            let mut want = vec![r#"{"a":1,"time":1767225600}"#, r#"{"log":"no"}"#, "{}"];
            if on_error == OnParseError::Drop {
                want.remove(1);
                assert_eq!(cx.dropped, [(Reason::PARSE_ERROR, 1)]);
            } else {
                assert!(cx.dropped.is_empty());
            }
            assert_eq!(bodies(&flow.batch), want);
            assert_eq!((read(&ledger.parse_errors), flow.batch.rows[0].time), (1, 1_767_225_600_000_000_000));
        }
    }
}
