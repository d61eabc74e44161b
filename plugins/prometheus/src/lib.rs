//! Prometheus: scraping, exposition and remote write.
//!
//! | plugin | module |
//! | --- | --- |
//! | input `prometheus_scrape` | `scrape` |
//! | output `prometheus_exporter` | `exporter` |
//! | output and input `prometheus_remote_write` | [`remote`] |
//!
//! Metric points are records as `docs/signals.md` has them. [`text`] reads the text formats into them, [`remote`] the
//! requests of remote write; `name` and `labels` lead the other way, from OpenTelemetry's names to Prometheus's.

mod exporter;
mod labels;
mod name;
mod point;
pub mod remote;
mod scrape;
pub mod text;
mod words;

/// Adds the plugins of this crate.
pub fn register(registry: &mut suiro_sdk::Registry) {
    registry.input("prometheus_scrape", scrape::ABOUT, scrape::build);
    registry.input("prometheus_remote_write", remote::input::ABOUT, remote::input::build);
    registry.output("prometheus_exporter", exporter::ABOUT, exporter::build);
    registry.output("prometheus_remote_write", remote::output::ABOUT, remote::output::build);
}
