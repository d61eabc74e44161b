//! The `cloudwatch_metrics` output: metric points to CloudWatch, by `PutMetricData`.
//!
//! Requests are of the Query protocol (form parameters, gzip), which every endpoint takes, and answers are XML.
//!
//! # What becomes of a point
//!
//! | point | datum |
//! | --- | --- |
//! | `gauge`, delta `sum`, cumulative `sum` that is not monotonic | `Value` |
//! | `values` | `Values` and `Counts` |
//! | delta `histogram`, `exponential_histogram` | `Values` and `Counts`: a value for each bucket ([`distribution`](super::distribution)); or `StatisticValues` |
//! | the same without buckets | `StatisticValues` |
//! | StatsD's `summary` | `StatisticValues`, of quantiles 0 and 1 |
//! | any other `summary` | each quantile a metric, with the dimension `quantile`: its count and sum run on |
//! | cumulative and monotonic | refused, `cumulative`; sums as they are where the settings say so |
//!
//! Points of one metric and time are one datum, where they have room in it. Dropped: points without a value (`no_value`), NaN and
//! infinities (`not_finite`). Refused by themselves before a request is made, since CloudWatch refuses requests whole:
//! `too_old`, `too_new`, `out_of_range`, `too_many_dimensions`, `malformed`.
//!
//! # Limits
//!
//! | | |
//! | --- | --- |
//! | request | 1 MB (counted before compression), 1000 data |
//! | datum | 150 values, 30 dimensions |
//! | texts | printable ASCII: names 255 bytes, values of dimensions 1024 |
//! | numbers | finite, from -2^360 to 2^360; what is nearer to 0 than 2^-360 is 0 |
//! | time | two weeks back, two hours ahead |
//!
//! # What an answer means
//!
//! As [`suiro_sdk::aws::judge`] has it. A request that is refused for something in its data is parted: the datum that the answer
//! names from the others, or in halves, until the records that are refused are known; the search is bounded. A success or a
//! refusal that is no answer of CloudWatch's is tried again, degraded. A request that is to be tried again ends the delivery: so
//! is what is left of it; after `AccessDenied` what is left for that namespace, which policies may name. At least once: after
//! an answer that got lost all records of a request are sent again, and CloudWatch adds up what it got twice.

mod datum;
mod detector;
pub(super) mod head;
mod output;
mod pack;
mod query;
pub(super) mod settings;
pub(super) mod translate;
pub(super) mod verdict;

#[cfg(test)]
mod tests;

/// 2^360
const LARGEST: f64 = f64::from_bits((1023 + 360) << 52);
/// 2^-360
pub(super) const SMALLEST: f64 = f64::from_bits((1023 - 360) << 52);

/// Adds the output.
pub(crate) fn register(registry: &mut suiro_sdk::Registry) {
    registry.output("cloudwatch_metrics", "CloudWatch's metrics, by PutMetricData", output::build);
}

/// Whether CloudWatch takes the number.
pub(super) fn is_in_range(number: f64) -> bool {
    number.abs() <= LARGEST
}
