//! The guest's memory, as the functions use it: every access checked, none beyond what was pointed at.

use std::ops::Range;

use super::{Answer, Code};

/// The bytes a guest points at.
#[inline]
pub(crate) fn bytes(memory: &[u8], ptr: i32, len: i32) -> Result<&[u8], Code> {
    memory.get(range(ptr, len.cast_unsigned() as usize)?).ok_or(Code::Invalid)
}

/// The text a guest points at.
#[inline]
pub(crate) fn text(memory: &[u8], ptr: i32, len: i32) -> Result<&str, Code> {
    std::str::from_utf8(bytes(memory, ptr, len)?).map_err(|_| Code::BadText)
}

/// Gives the guest a text, if its buffer is large enough: the text's length.
#[inline]
pub(crate) fn put(memory: &mut [u8], buf: i32, cap: i32, text: &[u8]) -> Answer {
    if text.len() <= cap.cast_unsigned() as usize {
        memory.get_mut(range(buf, text.len())?).ok_or(Code::Invalid)?.copy_from_slice(text);
    }
    i32::try_from(text.len()).map_err(|_| Code::Full)
}

/// Stores a number of eight bytes.
#[inline]
pub(crate) fn put_8(memory: &mut [u8], out: i32, number: [u8; 8]) -> Answer {
    memory.get_mut(range(out, 8)?).ok_or(Code::Invalid)?.copy_from_slice(&number);
    Ok(0)
}

#[inline]
fn range(ptr: i32, len: usize) -> Result<Range<usize>, Code> {
    let from = ptr.cast_unsigned() as usize;
    Ok(from..from.checked_add(len).ok_or(Code::Invalid)?)
}
