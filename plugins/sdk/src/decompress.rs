//! Decompression of what others send, within a budget.
//!
//! # Constraints
//!
//! - Never more than `limit` bytes come out, and no buffer grows beyond `limit` plus one: a bomb costs what a body of the
//!   largest allowed size costs, and is [`DecompressError::TooLarge`].
//! - A size that a header only promises is not believed: memory grows as bytes come out of what was really sent.
//! - zstd may ask for a window of 8 MiB, as RFC 8878 recommends, whatever the limit; it is kept for the next body.
//! - What follows the end is an error, save another gzip member, zstd frame or snappy chunk; so is an end that is missing.

use std::io::Read;

use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder as Zstd, InBuffer, Operation as _, OutBuffer};
use zstd::zstd_safe;

/// How a body is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    #[default]
    Identity,
    /// gzip, of one member or several.
    Gzip,
    /// zlib, as HTTP means it, or bare deflate, as some send it.
    Deflate,
    /// zstd, of one frame or several.
    Zstd,
    /// snappy's block format: Prometheus, Loki.
    Snappy,
    /// snappy's framing format.
    SnappyFramed,
}

/// Why a body can't be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecompressError {
    /// It is larger than the limit.
    #[error("it is larger than {limit} bytes once it is decompressed")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// It ends early.
    #[error("the {0} data ends before its end")]
    Truncated(&'static str),
    /// It is not what it is said to be.
    #[error("it is no {0} data")]
    Malformed(&'static str),
    /// It wants more memory than is lent.
    #[error("the zstd data wants a window of more than 8 MiB")]
    Window,
}

/// Decompresses one body after the other.
#[derive(Default)]
pub struct Decompressor {
    zstd: Option<Zstd<'static>>,
}

/// 8 MiB: what every decoder should lend, says RFC 8878.
const ZSTD_WINDOW_LOG: u32 = 23;
/// First growth of a buffer.
const STEP: usize = 16 << 10;
/// What three bytes of snappy can become, a third: 64 bytes. More than this is a lie.
const SNAPPY_RATIO: usize = 22;

// === impl Encoding ===

impl Encoding {
    /// Of `Content-Encoding` and `grpc-encoding`; `snappy` is `as_snappy`, since some mean blocks by it and some frames.
    pub fn read(name: &str, as_snappy: Encoding) -> Option<Encoding> {
        let known = [
            ("", Encoding::Identity),
            ("identity", Encoding::Identity),
            ("gzip", Encoding::Gzip),
            ("x-gzip", Encoding::Gzip),
            ("deflate", Encoding::Deflate),
            ("zstd", Encoding::Zstd),
            ("snappy", as_snappy),
            ("x-snappy-framed", Encoding::SnappyFramed),
        ];
        let name = name.trim();
        known.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, encoding)| *encoding)
    }
}

// === impl Decompressor ===

impl Decompressor {
    /// Appends what `packed` holds to `out`: at most `limit` bytes. After an error `out` is as it was.
    pub fn decompress(
        &mut self,
        encoding: Encoding,
        packed: &[u8],
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), DecompressError> {
        let from = out.len();
        let mut sink = Sink { out, from, limit };
        let result = match encoding {
            Encoding::Identity => sink.copy(packed),
            Encoding::Gzip => gunzip(packed, &mut sink),
            Encoding::Deflate => inflate_all(packed, &mut sink),
            Encoding::Zstd => self.unzstd(packed, &mut sink),
            Encoding::Snappy => unsnappy(packed, &mut sink),
            Encoding::SnappyFramed => unframe(packed, &mut sink),
        };
        if result.is_err() {
            sink.out.truncate(from);
        }
        result
    }

