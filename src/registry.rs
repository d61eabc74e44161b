//! All plugins: one line per crate.

use suiro_sdk::Registry;

use crate::config::KnownTypes;

/// Every plugin this agent was built with.
pub fn all() -> Registry {
    let mut registry = Registry::default();
    suiro_parsers::register(&mut registry);
    suiro_filters::register(&mut registry);
    suiro_files::register(&mut registry);
    suiro_fluent::register(&mut registry);
    suiro_host::register(&mut registry);
    suiro_http::register(&mut registry);
    suiro_jaeger::register(&mut registry);
    suiro_zipkin::register(&mut registry);
    suiro_loki::register(&mut registry);
    suiro_otlp::register(&mut registry);
    suiro_elasticsearch::register(&mut registry);
    suiro_datadog::register(&mut registry);
    suiro_statsd::register(&mut registry);
    suiro_prometheus::register(&mut registry);
    #[cfg(feature = "aws")]
    suiro_aws::register(&mut registry);
    #[cfg(feature = "wasm")]
    suiro_wasm::register(&mut registry);
    registry
}

/// The names of a registry's plugins.
pub fn known_types(registry: &Registry) -> KnownTypes {
    KnownTypes {
        inputs: registry.inputs.keys().copied().collect(),
        filters: registry.filters.keys().copied().collect(),
        outputs: registry.outputs.keys().copied().collect(),
        parsers: registry.parsers.keys().copied().collect(),
    }
}
