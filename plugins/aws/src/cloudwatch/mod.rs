//! CloudWatch: logs and metrics.

mod distribution;
mod emf;
pub mod logs;
mod metrics;
mod outcome;
mod unit;

/// Adds the plugins.
pub(crate) fn register(registry: &mut suiro_sdk::Registry) {
    logs::register(registry);
    metrics::register(registry);
}