    fn unzstd(&mut self, packed: &[u8], sink: &mut Sink<'_>) -> Result<(), DecompressError> {
        const NAME: &str = "zstd";
        let decoder = match &mut self.zstd {
            Some(decoder) => decoder,
            empty => {
                let mut decoder = Zstd::new().map_err(|_| DecompressError::Malformed(NAME))?;
                let set = decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG));
                set.map_err(|_| DecompressError::Window)?;
                empty.insert(decoder)
            }
        };
        decoder.reinit().map_err(|_| DecompressError::Malformed(NAME))?;
        let mut input = InBuffer::around(packed);
        sink.start(packed.len());
        // Bytes the decoder still wants, about; 0 at the end of a frame.
        let mut hint = 1;
        loop {
            let at = sink.out.len();
            let (read, room) = (input.pos(), sink.out.capacity() > at);
            if room {
                let mut output = OutBuffer::around_pos(&mut *sink.out, at);
                hint = decoder.run(&mut input, &mut output).map_err(|error| zstd_error(&error))?;
            }
            sink.check()?;
            let ended = input.pos() == packed.len();
            if hint == 0 && ended {
                return Ok(());
            }
            if sink.out.len() == sink.out.capacity() {
                sink.grow()?;
            } else if ended && input.pos() == read && sink.out.len() == at {
                return Err(DecompressError::Truncated(NAME));
            }
        }
    }
}

impl std::fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decompressor")
    }
}

fn zstd_error(error: &std::io::Error) -> DecompressError {
    // The library's errors are texts once they are errors of `io`.
    let window = zstd_safe::get_error_name(WINDOW_TOO_LARGE);
    if error.to_string() == window { DecompressError::Window } else { DecompressError::Malformed("zstd") }
}

/// `ZSTD_error_frameParameter_windowTooLarge`, as functions return it.
const WINDOW_TOO_LARGE: usize = 0_usize.wrapping_sub(16);

// === impl Sink ===

/// Where bytes go, and how many may.
struct Sink<'a> {
    out: &'a mut Vec<u8>,
    from: usize,
    limit: usize,
}

impl Sink<'_> {
    /// One byte more than allowed: that is how too many are noticed.
    fn most(&self) -> usize {
        self.from.saturating_add(self.limit).saturating_add(1)
    }

    /// Makes room for what `packed` bytes usually become.
    fn start(&mut self, packed: usize) {
        self.reserve(packed.saturating_mul(4).max(STEP));
    }

    fn grow(&mut self) -> Result<(), DecompressError> {
        self.check()?;
        self.reserve((self.out.len() - self.from).max(STEP));
        Ok(())
    }

    fn reserve(&mut self, more: usize) {
        let more = more.min(self.most() - self.out.len());
        self.out.reserve_exact(more);
    }

    fn check(&self) -> Result<(), DecompressError> {
        let over = self.out.len() - self.from > self.limit;
        if over { Err(DecompressError::TooLarge { limit: self.limit }) } else { Ok(()) }
    }

    fn copy(&mut self, bytes: &[u8]) -> Result<(), DecompressError> {
        if bytes.len() > self.limit {
            return Err(DecompressError::TooLarge { limit: self.limit });
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }
}

// === deflate ===

fn gunzip(mut packed: &[u8], sink: &mut Sink<'_>) -> Result<(), DecompressError> {
    sink.start(packed.len());
    loop {
        let read = inflate(&mut Decompress::new_gzip(15), "gzip", packed, sink)?;
        packed = &packed[read..];
        if packed.is_empty() {
            return Ok(());
        }
    }
}

fn inflate_all(packed: &[u8], sink: &mut Sink<'_>) -> Result<(), DecompressError> {
    const NAME: &str = "deflate";
    // RFC 1950: the method is 8, and the first two bytes as a number are a multiple of 31.
    let zlib = matches!(packed, [a, b, ..] if a & 15 == 8 && u16::from_be_bytes([*a, *b]) % 31 == 0);
    sink.start(packed.len());
    let read = inflate(&mut Decompress::new(zlib), NAME, packed, sink)?;
    if read < packed.len() { Err(DecompressError::Malformed(NAME)) } else { Ok(()) }
}

/// One stream; says how many bytes of `packed` were its.
fn inflate(
    state: &mut Decompress,
    name: &'static str,
    packed: &[u8],
    sink: &mut Sink<'_>,
) -> Result<usize, DecompressError> {
    loop {
        if sink.out.len() == sink.out.capacity() {
            sink.grow()?;
        }
        let (read, at) = (state.total_in() as usize, sink.out.len());
        let status = state.decompress_vec(&packed[read..], sink.out, FlushDecompress::None);
        let status = status.map_err(|_| DecompressError::Malformed(name))?;
        sink.check()?;
        let now = state.total_in() as usize;
        if status == Status::StreamEnd {
            return Ok(now);
        }
        let stuck = now == read && sink.out.len() == at;
        if stuck && sink.out.len() < sink.out.capacity() {
            let ended = now == packed.len();
            return Err(if ended { DecompressError::Truncated(name) } else { DecompressError::Malformed(name) });
        }
    }
}

