//! The agent's own log: lines on standard error.

use std::io::IsTerminal as _;

use tracing::level_filters::LevelFilter;

use crate::config::LogLevel;

/// Starts the log at `level`. A second start changes nothing.
pub(super) fn start(level: LogLevel) {
    let level: LevelFilter = level.as_str().parse().unwrap_or(LevelFilter::INFO);
    let _ = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .try_init();
}
