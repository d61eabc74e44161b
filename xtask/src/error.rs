//! The one error of this tool: it ends the command and is read by a person, so it carries words, not cases.

use std::{fmt::Display, io};

/// Why a command stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The system refused something; `what` names the file, process or address.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, and to what.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// Anything else, in a sentence.
    #[error("{0}")]
    Message(String),
}

impl From<String> for Error {
    fn from(text: String) -> Self {
        Self::Message(text)
    }
}

/// Adds what was being done to an `io::Error`.
pub(crate) trait Context<T> {
    /// Names the file, process or address the operation was about.
    fn context(self, what: impl Display) -> Result<T, Error>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, what: impl Display) -> Result<T, Error> {
        self.map_err(|source| Error::Io { what: what.to_string(), source })
    }
}
