//! Exponential histograms: bucket `i` of scale `s` holds values in `(base^i, base^(i+1)]`, where `base` is `2^(2^-s)`.
//!
//! Where two scales meet, the finer one is made coarser: two neighbours become one, and `i` becomes `i >> 1`. That is exact.

use super::histogram::merge_totals;

/// The finest scale, with which a histogram begins.
const MAX_SCALE: i32 = 20;
/// The coarsest that is read: one bucket for all there is.
const MIN_SCALE: i32 = -10;

/// An exponential histogram.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Exponential {
    pub(crate) count: u64,
    pub(crate) sum: Option<f64>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    pub(crate) scale: i32,
    pub(crate) zero_count: u64,
    pub(crate) zero_threshold: f64,
    pub(crate) positive: Side,
    pub(crate) negative: Side,
}

/// Buckets from `offset` on. There is room for all that is between the first and the last.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Side {
    pub(crate) offset: i32,
    pub(crate) buckets: Vec<u64>,
}

// === impl Exponential ===

impl Exponential {
    pub(crate) fn new() -> Self {
        Exponential {
            count: 0,
            sum: Some(0.0),
            min: None,
            max: None,
            scale: MAX_SCALE,
            zero_count: 0,
            zero_threshold: 0.0,
            positive: Side::default(),
            negative: Side::default(),
        }
    }

    /// Whether it can be worked with.
    pub(crate) fn is_sound(&self) -> bool {
        let reaches = |side: &Side| i32::try_from(i64::from(side.offset) + side.buckets.len() as i64).is_ok();
        (MIN_SCALE..=MAX_SCALE).contains(&self.scale)
            && self.zero_threshold >= 0.0
            && self.zero_threshold.is_finite()
            && reaches(&self.positive)
            && reaches(&self.negative)
    }

    /// Takes in a finite value, in no more than `most` buckets a side.
    pub(crate) fn record(&mut self, value: f64, most: usize) {
        self.count += 1;
        self.sum = self.sum.map(|sum| sum + value);
        self.min = Some(self.min.map_or(value, |min| min.min(value)));
        self.max = Some(self.max.map_or(value, |max| max.max(value)));
        if value.abs() <= self.zero_threshold {
            self.zero_count += 1;
            return;
        }
        let side = if value > 0.0 { &self.positive } else { &self.negative };
        let index = index_of(value.abs(), self.scale);
        let one = Side { offset: index, buckets: vec![1] };
        let by = side.steps_to_fit(&one, most);
        self.coarsen(by);
        let side = if value > 0.0 { &mut self.positive } else { &mut self.negative };
        side.add(&one.coarser(by));
    }

    /// Takes in another one, in no more than `most` buckets a side.
    pub(crate) fn merge(&mut self, other: &Exponential, most: usize) {
        let mut other = other.clone();
        self.align(&mut other);
        let by = self.positive.steps_to_fit(&other.positive, most);
        let by = by.max(self.negative.steps_to_fit(&other.negative, most));
        self.coarsen(by);
        other.coarsen(by);
        self.positive.add(&other.positive);
        self.negative.add(&other.negative);
        self.zero_count = self.zero_count.saturating_add(other.zero_count);
        merge_totals(
            (&mut self.count, &mut self.sum, &mut self.min, &mut self.max),
            (other.count, other.sum, other.min, other.max),
        );
    }

    /// What came since `before`; `None` where anything has become less.
    pub(crate) fn since(&self, before: &Exponential) -> Option<Exponential> {
        let (mut now, mut then) = (self.clone(), before.clone());
        now.align(&mut then);
        Some(Exponential {
            count: now.count.checked_sub(then.count)?,
            sum: now.sum.zip(then.sum).map(|(now, then)| now - then),
            min: None,
            max: None,
            zero_count: now.zero_count.checked_sub(then.zero_count)?,
            positive: now.positive.since(&then.positive)?,
            negative: now.negative.since(&then.negative)?,
            scale: now.scale,
            zero_threshold: now.zero_threshold,
        })
    }

    /// Brings both to one scale and one zero.
    fn align(&mut self, other: &mut Exponential) {
        let scale = self.scale.min(other.scale);
        self.coarsen((self.scale - scale).unsigned_abs());
        other.coarsen((other.scale - scale).unsigned_abs());
        let zero = self.zero_threshold.max(other.zero_threshold);
        self.widen_zero(zero);
        other.widen_zero(zero);
    }

    fn coarsen(&mut self, by: u32) {
        if by > 0 {
            self.positive = self.positive.coarser(by);
            self.negative = self.negative.coarser(by);
            self.scale -= by as i32;
        }
    }

