//! Histograms with explicit bounds.

use std::sync::Arc;

/// Counts by bucket: values up to each bound, and behind the last.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Histogram {
    pub(crate) count: u64,
    pub(crate) sum: Option<f64>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    pub(crate) bounds: Arc<[f64]>,
    /// One more than bounds, or none at all.
    pub(crate) buckets: Vec<u64>,
}

// === impl Histogram ===

impl Histogram {
    pub(crate) fn new(bounds: Arc<[f64]>) -> Self {
        let buckets = vec![0; bounds.len() + 1];
        Histogram { count: 0, sum: Some(0.0), min: None, max: None, bounds, buckets }
    }

    /// Takes in a value.
    pub(crate) fn record(&mut self, value: f64) {
        let at = self.bounds.partition_point(|&bound| bound < value);
        self.buckets[at] += 1;
        self.count += 1;
        self.sum = self.sum.map(|sum| sum + value);
        self.min = Some(self.min.map_or(value, |min| min.min(value)));
        self.max = Some(self.max.map_or(value, |max| max.max(value)));
    }

    /// Takes in another one; not where its bounds are others.
    pub(crate) fn merge(&mut self, other: &Histogram) -> bool {
        if self.bounds != other.bounds || self.buckets.len() != other.buckets.len() {
            return false;
        }
        add_counts(&mut self.buckets, &other.buckets);
        merge_totals(
            (&mut self.count, &mut self.sum, &mut self.min, &mut self.max),
            (other.count, other.sum, other.min, other.max),
        );
        true
    }

    /// What came since `before`; `None` where anything has become less, or bounds are others.
    pub(crate) fn since(&self, before: &Histogram) -> Option<Histogram> {
        if self.bounds != before.bounds || self.buckets.len() != before.buckets.len() {
            return None;
        }
        let pairs = self.buckets.iter().zip(&before.buckets);
        let buckets = pairs.map(|(now, then)| now.checked_sub(*then)).collect::<Option<Vec<_>>>()?;
        Some(Histogram {
            count: self.count.checked_sub(before.count)?,
            sum: self.sum.zip(before.sum).map(|(now, then)| now - then),
            // Nobody knows of which values they are.
            min: None,
            max: None,
            bounds: self.bounds.clone(),
            buckets,
        })
    }
}

/// Counts add up without wrapping.
pub(super) fn add_counts(counts: &mut [u64], others: &[u64]) {
    for (count, other) in counts.iter_mut().zip(others) {
        *count = count.saturating_add(*other);
    }
}

/// What both kinds of histograms have.
pub(super) fn merge_totals(
    (count, sum, min, max): (&mut u64, &mut Option<f64>, &mut Option<f64>, &mut Option<f64>),
    other: (u64, Option<f64>, Option<f64>, Option<f64>),
) {
    // The least of those that are known is not the least of all, unless one side is empty.
    let both = |a: Option<f64>, b: Option<f64>, least: fn(f64, f64) -> f64| match (*count, other.0) {
        (_, 0) => a,
        (0, _) => b,
        _ => a.zip(b).map(|(a, b)| least(a, b)),
    };
    (*min, *max) = (both(*min, other.2, f64::min), both(*max, other.3, f64::max));
    *count = count.saturating_add(other.0);
    *sum = sum.zip(other.1).map(|(a, b)| a + b);
}
