//! Filters that come with the agent.
//!
//! | type | does | state | what a crash loses |
//! | --- | --- | --- | --- |
//! | [`keep`, `drop`](choose) | lets records through, or not | none | nothing |
//! | [`modify`] | renames, copies, sets, adds, hashes, removes fields | none | nothing |
//! | [`split`] | makes a record of each item of a list | none | nothing |
//! | [`multiline`] | joins lines that belong together | per source | nothing: the source waits |
//! | [`dedupe`] | holds a record, takes those that repeat it in | shared | what it holds, unless `durable = true` |
//! | [`retag`] | gives records another tag | none | nothing |
//! | [`tail_sample`] | keeps whole traces that matter | shared | what it holds |
//! | [`select_spans`] | keeps the spans, or traces, of some APIs | none, or as `tail_sample` | nothing, or what it holds |
//! | [`route_by_trace`] | gives all spans of a trace one tag of several | none | nothing |
//! | [`span_metrics`] | counts and times spans | shared | counts of an interval |
//! | [`log_to_metrics`] | counts and sums up what logs say | shared | counts of an interval |
//! | [`log_to_span`] | makes spans of logs that say all of one | none | nothing |
//! | [`aggregate`] | makes one point of many | shared | points of an interval |
//! | [`delta_to_cumulative`, `cumulative_to_delta`](temporality) | changes since when points count | shared | nothing; series begin anew |
//!
//! What they do to the count of records they say through the `FilterContext`, and each module's tests check that the
//! ledger's equation holds.

pub mod aggregate;
pub mod choose;
pub mod dedupe;
pub mod log_to_metrics;
pub mod log_to_span;
mod metric;
pub mod modify;
pub mod multiline;
pub mod retag;
pub mod route_by_trace;
pub mod select_spans;
pub mod span_metrics;
mod spans;
pub mod split;
pub mod tail_sample;
pub mod temporality;

#[cfg(test)]
mod test_kit;

pub use multiline::multiline_from_value;
use suiro_sdk::Registry;

/// Adds the filters.
pub fn register(registry: &mut Registry) {
    registry.filter("keep", "lets through the records for which `when` is true", choose::build_keep);
    registry.filter("drop", "drops the records for which `when` is true", choose::build_drop);
    registry.filter("modify", "renames, copies, sets, adds, hashes and removes fields", modify::build);
    registry.filter("split", "makes a record of each item of a list, or of each part of a text", split::build);
    registry.filter("multiline", "joins lines that belong together, such as stack traces", multiline::build);
    registry.filter("dedupe", "joins records that repeat within a window of time", dedupe::build);
    registry.filter("retag", "gives records the tag a template makes", retag::build);
    registry.filter("tail_sample", "keeps whole traces by policies, once they are complete", tail_sample::build);
    registry.filter("select_spans", "keeps the spans, or traces, of some APIs, or all but those", select_spans::build);
    registry.filter(
        "span_metrics",
        "counts spans and times them, by service, name, kind and status",
        span_metrics::build,
    );
    registry.filter("log_to_metrics", "makes counters, gauges and histograms of logs", log_to_metrics::build);
    registry.filter("log_to_span", "makes spans of logs that say all of one", log_to_span::build);
    registry.filter("aggregate", "makes one metric point of many, an interval at a time", aggregate::build);
    registry.filter(
        "cumulative_to_delta",
        "has sums and histograms count since the point before",
        temporality::build_to_delta,
    );
    registry.filter(
        "delta_to_cumulative",
        "has sums and histograms count since the start",
        temporality::build_to_cumulative,
    );
    registry.filter("route_by_trace", "gives all spans of a trace one tag of several", route_by_trace::build);
}
