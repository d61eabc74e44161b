//! A plugin's view on one table of the configuration.
//!
//! Clones share what was asked for; so do all sections got from one table. A sub-table is finished with its parent, so a
//! plugin can't forget it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::diagnostic::{Diagnostic, Diagnostics, Level, Reported};
use super::nearest::{enumerate, nearest};
use super::node::{Kind, Node, Table};
use super::quantity::Quantity;
use super::source::{Place, Source};
use super::value::Value;
use super::{Environment, Setting, parse};

/// Unknown settings reported for one table; the rest of a table of garbage is only more of the same.
const MAX_UNKNOWN: usize = 50;

/// One table of the configuration, and the reports about it.
#[derive(Clone)]
pub struct Section {
    pub(super) state: Arc<State>,
}

/// What the sections and values of one file share.
pub(super) struct Context {
    pub(super) source: Arc<Source>,
    pub(super) environment: Environment,
    pub(super) diagnostics: Diagnostics,
    /// The file had syntax errors and lacks what stood there: what is missing may have been one of those.
    pub(super) damaged: bool,
}

/// The shared half of a section.
pub(super) struct State {
    context: Arc<Context>,
    /// `None` for a table that isn't there and is read for its defaults.
    node: Option<Arc<Node>>,
    /// Where to point when something is missing.
    place: Place,
    /// An error was reported here, or in a sub-table.
    failed: Arc<AtomicBool>,
    inner: Mutex<Inner>,
}

struct Inner {
    label: String,
    asked: BTreeSet<String>,
    children: Vec<Arc<State>>,
    /// Reported as missing, with the message: the mistyped key, once found, is the better report.
    missing: BTreeMap<String, String>,
}

// === impl Section ===

impl Section {
    /// A section of a text of its own, without environment: for tests of plugins. `label` is how messages call it.
    pub fn from_text(label: &str, text: &str) -> (Section, Diagnostics) {
        let diagnostics = Diagnostics::default();
        let environment: Environment = Arc::new(|_| None);
        let section = parse(&Source::new("test.toml", "", text, 0), &environment, &diagnostics);
        section.set_label(label);
        (section, diagnostics)
    }

    /// How messages call it: `[[output]] loki`.
    pub fn label(&self) -> String {
        self.state.lock().label.clone()
    }

    /// Changes how messages call it.
    pub fn set_label(&self, label: &str) {
        self.state.lock().label = label.to_owned();
    }

    /// Where the table starts: its header, or its braces.
    pub fn place(&self) -> Place {
        self.state.place.clone()
    }

    /// Where a setting's value stands; the table's own place if it isn't set.
    pub fn place_of(&self, key: &str) -> Place {
        self.peek(key).map_or_else(|| self.place(), |value| value.place())
    }

    /// Where the reports go.
    pub fn diagnostics(&self) -> &Diagnostics {
        &self.state.context.diagnostics
    }

    /// The file this table is in.
    pub fn source(&self) -> Arc<Source> {
        self.state.source()
    }

    /// A path that starts at the folder of this file, unless it is absolute.
    pub fn resolve_path(&self, path: &str) -> PathBuf {
        self.state.context.source.dir().join(path)
    }

    /// True if the table is there at all; false for what [`Section::section_or_empty`] made up.
    pub fn exists(&self) -> bool {
        self.state.node.is_some()
    }

    /// True if the setting is given. Asks for it: it is known from here on.
    pub fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// The setting as it is, for those that take several types.
    pub fn value(&self, key: &str) -> Option<Value> {
        self.known(key);
        self.peek(key)
    }

    /// Makes a setting known without reading it.
    pub fn known(&self, key: &str) {
        let mut inner = self.state.lock();
        if !inner.asked.contains(key) {
            inner.asked.insert(key.to_owned());
        }
    }

    /// An optional setting. `None` also if it was wrong: that is reported, and `finish` fails.
    pub fn get<T: Setting>(&self, key: &str) -> Option<T> {
        self.value(key)?.read().ok()
    }

    /// A setting that must be there. `example` is a value as the user would write it, quotes included. Don't use `?`
    /// before all settings are read: see the module.
    pub fn require<T: Setting>(&self, key: &str, example: &str) -> Result<T, Reported> {
        match self.value(key) {
            Some(value) => value.read(),
            None => Err(self.missing(key, example)),
        }
    }

    /// Reports that a setting is missing; for requirements that depend on others.
    pub fn missing(&self, key: &str, example: &str) -> Reported {
        if self.state.context.damaged {
            return self.state.already_said();
        }
        let help = if example.is_empty() { String::new() } else { format!("for example: {key} = {example}") };
        let message = format!("missing setting `{key}` in {}", self.label());
        self.state.lock().missing.insert(key.to_owned(), message.clone());
        self.error(message, help)
    }

