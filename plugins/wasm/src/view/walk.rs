//! `each`, `next` and `path`: every value of a record.

use suiro_record::{Field, NewValue, Walk};

use super::fields::{is_among, put_text};
use super::memory::put;
use super::{Answer, Code, View};

/// A walk over one record.
pub(super) struct Cursor {
    pub(super) record: usize,
    /// Bits of the kinds that are asked for.
    kinds: u32,
    pub(super) walk: Walk,
}

impl View {
    /// `each(rec, kinds)`
    pub fn each(&mut self, _memory: &mut [u8], rec: i32, kinds: i32) -> Answer {
        let record = self.record(rec)?;
        let walk = Walk::new(self.batch.rows[record].root());
        self.walk = Some(Cursor { record, kinds: kinds.cast_unsigned(), walk });
        Ok(0)
    }

    /// `next(buf, cap)`
    pub fn next(&mut self, memory: &mut [u8], buf: i32, cap: i32) -> Answer {
        let Some(cursor) = &mut self.walk else { return Err(Code::Absent) };
        while let Some(value) = cursor.walk.next(&self.batch).map(Field::Node) {
            if is_among(value, cursor.kinds) {
                return put_text(value, memory, buf, cap, &mut self.scratch);
            }
        }
        self.walk = None;
        Err(Code::Absent)
    }

    /// `path(buf, cap)`
    pub fn path(&mut self, memory: &mut [u8], buf: i32, cap: i32) -> Answer {
        let cursor = self.walk.as_ref().ok_or(Code::Absent)?;
        cursor.walk.at(&self.batch).ok_or(Code::Absent)?;
        let mut path = String::new();
        cursor.walk.write_path(&self.batch, &mut path);
        put(memory, buf, cap, path.as_bytes())
    }

    /// Sets the value the walk is at.
    pub(super) fn set_here(&mut self, at: usize, value: NewValue<'_>) -> Answer {
        self.has_room(0)?;
        let cursor = self.walk.as_mut().filter(|cursor| cursor.record == at).ok_or(Code::Absent)?;
        self.batch.set_at(&mut cursor.walk, value)?;
        Ok(0)
    }

    /// Removes the value the walk is at.
    pub(super) fn remove_here(&mut self, at: usize) -> Answer {
        if self.here(at).is_err() {
            return Ok(0);
        }
        self.own(at)?;
        let cursor = self.walk.as_mut().filter(|cursor| cursor.record == at).ok_or(Code::Absent)?;
        Ok(i32::from(self.batch.remove_at(&mut cursor.walk)))
    }
}
