//! The configuration of the agent: from files to a plain description of what to run.
//!
//! Files are read in the order given, those of a folder in the order of their names, and are merged: blocks
//! (`[[input]]`, `[[filter]]`, `[[output]]`, `[[parser]]`, `[[test]]`) are appended, settings of `[service]` may each be
//! set in one file only. The settings of a block are not read here: each plugin reads its own from the [`Section`] it is
//! given, and reports to the same [`Diagnostics`].
//!
//! Loading never stops at a mistake and always gives a [`Config`], so that plugins can be asked for their mistakes, too.
//! It must not be run unless `Diagnostics::check` is `Ok`.

mod blocks;
mod files;
mod names;
mod service;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use suiro_sdk::settings::{self, Diagnostic, Diagnostics, Environment, Section, Source, enumerate, nearest};

pub use self::service::{LogLevel, Service};

/// What the configuration asks for.
#[derive(Debug)]
pub struct Config {
    /// Settings of the agent itself.
    pub service: Service,
    /// `[[input]]`, in order.
    pub inputs: Vec<Block>,
    /// `[[filter]]`, in the order in which they run.
    pub filters: Vec<Block>,
    /// `[[output]]`, in order.
    pub outputs: Vec<Block>,
    /// `[[parser]]`: parsers named by the user.
    pub parsers: Vec<Block>,
    /// Names of `[[parser]]` blocks of no known type: naming them is no second mistake.
    pub broken_parsers: Vec<String>,
    /// `[[test]]`: records in, records expected. Read by who runs tests.
    pub tests: Vec<Section>,
    /// The files read, in order.
    pub files: Vec<Arc<Source>>,
}

/// One plugin to set up.
#[derive(Debug)]
pub struct Block {
    /// What it is.
    pub kind: Kind,
    /// The value of `type`: one of the registry's names for this kind.
    pub type_name: String,
    /// Unique among the blocks of its kind; safe as the name of a file.
    pub name: String,
    /// Its settings. `type`, `name` and, in inputs and outputs, `filter` are read already.
    pub section: Section,
    /// `[[input.filter]]` or `[[output.filter]]`, in order. Empty for other kinds.
    pub filters: Vec<Block>,
}

/// The kinds of blocks that are plugins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `[[input]]`
    Input,
    /// `[[filter]]`
    Filter,
    /// `[[output]]`
    Output,
    /// `[[parser]]`
    Parser,
}

/// The types the registry knows, by kind.
#[derive(Clone, Debug, Default)]
pub struct KnownTypes {
    /// Types of inputs.
    pub inputs: Vec<&'static str>,
    /// Types of filters.
    pub filters: Vec<&'static str>,
    /// Types of outputs.
    pub outputs: Vec<&'static str>,
    /// Types of parsers.
    pub parsers: Vec<&'static str>,
}

const TABLES: [(&str, &str); 6] = [
    ("service", "[service]"),
    ("input", "[[input]]"),
    ("filter", "[[filter]]"),
    ("output", "[[output]]"),
    ("parser", "[[parser]]"),
    ("test", "[[test]]"),
];

/// Reads the files and folders given with `-c`, in that order.
pub fn load(paths: &[PathBuf], types: &KnownTypes, environment: &Environment, diagnostics: &Diagnostics) -> Config {
    merge(files::read(paths, diagnostics), types, environment, diagnostics)
}

/// Makes one configuration of texts already read. The order of the list is that of the merge.
pub fn merge(
    files: Vec<Arc<Source>>,
    types: &KnownTypes,
    environment: &Environment,
    diagnostics: &Diagnostics,
) -> Config {
    let roots: Vec<Section> = files.iter().map(|file| settings::parse(file, environment, diagnostics)).collect();
    for root in &roots {
        unknown_tables(root);
    }
    let service = service::read(roots.iter().filter_map(service::section_of).collect(), environment);
    let mut found = blocks::Found::default();
    for root in &roots {
        found.add(root, types);
    }
    let tests = roots.iter().flat_map(|root| root.units("test", "[[test]]")).collect();
    let blocks = found.named(diagnostics);
    Config {
        service,
        inputs: blocks.inputs,
        filters: blocks.filters,
        outputs: blocks.outputs,
        parsers: blocks.parsers,
        broken_parsers: blocks.broken_parsers,
        tests,
        files,
    }
}

/// Reports what stands at the top of a file and is no table of the configuration.
fn unknown_tables(root: &Section) {
    let names = || TABLES.iter().map(|(name, _)| *name);
    for key in root.keys() {
        if names().any(|name| name == key) {
            continue;
        }
        let header = |name: &str| TABLES.iter().find(|(own, _)| *own == name).map_or("", |(_, header)| *header);
        let (message, help) = if service::SETTINGS.contains(&key.as_str()) {
            (format!("`{key}` is a setting of [service]"), "write it below a line [service]".to_owned())
        } else if let Some(near) = nearest(&key, names()) {
            (format!("unknown table `{key}`; did you mean `{near}`?"), format!("write {}", header(near)))
        } else {
            let tables = TABLES.map(|(_, header)| header).join(", ");
            (format!("unknown name `{key}` at the top of the file"), format!("a file holds {tables}"))
        };
        root.diagnostics().report(Diagnostic::error(root.place_of_key(&key), message, help));
    }
}

// === impl Kind ===

impl Kind {
    /// The header of its blocks.
    pub fn header(self) -> &'static str {
        match self {
            Kind::Input => "[[input]]",
            Kind::Filter => "[[filter]]",
            Kind::Output => "[[output]]",
            Kind::Parser => "[[parser]]",
        }
    }

    /// The word for it: `input`.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Input => "input",
            Kind::Filter => "filter",
            Kind::Output => "output",
            Kind::Parser => "parser",
        }
    }

    fn with_article(self) -> &'static str {
        match self {
            Kind::Input => "an input",
            Kind::Filter => "a filter",
            Kind::Output => "an output",
            Kind::Parser => "a parser",
        }
    }
}

// === impl KnownTypes ===

impl KnownTypes {
    fn of(&self, kind: Kind) -> &[&'static str] {
        match kind {
            Kind::Input => &self.inputs,
            Kind::Filter => &self.filters,
            Kind::Output => &self.outputs,
            Kind::Parser => &self.parsers,
        }
    }

    /// The kinds that have a type of that name.
    fn kinds_with(&self, name: &str) -> Option<Kind> {
        let kinds = [Kind::Input, Kind::Filter, Kind::Output, Kind::Parser];
        kinds.into_iter().find(|kind| self.of(*kind).contains(&name))
    }

    fn list(&self, kind: Kind) -> String {
        let mut names = self.of(kind).to_vec();
        names.sort_unstable();
        enumerate(names, "and")
    }
}
