//! `keep` and `drop`: which records go on.
//!
//! | setting | |
//! | --- | --- |
//! | `when` | the condition, required: without it, `keep` would do nothing and `drop` everything |
//!
//! `keep` lets through those for which `when` is true, `drop` those for which it is not. What goes counts as `filtered`.

use suiro_sdk::ledger::Reason;
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Filter, FilterContext, FilterFactory, Flow, Selection, Stateless};

/// `keep` or `drop`.
#[derive(Clone, Copy, Debug)]
struct Choose {
    /// What becomes of the records that are selected.
    keep: bool,
}

/// Reads the settings of `keep`.
pub fn build_keep(settings: &Section) -> Result<Box<dyn FilterFactory>, Reported> {
    build(settings, Choose { keep: true })
}

/// Reads the settings of `drop`.
pub fn build_drop(settings: &Section) -> Result<Box<dyn FilterFactory>, Reported> {
    build(settings, Choose { keep: false })
}

fn build(settings: &Section, choose: Choose) -> Result<Box<dyn FilterFactory>, Reported> {
    // The condition itself is read by the agent, as it is for every filter.
    if !settings.has("when") {
        settings.missing("when", "'level == \"debug\"'");
    }
    settings.finish()?;
    Ok(Box::new(Stateless(choose)))
}

impl Filter for Choose {
    fn apply(&mut self, flow: &mut Flow, rows: &Selection, cx: &mut FilterContext) {
        let all = &mut flow.batch.rows;
        let before = all.len();
        match rows {
            Selection::All if self.keep => {}
            Selection::All => all.clear(),
            Selection::Rows(selected) => {
                let mut selected = selected.iter();
                all.retain(|_| selected.next().is_some_and(|&selected| selected) == self.keep);
            }
        }
        cx.drop_records(Reason::FILTERED, before - all.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_kit::{Rig, fails};

    #[test]
    fn those_selected_stay_or_go() {
        let chosen = Selection::Rows(vec![true, false, true]);
        let mut keep = Rig::new(build_keep, "when = 'x'");
        let out = keep.feed_selected(&["a", "b", "c"], &chosen);
        assert_eq!(keep.take(out), ["a", "c"]);
        let mut drop = Rig::new(build_drop, "when = 'x'");
        let out = drop.feed_selected(&["a", "b", "c"], &chosen);
        assert_eq!(drop.take(out), ["b"]);
        assert_eq!(drop.totals.dropped, [(Reason::FILTERED, 2)]);
        let out = drop.feed(&["a", "b"]);
        assert!(drop.take(out).is_empty());
        let out = keep.feed(&["a", "b"]);
        assert_eq!(keep.take(out).len(), 2);
        keep.assert_settled();
        drop.assert_settled();
    }

    #[test]
    fn a_condition_is_required() {
        assert!(fails(build_keep, "").contains("missing setting `when`"));
        assert!(fails(build_drop, "wen = 'a'").contains("did you mean `when`"));
    }
}
