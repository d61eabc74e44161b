//! `dedupe`: of records that repeat within a window of time, one goes on.
//!
//! | setting | |
//! | --- | --- |
//! | `key` | the fields that make records the same, a list of paths, or one text with fields in it such as `"{host} {msg}"`; default: the whole record |
//! | `window` | how long after the first one others count as its repetition; default 10 s |
//! | `count_field` | a field that says how many records this one stands for, itself included; set where that is more than one |
//! | `max_held` | records held at most; default 10,000. Beyond, the oldest go on before their window ends |
//! | `max_bytes` | bytes of what is held; default 16 MiB; as above |
//! | `durable` | whether a crash may lose nothing; default `false` |
//!
//! The first record of a key is held until its window ends and then goes on; those that repeat it meanwhile are absorbed.
//! A field that is absent is a value of its own, but a record that has none of the fields, or for which the text can't be
//! made, passes by. Sources and tags are not told apart unless the text names them.
//!
//! # Custody
//!
//! It is a custodian: what is held counts as settled, and **a crash loses it**: at most the records of one window. With
//! `durable = true` the custody stays with what is held, the source's position waits before it, and a crash loses nothing;
//! then the source may also have to wait, where its window of unsettled records is full. Repetitions are settled in either
//! case, so after a crash the count may be lower than it was.
//!
//! With `count_field`, the record that stands for several is another one than that which was read: its id has an ordinal
//! and a hash of its content.
//!
//! What one batch brings is held as one batch: it is due all at once, and costs no more than the batch did.

mod key;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use suiro_record::{Batch, NewValue, Path, PathRoot, Row};
use suiro_sdk::settings::{ByteSize, Reported, Section};
use suiro_sdk::{Custody, Filter, FilterContext, FilterFactory, FilterState, Flow, Selection};

use self::key::{Key, KeyRule};

/// The filter, as configured.
#[derive(Debug)]
struct Dedupe(Arc<Settings>);

#[derive(Debug)]
struct Settings {
    key: KeyRule,
    window: Duration,
    count_field: Option<Path>,
    max_held: usize,
    max_bytes: usize,
    durable: bool,
}

/// The filter at work.
struct Window {
    settings: Arc<Settings>,
    /// Where the record that stands for a key is.
    seen: HashMap<Key, Place>,
    /// Oldest first.
    held: VecDeque<Held>,
    /// Number of the oldest.
    first: u64,
    records: usize,
    bytes: usize,
}

/// A record that is held: of which batch, and which of its rows.
#[derive(Clone, Copy, Debug)]
struct Place {
    batch: u64,
    row: usize,
}

/// The rows of a batch.
#[derive(Default)]
struct Sorted {
    /// Those that are new.
    fresh: Vec<usize>,
    keys: Vec<Key>,
    counts: Vec<u64>,
    /// How many repeat one.
    repeated: usize,
    /// Those that go on.
    passing: Vec<usize>,
}

/// What one batch brought.
struct Held {
    batch: Batch,
    /// By row.
    keys: Vec<Key>,
    /// How many records each row stands for.
    counts: Vec<u64>,
    custody: Custody,
    due: Instant,
    bytes: usize,
}

/// Reads the settings.
pub fn build(settings: &Section) -> Result<Box<dyn FilterFactory>, Reported> {
    let key = KeyRule::read(settings);
    let second = Duration::from_secs(1);
    let window = settings.within("window", Duration::from_millis(100)..=86_400 * second).unwrap_or(10 * second);
    let count_field = settings.get::<Path>("count_field");
    if count_field.as_ref().is_some_and(|path| path.root() != PathRoot::Body) {
        settings.error_at("count_field", "`count_field` must name a field of the record's own", "");
    }
    let max_held = settings.within("max_held", 1..=10_000_000_usize).unwrap_or(10_000);
    let max_bytes = settings.within("max_bytes", ByteSize::kib(64)..=ByteSize::gib(1)).unwrap_or(ByteSize::mib(16));
    let durable = settings.flag("durable");
    settings.finish()?;
    let max_bytes = max_bytes.as_usize();
    Ok(Box::new(Dedupe(Arc::new(Settings { key: key?, window, count_field, max_held, max_bytes, durable }))))
}

impl FilterFactory for Dedupe {
    fn state(&self) -> FilterState {
        FilterState::Shared
    }

    fn instance(&self) -> Box<dyn Filter> {
        Box::new(Window {
            settings: self.0.clone(),
            seen: HashMap::new(),
            held: VecDeque::new(),
            first: 0,
            records: 0,
            bytes: 0,
        })
    }
}

