//! The functions of `suiro_v1`, by name: how they are typed, and as functions of the host.

use wasmtime::{Caller, Linker};

use crate::instance::Host;
use crate::view::{Answer, View, number};

/// The module from which guests import.
pub const MODULE: &str = "suiro_v1";

/// A type of an argument or a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Ty {
    I32,
    I64,
    F64,
}

/// A function that guests may import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Its arguments.
    pub params: &'static [Ty],
    /// Its results.
    pub results: &'static [Ty],
}

/// What a function of the view gives, as the guest gets it.
trait Give<T> {
    fn give(self) -> T;
}

impl Give<i32> for Answer {
    #[inline]
    fn give(self) -> i32 {
        number(self)
    }
}

impl Give<i64> for i64 {
    fn give(self) -> i64 {
        self
    }
}

macro_rules! ty {
    (i32) => {
        Ty::I32
    };
    (i64) => {
        Ty::I64
    };
    (f64) => {
        Ty::F64
    };
}

macro_rules! functions {
    ($($name:ident($($arg:ident: $ty:tt),*) -> $result:tt;)*) => {
        /// All functions of the interface.
        pub const FUNCTIONS: &[Function] = &[
            $(Function { name: stringify!($name), params: &[$(ty!($ty)),*], results: &[ty!($result)] }),*
        ];

        /// Makes them importable.
        pub(crate) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
            $(
                linker.func_wrap(MODULE, stringify!($name), |mut caller: Caller<'_, Host>, $($arg: $ty),*| -> $result {
                    let (memory, host) = Host::of(&mut caller);
                    Give::give(host.view.$name(memory, $($arg),*))
                })?;
            )*
            Ok(())
        }

        /// Calls the function of that index with arguments from `next`, for tests that try them all.
        #[doc(hidden)]
        pub fn call(view: &mut View, memory: &mut [u8], function: usize, mut next: impl FnMut() -> i64) -> i64 {
            trait From64 {
                fn from_64(bits: i64) -> Self;
            }
            impl From64 for i32 {
                fn from_64(bits: i64) -> Self {
                    bits as i32
                }
            }
            impl From64 for i64 {
                fn from_64(bits: i64) -> Self {
                    bits
                }
            }
            impl From64 for f64 {
                fn from_64(bits: i64) -> Self {
                    f64::from_bits(bits.cast_unsigned())
                }
            }
            let mut at = 0..;
            $(
                if at.next() == Some(function) {
                    $(let $arg: $ty = From64::from_64(next());)*
                    let result: $result = Give::give(view.$name(memory, $($arg),*));
                    return i64::from(result);
                }
            )*
            0
        }
    };
}

functions! {
    field(ptr: i32, len: i32) -> i32;
    kind(rec: i32, field: i32) -> i32;
    get(rec: i32, field: i32, buf: i32, cap: i32) -> i32;
    get_i64(rec: i32, field: i32, out: i32) -> i32;
    get_f64(rec: i32, field: i32, out: i32) -> i32;
    get_bool(rec: i32, field: i32) -> i32;
    set_str(rec: i32, field: i32, ptr: i32, len: i32) -> i32;
    set_i64(rec: i32, field: i32, value: i64) -> i32;
    set_f64(rec: i32, field: i32, value: f64) -> i32;
    set_bool(rec: i32, field: i32, value: i32) -> i32;
    set_null(rec: i32, field: i32) -> i32;
    set_json(rec: i32, field: i32, ptr: i32, len: i32) -> i32;
    remove(rec: i32, field: i32) -> i32;
    each(rec: i32, kinds: i32) -> i32;
    next(buf: i32, cap: i32) -> i32;
    path(buf: i32, cap: i32) -> i32;
    timestamp(rec: i32) -> i64;
    set_timestamp(rec: i32, ns: i64) -> i32;
    tag(rec: i32, buf: i32, cap: i32) -> i32;
    set_tag(rec: i32, ptr: i32, len: i32) -> i32;
    drop(rec: i32) -> i32;
    fail(rec: i32, ptr: i32, len: i32) -> i32;
    emit(rec: i32, ptr: i32, len: i32) -> i32;
    json(rec: i32, buf: i32, cap: i32) -> i32;
    replace_json(rec: i32, ptr: i32, len: i32) -> i32;
    config(key_ptr: i32, key_len: i32, buf: i32, cap: i32) -> i32;
    log(level: i32, ptr: i32, len: i32) -> i32;
    counter(ptr: i32, len: i32, add: i64) -> i32;
    gauge(ptr: i32, len: i32, value: f64) -> i32;
    now_ns() -> i64;
    random() -> i64;
}
