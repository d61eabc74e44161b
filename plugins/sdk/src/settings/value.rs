//! One value of the configuration, with its place and its name in messages.

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;

use super::Setting;
use super::diagnostic::{Diagnostic, Reported};
use super::literal::{before_expansion, offset_in_literal};
use super::nearest::{enumerate, nearest};
use super::node::{Kind, Node, Table, Text};
use super::section::{Section, State};
use super::source::Place;

/// What precedes the name of a list in the name of its items.
const ITEM: &str = "an item of ";

/// A value and where it stands. Owns what it needs; a clone is cheap.
#[derive(Clone)]
pub struct Value {
    pub(super) node: Arc<Node>,
    pub(super) owner: Arc<State>,
    pub(super) name: String,
}

/// What a value is, for settings that take several types.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Data<'a> {
    /// A string, the environment put in.
    String(&'a str),
    /// A whole number.
    Integer(i64),
    /// A number with a point or an exponent, possibly infinite or not a number.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// A date or time of TOML's own; no setting is one.
    Datetime,
    /// A list: see [`Value::items`].
    List,
    /// A table: see [`Value::entries`] and [`Value::section`].
    Table,
    /// Already reported: fail with [`Value::expected`], which adds nothing.
    Broken,
}

/// A key and its value in a table whose keys the user chooses.
#[derive(Clone)]
pub struct Entry {
    /// The key. One made of dotted parts (`http.status = 200`) is their path, quoted where a part needs it.
    pub key: String,
    /// Where the key stands.
    pub key_place: Place,
    /// Its value.
    pub value: Value,
}

// === impl Value ===

impl Value {
    /// How messages call it: `` `timeout` `` or ``an item of `path` ``.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it stands.
    pub fn place(&self) -> Place {
        Place::new(&self.owner.source(), self.node.span())
    }

