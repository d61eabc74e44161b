//! suiro, the agent: configuration, pipeline, queues, API and command line.
//!
//! A library so that tests can run pipelines of their own plugins; the binary is `main.rs`. What a plugin is, is in
//! `suiro-sdk`; what a record is, in `suiro-record`; the plugins are in `plugins/`, and `registry` names them.

pub mod api;
pub mod cli;
pub mod config;
pub mod output;
pub mod pipeline;
pub mod queue;
pub mod registry;
