//! From a point to values. What becomes of each kind is in the module's documentation.

use suiro_record::{Kind, NodeRef};
use suiro_sdk::{Reason, Verdict};

use super::Settings;
use super::identity::{malformed, refused};
use crate::cloudwatch::distribution::{self, Bucket, Known, Values};
use crate::cloudwatch::point::{Point, Side};
use crate::cloudwatch::unit::{Counted, Unit};

/// A count since some start: CloudWatch adds up itself.
const CUMULATIVE: Reason = Reason("cumulative");
/// The point says that it has no value, or nothing was measured.
const NO_VALUE: Reason = Reason("no_value");
/// NaN or infinite.
const NOT_FINITE: Reason = Reason("not_finite");
/// Beyond 2^360.
const OUT_OF_RANGE: Reason = Reason("out_of_range");

/// Buckets of a histogram; one with more is refused.
const MAX_BUCKETS: usize = 4096;
/// 2^360
const LARGEST: f64 = f64::from_bits((1023 + 360) << 52);
/// 2^-360
const SMALLEST: f64 = f64::from_bits((1023 - 360) << 52);

/// What a metric says at one time.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Worth {
    /// Values, and how often each occurred.
    Values(Values),
    /// What is known of values that are not.
    Statistics { count: f64, sum: f64, min: f64, max: f64 },
}

/// A metric's worth: of the point's own, or of one of its quantiles.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Said {
    pub(super) quantile: Option<f64>,
    pub(super) worth: Worth,
}

type Result<T> = std::result::Result<T, Box<Verdict>>;

/// What a point says, and in which unit.
pub(super) fn translate(settings: &Settings, point: &Point<'_>) -> Result<(Vec<Said>, Unit)> {
    if point.unrecorded {
        return Err(drop(NO_VALUE));
    }
    let counted = match &*point.kind {
        "gauge" if point.source_type == "rate" => Counted::Rate,
        "sum" => Counted::Sum,
        _ => Counted::Level,
    };
    let unit = Unit::of(&point.unit, counted);
    let translation = Translation { point, unit };
    let own = |worth| vec![Said { quantile: None, worth }];
    let said = match &*point.kind {
        _ if point.values.is_some() => own(translation.raw_values()?),
        "sum" if point.cumulative && point.monotonic && !settings.cumulative_as_is => return Err(cumulative("sum")),
        "gauge" | "sum" => own(translation.single()?),
        "histogram" | "exponential_histogram" if point.cumulative => return Err(cumulative("histogram")),
        "histogram" => own(translation.histogram(explicit(point)?)?),
        "exponential_histogram" => own(translation.histogram(exponential(point)?)?),
        "summary" if point.is_statsd() => {
            let known = || point.quantiles().filter(|(at, value)| at.is_finite() && value.is_finite());
            let lowest = known().min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, value)| value);
            let highest = known().max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, value)| value);
            own(translation.statistics(lowest, highest)?)
        }
        "summary" => translation.quantiles()?,
        "" => return Err(malformed("the record has no metric's `kind`")),
        other => return Err(malformed(&format!("`kind` is `{other}`, which is no metric's"))),
    };
    if said.is_empty() {
        return Err(drop(NO_VALUE));
    }
    if !said.iter().all(|said| said.worth.is_in_range()) {
        return Err(refused(OUT_OF_RANGE, "CloudWatch takes numbers from -2^360 to 2^360"));
    }
    Ok((said, unit))
}

/// A point being translated.
struct Translation<'p> {
    point: &'p Point<'p>,
    unit: Unit,
}

// === impl Translation ===

impl Translation<'_> {
    fn single(&self) -> Result<Worth> {
        let Some(value) = self.point.value else { return Err(drop(NO_VALUE)) };
        Ok(Worth::one(self.number(value)?))
    }

    /// A client that sends a share of its values says how many there were: each stands for several.
    fn raw_values(&self) -> Result<Worth> {
        let list = self.point.values.into_iter().flat_map(NodeRef::children);
        let mut values = Values::new();
        for value in list.filter(|node| node.kind() == Kind::Number).filter_map(NodeRef::as_f64) {
            values.push((self.number(value)?, 1.0));
        }
        if values.is_empty() {
            return Err(drop(NO_VALUE));
        }
        let each = self.point.count.map_or(1.0, |count| (count / values.len() as f64).round()).max(1.0);
        values.iter_mut().for_each(|(_, count)| *count = each);
        distribution::join(&mut values);
        Ok(Worth::Values(values))
    }

    fn histogram(&self, buckets: Vec<Bucket>) -> Result<Worth> {
        let point = self.point;
        if buckets.is_empty() {
            return self.statistics(point.min, point.max);
        }
        let known = Known { sum: point.sum, min: point.min, max: point.max };
        let mut values = distribution::values(buckets, known);
        for (value, _) in &mut values {
            *value = self.number(*value)?;
        }
        distribution::join(&mut values);
        Ok(Worth::Values(values))
    }

    /// What is known of values without buckets. An end that is not known is the average.
    fn statistics(&self, min: Option<f64>, max: Option<f64>) -> Result<Worth> {
        let Some(count) = self.point.count.filter(|&count| count != 0.0) else { return Err(drop(NO_VALUE)) };
        let Some(sum) = self.point.sum else { return Err(malformed("it has neither buckets nor a sum")) };
        if !count.is_finite() {
            return Err(drop(NOT_FINITE));
        }
        let sum = self.number(sum)?;
        let known = |value: Option<f64>| value.and_then(|value| self.number(value).ok());
        let min = known(min).unwrap_or(sum / count);
        let max = known(max).unwrap_or(sum / count);
        if count < 0.0 || min > max {
            return Err(malformed("its count is below 0, or its minimum above its maximum"));
        }
        Ok(Worth::Statistics { count, sum, min, max })
    }

    /// Quantiles as they are. What its count and sum say is since some start.
    fn quantiles(&self) -> Result<Vec<Said>> {
        // One of no observations is not a number.
        let known = self.point.quantiles().filter(|(at, value)| at.is_finite() && value.is_finite());
        known.map(|(at, value)| Ok(Said { quantile: Some(at), worth: Worth::one(self.number(value)?) })).collect()
    }

    /// A number in the unit that is sent.
    fn number(&self, value: f64) -> Result<f64> {
        let value = value * self.unit.factor;
        match value {
            _ if !value.is_finite() => Err(drop(NOT_FINITE)),
            _ if value.abs() < SMALLEST => Ok(0.0),
            _ => Ok(value),
        }
    }
}

