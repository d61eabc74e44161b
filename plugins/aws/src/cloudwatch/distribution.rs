//! From buckets to values that stand for them.
//!
//! CloudWatch takes no buckets, but values and how often each occurred; of these it makes every statistic, percentiles
//! included. So each bucket becomes one value inside it, chosen such that what the histogram knows exactly comes out
//! exactly:
//!
//! - `min` and `max`, where they are known, are values of their own, taken out of the first and the last bucket;
//! - all others stand at the same share of the way from their bucket's lower to its upper bound: the share with which they
//!   add up to `sum`. Where that is not known, or can't be had, it is the middle.
//!
//! So `SampleCount`, `Sum`, `Average`, `Minimum` and `Maximum` are the histogram's own, and a percentile is off by no more
//! than the width of its bucket. A bucket without an upper bound holds what the sum says is missing from the others, or
//! its lower bound where nobody knows more.

/// Values, and how often each occurred.
pub(crate) type Values = Vec<(f64, f64)>;

/// A bucket that is not empty. A bound may be infinite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bucket {
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) count: f64,
}

/// What is known beside the buckets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    pub(crate) sum: Option<f64>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
}

/// Values for `buckets`, which ascend; each value once, ascending.
pub(crate) fn values(mut buckets: Vec<Bucket>, known: Known) -> Values {
    let (Some(first), Some(last)) = (buckets.first().copied(), buckets.last().copied()) else { return Values::new() };
    let within = |value: f64| value.is_finite() && value >= first.low && value <= last.high;
    let min = known.min.filter(|&min| within(min) && min <= first.high);
    let max = known.max.filter(|&max| within(max) && max >= last.low && min.is_none_or(|min| min <= max));
    let mut sum = known.sum.filter(|sum| sum.is_finite());
    let open = bound(&mut buckets, min, max);

    let mut ends = [None; 2];
    if let Some(min) = min {
        take_one(&mut buckets, 0);
        ends[0] = Some(min);
    }
    // Of a single value, both ends are the same one.
    if let Some(max) = max.filter(|_| !buckets.is_empty()) {
        let last = buckets.len() - 1;
        take_one(&mut buckets, last);
        ends[1] = Some(max);
    }
    sum = sum.map(|sum| sum - ends.iter().flatten().sum::<f64>());

    let total = |of: fn(&Bucket) -> f64| buckets.iter().map(|bucket| of(bucket) * bucket.count).sum::<f64>();
    let (lows, highs) = (total(|bucket| bucket.low), total(|bucket| bucket.high));
    let share = match sum {
        Some(sum) if highs > lows && sum.is_finite() => ((sum - lows) / (highs - lows)).clamp(0.0, 1.0),
        _ => 0.5,
    };
    // What the others can't hold is in the bucket that has no upper bound.
    let beyond = sum.map_or(0.0, |sum| sum - highs).max(0.0);
    let mut values: Values = Vec::with_capacity(buckets.len() + 2);
    values.extend(ends[0].map(|min| (min, 1.0)));
    for (at, bucket) in buckets.iter().enumerate() {
        let mut value = (bucket.low + share * (bucket.high - bucket.low)).min(bucket.high);
        if open && at + 1 == buckets.len() {
            value += beyond / bucket.count;
        }
        values.push((value, bucket.count));
    }
    values.extend(ends[1].map(|max| (max, 1.0)));
    join(&mut values);
    values
}

/// Gives the outer buckets the bounds that are known of them. Whether the last one has no upper bound.
fn bound(buckets: &mut [Bucket], min: Option<f64>, max: Option<f64>) -> bool {
    if let Some(first) = buckets.first_mut() {
        if let Some(min) = min {
            first.low = first.low.max(min);
        } else if first.low == f64::NEG_INFINITY {
            // Most that is measured has no sign.
            first.low = first.high.min(0.0);
        }
    }
    let Some(last) = buckets.last_mut() else { return false };
    if let Some(max) = max {
        last.high = last.high.min(max);
    }
    let open = last.high == f64::INFINITY;
    if open {
        last.high = last.low;
    }
    open
}

/// Takes one occurrence out of a bucket.
fn take_one(buckets: &mut Vec<Bucket>, at: usize) {
    buckets[at].count -= 1.0;
    if buckets[at].count <= 0.0 {
        buckets.remove(at);
    }
}

