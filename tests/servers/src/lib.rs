//! Servers for tests: Elasticsearch's `_bulk`, Loki's push, what Amazon Web Services take, and a plain sink, in the test's
//! own process.
//!
//! Each listens on a free port of 127.0.0.1, keeps what it takes, and answers as the real one does: the texts, limits and
//! oddities were taken down from OpenSearch 2.19, Elasticsearch 8 and Loki 3.7 (`tests/backends` asserts them against these);
//! Amazon's from its service models and documentation.
//! On top of that each fails on demand, see [`Fault`]: by script, always, or at random from a seed.
//!
//! A connection is a thread, requests are read and answered by blocking calls: a fault is then what it says (close here, say
//! nothing there), and nothing between it and the socket tidies up. All ends with the value: dropping a server closes every
//! connection.

mod aws;
mod elasticsearch;
mod fault;
mod http;
mod loki;
mod sink;
mod store;
#[cfg(test)]
mod tests;

pub use aws::{
    Aws, AwsOptions, Call, DeliveryRecord, Instance, KinesisRecord, LogAnomalyDetector, LogEvent, LogGroup,
    MetricAnomalyDetector, MetricDatum, Object, Role, Segment, SignedRequest, Statistics, Taken, Task,
};
pub use elasticsearch::{Document, Elasticsearch, ElasticsearchOptions, Observer};
pub use fault::{Fault, Faults, Weighted};
pub use loki::{Entry, EntryObserver, Loki, LokiOptions, Stream};
pub use sink::{Body, Sink};
