//! What plugins there are, by the name a configuration uses.
//!
//! Each plugin crate has a function `register(&mut Registry)`; the agent calls them all, one line each.
//!
//! A builder reads the settings that are the plugin's own. Those every block has (`name`, `match`, `when`, `queue`, ...)
//! the agent reads itself. A builder asks for all its settings, calls `settings.finish()?`, and only then unpacks them:
//! so all mistakes of a configuration are reported at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::filter::FilterFactory;
use crate::input::Input;
use crate::output::Output;
use crate::parser::Parser;
use crate::settings::{Reported, Section};

/// Reads an input's own settings.
pub type BuildInput = fn(&Section) -> Result<Box<dyn Input>, Reported>;
/// Reads a filter's own settings.
pub type BuildFilter = fn(&Section) -> Result<Box<dyn FilterFactory>, Reported>;
/// Reads an output's own settings.
pub type BuildOutput = fn(&Section) -> Result<Box<dyn Output>, Reported>;
/// Reads a parser's settings.
pub type BuildParser = fn(&Section) -> Result<Arc<dyn Parser>, Reported>;

/// A plugin: how it is built, and what it is in one line, for `suiro list`.
#[derive(Debug)]
pub struct Entry<B> {
    /// How it is built.
    pub build: B,
    /// What it does, in one line.
    pub about: &'static str,
}

/// All plugins.
#[derive(Debug, Default)]
pub struct Registry {
    /// Inputs by name.
    pub inputs: BTreeMap<&'static str, Entry<BuildInput>>,
    /// Filters by name.
    pub filters: BTreeMap<&'static str, Entry<BuildFilter>>,
    /// Outputs by name.
    pub outputs: BTreeMap<&'static str, Entry<BuildOutput>>,
    /// Types of parsers. Those that work without settings can be named as `parser` right away.
    pub parsers: BTreeMap<&'static str, Entry<BuildParser>>,
}

// === impl Registry ===

impl Registry {
    /// Adds an input.
    pub fn input(&mut self, name: &'static str, about: &'static str, build: BuildInput) {
        self.inputs.insert(name, Entry { build, about });
    }

    /// Adds a filter.
    pub fn filter(&mut self, name: &'static str, about: &'static str, build: BuildFilter) {
        self.filters.insert(name, Entry { build, about });
    }

    /// Adds an output.
    pub fn output(&mut self, name: &'static str, about: &'static str, build: BuildOutput) {
        self.outputs.insert(name, Entry { build, about });
    }

    /// Adds a type of parser.
    pub fn parser(&mut self, name: &'static str, about: &'static str, build: BuildParser) {
        self.parsers.insert(name, Entry { build, about });
    }
}
