//! A record: a handle to what stays in the agent.

use std::cell::RefCell;

use crate::field::AT;
use crate::texts::Texts;
use crate::value::{Kind, Kinds, Value};
use crate::{Error, Field, sys};

/// A record of the batch that the agent hands over.
///
/// Nothing of it is copied until it is asked for: each getter and setter is one call of the agent, of some 10 ns. Texts that
/// getters give live until the filter is done with the record; setting a field does not change a text that was given
/// before.
#[derive(Debug)]
pub struct Record {
    handle: i32,
    texts: Texts,
    /// Of the walk: each value's text is read over the last one's, since a record may hold any number of them.
    walked: RefCell<Texts>,
}

/// The value that [`Record::walk`] is at.
#[derive(Debug)]
pub struct Walked<'r> {
    record: &'r Record,
    text: &'r str,
}

// === impl Record ===

impl Record {
    pub(crate) const fn new(handle: i32) -> Record {
        Record { handle, texts: Texts::new(), walked: RefCell::new(Texts::new()) }
    }

    /// Becomes another record; texts of this one are forgotten.
    #[inline]
    pub(crate) fn turn_to(&mut self, handle: i32) {
        self.handle = handle;
        self.texts.clear();
    }

    /// What kind of value there is; `None` where there is none.
    #[inline]
    pub fn kind(&self, field: &Field) -> Option<Kind> {
        Kind::of(sys::kind(self.handle, field.id()))
    }

    /// Whether the field is there, be it `null`.
    #[inline]
    pub fn has(&self, field: &Field) -> bool {
        self.kind(field).is_some()
    }

    /// The value as text: a string as what it says, anything else as JSON. The cheapest way to read a string, where it does
    /// not matter that a number reads like one.
    #[inline]
    pub fn text(&self, field: &Field) -> Option<&str> {
        let id = field.id();
        self.texts.ask(|buffer| sys::get(self.handle, id, buffer)).ok()
    }

    /// A string. `None` where there is none, or something else.
    #[inline]
    pub fn str(&self, field: &Field) -> Option<&str> {
        (self.kind(field)? == Kind::Str).then(|| self.text(field))?
    }

    /// An integer: a number without fraction and exponent, from -2^63 to 2^63 - 1.
    #[inline]
    pub fn i64(&self, field: &Field) -> Option<i64> {
        let mut out = 0;
        (sys::get_i64(self.handle, field.id(), &mut out) == 0).then_some(out)
    }

    /// A number.
    #[inline]
    pub fn f64(&self, field: &Field) -> Option<f64> {
        let mut out = 0.0;
        (sys::get_f64(self.handle, field.id(), &mut out) == 0).then_some(out)
    }

    /// A boolean.
    #[inline]
    pub fn bool(&self, field: &Field) -> Option<bool> {
        match sys::get_bool(self.handle, field.id()) {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// Sets a field; maps on the way to it are made. `()` is `null`.
    #[inline]
    pub fn set(&self, field: &Field, value: impl Value) -> Result<(), Error> {
        Error::check(value.set(self.handle, field.id())).map(drop)
    }

    /// Sets a field to any JSON value, a whole subtree. See [`crate::json`] for making one.
    #[inline]
    pub fn set_json(&self, field: &Field, json: &str) -> Result<(), Error> {
        Error::check(sys::set_json(self.handle, field.id(), json)).map(drop)
    }

    /// Removes a field, every copy of a repeated key; whether there was one.
    #[inline]
    pub fn remove(&self, field: &Field) -> Result<bool, Error> {
        Ok(Error::check(sys::remove(self.handle, field.id()))? == 1)
    }

    /// Gives `look` every value of these kinds, depth first, in the record's order. Maps and lists are walked through, and
    /// are given themselves only where asked for.
    ///
    /// Setting or removing other fields than the one the walk is at ends it; so does another walk.
    pub fn walk(&self, kinds: Kinds, mut look: impl FnMut(&Walked<'_>)) {
        if sys::each(self.handle, kinds.0) != 0 {
            return;
        }
        let mut texts = self.walked.take();
        loop {
            let mut moved = false;
            // A text that did not fit is asked for again by `get`: the walk has moved.
            let text = texts.ask(|buffer| {
                if std::mem::replace(&mut moved, true) {
                    return sys::get(self.handle, sys::AT, buffer);
                }
                sys::next(buffer)
            });
            let Ok(text) = text else { break };
            look(&Walked { record: self, text });
            texts.clear();
        }
        self.walked.replace(texts);
    }

    /// Gives `look` every string.
    #[inline]
    pub fn strings(&self, look: impl FnMut(&Walked<'_>)) {
        self.walk(Kinds::STR, look);
    }

    /// When it happened, nanoseconds since 1970.
    #[inline]
    pub fn timestamp(&self) -> i64 {
        sys::timestamp(self.handle)
    }

    /// Sets when it happened, nanoseconds since 1970.
    #[inline]
    pub fn set_timestamp(&self, ns: i64) -> Result<(), Error> {
        Error::check(sys::set_timestamp(self.handle, ns)).map(drop)
    }

    /// Its tag.
    #[inline]
    pub fn tag(&self) -> &str {
        self.texts.ask(|buffer| sys::tag(self.handle, buffer)).unwrap_or_default()
    }

    /// Gives it another tag, under which it goes on behind this filter. 1 to 256 bytes, without control characters.
    #[inline]
    pub fn set_tag(&self, tag: &str) -> Result<(), Error> {
        Error::check(sys::set_tag(self.handle, tag)).map(drop)
    }

    /// Makes a new record of a JSON map. It stands behind this one and those emitted from it before, with its time, tag,
    /// header and scope. The filter is not called for it.
    #[inline]
    pub fn emit(&self, json: &str) -> Result<Record, Error> {
        let handle = Error::check(sys::emit(self.handle, json))?;
        Ok(Record::new(i32::try_from(handle).map_err(|_| Error::Invalid)?))
    }

    /// The whole record as JSON.
    #[inline]
    pub fn json(&self) -> &str {
        self.texts.ask(|buffer| sys::json(self.handle, buffer)).unwrap_or("{}")
    }

    /// Replaces all its fields by those of a JSON map. Header and scope stay.
    #[inline]
    pub fn replace_json(&self, json: &str) -> Result<(), Error> {
        Error::check(sys::replace_json(self.handle, json)).map(drop)
    }
}

// === impl Walked ===

impl Walked<'_> {
    /// The value as text, as by [`Record::text`].
    #[inline]
    pub fn text(&self) -> &str {
        self.text
    }

    /// What kind of value it is.
    #[inline]
    pub fn kind(&self) -> Option<Kind> {
        self.record.kind(&AT)
    }

    /// Where it is: a path that [`Field::parse`] takes.
    pub fn path(&self) -> String {
        let texts = Texts::new();
        texts.ask(sys::path).unwrap_or_default().to_owned()
    }

    /// Sets it. It is not walked again.
    #[inline]
    pub fn set(&self, value: impl Value) -> Result<(), Error> {
        self.record.set(&AT, value)
    }

    /// Sets it to any JSON value.
    pub fn set_json(&self, json: &str) -> Result<(), Error> {
        self.record.set_json(&AT, json)
    }

    /// Removes it.
    pub fn remove(&self) -> Result<bool, Error> {
        self.record.remove(&AT)
    }
}
