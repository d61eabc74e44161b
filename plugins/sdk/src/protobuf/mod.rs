//! Protobuf's wire format, for the formats in it that suiro reads and writes by hand: out of borrowed bytes, and in place.
//!
//! What is read comes from strangers. A length is believed as far as there are bytes; nothing is allocated for what is only
//! claimed; and nothing here follows messages into messages: who reads decides how deep. Groups, which protobuf gave up, are
//! refused.

mod read;
mod write;

pub use self::read::{Field, Fields, Malformed, Raw, Reader, unzigzag};
pub use self::write::{
    Open, close, open, put_double, put_fixed32, put_fixed64, put_int, put_len, put_tag, put_uint, put_varint,
    varint_len, zigzag,
};

/// How a value is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireType {
    /// A number of seven bits a byte.
    Varint = 0,
    /// Eight bytes, little endian.
    Fixed64 = 1,
    /// A length and as many bytes: a text, a message, packed numbers.
    Len = 2,
    /// Four bytes, little endian.
    Fixed32 = 5,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut out = b"before".to_vec();
        put_uint(1, 0, &mut out);
        put_int(2, -1, &mut out);
        put_uint(3, zigzag(i64::MIN), &mut out);
        put_double(4, -0.0, &mut out);
        put_fixed32(5, u32::MAX, &mut out);
        put_len((1 << 29) - 1, "é".as_bytes(), &mut out);
        let packed = open(7, 0, &mut out);
        [0, 1, u64::MAX].into_iter().for_each(|n| put_varint(n, &mut out));
        close(packed, &mut out);
        put_len(8, &[1.5_f64.to_le_bytes(), 2.5_f64.to_le_bytes()].concat(), &mut out);
        let mut reader = Reader::new(&out, 6..out.len());
        let mut next = |number| {
            let field = reader.field().unwrap().expect("a field");
            assert_eq!(field.number, number);
            field.value
        };
        assert_eq!(next(1).uint(), Some(0));
        assert_eq!(next(2).int(), Some(-1));
        assert_eq!(next(3).sint(), Some(i64::MIN));
        assert_eq!(next(4).double().map(f64::to_bits), Some((-0.0_f64).to_bits()));
        assert!(matches!(next(5), Raw::Fixed32(u32::MAX)));
        let Raw::Len(text) = next((1 << 29) - 1) else { panic!("no text") };
        let Raw::Len(varints) = next(7) else { panic!("no numbers") };
        let Raw::Len(doubles) = next(8) else { panic!("no numbers") };
        assert_eq!((reader.bytes(&text), reader.inner(text.clone()).text()), ("é".as_bytes(), Ok("é")));
        let numbers: Vec<u64> = reader.inner(varints).varints().map(Result::unwrap).collect();
        assert_eq!(numbers, [0, 1, u64::MAX]);
        let numbers: Vec<f64> = reader.inner(doubles).doubles().map(Result::unwrap).collect();
        assert_eq!(numbers, [1.5, 2.5]);
        assert!(reader.is_done() && reader.field().unwrap().is_none());
        // Whoever trusts the bytes reads the same.
        let trusting = Fields::new(&out, 6..out.len()).map(|field| format!("{field:?}"));
        let mut reader = Reader::new(&out, 6..out.len());
        let checking = std::iter::from_fn(|| reader.field().unwrap()).map(|field| format!("{field:?}"));
        assert!(trusting.eq(checking));
    }

    #[test]
    fn hostile_bytes_are_told_apart() {
        for (bytes, what, at) in [
            (&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f][..], "a length goes beyond the end", 1),
            (&[0x08, 0xff], "it ends within a number", 1),
            (&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], "longer than 64 bits", 1),
            (&[0x09, 1, 2], "it ends within a number", 1),
            (&[0x0d, 1, 2], "it ends within a number", 1),
            (&[0x0b], "a wire type that can't be", 0),
            (&[0x00], "a number that can't be", 0),
            (&[0x80, 0x80, 0x80, 0x80, 0x10, 0], "a number that can't be", 0),
        ] {
            let error = Reader::new(bytes, 0..bytes.len()).field().unwrap_err();
            assert!(error.what.contains(what) && error.at == at, "{error}");
            assert!(Fields::new(bytes, 0..bytes.len()).next().is_none_or(|field| field.number == 0 || at == 0));
        }
        let packed = [1, 0xff];
        let numbers: Vec<bool> = Reader::new(&packed, 0..2).varints().map(|n| n.is_ok()).collect();
        assert_eq!(numbers, [true, false]);
        let numbers: Vec<bool> = Reader::new(&[0; 12], 0..12).doubles().map(|n| n.is_ok()).collect();
        assert_eq!(numbers, [true, false]);
        assert_eq!(Reader::new(&[b'a', 0xff], 0..2).text(), Err(Malformed { what: "a text is not UTF-8", at: 0 }));
    }

    #[test]
    fn a_message_is_closed_with_its_length_whatever_was_expected() {
        for expected in [0, 1, 127, 128, 16_383, 16_384, 3_000_000] {
            for len in [0, 1, 127, 128, 300, 16_383, 16_384, 20_000] {
                let mut out = b"before".to_vec();
                let inner = open(3, expected, &mut out);
                out.extend((0..len).map(|i| i as u8));
                assert_eq!(close(inner, &mut out), len);
                let mut wanted = b"before".to_vec();
                put_len(3, &(0..len).map(|i| i as u8).collect::<Vec<_>>(), &mut wanted);
                assert_eq!(out, wanted, "{expected} {len}");
            }
        }
    }

    #[test]
    fn numbers_come_back() {
        for n in [0, 1, -1, 63, -64, 64, i64::MAX, i64::MIN] {
            assert_eq!(unzigzag(zigzag(n)), n);
            let mut out = Vec::new();
            put_varint(n.cast_unsigned(), &mut out);
            assert_eq!(out.len(), varint_len(n.cast_unsigned()));
            let mut reader = Reader::new(&out, 0..out.len());
            assert_eq!(reader.varint(), Ok(n.cast_unsigned()));
            assert!(reader.is_done());
            for cut in 0..out.len() {
                assert!(Reader::new(&out, 0..cut).varint().is_err());
            }
        }
        assert!(Reader::new(&[0xff; 11], 0..11).varint().is_err());
        assert!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], 0..10).varint().is_err());
    }
}
