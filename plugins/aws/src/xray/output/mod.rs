//! The `xray` output: spans to AWS X-Ray, by `PutTraceSegments`.
//!
//! # Settings
//!
//! | setting | default | |
//! | --- | --- | --- |
//! | `region`, `endpoint`, `profile`, `assume_role`, `credentials`, `fips`, `dual_stack` | | see [`suiro_sdk::aws::AccountSettings`] |
//! | `annotations` | none | attributes that X-Ray indexes: a list (those of the resource as `otel.resource.KEY`), or `"all"` |
//! | `log_groups` | none | the log groups of the services, for those whose resource names none |
//! | `timeout`, `tls`, `headers` | | see [`suiro_sdk::http::ClientSettings`] |
//! | `batch` | 50 records, 1 s | X-Ray takes 50 documents a call: of more, several calls are made |
//!
//! # Mapping
//!
//! A span becomes one document, or two ([`document`]). Its parts are each in a module, whose head has the table:
//! [`naming`] (`name`, `namespace`), [`http`], [`sql`], [`cloud`] (`aws`, `origin`, `service`), [`cause`] (with `error`,
//! `fault`, `throttle`) and [`stack`], [`labels`] (`annotations`), [`metadata`]. It follows the OpenTelemetry Collector's
//! exporter, and says more where that leaves out what X-Ray has a place for.
//!
//! A record with `xray.segment` is sent as that text is, if it is a JSON map of at most 64 KiB: it came from an X-Ray SDK.
//!
//! # Guarantee
//!
//! At least once. Ids that OpenTelemetry does not know are made of the span's, so what is sent twice has the same ids.
//!
//! # What an answer means
//!
//! See [`answer`]; of answers that are no success, [`suiro_sdk::aws::judge`]. A call that is refused as a whole, or too large,
//! is made again in halves, since one of its documents may be the reason.

mod answer;
mod attributes;
mod cause;
mod cloud;
mod document;
mod http;
mod json;
mod labels;
mod metadata;
mod naming;
mod send;
mod settings;
mod span;
mod sql;
mod stack;

#[cfg(test)]
mod tests;

use suiro_sdk::Output;
use suiro_sdk::settings::{Reported, Section};

/// Reads the settings.
pub(crate) fn build(settings: &Section) -> Result<Box<dyn Output>, Reported> {
    let settings = settings::Settings::read(settings)?;
    Ok(Box::new(send::XRay { settings, caller: None }))
}