    /// Counts buckets as zero that lie below `threshold`, in whole or in part.
    fn widen_zero(&mut self, threshold: f64) {
        if threshold <= self.zero_threshold {
            return;
        }
        self.zero_threshold = threshold;
        let last = index_of(threshold, self.scale);
        for side in [&mut self.positive, &mut self.negative] {
            let below = i64::from(last) - i64::from(side.offset) + 1;
            let below = usize::try_from(below).unwrap_or(0).min(side.buckets.len());
            let moved: u64 = side.buckets.drain(..below).fold(0, u64::saturating_add);
            side.offset = side.offset.saturating_add(below as i32);
            self.zero_count = self.zero_count.saturating_add(moved);
        }
    }
}

// === impl Side ===

impl Side {
    /// Where it begins and ends, empty buckets at the ends left out.
    fn range(&self) -> Option<(i64, i64)> {
        let first = self.buckets.iter().position(|&count| count > 0)? as i64;
        let last = self.buckets.iter().rposition(|&count| count > 0)? as i64;
        Some((i64::from(self.offset) + first, i64::from(self.offset) + last))
    }

    /// How many steps of scale both must go for their buckets to be `most` at most.
    fn steps_to_fit(&self, other: &Side, most: usize) -> u32 {
        let (mut first, mut last) = match (self.range(), other.range()) {
            (Some(a), Some(b)) => (a.0.min(b.0), a.1.max(b.1)),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return 0,
        };
        let mut steps = 0;
        while last - first >= most.max(2) as i64 {
            (first, last) = (first >> 1, last >> 1);
            steps += 1;
        }
        steps
    }

    fn coarser(&self, by: u32) -> Side {
        let Some((first, last)) = self.range() else { return Side::default() };
        let by = by.min(32);
        let offset = first >> by;
        let mut buckets = vec![0_u64; usize::try_from((last >> by) - offset + 1).unwrap_or(0)];
        for index in first..=last {
            let count = self.buckets[(index - i64::from(self.offset)) as usize];
            let bucket = &mut buckets[((index >> by) - offset) as usize];
            *bucket = bucket.saturating_add(count);
        }
        Side { offset: offset as i32, buckets }
    }

    /// Adds the counts of another one of the same scale.
    fn add(&mut self, other: &Side) {
        let Some((first, last)) = other.range() else { return };
        let (from, to) = self.range().map_or((first, last), |own| (own.0.min(first), own.1.max(last)));
        let (own_first, own_last) = (i64::from(self.offset), i64::from(self.offset) + self.buckets.len() as i64 - 1);
        if from < own_first || to > own_last {
            let mut buckets = vec![0_u64; (to - from + 1) as usize];
            if let Some((first, last)) = self.range() {
                let own = &self.buckets[(first - own_first) as usize..=(last - own_first) as usize];
                buckets[(first - from) as usize..=(last - from) as usize].copy_from_slice(own);
            }
            *self = Side { offset: from as i32, buckets };
        }
        for index in first..=last {
            let count = other.buckets[(index - i64::from(other.offset)) as usize];
            let bucket = &mut self.buckets[(index - i64::from(self.offset)) as usize];
            *bucket = bucket.saturating_add(count);
        }
    }

    fn since(&self, before: &Side) -> Option<Side> {
        let mut now = self.clone();
        let Some((first, last)) = before.range() else { return Some(now) };
        for index in first..=last {
            let count = before.buckets[(index - i64::from(before.offset)) as usize];
            if count == 0 {
                continue;
            }
            let at = usize::try_from(index - i64::from(now.offset)).ok()?;
            let bucket = now.buckets.get_mut(at)?;
            *bucket = bucket.checked_sub(count)?;
        }
        Some(now)
    }
}

