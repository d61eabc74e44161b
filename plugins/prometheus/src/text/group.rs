//! The samples of a histogram or a summary, gathered by label set.
//!
//! The format asks for all lines of a family to stand together, but not for those of one label set to do so within it. So
//! what belongs together is found by a keyed hash of the labels, but for `le` and `quantile`, in any order.

use std::ops::Range;

use hashbrown::HashMap;

use super::build::{About, Builder, Gathered, Span};
use super::family::{Role, Type};
use super::line::{self, Label, Sample};

/// Buckets or quantiles of one point, at most.
const MAX_STEPS: usize = 10_000;

/// The groups of one family. Its memory is used again for the next.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: Vec<Group>,
    /// How many of them are in use.
    used: usize,
    by_labels: HashMap<u64, usize>,
    last: Option<(u64, usize)>,
}

/// One point under way.
#[derive(Debug, Default)]
struct Group {
    labels: Vec<Label>,
    /// Places in the body.
    start_at: usize,
    end_at: usize,
    time: Option<i64>,
    created: Option<i64>,
    sum: Option<f64>,
    count: Option<f64>,
    steps: Vec<(f64, f64)>,
    stale: bool,
    exemplar_labels: Vec<Label>,
    exemplars: Vec<(Range<usize>, f64, Option<i64>)>,
}

/// What became of a sample, or of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    Wrong(&'static str),
    Duplicate,
}

/// A point that is complete: its root, its place in the body, and its time.
pub(crate) struct Complete {
    pub(crate) root: suiro_record::RootId,
    pub(crate) place: Range<usize>,
    pub(crate) time: Option<i64>,
    pub(crate) hash: u64,
}

/// The marker of a series that has ended.
pub(crate) const STALE: u64 = 0x7ff0_0000_0000_0002;

// === impl Groups ===

impl Groups {
    pub(crate) fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Adds a sample. `hash` is that of its labels but for the one at `step`, whose value is `bound`.
    #[expect(clippy::too_many_arguments, reason = "all of it is one sample")]
    pub(crate) fn add(
        &mut self,
        hash: u64,
        role: Role,
        sample: &Sample,
        labels: &[Label],
        step: Option<usize>,
        bound: f64,
        place: Range<usize>,
    ) -> Result<(), Trouble> {
        let at = match self.last {
            Some((last, at)) if last == hash => at,
            _ => self.find(hash, &labels[..sample.labels], step, place.start),
        };
        self.last = Some((hash, at));
        let group = &mut self.groups[at];
        group.end_at = group.end_at.max(place.end);
        match role {
            Role::Sum if group.sum.is_none() => group.sum = Some(sample.value),
            Role::Count if group.count.is_none() => group.count = Some(count(sample.value)?),
            Role::Created if group.created.is_none() => {
                let created = line::created(sample.value);
                group.created = Some(created.ok_or(Trouble::Wrong("the value of `_created` is no time in seconds"))?);
            }
            Role::Bucket => {
                let count = count(sample.value)?;
                group.step(bound, count)?;
            }
            Role::Quantile => group.step(bound, sample.value)?,
            _ => return Err(Trouble::Duplicate),
        }
        group.stale |= sample.value.to_bits() == STALE;
        if role != Role::Created && sample.time.is_some() {
            group.time = sample.time;
        }
        if let Some(exemplar) = sample.exemplar {
            let from = group.exemplar_labels.len();
            group.exemplar_labels.extend_from_slice(&labels[sample.labels..]);
            group.exemplars.push((from..group.exemplar_labels.len(), exemplar.value, exemplar.time));
        }
        Ok(())
    }

    fn find(&mut self, hash: u64, labels: &[Label], step: Option<usize>, at: usize) -> usize {
        if let Some(&known) = self.by_labels.get(&hash) {
            return known;
        }
        let new = self.used;
        self.by_labels.insert(hash, new);
        self.used += 1;
        if self.groups.len() < self.used {
            self.groups.push(Group::default());
        }
        let group = &mut self.groups[new];
        group.clear();
        group.start_at = at;
        group.labels.extend(labels.iter().enumerate().filter(|(i, _)| Some(*i) != step).map(|(_, label)| *label));
        new
    }