// === impl Worth ===

impl Worth {
    fn one(value: f64) -> Worth {
        Worth::Values(vec![(value, 1.0)])
    }

    fn is_in_range(&self) -> bool {
        let is_in_range = |number: f64| number.abs() <= LARGEST;
        match self {
            Worth::Values(values) => values.iter().all(|(value, count)| is_in_range(*value) && is_in_range(*count)),
            Worth::Statistics { count, sum, min, max } => {
                [count, sum, min, max].into_iter().all(|number| is_in_range(*number))
            }
        }
    }
}

fn drop(reason: Reason) -> Box<Verdict> {
    Box::new(Verdict::Drop(reason))
}

fn cumulative(kind: &str) -> Box<Verdict> {
    let detail = format!(
        "a {kind} that counts since a start would be added up again by CloudWatch: put the filter `cumulative_to_delta` \
         before the output"
    );
    refused(CUMULATIVE, &detail)
}

/// The buckets of a histogram that are not empty.
fn explicit(point: &Point<'_>) -> Result<Vec<Bucket>> {
    let bounds = numbers(point.bounds)?;
    let counts = numbers(point.buckets)?;
    if counts.is_empty() {
        return Ok(Vec::new());
    }
    if counts.len() != bounds.len() + 1 || !bounds.windows(2).all(|pair| pair[0] < pair[1]) {
        return Err(malformed("a histogram's `bounds` ascend, and it has one of `buckets` more"));
    }
    let low = |at: usize| at.checked_sub(1).map_or(f64::NEG_INFINITY, |at| bounds[at]);
    let high = |at: usize| bounds.get(at).copied().unwrap_or(f64::INFINITY);
    filled(counts.iter().enumerate().map(|(at, &count)| Bucket { low: low(at), high: high(at), count }))
}

/// The buckets of an exponential histogram that are not empty.
fn exponential(point: &Point<'_>) -> Result<Vec<Bucket>> {
    let (negative, positive) = (numbers(point.negative.buckets)?, numbers(point.positive.buckets)?);
    if !(-10..=20).contains(&point.scale) || point.zero_threshold.is_nan() || point.zero_threshold < 0.0 {
        return Err(malformed("an exponential histogram's `scale` is -10 to 20, its `zero_threshold` not below 0"));
    }
    // Bucket `i` holds what is above `base^i`, up to `base^(i + 1)`, where `base` is `2^(2^-scale)`.
    let step = (-point.scale as f64).exp2();
    let bound = |index: f64| (index * step).exp2().clamp(f64::MIN_POSITIVE, f64::MAX);
    let index = |side: Side<'_>, at: usize| side.offset as f64 + at as f64;
    let above = positive.iter().enumerate().map(|(at, &count)| {
        let index = index(point.positive, at);
        Bucket { low: bound(index), high: bound(index + 1.0), count }
    });
    let below = negative.iter().enumerate().rev().map(|(at, &count)| {
        let index = index(point.negative, at);
        Bucket { low: -bound(index + 1.0), high: -bound(index), count }
    });
    let zero = Bucket { low: -point.zero_threshold, high: point.zero_threshold, count: point.zero_count };
    filled(below.chain(std::iter::once(zero)).chain(above))
}

fn filled(buckets: impl Iterator<Item = Bucket>) -> Result<Vec<Bucket>> {
    let filled: Vec<Bucket> = buckets.filter(|bucket| bucket.count != 0.0).collect();
    let sound = filled.iter().all(|bucket| bucket.count >= 1.0 && bucket.count.is_finite());
    if sound { Ok(filled) } else { Err(malformed("a bucket's count is a whole number")) }
}

fn numbers(list: Option<NodeRef<'_>>) -> Result<Vec<f64>> {
    let read: Option<Vec<f64>> =
        list.into_iter().flat_map(NodeRef::children).take(MAX_BUCKETS + 1).map(NodeRef::as_f64).collect();
    match read {
        Some(numbers) if numbers.len() <= MAX_BUCKETS && !numbers.iter().any(|number| number.is_nan()) => Ok(numbers),
        _ => Err(malformed("a histogram's bounds and buckets are numbers, 4096 at most")),
    }
}
