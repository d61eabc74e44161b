//! Metric points as records of a batch.
//!
//! The texts of a point (its name, its labels) stand in the batch's heap where they were read; words that are the same in
//! all points stand there once.

use std::ops::Range;

use suiro_record::{Assembly, Batch, EditError, Key, Piece, RootId};

use super::family::Type;
use super::line::{Label, Word, unescape};
use crate::words::Words;

/// A text in the heap.
pub(crate) type Span = Range<usize>;

/// What all points of a family share.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    pub(crate) kind: Type,
    pub(crate) help: Option<Span>,
    pub(crate) unit: Option<Span>,
}

/// An exemplar.
#[derive(Clone, Debug)]
pub(crate) struct ExemplarParts<'l> {
    pub(crate) labels: &'l [Label],
    pub(crate) value: f64,
    pub(crate) time: Option<i64>,
}

/// A batch that is being filled with points of a body, of which a part stands in its heap.
pub(crate) struct Builder<'b> {
    pub(crate) batch: &'b mut Batch,
    pub(crate) body: &'b [u8],
    /// Added to a place in the body it gives the place in the heap.
    pub(crate) shift: isize,
    pub(crate) words: Words,
    pub(crate) scratch: &'b mut Vec<u8>,
}

// === impl Builder ===

impl Builder<'_> {
    /// Where a text stands in the heap; one with escapes is written there as what it says.
    #[inline]
    pub(crate) fn text(&mut self, word: Word) -> Span {
        if !word.escaped {
            let place = |at: usize| at.wrapping_add_signed(self.shift);
            return place(word.start)..place(word.end);
        }
        self.scratch.clear();
        unescape(word.of(self.body), self.scratch);
        let heap = self.batch.heap_mut();
        let start = heap.len();
        heap.extend_from_slice(self.scratch);
        start..start + self.scratch.len()
    }

    /// Texts with escapes among these labels are written to the heap first: a record is built in one go.
    fn spans(&mut self, labels: &[Label], spans: &mut Spans) {
        spans.clear();
        for label in labels.iter().filter(|label| label.value.escaped || label.name.escaped) {
            let name = self.text(label.name);
            let value = self.text(label.value);
            spans.push((name, value));
        }
    }

    /// The point of a single sample.
    #[inline]
    pub(crate) fn single(
        &mut self,
        name: Word,
        about: &About,
        labels: &[Label],
        value: f64,
        exemplar: Option<ExemplarParts<'_>>,
    ) -> Result<RootId, EditError> {
        let name = self.text(name);
        let mut spans = Spans::new();
        self.spans(labels, &mut spans);
        let mut exemplar_spans = Spans::new();
        if let Some(exemplar) = &exemplar {
            self.spans(exemplar.labels, &mut exemplar_spans);
        }
        let (body, shift, words) = (self.body, self.shift, self.words);
        let counter = about.kind == Type::Counter;
        let mut point = self.batch.assemble()?;
        head(&mut point, name, about, words, if counter { "sum" } else { "gauge" })?;
        if counter {
            point.put(Key::Name("temporality"), words.get("cumulative"))?;
            point.put(Key::Name("monotonic"), Piece::Bool(true))?;
        }
        attributes(&mut point, body, shift, labels, &spans)?;
        put_value(&mut point, value)?;
        if let Some(exemplar) = exemplar {
            point.open_list(Key::Name("exemplars"))?;
            put_exemplar(&mut point, body, shift, &exemplar, &exemplar_spans)?;
            point.close();
        }
        point.finish(None)
    }

    /// The point of several samples.
    pub(crate) fn gathered(&mut self, name: Span, about: &About, parts: &Gathered<'_>) -> Result<RootId, EditError> {
        let mut spans = Spans::new();
        self.spans(parts.labels, &mut spans);
        let mut of_exemplars = Vec::new();
        for exemplar in parts.exemplars() {
            let mut spans = Spans::new();
            self.spans(exemplar.labels, &mut spans);
            of_exemplars.push(spans);
        }
        let (body, shift, words) = (self.body, self.shift, self.words);
        let summary = about.kind == Type::Summary;
        let mut point = self.batch.assemble()?;
        head(&mut point, name, about, words, if summary { "summary" } else { "histogram" })?;
        if about.kind == Type::Histogram {
            point.put(Key::Name("temporality"), words.get("cumulative"))?;
        }
        if let Some(start) = parts.start {
            point.put(Key::Name("start"), Piece::Int(start))?;
        }
        attributes(&mut point, body, shift, parts.labels, &spans)?;
        if parts.stale {
            point.put(Key::Name("flags"), Piece::Int(1))?;
            return point.finish(None);
        }
        if let Some(count) = parts.count {
            point.put(Key::Name("count"), whole(count))?;
        }
        if let Some(sum) = parts.sum {
            point.put(Key::Name("sum"), Piece::Float(sum))?;
        }
        if summary {
            point.open_list(Key::Name("quantiles"))?;
            for &(quantile, value) in parts.steps {
                point.open_map(Key::Item)?;
                point.put(Key::Name("quantile"), Piece::Float(quantile))?;
                point.put(Key::Name("value"), Piece::Float(value))?;
                point.close();
            }
            point.close();
        } else {
            point.open_list(Key::Name("bounds"))?;
            for &(bound, _) in parts.steps.iter().filter(|(bound, _)| *bound != f64::INFINITY) {
                point.put(Key::Item, Piece::Float(bound))?;
            }
            point.close();
            point.open_list(Key::Name("buckets"))?;
            let mut below = 0.0;
            for &(bound, count) in parts.steps {
                if bound != f64::INFINITY {
                    point.put(Key::Item, whole(count - below))?;
                    below = count;
                }
            }
            point.put(Key::Item, whole(parts.count.unwrap_or(below) - below))?;
            point.close();
        }
        if !of_exemplars.is_empty() {
            point.open_list(Key::Name("exemplars"))?;
            for (exemplar, spans) in parts.exemplars().zip(&of_exemplars) {
                put_exemplar(&mut point, body, shift, &exemplar, spans)?;
            }
            point.close();
        }
        point.finish(None)
    }
}

