//! What is particular to the protobuf of remote write: fields that say nothing are left out.

use suiro_sdk::protobuf::{close, open, put_double, put_len, put_uint, zigzag};

/// A number; 0 is left out.
pub(crate) fn uint(field: u32, n: u64, out: &mut Vec<u8>) {
    if n != 0 {
        put_uint(field, n, out);
    }
}

/// A number that may be negative; 0 is left out.
pub(crate) fn sint(field: u32, n: i64, out: &mut Vec<u8>) {
    uint(field, zigzag(n), out);
}

/// A float, bit by bit; the positive 0 is left out.
pub(crate) fn double(field: u32, n: f64, out: &mut Vec<u8>) {
    if n.to_bits() != 0 {
        put_double(field, n, out);
    }
}

/// A text; an empty one is left out.
pub(crate) fn text(field: u32, text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() {
        put_len(field, text.as_bytes(), out);
    }
}

/// What `write` writes, as one field: a message, or packed numbers.
pub(crate) fn nested(field: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let inner = open(field, 0, out);
    write(out);
    close(inner, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_is_left_out() {
        let mut out = Vec::new();
        uint(1, 0, &mut out);
        sint(1, 0, &mut out);
        double(1, 0.0, &mut out);
        text(1, "", &mut out);
        assert!(out.is_empty());
        double(3, -0.0, &mut out);
        nested(2, &mut out, |_| {});
        assert_eq!(out, [0x19, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x12, 0]);
    }
}
