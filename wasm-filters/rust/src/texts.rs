//! Where the texts of one record live: a heap that is emptied when the next record begins.
//!
//! A text is written behind the last one, so a getter costs no allocation once the heap has grown to what records need.
//! Texts never move: when one does not fit, a larger chunk is begun and the ones before are kept.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;

use crate::Error;

/// First size: the texts of most records.
const FIRST: usize = 4096;

#[derive(Debug, Default)]
pub(crate) struct Texts {
    /// The last one is being filled.
    chunks: UnsafeCell<Vec<Vec<u8>>>,
}

impl Texts {
    pub(crate) const fn new() -> Texts {
        Texts { chunks: UnsafeCell::new(Vec::new()) }
    }

    /// A text that `ask` writes into the buffer it is given; it returns the length, and is asked again with a larger buffer
    /// where that was not enough. It must not use these texts itself.
    #[inline]
    pub(crate) fn ask(&self, mut ask: impl FnMut(&mut [MaybeUninit<u8>]) -> i32) -> Result<&str, Error> {
        // SAFETY: nobody else has a reference to the list: it is not given out, `ask` does not come here, and one thread
        // has it, since it is not `Sync`.
        let chunks = unsafe { &mut *self.chunks.get() };
        loop {
            if let Some(chunk) = chunks.last_mut() {
                let spare = chunk.spare_capacity_mut();
                let room = spare.len();
                let len = Error::check(ask(spare))?;
                if len <= room {
                    let start = chunk.len();
                    // SAFETY: `len` bytes behind `start` were written, within the capacity.
                    unsafe { chunk.set_len(start + len) };
                    let text = &raw const chunk[start..];
                    // SAFETY: the bytes stay where they are and as they are until `clear`, which needs `&mut self`: a
                    // chunk never grows beyond its capacity. The agent's texts are UTF-8 by contract.
                    return Ok(unsafe { std::str::from_utf8_unchecked(&*text) });
                }
                chunks.push(Vec::with_capacity(len.max(2 * room)));
            } else {
                chunks.push(Vec::with_capacity(FIRST));
            }
        }
    }

    /// Forgets all texts, and keeps the largest chunk.
    #[inline]
    pub(crate) fn clear(&mut self) {
        let chunks = self.chunks.get_mut();
        if chunks.len() > 1 {
            chunks.drain(..chunks.len() - 1);
        }
        if let Some(chunk) = chunks.last_mut() {
            chunk.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn give<'t>(texts: &'t Texts, text: &str) -> &'t str {
        texts
            .ask(|buffer| {
                for (slot, byte) in buffer.iter_mut().zip(text.bytes()) {
                    slot.write(byte);
                }
                text.len() as i32
            })
            .unwrap()
    }

    #[test]
    fn texts_stay_while_others_come() {
        let mut texts = Texts::default();
        for _ in 0..3 {
            let long = "水".repeat(3000);
            let (a, b, c, d) = (give(&texts, "one"), give(&texts, &long), give(&texts, ""), give(&texts, "two"));
            assert_eq!((a, b, c, d), ("one", &*long, "", "two"));
            texts.clear();
        }
    }

    #[test]
    fn an_error_takes_no_room() {
        let texts = Texts::default();
        assert_eq!(texts.ask(|_| -1), Err(Error::Absent));
        assert_eq!(give(&texts, "x"), "x");
    }
}
