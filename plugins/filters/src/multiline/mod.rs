//! `multiline`: lines that belong together become one record.
//!
//! | setting | |
//! | --- | --- |
//! | `pattern` | `java`, `python` or `go`: what traces of these look like (`trace`) |
//! | `start` | or: a regular expression for the first line of a record; every other line continues the one before |
//! | `continue` | or: a regular expression for lines that continue the one before; every other line begins a record |
//! | `path` | the text; default `log` |
//! | `timeout` | how long a record stays open when its source has nothing more to read; default 1 s |
//! | `max_lines` | lines of one record; default 1,000. The next line begins another record |
//! | `max_bytes` | bytes of one record's text; default 1 MiB; as above. A single line may be longer |
//! | `max_held` | bytes of all records that are open between batches; default 16 MiB. Beyond, the oldest go on early |
//!
//! The lines are joined with a line feed into the first line's record, which keeps the first line's other fields and time,
//! and has the origin from the first line's first byte to the last line's last. Lines are joined per source and tag. A
//! record without a text under `path` passes by, and ends what is open. A record from before what is open (a filter held it
//! back) passes by and ends nothing.
//!
//! A blank line belongs to the record before it: it stays where more follows, and is trimmed where none does. Where no
//! record is open, an empty line is no record, and is dropped as `blank_line`.
//!
//! # Custody
//!
//! What is open at the end of a batch waits here for the next one, with a fork of its custody narrowed to its lines: so the
//! source's position stays before its first line, and a crash loses nothing. The timeout counts only while the source says
//! that there is nothing to read: a source that waits for a slow output is not quiet, and a record that is cut there would
//! be cut elsewhere when it is read again. Where it happens anyway (a program that pauses inside of a record), both parts
//! are records with ids of their own.
//!
//! After a crash, records that were settled beyond the position are not read again. Where an input joins its own lines
//! (`multiline` of an input), a gap in the source is therefore the end of a record, so that lines which stood apart before
//! the crash don't meet after it. As a filter of its own it can't know: there, lines between may have been dropped, or pass
//! by.
//!
//! Within a batch nothing is copied where lines stand one behind the other in the heap: the record is the span that holds
//! them all.

mod group;
mod held;
mod settings;
mod trace;

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use suiro_record::{Batch, Resolved, Row, Signal};
use suiro_sdk::ledger::Reason;
use suiro_sdk::{Custody, Filter, FilterContext, FilterFactory, FilterState, Flow, Selection};

use self::group::{Group, Line};
use self::held::Held;
use self::settings::Settings;
pub use self::settings::{build, multiline_from_value};

/// An empty line that no record is open for.
pub const BLANK_LINE: Reason = Reason("blank_line");

/// The filter, as configured.
#[derive(Debug)]
struct Multiline(Arc<Settings>);

/// What is joined with what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    /// The source's incarnation.
    source: u128,
    signal: Signal,
    tag: Arc<str>,
}

/// The filter at work on one worker.
struct Joiner {
    settings: Arc<Settings>,
    /// Open between batches.
    held: HashMap<Key, Held>,
    held_bytes: usize,
    /// No deadline is earlier.
    next: Option<Instant>,
}

/// The sources of one batch, nearly always one, and what is open for each.
struct Open<'s> {
    settings: &'s Settings,
    groups: Vec<(u128, Option<Group>)>,
    /// Lines joined into others.
    absorbed: usize,
    blank: usize,
    /// Of records that began in earlier batches. It joins the batch's at the end: what is held of the batch must not
    /// answer for it too.
    joined: Custody,
}

impl FilterFactory for Multiline {
    fn state(&self) -> FilterState {
        FilterState::PerSource
    }

    fn instance(&self) -> Box<dyn Filter> {
        Box::new(Joiner { settings: self.0.clone(), held: HashMap::new(), held_bytes: 0, next: None })
    }
}

impl Filter for Joiner {
    fn apply(&mut self, flow: &mut Flow, rows: &Selection, cx: &mut FilterContext) {
        let settings = self.settings.clone();
        let mut open =
            Open { settings: &settings, groups: Vec::new(), absorbed: 0, blank: 0, joined: Custody::default() };
        let path = flow.batch.resolve(&settings.path);
        let before = std::mem::take(&mut flow.batch.rows);
        flow.batch.rows.reserve(before.len());
        for (i, row) in before.into_iter().enumerate() {
            if !rows.has(i) {
                flow.batch.rows.push(row);
                continue;
            }
            let source = flow.batch.scope(&row).source.incarnation();
            let at = match open.groups.iter().position(|(known, _)| *known == source) {
                Some(at) => at,
                None => {
                    let resumed = self.resume(flow, source, cx);
                    open.groups.push((source, resumed));
                    open.groups.len() - 1
                }
            };
            open.line(flow, at, row, &path, cx);
        }
        let groups = std::mem::take(&mut open.groups);
        let mut held = false;
        for (source, group) in groups {
            if let Some(group) = group {
                held = true;
                self.hold(flow, source, group, &mut open, cx);
            }
        }
        if held {
            // What is held is answered for here alone: were its first lines settled later than its last, a crash between
            // would have them read again without the rest.
            let Flow { batch, custody } = flow;
            custody.narrow(batch, batch.rows.iter());
        }
        flow.custody.absorb(open.joined);
        cx.absorbed += open.absorbed;
        cx.drop_records(BLANK_LINE, open.blank);
        self.make_room(cx);
    }

