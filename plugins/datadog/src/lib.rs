//! Datadog: the `datadog_metrics` output.
//!
//! Metric points go to `/api/v2/series`, distributions (points with `values`) to `/api/v1/distribution_points`, both as
//! JSON. A record is written whole into one request, so an answer means the same for all of it.
//!
//! # What becomes of a point
//!
//! | point | Datadog |
//! | --- | --- |
//! | `gauge` | gauge |
//! | `gauge`, `metadata.type` is `rate` | rate, its `interval` that of `metadata` |
//! | `sum`, delta | count, its `interval` the time from `start` to the point's, or that of `metadata` |
//! | `sum`, cumulative, not monotonic | gauge |
//! | `sum`, cumulative, monotonic | refused, `cumulative`: Datadog adds counts up itself. The filter `delta` makes what it takes |
//! | `values` | distribution |
//! | `histogram`, `exponential_histogram`, delta | `NAME.count` and `NAME.sum`, counts; `NAME.min`, `NAME.max`, gauges. Of `histogram` also the buckets that are not empty: count `NAME.bucket`, tags `lower_bound`, `upper_bound` |
//! | the same, cumulative | refused, `cumulative` |
//! | `summary` | `NAME.count`, `NAME.sum`; gauges: `NAME.min` (quantile 0), `NAME.max` (1), `NAME.median` (0.5), `NAME.95percentile` and so on. `count` and `sum` are counts where the point is StatsD's (`metadata.type`), and cover its window; gauges where nobody says that they do. Of StatsD's also the gauge `NAME.avg` |
//!
//! A point that says that no value was recorded (`flags` 1) is dropped, `no_value`. One whose number is none (NaN, infinite),
//! or that has no name, is refused, `malformed`.
//!
//! # Limits
//!
//! A request may have 512,000 bytes, and less than 5 MiB before compression. It is cut at 500,000 bytes before compression:
//! deflate can't make more than 512,000 of these whatever stands in them, so no request is compressed to no avail.
//!
//! # What an answer means
//!
//! | answer | outcome |
//! | --- | --- |
//! | 2xx | delivered; with `errors` in it, some were refused and nobody knows which: `rejected_unidentified` |
//! | 408, 429, 5xx | retry |
//! | 403 (no such key), 404 (no such path), 3xx | retry, degraded |
//! | 413 | in halves |
//! | 400 | refused |
//!
//! Otherwise as [`suiro_sdk::http`] has it. At least once: after an answer that got lost, all records of the request are sent
//! again.

mod output;
mod pack;
mod series;
mod settings;
mod tags;

#[cfg(test)]
mod tests;

/// Adds the output.
pub fn register(registry: &mut suiro_sdk::Registry) {
    registry.output("datadog_metrics", "Datadog's metrics, by series and distribution points", output::build);
}
