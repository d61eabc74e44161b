//! Records from standard input, in batches, as an input of the agent with the parser `json` makes them.

use std::io::{BufRead, BufReader, IsTerminal as _, Read};
use std::sync::Arc;

use suiro_record::{Batch, Scope, Source, TimeKind};
use suiro_sdk::ledger::read;
use suiro_sdk::settings::Section;
use suiro_sdk::{Decoder, InputLedger, Line, OnParseError};

use super::{Stop, say};

/// Records of a batch.
pub(super) const BATCH: usize = 1000;
/// A batch is closed at this many bytes, whatever it holds.
const BATCH_BYTES: usize = 8 << 20;
/// Longest line.
const MAX_LINE: usize = 1 << 20;

/// Lines of JSON, as they come.
pub(super) struct Lines<R> {
    from: BufReader<R>,
    decoder: Decoder,
    ledger: Arc<InputLedger>,
    scope: Arc<Scope>,
    tag: Arc<str>,
    /// A line that had no room in the batch before.
    held: Option<Vec<u8>>,
    /// Lines read so far.
    number: usize,
    /// Bytes read so far.
    at: u64,
}

/// Some of them, as records.
pub(super) struct Portion {
    pub(super) batch: Batch,
    /// The line of each record, from 1.
    pub(super) numbers: Vec<usize>,
    /// Bytes of the records' lines, their ends included.
    pub(super) bytes: usize,
}

/// Says what is waited for, where somebody types.
pub(super) fn invite() {
    if std::io::stdin().is_terminal() {
        say("Reading records from the terminal: a JSON map on each line, Ctrl-D ends.");
    }
}

// === impl Lines ===

impl<R: Read> Lines<R> {
    pub(super) fn new(from: R, tag: Arc<str>) -> Result<Self, Stop> {
        let (settings, _) = Section::from_text("parser", "");
        let parser = suiro_parsers::json::build(&settings)
            .map_err(|_| Stop::Failed("the parser `json` can't be made".to_owned()))?;
        let ledger = Arc::new(InputLedger::default());
        let decoder = Decoder::new(Some(parser), OnParseError::Keep, false, ledger.clone());
        let scope = Arc::new(Scope::new(Arc::new(Source::new("stdin".into(), 1))));
        Ok(Lines {
            from: BufReader::with_capacity(256 << 10, from),
            decoder,
            ledger,
            scope,
            tag,
            held: None,
            number: 0,
            at: 0,
        })
    }

    /// The next records; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Portion>, Stop> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
        let mut batch = Batch::new(self.tag.clone(), self.scope.clone(), now);
        let (mut numbers, mut bytes) = (Vec::new(), 0);
        let begin = self.at;
        while batch.len() < BATCH && batch.heap().len() < BATCH_BYTES {
            let Some(line) = self.line()? else { break };
            let text = line.strip_suffix(b"\n").unwrap_or(&line);
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            let (from, before) = (batch.heap().len(), batch.len());
            batch.heap_mut().extend_from_slice(text);
            let end = self.at + line.len() as u64;
            let place = Line { span: from..from + text.len(), start: self.at, end };
            if self.decoder.decode(&mut batch, from, &[place]) == 0 {
                // The batch has no room for its keys; a fresh one has.
                self.held = Some(line);
                break;
            }
            if let Some(row) = batch.rows.get_mut(before) {
                // Without a time of its own, times in the order of the lines.
                if row.time_kind == TimeKind::Read {
                    row.time = now.saturating_add_unsigned(self.at - begin);
                }
                numbers.push(self.number + 1);
                bytes += line.len();
            }
            (self.at, self.number) = (end, self.number + 1);
        }
        Ok((!numbers.is_empty()).then_some(Portion { batch, numbers, bytes }))
    }

    /// The next line, with its end; `None` behind the last.
    fn line(&mut self) -> Result<Option<Vec<u8>>, Stop> {
        if let Some(line) = self.held.take() {
            return Ok(Some(line));
        }
        let mut line = Vec::new();
        let failed = |error| Stop::Usage(format!("standard input can't be read: {error}"));
        (&mut self.from).take(MAX_LINE as u64 + 2).read_until(b'\n', &mut line).map_err(failed)?;
        if line.len() > MAX_LINE + 1 {
            return Err(Stop::Usage(format!("line {} of standard input is longer than 1 MiB", self.number + 1)));
        }
        Ok((!line.is_empty()).then_some(line))
    }

    /// Lines that were no JSON.
    pub(super) fn strange(&self) -> u64 {
        read(&self.ledger.parse_errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(text: &[u8]) -> (Vec<(usize, String)>, u64) {
        let mut lines = Lines::new(text, "t".into()).unwrap_or_else(|_| panic!("it can be made"));
        let mut found = Vec::new();
        while let Some(portion) = lines.next().unwrap_or_else(|_| panic!("it can be read")) {
            for (row, number) in portion.batch.rows.iter().zip(portion.numbers) {
                let mut json = Vec::new();
                portion.batch.write_json(row, &mut json);
                found.push((number, String::from_utf8(json).unwrap()));
            }
        }
        (found, lines.strange())
    }

    #[test]
    fn lines_are_records_and_keep_their_numbers() {
        let (found, strange) = bodies(b"{\"a\":1}\r\n\n7\nplain\n{\"b\":2}");
        let want = [(1, r#"{"a":1}"#), (3, r#"{"log":7}"#), (4, r#"{"log":"plain"}"#), (5, r#"{"b":2}"#)];
        assert_eq!(found, want.map(|(number, json)| (number, json.to_owned())));
        assert_eq!(strange, 1);
    }

    #[test]
    fn many_lines_are_several_batches() {
        let text: String = (0..2500).map(|n| format!("{{\"n\":{n}}}\n")).collect();
        let (found, _) = bodies(text.as_bytes());
        assert_eq!(found.len(), 2500);
        assert_eq!(found[2499], (2500, r#"{"n":2499}"#.to_owned()));
    }

    #[test]
    fn a_line_without_an_end_is_refused() {
        let text = vec![b'x'; MAX_LINE + 10];
        let mut lines = Lines::new(text.as_slice(), "t".into()).unwrap_or_else(|_| panic!("it can be made"));
        assert!(matches!(lines.next(), Err(Stop::Usage(why)) if why.contains("line 1")));
    }
}
