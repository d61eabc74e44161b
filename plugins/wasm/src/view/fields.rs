//! Fields: looked up by id, read, set, removed.

use std::sync::Arc;

use suiro_record::{Field, Kind, NewValue, NodeRef, Path, PathRoot, Value};

use super::memory::{put, put_8, text};
use super::{AT, Answer, Code, MAX_FIELDS, View};

/// What a value is, in the guest's numbers.
pub(super) fn kind_of(field: Field<'_>) -> i32 {
    match field.kind() {
        Kind::Null => 0,
        Kind::Bool => 1,
        Kind::Number if is_integer(field) => 2,
        Kind::Number => 3,
        Kind::String => 4,
        Kind::Bytes => 5,
        Kind::Array => 6,
        Kind::Object => 7,
    }
}

/// Whether a value's kind is among `kinds`, which has a bit for each.
pub(super) fn is_among(field: Field<'_>, kinds: u32) -> bool {
    const NUMBERS: u32 = 1 << 2 | 1 << 3;
    match field.kind() {
        // Which of the two it is takes a look at its text.
        Kind::Number if kinds & NUMBERS == 0 => false,
        _ => kinds >> kind_of(field) & 1 == 1,
    }
}

/// Whether a number is written without fraction and exponent.
fn is_integer(field: Field<'_>) -> bool {
    let plain = |text: &str| !text.bytes().any(|b| matches!(b, b'.' | b'e' | b'E'));
    match field {
        Field::Time(_) | Field::Value(Value::Int(_) | Value::Uint(_)) => true,
        Field::Value(Value::Number(text)) => plain(text),
        Field::Value(_) | Field::Text(_) => false,
        Field::Node(node) => node.number_text().map_or(node.as_i64().is_some() || node.as_u64().is_some(), plain),
    }
}

/// Gives the guest a value's text.
#[inline]
pub(super) fn put_text(field: Field<'_>, memory: &mut [u8], buf: i32, cap: i32, scratch: &mut Vec<u8>) -> Answer {
    if let Field::Node(node) = field
        && let Some(text) = node.plain_bytes()
    {
        return put(memory, buf, cap, text);
    }
    scratch.clear();
    field.write_text(scratch);
    put(memory, buf, cap, scratch)
}

impl View {
    /// `field(path) -> id`
    pub fn field(&mut self, memory: &mut [u8], ptr: i32, len: i32) -> Answer {
        let path = text(memory, ptr, len)?;
        if let Some(&id) = self.by_text.get(path) {
            return Ok(id);
        }
        if self.paths.len() == MAX_FIELDS {
            return Err(Code::Full);
        }
        let parsed = Path::parse(path).map_err(|_| Code::BadText)?;
        let id = self.paths.len() as i32;
        self.by_text.insert(path.to_owned(), id);
        self.paths.push(Arc::new(parsed));
        self.resolved.push(None);
        Ok(id)
    }

    /// `kind(rec, field)`
    pub fn kind(&mut self, _memory: &mut [u8], rec: i32, field: i32) -> Answer {
        self.look(rec, field).map(kind_of)
    }

    /// `get(rec, field, buf, cap)`
    pub fn get(&mut self, memory: &mut [u8], rec: i32, field: i32, buf: i32, cap: i32) -> Answer {
        let mut scratch = std::mem::take(&mut self.scratch);
        let answer = self.look(rec, field).and_then(|found| put_text(found, memory, buf, cap, &mut scratch));
        self.scratch = scratch;
        answer
    }

    /// `get_i64(rec, field, out)`
    pub fn get_i64(&mut self, memory: &mut [u8], rec: i32, field: i32, out: i32) -> Answer {
        let number = self.look(rec, field)?.as_i64().ok_or(Code::WrongType)?;
        put_8(memory, out, number.to_le_bytes())
    }

    /// `get_f64(rec, field, out)`
    pub fn get_f64(&mut self, memory: &mut [u8], rec: i32, field: i32, out: i32) -> Answer {
        let number = self.look(rec, field)?.as_f64().ok_or(Code::WrongType)?;
        put_8(memory, out, number.to_le_bytes())
    }

    /// `get_bool(rec, field)`
    pub fn get_bool(&mut self, _memory: &mut [u8], rec: i32, field: i32) -> Answer {
        self.look(rec, field)?.as_bool().map(i32::from).ok_or(Code::WrongType)
    }

    /// `set_str(rec, field, ptr, len)`
    pub fn set_str(&mut self, memory: &mut [u8], rec: i32, field: i32, ptr: i32, len: i32) -> Answer {
        let value = text(memory, ptr, len)?;
        self.has_room(value.len())?;
        self.set(rec, field, NewValue::Str(value))
    }

