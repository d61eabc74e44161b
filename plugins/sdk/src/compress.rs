//! Compression of request bodies.
//!
//! A compressor is reused: its tables (some 300 KiB for gzip) are made once, not once a request. Level 1 throughout: an
//! agent shares its machine with those it watches, and what level 6 saves on the wire costs three times the CPU.

use std::io::{self, Write as _};

use flate2::write::GzEncoder;
use flate2::{Compress, FlushCompress, Status};

use crate::settings::Section;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip, level 1.
    Gzip,
    /// What HTTP calls `deflate`: zlib, level 1. For outputs whose other side wants it; `compression` does not offer it.
    Deflate,
    /// zstd, level 1.
    Zstd,
}

/// Compresses one body after the other.
pub struct Compressor(Kind);

enum Kind {
    None,
    Zlib(Compress),
    Zstd(zstd::bulk::Compressor<'static>),
}

/// Compresses one body in pieces, as it is made: for those too large to be held as a whole.
pub struct CompressStream(Pieces);

enum Pieces {
    Plain,
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

/// zlib's largest window, as gzip readers expect it.
const WINDOW_BITS: u8 = 15;

// === impl Compression ===

impl Compression {
    /// The setting `compression` of an output, `none` if it is not given.
    pub fn read(settings: &Section) -> Compression {
        settings.choice("compression", &[("none", Compression::None), ("gzip", Compression::Gzip)]).unwrap_or_default()
    }

    /// The same, of systems that take zstd too.
    pub fn read_with_zstd(settings: &Section) -> Compression {
        let choices = [("none", Compression::None), ("gzip", Compression::Gzip), ("zstd", Compression::Zstd)];
        settings.choice("compression", &choices).unwrap_or_default()
    }

    /// The value of `Content-Encoding`.
    pub fn content_encoding(self) -> Option<&'static str> {
        match self {
            Compression::None => None,
            Compression::Gzip => Some("gzip"),
            Compression::Deflate => Some("deflate"),
            Compression::Zstd => Some("zstd"),
        }
    }
}

// === impl Compressor ===

impl Compressor {
    /// One for that kind of compression.
    pub fn new(compression: Compression) -> Self {
        Compressor(match compression {
            Compression::None => Kind::None,
            Compression::Gzip => Kind::Zlib(Compress::new_gzip(flate2::Compression::fast(), WINDOW_BITS)),
            Compression::Deflate => Kind::Zlib(Compress::new(flate2::Compression::fast(), true)),
            // Only for lack of memory; then bodies go as they are.
            Compression::Zstd => zstd::bulk::Compressor::new(1).map_or(Kind::None, Kind::Zstd),
        })
    }

