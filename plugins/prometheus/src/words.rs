//! Words that all points of a batch share: they stand in its heap once.

use std::ops::Range;

use suiro_record::{Batch, Piece};

const ALL: [&str; 10] = [
    "sum",
    "gauge",
    "histogram",
    "exponential_histogram",
    "summary",
    "cumulative",
    "unknown",
    "info",
    "stateset",
    "gaugehistogram",
];

/// Where the words of a batch stand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Words {
    at: usize,
}

// === impl Words ===

impl Words {
    /// Writes them into a batch.
    pub(crate) fn new(batch: &mut Batch) -> Words {
        let at = batch.heap().len();
        ALL.iter().for_each(|word| batch.heap_mut().extend_from_slice(word.as_bytes()));
        Words { at }
    }

    /// One of them.
    #[inline]
    pub(crate) fn get(self, word: &str) -> Piece {
        Piece::Text(self.span(word))
    }

    #[inline]
    fn span(self, word: &str) -> Range<usize> {
        let mut at = self.at;
        for known in ALL {
            if known == word {
                return at..at + word.len();
            }
            at += known.len();
        }
        debug_assert!(false, "{word} is none of the words");
        at..at
    }
}
