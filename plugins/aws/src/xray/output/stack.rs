//! Stack traces as languages print them, as frames.
//!
//! | `telemetry.sdk.language` | a frame |
//! | --- | --- |
//! | `java`, `php` | `\tat loader/class.method(File.java:12)` |
//! | `python` | `  File "path", line 12, in function`; printed the innermost last |
//! | `javascript`, `nodejs`, `webjs` | `    at function (path:12:3)`, `    at path:12:3` |
//! | `dotnet` | `   at Class.Method(...) in path:line 12` |
//! | `go` | `function(...)`, and on the next line `\tpath:12 +0x1d` |
//! | others | each line is the label of a frame |
//!
//! Java's and Python's tell of the exceptions that caused it, too.

use std::borrow::Cow;

/// Frames of an exception that are looked at: no more fit into a document.
const MAX_FRAMES: usize = 1500;
/// Exceptions of one text: of a longer chain, the end is left out.
const MAX_CHAIN: usize = 50;

/// Where an exception was thrown, or passed through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Frame<'t> {
    pub(super) path: &'t str,
    /// 0: not known.
    pub(super) line: u32,
    pub(super) label: &'t str,
}

/// An exception's frames, the innermost first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Frames<'t> {
    pub(super) kept: Vec<Frame<'t>>,
    /// How many there were beside.
    pub(super) more: usize,
}

/// An exception that caused the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reason<'t> {
    pub(super) kind: &'t str,
    pub(super) message: Cow<'t, str>,
    pub(super) frames: Frames<'t>,
}

/// How a stack trace is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Language {
    Java,
    Python,
    JavaScript,
    DotNet,
    Go,
    #[default]
    Other,
}

// === impl Language ===

impl Language {
    /// By `telemetry.sdk.language`.
    pub(super) fn of(name: &str) -> Language {
        match name {
            "java" | "php" => Language::Java,
            "python" => Language::Python,
            "javascript" | "nodejs" | "webjs" => Language::JavaScript,
            "dotnet" => Language::DotNet,
            "go" => Language::Go,
            _ => Language::Other,
        }
    }

    /// An exception's frames, and the chain of those that caused it.
    pub(super) fn parse(self, text: &str) -> (Frames<'_>, Vec<Reason<'_>>) {
        match self {
            Language::Java => java(text),
            Language::Python => python(text),
            Language::JavaScript => (text.lines().skip(1).filter_map(javascript_frame).collect(), Vec::new()),
            Language::DotNet => (text.lines().skip(1).filter_map(dotnet_frame).collect(), Vec::new()),
            Language::Go => (go(text), Vec::new()),
            Language::Other => {
                let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
                (lines.map(|label| Frame { label, ..Frame::default() }).collect(), Vec::new())
            }
        }
    }
}

// === impl Frames ===

impl<'t> Frames<'t> {
    fn push(&mut self, frame: Frame<'t>) {
        if self.kept.len() < MAX_FRAMES {
            self.kept.push(frame);
        } else {
            self.more += 1;
        }
    }
}

impl<'t> FromIterator<Frame<'t>> for Frames<'t> {
    fn from_iter<I: IntoIterator<Item = Frame<'t>>>(frames: I) -> Self {
        let mut all = Frames::default();
        frames.into_iter().for_each(|frame| all.push(frame));
        all
    }
}

/// The first line says what the span's event says already.
fn java(text: &str) -> (Frames<'_>, Vec<Reason<'_>>) {
    let mut first = Frames::default();
    let mut chain: Vec<Reason<'_>> = Vec::new();
    let mut in_message = false;
    for line in text.lines().skip(1) {
        if let Some(frame) = java_frame(line) {
            in_message = false;
            chain.last_mut().map_or(&mut first, |reason| &mut reason.frames).push(frame);
        } else if let Some(what) = line.strip_prefix("Caused by: ") {
            if chain.len() == MAX_CHAIN {
                break;
            }
            let (kind, message) = what.split_once(':').unwrap_or((what, ""));
            chain.push(Reason { kind, message: message.trim_start().into(), frames: Frames::default() });
            in_message = true;
        } else if let Some(reason) = chain.last_mut().filter(|_| in_message) {
            // "... 5 more" comes behind frames: this is a message of several lines.
            let message = reason.message.to_mut();
            message.push('\n');
            message.push_str(line);
        }
    }
    (first, chain)
}

