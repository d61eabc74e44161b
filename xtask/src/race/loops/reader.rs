//! A file in blocks of whole lines.

use std::{fs::File, io::Read, path::Path};

use memchr::{memchr_iter, memrchr};

use crate::error::{Context, Error};

/// Bytes read at once.
const BLOCK: usize = 256 << 10;

/// Calls `lines` with blocks of whole lines, newlines included. A last line without a newline is left out, as a tailing
/// agent would.
pub(super) fn blocks(path: &Path, mut lines: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
    let mut file = File::open(path).context(path.display())?;
    let mut buffer = vec![0; BLOCK];
    let mut filled = 0;
    loop {
        if filled == buffer.len() {
            buffer.resize(filled * 2, 0);
        }
        let read = file.read(&mut buffer[filled..]).context(path.display())?;
        if read == 0 {
            return Ok(());
        }
        let end = memrchr(b'\n', &buffer[filled..filled + read]).map(|at| filled + at + 1);
        filled += read;
        if let Some(end) = end {
            lines(&buffer[..end])?;
            buffer.copy_within(end..filled, 0);
            filled -= end;
        }
    }
}

/// The lines of a block, without their newlines.
pub(super) fn split(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    memchr_iter(b'\n', block).map(move |end| {
        let line = &block[start..end];
        start = end + 1;
        line
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_comes_once_whatever_the_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let mut text = (0..40_000).map(|n| format!("line {n}\n")).collect::<String>();
        text.push_str(&"x".repeat(3 * BLOCK));
        text.push_str("\n\nlast\nunfinished");
        std::fs::write(&path, &text).unwrap();
        let mut seen = Vec::new();
        blocks(&path, |block| {
            seen.extend(split(block).map(<[u8]>::to_vec));
            Ok(())
        })
        .unwrap();
        let wanted: Vec<_> =
            text.lines().filter(|line| *line != "unfinished").map(|line| line.as_bytes().to_vec()).collect();
        assert!(seen == wanted);
    }
}
