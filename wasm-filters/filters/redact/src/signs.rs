//! Bytes that are worth a look, found 16 at a time where the target has vectors.
//!
//! A set of bytes of ASCII is a table of 16: at the low half of a byte stands a bit for each high half it is in the set with.

use crate::scan::is_word;

/// Two sets of bytes: those that count anywhere, and those that count where no word goes on.
#[cfg_attr(
    not(all(target_arch = "wasm32", target_feature = "simd128")),
    expect(dead_code, reason = "the tables are for vectors")
)]
pub(crate) struct Signs {
    anywhere: [u8; 16],
    beginning: [u8; 16],
    words: [u8; 16],
    /// Whether bytes beyond ASCII count.
    beyond: bool,
    all: [bool; 256],
}

impl Signs {
    pub(crate) fn new(anywhere: impl Fn(u8) -> bool, beginning: impl Fn(u8) -> bool) -> Signs {
        Signs {
            anywhere: table(&anywhere),
            beginning: table(&beginning),
            words: table(&is_word),
            beyond: (128..=255).any(|byte| anywhere(byte) || beginning(byte)),
            all: std::array::from_fn(|byte| anywhere(byte as u8) || beginning(byte as u8)),
        }
    }

    /// Whether `check` says yes to the place of a sign. It may be asked for places that do not count.
    #[inline]
    pub(crate) fn any(&self, bytes: &[u8], mut check: impl FnMut(usize) -> bool) -> bool {
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        if !self.beyond {
            return vectors::any(self, bytes, check);
        }
        bytes.iter().enumerate().any(|(i, &byte)| self.all[usize::from(byte)] && check(i))
    }
}

fn table(holds: &impl Fn(u8) -> bool) -> [u8; 16] {
    std::array::from_fn(|low| (0..8).map(|high| u8::from(holds(high << 4 | low as u8)) << high).sum())
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod vectors {
    use std::arch::wasm32::{
        i8x16_bitmask, i8x16_shuffle, i8x16_splat, i8x16_swizzle, u8x16_ne, u8x16_shr, u8x16_splat, v128, v128_and,
        v128_andnot, v128_load, v128_or,
    };

    use super::Signs;

    /// The bit of each high half; none beyond ASCII.
    const HIGH: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 0, 0, 0, 0, 0, 0, 0, 0];

    fn load(bytes: &[u8; 16]) -> v128 {
        // SAFETY: there are 16 bytes, and no alignment is asked for.
        unsafe { v128_load(bytes.as_ptr().cast()) }
    }

    #[inline]
    pub(super) fn any(signs: &Signs, bytes: &[u8], mut check: impl FnMut(usize) -> bool) -> bool {
        let (anywhere, beginning, words) = (load(&signs.anywhere), load(&signs.beginning), load(&signs.words));
        let (high_bits, low_mask, none) = (load(&HIGH), u8x16_splat(15), i8x16_splat(0));
        let mut words_before = none;
        let (chunks, rest) = bytes.as_chunks::<16>();
        let mut last = [0; 16];
        last[..rest.len()].copy_from_slice(rest);
        for (n, chunk) in chunks.iter().chain([&last]).enumerate() {
            let chunk = load(chunk);
            let high = i8x16_swizzle(high_bits, u8x16_shr(chunk, 4));
            let low = v128_and(chunk, low_mask);
            let of = |table| v128_and(i8x16_swizzle(table, low), high);
            let in_words = u8x16_ne(of(words), none);
            // Whether the byte before each is of a word.
            let before =
                i8x16_shuffle::<15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30>(words_before, in_words);
            words_before = in_words;
            let found = v128_or(of(anywhere), v128_andnot(of(beginning), before));
            let mut places = i8x16_bitmask(u8x16_ne(found, none));
            while places != 0 {
                if check(16 * n + places.trailing_zeros() as usize) {
                    return true;
                }
                places &= places - 1;
            }
        }
        false
    }
}