fn java_frame(line: &str) -> Option<Frame<'_>> {
    let (label, place) = line.strip_prefix("\tat ")?.strip_suffix(')')?.split_once('(')?;
    // A class loader or a module may stand in front.
    let label = label.split_once('/').map_or(label, |(_, label)| label);
    let (path, number) = place.split_once(':').unwrap_or((place, ""));
    Some(Frame { path, line: number.parse().unwrap_or(0), label })
}

/// What Python prints between an exception and the one that came of it.
const PYTHON_LINKS: [&str; 2] = [
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
];

fn python(text: &str) -> (Frames<'_>, Vec<Reason<'_>>) {
    // Every traceback of the text as a range of it; the last is the exception's own.
    let mut blocks = Vec::new();
    let (mut from, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        if PYTHON_LINKS.iter().any(|link| line.starts_with(link)) {
            blocks.push(&text[from..at]);
            from = at + line.len();
        }
        at += line.len();
    }
    let first = python_frames(&text[from..]);
    let chain = blocks.into_iter().rev().take(MAX_CHAIN).filter_map(|block| {
        let told = python_told(block)?;
        let (kind, message) = told.split_once(':').unwrap_or((told, ""));
        Some(Reason { kind, message: message.trim_start().into(), frames: python_frames(block) })
    });
    (first, chain.collect())
}

fn python_frames(block: &str) -> Frames<'_> {
    block.lines().rev().filter_map(python_frame).collect()
}

fn python_frame(line: &str) -> Option<Frame<'_>> {
    let rest = line.strip_prefix("  File \"")?;
    let (path, rest) = rest.split_once("\", line ")?;
    let (number, label) = rest.split_once(", in ").unwrap_or((rest, ""));
    Some(Frame { path, line: number.trim().parse().unwrap_or(0), label })
}

/// `Type: message` behind the frames: from the first line that is not indented.
fn python_told(block: &str) -> Option<&str> {
    let last = block.rfind("  File \"")?;
    let rest = &block[last..];
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        if !line.starts_with([' ', '\n', '\r']) {
            return Some(rest[at..].trim_end());
        }
        at += line.len();
    }
    None
}

fn javascript_frame(line: &str) -> Option<Frame<'_>> {
    let what = line.strip_prefix("    at ")?;
    let (label, place) = match what.strip_suffix(')').and_then(|what| what.split_once('(')) {
        Some((label, place)) => (label.trim_end(), place),
        None => ("", what.strip_prefix("async ").unwrap_or(what)),
    };
    // `path:line:column`, and a path may have colons.
    let numbered = place.rsplit_once(':').and_then(|(rest, column)| {
        column.parse::<u32>().ok()?;
        let (path, line) = rest.rsplit_once(':')?;
        Some((path, line.parse().ok()?))
    });
    let (path, line) = numbered.unwrap_or((place, 0));
    Some(Frame { path, line, label })
}

fn dotnet_frame(line: &str) -> Option<Frame<'_>> {
    let what = line.trim().strip_prefix("at ")?;
    let Some((label, place)) = what.split_once(" in ") else {
        let end = what.rfind(')')? + 1;
        return Some(Frame { label: &what[..end], ..Frame::default() });
    };
    let (path, line) = place.rsplit_once(":line ").unwrap_or((place, ""));
    Some(Frame { path, line: line.trim().parse().unwrap_or(0), label })
}

fn go(text: &str) -> Frames<'_> {
    let mut frames = Frames::default();
    let mut label = "";
    for line in text.lines() {
        match line.strip_prefix('\t') {
            Some(place) => {
                let place = place.split(' ').next().unwrap_or_default();
                let (path, line) = place.rsplit_once(':').unwrap_or((place, ""));
                frames.push(Frame { path, line: line.parse().unwrap_or(0), label });
                label = "";
            }
            None => label = line,
        }
    }
    frames
}
