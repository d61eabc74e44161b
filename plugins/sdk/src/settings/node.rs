//! The parsed file as a tree that owns its data: no lifetime ties a plugin's settings to the text they came from.
//!
//! Invariants: spans are byte ranges of the file's text, the quotes of a string included; entries and items are in the
//! order of the file; the tree is at most [`MAX_DEPTH`] deep, so that walking it may recurse. Nothing here is `Debug`: the
//! strings may be secrets.

use std::ops::Range;
use std::sync::Arc;

/// How deep tables and arrays may nest.
pub(super) const MAX_DEPTH: usize = 32;

pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) start: u32,
    pub(super) end: u32,
}

pub(super) enum Kind {
    String(Text),
    Integer(i64),
    Float(f64),
    Bool(bool),
    /// As written: no setting is a date.
    Datetime,
    Array(Vec<Arc<Node>>),
    Table(Table),
    /// Already reported; whoever reads it fails in silence.
    Broken,
}

/// A string after unescaping and after the environment was put in.
pub(super) struct Text {
    pub(super) value: String,
    pub(super) expansions: Vec<Expansion>,
}

/// Where the environment was put into a string: a range of the string as TOML has it became a range of the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expansion {
    pub(super) written: Range<usize>,
    pub(super) value: Range<usize>,
    /// `false` for `$$`, which takes nothing from the environment.
    pub(super) variable: bool,
}

#[derive(Default)]
pub(super) struct Table {
    pub(super) entries: Vec<Entry>,
    /// Made by a dotted key (`a.b = 1` makes `a`), not by a header or braces.
    pub(super) dotted: bool,
}

pub(super) struct Entry {
    pub(super) key: String,
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) value: Arc<Node>,
}

// === impl Node ===

impl Node {
    pub(super) fn span(&self) -> Range<u32> {
        self.start..self.end
    }
}

// === impl Text ===

impl Text {
    /// True if a part of the value came from the environment.
    pub(super) fn is_from_environment(&self) -> bool {
        self.expansions.iter().any(|expansion| expansion.variable)
    }
}

// === impl Table ===

impl Table {
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}
