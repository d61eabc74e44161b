//! The services: what their hosts, their signatures and their variables are called.

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// The first part of its hosts: `logs` of `logs.eu-central-1.amazonaws.com`.
    pub host: &'static str,
    /// What its signatures call it.
    pub signing: &'static str,
}

// === impl Service ===

impl Service {
    /// CloudWatch Logs.
    pub const LOGS: Service = Service { host: "logs", signing: "logs" };
    /// CloudWatch: metrics and their alarms.
    pub const MONITORING: Service = Service { host: "monitoring", signing: "monitoring" };
    /// X-Ray.
    pub const XRAY: Service = Service { host: "xray", signing: "xray" };
    /// S3.
    pub const S3: Service = Service { host: "s3", signing: "s3" };
    /// Kinesis Data Streams.
    pub const KINESIS: Service = Service { host: "kinesis", signing: "kinesis" };
    /// Data Firehose.
    pub const FIREHOSE: Service = Service { host: "firehose", signing: "firehose" };
    /// Security Token Service.
    pub const STS: Service = Service { host: "sts", signing: "sts" };

    /// What the shared configuration calls it: `AWS_ENDPOINT_URL_CLOUDWATCH_LOGS` is that of `CloudWatch Logs`.
    pub(super) fn id(&self) -> &'static str {
        match self.host {
            "logs" => "CloudWatch Logs",
            "monitoring" => "CloudWatch",
            "xray" => "XRay",
            "s3" => "S3",
            "kinesis" => "Kinesis",
            "firehose" => "Firehose",
            "sts" => "STS",
            "aps" => "amp",
            "es" => "OpenSearch",
            other => other,
        }
    }
}
