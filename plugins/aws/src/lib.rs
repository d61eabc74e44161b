//! Amazon Web Services: CloudWatch, X-Ray, S3, Kinesis, Firehose, and what is known of where the agent runs.
//!
//! Credentials, regions and signatures are the SDK's ([`suiro_sdk::aws`]).

mod cloudwatch;
mod metadata;

/// Adds the plugins.
pub fn register(registry: &mut suiro_sdk::Registry) {
    cloudwatch::register(registry);
    metadata::register(registry);
}