    /// What it is.
    pub fn data(&self) -> Data<'_> {
        match &self.node.kind {
            Kind::String(text) => Data::String(&text.value),
            Kind::Integer(number) => Data::Integer(*number),
            Kind::Float(number) => Data::Float(*number),
            Kind::Bool(yes) => Data::Bool(*yes),
            Kind::Datetime => Data::Datetime,
            Kind::Array(_) => Data::List,
            Kind::Table(_) => Data::Table,
            Kind::Broken => Data::Broken,
        }
    }

    /// Reads it as a `T`.
    pub fn read<T: Setting>(&self) -> Result<T, Reported> {
        T::read(self)
    }

    /// The string it is, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self.data() {
            Data::String(text) => Some(text),
            _ => None,
        }
    }

    /// The string it must be; `what` says of which kind, as in `"a duration such as \"5s\""`.
    pub fn text(&self, what: &str) -> Result<&str, Reported> {
        self.as_str().ok_or_else(|| self.expected(what))
    }

    /// True if a part of the string came from the environment. Numbers and truth values may be given as such strings:
    /// there is no other way to write `workers = "${WORKERS}"`.
    pub fn is_from_environment(&self) -> bool {
        self.written().is_some_and(Text::is_from_environment)
    }

    /// The items of a list.
    pub fn items(&self) -> Result<Vec<Value>, Reported> {
        match &self.node.kind {
            Kind::Array(items) => Ok(self.children(items)),
            _ => Err(self.expected("a list")),
        }
    }

    /// The items of a list, or the value itself where it isn't one.
    pub fn one_or_many(&self) -> Vec<Value> {
        match &self.node.kind {
            Kind::Array(items) => self.children(items),
            _ => vec![self.clone()],
        }
    }

    /// The entries of a table whose keys the user chooses, in the order of the file. Dotted keys become paths. A key that
    /// is there twice, once dotted and once quoted, is reported and left out.
    pub fn entries(&self) -> Result<Vec<Entry>, Reported> {
        let Kind::Table(table) = &self.node.kind else { return Err(self.expected("a table")) };
        let mut entries = Vec::new();
        self.flatten(table, None, &mut entries);
        let mut seen = std::collections::HashSet::new();
        entries.retain(|entry| {
            let first = seen.insert(entry.key.clone());
            if !first {
                self.owner.report(Diagnostic::error(
                    Some(entry.key_place.clone()),
                    format!("`{}` is set twice in {}", entry.key, self.name),
                    "a dotted key and a quoted one can mean the same",
                ));
            }
            first
        });
        Ok(entries)
    }

    /// The table it must be, as a section that is finished with the one it is in.
    pub fn section(&self) -> Result<Section, Reported> {
        match &self.node.kind {
            Kind::Table(_) => {
                let name = self.name.strip_prefix(ITEM).unwrap_or(&self.name);
                Ok(State::child(&self.owner, &self.node, name))
            }
            _ => Err(self.expected("a table")),
        }
    }

    /// One of some words.
    pub fn choice<T: Clone>(&self, choices: &[(&str, T)]) -> Result<T, Reported> {
        let names = || choices.iter().map(|(name, _)| *name);
        let what = enumerate(names(), "or");
        let word = self.text(&what)?;
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == word) {
            return Ok(choice.clone());
        }
        let meant = nearest(word, names()).map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
        Err(self.error(format!("{} must be {what}{meant}", self.name), ""))
    }

    /// A path that starts at the folder of the file it is named in, unless it is absolute.
    pub fn resolve_path(&self, path: &str) -> PathBuf {
        self.owner.source().dir().join(path)
    }

    /// Reports that it is of the wrong type or form; `what` completes "must be".
    pub fn expected(&self, what: impl Display) -> Reported {
        let found = match &self.node.kind {
            Kind::Broken => return self.owner.already_said(),
            Kind::String(text) if text.value.is_empty() => "an empty string".to_owned(),
            Kind::String(_) => "a string".to_owned(),
            Kind::Integer(number) => format!("the number {number}"),
            Kind::Float(number) => format!("the number {number}"),
            Kind::Bool(yes) => format!("`{yes}`"),
            Kind::Datetime => "a date or time".to_owned(),
            Kind::Array(_) => "a list".to_owned(),
            Kind::Table(_) => "a table".to_owned(),
        };
        self.error(format!("{} must be {what}, found {found}", self.name), "")
    }

    /// Reports that something is wrong with it. An empty help is none.
    pub fn error(&self, message: impl Into<String>, help: impl Into<String>) -> Reported {
        if matches!(self.node.kind, Kind::Broken) {
            return self.owner.already_said();
        }
        self.owner.report(Diagnostic::error(Some(self.place()), message, help))
    }

    /// Reports that something is wrong at a range of bytes of the string it is. The range is of the value, as
    /// [`Value::as_str`] gives it; what is shown is the place in the file, escapes and variables taken into account.
    pub fn error_in_string(
        &self,
        offset: usize,
        len: usize,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Reported {
        let place = self.place_in_string(offset, len).unwrap_or_else(|| self.place());
        self.owner.report(Diagnostic::error(Some(place), message, help))
    }

    /// Reports a warning about it.
    pub fn warning(&self, message: impl Into<String>, help: impl Into<String>) {
        self.owner.report(Diagnostic::warning(Some(self.place()), message, help));
    }

    fn place_in_string(&self, offset: usize, len: usize) -> Option<Place> {
        let text = self.written()?;
        let source = self.owner.source();
        let span = self.node.span();
        let raw = source.text().get(span.start as usize..span.end as usize)?;
        let (start, end) = before_expansion(&text.expansions, offset, offset.saturating_add(len));
        let start = span.start + offset_in_literal(raw, start) as u32;
        let end = span.start + offset_in_literal(raw, end) as u32;
        Some(Place::new(&source, start..end.max(start)))
    }

    fn written(&self) -> Option<&Text> {
        match &self.node.kind {
            Kind::String(text) => Some(text),
            _ => None,
        }
    }

    fn children(&self, items: &[Arc<Node>]) -> Vec<Value> {
        let name = format!("{ITEM}{}", self.name);
        items.iter().map(|node| Value { node: node.clone(), owner: self.owner.clone(), name: name.clone() }).collect()
    }

    fn flatten(&self, table: &Table, prefix: Option<&str>, into: &mut Vec<Entry>) {
        for entry in &table.entries {
            let key = match prefix {
                Some(prefix) => format!("{prefix}.{}", quoted_part(&entry.key)),
                None => entry.key.clone(),
            };
            match &entry.value.kind {
                Kind::Table(inner) if inner.dotted => {
                    let prefix = if prefix.is_some() { key } else { quoted_part(&entry.key) };
                    self.flatten(inner, Some(&prefix), into);
                }
                _ => into.push(Entry {
                    key_place: Place::new(&self.owner.source(), entry.start..entry.end),
                    value: Value {
                        node: entry.value.clone(),
                        owner: self.owner.clone(),
                        name: format!("`{key}` of {}", self.name),
                    },
                    key,
                }),
            }
        }
    }
}

/// A part of a dotted key as a path needs it.
fn quoted_part(part: &str) -> String {
    let plain = !part.is_empty() && !part.contains(['.', '"', '[', ']', '\\', ' ', '@']);
    if plain { part.to_owned() } else { format!("\"{}\"", part.replace('\\', "\\\\").replace('"', "\\\"")) }
}

impl std::fmt::Debug for Value {
    /// Name and place only: the value may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Value({} at {})", self.name, self.place().describe())
    }
}
