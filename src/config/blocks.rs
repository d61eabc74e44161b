//! The blocks of a configuration: which plugin each is, and its name.

use suiro_sdk::settings::{Diagnostic, Diagnostics, Section, nearest};

use super::names::{self, Names};
use super::{Block, Kind, KnownTypes};

/// Blocks as found, names not yet settled: one made of a type must not take a name given later.
#[derive(Default)]
pub(super) struct Found {
    inputs: Vec<Unnamed>,
    filters: Vec<Unnamed>,
    outputs: Vec<Unnamed>,
    parsers: Vec<Unnamed>,
    broken_parsers: Vec<String>,
}

/// Blocks with their names.
pub(super) struct Named {
    pub(super) inputs: Vec<Block>,
    pub(super) filters: Vec<Block>,
    pub(super) outputs: Vec<Block>,
    pub(super) parsers: Vec<Block>,
    pub(super) broken_parsers: Vec<String>,
}

struct Unnamed {
    kind: Kind,
    type_name: String,
    name: Option<String>,
    section: Section,
    filters: Vec<Unnamed>,
}

// === impl Found ===

impl Found {
    /// Adds the blocks of a file.
    pub(super) fn add(&mut self, root: &Section, types: &KnownTypes) {
        self.inputs.extend(read(root, "input", Kind::Input, "[[input]]", types));
        self.filters.extend(read(root, "filter", Kind::Filter, "[[filter]]", types));
        self.outputs.extend(read(root, "output", Kind::Output, "[[output]]", types));
        for section in root.units("parser", "[[parser]]") {
            match block(section.clone(), Kind::Parser, "[[parser]]", types) {
                Some(parser) => self.parsers.push(parser),
                None => {
                    self.broken_parsers.extend(section.value("name").and_then(|name| name.as_str().map(str::to_owned)))
                }
            }
        }
    }

    /// Settles the names: first those given, in order, then the others.
    pub(super) fn named(self, diagnostics: &Diagnostics) -> Named {
        let mut names = Names::default();
        for block in [&self.inputs, &self.filters, &self.outputs, &self.parsers].into_iter().flatten() {
            block.take_names(&mut names, diagnostics);
        }
        let mut named = |blocks: Vec<Unnamed>| blocks.into_iter().map(|block| block.named(&mut names, None)).collect();
        Named {
            inputs: named(self.inputs),
            filters: named(self.filters),
            outputs: named(self.outputs),
            parsers: named(self.parsers),
            broken_parsers: self.broken_parsers,
        }
    }
}

// === impl Unnamed ===

impl Unnamed {
    fn take_names(&self, names: &mut Names, diagnostics: &Diagnostics) {
        if let Some(name) = &self.name {
            names.take(self.kind, name, &self.section, diagnostics);
        }
        for filter in &self.filters {
            filter.take_names(names, diagnostics);
        }
    }

    fn named(self, names: &mut Names, inside: Option<&str>) -> Block {
        let name = self.name.unwrap_or_else(|| {
            let base = match inside {
                Some(block) => format!("{block}.{}", self.type_name),
                None => self.type_name.clone(),
            };
            names.make(self.kind, &base, &self.section)
        });
        let filters = self.filters.into_iter().map(|filter| filter.named(names, Some(&name))).collect();
        Block { kind: self.kind, type_name: self.type_name, name, section: self.section, filters }
    }
}

// === reading ===

fn read(parent: &Section, key: &str, kind: Kind, header: &str, types: &KnownTypes) -> Vec<Unnamed> {
    parent.units(key, header).into_iter().filter_map(|section| block(section, kind, header, types)).collect()
}

/// Reads what all blocks have. One of unknown type is reported and left out: nobody could read its settings.
fn block(section: Section, kind: Kind, header: &str, types: &KnownTypes) -> Option<Unnamed> {
    let name = names::given(&section);
    if kind == Kind::Parser && !section.has("name") {
        section.missing("name", "\"my_format\", by which `parser` settings find it");
    }
    let filters = match kind {
        Kind::Input => read(&section, "filter", Kind::Filter, "[[input.filter]]", types),
        Kind::Output => read(&section, "filter", Kind::Filter, "[[output.filter]]", types),
        Kind::Filter | Kind::Parser => Vec::new(),
    };
    let type_name = type_of(&section, kind, header, types)?;
    section.set_label(&match &name {
        Some(name) => format!("{header} {type_name} ({name})"),
        None => format!("{header} {type_name}"),
    });
    Some(Unnamed { kind, type_name, name, section, filters })
}

fn type_of(section: &Section, kind: Kind, header: &str, types: &KnownTypes) -> Option<String> {
    let known = types.of(kind);
    if !section.has("type")
        && let keys = section.keys()
        && let Some(meant) = nearest("type", keys.iter().map(String::as_str))
    {
        let message = format!("unknown setting `{meant}` in {header}; did you mean `type`?");
        section.diagnostics().report(Diagnostic::error(section.place_of_key(meant), message, ""));
        return None;
    }
    let example = known.first().map_or_else(String::new, |first| format!("\"{first}\""));
    let type_name: String = section.require("type", &example).ok()?;
    if known.contains(&type_name.as_str()) {
        return Some(type_name);
    }
    let list = format!("{}s are {}", kind.word(), types.list(kind));
    let (message, help) = match (nearest(&type_name, known.iter().copied()), types.kinds_with(&type_name)) {
        (_, Some(other)) => (
            format!("there is no {} of type `{type_name}`, it is {}", kind.word(), other.with_article()),
            format!("write {}", other.header()),
        ),
        (Some(near), None) => (format!("unknown type `{type_name}` in {header}; did you mean `{near}`?"), list),
        (None, None) => (format!("unknown type `{type_name}` in {header}"), list),
    };
    section.error_at("type", message, help);
    None
}
