//! Fluent Bit's interface: a function that is called with each record's text.
//!
//! ```text
//! fn(tag, tag_len, seconds, nanoseconds, record, record_len) -> record
//! ```
//!
//! The record goes in as JSON, or MessagePack, and comes back as such; a null pointer, or an empty text, drops it. Texts
//! end with a NUL; what comes back as MessagePack ends where its value does. The result is copied before the guest is
//! called again. It is the guest's to keep or leak, as it is there: an instance that grows is replaced.
//!
//! The guest's own `malloc` and `free` give the room for what goes in, where it exports them; else memory is grown for it,
//! behind a gap: Go's runtime takes it for granted that nobody else grows its memory, and that what it grows begins where
//! it grew last. So it grows into the gap, and before that is used up the room is made anew behind another one.
//!
//! Unlike there, a trap does not drop the record: it goes by `on_error`, as does a result that is no record.

pub(crate) mod libc;
mod msgpack;

use suiro_record::write_json_str;
use wasmtime::{AsContextMut, Error, Instance, Result, Store, TypedFunc};

use crate::instance::Host;

/// The type of a filter, as it is written.
pub(crate) const FUNCTION: &str = "(i32, i32, i32, i32, i32, i32) -> i32";
/// Longest record a guest may give back, bytes.
const MAX_RECORD: usize = 16 << 20;
const PAGE: usize = 64 << 10;
/// Largest gap before memory grown for what goes in, bytes.
const MAX_GAP: usize = 8 << 20;

/// How records go in and come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// As JSON.
    #[default]
    Json,
    /// As MessagePack.
    MessagePack,
}

/// A guest's functions, and its memory for what goes in.
pub(crate) struct Guest {
    function: TypedFunc<(i32, i32, i32, i32, i32, i32), i32>,
    allocator: Option<Allocator>,
    format: Format,
    space: Space,
}

struct Allocator {
    malloc: TypedFunc<i32, i32>,
    free: TypedFunc<i32, ()>,
}

/// A piece of the guest's memory, for the tag and a record.
#[derive(Clone, Copy, Default)]
struct Space {
    at: usize,
    size: usize,
    /// The memory may grow up to this before the piece is to be made anew.
    good_to: usize,
}

/// The guest gave memory that is none.
#[derive(Debug, thiserror::Error)]
#[error("its `malloc` gave no memory for {0} bytes")]
struct NoMemory(usize);

// === impl Guest ===

impl Guest {
    pub(crate) fn new(store: &mut Store<Host>, instance: &Instance, function: &str, format: Format) -> Result<Guest> {
        let malloc = instance.get_typed_func(&mut *store, "malloc").ok();
        let free = instance.get_typed_func(&mut *store, "free").ok();
        Ok(Guest {
            function: instance.get_typed_func(&mut *store, function)?,
            allocator: malloc.zip(free).map(|(malloc, free)| Allocator { malloc, free }),
            format,
            space: Space::default(),
        })
    }

    /// Calls the function with each record of the batch.
    pub(crate) fn process(&mut self, store: &mut Store<Host>) -> Result<()> {
        let records = store.data().view.batch().len();
        if records == 0 {
            return Ok(());
        }
        let mut text = store.data().view.batch().tag.as_bytes().to_vec();
        let tag_len = text.len();
        text.push(0);
        for rec in 0..records {
            text.truncate(tag_len + 1);
            let batch = store.data().view.batch();
            let row = &batch.rows[rec];
            let (seconds, nanoseconds) = (row.time.div_euclid(1_000_000_000), row.time.rem_euclid(1_000_000_000));
            match self.format {
                Format::Json => batch.write_json(row, &mut text),
                Format::MessagePack => msgpack::write(batch.body(row.root()), &mut text),
            }
            let len = text.len() - tag_len - 1;
            text.push(0);
            let tag = self.put(store, &text)?;
            let record = tag + tag_len + 1;
            let [tag, len_of_tag, record, len_of_record] = [tag, tag_len, record, len].map(|n| n as u32 as i32);
            let args = (tag, len_of_tag, seconds as i32, nanoseconds as i32, record, len_of_record);
            let result = self.function.call(&mut *store, args)?;
            self.take(store, rec, result, &text[tag_len + 1..][..len]);
        }
        Ok(())
    }

