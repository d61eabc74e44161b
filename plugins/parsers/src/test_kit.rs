//! What the tests of all parsers use: lines through the decoder, as an input does it, and what came out.

use std::sync::Arc;

use suiro_record::{Batch, Scope, Source, TimeKind};
use suiro_sdk::ledger::read;
use suiro_sdk::registry::BuildParser;
use suiro_sdk::settings::Section;
use suiro_sdk::{Decoder, InputLedger, Line, OnParseError, Parser};

/// When the lines of [`decode`] were read: 2023-11-14T22:13:20Z.
pub(crate) const READ_AT: i64 = 1_700_000_000_000_000_000;

pub(crate) struct Decoded {
    /// Bodies as JSON.
    pub(crate) bodies: Vec<String>,
    /// Times of their own.
    pub(crate) times: Vec<Option<i64>>,
    pub(crate) parse_errors: u64,
}

pub(crate) fn batch() -> Batch {
    let scope = Arc::new(Scope::new(Arc::new(Source::new("in".into(), 1))));
    Batch::new("t".into(), scope, READ_AT)
}

pub(crate) fn build_with(build: BuildParser, settings: &str) -> Arc<dyn Parser> {
    let (section, diagnostics) = Section::from_text("parser", settings);
    build(&section).unwrap_or_else(|_| panic!("{}", diagnostics.render(false)))
}

/// What is reported for settings that are wrong.
pub(crate) fn fails(build: BuildParser, settings: &str) -> String {
    let (section, diagnostics) = Section::from_text("parser", settings);
    assert!(build(&section).is_err(), "{settings}");
    assert!(diagnostics.errors() > 0);
    diagnostics.render(false)
}

pub(crate) fn decode(parser: Arc<dyn Parser>, on_error: OnParseError, lines: &[&str]) -> Decoded {
    let ledger = Arc::new(InputLedger::default());
    let decoder = Decoder::new(Some(parser), on_error, false, ledger.clone());
    let mut batch = batch();
    let mut spans = Vec::new();
    for line in lines {
        let start = batch.heap().len();
        batch.heap_mut().extend_from_slice(line.as_bytes());
        let end = batch.heap().len();
        batch.heap_mut().push(b'\n');
        spans.push(Line { span: start..end, start: start as u64, end: end as u64 + 1 });
    }
    let taken = decoder.decode(&mut batch, 0, &spans);
    assert_eq!(taken, lines.len());
    let bodies = batch.rows.iter().map(|row| {
        let mut json = Vec::new();
        batch.write_json(row, &mut json);
        String::from_utf8(json).expect("bodies are UTF-8")
    });
    Decoded {
        bodies: bodies.collect(),
        times: batch.rows.iter().map(|row| (row.time_kind == TimeKind::Own).then_some(row.time)).collect(),
        parse_errors: read(&ledger.parse_errors),
    }
}
