//! Amazon Web Services: CloudWatch, X-Ray, S3, Kinesis, Firehose, and what is known of where the agent runs.
//!
//! Credentials, regions and signatures are the SDK's ([`suiro_sdk::aws`]).

mod format;
mod join;
mod kinesis;
mod s3;

/// Adds the plugins.
pub fn register(registry: &mut suiro_sdk::Registry) {
    kinesis::register(registry);
    s3::register(registry);
}