    /// `set_i64(rec, field, value)`
    pub fn set_i64(&mut self, _memory: &mut [u8], rec: i32, field: i32, value: i64) -> Answer {
        self.set(rec, field, NewValue::Int(value))
    }

    /// `set_f64(rec, field, value)`
    pub fn set_f64(&mut self, _memory: &mut [u8], rec: i32, field: i32, value: f64) -> Answer {
        if !value.is_finite() {
            return Err(Code::Invalid);
        }
        self.set(rec, field, NewValue::Float(value))
    }

    /// `set_bool(rec, field, value)`
    pub fn set_bool(&mut self, _memory: &mut [u8], rec: i32, field: i32, value: i32) -> Answer {
        self.set(rec, field, NewValue::Bool(value != 0))
    }

    /// `set_null(rec, field)`
    pub fn set_null(&mut self, _memory: &mut [u8], rec: i32, field: i32) -> Answer {
        self.set(rec, field, NewValue::Null)
    }

    /// `set_json(rec, field, ptr, len)`
    pub fn set_json(&mut self, memory: &mut [u8], rec: i32, field: i32, ptr: i32, len: i32) -> Answer {
        let json = text(memory, ptr, len)?;
        self.settable(rec, field)?;
        let value = self.parse(json)?;
        self.set(rec, field, NewValue::Copy(value))
    }

    /// `remove(rec, field)`
    pub fn remove(&mut self, _memory: &mut [u8], rec: i32, field: i32) -> Answer {
        let at = self.record(rec)?;
        if field == AT {
            return self.remove_here(at);
        }
        let there = match self.look(rec, field) {
            Ok(_) => true,
            Err(Code::Absent) => false,
            Err(code) => return Err(code),
        };
        let path = self.path_of(field)?.clone();
        if !matches!(path.root(), PathRoot::Body | PathRoot::Header(_)) {
            return if there { Err(Code::Denied) } else { Ok(0) };
        }
        if !there {
            return Ok(0);
        }
        self.own(at)?;
        self.end_walk_of(at);
        let resolved = self.batch.resolve(&path);
        Ok(i32::from(self.batch.remove(at, &resolved)))
    }

    fn set(&mut self, rec: i32, field: i32, value: NewValue<'_>) -> Answer {
        let at = self.settable(rec, field)?;
        self.own(at)?;
        if field == AT {
            return self.set_here(at, value);
        }
        self.has_room(0)?;
        self.end_walk_of(at);
        let path = self.paths.get(field.cast_unsigned() as usize).ok_or(Code::Invalid)?;
        self.batch.set(at, path, value)?;
        Ok(0)
    }

    /// The record, if it and the field are there to be set.
    fn settable(&self, rec: i32, field: i32) -> Result<usize, Code> {
        let at = self.record(rec)?;
        if field == AT {
            self.here(at)?;
        } else if let PathRoot::Tag | PathRoot::Input | PathRoot::Signal | PathRoot::Resource | PathRoot::Scope =
            self.path_of(field)?.root()
        {
            return Err(Code::Denied);
        }
        Ok(at)
    }

    fn path_of(&self, field: i32) -> Result<&Arc<Path>, Code> {
        self.paths.get(field.cast_unsigned() as usize).ok_or(Code::Invalid)
    }

    /// The value a field names in a record.
    #[inline]
    fn look(&mut self, rec: i32, field: i32) -> Result<Field<'_>, Code> {
        let at = self.record(rec)?;
        if field == AT {
            return self.here(at).map(Field::Node);
        }
        let id = field.cast_unsigned() as usize;
        let resolved = match self.resolved.get_mut(id) {
            None => return Err(Code::Invalid),
            Some(Some(resolved)) => &*resolved,
            Some(unknown) => &*unknown.insert(self.batch.resolve_shared(&self.paths[id])),
        };
        if let Some(tag) = self.call.tag_of(at)
            && self.paths[id].root() == PathRoot::Tag
        {
            return Ok(Field::Text(tag));
        }
        self.batch.get(&self.batch.rows[at], resolved).ok_or(Code::Absent)
    }

    /// The value the walk is at, if it is one of that record.
    pub(super) fn here(&self, at: usize) -> Result<NodeRef<'_>, Code> {
        let cursor = self.walk.as_ref().filter(|cursor| cursor.record == at).ok_or(Code::Absent)?;
        cursor.walk.at(&self.batch).ok_or(Code::Absent)
    }
}
