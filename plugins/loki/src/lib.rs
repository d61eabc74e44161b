//! Grafana Loki: the `loki` output.
//!
//! Records go to `/loki/api/v1/push`, grouped by label set into streams, as protobuf in snappy's block format or as JSON.
//!
//! # Settings
//!
//! | setting | default | |
//! | --- | --- | --- |
//! | `url` | | Loki's; `/loki/api/v1/push` is added unless it is there |
//! | `labels` | | at least one, at most 15: `{ job = "app", level = "{level}" }`. A missing field omits the label |
//! | `structured_metadata` | none | the same form. A missing field omits the item |
//! | `line` | | a template. Default, and where a field of it is missing: the text under `log` if that is all there is, else the record as JSON |
//! | `tenant` | none | a destination, sent as `X-Scope-OrgID` |
//! | `format` | `protobuf` | or `json` |
//! | `compression` | `snappy` | of protobuf, always. With `json`: `none` (default), `gzip` |
//! | `max_streams` | 1000 | label sets in use at a time (half an hour); records beyond it keep only the labels that are fixed |
//! | `streams_per_request` | 1 | see below |
//! | `auth`, `tls`, `headers`, `timeout` | | see [`suiro_sdk::http::ClientSettings`] |
//!
//! # Guarantee
//!
//! At least once. Loki skips what has the time and line of an entry it holds in the same open block. Records without a time
//! of their own get nanoseconds from their place in the source, so that lines repeated in earnest survive ([`clock`]).
//!
//! # What an answer means
//!
//! Loki's ingester refuses entries (too far behind, a stream's rate, the number of streams) stream by stream and answers
//! for the last one only: a 204 for several streams can hide a loss, and a 400 does not say which entries it means. So
//! each request carries one stream, and its answer can be believed. Who can live with less sets `streams_per_request`
//! higher and saves requests where there are many small streams.
//!
//! | answer | outcome |
//! | --- | --- |
//! | 2xx but 260 | delivered |
//! | 260 (blocked by Loki's configuration until a date) | refused, `blocked` |
//! | 400 for the whole request (it can't be read, the tenant is no tenant) | refused |
//! | 400 otherwise, for one record | refused |
//! | 400 otherwise, for more | some are stored, some are not: `rejected_unidentified`, nothing is sent again |
//! | 413; 429 for a request larger than a second's share; 500 for one larger than the ingester takes | in halves |
//! | 404, 405, 3xx; a page of HTML | retry, degraded: `url` is wrong |
//!
//! Otherwise as [`suiro_sdk::http`] has it.

mod active;
mod answer;
pub mod clock;
mod json;
mod labels;
mod output;
mod piece;
mod plan;
mod protobuf;
mod settings;
mod view;

#[cfg(test)]
mod tests;

pub use self::output::Encoding;
pub use self::settings::{Format, Settings};

/// Adds the output.
pub fn register(registry: &mut suiro_sdk::Registry) {
    registry.output("loki", "Grafana Loki, by its push API", output::build);
}
