//! The functions of `suiro_v1`, as the contract has them, with slices for pointers.
//!
//! On WebAssembly they are the agent's. Elsewhere they are those of [`crate::testing`], so that filters can be tested by
//! `cargo test`. A result below 0 is an error's number; see [`crate::Error`].

#[cfg(not(target_family = "wasm"))]
pub(crate) use crate::testing::functions::*;
#[cfg(target_family = "wasm")]
pub(crate) use wasm::*;

/// Stands for the value the walk is at.
pub(crate) const AT: i32 = 0x7fff_ffff;

#[cfg(target_family = "wasm")]
mod wasm {
    use std::mem::MaybeUninit;

    mod raw {
        #[link(wasm_import_module = "suiro_v1")]
        unsafe extern "C" {
            pub(crate) fn field(path: *const u8, len: usize) -> i32;
            pub(crate) fn get(rec: i32, field: i32, buf: *mut u8, cap: usize) -> i32;
            pub(crate) fn get_i64(rec: i32, field: i32, out: *mut i64) -> i32;
            pub(crate) fn get_f64(rec: i32, field: i32, out: *mut f64) -> i32;
            pub(crate) fn set_str(rec: i32, field: i32, text: *const u8, len: usize) -> i32;
            pub(crate) fn set_json(rec: i32, field: i32, text: *const u8, len: usize) -> i32;
            pub(crate) fn next(buf: *mut u8, cap: usize) -> i32;
            pub(crate) fn path(buf: *mut u8, cap: usize) -> i32;
            pub(crate) fn tag(rec: i32, buf: *mut u8, cap: usize) -> i32;
            pub(crate) fn set_tag(rec: i32, text: *const u8, len: usize) -> i32;
            pub(crate) fn fail(rec: i32, text: *const u8, len: usize) -> i32;
            pub(crate) fn emit(rec: i32, text: *const u8, len: usize) -> i32;
            pub(crate) fn json(rec: i32, buf: *mut u8, cap: usize) -> i32;
            pub(crate) fn replace_json(rec: i32, text: *const u8, len: usize) -> i32;
            pub(crate) fn config(key: *const u8, len: usize, buf: *mut u8, cap: usize) -> i32;
            pub(crate) fn log(level: i32, text: *const u8, len: usize) -> i32;
            pub(crate) fn counter(name: *const u8, len: usize, add: i64) -> i32;
            pub(crate) fn gauge(name: *const u8, len: usize, value: f64) -> i32;

            pub(crate) safe fn kind(rec: i32, field: i32) -> i32;
            pub(crate) safe fn get_bool(rec: i32, field: i32) -> i32;
            pub(crate) safe fn set_i64(rec: i32, field: i32, value: i64) -> i32;
            pub(crate) safe fn set_f64(rec: i32, field: i32, value: f64) -> i32;
            pub(crate) safe fn set_bool(rec: i32, field: i32, value: i32) -> i32;
            pub(crate) safe fn set_null(rec: i32, field: i32) -> i32;
            pub(crate) safe fn remove(rec: i32, field: i32) -> i32;
            pub(crate) safe fn each(rec: i32, kinds: i32) -> i32;
            pub(crate) safe fn timestamp(rec: i32) -> i64;
            pub(crate) safe fn set_timestamp(rec: i32, ns: i64) -> i32;
            pub(crate) safe fn drop(rec: i32) -> i32;
            pub(crate) safe fn now_ns() -> i64;
            pub(crate) safe fn random() -> i64;
        }
    }

    pub(crate) use raw::{
        drop, each, get_bool, kind, now_ns, random, remove, set_bool, set_f64, set_i64, set_null, set_timestamp,
        timestamp,
    };

    type Buffer = [MaybeUninit<u8>];

    /// Functions that read a text, and those that fill a buffer: the pointer and the length are a slice's.
    macro_rules! texts {
        ($($name:ident($($arg:ident: $type:ty),*; $text:ident: $kind:tt) -> i32;)*) => {$(
            #[inline]
            pub(crate) fn $name($($arg: $type,)* $text: texts!(@type $kind)) -> i32 {
                // SAFETY: the agent reads or writes within the slice, which is borrowed during the call.
                unsafe { raw::$name($($arg,)* texts!(@pointer $text $kind), $text.len()) }
            }
        )*};
        (@type read) => { &str };
        (@type write) => { &mut Buffer };
        (@pointer $text:ident read) => { $text.as_ptr() };
        (@pointer $text:ident write) => { $text.as_mut_ptr().cast() };
    }

    texts! {
        field(; path: read) -> i32;
        get(rec: i32, field: i32; buf: write) -> i32;
        set_str(rec: i32, field: i32; text: read) -> i32;
        set_json(rec: i32, field: i32; text: read) -> i32;
        next(; buf: write) -> i32;
        path(; buf: write) -> i32;
        tag(rec: i32; buf: write) -> i32;
        set_tag(rec: i32; text: read) -> i32;
        fail(rec: i32; text: read) -> i32;
        emit(rec: i32; text: read) -> i32;
        json(rec: i32; buf: write) -> i32;
        replace_json(rec: i32; text: read) -> i32;
        log(level: i32; text: read) -> i32;
    }

    #[inline]
    pub(crate) fn get_i64(rec: i32, field: i32, out: &mut i64) -> i32 {
        // SAFETY: the agent stores 8 bytes at most, at `out`.
        unsafe { raw::get_i64(rec, field, out) }
    }

    #[inline]
    pub(crate) fn get_f64(rec: i32, field: i32, out: &mut f64) -> i32 {
        // SAFETY: the agent stores 8 bytes at most, at `out`.
        unsafe { raw::get_f64(rec, field, out) }
    }

    pub(crate) fn config(key: &str, buf: &mut Buffer) -> i32 {
        // SAFETY: the agent reads within the one slice and writes within the other.
        unsafe { raw::config(key.as_ptr(), key.len(), buf.as_mut_ptr().cast(), buf.len()) }
    }

    pub(crate) fn counter(name: &str, add: i64) -> i32 {
        // SAFETY: the agent reads within the slice.
        unsafe { raw::counter(name.as_ptr(), name.len(), add) }
    }

    pub(crate) fn gauge(name: &str, value: f64) -> i32 {
        // SAFETY: the agent reads within the slice.
        unsafe { raw::gauge(name.as_ptr(), name.len(), value) }
    }
}
