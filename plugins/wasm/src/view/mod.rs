//! What a guest sees of a batch, and does to it: the functions of `suiro_v1`, without a guest.
//!
//! Each function takes the guest's memory as bytes and the arguments as the guest gave them. `link` makes host functions of
//! them; the property tests and the fuzz target call them as they are.
//!
//! # Invariants
//!
//! 1. No function panics or traps, whatever it is given, and none touches memory outside of what it was pointed at.
//! 2. A call is all or nothing. A record is copied before it is first changed ([`Batch::copy_row`]) and its row kept; new
//!    values stand behind those that were there. So [`View::rollback`] puts the rows back and cuts the batch where it was
//!    ([`Batch::cut`]): a call that only reads costs nothing for this, one that changes a record costs a copy of its nodes.
//! 3. What a call can add to a batch is bounded ([`Bounds`]).
//!
//! A handle is an index into the batch's rows: the records of the call first, those emitted behind them. Their order and
//! fate is settled when the call is over ([`Effects`]).

mod effects;
mod fields;
mod memory;
mod records;
mod surroundings;
mod walk;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use suiro_record::{Batch, EditError, JsonError, Mark, Path, Resolved, Row, Scope, Source};

pub use self::effects::{Effects, Fate};
pub use self::surroundings::{LogLevel, Surroundings};

/// The field that stands for the value a walk is at.
pub const AT: i32 = 0x7fff_ffff;

/// Why a function did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Code {
    /// There is no such field, key or next value.
    Absent = -1,
    /// It is there, and is of another type.
    WrongType = -2,
    /// A handle, field, level or pointer that does not exist.
    Invalid = -3,
    /// It can't be changed.
    Denied = -4,
    /// A limit.
    Full = -5,
    /// Not UTF-8, or not the JSON that is asked for.
    BadText = -6,
}

/// What a function answers.
pub type Answer = Result<i32, Code>;

/// What one call may add to a batch.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Records emitted.
    pub emitted: usize,
    /// Bytes written, and this many times what the batch held.
    pub bytes: usize,
    /// See `bytes`.
    pub times: usize,
}

/// Fields a guest may ask for.
const MAX_FIELDS: usize = 1024;

/// The records of a call, and what the guest did to them so far.
pub struct View {
    /// The batch of the call; between calls an empty one.
    batch: Batch,
    bounds: Bounds,
    around: Arc<Surroundings>,
    paths: Vec<Arc<Path>>,
    by_text: HashMap<String, i32>,
    /// What the paths mean in this batch, as far as somebody asked.
    resolved: Vec<Option<Resolved<'static>>>,
    walk: Option<walk::Cursor>,
    call: Call,
    custom: surroundings::Custom,
    scratch: Vec<u8>,
}

/// What the guest did in this call.
#[derive(Default)]
struct Call {
    /// Where the batch ended when the call began; `None` between calls.
    began: Option<Mark>,
    /// Records of the batch. Handles from here on are of emitted ones.
    count: usize,
    /// Bytes that may still be added.
    room: usize,
    now: i64,
    /// By handle.
    states: Vec<State>,
    /// Rows as they were before the first change.
    before: Vec<(u32, Row)>,
    /// By emitted record: the handle of the one it was made of.
    parents: Vec<u32>,
    /// By handle: how many were made of it. As long as it has to be.
    ordinals: Vec<u32>,
    tags: Vec<Arc<str>>,
    /// By handle: index into `tags`, or [`NO_TAG`]. As long as it has to be.
    tag_of: Vec<u16>,
    failures: Vec<(u32, Box<str>)>,
}

const NO_TAG: u16 = u16::MAX;

/// What became of a record so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    /// Its row is in `before`, or it is an emitted one.
    saved: bool,
    /// Its values are a copy that may be changed.
    own: bool,
    fate: Course,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Course {
    #[default]
    Stays,
    Dropped,
    Failed,
}

// === impl Code ===

impl From<EditError> for Code {
    fn from(error: EditError) -> Self {
        match error {
            EditError::NotSettable => Code::Denied,
            EditError::WrongType => Code::WrongType,
            EditError::Full | EditError::TooDeep => Code::Full,
        }
    }
}

impl From<JsonError> for Code {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::KeysFull | JsonError::TooDeep { .. } => Code::Full,
            JsonError::Expected { .. } | JsonError::BadString { .. } | JsonError::Unfinished => Code::BadText,
        }
    }
}

// === impl Bounds ===

impl Default for Bounds {
    fn default() -> Self {
        Bounds { emitted: 100_000, bytes: 16 << 20, times: 4 }
    }
}

// === impl View ===

