//! Settings: a plugin's view on its table of the configuration, and everything that is wrong with it said at once.
//!
//! # Design
//!
//! The file is parsed into a tree in which each key and value knows its place. A plugin gets a [`Section`], asks for its
//! settings by name, and goes on after a mistake: each is reported to the shared [`Diagnostics`] where it stands, and
//! `finish` reports the settings nobody asked for. Only then does the plugin unpack what it read:
//!
//! ```
//! use std::time::Duration;
//! use suiro_sdk::settings::{Reported, Secret, Section};
//!
//! struct Loki { url: String, labels: Vec<(String, String)>, timeout: Duration, token: Option<Secret> }
//!
//! fn read(settings: &Section) -> Result<Loki, Reported> {
//!     let url = settings.require("url", r#""http://127.0.0.1:3100""#);
//!     let labels = settings.map("labels");
//!     let timeout = settings.or("timeout", Duration::from_secs(30));
//!     let token = settings.get("token");
//!     settings.finish()?; // a `?` before this line would hide the mistakes after it
//!     Ok(Loki { url: url?, labels, timeout, token })
//! }
//!
//! # let (section, diagnostics) = Section::from_text("[[output]] loki", "urll = 'x'\ntimeout = 5");
//! # assert!(read(&section).is_err());
//! # assert_eq!(diagnostics.errors(), 2);
//! ```
//!
//! There is no serde in this: it stops at the first error, and loses places where `type` chooses what is read.
//!
//! Everything here is bounded: the file by [`MAX_FILE_BYTES`], nesting by 32, what is kept of the reports by
//! [`MAX_KEPT`], a line shown by a window around its mistake. Values of secrets are masked wherever a line is shown.

mod address;
mod block;
mod diagnostic;
mod expand;
mod literal;
mod mask;
mod nearest;
mod node;
mod parse;
mod pattern;
mod quantity;
mod recover;
mod render;
mod scalar;
mod secret;
mod section;
mod source;
mod value;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use self::diagnostic::{Diagnostic, Diagnostics, Level, MAX_KEPT, Reported};
pub use self::nearest::{enumerate, nearest};
pub use self::parse::parse;
pub use self::quantity::{ByteSize, Quantity};
pub use self::secret::Secret;
pub use self::section::Section;
pub use self::source::{MAX_FILE_BYTES, Place, Source};
pub use self::value::{Data, Entry, Value};

/// Where `${VAR}` and `{ env = "VAR" }` look. A closure, so that tests touch no process environment.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// A type that can be read from a value of the configuration.
///
/// Implementations report what is wrong through the value (`value.expected`, `value.error`, `value.error_in_string`) and
/// return the [`Reported`] that gives them. They never show the content of a secret.
pub trait Setting: Sized {
    /// Reads it, or reports why it can't be read.
    fn read(value: &Value) -> Result<Self, Reported>;
}

/// The environment of this process. A variable that isn't UTF-8 counts as not set.
pub fn process_environment() -> Environment {
    Arc::new(|name| std::env::var(name).ok())
}
