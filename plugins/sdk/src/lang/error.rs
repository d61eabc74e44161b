//! What is wrong with an expression, and where.

use std::borrow::Cow;

use nom::error::{ErrorKind, ParseError};

/// Why a text is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LangError {
    /// Byte offset of the trouble.
    pub at: usize,
    /// Its length in bytes; may be 0 at the end of the text.
    pub len: usize,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What to do about it; may be empty.
    pub help: String,
}

/// The same while parsing: `rest` is the input from the trouble on.
#[derive(Clone, Debug)]
pub(super) struct Trouble<'a> {
    rest: &'a str,
    len: usize,
    message: Cow<'static, str>,
    help: Cow<'static, str>,
}

pub(super) type Parsed<'a, T> = nom::IResult<&'a str, T, Trouble<'a>>;

// === impl LangError ===

impl LangError {
    pub(super) fn new(at: usize, len: usize, message: impl Into<String>, help: impl Into<String>) -> Self {
        LangError { at, len, message: message.into(), help: help.into() }
    }
}

// === impl Trouble ===

impl<'a> Trouble<'a> {
    /// Trouble with the first `len` bytes of `rest`.
    pub(super) fn new(
        rest: &'a str,
        len: usize,
        message: impl Into<Cow<'static, str>>,
        help: impl Into<Cow<'static, str>>,
    ) -> Self {
        Trouble { rest, len, message: message.into(), help: help.into() }
    }

    /// The end of parsing: no other branch is tried.
    pub(super) fn fatal<T>(self) -> Parsed<'a, T> {
        Err(nom::Err::Failure(self))
    }

    /// What it is in the text it was found in.
    pub(super) fn within(self, whole: &str) -> LangError {
        let at = whole.len().saturating_sub(self.rest.len());
        LangError { at, len: self.len.min(self.rest.len()), message: self.message.into(), help: self.help.into() }
    }
}

impl<'a> ParseError<&'a str> for Trouble<'a> {
    fn from_error_kind(rest: &'a str, _: ErrorKind) -> Self {
        let len = rest.chars().next().map_or(0, char::len_utf8);
        Trouble::new(rest, len, if rest.is_empty() { "something is missing here" } else { "this can't stand here" }, "")
    }

    fn append(_: &'a str, _: ErrorKind, other: Self) -> Self {
        other
    }

    /// Of two branches, the one that came further knows more.
    fn or(self, other: Self) -> Self {
        if self.rest.len() < other.rest.len() { self } else { other }
    }
}

/// The error of a whole text.
pub(super) fn finish<T>(whole: &str, result: Result<T, nom::Err<Trouble<'_>>>) -> Result<T, LangError> {
    result.map_err(|error| match error {
        nom::Err::Error(trouble) | nom::Err::Failure(trouble) => trouble.within(whole),
        nom::Err::Incomplete(_) => LangError::new(whole.len(), 0, "something is missing here", ""),
    })
}