    /// What the function gave back for a record. `was` is what it got.
    fn take(&self, store: &mut Store<Host>, rec: usize, result: i32, was: &[u8]) {
        let Some(memory) = store.data().memory() else { return };
        let (memory, host) = memory.data_and_store_mut(store);
        if result == 0 {
            return host.view.discard(rec);
        }
        let found = memory.get(result.cast_unsigned() as usize..).unwrap_or_default();
        let found = &found[..found.len().min(MAX_RECORD)];
        let text = match self.format {
            Format::Json => match found.iter().position(|b| *b == 0).map(|end| &found[..end]) {
                Some([]) => return host.view.discard(rec),
                Some(text) if text == was => return,
                Some(text) => String::from_utf8(text.to_vec()).map_err(|_| "it gave back a text that is no UTF-8"),
                None => Err("it gave back a text without an end"),
            },
            Format::MessagePack if found.starts_with(was) => return,
            Format::MessagePack => match msgpack::read(found) {
                Some(value) => {
                    let mut json = Vec::new();
                    value.write_json(&mut json);
                    String::from_utf8(json).map_err(|_| "it gave back a text that is no UTF-8")
                }
                None => Err("it gave back what is no MessagePack"),
            },
        };
        let replaced = text.and_then(|text| {
            host.view.replace(rec, &text).map_err(|code| match code {
                crate::view::Code::Full => "what it gave back is too large",
                _ => "it gave back what is no record: a map is expected",
            })
        });
        if let Err(why) = replaced {
            let mut shown = Vec::new();
            write_json_str(&String::from_utf8_lossy(&found[..found.len().min(60)]), &mut shown);
            host.view.reject(rec, format!("{why}; it begins with {}", String::from_utf8_lossy(&shown)));
        }
    }

    /// Puts a text where the guest can read it: where that is.
    fn put(&mut self, store: &mut Store<Host>, text: &[u8]) -> Result<usize> {
        let no_memory = || Error::new(NoMemory(text.len()));
        let memory = store.data().memory().ok_or_else(no_memory)?;
        if text.len() > self.space.size || memory.data_size(&*store) > self.space.good_to {
            self.space = self.make_space(store, text.len())?;
        }
        let at = self.space.at;
        let target = memory.data_mut(&mut *store).get_mut(at..at.saturating_add(text.len()));
        target.ok_or_else(no_memory)?.copy_from_slice(text);
        Ok(at)
    }

    fn make_space(&self, store: &mut Store<Host>, len: usize) -> Result<Space> {
        let size = len.next_power_of_two().max(1024);
        if let Some(Allocator { malloc, free }) = &self.allocator {
            if self.space.size > 0 {
                free.call(store.as_context_mut(), self.space.at as u32 as i32)?;
            }
            let at = malloc.call(store.as_context_mut(), i32::try_from(size).map_err(Error::new)?)?;
            let at = at.cast_unsigned() as usize;
            return if at == 0 { Err(Error::new(NoMemory(size))) } else { Ok(Space { at, size, good_to: usize::MAX }) };
        }
        let memory = store.data().memory().ok_or_else(|| Error::new(NoMemory(size)))?;
        let free = store.data().limits.memory.saturating_sub(memory.data_size(&*store));
        let gap = (free / 4).min(MAX_GAP) / PAGE;
        let pages = size.div_ceil(PAGE);
        let before = memory.grow(&mut *store, (gap + pages) as u64)? as usize;
        let good_to = memory.data_size(&*store) + gap * PAGE / 2;
        Ok(Space { at: (before + gap) * PAGE, size: pages * PAGE, good_to })
    }
}
