//! Filters for suiro, in Rust: a function over a record.
//!
//! ```
//! use suiro_filter::{Record, Verdict, field, filter};
//!
//! #[filter]
//! fn no_health_checks(record: &mut Record) -> Verdict {
//!     match record.str(field!("path")) {
//!         Some("/healthz" | "/readyz") => Verdict::Drop,
//!         _ => Verdict::Keep,
//!     }
//! }
//! ```
//!
//! Built for `wasm32-unknown-unknown` as a `cdylib`, this is a module that the agent runs: `type = "wasm"`,
//! `module = "no_health_checks.wasm"`. Records stay in the agent; the filter pays for the fields it looks at.
//!
//! # Settings and state
//!
//! A second parameter is the filter's state. It is made once per instance from the block's `config`, by [`Setup`]:
//!
//! ```
//! use suiro_filter::{Config, Field, Record, Result, Setup, Verdict, filter};
//!
//! struct Limit {
//!     field: Field,
//!     most: f64,
//! }
//!
//! impl Setup for Limit {
//!     fn setup(config: &Config) -> Result<Self, String> {
//!         config.only(&["field", "most"])?;
//!         let field: String = config.require("field", "\"duration\"")?;
//!         Ok(Limit {
//!             field: Field::parse(&field).map_err(|error| format!("`field`: {error}"))?,
//!             most: config.get_or("most", 1.0)?,
//!         })
//!     }
//! }
//!
//! #[filter]
//! fn slow_only(record: &mut Record, limit: &mut Limit) -> Result {
//!     let duration = record.f64(&limit.field).ok_or("no duration")?;
//!     Ok(if duration > limit.most { Verdict::Keep } else { Verdict::Drop })
//! }
//! ```
//!
//! # When something is wrong
//!
//! A filter that returns an error hands that one record to the `on_error` of its block, with the error's text as the reason.
//! A panic is a trap: the agent undoes the whole call, finds the record that did it, and goes on with the others in a fresh
//! instance. The panic's message is in the agent's log.
//!
//! # Tests
//!
//! Where the target is not WebAssembly the functions of the agent are those of [`testing`]: `cargo test` runs the same
//! code.

mod config;
mod error;
mod field;
pub mod json;
pub mod log;
mod metrics;
mod record;
mod run;
mod sys;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod texts;
mod value;

pub use config::{Config, Setting};
pub use error::{Error, Reason, Result};
pub use field::Field;
pub use metrics::{Counter, gauge};
pub use record::{Record, Walked};
pub use run::{IntoVerdict, Setup, Verdict};
/// Makes a function the filter of this module: `fn(&mut Record) -> V` or `fn(&mut Record, &mut State) -> V`, where `V` is
/// what [`IntoVerdict`] lists and `State` is what [`Setup`] makes.
pub use suiro_filter_macros::filter;
pub use value::{Kind, Kinds, Value};

/// The wall clock, nanoseconds since 1970. The same during one call of the agent.
pub fn now_ns() -> i64 {
    sys::now_ns()
}

/// 64 random bits.
pub fn random() -> u64 {
    sys::random().cast_unsigned()
}

/// For what `#[filter]` makes.
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod __private {
    pub use crate::run::instance::Instance;
}
