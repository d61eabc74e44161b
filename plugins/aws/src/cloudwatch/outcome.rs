//! What both outputs make of answers and outcomes.

use suiro_sdk::{Outcome, Verdict};

/// What is told of an answer that the service did not write, but `said` this.
pub(super) fn foreign(said: &str) -> String {
    format!("{said}; this is no answer of CloudWatch's: is `endpoint` right?")
}

/// How many of these records arrived, by an outcome of the delivery.
pub(super) fn delivered(numbers: &[usize], outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Delivered => numbers.len(),
        Outcome::Partial(verdicts) => {
            let is_apart = |number| verdicts.binary_search_by_key(&number, |(number, _): &(usize, Verdict)| *number);
            numbers.iter().filter(|&&number| is_apart(number).is_err()).count()
        }
        _ => 0,
    }
}
