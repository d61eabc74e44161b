//! One series of a remote-write request, as its message says it: spans of the request, nothing copied.

use std::ops::Range;

use smallvec::SmallVec;

use super::histogram::{self, Native};
use super::protobuf::{Fields, Malformed, Value};
use crate::text::Type;

/// Labels of a series, at most.
const MAX_LABELS: usize = 256;

/// A place in the request.
pub(super) type Span = Range<usize>;

/// What is known of a metric.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    pub(super) kind: Type,
    pub(super) help: Span,
    pub(super) unit: Span,
}

/// A series being read. Its memory is used for the next.
#[derive(Debug, Default)]
pub(super) struct Series {
    pub(super) labels: Vec<(Span, Span)>,
    pub(super) samples: Vec<(i64, f64, Span)>,
    pub(super) histograms: Vec<(Result<Native, &'static str>, Span)>,
    pub(super) exemplars: Vec<Exemplar>,
    pub(super) about: About,
    /// Milliseconds.
    pub(super) created: i64,
}

#[derive(Debug, Default)]
pub(super) struct Exemplar {
    pub(super) labels: SmallVec<[(Span, Span); 4]>,
    pub(super) value: f64,
    pub(super) time: i64,
}

pub(super) fn type_of(number: u64) -> Type {
    match number {
        1 => Type::Counter,
        2 => Type::Gauge,
        3 => Type::Histogram,
        4 => Type::GaugeHistogram,
        5 => Type::Summary,
        6 => Type::Info,
        7 => Type::StateSet,
        _ => Type::Unknown,
    }
}

pub(super) fn checked(text: &Fields<'_>) -> Result<Span, Malformed> {
    text.text()?;
    Ok(text.range())
}

// === impl Series ===

impl Series {
    pub(super) fn clear(&mut self) {
        let Series { labels, samples, histograms, exemplars, .. } = self;
        labels.clear();
        samples.clear();
        histograms.clear();
        exemplars.clear();
        self.about = About::default();
        self.created = 0;
    }

    pub(super) fn v1(&mut self, mut message: Fields<'_>) -> Result<(), Malformed> {
        while let Some((field, value)) = message.next()? {
            let Value::Bytes(inner) = value else { continue };
            match field {
                1 => {
                    let label = read_label(inner)?;
                    self.label(label, &message)?;
                }
                2 => self.samples.push(read_sample(inner)?),
                3 => {
                    let mut exemplar = Exemplar::default();
                    let mut fields = inner;
                    while let Some((field, value)) = fields.next()? {
                        match (field, value) {
                            (1, Value::Bytes(label)) => exemplar.labels.push(read_label(label)?),
                            (field, value) => exemplar.field(field, &value),
                        }
                    }
                    self.exemplars.push(exemplar);
                }
                4 => self.histograms.push((histogram::read(inner.clone())?, inner.range())),
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn v2(&mut self, mut message: Fields<'_>, symbols: &[Span]) -> Result<(), Malformed> {
        let symbol = |id: u64, at: &Fields<'_>| match usize::try_from(id).ok().and_then(|id| symbols.get(id)) {
            Some(span) => Ok(span.clone()),
            None => at.wrong("a reference names no symbol"),
        };
        let mut refs: SmallVec<[Span; 32]> = SmallVec::new();
        while let Some((field, value)) = message.next()? {
            match (field, value) {
                (1, Value::Bytes(packed)) => {
                    if packed.bytes().len() > 10 * 2 * MAX_LABELS {
                        return packed.wrong("a series has more than 256 labels");
                    }
                    for id in packed.clone().varints() {
                        refs.push(symbol(id?, &packed)?);
                    }
                }
                (1, Value::Varint(id)) => refs.push(symbol(id, &message)?),
                (2, Value::Bytes(inner)) => self.samples.push(read_sample(inner)?),
                (3, Value::Bytes(inner)) => self.histograms.push((histogram::read(inner.clone())?, inner.range())),
                (4, Value::Bytes(mut fields)) => {
                    let mut exemplar = Exemplar::default();
                    let mut refs: SmallVec<[Span; 8]> = SmallVec::new();
                    while let Some((field, value)) = fields.next()? {
                        match (field, value) {
                            (1, Value::Bytes(packed)) => {
                                for id in packed.clone().varints() {
                                    refs.push(symbol(id?, &packed)?);
                                }
                            }
                            (1, Value::Varint(id)) => refs.push(symbol(id, &fields)?),
                            (field, value) => exemplar.field(field, &value),
                        }
                    }
                    exemplar.labels = pairs(&refs, &message)?.collect();
                    self.exemplars.push(exemplar);
                }
                (5, Value::Bytes(mut fields)) => {
                    while let Some((field, value)) = fields.next()? {
                        let number = value.uint().unwrap_or(0);
                        match field {
                            1 => self.about.kind = type_of(number),
                            3 => self.about.help = symbol(number, &fields)?,
                            4 => self.about.unit = symbol(number, &fields)?,
                            _ => {}
                        }
                    }
                }
                (6, value) => self.created = value.int().unwrap_or(0),
                _ => {}
            }
        }
        for label in pairs(&refs, &message)? {
            self.label(label, &message)?;
        }
        Ok(())
    }

    fn label(&mut self, label: (Span, Span), at: &Fields<'_>) -> Result<(), Malformed> {
        if self.labels.len() >= MAX_LABELS {
            return at.wrong("a series has more than 256 labels");
        }
        self.labels.push(label);
        Ok(())
    }
}

impl Exemplar {
    fn field(&mut self, field: u32, value: &Value<'_>) {
        match field {
            2 => self.value = value.double().unwrap_or(0.0),
            3 => self.time = value.int().unwrap_or(0),
            _ => {}
        }
    }
}

fn pairs<'s>(refs: &'s [Span], at: &Fields<'_>) -> Result<impl Iterator<Item = (Span, Span)> + use<'s>, Malformed> {
    if !refs.len().is_multiple_of(2) {
        return at.wrong("a label has a name and no value");
    }
    Ok(refs.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())))
}

fn read_label(mut fields: Fields<'_>) -> Result<(Span, Span), Malformed> {
    let (mut name, mut value) = (0..0, 0..0);
    while let Some((field, inner)) = fields.next()? {
        match (field, inner) {
            (1, Value::Bytes(text)) => name = checked(&text)?,
            (2, Value::Bytes(text)) => value = checked(&text)?,
            _ => {}
        }
    }
    Ok((name, value))
}

fn read_sample(mut fields: Fields<'_>) -> Result<(i64, f64, Span), Malformed> {
    let place = fields.range();
    let (mut time, mut value) = (0, 0.0);
    while let Some((field, inner)) = fields.next()? {
        match field {
            1 => value = inner.double().unwrap_or(0.0),
            2 => time = inner.int().unwrap_or(0),
            _ => {}
        }
    }
    Ok((time, value, place))
}