impl Filter for Window {
    fn apply(&mut self, flow: &mut Flow, rows: &Selection, cx: &mut FilterContext) {
        let sorted = self.sort(&flow.batch, rows);
        cx.absorbed += sorted.repeated;
        self.hold(flow, sorted, cx);
        while self.records > self.settings.max_held || self.bytes > self.settings.max_bytes {
            if !self.release(cx) {
                break;
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.held.front().map(|held| held.due)
    }

    fn tick(&mut self, cx: &mut FilterContext) {
        while self.held.front().is_some_and(|held| held.due <= cx.now) {
            self.release(cx);
        }
    }

    fn flush(&mut self, cx: &mut FilterContext) {
        while self.release(cx) {}
    }
}

// === impl Window ===

impl Window {
    /// Tells the rows that are new from those that repeat one, and counts these.
    fn sort(&mut self, batch: &Batch, rows: &Selection) -> Sorted {
        let Window { settings, seen, held, first, .. } = self;
        let rule = settings.key.prepare(batch);
        let number = *first + held.len() as u64;
        let mut sorted = Sorted::default();
        let mut scratch = Vec::new();
        for (i, row) in batch.rows.iter().enumerate() {
            let key = if rows.has(i) { rule.of(batch, row, &mut scratch) } else { None };
            let Some(key) = key else {
                sorted.passing.push(i);
                continue;
            };
            let count = match seen.get(&key) {
                Some(place) if place.batch == number => sorted.counts.get_mut(place.row),
                Some(place) => {
                    let at = usize::try_from(place.batch - *first).unwrap_or(usize::MAX);
                    held.get_mut(at).and_then(|held| held.counts.get_mut(place.row))
                }
                None => None,
            };
            match count {
                Some(count) => {
                    *count += 1;
                    sorted.repeated += 1;
                }
                None => {
                    seen.insert(key.clone(), Place { batch: number, row: sorted.fresh.len() });
                    sorted.fresh.push(i);
                    sorted.keys.push(key);
                    sorted.counts.push(1);
                }
            }
        }
        sorted
    }

    /// Takes the new rows out of the batch, and those that repeat one.
    fn hold(&mut self, flow: &mut Flow, sorted: Sorted, cx: &mut FilterContext) {
        let Sorted { fresh, keys, counts, mut passing, .. } = sorted;
        let all = std::mem::take(&mut flow.batch.rows);
        let pick = |rows: &[usize]| -> Vec<Row> { rows.iter().map(|&i| all[i]).collect() };
        if fresh.is_empty() {
            flow.batch.rows = pick(&passing);
            return;
        }
        let empty = flow.batch.sibling(flow.batch.tag.clone());
        let batch = if passing.is_empty() {
            let mut batch = std::mem::replace(&mut flow.batch, empty);
            batch.rows = pick(&fresh);
            batch.compact();
            batch
        } else {
            let mut batch = empty;
            if batch.import_all(&flow.batch, &pick(&fresh)).is_err() {
                // They can't be held, so they go on; what repeats them is absorbed all the same.
                self.forget(&keys);
                cx.failed += fresh.len();
                passing.extend(fresh);
                passing.sort_unstable();
                flow.batch.rows = pick(&passing);
                return;
            }
            flow.batch.rows = pick(&passing);
            batch
        };
        let mut custody = Custody::default();
        if self.settings.durable {
            custody = flow.custody.fork();
            custody.narrow(&batch, batch.rows.iter());
        }
        let bytes = batch.capacity() + keys.iter().map(Key::bytes).sum::<usize>();
        self.records += batch.rows.len();
        self.bytes += bytes;
        cx.held += batch.rows.len().cast_signed();
        self.held.push_back(Held { batch, keys, counts, custody, due: cx.now + self.settings.window, bytes });
    }

    fn forget(&mut self, keys: &[Key]) {
        for key in keys {
            self.seen.remove(key);
        }
    }

    /// Sends the oldest batch on; whether there was one.
    fn release(&mut self, cx: &mut FilterContext) -> bool {
        let Some(held) = self.held.pop_front() else { return false };
        let Held { mut batch, keys, counts, custody, bytes, .. } = held;
        self.first += 1;
        self.records -= batch.rows.len();
        self.bytes -= bytes;
        self.forget(&keys);
        if let Some(path) = &self.settings.count_field {
            for (row, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 1) {
                let count = i64::try_from(count).unwrap_or(i64::MAX);
                if batch.set(row, path, NewValue::Int(count)).is_err() {
                    cx.failed += 1;
                    continue;
                }
                let one = batch.rows[row];
                batch.rows[row] = batch.derive(&one, one.root(), one.ordinal.saturating_add(1));
            }
        }
        cx.held -= batch.rows.len().cast_signed();
        cx.emit(Flow { batch, custody });
        true
    }
}
