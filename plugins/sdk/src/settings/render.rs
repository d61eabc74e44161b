//! Reports as text, in the form compilers have made familiar.
//!
//! ```text
//! error: unknown setting `urll` in [[output]] loki; did you mean `url`?
//!   --> suiro.toml:14:1
//!    |
//! 14 | urll = "http://127.0.0.1:3100"
//!    | ^^^^
//!    |
//!    = help: …
//! ```
//!
//! What is shown of a file is foreign text: control characters and those that turn the direction of writing are replaced,
//! long lines are cut to a window around the mistake, secrets are masked.

use std::fmt::Write;
use std::ops::Range;

use super::diagnostic::{Diagnostic, Level};
use super::mask;
use super::source::{Place, Source};

/// Columns of a line shown.
const WINDOW: usize = 140;
/// Bytes of a line looked at, on either side of the mistake.
const REACH: usize = 2000;

/// The colours used, or none.
struct Style {
    error: &'static str,
    warning: &'static str,
    frame: &'static str,
    bold: &'static str,
    reset: &'static str,
}

const PLAIN: Style = Style { error: "", warning: "", frame: "", bold: "", reset: "" };
const COLOUR: Style =
    Style { error: "\x1b[1;31m", warning: "\x1b[1;33m", frame: "\x1b[1;34m", bold: "\x1b[1m", reset: "\x1b[0m" };

/// All reports and a summary; `errors` and `warnings` count those that weren't kept, too.
pub(super) fn all(diagnostics: &[Diagnostic], errors: usize, warnings: usize, colour: bool) -> String {
    let style = if colour { &COLOUR } else { &PLAIN };
    let mut out = String::new();
    for diagnostic in diagnostics {
        one(&mut out, diagnostic, style);
        out.push('\n');
    }
    let left_out = (errors + warnings).saturating_sub(diagnostics.len());
    if left_out > 0 {
        out.push_str(&format!("and {left_out} more\n\n"));
    }
    if errors + warnings > 0 {
        summary(&mut out, diagnostics, errors, warnings, style);
    }
    out
}

fn one(out: &mut String, diagnostic: &Diagnostic, style: &Style) {
    let (name, colour) = match diagnostic.level {
        Level::Error => ("error", style.error),
        Level::Warning => ("warning", style.warning),
    };
    let (bold, frame, reset) = (style.bold, style.frame, style.reset);
    let message = tame(&diagnostic.message);
    let _ = writeln!(out, "{colour}{name}{reset}{bold}: {message}{reset}");
    let places = [diagnostic.place.as_ref(), diagnostic.note.as_ref().map(|(place, _)| place)];
    let last_line = places.into_iter().flatten().map(|place| place.source.line_at(place.start) + 1).max();
    let gutter = last_line.map_or(1, |line| line.to_string().len());
    let blank = " ".repeat(gutter);
    if let Some(place) = &diagnostic.place {
        snippet(out, place, gutter, colour, style);
    }
    if diagnostic.place.is_some() && !(diagnostic.help.is_empty() && diagnostic.note.is_none()) {
        let _ = writeln!(out, "{blank} {frame}|{reset}");
    }
    if !diagnostic.help.is_empty() {
        let _ = writeln!(out, "{blank} {frame}={reset} {bold}help{reset}: {}", tame(&diagnostic.help));
    }
    if let Some((place, text)) = &diagnostic.note {
        let _ = writeln!(out, "{blank} {frame}={reset} {bold}note{reset}: {}", tame(text));
        snippet(out, place, gutter, frame, style);
    }
}

fn snippet(out: &mut String, place: &Place, gutter: usize, colour: &str, style: &Style) {
    let (frame, reset) = (style.frame, style.reset);
    let blank = " ".repeat(gutter);
    let (line, column) = place.source.position(place.start);
    let shown = Shown::new(place);
    let _ = writeln!(out, "{blank}{frame}-->{reset} {}:{line}:{column}", tame(place.source.name()));
    let _ = writeln!(out, "{blank} {frame}|{reset}");
    let _ = writeln!(out, "{frame}{line:>gutter$} |{reset} {}", shown.text.trim_end());
    let under = " ".repeat(shown.underline.start);
    let carets = "^".repeat(shown.underline.len().max(1));
    let _ = writeln!(out, "{blank} {frame}|{reset} {under}{colour}{carets}{reset}");
}

fn summary(out: &mut String, diagnostics: &[Diagnostic], errors: usize, warnings: usize, style: &Style) {
    let count = |number: usize, name: &str| match number {
        0 => None,
        1 => Some(format!("1 {name}")),
        _ => Some(format!("{number} {name}s")),
    };
    let counts: Vec<String> = [count(errors, "error"), count(warnings, "warning")].into_iter().flatten().collect();
    let mut files: Vec<&str> = Vec::new();
    for name in diagnostics.iter().filter_map(|diagnostic| Some(diagnostic.place.as_ref()?.source.name())) {
        if !files.contains(&name) {
            files.push(name);
        }
    }
    let within = match files.as_slice() {
        [] => String::new(),
        [file] => format!(" in {}", tame(file)),
        [first, second] => format!(" in {} and {}", tame(first), tame(second)),
        many => format!(" in {} files", many.len()),
    };
    let colour = if errors > 0 { style.error } else { style.warning };
    let _ = writeln!(out, "{colour}{}{within}{}", counts.join(", "), style.reset);
}

