//! Numbers of seven bits a byte, lowest first, as protobuf and Thrift's compact protocol have them: at most 64 bits.

/// Bytes of the longest.
pub const MAX_VARINT: usize = 10;

/// Why bytes begin with no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VarintError {
    /// They end within it.
    Cut,
    /// It has more than 64 bits.
    TooLong,
}

/// The number `bytes` begin with, and how many of them it takes.
pub fn read_varint(bytes: &[u8]) -> Result<(u64, usize), VarintError> {
    let mut value = 0;
    for (i, &byte) in bytes.iter().take(MAX_VARINT).enumerate() {
        if i == MAX_VARINT - 1 && byte > 1 {
            return Err(VarintError::TooLong);
        }
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Ok((value, i + 1));
        }
    }
    // A tenth byte ends it, one way or the other.
    Err(VarintError::Cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_end_where_they_say() {
        let longest = [&[0xff; 9][..], &[1]].concat();
        for (bytes, read) in [
            (&[0][..], Ok((0, 1))),
            (&[0x7f, 9], Ok((127, 1))),
            (&[0x80, 0x01], Ok((128, 2))),
            (&longest, Ok((u64::MAX, 10))),
            (&[0xff; 9], Err(VarintError::Cut)),
            (&[], Err(VarintError::Cut)),
            (&[0xff; 10], Err(VarintError::TooLong)),
            (&[&[0xff; 9][..], &[2]].concat(), Err(VarintError::TooLong)),
        ] {
            assert_eq!(read_varint(bytes), read, "{bytes:?}");
        }
    }
}