    /// Appends `plain`, compressed, to `out`. `false`, and nothing appended: there is nothing to do (no compression), or
    /// the library failed, and `plain` is to be sent as it is.
    pub fn compress(&mut self, plain: &[u8], out: &mut Vec<u8>) -> bool {
        let zlib = match &mut self.0 {
            Kind::None => return false,
            Kind::Zlib(zlib) => zlib,
            Kind::Zstd(zstd) => {
                let Ok(packed) = zstd.compress(plain) else { return false };
                out.extend_from_slice(&packed);
                return true;
            }
        };
        let from = out.len();
        zlib.reset();
        // Logs shrink to a fifth or less; where they don't, the loop makes room.
        out.reserve(plain.len() / 4 + 128);
        loop {
            let read = usize::try_from(zlib.total_in()).unwrap_or(usize::MAX).min(plain.len());
            match zlib.compress_vec(&plain[read..], out, FlushCompress::Finish) {
                Ok(Status::StreamEnd) => return true,
                Ok(Status::Ok | Status::BufError) => out.reserve(out.capacity() / 2 + 1024),
                Err(_) => {
                    out.truncate(from);
                    return false;
                }
            }
        }
    }
}

// === impl CompressStream ===

impl CompressStream {
    /// One for one body. What comes out depends on the pieces as well as on their bytes, and on nothing else. `deflate` is for
    /// requests: it is taken for gzip.
    pub fn new(compression: Compression) -> io::Result<Self> {
        Ok(CompressStream(match compression {
            Compression::None => Pieces::Plain,
            Compression::Gzip | Compression::Deflate => {
                Pieces::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::fast()))
            }
            Compression::Zstd => {
                let mut zstd = zstd::stream::write::Encoder::new(Vec::new(), 1)?;
                zstd.include_checksum(true)?;
                Pieces::Zstd(zstd)
            }
        }))
    }

    /// Takes the next piece, and appends what is compressed so far to `out`.
    pub fn write(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        match &mut self.0 {
            Pieces::Plain => out.extend_from_slice(plain),
            Pieces::Gzip(gzip) => {
                gzip.write_all(plain)?;
                out.append(gzip.get_mut());
            }
            Pieces::Zstd(zstd) => {
                zstd.write_all(plain)?;
                out.append(zstd.get_mut());
            }
        }
        Ok(())
    }

    /// Appends the end. Nothing may be written behind it.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        match &mut self.0 {
            Pieces::Plain => {}
            Pieces::Gzip(gzip) => {
                gzip.try_finish()?;
                out.append(gzip.get_mut());
            }
            Pieces::Zstd(zstd) => {
                zstd.do_finish()?;
                out.append(zstd.get_mut());
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for CompressStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Pieces::Plain => "CompressStream(none)",
            Pieces::Gzip(_) => "CompressStream(gzip)",
            Pieces::Zstd(_) => "CompressStream(zstd)",
        })
    }
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Kind::None => "Compressor(none)",
            Kind::Zlib(_) => "Compressor(zlib)",
            Kind::Zstd(_) => "Compressor(zstd)",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn gunzip(bytes: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
        plain
    }

    #[test]
    fn a_compressor_is_used_again_and_again() {
        let mut gzip = Compressor::new(Compression::Gzip);
        let text = b"GET /healthz 200\n".repeat(10_000);
        // Noise grows under gzip: more room than the guess is needed.
        let mut x = 1_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (x >> 56) as u8
        })
        .take(300_000)
        .collect();
        for plain in [&text[..], b"", &noise, b"x", &text[..99]] {
            let mut out = b"before".to_vec();
            assert!(gzip.compress(plain, &mut out));
            assert!(gunzip(&out[6..]) == plain);
        }
        let mut out = Vec::new();
        gzip.compress(&text, &mut out);
        assert!(out.len() < text.len() / 10, "{}", out.len());
    }

    #[test]
    fn deflate_is_that_of_zlib() {
        let text = b"GET /healthz 200\n".repeat(10_000);
        let (mut out, mut plain) = (Vec::new(), Vec::new());
        assert!(Compressor::new(Compression::Deflate).compress(&text, &mut out));
        flate2::read::ZlibDecoder::new(&out[..]).read_to_end(&mut plain).unwrap();
        assert!(plain == text && out.len() < text.len() / 10);
    }

    #[test]
    fn zstd_too() {
        let mut zstd = Compressor::new(Compression::Zstd);
        let text = b"GET /healthz 200\n".repeat(10_000);
        for plain in [&text[..], b"", b"x", &text[..99]] {
            let mut out = b"before".to_vec();
            assert!(zstd.compress(plain, &mut out));
            assert_eq!(zstd::stream::decode_all(&out[6..]).unwrap(), plain);
            assert!(plain.len() < 1000 || out.len() < plain.len() / 10);
        }
        let (section, _) = Section::from_text("[[output]] x", "compression = 'zstd'");
        assert_eq!(Compression::read_with_zstd(&section), Compression::Zstd);
    }

    #[test]
    fn none_does_nothing() {
        let mut out = Vec::new();
        assert!(!Compressor::new(Compression::None).compress(b"x", &mut out));
        assert!(out.is_empty());
        assert_eq!(Compression::None.content_encoding(), None);
    }

    #[test]
    fn the_setting_names_its_choices() {
        let (section, diagnostics) = Section::from_text("[[output]] x", "compression = 'brotli'");
        assert_eq!(Compression::read(&section), Compression::None);
        assert_eq!(diagnostics.errors(), 1);
        let (section, _) = Section::from_text("[[output]] x", "compression = 'gzip'");
        assert_eq!(Compression::read(&section), Compression::Gzip);
    }

    #[test]
    fn a_stream_of_pieces_is_one_body() {
        let text = b"GET /healthz 200\n".repeat(10_000);
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            for piece in [1_000, 65_536, text.len()] {
                let run = || {
                    let mut stream = CompressStream::new(compression).unwrap();
                    let mut out = b"before".to_vec();
                    text.chunks(piece).for_each(|piece| stream.write(piece, &mut out).unwrap());
                    stream.finish(&mut out).unwrap();
                    out.split_off(6)
                };
                let out = run();
                assert_eq!(out, run());
                let plain = match compression {
                    Compression::Gzip => gunzip(&out),
                    Compression::Zstd => zstd::bulk::decompress(&out, text.len()).unwrap(),
                    _ => out,
                };
                assert!(plain == text);
            }
        }
    }
}