// === snappy ===

fn unsnappy(packed: &[u8], sink: &mut Sink<'_>) -> Result<(), DecompressError> {
    const MALFORMED: DecompressError = DecompressError::Malformed("snappy block");
    let length = snap::raw::decompress_len(packed).map_err(|_| MALFORMED)?;
    if length > sink.limit {
        return Err(DecompressError::TooLarge { limit: sink.limit });
    }
    if length / SNAPPY_RATIO > packed.len() {
        return Err(MALFORMED);
    }
    sink.reserve(length);
    sink.out.resize(sink.from + length, 0);
    let written = snap::raw::Decoder::new().decompress(packed, &mut sink.out[sink.from..]);
    if written == Ok(length) { Ok(()) } else { Err(MALFORMED) }
}

fn unframe(packed: &[u8], sink: &mut Sink<'_>) -> Result<(), DecompressError> {
    const NAME: &str = "framed snappy";
    let mut frames = snap::read::FrameDecoder::new(packed);
    let mut piece = [0; 8 << 10];
    sink.start(packed.len());
    loop {
        match frames.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(n) => {
                if sink.out.len() + n > sink.from + sink.limit {
                    return Err(DecompressError::TooLarge { limit: sink.limit });
                }
                if sink.out.len() + n > sink.out.capacity() {
                    sink.grow()?;
                }
                sink.out.extend_from_slice(&piece[..n]);
            }
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Err(DecompressError::Truncated(NAME));
            }
            Err(_) => return Err(DecompressError::Malformed(NAME)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    const ALL: [Encoding; 6] = [
        Encoding::Identity,
        Encoding::Gzip,
        Encoding::Deflate,
        Encoding::Zstd,
        Encoding::Snappy,
        Encoding::SnappyFramed,
    ];

    fn pack(encoding: Encoding, plain: &[u8]) -> Vec<u8> {
        let level = flate2::Compression::fast();
        match encoding {
            Encoding::Identity => plain.to_vec(),
            Encoding::Gzip => {
                let mut to = flate2::write::GzEncoder::new(Vec::new(), level);
                to.write_all(plain).unwrap();
                to.finish().unwrap()
            }
            Encoding::Deflate => {
                let mut to = flate2::write::ZlibEncoder::new(Vec::new(), level);
                to.write_all(plain).unwrap();
                to.finish().unwrap()
            }
            Encoding::Zstd => zstd::encode_all(plain, 1).unwrap(),
            Encoding::Snappy => snap::raw::Encoder::new().compress_vec(plain).unwrap(),
            Encoding::SnappyFramed => {
                let mut to = snap::write::FrameEncoder::new(Vec::new());
                to.write_all(plain).unwrap();
                to.into_inner().unwrap()
            }
        }
    }

    fn unpack(encoding: Encoding, packed: &[u8], limit: usize) -> Result<Vec<u8>, DecompressError> {
        let mut out = b"before".to_vec();
        let result = Decompressor::default().decompress(encoding, packed, limit, &mut out);
        // Capacity is what a bomb costs.
        assert!(out.capacity() <= 6 + limit + 1 || out.capacity() <= 64, "{encoding:?}: {}", out.capacity());
        assert!(out.starts_with(b"before"));
        if result.is_err() {
            assert_eq!(out.len(), 6, "an error leaves nothing");
        }
        result.map(|()| out.split_off(6))
    }

    #[test]
    fn the_limit_is_exact() {
        for encoding in ALL {
            for size in [0, 1, 100, 65_536, 1_000_000] {
                let plain = b"GET /healthz 200\n".repeat(size / 17 + 1)[..size].to_vec();
                let packed = pack(encoding, &plain);
                assert!(unpack(encoding, &packed, size) == Ok(plain), "{encoding:?} {size}");
                if size > 0 {
                    let limit = size - 1;
                    assert_eq!(
                        unpack(encoding, &packed, limit),
                        Err(DecompressError::TooLarge { limit }),
                        "{encoding:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_bomb_costs_no_more_than_the_limit() {
        let plain = vec![0; 200 << 20];
        for encoding in [Encoding::Gzip, Encoding::Deflate, Encoding::Zstd, Encoding::SnappyFramed, Encoding::Snappy] {
            let limit = 1 << 20;
            assert_eq!(
                unpack(encoding, &pack(encoding, &plain), limit),
                Err(DecompressError::TooLarge { limit }),
                "{encoding:?}"
            );
        }
        // A length that is only promised.
        let promise = [0xff, 0xff, 0xff, 0x07, 0x00];
        assert!(matches!(unpack(Encoding::Snappy, &promise, 1 << 30), Err(DecompressError::Malformed(_))));
    }

    #[test]
    fn a_window_that_is_too_large_is_not_lent() {
        let mut to = zstd::Encoder::new(Vec::new(), 1).unwrap();
        to.window_log(27).unwrap();
        to.write_all(&[b'x'; 100_000]).unwrap();
        assert_eq!(unpack(Encoding::Zstd, &to.finish().unwrap(), 1 << 20), Err(DecompressError::Window));
    }

    #[test]
    fn several_members_are_one_body() {
        for encoding in [Encoding::Gzip, Encoding::Zstd, Encoding::SnappyFramed] {
            let packed = [pack(encoding, b"one "), pack(encoding, b""), pack(encoding, b"two")].concat();
            assert_eq!(unpack(encoding, &packed, 7).unwrap(), b"one two", "{encoding:?}");
        }
        // Bare deflate, as some send it.
        let mut to = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        to.write_all(b"bare").unwrap();
        assert_eq!(unpack(Encoding::Deflate, &to.finish().unwrap(), 10).unwrap(), b"bare");
    }

    #[test]
    fn one_decompressor_takes_one_after_the_other() {
        let mut decompressor = Decompressor::default();
        let packed = pack(Encoding::Zstd, b"hello");
        for _ in 0..3 {
            let mut out = Vec::new();
            let half = &packed[..packed.len() - 1];
            assert!(decompressor.decompress(Encoding::Zstd, half, 100, &mut out).is_err());
            decompressor.decompress(Encoding::Zstd, &packed, 100, &mut out).unwrap();
            assert_eq!(out, b"hello");
        }
    }

    #[test]
    fn names() {
        assert_eq!(Encoding::read(" GZIP ", Encoding::Snappy), Some(Encoding::Gzip));
        assert_eq!(Encoding::read("snappy", Encoding::SnappyFramed), Some(Encoding::SnappyFramed));
        assert_eq!(Encoding::read("br", Encoding::Snappy), None);
        assert_eq!(Encoding::read("gzip, gzip", Encoding::Snappy), None);
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_out(plain in prop::collection::vec(0_u8..4, 0..5000)) {
            for encoding in ALL {
                prop_assert!(unpack(encoding, &pack(encoding, &plain), plain.len()).as_deref() == Ok(&plain[..]));
            }
        }

        /// Cut anywhere it is an error, and never less than the whole.
        #[test]
        fn a_cut_is_noticed(plain in prop::collection::vec(any::<u8>(), 1..500), cut in any::<prop::sample::Index>()) {
            for encoding in &ALL[1..] {
                let packed = pack(*encoding, &plain);
                let cut = &packed[..cut.index(packed.len())];
                // What is empty, or ends between two frames, is whole.
                match unpack(*encoding, cut, 1000) {
                    Ok(out) => prop_assert!(out.is_empty() && *encoding == Encoding::SnappyFramed, "{encoding:?}"),
                    Err(DecompressError::Truncated(_) | DecompressError::Malformed(_)) => {}
                    Err(error) => prop_assert!(false, "{error}"),
                }
            }
        }

        #[test]
        fn garbage_does_no_harm(garbage in prop::collection::vec(any::<u8>(), 0..300), head in 0..5_usize) {
            let heads: [&[u8]; 5] = [b"", b"\x1f\x8b\x08\0\0\0\0\0\0\0", b"\x28\xb5\x2f\xfd", b"\x78\x9c", b"\xff\x06\0\0sNaPpY"];
            let bytes = [heads[head], &garbage].concat();
            for encoding in ALL {
                let _ = unpack(encoding, &bytes, 10_000);
            }
        }
    }
}
