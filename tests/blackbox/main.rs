//! Black-box tests: the built agent, real files, and servers in this process that behave like the real ones.
//!
//! Each test has a folder with a configuration and the agent's data. What a test knows of the agent is what anybody can
//! know: its exit code, what it prints, its API, its files, and what arrives at the servers. Tests that move records end by
//! asserting the ledger. Nothing waits for a time to pass; everything waits for something to happen, and gives up after
//! [`PATIENCE`].

mod agent;
mod api;
#[cfg(feature = "aws")]
mod aws_auth;
mod bad_config;
mod bad_input;
mod commands;
mod crash;
mod datadog;
mod dead_letters;
mod disk_queue;
mod faults;
mod host_metrics;
mod hostile_servers;
mod ledger;
mod loki_faults;
mod otlp_input;
mod otlp_output;
mod pipelines;
mod pressure;
mod prometheus;
mod records;
mod rotation;
mod shutdown;
mod signals;
mod statsd;
mod tls;
mod traces;
#[cfg(feature = "wasm")]
mod wasm;
#[cfg(feature = "wasm")]
mod wasm_command;
#[cfg(feature = "wasm")]
mod wasm_filters;
mod xray_output;

/// How long anything may take before the test fails: far longer than it does.
pub(crate) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
