//! Access logs of Apache and nginx, in the combined or the common format:
//!
//! ```text
//! host ident user [time] "method path protocol" status size "referer" "agent"
//! ```
//!
//! | field | |
//! | --- | --- |
//! | `host`, `ident`, `user` | texts; a user may hold spaces |
//! | `time` | as written; becomes the record's time, and stays unless `keep_time = false` |
//! | `method`, `path`, `protocol` | of the request line; one that is no such three (or two: HTTP/0.9) is kept whole, as `request` |
//! | `status`, `size` | numbers |
//! | `referer`, `agent` | texts, in the combined format |
//!
//! What the server wrote as `-` is absent. Apache writes quotes and bytes beyond ASCII as `\"` and `\xhh`, nginx as `\x22`:
//! they stay as they were written. A line with anything else behind its last field does not match: use `regex` for formats
//! of your own.
//!
//! Written by hand, since it is in many pipelines the one thing that costs time: one pass, a vectorised search where fields
//! are long, and fields are spans of the line. `benches/apache.rs` has it beside a loop around the `regex` crate.

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use memchr::{memchr, memchr2};
use suiro_record::{Batch, Path, RootId, Shape, is_number};
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::time::TimeFormat;
use suiro_sdk::{ParseError, Parser, TimeRule};

/// The names of the fields, in the order of the line.
const KEYS: [&str; 12] =
    ["host", "ident", "user", "time", "method", "path", "protocol", "request", "status", "size", "referer", "agent"];

const HOST: usize = 0;
const IDENT: usize = 1;
const USER: usize = 2;
const TIME: usize = 3;
const METHOD: usize = 4;
const PATH: usize = 5;
const PROTOCOL: usize = 6;
const REQUEST: usize = 7;
const STATUS: usize = 8;
const SIZE: usize = 9;
const REFERER: usize = 10;
const AGENT: usize = 11;

/// How the time is written.
const TIME_FORMAT: &str = "%d/%b/%Y:%H:%M:%S %z";

/// The parser `apache_combined`.
#[derive(Debug)]
pub struct Apache {
    shape: Shape,
    time: TimeRule,
}

/// Where the fields of a line stand in it; an empty span is an absent field.
#[derive(Debug, Default, PartialEq, Eq)]
struct Fields([Range<u32>; KEYS.len()]);

/// Reads the settings.
pub fn build(settings: &Section) -> Result<Arc<dyn Parser>, Reported> {
    let keep = settings.or("keep_time", true);
    settings.finish()?;
    Ok(Arc::new(Apache::new(keep)))
}

// === impl Apache ===

impl Apache {
    /// The parser; `keep_time` says whether the field `time` stays.
    pub fn new(keep_time: bool) -> Self {
        // The format is one that `TimeFormat` knows by heart; the default would only read other times.
        let format = TimeFormat::parse(TIME_FORMAT, None).unwrap_or_default();
        let time = TimeRule::Field { path: Path::key(KEYS[TIME]), format, keep: keep_time };
        Apache { shape: Shape::new(KEYS), time }
    }
}

impl Default for Apache {
    fn default() -> Self {
        Apache::new(true)
    }
}

impl Parser for Apache {
    fn parse(&self, batch: &mut Batch, span: Range<usize>) -> Result<RootId, ParseError> {
        let line = &batch.heap()[span.clone()];
        let fields = split(line).map_err(|expected| ParseError::Mismatch(format!("{expected} is expected")))?;
        let mut record = batch.build_record(&self.shape).map_err(|_| ParseError::KeysFull)?;
        for (field, at) in fields.0.iter().enumerate() {
            if at.start < at.end {
                let at = span.start + at.start as usize..span.start + at.end as usize;
                match field {
                    STATUS | SIZE if !is_number(&record.heap()[at.clone()]) => {
                        // Zeros in front: digits, but no number of JSON's.
                        let digits = &record.heap()[at];
                        record.int(field, digits.iter().fold(0, |n, d| n * 10 + i64::from(d - b'0')));
                    }
                    STATUS | SIZE => record.number(field, at),
                    _ => record.str(field, at),
                }
            }
        }
        Ok(record.finish())
    }

    fn time(&self) -> &TimeRule {
        &self.time
    }
}

// === impl Fields ===

impl Fields {
    #[inline]
    fn set(&mut self, field: usize, line: &[u8], span: Range<usize>) {
        if line[span.clone()] != *b"-" {
            self.0[field] = span.start as u32..span.end as u32;
        }
    }
}

