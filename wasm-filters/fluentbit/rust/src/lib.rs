//! A filter in Fluent Bit's interface, in Rust, JSON: appends the tag and the time to a record, and drops records that hold
//! `"drop": true`. Written as filters for Fluent Bit are, with serde_json: it knows nothing of suiro.

use std::ffi::c_char;
use std::slice;
use std::sync::Mutex;

use serde_json::{Map, Value};

/// What was given back last: it is good until the next call.
static LAST: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// The filter.
///
/// # Safety
/// The pointers and lengths are those of texts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stamp(
    tag: *const c_char,
    tag_len: u32,
    sec: u32,
    nsec: u32,
    record: *const c_char,
    record_len: u32,
) -> *const u8 {
    // SAFETY: the caller says so.
    let (tag, record) = unsafe {
        (slice::from_raw_parts(tag.cast(), tag_len as usize), slice::from_raw_parts(record.cast(), record_len as usize))
    };
    let mut record: Map<String, Value> = serde_json::from_slice(record).expect("the record is a JSON map");
    if record.get("drop") == Some(&Value::Bool(true)) {
        return std::ptr::null();
    }
    record.insert("fb_tag".to_owned(), String::from_utf8_lossy(tag).into());
    record.insert("fb_sec".to_owned(), sec.into());
    record.insert("fb_nsec".to_owned(), nsec.into());
    let mut out = serde_json::to_vec(&record).expect("a map is JSON");
    out.push(0);
    let mut last = LAST.lock().expect("there is one thread");
    *last = out;
    last.as_ptr()
}
