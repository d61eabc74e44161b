//! The words that stand for enums in records. They stand once behind a request in the heap, so that nodes can point at
//! them.

use std::ops::Range;

/// All of them, in a row.
pub(super) const ALL: &str = "internal server client producer consumer ok error delta cumulative gauge sum histogram exponential_histogram summary";

/// Kinds of spans, from 1 on.
const KINDS: [(&str, Range<usize>); 5] = [at("internal"), at("server"), at("client"), at("producer"), at("consumer")];
/// Status codes, from 1 on.
const CODES: [(&str, Range<usize>); 2] = [at("ok"), at("error")];
/// Temporalities, from 1 on.
const TEMPORALITIES: [(&str, Range<usize>); 2] = [at("delta"), at("cumulative")];
/// Kinds of metrics, by the number of their field.
const METRICS: [(u32, (&str, Range<usize>)); 5] = [
    (GAUGE, at("gauge")),
    (SUM, at("sum")),
    (HISTOGRAM, at("histogram")),
    (EXPONENTIAL_HISTOGRAM, at("exponential_histogram")),
    (SUMMARY, at("summary")),
];

pub(super) const GAUGE: u32 = 5;
pub(super) const SUM: u32 = 7;
pub(super) const HISTOGRAM: u32 = 9;
pub(super) const EXPONENTIAL_HISTOGRAM: u32 = 10;
pub(super) const SUMMARY: u32 = 11;

/// An enum that is shown as words.
#[derive(Clone, Copy, Debug)]
pub(super) enum Enum {
    Kind,
    Code,
    Temporality,
}

// === impl Enum ===

impl Enum {
    fn words(self) -> &'static [(&'static str, Range<usize>)] {
        match self {
            Enum::Kind => &KINDS,
            Enum::Code => &CODES,
            Enum::Temporality => &TEMPORALITIES,
        }
    }

    /// Where the word for a number stands in [`ALL`]; none for those this version does not know.
    pub(super) fn word(self, number: i32) -> Option<Range<usize>> {
        let at = usize::try_from(number).ok()?.checked_sub(1)?;
        self.words().get(at).map(|(_, span)| span.clone())
    }

    /// The number a word stands for.
    pub(super) fn number(self, word: &str) -> Option<i32> {
        self.words().iter().position(|(known, _)| *known == word).map(|at| at as i32 + 1)
    }
}

/// Where the word for a kind of metric stands in [`ALL`].
pub(super) fn metric(kind: u32) -> Range<usize> {
    METRICS.iter().find(|(number, _)| *number == kind).map_or(0..0, |(_, (_, span))| span.clone())
}

/// The field a kind of metric stands in.
pub(super) fn metric_field(word: &str) -> Option<u32> {
    METRICS.iter().find(|(_, (known, _))| *known == word).map(|(number, _)| *number)
}

const fn at(word: &'static str) -> (&'static str, Range<usize>) {
    let (all, wanted) = (ALL.as_bytes(), word.as_bytes());
    let mut start = 0;
    loop {
        let mut i = 0;
        while i < wanted.len() && all[start + i] == wanted[i] {
            i += 1;
        }
        if i == wanted.len() {
            return (word, start..start + i);
        }
        start += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers() {
        for (of, count) in [(Enum::Kind, 5), (Enum::Code, 2), (Enum::Temporality, 2)] {
            for number in 1..=count {
                assert_eq!(of.number(&ALL[of.word(number).unwrap()]), Some(number));
            }
            assert!(of.word(0).is_none() && of.word(-1).is_none() && of.word(count + 1).is_none());
        }
        for kind in [GAUGE, SUM, HISTOGRAM, EXPONENTIAL_HISTOGRAM, SUMMARY] {
            assert_eq!(metric_field(&ALL[metric(kind)]), Some(kind));
        }
    }
}
