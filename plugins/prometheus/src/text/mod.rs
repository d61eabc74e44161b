//! The Prometheus text format 0.0.4 and OpenMetrics 1.0, read into batches of metric points.
//!
//! # What is read
//!
//! - A counter or gauge is a point each; `_bucket`, `_sum`, `_count` and quantiles of one label set are one point
//!   (`group`); `_created` is its `start`. The name of a point is that of its samples, of a histogram or summary that of
//!   its family.
//! - A line that is wrong costs that line. Lines are counted, and the first wrong one is told with line and column.
//! - Duplicates within one scrape, and samples with a timestamp that are older than what was read of the series before
//!   ([`Memory`]), are left out and counted, as Prometheus does. One with the same timestamp as before is the same sample.
//!
//! # How
//!
//! A body is cut between families into pieces of about a megabyte (`pieces`), each read in the heap of a batch of its
//! own: names and labels are spans of it, nothing is allocated per sample. The heap is what was read, plus the few texts
//! that have escapes in them. Rows' places are bytes of the body.

mod build;
mod family;
mod group;
mod line;
mod pieces;
#[cfg(test)]
mod tests;
mod write;

use std::hash::BuildHasher as _;
use std::ops::Range;

use hashbrown::{DefaultHashBuilder, HashMap};
use suiro_record::{Batch, Row, TimeKind};

use crate::words::Words;

use self::build::{About, Builder, ExemplarParts, Span};
use self::family::Role;
pub use self::family::Type;
pub(crate) use self::group::STALE;
use self::group::{Groups, Trouble};
pub use self::line::Format;
pub(crate) use self::line::NAN;
use self::line::{Label, unescape};
pub(crate) use self::write::{write_bound, write_help, write_label_value, write_number};

/// How a body is read.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The format.
    pub format: Format,
    /// The time of samples that have none, nanoseconds since the epoch.
    pub time: i64,
    /// Whether timestamps of samples count.
    pub honor_timestamps: bool,
    /// Samples a body may have.
    pub max_samples: usize,
}

/// Reads bodies. Keep it: its memory is used again.
#[derive(Debug, Default)]
pub struct TextParser {
    labels: Vec<Label>,
    scratch: Vec<u8>,
    groups: Groups,
    /// Series of this body, and the number of the batch and the row that stands for each.
    seen: HashMap<u64, (u32, u32)>,
    hasher: DefaultHashBuilder,
}

/// The last timestamps of one target's series that have some.
#[derive(Debug, Default)]
pub struct Memory {
    last: HashMap<u64, (i64, u32)>,
    scrape: u32,
}

/// What was in a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Samples, the ones left out included.
    pub samples: usize,
    /// Lines, and points made of several lines, that were wrong.
    pub wrong: usize,
    /// The first of them.
    pub first_wrong: Option<Fault>,
    /// Samples of a series that was there already.
    pub duplicates: usize,
    /// Samples older than the one before.
    pub out_of_order: usize,
    /// Samples with the timestamp of the one before: the same ones again.
    pub repeated: usize,
    /// There were more samples than may be: reading ended there.
    pub over_limit: bool,
    /// `# EOF` was there.
    pub ended: bool,
}

/// Where a body is wrong, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {what}")]
pub struct Fault {
    /// From 1.
    pub line: usize,
    /// In bytes, from 1.
    pub column: usize,
    /// What is wrong.
    pub what: &'static str,
}

/// The family that lines belong to.
#[derive(Debug, Default)]
struct Family {
    name: Vec<u8>,
    kind: Type,
    help: Option<Vec<u8>>,
    unit: Option<Vec<u8>>,
    /// The same in the heap of the batch, once it is there.
    placed: Option<(Span, About)>,
    /// The last sample's name, what it meant, and its hash.
    last: Option<(Range<usize>, Role, u64)>,
    /// Hash of the name of a counter's values.
    value_name: u64,
}

/// A body being read.
struct Reading<'p> {
    parser: &'p mut TextParser,
    memory: Option<&'p mut Memory>,
    body: &'p [u8],
    options: Options,
    family: Family,
    report: Report,
    /// All of the body is UTF-8.
    clean: bool,
    /// Number of the batch.
    batch_no: u32,
}

// === impl TextParser ===

