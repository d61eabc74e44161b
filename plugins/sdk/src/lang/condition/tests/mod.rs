//! Conditions against the law, against a naive evaluator, and against texts that are none.

mod meaning;
mod mistakes;
mod model;

use super::Condition;
use crate::lang::template::test_batch;

/// Whether `condition` is true for the record `json`.
fn is(condition: &str, json: &str) -> bool {
    let parsed = Condition::parse(condition).unwrap_or_else(|error| panic!("{condition}: {error:?}"));
    let batch = test_batch(json);
    parsed.prepare(&batch).matches(&batch, &batch.rows[0])
}
