//! What the agent answers where it can't do what it is asked.

use std::borrow::Cow;
use std::fmt;

/// Why a function of the agent did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Error {
    /// There is no such field, key, or next value.
    Absent,
    /// It is there, and is of another type.
    WrongType,
    /// A record, field or number that does not exist.
    Invalid,
    /// It exists and can't be changed: `@tag` by `set`, `@resource.x`, a dropped record.
    Denied,
    /// A limit: emitted records or bytes of this call, fields, counters, depth.
    Full,
    /// The text is not what is asked for: a path, JSON, a tag, a name.
    BadText,
}

/// Why a record can't be processed. It goes by the filter's `on_error`, with this text as the reason.
///
/// Made of an [`Error`] by `?`, or of a text: `Err("no user")?`, `Err(format!("{n} is too many"))?`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(Cow<'static, str>);

/// What fallible filters return.
pub type Result<T = crate::Verdict, E = Reason> = std::result::Result<T, E>;

// === impl Error ===

impl Error {
    fn of(code: i32) -> Error {
        match code {
            -1 => Error::Absent,
            -2 => Error::WrongType,
            -4 => Error::Denied,
            -5 => Error::Full,
            -6 => Error::BadText,
            _ => Error::Invalid,
        }
    }

    /// The number that a function returned, unless it is an error's.
    #[inline]
    pub(crate) fn check(code: i32) -> Result<usize, Error> {
        usize::try_from(code).map_err(|_| Error::of(code))
    }

    fn text(self) -> &'static str {
        match self {
            Error::Absent => "there is no such field",
            Error::WrongType => "the field is of another type",
            Error::Invalid => "no such record, field or number",
            Error::Denied => "it can't be changed",
            Error::Full => "a limit of the agent is reached",
            Error::BadText => "the text is not what is asked for: a path, JSON, a tag, a name",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for Error {}

// === impl Reason ===

impl From<Error> for Reason {
    fn from(error: Error) -> Reason {
        Reason(Cow::Borrowed(error.text()))
    }
}

impl From<&'static str> for Reason {
    fn from(text: &'static str) -> Reason {
        Reason(Cow::Borrowed(text))
    }
}

impl From<String> for Reason {
    fn from(text: String) -> Reason {
        Reason(Cow::Owned(text))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