    /// Makes points of all groups and forgets them. What is wrong with one is told with its place.
    pub(crate) fn finish(
        &mut self,
        name: &Span,
        about: &About,
        builder: &mut Builder<'_>,
        mut complete: impl FnMut(&mut Builder<'_>, Complete),
        mut trouble: impl FnMut(usize, &'static str),
    ) {
        let mut hashes: Vec<(usize, u64)> = self.by_labels.drain().map(|(hash, at)| (at, hash)).collect();
        hashes.sort_unstable();
        for (at, hash) in hashes {
            let group = &mut self.groups[at];
            match group.finish(about.kind) {
                Err(what) => trouble(group.start_at, what),
                Ok(count) => match builder.gathered(name.clone(), about, &group.gathered(count)) {
                    Ok(root) => {
                        let place = group.start_at..group.end_at;
                        complete(builder, Complete { root, place, time: group.time, hash });
                    }
                    Err(_) => trouble(group.start_at, "there are too many different label names"),
                },
            }
        }
        self.forget();
    }

    /// Forgets them.
    pub(crate) fn forget(&mut self) {
        self.by_labels.clear();
        self.used = 0;
        self.last = None;
        // A family of giants must not cost memory for ever.
        self.groups.truncate(10_000);
    }
}

// === impl Group ===

impl Group {
    fn clear(&mut self) {
        let Group { labels, steps, exemplar_labels, exemplars, .. } = self;
        labels.clear();
        steps.clear();
        exemplar_labels.clear();
        exemplars.clear();
        (self.time, self.created, self.sum, self.count) = (None, None, None, None);
        (self.start_at, self.end_at, self.stale) = (0, 0, false);
    }

    fn step(&mut self, bound: f64, value: f64) -> Result<(), Trouble> {
        if self.steps.len() >= MAX_STEPS {
            return Err(Trouble::Wrong("a point has more than 10,000 buckets"));
        }
        // Ascending, mostly: a repeated one stands next to its like then. The rest is seen when they are sorted.
        if self.steps.last().is_some_and(|(last, _)| *last == bound) {
            return Err(Trouble::Duplicate);
        }
        self.steps.push((bound, value));
        Ok(())
    }

    /// Puts the steps in order; the count.
    fn finish(&mut self, kind: Type) -> Result<Option<f64>, &'static str> {
        if !self.steps.is_sorted_by(|a, b| a.0 < b.0) {
            self.steps.sort_by(|a, b| a.0.total_cmp(&b.0));
            self.steps.dedup_by(|later, first| later.0 == first.0);
        }
        if kind == Type::Summary {
            return Ok(self.count);
        }
        if self.stale {
            return Ok(None);
        }
        if !self.steps.is_sorted_by(|a, b| a.1 <= b.1) {
            return Err("a bucket counts less than the one before it");
        }
        let infinite = self.steps.last().filter(|(bound, _)| *bound == f64::INFINITY).map(|(_, count)| *count);
        let highest = self.steps.last().map_or(0.0, |(_, count)| *count);
        let count = infinite.or(self.count).unwrap_or(highest);
        if count < highest { Err("the count is less than that of a bucket") } else { Ok(Some(count)) }
    }

    fn gathered(&self, count: Option<f64>) -> Gathered<'_> {
        Gathered {
            labels: &self.labels,
            start: self.created,
            count,
            sum: self.sum,
            steps: &self.steps,
            stale: self.stale,
            exemplar_labels: &self.exemplar_labels,
            exemplars: &self.exemplars,
        }
    }
}

/// A count: not negative, and no more than a float holds exactly.
fn count(value: f64) -> Result<f64, Trouble> {
    if value.to_bits() == STALE {
        return Ok(0.0);
    }
    if (0.0..1.8e19).contains(&value) && value.fract() == 0.0 {
        Ok(value)
    } else {
        Err(Trouble::Wrong("a count is a whole number and not negative"))
    }
}