    /// An optional setting with a default.
    pub fn or<T: Setting>(&self, key: &str, default: T) -> T {
        self.get(key).unwrap_or(default)
    }

    /// `true` or `false`; `false` if absent.
    pub fn flag(&self, key: &str) -> bool {
        self.or(key, false)
    }

    /// An optional number, size or duration that must lie in a range.
    pub fn within<T: Quantity>(&self, key: &str, range: RangeInclusive<T>) -> Option<T> {
        let value = self.value(key)?;
        let quantity: T = value.read().ok()?;
        if range.contains(&quantity) {
            return Some(quantity);
        }
        let message = format!("{} must be from {} to {}", value.name(), range.start().written(), range.end().written());
        value.error(message, "");
        None
    }

    /// One of some words.
    pub fn choice<T: Clone>(&self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        self.value(key)?.choice(choices).ok()
    }

    /// A value or a list of them; empty if absent. Wrong items are reported and left out.
    pub fn list<T: Setting>(&self, key: &str) -> Vec<T> {
        let Some(value) = self.value(key) else { return Vec::new() };
        value.one_or_many().iter().filter_map(|item| item.read().ok()).collect()
    }

    /// A table whose keys the user chooses, in the order of the file; empty if absent. Wrong values are reported and
    /// left out. For the places of the keys, use [`Value::entries`].
    pub fn map<T: Setting>(&self, key: &str) -> Vec<(String, T)> {
        let Some(Ok(entries)) = self.value(key).map(|value| value.entries()) else { return Vec::new() };
        entries.into_iter().filter_map(|entry| Some((entry.key, entry.value.read().ok()?))).collect()
    }

    /// A sub-table, if it is there. It is finished with this one.
    pub fn section(&self, key: &str) -> Option<Section> {
        self.value(key)?.section().ok()
    }

    /// A sub-table, or an empty one in its place: reading it gives the defaults.
    pub fn section_or_empty(&self, key: &str) -> Section {
        self.section(key).unwrap_or_else(|| {
            let label = format!("`{key}` of {}", self.label());
            Section { state: Arc::new(State::new(&self.state, None, self.place_of(key), label)) }
        })
    }

    /// Sub-tables: `[[a.key]]` headers, a list of tables, or a single one. They are finished with this one.
    pub fn sections(&self, key: &str) -> Vec<Section> {
        let Some(value) = self.value(key) else { return Vec::new() };
        value.one_or_many().iter().filter_map(|item| item.section().ok()).collect()
    }

    /// Reports that something is wrong with a setting, or with the table if it isn't set. An empty help is none.
    pub fn error_at(&self, key: &str, message: impl Into<String>, help: impl Into<String>) -> Reported {
        match self.value(key) {
            Some(value) => value.error(message, help),
            None => self.error(message, help),
        }
    }

    /// Reports that something is wrong with a key of the table `table`, as [`Section::map`] gave it.
    pub fn error_at_key(
        &self,
        table: &str,
        key: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Reported {
        let entries = self.value(table).and_then(|value| value.entries().ok());
        let entry = entries.and_then(|entries| entries.into_iter().find(|entry| entry.key == key));
        match entry {
            Some(entry) => self.state.report(Diagnostic::error(Some(entry.key_place), message, help)),
            None => self.error_at(table, message, help),
        }
    }

    /// Reports that something is wrong with the table as a whole.
    pub fn error(&self, message: impl Into<String>, help: impl Into<String>) -> Reported {
        self.state.report(Diagnostic::error(Some(self.place()), message, help))
    }

    /// Reports a warning about a setting, or about the table if it isn't set.
    pub fn warning_at(&self, key: &str, message: impl Into<String>, help: impl Into<String>) {
        self.known(key);
        self.state.report(Diagnostic::warning(Some(self.place_of(key)), message, help));
    }

    /// True if an error was reported here or in a sub-table.
    pub fn failed(&self) -> bool {
        self.state.failed.load(Ordering::Relaxed)
    }

    /// Reports the settings nobody asked for, here and in sub-tables, and fails if anything was wrong. May be called
    /// again, and before the end if more is asked for later only by name of what was known.
    pub fn finish(&self) -> Result<(), Reported> {
        self.state.finish();
        if self.failed() { Err(self.state.already_said()) } else { Ok(()) }
    }

    /// The names given in the table, in the order of the file. Asks for none of them.
    pub fn keys(&self) -> Vec<String> {
        self.state.table().map_or_else(Vec::new, |table| table.entries.iter().map(|entry| entry.key.clone()).collect())
    }

    /// Where a key stands (not its value).
    pub fn place_of_key(&self, key: &str) -> Option<Place> {
        let entry = self.state.table()?.entry(key)?;
        Some(Place::new(&self.state.context.source, entry.start..entry.end))
    }

    fn peek(&self, key: &str) -> Option<Value> {
        let entry = self.state.table()?.entry(key)?;
        Some(Value { node: entry.value.clone(), owner: self.state.clone(), name: format!("`{key}`") })
    }
}

impl std::fmt::Debug for Section {
    /// Label and place only: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Section({} at {})", self.label(), self.place().describe())
    }
}

