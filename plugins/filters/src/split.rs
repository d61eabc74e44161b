//! `split`: several records of one.
//!
//! | setting | |
//! | --- | --- |
//! | `path` | a list, whose items become records; required |
//! | `separator` | then `path` is a text, and its parts become records |
//! | `into` | where the item goes; default: where the list was |
//! | `keep` | whether the record's other fields go along; default `true`. With `false` and no `into`, an item that is a map is the record, any other is `{ "log": item }` |
//! | `max_records` | most records out of one; default 10,000 |
//!
//! What is no list (or, with `separator`, no text), an empty list, and a text without the separator go on unchanged. So
//! does what would make more than `max_records` records, or more than 16 MiB of JSON out of one, or does not fit the batch;
//! that is counted as `failed`.
//!
//! The records have the origin of theirs, ordinals from 1 and a hash of their content, so their ids differ, also where one
//! record is split twice over.

#[cfg(test)]
mod tests;

use std::ops::Range;

use suiro_record::{Batch, EditError, LOG_KEY, NewValue, Path, RootId, Row};
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Filter, FilterContext, FilterFactory, Flow, Selection, Stateless};

/// Records out of one, where the configuration says nothing.
const MAX_RECORDS: usize = 10_000;
/// What the copies of one record's other fields may come to, bytes of JSON.
const MAX_COPIED: usize = 16 << 20;

/// The filter.
#[derive(Clone, Debug)]
struct Split {
    path: Path,
    separator: Option<String>,
    into: Option<Path>,
    keep: bool,
    max_records: usize,
}

/// What the records are made of.
enum Parts {
    /// Values of the batch.
    Items(Vec<RootId>),
    /// Parts of a text.
    Texts(String, Vec<Range<usize>>),
}

/// Why a record goes on as it is.
enum Unsplit {
    /// There is nothing to split.
    Whole,
    /// It can't be done.
    Failed,
}

/// Reads the settings.
pub fn build(settings: &Section) -> Result<Box<dyn FilterFactory>, Reported> {
    let path = settings.require::<Path>("path", "\"items\"");
    let separator = settings.get::<String>("separator");
    let into = settings.get::<Path>("into");
    let keep = settings.or("keep", true);
    let max_records = settings.within("max_records", 1..=1_000_000_usize).unwrap_or(MAX_RECORDS);
    if separator.as_deref() == Some("") {
        settings.error_at("separator", "`separator` is empty", "for lines: separator = \"\\n\"");
    }
    for (key, path) in [("path", path.as_ref().ok()), ("into", into.as_ref())] {
        if path.is_some_and(|path| path.root() != suiro_record::PathRoot::Body) {
            settings.error_at(key, format!("`{key}` must name a field of the record's own"), "");
        }
    }
    settings.finish()?;
    Ok(Box::new(Stateless(Split { path: path?, separator, into, keep, max_records })))
}

impl Filter for Split {
    fn apply(&mut self, flow: &mut Flow, rows: &Selection, cx: &mut FilterContext) {
        let batch = &mut flow.batch;
        let before = std::mem::take(&mut batch.rows);
        batch.rows.reserve(before.len());
        for (i, row) in before.into_iter().enumerate() {
            let from = batch.rows.len();
            let made = if rows.has(i) { self.split(batch, row) } else { Err(Unsplit::Whole) };
            match made {
                Ok(()) => {
                    cx.created += batch.rows.len() - from;
                    cx.absorbed += 1;
                }
                Err(why) => {
                    batch.rows.truncate(from);
                    batch.rows.push(row);
                    cx.failed += usize::from(matches!(why, Unsplit::Failed));
                }
            }
        }
    }
}

// === impl Split ===

