//! Records on their way out of a call: those that stay, leave, were dropped, or failed.

use std::sync::Arc;

use suiro_record::{NewValue, Path, Row};
use suiro_sdk::reroute::Reroute;
use suiro_sdk::{FilterContext, Flow, Reason};

use crate::core::{Core, FAILED};
use crate::settings::OnError;
use crate::view::{Effects, Fate};

/// Where a record that goes on under the tag of `on_error` says why.
const REASON: &str = "@attributes.wasm_error";

/// What became of the records of a batch so far. They are told apart by their place among those the guest was given.
pub(crate) struct Sorted<'s> {
    on_error: &'s OnError,
    /// In order; a place may stand there several times, where records were made.
    staying: Vec<(usize, Row)>,
    leaving: Vec<(Arc<str>, Row)>,
    made: usize,
    dropped: usize,
    failed: Vec<(Reason, Row, Arc<str>)>,
    passed: usize,
}

// === impl Sorted ===

impl<'s> Sorted<'s> {
    pub(crate) fn new(on_error: &'s OnError) -> Sorted<'s> {
        Sorted {
            on_error,
            staying: Vec::new(),
            leaving: Vec::new(),
            made: 0,
            dropped: 0,
            failed: Vec::new(),
            passed: 0,
        }
    }

    /// Takes what a call did to the records from place `from` on.
    pub(crate) fn take(&mut self, effects: &Effects, rows: &[Row], from: usize) {
        self.made += effects.emitted();
        effects.visit(rows, |at, _, row, fate| match fate {
            Fate::Stays => self.staying.push((from + at, *row)),
            Fate::Tagged(tag) => self.leaving.push((tag.clone(), *row)),
            Fate::Dropped => self.dropped += 1,
            Fate::Failed(why) => self.fail(from + at, row, FAILED, why),
        });
    }

    /// A record that the guest could not deal with.
    pub(crate) fn fail(&mut self, at: usize, row: &Row, reason: Reason, detail: &str) {
        if *self.on_error == OnError::Pass {
            self.passed += 1;
            self.staying.push((at, *row));
        } else {
            let detail = match self.failed.last() {
                Some((_, _, last)) if **last == *detail => last.clone(),
                _ => detail.into(),
            };
            self.failed.push((reason, *row, detail));
        }
    }

    /// Sends all on their ways. `others` are all rows of the batch, and the places of those the guest was given.
    pub(crate) fn settle(
        mut self,
        flow: &mut Flow,
        others: Option<(Vec<Row>, Vec<usize>)>,
        core: &Core,
        cx: &mut FilterContext,
    ) {
        let metrics = &core.metrics;
        metrics.made.add(self.made as u64);
        metrics.dropped.add(self.dropped as u64);
        metrics.out.add((self.staying.len() + self.leaving.len()) as u64);
        cx.created += self.made;
        cx.failed += self.passed;
        cx.drop_records(Reason::FILTERED, self.dropped);
        let mut reroute = Reroute::default();
        self.fail_all(flow, &mut reroute, cx);
        let staying = std::mem::take(&mut self.staying);
        let mut rows = Vec::with_capacity(staying.len());
        let mut staying = staying.into_iter().peekable();
        // A tag that is one too many: those records stay, at the end.
        let mut late = Vec::new();
        for (tag, row) in &self.leaving {
            if !reroute.add(tag, row) {
                late.push(*row);
                cx.failed += 1;
            }
        }
        match others {
            None => rows.extend(staying.map(|(_, row)| row)),
            Some((all, positions)) => {
                let mut positions = positions.into_iter().enumerate().peekable();
                for (at, row) in all.into_iter().enumerate() {
                    let Some((place, _)) = positions.next_if(|(_, position)| *position == at) else {
                        rows.push(row);
                        continue;
                    };
                    while let Some((_, row)) = staying.next_if(|(own, _)| *own == place) {
                        rows.push(row);
                    }
                }
            }
        }
        rows.extend(late);
        if reroute.is_empty() {
            flow.batch.rows = rows;
        } else {
            reroute.leave(flow, rows, cx);
        }
    }

    /// What `on_error` says.
    fn fail_all(&mut self, flow: &mut Flow, reroute: &mut Reroute, cx: &mut FilterContext) {
        for (reason, row, detail) in std::mem::take(&mut self.failed) {
            match self.on_error {
                OnError::DeadLetter => cx.dead_letter(row, reason, detail),
                OnError::Drop => cx.drop_records(reason, 1),
                OnError::Tag(tag) => {
                    let row = with_reason(flow, row, reason, &detail);
                    cx.failed += 1;
                    if !reroute.add(tag, &row) {
                        // There is a group for each tag, and this one came first.
                        self.staying.push((usize::MAX, row));
                    }
                }
                // Passed on where it stood.
                OnError::Pass => {}
            }
        }
    }
}

/// The record with the reason among its attributes.
fn with_reason(flow: &mut Flow, row: Row, reason: Reason, detail: &str) -> Row {
    let Ok(path) = Path::parse(REASON) else { return row };
    let batch = &mut flow.batch;
    let rows = std::mem::replace(&mut batch.rows, vec![row]);
    // Where there is no room for the reason, the record goes without.
    let _ = batch.set(0, &path, NewValue::Str(&format!("{reason}: {detail}")));
    std::mem::replace(&mut batch.rows, rows).pop().unwrap_or(row)
}
