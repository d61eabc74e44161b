//! Finding where strings and numbers end, many bytes at a time.
//!
//! The only `unsafe` on the way of a record. Strings are most of a log record, and most are shorter than a call into a general
//! search routine is worth; see `benches/batch.rs` (`parse`), where this is about a fifth of the parser's time.
#![allow(unsafe_code)]

use crate::escape::needs_escape;

/// Number of leading bytes of `s` that are neither a quote, nor a backslash, nor a control character.
#[inline]
pub(crate) fn plain_run(s: &[u8]) -> usize {
    let mut at = 0;
    #[cfg(target_arch = "x86_64")]
    {
        // 32 at a time, as most strings end within: a loop whose length nobody can guess costs more than it saves.
        while let Some(block) = s.get(at..).and_then(|s| s.first_chunk::<32>()) {
            let special = special_mask(block);
            if special != 0 {
                return at + special.trailing_zeros() as usize;
            }
            at += 32;
        }
        // The rest is shorter than a block: one that ends with it looks at some bytes twice, which is cheaper than looking
        // at each of the rest by itself.
        if let Some(block) = s.last_chunk::<32>() {
            let special = u64::from(special_mask(block)) >> (at + 32 - s.len());
            return if special == 0 { s.len() } else { at + special.trailing_zeros() as usize };
        }
        if let (Some(head), Some(tail)) = (s.first_chunk::<16>(), s.last_chunk::<16>()) {
            let special = u64::from(special_mask_16(head)) | u64::from(special_mask_16(tail)) << (s.len() - 16);
            return if special == 0 { s.len() } else { special.trailing_zeros() as usize };
        }
    }
    while at < s.len() && !needs_escape(s[at]) {
        at += 1;
    }
    at
}

/// One bit per byte that can't stand in a JSON string as it is.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn special_mask(block: &[u8; 32]) -> u32 {
    let (halves, _) = block.as_chunks::<16>();
    special_mask_16(&halves[0]) | special_mask_16(&halves[1]) << 16
}

/// The same of 16 bytes.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn special_mask_16(block: &[u8; 16]) -> u32 {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_max_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
    };
    // SAFETY: SSE2 is part of the x86-64 baseline. The load reads the 16 bytes of the array; `loadu` has no alignment
    // demand. The rest works on registers.
    unsafe {
        let v = _mm_loadu_si128(block.as_ptr().cast::<__m128i>());
        let quote = _mm_cmpeq_epi8(v, _mm_set1_epi8(b'"' as i8));
        let slash = _mm_cmpeq_epi8(v, _mm_set1_epi8(b'\\' as i8));
        // Unsigned `v <= 0x1f`: the larger of the two is 0x1f itself.
        let limit = _mm_set1_epi8(0x1f);
        let control = _mm_cmpeq_epi8(_mm_max_epu8(v, limit), limit);
        _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, slash), control)) as u32
    }
}

/// Length of the number at the head of `s` (JSON grammar), or the offset where a digit is missing. Byte by byte: most
/// numbers are short, and a wide search for their end was measured to be slower.
#[inline(always)]
pub(crate) fn number_len(s: &[u8]) -> Result<usize, usize> {
    let byte = |at: usize| s.get(at).copied().unwrap_or(0);
    let digits = |from: usize| {
        let mut at = from;
        while byte(at).is_ascii_digit() {
            at += 1;
        }
        if at == from { Err(at) } else { Ok(at) }
    };
    let mut at = usize::from(byte(0) == b'-');
    at = if byte(at) == b'0' { at + 1 } else { digits(at)? };
    if byte(at) == b'.' {
        at = digits(at + 1)?;
    }
    if byte(at) | 0x20 == b'e' {
        at += 1;
        at = digits(at + usize::from(matches!(byte(at), b'+' | b'-')))?;
    }
    Ok(at)
}

/// Whether all of `s` is a number (JSON grammar).
pub(crate) fn is_number(s: &[u8]) -> bool {
    number_len(s) == Ok(s.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_numbers() {
        for (text, len) in [
            ("0", Ok(1)),
            ("-0", Ok(2)),
            ("01", Ok(1)),
            ("12,", Ok(2)),
            ("1.5e-3]", Ok(6)),
            ("1E+9", Ok(4)),
            ("-", Err(1)),
            ("1.", Err(2)),
            ("1.e1", Err(2)),
            ("1e", Err(2)),
            ("1e+x", Err(3)),
            ("", Err(0)),
        ] {
            assert_eq!(number_len(text.as_bytes()), len, "{text}");
        }
    }

    #[test]
    fn stops_at_each_special_byte_at_each_place() {
        for len in 0..70 {
            let plain = vec![b'a'; len];
            assert_eq!(plain_run(&plain), len);
            for at in 0..len {
                for b in 0..=255u8 {
                    let mut s = plain.clone();
                    s[at] = b;
                    assert_eq!(plain_run(&s), if needs_escape(b) { at } else { len }, "{b} at {at} of {len}");
                }
            }
        }
    }
}
