//! `modify`: renames, copies, sets, adds, hashes and removes fields.
//!
//! | setting, in the order in which it is done | |
//! | --- | --- |
//! | `rename = { a = "b" }` | moves `a` to `b`, replacing what is there |
//! | `copy = { a = "b" }` | copies `a` to `b`, replacing what is there |
//! | `set = { k = v }` | sets `k`; `v` is any value, texts in it are templates |
//! | `add = { k = v }` | sets `k` only where it is absent |
//! | `hash = ["user.email"]` | replaces a value by 32 hex digits of its SHA-256 |
//! | `salt` | a secret that `hash` mixes in: without one, whoever can guess a value can check the guess |
//! | `remove = ["a.b"]` | removes a field, all copies of it |
//!
//! The order is always this one; for another use two filters. Within a setting, the order is that of the file. Keys are
//! paths. What is absent can't be renamed, copied, hashed or removed: nothing happens. A template whose field is missing
//! sets nothing. `@time` takes what `auto` reads as a time.
//!
//! Where a change can't be made (a path through a list that is too short, a batch that is full, a time that is none) the
//! record goes on as it was and is counted as `failed`.
//!
//! The work is done setting by setting over the whole batch, so that paths are resolved once per batch. Where all of it is
//! renaming, removing and setting attributes to fixed values, records nobody has looked into stay packed
//! ([`Batch::edit_messages`]).

mod digest;
mod settings;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use suiro_record::{Batch, EditError, MessageEdit, NewValue, Path, PathRoot, Value};
use suiro_sdk::lang::Template;
use suiro_sdk::time::{TimeFormat, epoch_int};
use suiro_sdk::{Filter, FilterContext, Flow, Selection};

use self::digest::Digest;
pub use self::settings::build;

/// The filter.
#[derive(Clone, Debug)]
struct Modify {
    steps: Arc<[Step]>,
    time: TimeFormat,
    /// Memory for edits of messages.
    spare: Vec<u8>,
}

/// More memory than that is not kept for the next batch. Bytes.
const MAX_SPARE: usize = 4 << 20;

/// One change.
#[derive(Debug)]
enum Step {
    Rename { from: Path, to: Path },
    Copy { from: Path, to: Path },
    Set { path: Path, value: Assign },
    Add { path: Path, value: Assign },
    Hash { path: Path, digest: Digest },
    Remove { path: Path },
}

/// What a field is set to.
#[derive(Clone, Debug, PartialEq)]
enum Assign {
    /// Always the same.
    Fixed(Value),
    /// A text with fields in it.
    Text(Template),
    /// A list with such texts in it.
    List(Vec<Assign>),
    /// A map with such texts in it.
    Map(Vec<(String, Assign)>),
}

/// Rows in which something could not be done. Empty, and without memory, as long as all goes well.
#[derive(Default)]
struct Failures(Vec<usize>);

impl Filter for Modify {
    fn apply(&mut self, flow: &mut Flow, rows: &Selection, cx: &mut FilterContext) {
        if flow.batch.is_packed() {
            if self.edit_messages(&mut flow.batch, rows) {
                return;
            }
            flow.batch.unpack();
        }
        let mut failures = Failures::default();
        for step in &*self.steps {
            self.step(step, &mut flow.batch, rows, &mut failures);
        }
        cx.failed += failures.count();
    }

    fn takes_packed(&self) -> bool {
        self.steps.iter().all(|step| step.in_message().is_some())
    }
}

// === impl Modify ===

impl Modify {
    fn new(steps: Vec<Step>) -> Self {
        Modify { steps: steps.into(), time: TimeFormat::auto(), spare: Vec::new() }
    }

    /// Does all of it in the messages of a packed batch, if that can be done.
    fn edit_messages(&mut self, batch: &mut Batch, rows: &Selection) -> bool {
        let Some(edits) = self.steps.iter().map(Step::in_message).collect::<Option<Vec<_>>>() else { return false };
        let done = batch.edit_messages(rows.iter(batch.rows.len()), &edits, &mut self.spare);
        if self.spare.capacity() > MAX_SPARE {
            self.spare = Vec::new();
        }
        done
    }

    fn step(&self, step: &Step, batch: &mut Batch, rows: &Selection, failures: &mut Failures) {
        let len = batch.rows.len();
        match step {
            Step::Rename { from, to } => {
                let source = batch.resolve(from);
                for row in rows.iter(len) {
                    if batch.get(&batch.rows[row], &source).is_some() {
                        failures.note(row, self.carry(batch, row, from, to, true));
                    }
                }
            }
            Step::Copy { from, to } => {
                let source = batch.resolve(from);
                for row in rows.iter(len) {
                    if batch.get(&batch.rows[row], &source).is_some() {
                        failures.note(row, self.carry(batch, row, from, to, false));
                    }
                }
            }
            Step::Set { path, value } => self.set(batch, rows.iter(len), path, value, failures),
            Step::Add { path, value } => {
                // Only a key that some record has can be there: what is set meanwhile does not change the answer.
                let target = batch.resolve(path);
                let absent: Vec<usize> =
                    rows.iter(len).filter(|&row| batch.get(&batch.rows[row], &target).is_none()).collect();
                self.set(batch, absent.into_iter(), path, value, failures);
            }
            Step::Hash { path, digest } => {
                let target = batch.resolve(path);
                let mut text = Vec::new();
                for row in rows.iter(len) {
                    text.clear();
                    let Some(field) = batch.get(&batch.rows[row], &target) else { continue };
                    field.write_text(&mut text);
                    let hex = digest.hex(&text);
                    failures.note(row, batch.set(row, path, NewValue::Str(&hex)));
                }
            }
            Step::Remove { path } => {
                let target = batch.resolve(path);
                for row in rows.iter(len) {
                    batch.remove(row, &target);
                }
            }
        }
    }

