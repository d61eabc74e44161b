//! Elasticsearch and OpenSearch: the `elasticsearch` output.
//!
//! Records go to `_bulk` as NDJSON: an action line and a document line each. A document is the record's body, copied as
//! its source wrote it, with `@timestamp` put before its first member unless it has one.
//!
//! # Settings
//!
//! | setting | default | |
//! | --- | --- | --- |
//! | `url` | | one, or a list: taken in turn, the next one if one can't be reached |
//! | `index` | `logs-suiro-default` | a destination: `app-{@time:%Y.%m.%d}`, or `{ value, allow, missing }` |
//! | `action` | `create` | or `index`, which overwrites a document of the same id; data streams take only `create` |
//! | `id` | none: the server's | `origin`, or a template. A record that lacks a field of the template gets the server's |
//! | `pipeline` | none | an ingest pipeline |
//! | `auth` | none | `{ user, password }`, `{ api_key }` or `{ bearer }` |
//! | `tls`, `headers`, `timeout`, `compression` | | see [`suiro_sdk::http::ClientSettings`] |
//!
//! # Guarantee
//!
//! With `id = "origin"`, effectively once within a backing index: a record sent again after a lost answer meets its own id,
//! the server answers 409, and that counts as delivered. Without it, at least once.
//!
//! # What an answer means
//!
//! | answer | outcome |
//! | --- | --- |
//! | item 2xx; 409 where the id is ours | delivered |
//! | item 429, 5xx; 401, 403 (a write block: an operator mends it) | that record is tried again |
//! | any other item | that record is refused, with the error's type and reason |
//! | 413; 429 because one request alone is beyond the node's bound; an answer too long to read | in halves |
//! | 400 for an action the server could not validate | in halves, until the culprit is alone |
//! | 404, 405, 406, 3xx; 400 for the path | retry, degraded: `url` is wrong |
//! | 200 that is not an answer to `_bulk`, or speaks of another number of records | retry: nobody knows |
//!
//! Otherwise as [`suiro_sdk::http`] has it.

mod answer;
mod encode;
mod output;
mod settings;

#[cfg(test)]
mod tests;

pub use self::encode::{Encoded, Encoder};
pub use self::settings::{Action, Id, Settings};

/// Adds the output.
pub fn register(registry: &mut suiro_sdk::Registry) {
    registry.output("elasticsearch", "Elasticsearch and OpenSearch, by _bulk", output::build);
}
