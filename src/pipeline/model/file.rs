//! The file of the model: what its writer appends, and where its position is saved.

use std::ops::Range;
use std::sync::Arc;

use suiro_record::Source;
use suiro_sdk::Position;

/// What the writer appends at once.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// One record.
    Plain,
    /// One that a filter drops.
    Debug,
    /// One that repeats others with the same number.
    Same(u8),
    /// One with that many items.
    Items(u8),
    /// A first line and that many more that belong to it.
    Group(u8),
    /// One that goes under another tag.
    Team(u8),
    /// One that no output takes.
    Nobody,
    /// An empty line.
    Blank,
}

/// What a line is, for the oracle.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Where it stands.
    pub(super) range: Range<usize>,
    /// Its number, which its text holds.
    pub(super) number: usize,
    /// What it is.
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Debug,
    Same(u8),
    Items(u8),
    Group,
    Team,
    Nobody,
    Blank,
}

/// The file.
#[derive(Debug)]
pub(super) struct File {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: Vec<Line>,
    /// What a restart finds on disk.
    pub(super) saved: Position,
    pub(super) source: Arc<Source>,
}

// === impl File ===

impl Default for File {
    fn default() -> Self {
        let source = Arc::new(Source::new("model".into(), 42));
        File { bytes: Vec::new(), lines: Vec::new(), saved: Position::default(), source }
    }
}

impl File {
    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(super) fn append(&mut self, piece: &Piece) {
        let n = self.lines.len();
        match piece {
            Piece::Plain => self.line(Kind::Plain, &format!(r#"{{"n":{n},"noise":"x","level":"info"}}"#)),
            Piece::Debug => self.line(Kind::Debug, &format!(r#"{{"n":{n},"level":"debug"}}"#)),
            Piece::Same(key) => self.line(Kind::Same(*key), &format!(r#"{{"n":{n},"same":{key}}}"#)),
            Piece::Items(count) => {
                let items: Vec<String> = (0..*count).map(|item| format!(r#"{{"item":{item}}}"#)).collect();
                self.line(Kind::Items(*count), &format!(r#"{{"n":{n},"items":[{}]}}"#, items.join(",")));
            }
            Piece::Nobody => self.line(Kind::Nobody, &format!(r#"{{"n":{n},"nobody":true}}"#)),
            Piece::Team(team) => self.line(Kind::Team, &format!(r#"{{"n":{n},"team":"t{team}"}}"#)),
            Piece::Blank => self.line(Kind::Blank, ""),
            Piece::Group(more) => {
                self.line(Kind::Group, &format!("start #{n}#"));
                for _ in 0..*more {
                    let n = self.lines.len();
                    self.line(Kind::Group, &format!("  more #{n}#"));
                }
            }
        }
    }

    fn line(&mut self, kind: Kind, text: &str) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(b'\n');
        let number = self.lines.len();
        self.lines.push(Line { range: start..self.bytes.len(), number, kind });
    }
}