impl View {
    /// A view without a batch.
    pub fn new(around: Arc<Surroundings>, bounds: Bounds) -> View {
        View {
            batch: empty_batch(),
            bounds,
            around,
            paths: Vec::new(),
            by_text: HashMap::new(),
            resolved: Vec::new(),
            walk: None,
            call: Call::default(),
            custom: surroundings::Custom::default(),
            scratch: Vec::new(),
        }
    }

    /// Begins a call over all records of `batch`, which the view keeps until the call is over.
    pub fn begin(&mut self, batch: &mut Batch) {
        std::mem::swap(&mut self.batch, batch);
        let count = self.batch.rows.len();
        let call = &mut self.call;
        call.began = Some(self.batch.mark());
        call.count = count;
        call.room = self.bounds.bytes.saturating_add(self.batch.used().saturating_mul(self.bounds.times));
        call.now = suiro_sdk::time::now();
        call.states.clear();
        call.states.resize(count, State::default());
        self.resolved.iter_mut().for_each(|resolved| *resolved = None);
    }

    /// The call is over and stands: gives the batch back. Emitted records are its last rows.
    pub fn commit(&mut self, batch: &mut Batch) -> Effects {
        std::mem::swap(&mut self.batch, batch);
        self.custom.commit();
        self.walk = None;
        let call = &mut self.call;
        call.began = None;
        call.before.clear();
        call.ordinals.clear();
        Effects::of(call)
    }

    /// The call is over and never was: gives the batch back as it came.
    pub fn rollback(&mut self, batch: &mut Batch) {
        std::mem::swap(&mut self.batch, batch);
        self.custom.forget();
        self.walk = None;
        let Call { count, .. } = self.call;
        let call = std::mem::take(&mut self.call);
        batch.rows.truncate(count);
        for (at, row) in call.before {
            batch.rows[at as usize] = row;
        }
        self.resolved.iter_mut().for_each(|resolved| *resolved = None);
        if let Some(mark) = call.began {
            batch.cut(mark);
        }
    }

    /// The index of a record that may still be looked at and changed.
    #[inline]
    fn record(&self, rec: i32) -> Result<usize, Code> {
        let at = rec.cast_unsigned() as usize;
        match self.call.states.get(at) {
            None => Err(Code::Invalid),
            Some(State { fate: Course::Stays, .. }) => Ok(at),
            Some(_) => Err(Code::Denied),
        }
    }

    /// The index of a record, dropped or not.
    fn any_record(&self, rec: i32) -> Result<usize, Code> {
        let at = rec.cast_unsigned() as usize;
        if at < self.call.states.len() { Ok(at) } else { Err(Code::Invalid) }
    }

    /// Whether that many bytes more may be added.
    fn has_room(&self, bytes: usize) -> Result<(), Code> {
        let Some(began) = self.call.began else { return Err(Code::Invalid) };
        if self.batch.grown_since(began).saturating_add(bytes) > self.call.room { Err(Code::Full) } else { Ok(()) }
    }

    /// The row is about to change.
    fn save(&mut self, at: usize) {
        let state = &mut self.call.states[at];
        if !std::mem::replace(&mut state.saved, true) {
            self.call.before.push((at as u32, self.batch.rows[at]));
        }
    }

    /// The record's values are about to change.
    fn own(&mut self, at: usize) -> Result<(), Code> {
        if self.call.states[at].own {
            return Ok(());
        }
        self.has_room(0)?;
        self.save(at);
        let row = self.batch.rows[at];
        let copy = self.batch.copy_row(&row);
        self.batch.rows[at] = copy;
        self.call.states[at].own = true;
        if let Some(cursor) = self.walk.as_mut().filter(|cursor| cursor.record == at) {
            cursor.walk.transfer(&self.batch, copy.root());
        }
        Ok(())
    }

    /// A change of the record that is not the walk's ends the walk.
    fn end_walk_of(&mut self, at: usize) {
        if self.walk.as_ref().is_some_and(|cursor| cursor.record == at) {
            self.walk = None;
        }
    }

    /// Parses a text of the guest's: its value, behind what is in the batch.
    fn parse(&mut self, text: &str) -> Result<suiro_record::RootId, Code> {
        // A value of two bytes takes a node of sixteen.
        self.has_room(text.len().saturating_mul(9))?;
        let from = self.batch.heap().len();
        self.batch.heap_mut().extend_from_slice(text.as_bytes());
        let end = self.batch.heap().len();
        self.batch.parse_json(from..end).map_err(|error| {
            self.batch.heap_mut().truncate(from);
            Code::from(error)
        })
    }
}

/// A batch without records, for the time between calls.
pub(crate) fn empty_batch() -> Batch {
    let source = Arc::new(Source::new("wasm".into(), 0));
    Batch::new("wasm".into(), Arc::new(Scope::new(source)), 0)
}

/// The number a guest gets.
#[inline]
pub fn number(answer: Answer) -> i32 {
    match answer {
        Ok(number) => number,
        Err(code) => code as i32,
    }
}
