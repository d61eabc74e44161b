//! What a call did to the records, once it stands.

use std::sync::Arc;

use suiro_record::Row;

use super::{Call, Course, NO_TAG, State};

/// What became of the records of a call. What was changed *in* them is in the batch already.
#[derive(Debug, Default)]
pub struct Effects {
    /// Records of the call; those behind them were emitted.
    count: usize,
    states: Vec<State>,
    parents: Vec<u32>,
    tags: Vec<Arc<str>>,
    tag_of: Vec<u16>,
    /// Sorted by handle.
    failures: Vec<(u32, Box<str>)>,
    plain: bool,
}

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate<'e> {
    /// It goes on.
    Stays,
    /// It goes on under that tag.
    Tagged(&'e Arc<str>),
    /// It was dropped.
    Dropped,
    /// The guest could not deal with it, and says why.
    Failed(&'e str),
}

const NONE: u32 = u32::MAX;

// === impl Effects ===

impl Effects {
    /// Takes what the call noted.
    pub(super) fn of(call: &mut Call) -> Effects {
        let plain = call.parents.is_empty()
            && call.tags.is_empty()
            && call.states.iter().all(|state| state.fate == Course::Stays);
        if plain {
            call.tag_of.clear();
            call.states.clear();
            return Effects { count: call.count, plain, ..Effects::default() };
        }
        call.failures.sort_unstable_by_key(|(of, _)| *of);
        Effects {
            count: call.count,
            states: std::mem::take(&mut call.states),
            parents: std::mem::take(&mut call.parents),
            tags: std::mem::take(&mut call.tags),
            tag_of: std::mem::take(&mut call.tag_of),
            failures: std::mem::take(&mut call.failures),
            plain,
        }
    }

    /// Whether every record goes on where it was, and none came to them.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// Records made of others.
    pub fn emitted(&self) -> usize {
        self.parents.len()
    }

    /// Calls `visit` for each record in the order in which they go on: with the handle of the record of the call that it
    /// is, or was made of, whether it was made, and what becomes of it. `rows` are the batch's after the call.
    pub fn visit<'e>(&'e self, rows: &[Row], mut visit: impl FnMut(usize, bool, &Row, Fate<'e>)) {
        if self.parents.is_empty() {
            rows.iter().enumerate().for_each(|(at, row)| visit(at, false, row, self.fate(at)));
            return;
        }
        // Each record's children, as a list.
        let mut first = vec![NONE; self.count + self.parents.len()];
        let mut last = first.clone();
        let mut next = first.clone();
        for (i, &parent) in self.parents.iter().enumerate() {
            let (child, parent) = ((self.count + i) as u32, parent as usize);
            match last[parent] {
                NONE => first[parent] = child,
                before => next[before as usize] = child,
            }
            last[parent] = child;
        }
        let mut waiting = Vec::new();
        for origin in 0..self.count {
            waiting.push(origin as u32);
            while let Some(at) = waiting.pop() {
                let index = at as usize;
                visit(origin, index >= self.count, &rows[index], self.fate(index));
                if index >= self.count && next[index] != NONE {
                    waiting.push(next[index]);
                }
                if first[index] != NONE {
                    waiting.push(first[index]);
                }
            }
        }
    }

    fn fate(&self, at: usize) -> Fate<'_> {
        match self.states.get(at).map(|state| state.fate) {
            Some(Course::Dropped) => Fate::Dropped,
            Some(Course::Failed) => {
                let why = self.failures.binary_search_by_key(&(at as u32), |(of, _)| *of);
                Fate::Failed(why.map_or("", |i| &self.failures[i].1))
            }
            Some(Course::Stays) | None => match self.tag_of.get(at) {
                Some(&index) if index != NO_TAG => self.tags.get(usize::from(index)).map_or(Fate::Stays, Fate::Tagged),
                _ => Fate::Stays,
            },
        }
    }
}
