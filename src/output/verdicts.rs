//! What an outcome means for each record.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use suiro_sdk::ledger::add;
use suiro_sdk::{Delivery, Outcome, OutputLedger, Part, Reason, Verdict};

use super::dead_letter::{Cause, DeadLetter};
use super::former::{Charge, Formed};
use crate::queue::Queue;

/// Where outcomes are carried out.
pub(crate) struct Books<'a> {
    pub(crate) ledger: &'a OutputLedger,
    pub(crate) dead_letter: &'a DeadLetter,
    pub(crate) queue: &'a dyn Queue,
    pub(crate) max_attempts: Option<u32>,
    /// See [`suiro_sdk::Output::is_apart`].
    pub(crate) apart: bool,
}

/// What is left to do after an outcome.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    /// To be tried again, and why.
    pub(crate) again: Option<(Formed, String)>,
    /// To be tried at once, in smaller pieces.
    pub(crate) pieces: Vec<Formed>,
    /// The other side's wish.
    pub(crate) after: Option<Duration>,
    /// The other side took nothing, or wants to be left alone: hold back the rest as well.
    pub(crate) overwhelmed: bool,
    /// An operator must mend it.
    pub(crate) degraded: Option<String>,
}

/// How the records of one kind of verdict leave.
#[derive(Clone, Copy)]
enum Exit<'a> {
    Delivered,
    Dropped(Reason),
    SetAside(Cause<'a>),
    /// Delivered as far as the count goes, and kept since that may not be true of this one.
    Perhaps(Cause<'a>),
}

// === impl Books ===

impl Books<'_> {
    /// Carries `outcome` out.
    pub(crate) fn close(&self, mut formed: Formed, outcome: Outcome) -> Rest {
        formed.attempts += 1;
        match outcome {
            Outcome::Delivered => {
                self.leave_all(formed, Exit::Delivered);
                Rest::default()
            }
            Outcome::Partial(verdicts) => self.partial(formed, verdicts),
            Outcome::Retry { why, after, degraded } => {
                add(&self.ledger.retries, 1);
                let degraded = degraded.then(|| why.clone());
                if self.exhausted(&formed) {
                    let cause = Cause { reason: Reason::RETRIES_EXHAUSTED, detail: &why, ambiguous: false };
                    self.leave_all(formed, Exit::SetAside(cause));
                    return Rest { after, overwhelmed: true, degraded, ..Rest::default() };
                }
                Rest { again: Some((formed, why)), after, overwhelmed: true, degraded, ..Rest::default() }
            }
            Outcome::TooLarge if formed.delivery.len() > 1 => Rest { pieces: halves(formed), ..Rest::default() },
            Outcome::TooLarge => {
                let detail = "the server does not take this record: it is too large by itself";
                let cause = Cause { reason: Reason::TOO_LARGE, detail, ambiguous: false };
                self.leave_all(formed, Exit::SetAside(cause));
                Rest::default()
            }
            Outcome::Refused { reason, detail } => {
                self.leave_all(formed, Exit::SetAside(Cause { reason, detail: &detail, ambiguous: false }));
                Rest::default()
            }
            Outcome::Unidentified { rejected, detail } => {
                self.unidentified(formed, rejected, &detail);
                Rest::default()
            }
        }
    }

    /// A panic took the delivery: it goes to the dead letter.
    pub(crate) fn panicked(&self, formed: Formed, what: &str) {
        self.leave_all(formed, Exit::SetAside(Cause { reason: Reason::PANIC, detail: what, ambiguous: true }));
    }

    fn exhausted(&self, formed: &Formed) -> bool {
        self.max_attempts.is_some_and(|max| formed.attempts >= max)
    }

    fn partial(&self, formed: Formed, mut verdicts: Vec<(usize, Verdict)>) -> Rest {
        let exhausted = self.exhausted(&formed);
        let records = formed.delivery.len();
        let mut again = Formed { attempts: formed.attempts, ..Formed::default() };
        let mut rest = Rest::default();
        let mut why_again = None;
        let mut refused_for_now = 0;
        // Each record once, in order, whatever a plugin says.
        verdicts.sort_by_key(|(n, _)| *n);
        verdicts.dedup_by_key(|(n, _)| *n);
        let mut verdicts = verdicts.into_iter().peekable();
        let mut number = 0;
        for (mut part, charge) in formed.delivery.parts.into_iter().zip(formed.charges) {
            let end = number + part.len();
            let mut keep = Vec::new();
            let mut gone = 0;
            while let Some((n, verdict)) = verdicts.next_if(|(n, _)| *n < end) {
                let exit = match &verdict {
                    Verdict::Retry { why, after, degraded } => {
                        refused_for_now += 1;
                        rest.after = rest.after.max(*after);
                        if *degraded {
                            rest.degraded.get_or_insert_with(|| why.clone());
                        }
                        if !exhausted {
                            why_again.get_or_insert_with(|| why.clone());
                            keep.push(n - number);
                            continue;
                        }
                        Exit::SetAside(Cause { reason: Reason::RETRIES_EXHAUSTED, detail: why, ambiguous: false })
                    }
                    Verdict::Unidentified { rejected, detail } => unidentified(*rejected, detail),
                    Verdict::Refused { reason, detail } => {
                        Exit::SetAside(Cause { reason: *reason, detail, ambiguous: false })
                    }
                    Verdict::Drop(reason) => Exit::Dropped(*reason),
                };
                gone += 1;
                self.leave_one(&part, n - number, exit);
            }
            let delivered = part.len() - keep.len() - gone;
            add(&self.ledger.delivered, delivered);
            self.no_longer_in_flight(delivered + gone);
            number = end;
            if keep.is_empty() {
                self.settle(part, charge);
            } else {
                if keep.len() < part.len() {
                    part.narrow(&keep);
                }
                again.delivery.parts.push(part);
                again.charges.push(charge);
            }
        }
        rest.overwhelmed = !self.apart && (refused_for_now == records || rest.after.is_some());
        rest.again = why_again.map(|why| {
            add(&self.ledger.retries, 1);
            (again, why)
        });
        rest
    }

    fn unidentified(&self, formed: Formed, rejected: Option<usize>, detail: &str) {
        let records = formed.delivery.len();
        let rejected = rejected.unwrap_or(records);
        // Which ones nobody knows: all are kept, as many as were refused are counted.
        let each = formed.delivery.parts.iter().flat_map(|part| (0..part.len()).map(move |n| (part, n)));
        for (number, (part, n)) in each.enumerate() {
            self.leave_one(part, n, unidentified(number < rejected, detail));
        }
        self.no_longer_in_flight(records);
        self.settle_all(formed);
    }

    fn leave_all(&self, formed: Formed, exit: Exit<'_>) {
        let records = formed.delivery.len();
        match exit {
            Exit::Delivered => add(&self.ledger.delivered, records),
            _ => {
                for part in &formed.delivery.parts {
                    for n in 0..part.len() {
                        self.leave_one(part, n, exit);
                    }
                }
            }
        }
        self.no_longer_in_flight(records);
        self.settle_all(formed);
    }

    fn leave_one(&self, part: &Part, n: usize, exit: Exit<'_>) {
        match exit {
            Exit::Delivered => add(&self.ledger.delivered, 1),
            Exit::Dropped(reason) => self.ledger.dropped.add(reason, 1),
            Exit::SetAside(cause) => {
                if self.keep(part, n, cause) {
                    self.ledger.dead_lettered.add(cause.reason, 1);
                } else {
                    self.ledger.dropped.add(Reason::DEAD_LETTER_FULL, 1);
                }
            }
            Exit::Perhaps(cause) => {
                self.keep(part, n, cause);
                add(&self.ledger.delivered, 1);
            }
        }
    }

    /// Puts a record into the dead letter; says whether it is there.
    fn keep(&self, part: &Part, n: usize, cause: Cause<'_>) -> bool {
        let row = part.batch.rows.get(part.row_index(n) as usize);
        row.is_some_and(|row| self.dead_letter.put(&part.batch, row, cause))
    }

    fn no_longer_in_flight(&self, records: usize) {
        self.ledger.in_flight.fetch_sub(records as u64, Relaxed);
    }

    fn settle_all(&self, formed: Formed) {
        for (part, charge) in formed.delivery.parts.into_iter().zip(formed.charges) {
            self.settle(part, charge);
        }
    }

    fn settle(&self, part: Part, charge: Charge) {
        let Part { batch, custody, .. } = part;
        drop(batch);
        custody.settle();
        if let Some(charge) = Arc::into_inner(charge) {
            self.queue.done(charge);
        }
    }
}