/// A line made fit to be seen, and the columns to underline.
struct Shown {
    text: String,
    underline: Range<usize>,
}

impl Shown {
    fn new(place: &Place) -> Self {
        let source = &place.source;
        let line = source.line_range(source.line_at(place.start));
        let start = source.floor((place.start as usize).clamp(line.start, line.end));
        let end = source.floor((place.end as usize).clamp(start, line.end));
        // A line of a megabyte is looked at around the mistake only.
        let from = source.floor(line.start.max(start.saturating_sub(REACH)));
        let to = source.floor(line.end.min(start + REACH));
        let text = &source.text()[from..to];
        let masks = masks(source, text, from);

        let mut pieces: Vec<(char, usize)> = Vec::new();
        let mut columns = 0;
        let (mut first, mut last) = (None, None);
        let mut at = from;
        for c in text.chars() {
            let mask = masks.iter().find(|mask| mask.contains(&at));
            if at >= start {
                first.get_or_insert(columns);
            }
            if at >= end {
                last.get_or_insert(columns);
            }
            match mask {
                Some(mask) if at == mask.start.max(from) => {
                    pieces.extend([('*', 1); 3]);
                    columns += 3;
                }
                Some(_) => {}
                None => {
                    let piece = seen_as(c);
                    columns += piece.1;
                    pieces.push(piece);
                }
            }
            at += c.len_utf8();
        }
        let first = first.unwrap_or(columns);
        let last = last.unwrap_or(columns).max(first);
        window(&pieces, first..last, from > line.start, to < line.end)
    }
}

/// Cuts a long line to a window in which the underlined part starts.
fn window(pieces: &[(char, usize)], underline: Range<usize>, before: bool, after: bool) -> Shown {
    let total: usize = pieces.iter().map(|(_, width)| width).sum();
    let skip = if total <= WINDOW { 0 } else { underline.start.saturating_sub(WINDOW / 3) };
    let mut text = String::new();
    if before || skip > 0 {
        text.push('…');
    }
    let lead = usize::from(before || skip > 0);
    let mut column = 0;
    let mut skipped = None;
    let mut cut = after;
    for (c, width) in pieces {
        if column >= skip {
            let skipped = *skipped.get_or_insert(column);
            if column - skipped + width > WINDOW {
                cut = true;
                break;
            }
            if *c == '\t' { text.push_str("    ") } else { text.push(*c) }
        }
        column += width;
    }
    if cut {
        text.push('…');
    }
    let skipped = skipped.unwrap_or(0);
    let start = lead + underline.start.saturating_sub(skipped);
    let end = (lead + underline.end.saturating_sub(skipped)).min(lead + WINDOW);
    Shown { text, underline: start..end.max(start) }
}

/// What to hide, as ranges of the file that meet the text at `from`.
fn masks(source: &Source, text: &str, from: usize) -> Vec<Range<usize>> {
    let mut masks: Vec<Range<usize>> =
        mask::in_line(text).into_iter().map(|range| from + range.start..from + range.end).collect();
    for span in source.masks() {
        let (start, end) = (span.start as usize, span.end as usize);
        if start >= from + text.len() || end <= from || end <= start {
            continue;
        }
        // The quotes stay where they can be seen, so that the line still reads as what it is.
        let quoted = |at: usize| matches!(source.text().as_bytes().get(at), Some(b'"' | b'\''));
        let inner = if quoted(start) && quoted(end - 1) && end - start > 2 { start + 1..end - 1 } else { start..end };
        masks.push(inner);
    }
    masks.sort_by_key(|mask| mask.start);
    let mut merged: Vec<Range<usize>> = Vec::new();
    for mask in masks {
        match merged.last_mut() {
            Some(last) if mask.start <= last.end => last.end = last.end.max(mask.end),
            _ => merged.push(mask),
        }
    }
    merged
}

/// The character to show, and the columns it takes. Close enough for the scripts people write configurations in.
fn seen_as(c: char) -> (char, usize) {
    match c {
        '\t' => ('\t', 4),
        c if c.is_control() => ('\u{fffd}', 1),
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => ('\u{fffd}', 1),
        '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200d}' | '\u{fe00}'..='\u{fe0f}' => (c, 0),
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => (c, 2),
        c => (c, 1),
    }
}

/// A message may quote foreign text: names of keys, of files.
fn tame(text: &str) -> String {
    let mut tame: String = text.chars().take(1000).map(|c| if c == '\t' { ' ' } else { seen_as(c).0 }).collect();
    if text.chars().nth(1000).is_some() {
        tame.push('…');
    }
    tame
}
