//! HTTP: the `http` output, for whoever takes records in a request's body.
//!
//! # Settings
//!
//! | setting | default | |
//! | --- | --- | --- |
//! | `url` | | where records go, query and all |
//! | `method` | `POST` | or `PUT` |
//! | `format` | `json_lines` | one JSON map a line; `json`: a list of maps; `raw`: a line each, the text under `log` if that is all there is, else the record as JSON |
//! | `auth` | none | `{ user, password }`, `{ bearer }` or `{ aws = { service, … } }` |
//! | `headers`, `tls`, `timeout`, `compression` | | see [`suiro_sdk::http::ClientSettings`]; a `Content-Type` of yours replaces the format's |
//!
//! # Guarantee
//!
//! At least once: after an answer that got lost, all records of the request are sent again.
//!
//! # What an answer means
//!
//! The whole of a request shares one answer, judged as [`suiro_sdk::http`] has it. The body of an answer 2xx is not looked
//! at.

mod encode;
mod output;

#[cfg(test)]
mod tests;

/// Adds the output.
pub fn register(registry: &mut suiro_sdk::Registry) {
    registry.output("http", "any HTTP server, as JSON lines, JSON or text", output::build);
}
