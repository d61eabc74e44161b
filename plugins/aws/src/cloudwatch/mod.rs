//! CloudWatch: metrics.

mod metrics;

/// Adds the plugins.
pub(crate) fn register(registry: &mut suiro_sdk::Registry) {
    metrics::register(registry);
}
