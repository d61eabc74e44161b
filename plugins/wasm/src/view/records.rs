//! Records as a whole: their time, tag and text; dropping, failing and making them.

use suiro_record::{Batch, RootId, Row, TimeKind};
use suiro_sdk::reroute::{MAX_TAGS, is_tag};

use super::memory::{put, text};
use super::{Answer, Call, Code, Course, NO_TAG, State, View};

/// Longest reason a guest may give for a record it could not deal with, bytes.
const MAX_REASON: usize = 1024;

impl View {
    /// `timestamp(rec)`
    pub fn timestamp(&mut self, _memory: &mut [u8], rec: i32) -> i64 {
        self.record(rec).map_or(-1, |at| self.batch.rows[at].time)
    }

    /// `set_timestamp(rec, ns)`
    pub fn set_timestamp(&mut self, _memory: &mut [u8], rec: i32, ns: i64) -> Answer {
        let at = self.record(rec)?;
        self.save(at);
        let row = &mut self.batch.rows[at];
        (row.time, row.time_kind) = (ns, TimeKind::Own);
        Ok(0)
    }

    /// `tag(rec, buf, cap)`
    pub fn tag(&mut self, memory: &mut [u8], rec: i32, buf: i32, cap: i32) -> Answer {
        let at = self.record(rec)?;
        put(memory, buf, cap, self.call.tag_of(at).unwrap_or(&self.batch.tag).as_bytes())
    }

    /// `set_tag(rec, ptr, len)`
    pub fn set_tag(&mut self, memory: &mut [u8], rec: i32, ptr: i32, len: i32) -> Answer {
        let at = self.record(rec)?;
        let tag = text(memory, ptr, len)?;
        if !is_tag(tag) {
            return Err(Code::BadText);
        }
        let call = &mut self.call;
        let known = call.tags.iter().rposition(|known| **known == *tag);
        let index = match known {
            _ if *tag == *self.batch.tag => NO_TAG,
            Some(index) => index as u16,
            None if call.tags.len() == MAX_TAGS => return Err(Code::Full),
            None => {
                call.tags.push(tag.into());
                (call.tags.len() - 1) as u16
            }
        };
        call.set_tag(at, index);
        Ok(0)
    }

    /// `drop(rec)`
    pub fn drop(&mut self, _memory: &mut [u8], rec: i32) -> Answer {
        let at = self.record(rec)?;
        self.end_walk_of(at);
        self.call.states[at].fate = Course::Dropped;
        Ok(0)
    }

    /// `fail(rec, ptr, len)`
    pub fn fail(&mut self, memory: &mut [u8], rec: i32, ptr: i32, len: i32) -> Answer {
        let at = self.record(rec)?;
        let reason = text(memory, ptr, len)?;
        let reason = &reason[..reason.floor_char_boundary(MAX_REASON)];
        self.end_walk_of(at);
        self.call.states[at].fate = Course::Failed;
        self.call.failures.push((at as u32, reason.into()));
        Ok(0)
    }

    /// `emit(rec, ptr, len)`
    pub fn emit(&mut self, memory: &mut [u8], rec: i32, ptr: i32, len: i32) -> Answer {
        let at = self.any_record(rec)?;
        let json = text(memory, ptr, len)?;
        if self.call.parents.len() >= self.bounds.emitted {
            return Err(Code::Full);
        }
        self.has_room(size_of::<Row>() * self.call.parents.len())?;
        let body = self.parse_map(json)?;
        let parent = self.batch.rows[at];
        let ordinal = self.call.next_ordinal(at);
        // Records made of one that was made itself must not get the ids of its siblings' children.
        let mut mixed = parent;
        mixed.salt ^= u64::from(parent.ordinal).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.around.salt();
        let made = self.batch.derive(&mixed, body, ordinal);
        let mut row = self.batch.copy_header(&parent);
        row.set_root(body);
        (row.ordinal, row.salt) = (made.ordinal, made.salt);
        let handle = self.batch.rows.len();
        self.batch.rows.push(row);
        let call = &mut self.call;
        call.states.push(State { saved: true, own: true, fate: Course::Stays });
        call.parents.push(at as u32);
        if let Some(&tag) = call.tag_of.get(at) {
            call.set_tag(handle, tag);
        }
        i32::try_from(handle).map_err(|_| Code::Full)
    }

    /// `json(rec, buf, cap)`
    pub fn json(&mut self, memory: &mut [u8], rec: i32, buf: i32, cap: i32) -> Answer {
        let at = self.record(rec)?;
        self.scratch.clear();
        self.batch.write_json(&self.batch.rows[at], &mut self.scratch);
        put(memory, buf, cap, &self.scratch)
    }

    /// `replace_json(rec, ptr, len)`
    pub fn replace_json(&mut self, memory: &mut [u8], rec: i32, ptr: i32, len: i32) -> Answer {
        let at = self.record(rec)?;
        let json = text(memory, ptr, len)?;
        let body = self.parse_map(json)?;
        self.replace_body(at, body);
        Ok(0)
    }

    fn parse_map(&mut self, json: &str) -> Result<RootId, Code> {
        let from = self.batch.mark();
        let root = self.parse(json)?;
        if !self.batch.is_map(root) {
            // Nothing names it.
            self.batch.cut(from);
            return Err(Code::BadText);
        }
        Ok(root)
    }

    fn replace_body(&mut self, at: usize, body: RootId) {
        self.save(at);
        self.end_walk_of(at);
        if !self.call.states[at].own {
            let row = self.batch.rows[at];
            self.batch.rows[at] = self.batch.copy_header(&row);
            self.call.states[at].own = true;
        }
        self.batch.rows[at].set_root(body);
    }
}

// === for interfaces that know no handles ===

impl View {
    /// The batch of the call.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// As `replace_json`, of a text that is not in the guest's memory any more.
    pub fn replace(&mut self, rec: usize, json: &str) -> Result<(), Code> {
        let at = self.record(i32::try_from(rec).map_err(|_| Code::Invalid)?)?;
        let body = self.parse_map(json)?;
        self.replace_body(at, body);
        Ok(())
    }

    /// Drops a record.
    pub fn discard(&mut self, rec: usize) {
        if let Some(state) = self.call.states.get_mut(rec) {
            state.fate = Course::Dropped;
        }
    }

    /// A record that goes by `on_error`.
    pub fn reject(&mut self, rec: usize, reason: String) {
        if let Some(state) = self.call.states.get_mut(rec) {
            state.fate = Course::Failed;
            self.call.failures.push((rec as u32, reason.into()));
        }
    }
}

// === impl Call ===

impl Call {
    pub(super) fn tag_of(&self, at: usize) -> Option<&str> {
        let index = self.tag_of.get(at).copied().filter(|&index| index != NO_TAG)?;
        self.tags.get(usize::from(index)).map(|tag| &**tag)
    }

    fn set_tag(&mut self, at: usize, index: u16) {
        if index == NO_TAG && at >= self.tag_of.len() {
            return;
        }
        if at >= self.tag_of.len() {
            self.tag_of.resize(self.states.len().max(at + 1), NO_TAG);
        }
        self.tag_of[at] = index;
    }

    fn next_ordinal(&mut self, at: usize) -> u32 {
        if at >= self.ordinals.len() {
            self.ordinals.resize(self.states.len().max(at + 1), 0);
        }
        self.ordinals[at] += 1;
        self.ordinals[at]
    }
}
