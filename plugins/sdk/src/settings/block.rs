//! Tables that are units of their own: `[[input]]`, `[[output]]`, and the filters inside them.

use super::diagnostic::Diagnostic;
use super::node::Kind;
use super::section::{Section, State};
use super::value::Value;

impl Section {
    /// The tables of `[[key]]`, each a section of its own: finished apart, failing apart. `label` is how messages call
    /// them; use [`Section::set_label`] once more is known.
    pub fn units(&self, key: &str, label: &str) -> Vec<Section> {
        let Some(value) = self.value(key) else { return Vec::new() };
        match &value.node.kind {
            Kind::Array(_) => value.one_or_many().iter().filter_map(|item| item.unit(label).ok()).collect(),
            Kind::Table(_) => {
                // Read all the same, for its other mistakes.
                let place = self.place_of_key(key).unwrap_or_else(|| value.place());
                self.state.report(Diagnostic::error(
                    Some(place),
                    format!("there can be several of {label}: it takes double brackets"),
                    format!("write {label}"),
                ));
                value.unit(label).into_iter().collect()
            }
            _ => {
                value.expected(format!("a table: {label}"));
                Vec::new()
            }
        }
    }
}

impl Value {
    /// The table it must be, as a section that is finished apart from the one it is in.
    pub fn unit(&self, label: &str) -> Result<Section, super::Reported> {
        match &self.node.kind {
            Kind::Table(_) => Ok(State::unit(&self.owner, &self.node, label)),
            _ => Err(self.expected("a table")),
        }
    }

    /// Keeps the value out of every report.
    pub fn mask(&self) {
        if matches!(self.node.kind, Kind::String(_)) {
            self.owner.source().mask(self.node.span());
        }
    }

    pub(super) fn environment(&self) -> &super::Environment {
        self.owner.environment()
    }
}
