//! A body in pieces that each fit a batch.

use std::ops::Range;

/// A piece is about this large, bytes.
const GOAL: usize = 1 << 20;
/// One family is not cut before it is this large. A histogram's point whose lines stand further apart comes in two.
const MOST: usize = 8 << 20;

/// The pieces of a body: cut where the comments of a family begin, or at a line's end where there is no such place.
pub(super) struct Pieces<'b> {
    body: &'b [u8],
    at: usize,
}

impl<'b> Pieces<'b> {
    pub(super) fn new(body: &'b [u8]) -> Self {
        Pieces { body, at: 0 }
    }

    fn end(&self) -> usize {
        let (body, at) = (self.body, self.at);
        if body.len() - at <= GOAL {
            return body.len();
        }
        let block = memchr::memmem::rfind(&body[at..at + GOAL], b"\n#").map(|n| self.block_start(at + n + 1));
        if let Some(start) = block.filter(|&start| start > at) {
            return start;
        }
        let most = (at + MOST).min(body.len());
        if let Some(n) = memchr::memmem::find(&body[at + GOAL - 1..most], b"\n#") {
            return at + GOAL + n;
        }
        if most == body.len() {
            return most;
        }
        memchr::memrchr(b'\n', &body[at..most]).map_or(most, |n| at + n + 1)
    }

    /// The first of the comment lines that end with the one at `line`.
    fn block_start(&self, mut line: usize) -> usize {
        while line > self.at {
            let before = memchr::memrchr(b'\n', &self.body[self.at..line - 1]).map_or(self.at, |n| self.at + n + 1);
            if self.body[before] != b'#' {
                break;
            }
            line = before;
        }
        line
    }
}

impl Iterator for Pieces<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        if self.at >= self.body.len() {
            return None;
        }
        let piece = self.at..self.end();
        self.at = piece.end;
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(body: &str) -> Vec<usize> {
        let mut at = 0;
        let piece = |piece: Range<usize>| {
            assert_eq!(piece.start, std::mem::replace(&mut at, piece.end));
            piece.len()
        };
        let pieces = Pieces::new(body.as_bytes()).map(piece).collect();
        assert_eq!(at, body.len());
        pieces
    }

    #[test]
    fn families_stay_whole() {
        assert_eq!(cut(""), [0_usize; 0]);
        assert_eq!(cut("a 1\n"), [4]);
        let family =
            |lines: usize| format!("# HELP a b\n# TYPE a gauge\n{}", "a{x=\"yyyyyyyyyy\"} 123\n".repeat(lines));
        let half = family(GOAL / 2 / 22);
        let three = half.repeat(3);
        assert_eq!(cut(&three), [half.len(), half.len(), half.len()]);
        let large = family(2 * GOAL / 22);
        assert_eq!(cut(&(large.clone() + &half)), [large.len(), half.len()]);
        // One without end is cut at a line's end.
        let giant = cut(&family(MOST / 22 + 1000));
        assert_eq!(giant.len(), 2);
        assert!(giant[0] <= MOST && (giant[0] - 26).is_multiple_of(22), "{giant:?}");
        assert_eq!(cut(&"x".repeat(MOST + 5)), [MOST, 5]);
    }
}
