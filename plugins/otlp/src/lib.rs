//! OpenTelemetry: OTLP over gRPC and HTTP, and the codec between its messages and records.
//!
//! What a log record, a span and a metric point look like as records is in `docs/signals.md`; the codec is for every
//! plugin that speaks OTLP, also those of other systems' OTLP roads.

pub mod codec;
mod input;
mod output;

/// Adds the plugins.
pub fn register(registry: &mut suiro_sdk::Registry) {
    registry.input("otlp", input::ABOUT, input::build);
    registry.output("otlp", "OpenTelemetry: OTLP over gRPC or HTTP, all signals", output::build);
}