impl TextParser {
    /// Reads a body into batches that `new_batch` gives; `done` gets them, full or not, none empty.
    pub fn parse(
        &mut self,
        body: &[u8],
        options: Options,
        mut memory: Option<&mut Memory>,
        mut new_batch: impl FnMut() -> Batch,
        mut done: impl FnMut(Batch),
    ) -> Report {
        self.seen.clear();
        self.groups.forget();
        if let Some(memory) = &mut memory {
            memory.scrape = memory.scrape.wrapping_add(1);
        }
        let clean = simdutf8::basic::from_utf8(body).is_ok();
        let mut reading = Reading {
            parser: self,
            memory,
            body,
            options,
            family: Family::default(),
            report: Report::default(),
            clean,
            batch_no: 0,
        };
        for piece in pieces::Pieces::new(body) {
            let mut batch = new_batch();
            reading.piece(&mut batch, piece);
            reading.batch_no += 1;
            if !batch.is_empty() {
                done(batch);
            }
            if reading.report.over_limit {
                break;
            }
        }
        let report = reading.report;
        if let Some(memory) = reading.memory {
            let scrape = memory.scrape;
            memory.last.retain(|_, (_, seen)| *seen == scrape);
        }
        self.seen.shrink_to(options.max_samples.min(1 << 20));
        report
    }
}

// === impl Reading ===

