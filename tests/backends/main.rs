//! The built agent against real servers: OpenSearch, Grafana Loki, the OpenTelemetry Collector, Jaeger, Zipkin, Prometheus and
//! moto, which stands for AWS, started by the scripts of the folders beside this file, written to through whole pipelines, queried
//! back and compared record by record. SDKs for Python are sources: OpenTelemetry's, X-Ray's, Fluentd's logger.
//!
//! - Gated: without `SUIRO_BACKENDS=1`, or a list of servers in the place of the 1, every test says so on stderr and passes,
//!   because getting the servers takes minutes the first time (see `tests/backends/run`, which builds them and sets it).
//! - A server that can't be had on this machine (its script exits with 77) skips its tests, with the script's reason.
//! - A server is started once for the whole run, on ports that are free, and ends with this process: its script watches
//!   the pipe this process holds. Tests keep apart by index and by the label `job`.
//! - `*_tests` run the agent and end by asserting the ledger it wrote; `*_facts` ask the servers alone, for the answers
//!   that the output and the in-process servers of the other tests are built on.

mod agent;
mod aws;
mod aws_facts;
mod aws_tests;
mod collector;
mod forward_tests;
mod input;
mod ledger;
mod loki;
mod loki_facts;
mod loki_tests;
mod opensearch;
mod opensearch_facts;
mod opensearch_tests;
mod otlp;
mod otlp_facts;
mod otlp_tests;
mod prometheus_tests;
mod sdk;
mod server;
mod spans;
mod spans_facts;
mod spans_tests;
