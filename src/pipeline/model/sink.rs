//! The sink of the model: everything that was ever stored, by output and id, and what the oracle says to it.

use std::collections::{BTreeMap, BTreeSet};

use super::Filters;
use super::agent::OUTPUTS;
use super::file::{File, Kind};

/// What is stored.
#[derive(Debug, Default)]
pub(super) struct Sink {
    /// Content by output and id.
    stored: BTreeMap<(usize, String), String>,
}

// === impl Sink ===

impl Sink {
    /// Stores a record, or finds it stored already. Set aside counts as stored: it is accounted for.
    pub(super) fn store(&mut self, output: usize, id: String, content: String) {
        if let Some(before) = self.stored.insert((output, id.clone()), content.clone()) {
            assert_eq!(before, content, "the id {id} stands for two contents");
        }
    }

    fn of(&self, output: usize) -> impl Iterator<Item = (&str, &str)> {
        self.stored
            .iter()
            .filter(move |((at, _), _)| *at == output)
            .map(|((_, id), content)| (id.as_str(), content.as_str()))
    }

    /// No line, and no item of a line, is stored under two ids.
    pub(super) fn assert_sound(&self, filters: &Filters) {
        for output in 0..OUTPUTS.len() {
            let mut seen: BTreeMap<String, &str> = BTreeMap::new();
            for (id, content) in self.of(output) {
                for mark in marks(content, filters) {
                    if let Some(other) = seen.insert(mark.clone(), id) {
                        panic!("{mark} is stored under two ids, {other} and {id}, in output {output}");
                    }
                }
            }
        }
    }

    /// Everything that must be there is there.
    pub(super) fn assert_complete(&self, file: &File, filters: &Filters) {
        for output in 0..OUTPUTS.len() {
            let marks: BTreeSet<String> = self.of(output).flat_map(|(_, content)| marks(content, filters)).collect();
            let mut same = BTreeMap::new();
            for line in &file.lines {
                let n = line.number;
                let wanted: Vec<String> = match line.kind {
                    Kind::Blank => vec![],
                    Kind::Debug if filters.drop_debug() => vec![],
                    // What an output does not take must not come to it.
                    Kind::Nobody => unwanted(&marks, n),
                    Kind::Same(3) if output == 0 => unwanted(&marks, n),
                    Kind::Team if output == 1 => unwanted(&marks, n),
                    Kind::Items(count) if filters.has("split") && count > 0 => {
                        (0..count).map(|item| format!("{n}/{item}")).collect()
                    }
                    Kind::Same(key) if filters.has("dedupe") => {
                        *same.entry(key).or_insert(false) |= marks.contains(&n.to_string());
                        vec![]
                    }
                    _ => vec![n.to_string()],
                };
                for mark in wanted {
                    assert!(marks.contains(&mark), "line {mark} is lost in output {output}");
                }
            }
            for (key, found) in same {
                assert!(found, "no line with same = {key} came to output {output}");
            }
        }
    }
}

/// Nothing is to be there of line `n`.
fn unwanted(marks: &BTreeSet<String>, n: usize) -> Vec<String> {
    assert!(!marks.contains(&n.to_string()), "line {n} came to an output that does not take it");
    Vec::new()
}

/// The lines, and items of lines, a stored content is made of.
fn marks(content: &str, filters: &Filters) -> Vec<String> {
    let value: serde_json::Value = serde_json::from_str(content).expect("what is stored is JSON");
    if let Some(text) = value["log"].as_str() {
        return text.split('#').skip(1).step_by(2).map(str::to_owned).collect();
    }
    let n = value["n"].as_u64();
    let item = value["items"]["item"].as_u64().filter(|_| filters.has("split"));
    match (n, item) {
        (Some(n), Some(item)) => vec![format!("{n}/{item}")],
        (Some(n), None) => vec![n.to_string()],
        (None, _) => panic!("stored and from no line: {content}"),
    }
}
