//! CloudWatch: metrics.

mod distribution;
mod metrics;
mod point;
mod unit;

/// Adds the plugins.
pub(crate) fn register(registry: &mut suiro_sdk::Registry) {
    metrics::register(registry);
}
