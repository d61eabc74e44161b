//! The small languages of the configuration: conditions, templates, globs.
//!
//! All of them are parsed once, when the configuration is read, into trees that hold the paths they ask for. Where records
//! flow they are *prepared* once per batch, which resolves those paths, and then cost look-ups and comparisons per
//! record. None of them can be made to run long by a record: evaluation is linear in the text of the expression and in
//! the record.
//!
//! | type | setting | example |
//! | --- | --- | --- |
//! | [`Condition`] | `when` | `level == "debug" or path in ["/healthz", "/readyz"]` |
//! | [`Template`] | a text with fields in it | `app.{@file.name}`, `{@time:%Y.%m.%d}` |
//! | [`Destination`] | a template that chooses where records go | `logs-{service}` |
//! | [`TagMatch`] | `match` | `["kube.*", "!kube.debug.*"]` |
//! | [`Glob`] | one pattern of an allow-list | `team-*` |

pub mod check;
mod condition;
mod destination;
mod error;
mod glob;
mod settings;
mod tag_match;
mod template;

pub use self::check::Check;
pub use self::condition::{Condition, ConditionPrepared};
pub use self::destination::{Destination, DestinationPrepared, OnMissing, Refusal};
pub use self::error::LangError;
pub use self::glob::Glob;
pub use self::tag_match::TagMatch;
pub use self::template::{Missing, Template, TemplatePrepared};