impl Reading<'_> {
    /// Reads a piece of the body into a batch.
    fn piece(&mut self, batch: &mut Batch, piece: Range<usize>) {
        let words = Words::new(batch);
        let shift = batch.heap().len() as isize - piece.start as isize;
        batch.heap_mut().extend_from_slice(&self.body[piece.clone()]);
        if !self.clean {
            // Lines that are no text are left out, but their bytes must not stay.
            let at = batch.heap().len() - piece.len();
            blank_invalid(&mut batch.heap_mut()[at..]);
        }
        self.family.placed = None;
        self.family.last = None;
        let body = self.body;
        let mut at = piece.start;
        while at < piece.end {
            let end = memchr::memchr(b'\n', &body[at..piece.end]).map_or(piece.end, |n| at + n);
            let mut line = at..end;
            if line.end > line.start && body[line.end - 1] == b'\r' {
                line.end -= 1;
            }
            while line.start < line.end && matches!(body[line.start], b' ' | b'\t') {
                line.start += 1;
            }
            match body.get(line.start) {
                _ if line.is_empty() => {}
                Some(b'#') => self.comment(batch, words, shift, line),
                _ if self.report.ended => self.wrong(line.start, "there is something behind `# EOF`"),
                _ => self.sample(batch, words, shift, line),
            }
            if self.report.over_limit {
                break;
            }
            at = end + 1;
        }
        self.end_family(batch, words, shift);
    }

    #[cold]
    fn wrong(&mut self, at: usize, what: &'static str) {
        self.report.wrong += 1;
        if self.report.first_wrong.is_none() {
            let before = &self.body[..at.min(self.body.len())];
            let line_start = memchr::memrchr(b'\n', before).map_or(0, |n| n + 1);
            let line = memchr::memchr_iter(b'\n', before).count() + 1;
            self.report.first_wrong = Some(Fault { line, column: at - line_start + 1, what });
        }
    }

    /// `# HELP`, `# TYPE`, `# UNIT`, `# EOF`; anything else is a remark.
    fn comment(&mut self, batch: &mut Batch, words: Words, shift: isize, line: Range<usize>) {
        let text = &self.body[line.clone()];
        let (word, rest) = next_word(&text[1..]);
        if word == b"EOF" && rest.is_empty() {
            self.report.ended = true;
            return;
        }
        if !matches!(word, b"HELP" | b"TYPE" | b"UNIT") {
            return;
        }
        if !self.clean && std::str::from_utf8(text).is_err() {
            return self.wrong(line.start, "the line is not UTF-8");
        }
        let (name, rest) = metric_name(rest);
        if name.is_empty() {
            return self.wrong(line.start, "a metric's name is missing");
        }
        if name != self.family.name {
            self.end_family(batch, words, shift);
            self.family = Family { name, ..Family::default() };
        }
        match word {
            b"TYPE" => match Type::parse(rest.trim_ascii()) {
                Some(kind) => {
                    self.end_family(batch, words, shift);
                    self.family.kind = kind;
                    self.family.last = None;
                }
                None => self.wrong(line.end - rest.len(), "this is no type of a metric"),
            },
            b"UNIT" => self.family.unit = Some(rest.trim_ascii().to_vec()).filter(|unit| !unit.is_empty()),
            _ => {
                let mut help = Vec::new();
                unescape(rest, &mut help);
                self.family.help = Some(help).filter(|help| !help.is_empty());
            }
        }
        self.family.placed = None;
    }

    #[inline]
    fn sample(&mut self, batch: &mut Batch, words: Words, shift: isize, line: Range<usize>) {
        if !self.clean && std::str::from_utf8(&self.body[line.clone()]).is_err() {
            return self.wrong(line.start, "the line is not UTF-8");
        }
        let body = self.body;
        let mut sample = match line::sample(body, line.clone(), self.options.format, &mut self.parser.labels) {
            Ok(sample) => sample,
            Err(wrong) => return self.wrong(wrong.at, wrong.what),
        };
        self.report.samples += 1;
        if self.report.samples > self.options.max_samples {
            self.report.over_limit = true;
            return;
        }
        if !self.options.honor_timestamps {
            sample.time = None;
        }
        let (role, name_hash) = match &self.family.last {
            Some((last, role, hash)) if body[last.clone()] == *sample.name.of(body) => (*role, *hash),
            _ => self.role_of(batch, words, shift, sample.name),
        };
        let step_name: &[u8] = match role {
            Role::Bucket => b"le",
            Role::Quantile => b"quantile",
            _ => b"",
        };
        let (mut hash, mut step) = (0_u64, None);
        let labels = &self.parser.labels[..sample.labels];
        for (i, label) in labels.iter().enumerate() {
            let name = label.name.of(body);
            if labels[..i].iter().any(|other| other.name.of(body) == name) {
                return self.wrong(label.name.start, "the label is there twice");
            }
            if !step_name.is_empty() && name == step_name {
                step = Some(i);
                continue;
            }
            let text = &body[label.name.start..label.value.end];
            hash = hash.wrapping_add(self.parser.hasher.hash_one(text));
        }
        if self.family.kind.is_gathered() {
            self.gather(hash, role, &sample, step, line);
            return;
        }
        if role == Role::Created {
            self.created(batch, hash, sample.value);
            return;
        }
        self.family.value_name = name_hash;
        hash = hash.wrapping_add(name_hash);
        let row = batch.len() as u32;
        match self.parser.seen.entry(hash) {
            hashbrown::hash_map::Entry::Occupied(_) => {
                self.report.duplicates += 1;
                return;
            }
            hashbrown::hash_map::Entry::Vacant(entry) => {
                entry.insert((self.batch_no, row));
            }
        }
        if let Some(time) = sample.time
            && !remember(&mut self.memory, &mut self.report, hash, time)
        {
            return;
        }
        self.place_family(batch);
        let Reading { parser, family, .. } = self;
        let (own, of_exemplar) = parser.labels.split_at(sample.labels);
        let exemplar = sample.exemplar.map(|exemplar| ExemplarParts {
            labels: of_exemplar,
            value: exemplar.value,
            time: exemplar.time,
        });
        let about = family.placed.as_ref().map(|(_, about)| about);
        let mut builder = Builder { batch, body, shift, words, scratch: &mut parser.scratch };
        let built = match about {
            Some(about) => builder.single(sample.name, about, own, sample.value, exemplar),
            None => builder.single(sample.name, &About::default(), own, sample.value, exemplar),
        };
        match built {
            Ok(root) => {
                let time = sample.time.unwrap_or(self.options.time);
                batch.rows.push(point_row(root, time, line));
            }
            Err(_) => self.wrong(line.start, "there are too many different label names"),
        }
    }

    /// What a name means; what is not of the family that is open ends it.
    fn role_of(&mut self, batch: &mut Batch, words: Words, shift: isize, name: line::Word) -> (Role, u64) {
        let text = name.of(self.body);
        let role = if self.family.name.is_empty() { None } else { self.family.kind.role(&self.family.name, text) };
        let role = role.unwrap_or_else(|| {
            self.end_family(batch, words, shift);
            self.family = Family { name: text.to_vec(), ..Family::default() };
            Role::Value
        });
        let hash = self.parser.hasher.hash_one(text);
        self.family.last = Some((name.range(), role, hash));
        (role, hash)
    }

    /// A sample of a histogram or a summary.
    fn gather(&mut self, hash: u64, role: Role, sample: &line::Sample, step: Option<usize>, line: Range<usize>) {
        let mut bound = 0.0;
        if matches!(role, Role::Bucket | Role::Quantile) {
            let Some(at) = step else {
                let what = if role == Role::Bucket {
                    "a bucket needs the label `le`"
                } else {
                    "a quantile needs the label `quantile`"
                };
                return self.wrong(line.start, what);
            };
            let value = self.parser.labels[at].value;
            match line::number(value.of(self.body)) {
                Some(number) if !number.is_nan() => bound = number,
                _ => return self.wrong(value.start, "the bound is no number"),
            }
        }
        let TextParser { groups, labels, .. } = &mut *self.parser;
        match groups.add(hash, role, sample, labels, step, bound, line.clone()) {
            Ok(()) => {}
            Err(Trouble::Duplicate) => self.report.duplicates += 1,
            Err(Trouble::Wrong(what)) => self.wrong(line.start, what),
        }
    }

    /// When the counter with these labels began: it stands before, in this batch.
    fn created(&mut self, batch: &mut Batch, labels: u64, seconds: f64) {
        let hash = labels.wrapping_add(self.family.value_name);
        let Some(&(batch_no, row)) = self.parser.seen.get(&hash) else { return };
        let Some(start) = line::created(seconds) else { return };
        if batch_no == self.batch_no && (row as usize) < batch.len() {
            // There is room for it: the point is there.
            let _ = batch.set(row as usize, &suiro_record::Path::key("start"), suiro_record::NewValue::Int(start));
        }
    }

    /// Puts what is known of the family into the heap.
    #[inline]
    fn place_family(&mut self, batch: &mut Batch) {
        if self.family.placed.is_some() {
            return;
        }
        let mut put = |text: &[u8]| {
            let heap = batch.heap_mut();
            let start = heap.len();
            heap.extend_from_slice(text);
            start..start + text.len()
        };
        let family = &self.family;
        let about = About {
            kind: family.kind,
            help: family.help.as_deref().map(&mut put),
            unit: family.unit.as_deref().map(&mut put),
        };
        let name = put(&family.name);
        self.family.placed = Some((name, about));
    }

    /// Makes points of what was gathered.
    fn end_family(&mut self, batch: &mut Batch, words: Words, shift: isize) {
        if self.parser.groups.is_empty() {
            return;
        }
        self.place_family(batch);
        let Some((name, about)) = self.family.placed.clone() else { return };
        let mut groups = std::mem::take(&mut self.parser.groups);
        let mut scratch = std::mem::take(&mut self.parser.scratch);
        let family_hash = self.parser.hasher.hash_one(&self.family.name[..]);
        let mut troubles = Vec::new();
        let Reading { parser, memory, report, options, batch_no, .. } = self;
        let mut builder = Builder { batch, body: self.body, shift, words, scratch: &mut scratch };
        groups.finish(
            &name,
            &about,
            &mut builder,
            |builder, complete| {
                let hash = complete.hash.wrapping_add(family_hash);
                // The family was there before, elsewhere in the body.
                if parser.seen.insert(hash, (*batch_no, u32::MAX)).is_some() {
                    report.duplicates += 1;
                } else if complete.time.is_none_or(|time| remember(memory, report, hash, time)) {
                    let time = complete.time.unwrap_or(options.time);
                    builder.batch.rows.push(point_row(complete.root, time, complete.place));
                }
            },
            |at, what| troubles.push((at, what)),
        );
        self.parser.groups = groups;
        self.parser.scratch = scratch;
        for (at, what) in troubles {
            self.wrong(at, what);
        }
    }
}

