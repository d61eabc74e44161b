//! `suiro list`: what there is to write into a configuration.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use suiro_sdk::registry::Entry;

use crate::registry;

/// Arguments of `suiro list`.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only these
    #[arg(value_enum)]
    kind: Option<ListKind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ListKind {
    Inputs,
    Filters,
    Outputs,
    Parsers,
}

pub(super) fn list(args: &ListArgs) -> ExitCode {
    let registry = registry::all();
    let mut text = String::new();
    let mut add = |kind, title: &str, entries: Vec<(&str, &str)>| {
        if args.kind.is_none_or(|wanted| wanted == kind) {
            text += &format!("{title}\n");
            let width = entries.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
            for (name, about) in entries {
                text += &format!("  {name:width$}  {about}\n");
            }
        }
    };
    add(ListKind::Inputs, "inputs", about(&registry.inputs));
    add(ListKind::Filters, "filters", about(&registry.filters));
    add(ListKind::Outputs, "outputs", about(&registry.outputs));
    add(ListKind::Parsers, "parsers", about(&registry.parsers));
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn about<B>(entries: &BTreeMap<&'static str, Entry<B>>) -> Vec<(&'static str, &'static str)> {
    entries.iter().map(|(name, entry)| (*name, entry.about)).collect()
}
