//! CloudWatch: logs.

mod emf;
pub mod logs;

/// Adds the plugins.
pub(crate) fn register(registry: &mut suiro_sdk::Registry) {
    logs::register(registry);
}
