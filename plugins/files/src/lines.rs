//! Where the lines of a chunk are, and what becomes of one that is too long.
//!
//! A chunk stands in a batch's heap; nothing is copied to split it. A line keeps its text without the line end (`\n`,
//! `\r\n`) and its source bytes with it. Only a line beyond `max_line` is copied, cut, behind the chunk, since its marker
//! has to follow it.

use std::sync::Arc;

use suiro_sdk::Line;
use suiro_sdk::ledger::{InputLedger, add};

/// What stands behind the text of a line that was cut.
pub(crate) const CUT_MARKER: &str = " …[cut by suiro]";

/// Lines in one batch, at most: a chunk of nothing but line ends must not cost tens of megabytes.
pub(crate) const MAX_LINES: usize = 32 << 10;

/// Appends the complete lines of `heap[chunk..]`, whose first byte is source byte `at`, up to [`MAX_LINES`]. Where the
/// last of them ends in the heap; `chunk` if there is none.
pub(crate) fn split(heap: &[u8], chunk: usize, at: u64, lines: &mut Vec<Line>) -> usize {
    let mut start = chunk;
    for found in memchr::memchr_iter(b'\n', &heap[chunk..]) {
        let newline = chunk + found;
        lines.push(line(heap, chunk, at, start, newline, newline + 1));
        start = newline + 1;
        if lines.len() >= MAX_LINES {
            break;
        }
    }
    start
}

/// The line whose text and end are `heap[start..end]`, with the text up to `newline`.
pub(crate) fn line(heap: &[u8], chunk: usize, at: u64, start: usize, newline: usize, end: usize) -> Line {
    let text_end = if newline > start && heap[newline - 1] == b'\r' { newline - 1 } else { newline };
    Line { span: start..text_end, start: at + (start - chunk) as u64, end: at + (end - chunk) as u64 }
}

/// Cuts those of `lines` that are longer than `max_line`, and counts them. The heap must end with the last line.
pub(crate) fn cut_long(heap: &mut Vec<u8>, lines: &mut [Line], max_line: usize, ledger: &Arc<InputLedger>) {
    for line in lines.iter_mut().filter(|line| line.span.len() > max_line) {
        let whole = line.span.len();
        cut(heap, line, max_line);
        count_cut(ledger, whole - max_line);
    }
}

/// Replaces the text of `line` by its first `max_line` bytes, no character halved, and the marker.
pub(crate) fn cut(heap: &mut Vec<u8>, line: &mut Line, max_line: usize) {
    let mut keep = max_line.min(line.span.len());
    // A character of UTF-8 has at most three bytes behind its first.
    for _ in 0..3 {
        match heap.get(line.span.start + keep) {
            Some(byte) if keep > 0 && byte & 0xc0 == 0x80 => keep -= 1,
            _ => break,
        }
    }
    let start = heap.len();
    heap.extend_from_within(line.span.start..line.span.start + keep);
    heap.extend_from_slice(CUT_MARKER.as_bytes());
    line.span = start..heap.len();
}

/// Counts one line cut, and the bytes given up with it.
pub(crate) fn count_cut(ledger: &Arc<InputLedger>, bytes: usize) {
    add(&ledger.long_lines, 1);
    add(&ledger.abandoned_bytes, bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(heap: &[u8], lines: &[Line]) -> Vec<String> {
        lines.iter().map(|line| String::from_utf8_lossy(&heap[line.span.clone()]).into_owned()).collect()
    }

    #[test]
    fn lines_have_text_without_and_bytes_with_their_end() {
        let heap = b"xxa\r\n\nb\rc\n\r\nrest";
        let mut lines = Vec::new();
        assert_eq!(split(heap, 2, 100, &mut lines), heap.len() - 4);
        assert_eq!(texts(heap, &lines), ["a", "", "b\rc", ""]);
        let places: Vec<_> = lines.iter().map(|line| (line.start, line.end)).collect();
        assert_eq!(places, [(100, 103), (103, 104), (104, 108), (108, 110)]);
    }

    #[test]
    fn a_chunk_without_a_line_end_has_no_line() {
        let mut lines = Vec::new();
        assert_eq!(split(b"abc", 0, 0, &mut lines), 0);
        assert!(lines.is_empty());
    }

    #[test]
    fn line_ends_alone_are_bounded() {
        let heap = vec![b'\n'; MAX_LINES + 10];
        let mut lines = Vec::new();
        assert_eq!(split(&heap, 0, 0, &mut lines), MAX_LINES);
        assert_eq!(lines.len(), MAX_LINES);
    }

    #[test]
    fn a_long_line_is_cut_between_characters_and_counted() {
        let ledger = Arc::new(InputLedger::default());
        let mut heap = "short\naaa€€\n".as_bytes().to_vec();
        let mut lines = Vec::new();
        split(&heap, 0, 0, &mut lines);
        cut_long(&mut heap, &mut lines, 5, &ledger);
        assert_eq!(texts(&heap, &lines), ["short".to_owned(), format!("aaa{CUT_MARKER}")]);
        assert_eq!((lines[1].start, lines[1].end), (6, 16));
        assert_eq!(suiro_sdk::ledger::read(&ledger.long_lines), 1);
        assert_eq!(suiro_sdk::ledger::read(&ledger.abandoned_bytes), 4);
    }

    #[test]
    fn bytes_that_are_no_text_are_cut_too() {
        let mut heap = vec![0x80; 20];
        let mut line = Line { span: 0..20, start: 0, end: 21 };
        cut(&mut heap, &mut line, 10);
        assert_eq!(line.span.len(), 7 + CUT_MARKER.len());
    }
}
