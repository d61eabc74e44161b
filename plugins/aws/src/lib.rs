//! Amazon Web Services: CloudWatch, X-Ray, S3, Kinesis, Firehose, and what is known of where the agent runs.
//!
//! Credentials, regions and signatures are the SDK's ([`suiro_sdk::aws`]).

pub mod cloudwatch;
mod format;
mod kinesis;
mod metadata;
mod s3;
pub mod xray;

/// Adds the plugins.
pub fn register(registry: &mut suiro_sdk::Registry) {
    cloudwatch::register(registry);
    kinesis::register(registry);
    metadata::register(registry);
    s3::register(registry);
    xray::register(registry);
}
