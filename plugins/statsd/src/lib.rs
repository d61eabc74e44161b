//! StatsD and DogStatsD: the `statsd` input.
//!
//! Datagrams are cut into lines, a line is parsed in its place ([`parse`]), and counted in the window it falls into
//! (`window`); when the window ends, each series becomes one metric point (`point`). Events and service checks are log
//! records at once (`notice`). What was said in a window that has not ended is in no record yet: a crash loses it. A stop
//! does not: the window ends then.

mod input;
mod notice;
pub mod parse;
mod point;
mod receive;
mod settings;
mod sketch;
mod window;

#[cfg(test)]
mod tests;

use suiro_sdk::Registry;

/// Adds the plugins of this crate.
pub fn register(registry: &mut Registry) {
    registry.input("statsd", "takes StatsD and DogStatsD metrics, events and service checks", input::build);
}
