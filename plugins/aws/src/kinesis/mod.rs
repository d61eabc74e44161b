//! Amazon Kinesis Data Streams and Amazon Data Firehose: the outputs `kinesis` and `firehose`.
//!
//! Both take up to 500 records a request, in base64 inside JSON, and answer for each of them. What they differ in is
//! [`Service`](service::Service).
//!
//! # Settings
//!
//! | setting | of | default | |
//! | --- | --- | --- | --- |
//! | `stream` | both | | its name |
//! | `stream_arn` | `kinesis` | none | its ARN, instead of `stream`: for a stream of another account |
//! | `partition_key` | `kinesis` | the record's id | a template; records of one key go to one shard. Where a field is missing, or nothing comes of it: the record's id. Cut at 256 characters |
//! | `max_record` | `kinesis` | 1MiB | the largest record, its key included, that the stream takes (up to 10 MiB); a larger one is set aside |
//! | `format` | both | `json` | the body as a JSON map; `raw`: the text under `log` if that is all there is, else JSON; `full`: what stands beside the record too |
//! | `newline` | both | `firehose`: true, `kinesis`: false | whether a line feed ends each record |
//! | `timeout`, `tls`, `headers` | both | | see [`suiro_sdk::http::ClientSettings`] |
//! | `region`, `endpoint`, `credentials`, ... | both | | see [`suiro_sdk::aws::AccountSettings`] |
//!
//! # Limits
//!
//! | | `kinesis` | `firehose` |
//! | --- | --- | --- |
//! | records in a request | 500 | 500 |
//! | a record, before base64 | 1 MiB with its key (`max_record`) | 1,000 KiB |
//! | a request, before base64 | 5 MiB with keys; one record that is larger goes alone | 4 MiB |
//!
//! A record beyond its limit is never sent: it is set aside as `too_large`.
//!
//! Where records of 10 MiB are taken, so are requests; 5 MiB of several records is what is taken everywhere.
//!
//! # Guarantee
//!
//! At least once, without order: of a request some records may be taken and others not, and those are tried again behind
//! what came later. `ordered = true` sends one request at a time, and does not mend that.
//!
//! # What an answer means
//!
//! | answer | outcome |
//! | --- | --- |
//! | 200, an entry without an error | delivered |
//! | 200, an entry with one (`ProvisionedThroughputExceededException`, `ServiceUnavailableException`, `InternalFailure`) | that record is tried again |
//! | 200 that does not speak of each record | all of it again |
//! | the stream is not there, is being made, or its key of KMS can't be used | retry, degraded |
//! | other 4xx for several records | in halves: one of them may be the reason |
//! | 4xx that no service of AWS's wrote | retry, degraded: `endpoint` is wrong |
//!
//! Otherwise as [`suiro_sdk::aws::judge`] has it.
//!
//! # Missing
//!
//! The aggregation of the Kinesis Producer Library: a record here is a record there. Explicit hash keys.

mod answer;
mod encode;
mod output;
mod service;
mod settings;

#[cfg(test)]
mod tests;

/// Adds the outputs.
pub(crate) fn register(registry: &mut suiro_sdk::Registry) {
    registry.output("kinesis", "Amazon Kinesis Data Streams (PutRecords)", output::build_kinesis);
    registry.output("firehose", "Amazon Data Firehose (PutRecordBatch)", output::build_firehose);
}
