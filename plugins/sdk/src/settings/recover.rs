//! Syntax errors, each said once, and the rest of the file read in spite of them.
//!
//! The parser goes on after an error, but what it makes of the text after it is guesswork, and one bracket that isn't
//! closed brings an error for each line that follows. So the first error of each statement is believed, the statement is
//! blanked out (spaces, so that places stay), and the text is parsed again until nothing but good statements is left.
//! What a file without errors costs is one parse.

use std::ops::Range;

use super::mask;

/// An error of the parser, or one of ours in its stead.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) at: Range<usize>,
    pub(super) message: String,
    pub(super) help: String,
}

/// One `key = value` or one header, without the line end. What precedes it (blanks, comments) belongs to none.
#[derive(Debug, PartialEq, Eq)]
struct Statement {
    range: Range<usize>,
    header: bool,
    /// What was opened and never closed, so that the statement reaches to the end of the text.
    runaway: Option<Runaway>,
}

#[derive(Debug, PartialEq, Eq)]
struct Runaway {
    open: usize,
    what: &'static str,
}

/// True for mistakes after which the tree is still good: the parser keeps the first of two keys, and takes an unquoted
/// word for the string it was meant to be.
pub(super) fn is_harmless(message: &str) -> bool {
    message.starts_with("duplicate key")
        || message.starts_with("cannot extend value")
        || message.starts_with("string values must be quoted")
}

/// What comes of a round.
pub(super) struct Round {
    /// To report.
    pub(super) errors: Vec<SyntaxError>,
    /// The text without the statements these are in.
    pub(super) text: String,
    /// Ranges not to show: values, possibly of several lines, whose keys are those of secrets.
    pub(super) masks: Vec<Range<usize>>,
}

/// Takes what the parser said about `text`.
pub(super) fn blank_out(text: &str, errors: &[(Range<usize>, String)]) -> Round {
    let statements = statements(text);
    let mut sorted: Vec<&(Range<usize>, String)> = errors.iter().collect();
    sorted.sort_by_key(|(at, _)| at.start);
    let mut reported = Vec::new();
    let mut blank: Vec<Range<usize>> = Vec::new();
    let mut masks = Vec::new();
    for (at, message) in sorted {
        if blank.last().is_some_and(|last| at.start <= last.end) {
            continue;
        }
        let index = statements.partition_point(|statement| statement.range.start <= at.start);
        let statement = index.checked_sub(1).map(|index| &statements[index]).filter(|s| at.start <= s.range.end);
        masks.extend(statement.and_then(|statement| secret_value(text, &statement.range)));
        match statement {
            Some(Statement { range, runaway: Some(runaway), .. }) => {
                let end = resume(text, runaway).unwrap_or(range.end);
                reported.push(SyntaxError {
                    at: runaway.open..runaway.open + runaway.what.len(),
                    message: format!("this `{}` is never closed", runaway.what),
                    help: String::new(),
                });
                blank.push(range.start..end);
                // What follows is judged in the next round, without what swallowed it.
                break;
            }
            Some(statement) => {
                reported.push(reworded(text, at.clone(), message));
                let end = if statement.header { block_end(text, &statements[index..]) } else { statement.range.end };
                blank.push(statement.range.start..end);
            }
            None => {
                reported.push(reworded(text, at.clone(), message));
                let start = text[..at.start].rfind('\n').map_or(0, |newline| newline + 1);
                let end = text[at.start..].find('\n').map_or(text.len(), |newline| at.start + newline);
                blank.push(start..end);
            }
        }
    }
    Round { errors: reported, text: blanked(text, &blank), masks }
}

/// The value of a statement whose key is that of a secret.
fn secret_value(text: &str, statement: &Range<usize>) -> Option<Range<usize>> {
    let (key, value) = text[statement.clone()].split_once('=')?;
    let value = statement.end - value.trim_start().len();
    mask::is_secret_name(key).then_some(value..statement.end)
}

/// The parser's words in those of the house.
pub(super) fn reworded(text: &str, at: Range<usize>, message: &str) -> SyntaxError {
    let found = text.get(at.clone()).unwrap_or_default();
    let (message, help) = if message.starts_with("string values must be quoted") {
        let help = match found {
            "" => String::new(),
            _ if is_masked(text, &at) => "write it between quotes".to_owned(),
            word => format!("write \"{word}\""),
        };
        ("a string must be quoted".to_owned(), help)
    } else if message.starts_with("key with no value") {
        ("`=` and a value are expected after the key".to_owned(), String::new())
    } else if message.starts_with("unclosed array table") {
        ("the header is never closed: `]]` is expected".to_owned(), String::new())
    } else if message.starts_with("unclosed table") {
        ("the header is never closed: `]` is expected".to_owned(), String::new())
    } else if message.starts_with("duplicate key") {
        (format!("`{found}` is set twice"), String::new())
    } else if message.starts_with("invalid basic string, expected `\"`") {
        ("the string is never closed: `\"` is expected before the end of the line".to_owned(), String::new())
    } else if message.starts_with("invalid literal string, expected `'`") {
        ("the string is never closed: `'` is expected before the end of the line".to_owned(), String::new())
    } else if message.starts_with("missing escaped value") {
        let help = "in a string with \" a backslash must be written `\\\\`; in one with ' it is written as it is";
        ("this isn't an escape".to_owned(), help.to_owned())
    } else {
        (message.to_owned(), String::new())
    };
    SyntaxError { at, message, help }
}