impl Split {
    /// Appends the records that `row` is made into.
    fn split(&self, batch: &mut Batch, row: Row) -> Result<(), Unsplit> {
        let parts = self.parts(batch, &row)?;
        if parts.len() > self.max_records || batch.is_full() {
            return Err(Unsplit::Failed);
        }
        // A parent that was made of another has an ordinal of its own: those of its children must not be its siblings'
        // children's.
        let mixed = row.salt ^ u64::from(row.ordinal).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut parent = row;
        parent.salt = mixed;
        let base = if self.keep { Some(self.base(batch, row, parts.len())?) } else { None };
        for n in 0..parts.len() {
            let copy = match &base {
                Some(base) => batch.copy_row(base),
                None => {
                    let mut copy = batch.copy_header(&row);
                    copy.set_root(self.bare(batch, &parts, n).map_err(|_| Unsplit::Failed)?);
                    copy
                }
            };
            batch.rows.push(copy);
            let at = batch.rows.len() - 1;
            if self.keep {
                let target = self.into.as_ref().unwrap_or(&self.path);
                parts.put(batch, at, target, n).map_err(|_| Unsplit::Failed)?;
            } else if let Some(target) = &self.into {
                parts.put(batch, at, target, n).map_err(|_| Unsplit::Failed)?;
            }
            let made = batch.rows[at];
            let ordinal = u32::try_from(n + 1).map_err(|_| Unsplit::Failed)?;
            let derived = batch.derive(&parent, made.root(), ordinal);
            batch.rows[at].ordinal = derived.ordinal;
            batch.rows[at].salt = derived.salt;
        }
        Ok(())
    }

    fn parts(&self, batch: &Batch, row: &Row) -> Result<Parts, Unsplit> {
        let path = batch.resolve(&self.path);
        let parts = match &self.separator {
            None => Parts::Items(batch.items(row, &path).filter(|items| !items.is_empty()).ok_or(Unsplit::Whole)?),
            Some(separator) => {
                let text = batch.get(row, &path).and_then(|field| field.as_str()).ok_or(Unsplit::Whole)?.into_owned();
                let mut spans = Vec::new();
                let mut at = 0;
                for part in text.split(separator.as_str()) {
                    // One that ends the text begins no other part.
                    if !part.is_empty() {
                        spans.push(at..at + part.len());
                    }
                    at += part.len() + separator.len();
                    if spans.len() > self.max_records {
                        break;
                    }
                }
                if spans.is_empty() || spans[0].len() == text.len() {
                    return Err(Unsplit::Whole);
                }
                Parts::Texts(text, spans)
            }
        };
        Ok(parts)
    }

    /// The record without what is split, to be copied: copying the list with it would cost its length squared.
    fn base(&self, batch: &mut Batch, row: Row, records: usize) -> Result<Row, Unsplit> {
        let base = batch.copy_row(&row);
        batch.rows.push(base);
        let at = batch.rows.len() - 1;
        if self.into.is_some() {
            let path = batch.resolve(&self.path);
            batch.remove(at, &path);
        } else {
            // It keeps the place among its neighbours.
            batch.set(at, &self.path, NewValue::Null).map_err(|_| Unsplit::Failed)?;
        }
        let base = batch.rows.pop().ok_or(Unsplit::Failed)?;
        let mut json = Vec::new();
        batch.write_json(&base, &mut json);
        if json.len().saturating_mul(records) > MAX_COPIED { Err(Unsplit::Failed) } else { Ok(base) }
    }

    /// The body of a record that is nothing but part `n`, or an empty one where the part is put into it.
    fn bare(&self, batch: &mut Batch, parts: &Parts, n: usize) -> Result<RootId, EditError> {
        let root = match parts {
            Parts::Items(items) if self.into.is_none() && batch.is_map(items[n]) => {
                return Ok(batch.copy_value(items[n]));
            }
            _ => batch.new_object(),
        };
        if self.into.is_none() {
            batch.append(root, LOG_KEY, parts.value(n))?;
        }
        Ok(root)
    }
}

// === impl Parts ===

impl Parts {
    fn len(&self) -> usize {
        match self {
            Parts::Items(items) => items.len(),
            Parts::Texts(_, spans) => spans.len(),
        }
    }

    fn value(&self, n: usize) -> NewValue<'_> {
        match self {
            Parts::Items(items) => NewValue::Copy(items[n]),
            Parts::Texts(text, spans) => NewValue::Str(&text[spans[n].clone()]),
        }
    }

    fn put(&self, batch: &mut Batch, row: usize, target: &Path, n: usize) -> Result<(), EditError> {
        batch.set(row, target, self.value(n))
    }
}
