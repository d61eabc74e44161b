//! Native histograms, read.

use suiro_sdk::protobuf::{Field, Malformed, Raw, Reader, unzigzag};

use crate::point::{Exponential, Histogram, Side};
use crate::text::STALE;

/// Buckets of one histogram once gaps are filled, at most.
const MAX_BUCKETS: usize = 20_000;
/// The scale that means buckets with bounds of their own.
const CUSTOM: i64 = -53;

/// A native histogram.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Native {
    /// Milliseconds.
    pub(crate) time: i64,
    pub(crate) shape: Shape,
    /// What it counts goes up and down.
    pub(crate) gauge: bool,
    pub(crate) stale: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Exponential(Exponential),
    Custom(Histogram),
}

/// One side as the wire has it.
#[derive(Debug, Default)]
struct Wire {
    spans: Vec<(i64, u64)>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

/// Reads one. The inner error is of this histogram alone.
pub(crate) fn read(mut fields: Reader<'_>) -> Result<Result<Native, &'static str>, Malformed> {
    let (mut negative, mut positive) = (Wire::default(), Wire::default());
    let (mut count, mut zero_count) = (Ok(0), Ok(0));
    let (mut sum, mut schema, mut zero_threshold, mut time, mut gauge) = (0.0, 0, 0.0, 0, false);
    let mut bounds = Vec::new();
    while let Some(Field { number: field, value }) = fields.field()? {
        match (field, value) {
            (1, value) => count = Ok(value.uint().unwrap_or(0)),
            (2, value) => count = whole(value.double().unwrap_or(0.0)),
            (3, value) => sum = value.double().unwrap_or(0.0),
            (4, value) => schema = value.sint().unwrap_or(0),
            (5, value) => zero_threshold = value.double().unwrap_or(0.0),
            (6, value) => zero_count = Ok(value.uint().unwrap_or(0)),
            (7, value) => zero_count = whole(value.double().unwrap_or(0.0)),
            (8..=10, value) => negative.read(&fields, field - 8, value)?,
            (11..=13, value) => positive.read(&fields, field - 11, value)?,
            (14, value) => gauge = value.uint() == Some(3),
            (15, value) => time = value.int().unwrap_or(0),
            (16, Raw::Len(packed)) => {
                for bound in fields.inner(packed).doubles() {
                    bounds.push(bound?);
                }
            }
            (16, Raw::Fixed64(bits)) => bounds.push(f64::from_bits(bits)),
            _ => {}
        }
    }
    let stale = sum.to_bits() == STALE;
    let shape = || -> Result<Shape, &'static str> {
        let (count, sum) = (count?, Some(sum));
        if schema == CUSTOM {
            let dense = positive.dense()?;
            return Ok(Shape::Custom(custom(count, sum, bounds, dense)?));
        }
        let scale = i32::try_from(schema).ok().filter(|scale| (-4..=8).contains(scale));
        let scale = scale.ok_or("a native histogram's schema is from -4 to 8, or -53")?;
        let positive = shifted(positive.dense()?)?;
        let negative = shifted(negative.dense()?)?;
        let exponential =
            Exponential { count, sum, scale, zero_count: zero_count?, zero_threshold, positive, negative };
        Ok(Shape::Exponential(exponential))
    };
    Ok(shape().map(|shape| Native { time, shape, gauge, stale }))
}

fn whole(count: f64) -> Result<u64, &'static str> {
    if count.to_bits() == STALE {
        return Ok(0);
    }
    if (0.0..1.8e19).contains(&count) && count.fract() == 0.0 {
        Ok(count as u64)
    } else {
        Err("a histogram counts in fractions, which a metric point can't")
    }
}

/// Prometheus's index of a bucket is one more than OpenTelemetry's.
fn shifted(dense: (i64, Vec<u64>)) -> Result<Side, &'static str> {
    let (first, buckets) = dense;
    if buckets.is_empty() {
        return Ok(Side::default());
    }
    let offset = i32::try_from(first - 1).map_err(|_| "a span of a histogram is out of range")?;
    Ok(Side { offset, buckets })
}

fn custom(count: u64, sum: Option<f64>, bounds: Vec<f64>, dense: (i64, Vec<u64>)) -> Result<Histogram, &'static str> {
    if bounds.len() > MAX_BUCKETS || !bounds.is_sorted_by(|a, b| a < b) {
        return Err("the bounds of a histogram ascend");
    }
    let mut buckets = vec![0; bounds.len() + 1];
    for (i, n) in dense.1.into_iter().enumerate() {
        let at = usize::try_from(dense.0 + i as i64).ok().filter(|&at| at < buckets.len());
        buckets[at.ok_or("a bucket of a histogram has no bounds")?] = n;
    }
    Ok(Histogram { count, sum, bounds, buckets })
}

// === impl Wire ===

impl Wire {
    /// Field 0: a span; 1: deltas; 2: counts.
    fn read(&mut self, histogram: &Reader<'_>, field: u32, value: Raw) -> Result<(), Malformed> {
        match (field, value) {
            (0, Raw::Len(span)) => {
                let mut span = histogram.inner(span);
                let (mut offset, mut length) = (0, 0);
                while let Some(Field { number: field, value }) = span.field()? {
                    match field {
                        1 => offset = value.sint().unwrap_or(0),
                        2 => length = value.uint().unwrap_or(0),
                        _ => {}
                    }
                }
                self.spans.push((offset, length));
            }
            (1, Raw::Len(packed)) => {
                for n in histogram.inner(packed).varints() {
                    self.deltas.push(unzigzag(n?));
                }
            }
            (1, value) => self.deltas.extend(value.sint()),
            (2, Raw::Len(packed)) => {
                for n in histogram.inner(packed).doubles() {
                    self.counts.push(n?);
                }
            }
            (2, value) => self.counts.extend(value.double()),
            _ => {}
        }
        Ok(())
    }

    /// The counts one after the other, and the index of the first.
    fn dense(&self) -> Result<(i64, Vec<u64>), &'static str> {
        let mut absolute = Vec::with_capacity(self.deltas.len().max(self.counts.len()));
        let mut sum = 0_i64;
        for delta in &self.deltas {
            sum = sum
                .checked_add(*delta)
                .filter(|sum| *sum >= 0)
                .ok_or("a bucket of a histogram counts less than nothing")?;
            absolute.push(sum.cast_unsigned());
        }
        if self.deltas.is_empty() {
            for &count in &self.counts {
                absolute.push(whole(count)?);
            }
        }
        let mut counts = absolute.into_iter();
        let mut buckets = Vec::new();
        let mut first = 0;
        for (i, &(offset, length)) in self.spans.iter().enumerate() {
            let length = usize::try_from(length).ok().filter(|&length| length <= counts.len());
            let length = length.ok_or("a histogram has more buckets in its spans than counts")?;
            if i == 0 {
                first = offset;
            } else {
                let gap = usize::try_from(offset).map_err(|_| "the spans of a histogram overlap")?;
                if gap > MAX_BUCKETS - buckets.len().min(MAX_BUCKETS) {
                    return Err("a histogram has more than 20,000 buckets");
                }
                buckets.resize(buckets.len() + gap, 0);
            }
            if buckets.len() + length > MAX_BUCKETS {
                return Err("a histogram has more than 20,000 buckets");
            }
            buckets.extend(counts.by_ref().take(length));
        }
        if counts.len() > 0 {
            Err("a histogram has more counts than buckets in its spans")
        } else {
            Ok((first, buckets))
        }
    }
}