    fn deadline(&self) -> Option<Instant> {
        self.next
    }

    fn tick(&mut self, cx: &mut FilterContext) {
        let due: Vec<Key> =
            self.held.iter().filter(|(_, held)| held.due <= cx.now).map(|(key, _)| key.clone()).collect();
        for key in due {
            let Some(held) = self.held.get_mut(&key) else { continue };
            match held.wait(self.settings.timeout) {
                Some(more) => held.due = cx.now + more,
                None => self.release(&key, cx),
            }
        }
        self.next = self.held.values().map(|held| held.due).min();
    }

    fn flush(&mut self, cx: &mut FilterContext) {
        let mut all: Vec<Key> = self.held.keys().cloned().collect();
        all.sort_by_key(|key| self.held.get(key).map(|held| held.due));
        all.iter().for_each(|key| self.release(key, cx));
        self.next = None;
    }
}

// === impl Joiner ===

impl Joiner {
    /// What is open for a source since an earlier batch.
    fn resume(&mut self, flow: &Flow, source: u128, cx: &mut FilterContext) -> Option<Group> {
        if self.held.is_empty() {
            return None;
        }
        let held = self.held.remove(&Key::of(&flow.batch, source))?;
        self.held_bytes -= held.bytes();
        cx.held -= held.lines.cast_signed();
        Some(Group::resumed(held))
    }

    /// Keeps what is open at the end of a batch.
    fn hold(&mut self, flow: &mut Flow, source: u128, group: Group, open: &mut Open<'_>, cx: &mut FilterContext) {
        match Held::of(flow, group, cx.now + self.settings.timeout) {
            Ok(held) => {
                cx.held += held.lines.cast_signed();
                self.held_bytes += held.bytes();
                self.next = Some(self.next.map_or(held.due, |next| next.min(held.due)));
                self.held.insert(Key::of(&flow.batch, source), held);
            }
            Err(group) => open.close(flow, *group, cx),
        }
    }

    /// Sends on what is open for a source.
    fn release(&mut self, key: &Key, cx: &mut FilterContext) {
        if let Some(held) = self.held.remove(key) {
            self.held_bytes -= held.bytes();
            cx.held -= held.lines.cast_signed();
            cx.absorbed += held.lines - 1;
            held.emit(&self.settings.path, cx);
        }
    }

    fn make_room(&mut self, cx: &mut FilterContext) {
        while self.held_bytes > self.settings.max_held {
            let Some(oldest) = self.held.iter().min_by_key(|(_, held)| held.due).map(|(key, _)| key.clone()) else {
                break;
            };
            self.release(&oldest, cx);
        }
    }
}

// === impl Open ===

impl Open<'_> {
    /// Takes a line of the source whose group is number `at`.
    fn line(&mut self, flow: &mut Flow, at: usize, row: Row, path: &Resolved<'_>, cx: &mut FilterContext) {
        // A filter before this one held it back: it is no successor of what came behind it.
        if self.groups[at].1.as_ref().is_some_and(|group| row.end <= group.row.start) {
            flow.batch.rows.push(row);
            return;
        }
        let Some(line) = Line::of(&flow.batch, &row, path, self.settings.is_log) else {
            self.end(flow, at, cx);
            flow.batch.rows.push(row);
            return;
        };
        let text = line.bytes(&flow.batch);
        let blank = text.trim_ascii().is_empty();
        let matcher = &self.settings.matcher;
        let state = match &mut self.groups[at].1 {
            None if text.is_empty() && line.sole => {
                self.blank += 1;
                return;
            }
            None => matcher.begin(text),
            Some(group) => {
                let mut state = group.state;
                let adjacent = !self.settings.adjacent || group.end == row.start;
                let continues = adjacent && (blank || matcher.continues(&mut state, text));
                if continues && group.has_room(self.settings, text.len()) {
                    group.state = state;
                    group.append(&flow.batch, line, &row, blank);
                    return;
                }
                // One that is cut goes on in the state it is in.
                if continues { state } else { matcher.begin(text) }
            }
        };
        self.end(flow, at, cx);
        self.groups[at].1 = Some(Group::new(&flow.batch, line, row, state));
    }

    /// Lets go of what is open.
    fn end(&mut self, flow: &mut Flow, at: usize, cx: &mut FilterContext) {
        if let Some(group) = self.groups[at].1.take() {
            self.close(flow, group, cx);
        }
    }

    fn close(&mut self, flow: &mut Flow, group: Group, cx: &mut FilterContext) {
        self.absorbed += group.lines - 1;
        self.joined.absorb(group.close(flow, &self.settings.path, cx));
    }
}

// === impl Key ===

impl Key {
    fn of(batch: &Batch, source: u128) -> Self {
        Key { source, signal: batch.signal, tag: batch.tag.clone() }
    }
}