/// The fields of a line, or what should stand where it stops being one.
fn split(line: &[u8]) -> Result<Fields, &'static str> {
    // Spans are 32 bits wide, as those of a batch.
    if line.len() > u32::MAX as usize {
        return Err("a shorter line");
    }
    let line = line.trim_ascii_end();
    let mut fields = Fields::default();
    let mut at = 0;
    for field in [HOST, IDENT] {
        let end = at + short(&line[at..], b' ').filter(|&len| len > 0).ok_or("a host, an ident and a user")?;
        fields.set(field, line, at..end);
        at = end + 1;
    }
    let time = time(line, at).ok_or("a time in brackets and the request in quotes")?;
    fields.set(USER, line, at..time.start - 2);
    let span = quoted(line, time.end + 1).ok_or("the request in quotes")?;
    fields.set(TIME, line, time);
    at = span.end + 1;
    request(&mut fields, line, span);
    for (field, what) in [(STATUS, "a status"), (SIZE, "a size")] {
        let digits = number(line, at).ok_or(what)?;
        at = digits.end;
        fields.set(field, line, digits);
    }
    if at < line.len() {
        for (field, what) in [(REFERER, "the referer in quotes"), (AGENT, "the user agent in quotes")] {
            let span = quoted(line, at).ok_or(what)?;
            at = span.end + 1;
            fields.set(field, line, span);
        }
    }
    if at == line.len() { Ok(fields) } else { Err("the end of the line") }
}

/// Where `needle` is, expected soon: a call into a vectorised search would cost more than it finds.
#[inline]
fn short(line: &[u8], needle: u8) -> Option<usize> {
    line.iter().position(|&b| b == needle)
}

/// The inside of the brackets around the time, behind a user that begins at `from`. The user may hold brackets, too: the
/// time begins with the day, two characters before a slash, holds no bracket, and the request's quote follows it. Servers
/// escape quotes in a user's name, so no client can move the time.
fn time(line: &[u8], from: usize) -> Option<Range<usize>> {
    let mut open = from + memchr(b'[', &line[from..])?;
    loop {
        let start = open + 1;
        let end = start + line[start..].iter().position(|b| matches!(b, b'[' | b']'))?;
        let day = matches!(line[start..end], [b'0'..=b'9', _, b'/', ..]);
        if day && open > from && line[open - 1] == b' ' && line[end..].starts_with(b"] \"") {
            return Some(start..end);
        }
        open = end + memchr(b'[', &line[end..])?;
    }
}

/// The inside of ` "..."` at `at`; a backslash protects what is behind it.
#[inline]
fn quoted(line: &[u8], at: usize) -> Option<Range<usize>> {
    if line.get(at..at + 2) != Some(b" \"") {
        return None;
    }
    let start = at + 2;
    let mut end = start;
    loop {
        end += memchr2(b'"', b'\\', line.get(end..)?)?;
        if line[end] == b'"' {
            return Some(start..end);
        }
        end += 2;
    }
}

/// ` digits` or ` -` at `at`: at most 18 digits.
#[inline]
fn number(line: &[u8], at: usize) -> Option<Range<usize>> {
    let start = at + 1;
    let text = line.get(start..).filter(|_| line[at] == b' ')?;
    let len = text.iter().take_while(|b| b.is_ascii_digit()).count();
    match (len, text.first()) {
        (0, Some(b'-')) => Some(start..start + 1),
        (1..=18, _) => Some(start..start + len),
        _ => None,
    }
}

/// The parts of a request line, or the whole of what is none.
fn request(fields: &mut Fields, line: &[u8], span: Range<usize>) {
    let text = &line[span.clone()];
    let method = short(text, b' ').unwrap_or(0);
    if method == 0 || !text[..method].iter().all(|b| b.is_ascii_alphabetic() || *b == b'-' || *b == b'_') {
        return fields.set(REQUEST, line, span);
    }
    let start = span.start;
    let rest = &text[method + 1..];
    let path = match rest.iter().rposition(|&b| b == b' ') {
        Some(end) if end > 0 && rest[end + 1..].starts_with(b"HTTP/") => {
            fields.set(PROTOCOL, line, start + method + 1 + end + 1..span.end);
            start + method + 1..start + method + 1 + end
        }
        None if rest.first() == Some(&b'/') => start + method + 1..span.end,
        _ => return fields.set(REQUEST, line, span),
    };
    fields.set(METHOD, line, start..start + method);
    fields.set(PATH, line, path);
}
