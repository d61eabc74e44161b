//! The exceptions of a cause as events.
//!
//! X-Ray has a stack as a list of frames, innermost first; a span has a text as its language prints it. Which language it is
//! the segment's SDK says; where that is not known, it is written as Java's.

use std::fmt::Write as _;

use suiro_record::{Assembly, EditError, Key, Kind, NodeRef, Piece};

use super::map::LazyMap;

type Result<T> = std::result::Result<T, EditError>;

/// What prints the stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Language {
    #[default]
    Java,
    Python,
    Node,
    DotNet,
    Go,
    Ruby,
}

/// One frame.
struct Frame<'d> {
    path: std::borrow::Cow<'d, str>,
    line: i64,
    label: std::borrow::Cow<'d, str>,
}

// === impl Language ===

impl Language {
    /// That of an SDK: `X-Ray for Python`.
    pub(crate) fn of_sdk(sdk: &str) -> Option<Language> {
        let name = sdk.rsplit_once(" for ")?.1;
        let known = [
            ("java", Language::Java),
            ("python", Language::Python),
            ("node.js", Language::Node),
            ("nodejs", Language::Node),
            (".net", Language::DotNet),
            (".net core", Language::DotNet),
            ("dotnet", Language::DotNet),
            ("go", Language::Go),
            ("ruby", Language::Ruby),
        ];
        known.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, language)| language)
    }

    /// As `telemetry.sdk.language` has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Language::Java => "java",
            Language::Python => "python",
            Language::Node => "nodejs",
            Language::DotNet => "dotnet",
            Language::Go => "go",
            Language::Ruby => "ruby",
        }
    }

    fn print(self, kind: &str, message: &str, frames: &[Frame<'_>]) -> String {
        let mut text = String::new();
        let separator = if kind.is_empty() || message.is_empty() { "" } else { ": " };
        let headline = format!("{kind}{separator}{message}");
        // Python's most recent call is the last.
        if self == Language::Python {
            text.push_str("Traceback (most recent call last):\n");
            for Frame { path, line, label } in frames.iter().rev() {
                let _ = writeln!(text, "  File \"{path}\", line {line}, in {label}");
            }
            text.push_str(&headline);
            return text;
        }
        text.push_str(&headline);
        for Frame { path, line, label } in frames {
            let _ = match self {
                Language::Java | Language::Python => write!(text, "\n\tat {label}({path}:{line})"),
                // X-Ray knows no column.
                Language::Node => write!(text, "\n    at {label} ({path}:{line}:0)"),
                Language::DotNet => write!(text, "\n   at {label} in {path}:line {line}"),
                Language::Go => write!(text, "\n{label}\n\t{path}:{line}"),
                Language::Ruby => write!(text, "\n\tfrom {path}:{line}:in `{label}'"),
            };
        }
        text
    }
}

/// The exceptions there are.
pub(crate) fn of<'d>(cause: NodeRef<'d>) -> impl Iterator<Item = NodeRef<'d>> {
    let lists = cause.children().filter(|member| member.key() == Some("exceptions") && member.kind() == Kind::Array);
    lists.flat_map(NodeRef::children).filter(|exception| exception.kind() == Kind::Object)
}

/// What the first exception says, for the status.
pub(crate) fn message<'d>(cause: NodeRef<'d>) -> Option<std::borrow::Cow<'d, str>> {
    let message = of(cause).next()?.children().find(|member| member.key() == Some("message"))?;
    message.as_str()
}

/// Writes `events`. X-Ray knows no time of an exception: it is `time`.
pub(crate) fn write(record: &mut Assembly<'_>, cause: NodeRef<'_>, language: Language, time: i64) -> Result<()> {
    if of(cause).next().is_none() {
        return Ok(());
    }
    record.open_list(Key::Name("events"))?;
    for exception in of(cause) {
        record.open_map(Key::Item)?;
        record.put(Key::Name("time"), Piece::Int(time))?;
        record.put_text(Key::Name("name"), "exception")?;
        attributes(record, exception, language)?;
        record.close();
    }
    record.close();
    Ok(())
}

fn attributes(record: &mut Assembly<'_>, exception: NodeRef<'_>, language: Language) -> Result<()> {
    let mut map = LazyMap::new(record, "attributes");
    let (mut kind, mut message, mut stack) = (None, None, None);
    for member in exception.children() {
        match member.key().unwrap_or_default() {
            "type" => kind = Some(member),
            "message" => message = Some(member),
            "stack" if member.kind() == Kind::Array => stack = Some(member),
            // `id`, `remote`, `truncated`, `skipped`, `cause`
            _ => map.rest("aws.xray.exception.", member)?,
        }
    }
    for (key, member) in [("exception.type", kind), ("exception.message", message)] {
        if let Some(member) = member {
            map.value(key, member)?;
        }
    }
    if let Some(stack) = stack {
        let frames: Vec<Frame<'_>> = stack.children().map(Frame::read).collect();
        let text = |member: Option<NodeRef<'_>>| member.and_then(NodeRef::as_str).unwrap_or_default().into_owned();
        map.text("exception.stacktrace", &language.print(&text(kind), &text(message), &frames))?;
    }
    map.close();
    Ok(())
}

// === impl Frame ===

impl<'d> Frame<'d> {
    fn read(frame: NodeRef<'d>) -> Frame<'d> {
        let mut read = Frame { path: "".into(), line: 0, label: "".into() };
        for member in frame.children() {
            match member.key().unwrap_or_default() {
                "path" => read.path = member.as_str().unwrap_or_default(),
                "label" => read.label = member.as_str().unwrap_or_default(),
                "line" => read.line = member.as_i64().unwrap_or(0),
                _ => {}
            }
        }
        read
    }
}
