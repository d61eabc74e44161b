//! From `-c` to a plan, with every mistake on the terminal.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;

use clap::Args;
use suiro_sdk::Registry;
use suiro_sdk::settings::{Diagnostic, Diagnostics, process_environment};

use crate::config;
use crate::pipeline::Plan;
use crate::registry;

/// Where the configuration is.
#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    /// A configuration file, or a folder of *.toml; several merge in this order
    #[arg(short, long = "config", value_name = "FILE or FOLDER", required = true)]
    pub(super) config: Vec<PathBuf>,
}

/// Reads the configuration and builds the plan. What is wrong, or doubtful, is on standard error already.
pub(super) fn plan(args: &ConfigArgs) -> Option<(Plan, Registry)> {
    let registry = registry::all();
    let diagnostics = Diagnostics::default();
    let environment = process_environment();
    let loaded = config::load(&args.config, &registry::known_types(&registry), &environment, &diagnostics);
    let plan = Plan::build(loaded, &registry, &diagnostics);
    if plan.as_ref().is_ok_and(|plan| plan.inputs.is_empty()) {
        let message = "there is nothing to read: the configuration has no [[input]]";
        diagnostics.report(Diagnostic::error(None, message, "add one: [[input]] with type = \"tail\" and a path"));
    }
    let text = diagnostics.render(std::io::stderr().is_terminal());
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
    diagnostics.check().ok()?;
    Some((plan.ok()?, registry))
}
