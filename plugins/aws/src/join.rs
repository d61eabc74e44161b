//! Several requests of one delivery: one outcome.

use suiro_sdk::http::{set_apart, verdicts};
use suiro_sdk::{Outcome, Verdict};

/// A request that got its answer: the records it carried, by number, and what becomes of them.
pub(crate) type Answered = (Vec<usize>, Outcome);

/// Joins what was decided about some records before sending (`apart`) with what became of the others.
pub(crate) fn join(mut apart: Vec<(usize, Verdict)>, mut answered: Vec<Answered>) -> Outcome {
    apart.sort_by_key(|(number, _)| *number);
    if answered.len() == 1
        && let Some((numbers, outcome)) = answered.pop()
    {
        return set_apart(apart, &numbers, outcome);
    }
    let mut all = apart;
    for (numbers, outcome) in answered {
        all.extend(verdicts(&numbers, outcome));
    }
    all.sort_by_key(|(number, _)| *number);
    if all.is_empty() { Outcome::Delivered } else { Outcome::Partial(all) }
}
