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
//! The guest's own `malloc` and `free` give the room for what goes in, where it exports them; else memory is grown for it.
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
    tag: Space,
    record: Space,
}

struct Allocator {
    malloc: TypedFunc<i32, i32>,
    free: TypedFunc<i32, ()>,
}

/// A piece of the guest's memory.
#[derive(Clone, Copy, Default)]
struct Space {
    at: i32,
    size: usize,
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
            tag: Space::default(),
            record: Space::default(),
        })
    }

    /// Calls the function with each record of the batch.
    pub(crate) fn process(&mut self, store: &mut Store<Host>) -> Result<()> {
        let records = store.data().view.batch().len();
        if records == 0 {
            return Ok(());
        }
        let tag = store.data().view.batch().tag.clone();
        let mut text = tag.as_bytes().to_vec();
        let tag_len = text.len() as i32;
        text.push(0);
        self.tag = self.put(store, self.tag, &text)?;
        for rec in 0..records {
            text.clear();
            let batch = store.data().view.batch();
            let row = &batch.rows[rec];
            let (seconds, nanoseconds) = (row.time.div_euclid(1_000_000_000), row.time.rem_euclid(1_000_000_000));
            match self.format {
                Format::Json => batch.write_json(row, &mut text),
                Format::MessagePack => msgpack::write(batch.body(row.root()), &mut text),
            }
            let len = i32::try_from(text.len()).map_err(Error::new)?;
            text.push(0);
            self.record = self.put(store, self.record, &text)?;
            let args = (self.tag.at, tag_len, seconds as i32, nanoseconds as i32, self.record.at, len);
            let result = self.function.call(&mut *store, args)?;
            self.take(store, rec, result, &text[..len as usize]);
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

    /// Puts a text where the guest can read it: into the space it had, if that is large enough.
    fn put(&self, store: &mut Store<Host>, space: Space, text: &[u8]) -> Result<Space> {
        let space = if text.len() <= space.size { space } else { self.make_space(store, space, text.len())? };
        let Some(memory) = store.data().memory() else { return Err(Error::new(NoMemory(text.len()))) };
        let at = space.at.cast_unsigned() as usize;
        let target = memory.data_mut(&mut *store).get_mut(at..at.saturating_add(text.len()));
        target.ok_or_else(|| Error::new(NoMemory(text.len())))?.copy_from_slice(text);
        Ok(space)
    }

    fn make_space(&self, store: &mut Store<Host>, old: Space, len: usize) -> Result<Space> {
        let size = len.next_power_of_two().max(1024);
        if let Some(Allocator { malloc, free }) = &self.allocator {
            if old.size > 0 {
                free.call(store.as_context_mut(), old.at)?;
            }
            let at = malloc.call(store.as_context_mut(), i32::try_from(size).map_err(Error::new)?)?;
            return if at == 0 { Err(Error::new(NoMemory(size))) } else { Ok(Space { at, size }) };
        }
        let Some(memory) = store.data().memory() else { return Err(Error::new(NoMemory(size))) };
        let pages = size.div_ceil(PAGE);
        let before = memory.grow(&mut *store, pages as u64)?;
        Ok(Space { at: (before as usize * PAGE) as u32 as i32, size: pages * PAGE })
    }
}
