//! The batch against independent models of it: a plain tree for edits, `serde_json` for JSON; and a named test for each
//! pitfall of a flat representation.
//!
//! What `cargo fuzz` runs without end (`/fuzz`), [`corpus`] runs on a bounded, seeded corpus.

mod bodies;
mod corpus;
mod generate;
mod json;
mod model;
mod oracle;
mod pitfalls;
mod pitfalls_edit;
mod signals;
