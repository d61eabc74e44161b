//! Which line continues the one before.
//!
//! The built-in patterns know what the traces of a language look like, and keep the line that was logged before a trace
//! together with it. In all of them an indented line continues.
//!
//! | | also continues |
//! | --- | --- |
//! | `java` | the exception (`a.b.SomeException: text`) behind a line that is no part of a trace; `Caused by:`, `Wrapped by:`, `Suppressed:`, `... 12 more` |
//! | `python` | `Traceback (most recent call last):`, the exception at its end, and what chains one trace to the next |
//! | `go` | behind `panic:`, `fatal error:` or a logged line: `goroutine 1 [running]:`, the calls, `created by`, `runtime stack:`, registers, `[signal ...`, `PC=...`, `exit status` |

use regex::bytes::Regex;

/// Says which line continues the one before. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) enum Matcher {
    /// A line that matches begins a record.
    Start(Regex),
    /// A line that matches continues.
    Continue(Regex),
    Trace(Language),
}

/// Whose traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Java,
    Python,
    Go,
}

/// Where in a record the last line was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// A line that was logged.
    #[default]
    Text,
    /// In a trace.
    Trace,
    /// Behind the exception that ends a trace.
    Ended,
}

/// The built-in patterns by name.
pub(super) const PATTERNS: [(&str, Matcher); 3] =
    [("java", Matcher::JAVA), ("python", Matcher::Trace(Language::Python)), ("go", Matcher::Trace(Language::Go))];

const TRACEBACK: &[u8] = b"Traceback (most recent call last):";
const CHAINS: [&[u8]; 2] = [b"During handling of the above exception", b"The above exception was the direct cause"];

// === impl Matcher ===

impl Matcher {
    pub(super) const JAVA: Matcher = Matcher::Trace(Language::Java);

    /// The state behind a line that begins a record.
    pub(super) fn begin(&self, line: &[u8]) -> State {
        // An indented line that begins a record is the rest of one that was cut.
        let rest = is_indented(line);
        let trace = match self {
            Matcher::Start(_) | Matcher::Continue(_) => false,
            Matcher::Trace(Language::Java | Language::Go) if rest => true,
            Matcher::Trace(Language::Java) => line.starts_with(b"Exception in thread ") || is_java_exception(line),
            Matcher::Trace(Language::Python) => {
                line.starts_with(TRACEBACK) || (rest && line.trim_ascii_start().starts_with(b"File \""))
            }
            Matcher::Trace(Language::Go) => line.starts_with(b"goroutine "),
        };
        if trace { State::Trace } else { State::Text }
    }

    /// Whether a line, which is not blank, continues the record in `state`; then `state` is that behind it.
    pub(super) fn continues(&self, state: &mut State, line: &[u8]) -> bool {
        match self {
            Matcher::Start(regex) => !regex.is_match(line),
            Matcher::Continue(regex) => regex.is_match(line),
            Matcher::Trace(language) => {
                let next = match language {
                    Language::Java => java(*state, line),
                    Language::Python => python(*state, line),
                    Language::Go => go(*state, line),
                };
                *state = next.unwrap_or(*state);
                next.is_some()
            }
        }
    }
}

fn is_indented(line: &[u8]) -> bool {
    matches!(line.first(), Some(b' ' | b'\t'))
}

fn java(state: State, line: &[u8]) -> Option<State> {
    let frame = is_indented(line)
        || line.starts_with(b"Caused by: ")
        // Of loggers that print the root cause first.
        || line.starts_with(b"Wrapped by: ")
        || line.starts_with(b"Suppressed: ")
        || (line.starts_with(b"... ") && line.ends_with(b" more"));
    // A second exception behind a trace is another event.
    (frame || (state == State::Text && is_java_exception(line))).then_some(State::Trace)
}

/// `java.lang.IllegalStateException: text`
fn is_java_exception(line: &[u8]) -> bool {
    let name = line.split(|&b| b == b':' || b.is_ascii_whitespace()).next().unwrap_or_default();
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'$') || !b.is_ascii();
    let ends = [&b"Exception"[..], b"Error", b"Throwable"];
    name.contains(&b'.') && name.iter().all(is_name) && ends.iter().any(|end| name.ends_with(end))
}

fn python(state: State, line: &[u8]) -> Option<State> {
    if line.starts_with(TRACEBACK) {
        // One behind another that was not said to be chained is another event.
        return (state != State::Ended).then_some(State::Trace);
    }
    match state {
        State::Trace if is_indented(line) => Some(State::Trace),
        // The exception itself; its message's further lines can't be told from others.
        State::Trace => Some(State::Ended),
        State::Ended if CHAINS.iter().any(|chain| line.starts_with(chain)) => Some(State::Text),
        // The traces of an exception group are indented, all of them.
        State::Text | State::Ended => is_indented(line).then_some(state),
    }
}

fn go(state: State, line: &[u8]) -> Option<State> {
    if line.starts_with(b"goroutine ") {
        return line.ends_with(b":").then_some(State::Trace);
    }
    if line == b"runtime stack:" {
        return Some(State::Trace);
    }
    let call = || {
        let name = line.split(|&b| b == b'(').next().unwrap_or_default();
        line.ends_with(b")") && name.contains(&b'.') && !name.contains(&b' ')
    };
    let more = match state {
        State::Trace => {
            is_indented(line)
                || line.starts_with(b"created by ")
                || line.starts_with(b"exit status ")
                || line.starts_with(b"...")
                || line.starts_with(b"panic(")
                || is_register(line)
                || call()
        }
        State::Text | State::Ended => {
            is_indented(line) || [&b"[signal "[..], b"PC="].iter().any(|head| line.starts_with(head))
        }
    };
    more.then_some(state)
}

/// `rax    0x0`: what is printed at the end when a signal ends the process. The values stand below each other.
fn is_register(line: &[u8]) -> bool {
    let is_word = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_alphanumeric);
    [7, 8].iter().filter_map(|&column| line.split_at_checked(column)).any(|(name, value)| {
        name.ends_with(b" ") && is_word(name.trim_ascii_end()) && value.starts_with(b"0x") && is_word(value)
    })
}
