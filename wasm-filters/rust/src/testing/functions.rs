//! The functions of `suiro_v1`, as [`crate::sys`] wants them, over a [`World`] of this thread.

use std::cell::RefCell;
use std::mem::MaybeUninit;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};

use super::path::Path;
use super::world::{BAD_TEXT, FULL, INVALID, WRONG_TYPE, World, kind as kind_of};

type Buffer = [MaybeUninit<u8>];

/// Fields the agent allows.
const MAX_FIELDS: usize = 1024;

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// Paths by id: of the whole process, since a `static` field keeps its id from one test to the next.
static PATHS: Mutex<Vec<(String, Path)>> = Mutex::new(Vec::new());

/// Runs `body` with the functions at work on `world`.
pub(super) fn within<T>(world: World, body: impl FnOnce() -> T) -> (T, World) {
    struct Cleared;

    impl Drop for Cleared {
        fn drop(&mut self) {
            WORLD.set(None);
        }
    }

    let _cleared = Cleared;
    assert!(WORLD.replace(Some(world)).is_none(), "a filter is run within a filter");
    let result = body();
    (result, WORLD.take().expect("nobody else takes it"))
}

fn with<T>(call: impl FnOnce(&mut World) -> T) -> T {
    WORLD.with_borrow_mut(|world| {
        call(world.as_mut().expect("records and fields are there within testing::Host::run only"))
    })
}

pub(super) fn path_of(field: i32) -> Result<Path, i32> {
    let paths = PATHS.lock().unwrap_or_else(PoisonError::into_inner);
    usize::try_from(field).ok().and_then(|id| paths.get(id)).map(|(_, path)| path.clone()).ok_or(INVALID)
}

/// A text by the rule for all texts: its length, and the text itself where it fits.
fn give(text: Result<String, i32>, buffer: &mut Buffer) -> i32 {
    match text {
        Ok(text) => {
            if let Some(buffer) = buffer.get_mut(..text.len()) {
                for (slot, byte) in buffer.iter_mut().zip(text.bytes()) {
                    slot.write(byte);
                }
            }
            i32::try_from(text.len()).unwrap_or(FULL)
        }
        Err(code) => code,
    }
}

fn as_text(value: Value) -> String {
    if let Value::String(text) = value { text } else { value.to_string() }
}

fn parse_map(json: &str) -> Result<Map<String, Value>, i32> {
    serde_json::from_str(json).map_err(|_| BAD_TEXT)
}

pub(crate) fn field(path: &str) -> i32 {
    let mut paths = PATHS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(id) = paths.iter().position(|(text, _)| text == path) {
        return id as i32;
    }
    let Some(parsed) = Path::parse(path) else { return BAD_TEXT };
    if paths.len() >= MAX_FIELDS {
        return FULL;
    }
    paths.push((path.to_owned(), parsed));
    paths.len() as i32 - 1
}

pub(crate) fn kind(rec: i32, field: i32) -> i32 {
    with(|world| world.value(rec, field).map_or_else(|code| code, |value| kind_of(&value)))
}

pub(crate) fn get(rec: i32, field: i32, buffer: &mut Buffer) -> i32 {
    give(with(|world| world.value(rec, field).map(as_text)), buffer)
}

/// Stores what `read` finds in a value.
fn store<T>(rec: i32, field: i32, out: &mut T, read: impl Fn(&Value) -> Option<T>) -> i32 {
    match with(|world| world.value(rec, field)).map(|value| read(&value)) {
        Ok(Some(value)) => {
            *out = value;
            0
        }
        Ok(None) => WRONG_TYPE,
        Err(code) => code,
    }
}

pub(crate) fn get_i64(rec: i32, field: i32, out: &mut i64) -> i32 {
    store(rec, field, out, Value::as_i64)
}

pub(crate) fn get_f64(rec: i32, field: i32, out: &mut f64) -> i32 {
    store(rec, field, out, Value::as_f64)
}

pub(crate) fn get_bool(rec: i32, field: i32) -> i32 {
    let mut out = false;
    match store(rec, field, &mut out, Value::as_bool) {
        0 => i32::from(out),
        code => code,
    }
}