    fn set(
        &self,
        batch: &mut Batch,
        rows: impl Iterator<Item = usize>,
        path: &Path,
        value: &Assign,
        failures: &mut Failures,
    ) {
        match value {
            Assign::Fixed(value) => {
                for row in rows {
                    failures.note(row, self.put(batch, row, path, as_new(value)));
                }
            }
            Assign::Text(template) => {
                let prepared = template.prepare(batch);
                let mut text = Vec::new();
                for row in rows {
                    text.clear();
                    if prepared.render(batch, &batch.rows[row], &mut text).is_ok() {
                        let text = std::str::from_utf8(&text).unwrap_or_default();
                        failures.note(row, self.put(batch, row, path, NewValue::Str(text)));
                    }
                }
            }
            tree => {
                for row in rows {
                    if let Some(value) = tree.render(batch, row) {
                        failures.note(row, self.put(batch, row, path, NewValue::Tree(&value)));
                    }
                }
            }
        }
    }

    /// Sets a field; a time is read first.
    fn put(&self, batch: &mut Batch, row: usize, path: &Path, value: NewValue<'_>) -> Result<(), EditError> {
        if path.root() != PathRoot::Time {
            return batch.set(row, path, value);
        }
        let time = match value {
            NewValue::Str(text) => self.time.read_text(text.as_bytes(), batch.read_at),
            NewValue::Int(number) => epoch_int(number),
            _ => None,
        };
        batch.set(row, path, NewValue::Int(time.ok_or(EditError::WrongType)?))
    }

    /// Renames or copies; what becomes a time is read as one.
    fn carry(&self, batch: &mut Batch, row: usize, from: &Path, to: &Path, rename: bool) -> Result<(), EditError> {
        if to.root() == PathRoot::Time {
            let source = batch.resolve(from);
            let time = batch.get(&batch.rows[row], &source).and_then(|field| self.time.read(field, batch.read_at));
            batch.set(row, to, NewValue::Int(time.ok_or(EditError::WrongType)?))?;
            if rename {
                batch.remove(row, &source);
            }
            return Ok(());
        }
        if rename { batch.rename(row, from, to) } else { batch.copy(row, from, to) }.map(drop)
    }
}

// === impl Step ===

impl Step {
    /// The same as a change of a message, if there is one.
    fn in_message(&self) -> Option<MessageEdit<'_>> {
        match self {
            Step::Rename { from, to } => Some(MessageEdit::Rename { from, to }),
            Step::Set { path, value: Assign::Fixed(value) } => Some(MessageEdit::Set { path, value, replace: true }),
            Step::Add { path, value: Assign::Fixed(value) } => Some(MessageEdit::Set { path, value, replace: false }),
            Step::Remove { path } => Some(MessageEdit::Remove { path }),
            Step::Copy { .. } | Step::Set { .. } | Step::Add { .. } | Step::Hash { .. } => None,
        }
    }
}

// === impl Assign ===

impl Assign {
    /// The value for a record; `None` where a field of its only template is missing. In lists and maps such an item is
    /// left out.
    fn render(&self, batch: &Batch, row: usize) -> Option<Value> {
        match self {
            Assign::Fixed(value) => Some(value.clone()),
            Assign::Text(template) => {
                let mut text = Vec::new();
                template.prepare(batch).render(batch, &batch.rows[row], &mut text).ok()?;
                String::from_utf8(text).ok().map(Value::Str)
            }
            Assign::List(items) => {
                Some(Value::Array(items.iter().filter_map(|item| item.render(batch, row)).collect()))
            }
            Assign::Map(members) => {
                let members = members.iter().filter_map(|(key, item)| Some((key.clone(), item.render(batch, row)?)));
                Some(Value::Object(members.collect()))
            }
        }
    }
}

fn as_new(value: &Value) -> NewValue<'_> {
    match value {
        Value::Null => NewValue::Null,
        Value::Bool(value) => NewValue::Bool(*value),
        Value::Int(value) => NewValue::Int(*value),
        Value::Float(value) => NewValue::Float(*value),
        Value::Str(text) => NewValue::Str(text),
        tree => NewValue::Tree(tree),
    }
}

// === impl Failures ===

impl Failures {
    fn note<T>(&mut self, row: usize, result: Result<T, EditError>) {
        if result.is_err() {
            self.0.push(row);
        }
    }

    /// Rows, each counted once.
    fn count(mut self) -> usize {
        self.0.sort_unstable();
        self.0.dedup();
        self.0.len()
    }
}
