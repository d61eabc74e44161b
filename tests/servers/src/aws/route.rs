//! Which service a request is for, and what it asks of it.

use super::error::Refusal;
use crate::http::Head;

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ServiceName {
    Logs,
    XRay,
    Monitoring,
    Kinesis,
    Firehose,
    S3,
    Sts,
    /// The instance's and the task's: not signed.
    Metadata,
    /// An endpoint for OTLP, or a service that is not looked into, by the name signatures have for it.
    Other(String),
}

/// In which shape a service is spoken to, and its errors come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// AWS JSON 1.1
    Json,
    /// AWS JSON 1.0, with the codes of the Query protocol beside its own.
    Json10,
    RestJson,
    Query,
    Xml,
}

/// Where a request goes.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) service: ServiceName,
    pub(super) protocol: Protocol,
    /// `PutLogEvents`; of metadata, the path.
    pub(super) action: String,
}

const TARGETS: [(&str, ServiceName, Protocol); 4] = [
    ("Logs_20140328", ServiceName::Logs, Protocol::Json),
    ("Kinesis_20131202", ServiceName::Kinesis, Protocol::Json),
    ("Firehose_20150804", ServiceName::Firehose, Protocol::Json),
    ("GraniteServiceVersion20100801", ServiceName::Monitoring, Protocol::Json10),
];

/// The action whose token is in the place of a signature.
pub(super) const WEB_IDENTITY: &str = "AssumeRoleWithWebIdentity";

// === impl ServiceName ===

impl ServiceName {
    /// What signatures call it.
    pub(super) fn name(&self) -> &str {
        match self {
            ServiceName::Logs => "logs",
            ServiceName::XRay => "xray",
            ServiceName::Monitoring => "monitoring",
            ServiceName::Kinesis => "kinesis",
            ServiceName::Firehose => "firehose",
            ServiceName::S3 => "s3",
            ServiceName::Sts => "sts",
            ServiceName::Metadata => "metadata",
            ServiceName::Other(name) => name,
        }
    }
}

// === impl Route ===

impl Route {
    pub(super) fn of(head: &Head) -> Route {
        let route = |service, protocol, action: &str| Route { service, protocol, action: action.to_owned() };
        if let Some((prefix, action)) = head.header("x-amz-target").and_then(|target| target.split_once('.')) {
            let known = TARGETS.into_iter().find(|(target, ..)| *target == prefix);
            if let Some((_, service, protocol)) = known {
                return route(service, protocol, action);
            }
        }
        let authorization = head.header("authorization").unwrap_or_default();
        let metadata = ["/latest/", "/v4/", "/v1/credentials", "/v2/credentials/"]
            .iter()
            .any(|start| head.path.starts_with(start));
        if metadata && !authorization.starts_with("AWS4-") {
            return route(ServiceName::Metadata, Protocol::RestJson, &head.path);
        }
        match head.path.as_str() {
            "/TraceSegments" => return route(ServiceName::XRay, Protocol::RestJson, "PutTraceSegments"),
            "/GetSamplingRules" => return route(ServiceName::XRay, Protocol::RestJson, "GetSamplingRules"),
            "/SamplingTargets" => return route(ServiceName::XRay, Protocol::RestJson, "GetSamplingTargets"),
            _ => {}
        }
        // AWS4-HMAC-SHA256 Credential=KEY/20261129/REGION/SERVICE/aws4_request, ...
        let scope = authorization.split_once("Credential=").map_or("", |(_, rest)| rest);
        let scope = scope.split(',').next().unwrap_or_default();
        let service = scope.split('/').nth(3).unwrap_or_default();
        let form =
            head.header("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        match service {
            "sts" => route(ServiceName::Sts, Protocol::Query, "AssumeRole"),
            "monitoring" if form => route(ServiceName::Monitoring, Protocol::Query, "PutMetricData"),
            "" if form => route(ServiceName::Sts, Protocol::Query, WEB_IDENTITY),
            "" | "s3" => route(ServiceName::S3, Protocol::Xml, s3_action(head)),
            // No operation of theirs is known by its path but those for OTLP.
            other => route(ServiceName::Other(other.to_owned()), Protocol::RestJson, &head.path),
        }
    }

    /// What the service says when it can't keep up (429) or is out of order (all else).
    pub(super) fn overloaded(&self, status: u16) -> Refusal {
        use ServiceName::{Firehose, Kinesis, Logs, Monitoring, S3, Sts, XRay};
        let refusal = match (&self.service, status) {
            (S3, 429) => return Refusal::new("SlowDown", "Please reduce your request rate."),
            (XRay, 429) => return Refusal::new("ThrottledException", "Rate exceeded"),
            (Firehose, 429) => return Refusal::new("ServiceUnavailableException", "Slow down."),
            (Kinesis, 429) => {
                return Refusal::new("ProvisionedThroughputExceededException", "Rate exceeded for stream.");
            }
            (Sts, 429) => return Refusal::new("Throttling", "Rate exceeded"),
            (Monitoring, 429) if self.protocol == Protocol::Query => {
                return Refusal::new("Throttling", "Rate exceeded");
            }
            (_, 429) => return Refusal::new("ThrottlingException", "Rate exceeded"),
            (Logs | Firehose, _) => {
                Refusal::new("ServiceUnavailableException", "The service cannot complete the request.")
            }
            _ => Refusal::new("ServiceUnavailable", "Service is unable to handle request."),
        };
        refusal.with_status(status)
    }
}

fn s3_action(head: &Head) -> &'static str {
    let has = |name: &str| head.query.split('&').any(|pair| pair.split('=').next() == Some(name));
    match head.method.as_str() {
        "PUT" if has("uploadId") => "UploadPart",
        "PUT" if head.path.trim_matches('/').contains('/') => "PutObject",
        "PUT" => "CreateBucket",
        "POST" if has("uploads") => "CreateMultipartUpload",
        "POST" if has("uploadId") => "CompleteMultipartUpload",
        "DELETE" if has("uploadId") => "AbortMultipartUpload",
        "GET" if head.path.trim_matches('/').contains('/') => "GetObject",
        "HEAD" if head.path.trim_matches('/').contains('/') => "HeadObject",
        "HEAD" => "HeadBucket",
        _ => "Unknown",
    }
}
