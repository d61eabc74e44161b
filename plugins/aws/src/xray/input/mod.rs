//! The `xray` input: what the X-Ray daemon does for applications beside it.
//!
//! # Settings
//!
//! | setting | default | |
//! | --- | --- | --- |
//! | `udp` | `127.0.0.1:2000` | where segments come; `false`: nowhere |
//! | `tcp` | `127.0.0.1:2000` | where sampling rules are asked for; `false`: nowhere |
//! | `format` | `spans` | `spans`: a record for each segment and subsegment. `segments`: the document as it is, for the output `xray` |
//! | `receive_buffer` | 4 MiB | what the system keeps for the agent to read |
//! | `sampling` | `proxy` | `proxy`: requests are signed and passed on to X-Ray. `local`: answered from `sampling_rules` |
//! | `sampling_rules` | | a file of rules: of the SDKs' local rules (version 1 or 2), or what `aws xray get-sampling-rules` prints |
//! | `region`, `endpoint`, `profile`, `credentials`, `assume_role`, `fips`, `dual_stack` | | of `proxy`, see [`AccountSettings`](suiro_sdk::aws::AccountSettings) |
//! | `auth`, `tls`, `max_body`, `max_pending`, `max_connections`, `timeout` | | of `tcp`, see [`suiro_sdk::serve`]; `max_pending` bounds segments, too |
//!
//! # Protocol
//!
//! A datagram is one line, `{"format":"json","version":1}`, and behind it a segment document, all in all at most 64 KB. TCP is
//! HTTP: SDKs post to `/GetSamplingRules` and `/SamplingTargets`, and do not sign.
//!
//! # Formats
//!
//! `segments` keeps the document's text under the key `xray.segment`, with the ids, name, start and end beside it, for
//! routing. It is cheap, exact, and of use to one output. `spans` is the default since all other outputs
//! and filters understand spans, and that output makes segments of them again:
//!
//! | segment | span |
//! | --- | --- |
//! | `trace_id`, `id`, `parent_id` | `@trace_id`, `@span_id`, `parent_span_id` |
//! | `name` | `name`; of a segment `@service.name`; of a subsegment, by `namespace`, `rpc.service` or `peer.service` |
//! | `type`, `namespace` | `kind`: a segment that was called is a `server`, a subsegment with a namespace a `client`, all else `internal` |
//! | `start_time`, `end_time` | `start`, `end`, to the nanosecond |
//! | `in_progress` | no `end`, and `aws.xray.inprogress` = true. The whole segment comes later, with the same ids |
//! | `fault`, `error`, `throttle`, `cause` | `status.code` = error; `aws.xray.fault` and so on where HTTP's status says something else, true, or false if none is set |
//! | `cause.exceptions` | `events` named `exception`; the message of the first is `status.message` |
//! | `http.request` | `http.request.method`, `url.full`, `user_agent.original`, `client.address`; without `x_forwarded_for` the client is `network.peer.address`, too |
//! | `http.response` | `http.response.status_code`, `http.response.body.size` |
//! | `aws` of a call | `rpc.system` = `aws-api`, `rpc.method` is `operation`; `aws.region`, `aws.request_id`, `aws.queue_url`, `aws.table_name`, … |
//! | `aws`, `origin`, `service` of a segment | the resource: `cloud.*`, `host.*`, `container.*`, `aws.ecs.*`, `k8s.*`, `telemetry.sdk.*`, `service.version` |
//! | `sql` | `db.system`, `db.connection_string`, `db.name`, `db.statement`, `db.user` |
//! | `annotations` | attributes of their names, which `aws.xray.annotations` lists |
//! | `metadata` | `aws.xray.metadata.NAMESPACE`: JSON as a text |
//! | `user` | `enduser.id` |
//! | `links` | `links` |
//! | `subsegments` | spans, with the segment's resource |
//! | what else there is | `aws.xray.NAME` |
//!
//! # Guarantee
//!
//! Over UDP none: nobody can be told to send it again. What the agent has read is delivered; what it turns away is counted
//! (`malformed`, `queue_full`), and so is what the system dropped before (`receive_buffer_full`).

mod api;
mod attributes;
mod decode;
mod exceptions;
mod links;
mod map;
mod proxy;
mod resource;
mod sampling;
mod seconds;
mod segment;
mod settings;
mod source;

#[cfg(test)]
mod tests;

pub use self::decode::{DecodeError, Decoder, Format};
pub(crate) use self::source::build;
