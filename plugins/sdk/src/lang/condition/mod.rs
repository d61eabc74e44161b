//! Conditions: what `when` asks of a record.
//!
//! ```text
//! level == "debug" or path in ["/healthz", "/readyz"]
//! http.status >= 500 and not (user_agent starts_with "kube-probe/" or @k8s.namespace.name =~ "^dev-")
//! exists(error) and number(duration) > 1.5 and tags contains "slow"
//! ```
//!
//! Left of an operator stands a field; one whose name is no plain word is quoted (`"my field" == 1`). Right of it stands a
//! text in double quotes, a number, `true`, `false`, `null`, or another field: `field(b)`, or `@tag`. A bare word there is
//! an error, as it is a text without its quotes more often than a field. `number(x)` is the number a text says, or that
//! `x` is.
//!
//! | | is true where |
//! | --- | --- |
//! | `==`, `!=` | both are equal and of one type: a text never equals a number, an integer may equal a float; `!=` is exactly `not ==` |
//! | `<`, `<=`, `>`, `>=` | both are numbers, or both texts (by code points) |
//! | `in [..]` | one of the list is equal |
//! | `contains` | a text has the other in it; a list has an equal item |
//! | `starts_with`, `ends_with` | a text begins, or ends, with the other |
//! | `=~ ".."` | a regular expression matches somewhere in a text; backslashes in it are its own |
//! | `exists(p)` | the field is there, be it `null` |
//! | `is_string(p)`, `is_number`, `is_bool`, `is_null`, `is_map`, `is_list` | it is there, and of that type |
//!
//! A comparison with a field that is absent is false. `not` binds tighter than `and`, and that tighter than `or`.
//!
//! Numbers compare exactly: integers of up to 38 digits as such, everything else as the nearest float.
//! Maps are equal if they hold equal values under the same keys, in any order.

mod eval;
mod expr;
mod grammar;
mod number;
mod token;

#[cfg(test)]
mod tests;

use smallvec::SmallVec;
use suiro_record::{Batch, Path, Resolved, Row};

use self::expr::Expr;
use super::error::LangError;
use crate::flow::Selection;

/// A parsed condition.
#[derive(Clone, Debug)]
pub struct Condition {
    text: String,
    expr: Expr,
    /// Each once; the expression names them by index.
    paths: Vec<Path>,
}

/// A condition and what its paths mean in one batch.
#[derive(Debug)]
pub struct ConditionPrepared<'c> {
    expr: &'c Expr,
    paths: SmallVec<[Resolved<'c>; 2]>,
}

// === impl Condition ===

impl Condition {
    /// Parses the whole of `text`.
    pub fn parse(text: &str) -> Result<Condition, LangError> {
        let (expr, paths) = grammar::parse(text)?;
        Ok(Condition { text: text.to_owned(), expr, paths })
    }

    /// The condition as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The fields it asks for, each once.
    pub fn paths(&self) -> &[Path] {
        &self.paths
    }

    /// Looks the paths up in `batch`. Holds until a key is added to it.
    pub fn prepare(&self, batch: &Batch) -> ConditionPrepared<'_> {
        let paths = self.paths.iter().map(|path| batch.resolve(path)).collect();
        ConditionPrepared { expr: &self.expr, paths }
    }

    /// The records of a batch for which it is true.
    pub fn select(&self, batch: &Batch) -> Selection {
        let prepared = self.prepare(batch);
        Selection::Rows(batch.rows.iter().map(|row| prepared.matches(batch, row)).collect())
    }
}

/// Equal as written.
impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Condition {}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

// === impl ConditionPrepared ===

impl ConditionPrepared<'_> {
    /// Whether it is true for a record of the batch it was prepared for.
    #[inline]
    pub fn matches(&self, batch: &Batch, row: &Row) -> bool {
        eval::matches(self.expr, &self.paths, batch, row)
    }
}