/// Sorts, and has each value once.
pub(crate) fn join(values: &mut Values) {
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    values.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INF: f64 = f64::INFINITY;

    fn bucket(low: f64, high: f64, count: f64) -> Bucket {
        Bucket { low, high, count }
    }

    fn known(sum: f64, min: f64, max: f64) -> Known {
        Known { sum: Some(sum), min: Some(min), max: Some(max) }
    }

    #[test]
    fn values_stand_for_buckets() {
        let buckets = || vec![bucket(-INF, 1.0, 2.0), bucket(1.0, 2.0, 2.0), bucket(2.0, INF, 1.0)];
        // Nothing is known: the middle, and the last bound.
        assert_eq!(values(buckets(), Known::default()), [(0.5, 2.0), (1.5, 2.0), (2.0, 1.0)]);
        // The sum says how far beyond the last bound: 12 = 2 * 1 + 2 * 2 + 6.
        let sum = Known { sum: Some(12.0), ..Known::default() };
        assert_eq!(values(buckets(), sum), [(1.0, 2.0), (2.0, 2.0), (6.0, 1.0)]);
        // Both ends are known, and what is between adds up to the rest: 0.5 + 0.75 + 2 * 1.5 + 9.
        assert_eq!(values(buckets(), known(13.25, 0.5, 9.0)), [(0.5, 1.0), (0.75, 1.0), (1.5, 2.0), (9.0, 1.0)]);
    }

    #[test]
    fn one_value_is_itself() {
        assert_eq!(values(vec![bucket(1.0, 2.0, 1.0)], known(1.7, 1.7, 1.7)), [(1.7, 1.0)]);
        let sum = Known { sum: Some(1.7), ..Known::default() };
        assert_eq!(values(vec![bucket(1.0, 2.0, 1.0)], sum), [(1.7, 1.0)]);
        assert_eq!(values(vec![bucket(5.0, INF, 1.0)], Known { sum: Some(77.0), ..sum }), [(77.0, 1.0)]);
        assert_eq!(values(Vec::new(), sum), []);
    }

    #[test]
    fn what_contradicts_itself_stays_inside_its_buckets() {
        for known in [known(-50.0, 9.0, -9.0), known(f64::NAN, f64::NAN, INF), known(1e300, 0.0, 0.0)] {
            for (value, _) in values(vec![bucket(1.0, 2.0, 3.0), bucket(4.0, 8.0, 1.0)], known) {
                assert!((1.0..=8.0).contains(&value), "{value} of {known:?}");
            }
        }
    }

    proptest! {
        /// Of real values in real buckets, all that the histogram knows comes out of its values.
        #[test]
        fn nothing_known_is_lost(
            mut measured in proptest::collection::vec(0.0..200.0_f64, 1..60),
            knows_ends in any::<bool>(),
        ) {
            let bounds = [1.0, 5.0, 10.0, 50.0, 100.0];
            measured.sort_by(f64::total_cmp);
            let mut buckets = Vec::new();
            for at in 0..=bounds.len() {
                let low = if at == 0 { -INF } else { bounds[at - 1] };
                let high = bounds.get(at).copied().unwrap_or(INF);
                let count = measured.iter().filter(|&&value| value > low && value <= high).count() as f64;
                if count > 0.0 {
                    buckets.push(bucket(low, high, count));
                }
            }
            let sum: f64 = measured.iter().sum();
            let (min, max) = (measured[0], measured[measured.len() - 1]);
            let known = if knows_ends { known(sum, min, max) } else { Known { sum: Some(sum), ..Known::default() } };
            let values = values(buckets.clone(), known);
            let count: f64 = values.iter().map(|(_, count)| count).sum();
            let total: f64 = values.iter().map(|(value, count)| value * count).sum();
            prop_assert_eq!(count, measured.len() as f64);
            prop_assert!((total - sum).abs() <= 1e-9 * sum.abs().max(1.0), "{} of {}: {:?}", total, sum, values);
            prop_assert!(values.windows(2).all(|pair| pair[0].0 < pair[1].0));
            if knows_ends {
                prop_assert_eq!((values[0].0, values[values.len() - 1].0), (min, max));
            }
            for Bucket { low, high, count } in buckets {
                let inside: f64 = values.iter().filter(|(v, _)| *v >= low && *v <= high).map(|(_, n)| n).sum();
                prop_assert!(inside >= count, "{inside} in {low}..{high}, of {count}");
            }
        }
    }
}
