//! CloudWatch: logs.

mod distribution;
mod emf;
pub mod logs;
mod point;
mod unit;

/// Adds the plugins.
pub(crate) fn register(registry: &mut suiro_sdk::Registry) {
    logs::register(registry);
}