/// True if the place is hidden when its line is shown: help must not tell it.
fn is_masked(text: &str, at: &Range<usize>) -> bool {
    let start = text[..at.start].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    mask::in_line(line).iter().any(|mask| start + mask.start < at.end && at.start < start + mask.end)
}

fn blanked(text: &str, ranges: &[Range<usize>]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for range in ranges {
        for byte in &mut bytes[range.clone()] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }
    // Ranges start and end at ASCII characters or the ends of the text, so this replaces nothing.
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// A header that can't be read takes its whole block with it, tables inside included: to the next header without a dot.
fn block_end(text: &str, following: &[Statement]) -> usize {
    let next = following.iter().find(|statement| statement.header && !text[statement.range.clone()].contains('.'));
    next.map_or(text.len(), |statement| statement.range.start)
}

/// Where a statement that is never closed was probably meant to end: before the next line that looks like another.
fn resume(text: &str, runaway: &Runaway) -> Option<usize> {
    let first = runaway.open + text[runaway.open..].find('\n')? + 1;
    let mut at = first;
    for line in text[first..].split_inclusive('\n') {
        let found = match runaway.what {
            "[" => looks_like_header(line) || looks_like_key(line),
            "{" => looks_like_header(line),
            // The inside of a string is anything.
            _ => false,
        };
        if found {
            return Some(at);
        }
        at += line.len();
    }
    None
}

fn looks_like_header(line: &str) -> bool {
    let line = line.trim();
    let inner = line.strip_prefix("[[").and_then(|rest| rest.split_once("]]"));
    let inner = inner.or_else(|| line.strip_prefix('[').and_then(|rest| rest.split_once(']')));
    inner.is_some_and(|(name, after)| is_name(name) && (after.trim().is_empty() || after.trim().starts_with('#')))
}

fn looks_like_key(line: &str) -> bool {
    line.split_once('=').is_some_and(|(name, _)| is_name(name))
}

fn is_name(text: &str) -> bool {
    let text = text.trim();
    text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}

// === statements ===

fn statements(text: &str) -> Vec<Statement> {
    let bytes = text.as_bytes();
    let mut statements = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b' ' | b'\t' | b'\r' | b'\n' => at += 1,
            b'#' => at = line_end(bytes, at),
            b'[' => {
                let end = line_end(bytes, at);
                statements.push(Statement { range: at..end, header: true, runaway: None });
                at = end;
            }
            _ => {
                let (end, runaway) = key_value(bytes, at);
                statements.push(Statement { range: at..end, header: false, runaway });
                at = end;
            }
        }
    }
    statements
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |newline| at + newline)
}

/// The end of the statement at `at`: its line's, unless brackets or a string of several lines are open there.
fn key_value(bytes: &[u8], mut at: usize) -> (usize, Option<Runaway>) {
    let mut open: Vec<usize> = Vec::new();
    while at < bytes.len() {
        match bytes[at] {
            b'\n' if open.is_empty() => return (at, None),
            b'#' => at = line_end(bytes, at),
            quote @ (b'"' | b'\'') => {
                let triple = [quote; 3];
                if bytes[at..].starts_with(&triple) {
                    match string_end(bytes, at + 3, &triple, false) {
                        Some(end) => at = end,
                        None => {
                            let what = if quote == b'"' { "\"\"\"" } else { "'''" };
                            return (bytes.len(), Some(Runaway { open: at, what }));
                        }
                    }
                } else {
                    at = string_end(bytes, at + 1, &[quote], true).unwrap_or_else(|| line_end(bytes, at));
                }
            }
            b'[' | b'{' => {
                open.push(at);
                at += 1;
            }
            close @ (b']' | b'}') => {
                // `]` and `}` are two after their opening brackets in ASCII.
                if open.last().is_some_and(|open| bytes[*open] + 2 == close) {
                    open.pop();
                }
                at += 1;
            }
            _ => at += 1,
        }
    }
    let runaway = open.last().map(|at| Runaway { open: *at, what: if bytes[*at] == b'[' { "[" } else { "{" } });
    (bytes.len(), runaway)
}

/// The end of a string whose inside starts at `at`, after its quotes.
fn string_end(bytes: &[u8], mut at: usize, quotes: &[u8], one_line: bool) -> Option<usize> {
    while at < bytes.len() {
        match bytes[at] {
            b'\n' if one_line => return None,
            b'\\' if quotes[0] == b'"' => at += 2,
            _ if bytes[at..].starts_with(quotes) => {
                // A string of several lines may end with quotes of its own.
                let run = bytes[at..].iter().take(5).take_while(|b| **b == quotes[0]).count();
                return Some(at + if quotes.len() == 3 { run } else { 1 });
            }
            _ => at += 1,
        }
    }
    None
}
