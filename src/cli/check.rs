//! `suiro check`: is the configuration right, and what would it run?

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Args;

use super::EXIT_USAGE;
use super::load::{self, ConfigArgs};
use crate::pipeline::{FilterPlan, Plan};

/// Arguments of `suiro check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn check(args: &CheckArgs) -> ExitCode {
    let Some((plan, _)) = load::plan(&args.config) else { return ExitCode::from(EXIT_USAGE) };
    match std::io::stdout().lock().write_all(describe(&plan).as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// The plan, in the order in which records pass through it.
fn describe(plan: &Plan) -> String {
    let mut text = String::from("The configuration is fine. Records pass in this order:\n");
    // Writing to a `String` does not fail.
    for input in &plan.inputs {
        let _ = writeln!(text, "  input   {} ({})", input.name, input.type_name);
        describe_filters(&mut text, "    filter ", input.multiline.iter().chain(&input.filters));
    }
    describe_filters(&mut text, "  filter ", plan.filters.iter());
    for output in &plan.outputs {
        let _ = writeln!(text, "  output  {} ({})", output.name, output.type_name);
        describe_filters(&mut text, "    filter ", output.filters.iter());
    }
    text
}

fn describe_filters<'a>(text: &mut String, head: &str, filters: impl Iterator<Item = &'a std::sync::Arc<FilterPlan>>) {
    for filter in filters {
        let when = filter.when.as_ref().map(|when| format!(" when {}", when.as_str())).unwrap_or_default();
        let _ = writeln!(text, "{head} {} ({}){when}", filter.name, filter.type_name);
    }
}
