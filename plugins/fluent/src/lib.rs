//! Fluentd's protocol.

/// Adds the input.
pub fn register(_registry: &mut suiro_sdk::Registry) {}