/// Whether a sample with a timestamp is newer than the one before.
fn remember(memory: &mut Option<&mut Memory>, report: &mut Report, hash: u64, time: i64) -> bool {
    let Some(memory) = memory else { return true };
    let scrape = memory.scrape;
    match memory.last.entry(hash) {
        hashbrown::hash_map::Entry::Vacant(entry) => {
            entry.insert((time, scrape));
            true
        }
        hashbrown::hash_map::Entry::Occupied(mut entry) => {
            let (last, seen) = entry.get_mut();
            *seen = scrape;
            if time > *last {
                *last = time;
                return true;
            }
            if time == *last {
                report.repeated += 1
            } else {
                report.out_of_order += 1
            }
            false
        }
    }
}

fn point_row(root: suiro_record::RootId, time: i64, place: Range<usize>) -> Row {
    let mut row = Row::new(root, time, place.start as u64, place.end as u64);
    row.time_kind = TimeKind::Own;
    row
}

/// The next word of a comment and what is behind it.
fn next_word(text: &[u8]) -> (&[u8], &[u8]) {
    let text = text.trim_ascii_start();
    let end = text.iter().position(|b| matches!(b, b' ' | b'\t')).unwrap_or(text.len());
    (&text[..end], text[end..].trim_ascii_start())
}

/// The name in a comment, which may stand between quotes.
fn metric_name(text: &[u8]) -> (Vec<u8>, &[u8]) {
    if text.first() != Some(&b'"') {
        let (name, rest) = next_word(text);
        return (name.to_vec(), rest);
    }
    let mut at = 1;
    while at < text.len() && text[at] != b'"' {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    let mut name = Vec::new();
    unescape(&text[1..at.min(text.len())], &mut name);
    (name, text.get(at + 1..).unwrap_or_default().trim_ascii_start())
}

/// Replaces bytes that are no UTF-8: nothing refers to them, but a heap is text.
fn blank_invalid(bytes: &mut [u8]) {
    let mut at = 0;
    while at < bytes.len() {
        match std::str::from_utf8(&bytes[at..]) {
            Ok(_) => return,
            Err(error) => {
                let bad = at + error.valid_up_to();
                let len = error.error_len().unwrap_or(bytes.len() - bad);
                bytes[bad..bad + len].fill(b'?');
                at = bad + len;
            }
        }
    }
}
