//! A distribution in bounded memory: counts in buckets whose width grows with their value, so that a quantile is off by at
//! most one percent of itself. (The idea is that of DDSketch, Masson et al., VLDB 2019.) Count, sum, least and greatest are
//! exact.

use std::collections::BTreeMap;

/// How much a quantile may be off, of itself.
const ACCURACY: f64 = 0.01;
/// Buckets of one sign, at most; then the smallest values share one. They span 17 orders of magnitude.
const MAX_BUCKETS: usize = 2048;
/// Below this a value counts as 0.
const TINY: f64 = 1e-12;

/// A distribution of values, each with a weight.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sketch {
    positive: BTreeMap<i32, f64>,
    /// By the value without its sign.
    negative: BTreeMap<i32, f64>,
    zeros: f64,
    /// Values, by weight.
    pub(crate) count: f64,
    /// Their sum.
    pub(crate) sum: f64,
    /// The least, if there is one.
    pub(crate) min: Option<f64>,
    /// The greatest, if there is one.
    pub(crate) max: Option<f64>,
}

fn log_base() -> f64 {
    ((1.0 + ACCURACY) / (1.0 - ACCURACY)).ln()
}

/// The bucket of a value above [`TINY`].
fn bucket(value: f64) -> i32 {
    (value.ln() / log_base()).ceil() as i32
}

/// The middle of a bucket: no value in it is off by more than [`ACCURACY`].
fn value_of(bucket: i32) -> f64 {
    let gamma = log_base().exp();
    2.0 * (f64::from(bucket) * log_base()).exp() / (gamma + 1.0)
}

// === impl Sketch ===

impl Sketch {
    /// Adds a value that stands for `weight` of them.
    pub(crate) fn add(&mut self, value: f64, weight: f64) {
        self.count += weight;
        self.sum += value * weight;
        self.min = Some(self.min.map_or(value, |min| min.min(value)));
        self.max = Some(self.max.map_or(value, |max| max.max(value)));
        if value.abs() < TINY {
            self.zeros += weight;
            return;
        }
        let side = if value > 0.0 { &mut self.positive } else { &mut self.negative };
        *side.entry(bucket(value.abs())).or_default() += weight;
        if side.len() > MAX_BUCKETS
            && let Some((_, least)) = side.pop_first()
            && let Some(mut next) = side.first_entry()
        {
            *next.get_mut() += least;
        }
    }

    /// The value below which a share of `quantile` (0 to 1) of all lie. `None` if there are none.
    pub(crate) fn quantile(&self, quantile: f64) -> Option<f64> {
        let (min, max) = (self.min?, self.max?);
        let rank = quantile * self.count;
        let negative = self.negative.iter().rev().map(|(at, weight)| (-value_of(*at), *weight));
        let zero = (self.zeros > 0.0).then_some((0.0, self.zeros));
        let positive = self.positive.iter().map(|(at, weight)| (value_of(*at), *weight));
        let mut below = 0.0;
        for (value, weight) in negative.chain(zero).chain(positive) {
            below += weight;
            if below >= rank {
                return Some(value.clamp(min, max));
            }
        }
        Some(max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn quantiles_are_off_by_a_percent_at_most(
            mut values in proptest::collection::vec(prop_oneof![-1e6..1e6_f64, Just(0.0), 1e-6..1e-3_f64], 1..300),
            quantile in 0.0..=1.0_f64,
        ) {
            let mut sketch = Sketch::default();
            values.iter().for_each(|value| sketch.add(*value, 1.0));
            values.sort_by(f64::total_cmp);
            let rank = (quantile * values.len() as f64).ceil().max(1.0) as usize;
            let exact = values[rank - 1];
            let found = sketch.quantile(quantile).unwrap();
            prop_assert!((found - exact).abs() <= exact.abs() * ACCURACY * 1.0001 + TINY, "{found} for {exact}");
            prop_assert_eq!((sketch.min, sketch.max), (values.first().copied(), values.last().copied()));
            prop_assert_eq!(sketch.count, values.len() as f64);
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut sketch = Sketch::default();
        for i in -3000..3000 {
            sketch.add((f64::from(i) / 10.0).exp(), 1.0);
        }
        assert!(sketch.positive.len() <= MAX_BUCKETS);
        assert_eq!(sketch.count, 6000.0);
        assert!(sketch.quantile(1.0).unwrap() >= (299.0_f64).exp());
        assert_eq!(Sketch::default().quantile(0.5), None);
    }
}
