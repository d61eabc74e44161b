//! One series of a remote-write request, as its message says it: spans of the request, nothing copied.

use std::ops::Range;

use smallvec::SmallVec;
use suiro_sdk::protobuf::{Field, Malformed, Raw, Reader};

use super::histogram::{self, Native};

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

/// Where a text stands, which is UTF-8.
pub(super) fn checked(reader: &Reader<'_>, text: Span) -> Result<Span, Malformed> {
    reader.inner(text.clone()).text()?;
    Ok(text)
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

    pub(super) fn v1(&mut self, mut message: Reader<'_>) -> Result<(), Malformed> {
        while let Some(Field { number: field, value }) = message.field()? {
            let Raw::Len(inner) = value else { continue };
            match field {
                1 => {
                    let label = read_label(message.inner(inner))?;
                    self.label(label, &message)?;
                }
                2 => self.samples.push(read_sample(&message, inner)?),
                3 => {
                    let mut exemplar = Exemplar::default();
                    let mut fields = message.inner(inner);
                    while let Some(Field { number: field, value }) = fields.field()? {
                        match (field, value) {
                            (1, Raw::Len(label)) => exemplar.labels.push(read_label(fields.inner(label))?),
                            (field, value) => exemplar.field(field, &value),
                        }
                    }
                    self.exemplars.push(exemplar);
                }
                4 => self.histograms.push((histogram::read(message.inner(inner.clone()))?, inner)),
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn v2(&mut self, mut message: Reader<'_>, symbols: &[Span]) -> Result<(), Malformed> {
        let symbol = |id: u64, at: &Reader<'_>| match usize::try_from(id).ok().and_then(|id| symbols.get(id)) {
            Some(span) => Ok(span.clone()),
            None => at.fail("a reference names no symbol"),
        };
        let mut refs: SmallVec<[Span; 32]> = SmallVec::new();
        while let Some(Field { number: field, value }) = message.field()? {
            match (field, value) {
                (1, Raw::Len(packed)) => {
                    let packed_refs = message.inner(packed.clone());
                    if packed.len() > 10 * 2 * MAX_LABELS {
                        return packed_refs.fail("a series has more than 256 labels");
                    }
                    for id in packed_refs.varints() {
                        refs.push(symbol(id?, &packed_refs)?);
                    }
                }
                (1, Raw::Varint(id)) => refs.push(symbol(id, &message)?),
                (2, Raw::Len(inner)) => self.samples.push(read_sample(&message, inner)?),
                (3, Raw::Len(inner)) => {
                    self.histograms.push((histogram::read(message.inner(inner.clone()))?, inner));
                }
                (4, Raw::Len(inner)) => {
                    let mut fields = message.inner(inner);
                    let mut exemplar = Exemplar::default();
                    let mut refs: SmallVec<[Span; 8]> = SmallVec::new();
                    while let Some(Field { number: field, value }) = fields.field()? {
                        match (field, value) {
                            (1, Raw::Len(packed)) => {
                                for id in fields.inner(packed).varints() {
                                    refs.push(symbol(id?, &fields)?);
                                }
                            }
                            (1, Raw::Varint(id)) => refs.push(symbol(id, &fields)?),
                            (field, value) => exemplar.field(field, &value),
                        }
                    }
                    exemplar.labels = pairs(&refs, &message)?.collect();
                    self.exemplars.push(exemplar);
                }
                (5, Raw::Len(inner)) => {
                    let mut fields = message.inner(inner);
                    while let Some(Field { number: field, value }) = fields.field()? {
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

    fn label(&mut self, label: (Span, Span), at: &Reader<'_>) -> Result<(), Malformed> {
        if self.labels.len() >= MAX_LABELS {
            return at.fail("a series has more than 256 labels");
        }
        self.labels.push(label);
        Ok(())
    }
}

impl Exemplar {
    fn field(&mut self, field: u32, value: &Raw) {
        match field {
            2 => self.value = value.double().unwrap_or(0.0),
            3 => self.time = value.int().unwrap_or(0),
            _ => {}
        }
    }
}

fn pairs<'s>(refs: &'s [Span], at: &Reader<'_>) -> Result<impl Iterator<Item = (Span, Span)> + use<'s>, Malformed> {
    if !refs.len().is_multiple_of(2) {
        return at.fail("a label has a name and no value");
    }
    Ok(refs.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())))
}

fn read_label(mut fields: Reader<'_>) -> Result<(Span, Span), Malformed> {
    let (mut name, mut value) = (0..0, 0..0);
    while let Some(Field { number: field, value: inner }) = fields.field()? {
        match (field, inner) {
            (1, Raw::Len(text)) => name = checked(&fields, text)?,
            (2, Raw::Len(text)) => value = checked(&fields, text)?,
            _ => {}
        }
    }
    Ok((name, value))
}

fn read_sample(message: &Reader<'_>, place: Span) -> Result<(i64, f64, Span), Malformed> {
    let mut fields = message.inner(place.clone());
    let (mut time, mut value) = (0, 0.0);
    while let Some(Field { number: field, value: inner }) = fields.field()? {
        match field {
            1 => value = inner.double().unwrap_or(0.0),
            2 => time = inner.int().unwrap_or(0),
            _ => {}
        }
    }
    Ok((time, value, place))
}