/// How a record leaves that may be one of those that were refused.
fn unidentified(rejected: bool, detail: &str) -> Exit<'_> {
    let cause = Cause { reason: Reason::REJECTED_UNIDENTIFIED, detail, ambiguous: true };
    if rejected { Exit::SetAside(cause) } else { Exit::Perhaps(cause) }
}

/// Cuts a delivery in two, each of about half its records.
fn halves(formed: Formed) -> Vec<Formed> {
    let half = formed.delivery.len() / 2;
    let mut pieces = vec![Formed::default(), Formed::default()];
    let mut count = 0;
    for (mut part, charge) in formed.delivery.parts.into_iter().zip(formed.charges) {
        let len = part.len();
        let room = half.saturating_sub(count);
        count += len;
        if room >= len {
            push(&mut pieces[0], part, charge);
        } else if room == 0 {
            push(&mut pieces[1], part, charge);
        } else {
            let mut rest = part.split_off(room);
            part.narrow(&(0..room).collect::<Vec<_>>());
            rest.narrow(&(0..len - room).collect::<Vec<_>>());
            push(&mut pieces[0], part, charge.clone());
            push(&mut pieces[1], rest, charge);
        }
    }
    pieces.retain(|piece| !piece.delivery.is_empty());
    pieces
}

fn push(formed: &mut Formed, part: Part, charge: Charge) {
    let Delivery { parts } = &mut formed.delivery;
    parts.push(part);
    formed.charges.push(charge);
}