/// Several samples of one label set.
pub(crate) struct Gathered<'g> {
    pub(crate) labels: &'g [Label],
    pub(crate) start: Option<i64>,
    pub(crate) count: Option<f64>,
    pub(crate) sum: Option<f64>,
    /// Bounds with how many are no higher, ascending; or quantiles and their values.
    pub(crate) steps: &'g [(f64, f64)],
    pub(crate) stale: bool,
    /// Labels of all exemplars.
    pub(crate) exemplar_labels: &'g [Label],
    /// Each one's share of them, its value and its time.
    pub(crate) exemplars: &'g [(Range<usize>, f64, Option<i64>)],
}

impl<'g> Gathered<'g> {
    fn exemplars(&self) -> impl Iterator<Item = ExemplarParts<'g>> + '_ {
        self.exemplars.iter().map(|(labels, value, time)| ExemplarParts {
            labels: &self.exemplar_labels[labels.clone()],
            value: *value,
            time: *time,
        })
    }
}

/// Places of the labels that have escapes, in their order.
type Spans = smallvec::SmallVec<[(Span, Span); 2]>;

/// A count as an integer, which it is unless somebody made it of fractions.
fn whole(count: f64) -> Piece {
    Piece::Uint(count as u64)
}

#[inline]
fn head(
    point: &mut Assembly<'_>,
    name: Span,
    about: &About,
    words: Words,
    kind: &'static str,
) -> Result<(), EditError> {
    point.put(Key::Name("name"), Piece::Text(name))?;
    if let Some(help) = &about.help {
        point.put(Key::Name("description"), Piece::Text(help.clone()))?;
    }
    if let Some(unit) = &about.unit {
        point.put(Key::Name("unit"), Piece::Text(unit.clone()))?;
    }
    if let Some(word) = about.kind.word() {
        point.open_map(Key::Name("metadata"))?;
        point.put(Key::Name("type"), words.get(word))?;
        point.close();
    }
    point.put(Key::Name("kind"), words.get(kind))
}

#[inline]
fn attributes(
    point: &mut Assembly<'_>,
    body: &[u8],
    shift: isize,
    labels: &[Label],
    spans: &Spans,
) -> Result<(), EditError> {
    if labels.is_empty() {
        return Ok(());
    }
    point.open_map(Key::Name("attributes"))?;
    put_labels(point, body, shift, labels, spans)?;
    point.close();
    Ok(())
}

#[inline]
fn put_labels(
    point: &mut Assembly<'_>,
    body: &[u8],
    shift: isize,
    labels: &[Label],
    spans: &Spans,
) -> Result<(), EditError> {
    let place = |word: Word| word.start.wrapping_add_signed(shift)..word.end.wrapping_add_signed(shift);
    let mut escaped = spans.iter();
    for label in labels {
        let written = if label.name.escaped || label.value.escaped { escaped.next() } else { None };
        let value = written.map_or_else(|| place(label.value), |(_, value)| value.clone());
        if label.name.escaped {
            let mut name = Vec::new();
            unescape(label.name.of(body), &mut name);
            point.put(Key::Bytes(&name), Piece::Text(value))?;
        } else {
            point.put(Key::Bytes(label.name.of(body)), Piece::Text(value))?;
        }
    }
    Ok(())
}

#[inline]
fn put_value(point: &mut Assembly<'_>, value: f64) -> Result<(), EditError> {
    point.put(Key::Name("value"), Piece::Float(value))
}

fn put_exemplar(
    point: &mut Assembly<'_>,
    body: &[u8],
    shift: isize,
    exemplar: &ExemplarParts<'_>,
    spans: &Spans,
) -> Result<(), EditError> {
    let place = |word: Word| word.start.wrapping_add_signed(shift)..word.end.wrapping_add_signed(shift);
    point.open_map(Key::Item)?;
    if let Some(time) = exemplar.time {
        point.put(Key::Name("time"), Piece::Int(time))?;
    }
    point.put(Key::Name("value"), Piece::Float(exemplar.value))?;
    let is_id = |label: &Label, name: &str, digits: usize| {
        let value = label.value.of(body);
        label.name.of(body) == name.as_bytes()
            && value.len() == digits
            && value.iter().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
    };
    let mut others = false;
    for label in exemplar.labels {
        if is_id(label, "trace_id", 32) {
            point.put(Key::Name("trace_id"), Piece::Text(place(label.value)))?;
        } else if is_id(label, "span_id", 16) {
            point.put(Key::Name("span_id"), Piece::Text(place(label.value)))?;
        } else {
            others = true;
        }
    }
    if others {
        point.open_map(Key::Name("attributes"))?;
        let rest = exemplar.labels.iter().filter(|label| !is_id(label, "trace_id", 32) && !is_id(label, "span_id", 16));
        // Ids have no escapes: the places of those that have stay in step.
        let rest: smallvec::SmallVec<[Label; 4]> = rest.copied().collect();
        put_labels(point, body, shift, &rest, spans)?;
        point.close();
    }
    point.close();
    Ok(())
}