/// The bucket of a positive value.
fn index_of(value: f64, scale: i32) -> i32 {
    let bits = value.to_bits();
    let (mut exponent, fraction) = (((bits >> 52) & 0x7ff) as i32 - 1023, bits & ((1 << 52) - 1));
    if exponent == -1023 {
        // Subnormal: the place of its highest bit.
        exponent = -1074 + 63 - fraction.leading_zeros() as i32;
        if scale <= 0 {
            let whole = fraction.is_power_of_two();
            return (exponent - i32::from(whole)) >> -scale;
        }
    } else if scale <= 0 {
        return (exponent - i32::from(fraction == 0)) >> -scale;
    } else if fraction == 0 {
        // A power of two is the upper end of its bucket, whatever logarithms say.
        return (exponent << scale) - 1;
    }
    let factor = f64::from(1 << scale);
    let index = (value.log2() * factor).ceil() as i32 - 1;
    // Between its neighbours of whole powers.
    index.clamp(exponent << scale, ((exponent + 1) << scale) - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bounds(index: i32, scale: i32) -> (f64, f64) {
        let at = |index: i32| (f64::from(index) * 2f64.powi(-scale)).exp2();
        (at(index), at(index + 1))
    }

    fn of(values: &[f64], most: usize) -> Exponential {
        let mut histogram = Exponential::new();
        values.iter().for_each(|&value| histogram.record(value, most));
        histogram
    }

    fn total(side: &Side) -> u64 {
        side.buckets.iter().sum()
    }

    #[test]
    fn powers_of_two_end_their_bucket() {
        for (value, scale, index) in [
            (1.0, 0, -1),
            (2.0, 0, 0),
            (1.5, 0, 0),
            (4.0, 3, 15),
            (4.1, 3, 16),
            (0.5, 0, -2),
            (1024.0, -2, 2),
            (5e-324, 0, -1075),
        ] {
            assert_eq!(index_of(value, scale), index, "{value} {scale}");
        }
    }

    fn values() -> impl Strategy<Value = Vec<f64>> {
        proptest::collection::vec(prop_oneof![-1e6..1e6_f64, 1e-9..1e9_f64, Just(0.0), Just(1.0), Just(8.0)], 0..60)
    }

    proptest! {
        /// Each value lies in its bucket.
        #[test]
        fn a_value_is_in_its_bucket(value in prop_oneof![1e-12..1e12_f64, 0.5..4.0_f64], scale in -4i32..12) {
            let (low, high) = bounds(index_of(value, scale), scale);
            prop_assert!(value > low * (1.0 - 1e-12) && value <= high * (1.0 + 1e-12), "{} in {}..{}", value, low, high);
        }

        /// Whatever comes, in whatever order: counts add up, buckets are bounded, and each count is of values that lie there.
        #[test]
        fn holds_what_it_was_given(values in values(), most in 2usize..40) {
            let histogram = of(&values, most);
            prop_assert!(histogram.positive.buckets.len() <= most && histogram.negative.buckets.len() <= most);
            let counted = total(&histogram.positive) + total(&histogram.negative) + histogram.zero_count;
            prop_assert_eq!((counted, histogram.count), (values.len() as u64, values.len() as u64));
            for (i, &count) in histogram.positive.buckets.iter().enumerate() {
                let index = histogram.positive.offset + i as i32;
                let there = values.iter().filter(|&&v| v > 0.0 && index_of(v, histogram.scale) == index).count();
                prop_assert_eq!(there as u64, count);
            }
        }

        /// Merging is as if all had been taken in by one, but for the scale, and subtracting undoes it.
        #[test]
        fn merges_and_subtracts(a in values(), b in values(), most in 4usize..40) {
            let (mut merged, before) = (of(&a, most), of(&a, most));
            merged.merge(&of(&b, most), most);
            let all: Vec<f64> = a.iter().chain(&b).copied().collect();
            let mut want = of(&all, most);
            let mut same = merged.clone();
            same.align(&mut want);
            prop_assert_eq!(same.positive.range(), want.positive.range());
            prop_assert_eq!((total(&same.positive), total(&same.negative), same.zero_count), (total(&want.positive), total(&want.negative), want.zero_count));
            prop_assert_eq!((same.min, same.max, same.count), (want.min, want.max, want.count));
            let since = merged.since(&before).expect("nothing became less");
            let mut later = of(&b, most);
            later.coarsen((later.scale - since.scale).max(0) as u32);
            prop_assert_eq!(since.count, b.len() as u64);
            prop_assert_eq!(since.positive.range(), later.positive.range());
            prop_assert_eq!(total(&since.negative), total(&later.negative));
            if !b.is_empty() {
                prop_assert!(before.since(&merged).is_none());
            }
        }
    }

    #[test]
    fn zeros_are_brought_together() {
        let mut wide = of(&[3.0], 20);
        wide.zero_threshold = 1.0;
        wide.zero_count = 2;
        wide.count += 2;
        let mut narrow = of(&[0.25, 0.5, 2.0, -0.1, -5.0], 20);
        narrow.merge(&wide, 20);
        assert_eq!((narrow.zero_count, narrow.zero_threshold, narrow.count), (5, 1.0, 8));
        assert_eq!((total(&narrow.positive), total(&narrow.negative)), (2, 1));
    }
}
