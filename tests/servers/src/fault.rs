//! What goes wrong with a request, and when.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What goes wrong with one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The server's own 429, of the whole request. Nothing is stored. `Retry-After` in seconds, if given.
    Busy(Option<u32>),
    /// A 503, of the whole request. Nothing is stored. `Retry-After` in seconds, if given.
    Unavailable(Option<u32>),
    /// Any other status, with this body. Nothing is stored.
    Status(u16, String),
    /// A page in HTML, as a proxy's, with this status. Nothing is stored.
    Html(u16),
    /// Every so many-th record of the request is refused with "later", beginning with the first; the others are stored.
    /// Servers that can't name records refuse the whole.
    RefuseSome(usize),
    /// As [`Fault::RefuseSome`], with this as the reason each time, in the words of the server (`InternalFailure`).
    RefuseSomeWith(usize, String),
    /// The error the service has this name for (`ExpiredTokenException`), of the whole request. Nothing is stored. Servers
    /// whose errors have no names answer with a 400.
    Named(String),
    /// The connection is reset when the head of the request is read.
    ResetBeforeBody,
    /// The connection is reset when half of the body is read.
    ResetMidBody,
    /// All is stored; the connection is reset instead of an answer.
    ResetAfterStore,
    /// All is stored; the connection is reset in the middle of the answer.
    ResetMidAnswer,
    /// All is stored; there is no answer until the client gives up.
    StoreAndHang,
    /// Nothing is stored, and there is no answer until the client gives up.
    Hang,
    /// All is as it should be, but late.
    Slow(Duration),
    /// Nothing is stored; the answer has this status, claims no length, and so many bytes follow, unless the client leaves.
    Endless(u16, u64),
}

/// A fault and how often it comes, relative to the others.
pub type Weighted = (u32, Fault);

/// What comes next: first what was scripted, then what is always so, then what chance says. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Option<Fault>>,
    always: Option<Fault>,
    random: Option<Random>,
    seen: BTreeMap<&'static str, u64>,
}

#[derive(Debug)]
struct Random {
    rng: StdRng,
    /// Of 1,000 requests, how many go wrong.
    per_mille: u32,
    faults: Vec<Weighted>,
}

// === impl Fault ===

impl Fault {
    /// A word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Fault::Busy(_) => "429",
            Fault::Unavailable(_) => "503",
            Fault::Status(..) => "status",
            Fault::Html(_) => "html",
            Fault::RefuseSome(_) => "refused items",
            Fault::RefuseSomeWith(..) => "refused items",
            Fault::Named(_) => "named",
            Fault::ResetBeforeBody => "reset before body",
            Fault::ResetMidBody => "reset mid body",
            Fault::ResetAfterStore => "reset after store",
            Fault::ResetMidAnswer => "reset mid answer",
            Fault::StoreAndHang => "stored, no answer",
            Fault::Hang => "no answer",
            Fault::Slow(_) => "slow",
            Fault::Endless(..) => "endless",
        }
    }
}

// === impl Faults ===

impl Faults {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds to the script: one per request, in this order.
    pub fn script(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().script.extend(faults.into_iter().map(Some));
    }

    /// Adds `n` requests to the script with which nothing goes wrong.
    pub fn script_fine(&self, n: usize) {
        self.state().script.extend(std::iter::repeat_n(None, n));
    }

    /// From now on every request that the script does not speak of.
    pub fn always(&self, fault: Fault) {
        self.state().always = Some(fault);
    }

    /// From now on, by chance: of 1,000 requests `per_mille`, each with one of `faults`.
    pub fn random(&self, seed: u64, per_mille: u32, faults: Vec<Weighted>) {
        self.state().random = Some(Random { rng: StdRng::seed_from_u64(seed), per_mille, faults });
    }

    /// No more faults.
    pub fn heal(&self) {
        let mut state = self.state();
        state.script.clear();
        state.always = None;
        state.random = None;
    }

    /// How often each came so far.
    pub fn seen(&self) -> BTreeMap<&'static str, u64> {
        self.state().seen.clone()
    }

    /// The fault of the next request.
    pub(crate) fn next(&self) -> Option<Fault> {
        let mut state = self.state();
        let fault = match state.script.pop_front() {
            Some(scripted) => scripted,
            None => state.always.clone().or_else(|| state.random.as_mut().and_then(Random::next)),
        };
        if let Some(fault) = &fault {
            *state.seen.entry(fault.name()).or_default() += 1;
        }
        fault
    }
}

// === impl Random ===

impl Random {
    fn next(&mut self) -> Option<Fault> {
        if self.rng.random_range(0..1000) >= self.per_mille {
            return None;
        }
        let total: u32 = self.faults.iter().map(|(weight, _)| weight).sum();
        let mut left = self.rng.random_range(0..total.max(1));
        self.faults.iter().find_map(|(weight, fault)| match left.checked_sub(*weight) {
            Some(rest) => {
                left = rest;
                None
            }
            None => Some(fault.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn script_then_always_then_chance() {
        let faults = Faults::default();
        faults.random(7, 1000, vec![(1, Fault::Hang)]);
        faults.script([Fault::Busy(None)]);
        faults.script_fine(1);
        assert_eq!(faults.next(), Some(Fault::Busy(None)));
        assert_eq!(faults.next(), None);
        assert_eq!(faults.next(), Some(Fault::Hang));
        faults.always(Fault::Html(200));
        assert_eq!(faults.next(), Some(Fault::Html(200)));
        faults.heal();
        assert_eq!(faults.next(), None);
        assert_eq!(faults.seen(), [("429", 1), ("html", 1), ("no answer", 1)].into());
    }

    #[test]
    fn a_seed_repeats() {
        let run = || {
            let faults = Faults::default();
            faults.random(3, 500, vec![(1, Fault::Hang), (3, Fault::Busy(None))]);
            (0..200).map(|_| faults.next()).collect::<Vec<_>>()
        };
        assert_eq!(run(), run());
        assert!(run().contains(&None) && run().contains(&Some(Fault::Hang)));
    }
}