// === impl State ===

impl State {
    /// The root of a file.
    pub(super) fn root(context: Arc<Context>, node: Arc<Node>) -> Section {
        let place = Place::new(&context.source, 0..0);
        let label = context.source.name().to_owned();
        let failed = Arc::new(AtomicBool::new(false));
        Section { state: Arc::new(Self { context, node: Some(node), place, failed, inner: Inner::new(label) }) }
    }

    fn new(parent: &Arc<State>, node: Option<Arc<Node>>, place: Place, label: String) -> Self {
        Self { context: parent.context.clone(), node, place, failed: parent.failed.clone(), inner: Inner::new(label) }
    }

    /// The section of a table inside `parent`, the same one each time it is asked for.
    pub(super) fn child(parent: &Arc<State>, node: &Arc<Node>, name: &str) -> Section {
        let mut inner = parent.lock();
        let known = inner.children.iter().find(|child| child.node.as_ref().is_some_and(|own| Arc::ptr_eq(own, node)));
        if let Some(state) = known {
            return Section { state: state.clone() };
        }
        let label = format!("{name} of {}", inner.label);
        let place = Place::new(&parent.context.source, node.span());
        let state = Arc::new(Self::new(parent, Some(node.clone()), place, label));
        inner.children.push(state.clone());
        Section { state }
    }

    /// The section of a table that is a unit of its own: its failure isn't that of the table it stands in.
    pub(super) fn unit(parent: &Arc<State>, node: &Arc<Node>, label: &str) -> Section {
        let place = Place::new(&parent.context.source, node.span());
        let state = Self::new(parent, Some(node.clone()), place, label.to_owned());
        Section { state: Arc::new(Self { failed: Arc::new(AtomicBool::new(false)), ..state }) }
    }

    pub(super) fn source(&self) -> Arc<Source> {
        self.context.source.clone()
    }

    pub(super) fn environment(&self) -> &Environment {
        &self.context.environment
    }

    pub(super) fn report(&self, diagnostic: Diagnostic) -> Reported {
        if diagnostic.level == Level::Error {
            self.failed.store(true, Ordering::Relaxed);
        }
        self.context.diagnostics.report(diagnostic)
    }

    pub(super) fn already_said(&self) -> Reported {
        self.failed.store(true, Ordering::Relaxed);
        self.context.diagnostics.already_said()
    }

    fn table(&self) -> Option<&Table> {
        match &self.node.as_ref()?.kind {
            Kind::Table(table) => Some(table),
            _ => None,
        }
    }

    fn finish(&self) {
        let (asked, children, missing, label) = {
            let inner = self.lock();
            (inner.asked.clone(), inner.children.clone(), inner.missing.clone(), inner.label.clone())
        };
        let entries = self.table().map_or(&[][..], |table| &table.entries);
        for entry in entries.iter().filter(|entry| !asked.contains(&entry.key)).take(MAX_UNKNOWN) {
            let names = || asked.iter().map(String::as_str);
            let near = nearest(&entry.key, names());
            // It may be a secret under a mistyped name.
            self.mask_if_secret(near, entry.value.span());
            if let Some(message) = near.and_then(|name| missing.get(name)) {
                self.context.diagnostics.retract(message, &self.place);
            }
            let meant = near.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
            let help = match near {
                Some(_) => String::new(),
                None if asked.is_empty() => "it takes no settings".to_owned(),
                None => format!("its settings are {}", enumerate(names(), "and")),
            };
            self.report(Diagnostic::error(
                Some(Place::new(&self.context.source, entry.start..entry.end)),
                format!("unknown setting `{}` in {label}{meant}", entry.key),
                help,
            ));
        }
        for child in children {
            child.finish();
        }
    }

    /// Masks a value if the setting it was probably meant for holds a secret.
    fn mask_if_secret(&self, near: Option<&str>, span: std::ops::Range<u32>) {
        if near.is_some_and(super::mask::is_secret_name) {
            self.context.source.mask(span);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn new(label: String) -> Mutex<Self> {
        Mutex::new(Self { label, asked: BTreeSet::new(), children: Vec::new(), missing: BTreeMap::new() })
    }
}
