//! CloudWatch Logs: the `cloudwatch_logs` output.
//!
//! Records become events of log streams, by `PutLogEvents`. Which stream is said by two templates; what is missing is made.
//!
//! # Settings
//!
//! | setting | default | |
//! | --- | --- | --- |
//! | `region`, `endpoint`, `credentials`, ... | | whose account, and where: [`suiro_sdk::aws::AccountSettings`] |
//! | `log_group`, `log_stream` | | destinations. What a record puts into them is cleaned (`names.rs`) |
//! | `format` | `text` | or `emf`: metric points too, as documents in the embedded metric format (`emf`) |
//! | `namespace`, `dimensions`, ... | | of `emf`, see there |
//! | `log_key` | none | the field that is the message. Without it, or where a record lacks it: the text under `log` if that is all there is, else the record as JSON |
//! | `max_event` | 1 MiB | bytes of an event, the 26 it counts for beside its message included. Older regions take 256 KiB |
//! | `oversize` | `cut` | or `dead_letter`: what becomes of a larger one |
//! | `create_group` | `false` | make groups that are missing. Streams are made always |
//! | `retention_days`, `log_class`, `kms_key`, `tags` | none | of groups that are made |
//! | `anomaly_detector` | none | `{ name, frequency, filter_pattern, kms_key, visibility_days }`: every group written to gets one, unless it has one |
//! | `entity` | none | `{ key_attributes, attributes }`, sent with every request; checked for the service's limits |
//! | `max_streams` | 10,000 | streams that are remembered (`known.rs`) |
//! | `timeout` | 30 s | of one request with its answer |
//!
//! # Guarantee
//!
//! At least once. The service does not know an event it has already.
//!
//! # What an answer means
//!
//! | answer | outcome |
//! | --- | --- |
//! | 200 | delivered, but for those `rejectedLogEventsInfo` names by their place: refused, `too_old`, `expired`, `too_new` |
//! | 200 with `rejectedEntityInfo` | delivered; warned of once |
//! | `ResourceNotFoundException` | the stream is made, and its group if `create_group` says so; then again |
//! | throttling, `AccessDenied`, a stream that can't be made, no answer in time | retry, the stream by itself |
//! | `DataAlreadyAcceptedException` | delivered |
//! | `InvalidParameterException`, too large | the events it is for are looked for by halves, and refused; for the former the search is bounded |
//! | a success or a refusal that no service of AWS's wrote | retry, degraded, all of the output |
//!
//! Otherwise as [`suiro_sdk::aws::judge`] has it, for the whole output: after that nothing more of the delivery is sent.

mod answer;
mod batch;
mod body;
mod create;
mod known;
mod message;
mod names;
mod output;
mod plan;
mod service;
mod settings;
mod trouble;

#[cfg(test)]
mod tests;

pub use self::output::Encoding;
pub use self::settings::Settings;

/// Adds the output.
pub(super) fn register(registry: &mut suiro_sdk::Registry) {
    registry.output(
        "cloudwatch_logs",
        "CloudWatch Logs: events of log streams, metrics in the embedded metric format",
        output::build,
    );
}