pub(crate) fn set_str(rec: i32, field: i32, text: &str) -> i32 {
    with(|world| world.set(rec, field, text.into()))
}

pub(crate) fn set_i64(rec: i32, field: i32, value: i64) -> i32 {
    with(|world| world.set(rec, field, value.into()))
}

pub(crate) fn set_f64(rec: i32, field: i32, value: f64) -> i32 {
    if !value.is_finite() {
        return INVALID;
    }
    with(|world| world.set(rec, field, value.into()))
}

pub(crate) fn set_bool(rec: i32, field: i32, value: i32) -> i32 {
    with(|world| world.set(rec, field, (value != 0).into()))
}

pub(crate) fn set_null(rec: i32, field: i32) -> i32 {
    with(|world| world.set(rec, field, Value::Null))
}

pub(crate) fn set_json(rec: i32, field: i32, json: &str) -> i32 {
    let Ok(value) = serde_json::from_str(json) else { return BAD_TEXT };
    with(|world| world.set(rec, field, value))
}

pub(crate) fn remove(rec: i32, field: i32) -> i32 {
    with(|world| world.remove(rec, field)).map_or_else(|code| code, i32::from)
}

pub(crate) fn each(rec: i32, kinds: i32) -> i32 {
    with(|world| world.each(rec, kinds))
}

pub(crate) fn next(buffer: &mut Buffer) -> i32 {
    give(with(|world| world.next().map(as_text)), buffer)
}

pub(crate) fn path(buffer: &mut Buffer) -> i32 {
    give(with(|world| world.path()), buffer)
}

pub(crate) fn timestamp(rec: i32) -> i64 {
    with(|world| world.get_row(rec).map_or(-1, |row| row.timestamp))
}

pub(crate) fn set_timestamp(rec: i32, ns: i64) -> i32 {
    with(|world| world.row_mut(rec).map(|row| row.timestamp = ns).err().unwrap_or(0))
}

pub(crate) fn tag(rec: i32, buffer: &mut Buffer) -> i32 {
    give(with(|world| world.get_row(rec).map(|row| row.tag.clone())), buffer)
}

pub(crate) fn set_tag(rec: i32, tag: &str) -> i32 {
    if tag.is_empty() || tag.len() > 256 || tag.chars().any(char::is_control) {
        return BAD_TEXT;
    }
    with(|world| world.row_mut(rec).map(|row| tag.clone_into(&mut row.tag)).err().unwrap_or(0))
}

pub(crate) fn drop(rec: i32) -> i32 {
    with(|world| world.drop(rec))
}

pub(crate) fn fail(rec: i32, why: &str) -> i32 {
    with(|world| world.fail(rec, why))
}

pub(crate) fn emit(rec: i32, json: &str) -> i32 {
    match parse_map(json) {
        Ok(map) => with(|world| world.emit(rec, map)),
        Err(code) => code,
    }
}

pub(crate) fn json(rec: i32, buffer: &mut Buffer) -> i32 {
    give(with(|world| world.get_row(rec).map(|row| row.json())), buffer)
}

pub(crate) fn replace_json(rec: i32, json: &str) -> i32 {
    match parse_map(json) {
        Ok(map) => with(|world| world.replace(rec, map)),
        Err(code) => code,
    }
}

pub(crate) fn config(key: &str, buffer: &mut Buffer) -> i32 {
    give(with(|world| world.config(key).map(as_text)), buffer)
}

pub(crate) fn log(level: i32, text: &str) -> i32 {
    with(|world| world.log(level, text))
}

pub(crate) fn counter(name: &str, add: i64) -> i32 {
    with(|world| world.counter(name, add))
}

pub(crate) fn gauge(name: &str, value: f64) -> i32 {
    with(|world| world.gauge(name, value))
}

/// The time of the first record of tests: a test that depends on the clock fails some day.
pub(crate) fn now_ns() -> i64 {
    1_767_225_600_000_000_000
}

/// Random enough for a test, and the same in each run.
pub(crate) fn random() -> i64 {
    thread_local! {
        static STATE: std::cell::Cell<u64> = const { std::cell::Cell::new(0x9e37_79b9_7f4a_7c15) };
    }
    STATE.with(|state| {
        let mut x = state.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        state.set(x);
        x.cast_signed()
    })
}
