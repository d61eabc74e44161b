//! From a point to data. What becomes of each kind is in the module's documentation.

use suiro_record::{Kind, NodeRef};
use suiro_sdk::Verdict;
use suiro_sdk::point::{Point, Side};

use super::SMALLEST;
use super::datum::{Datum, MAX_VALUES, Statistics, Worth};
use super::head::{Head, MAX_DIMENSIONS, MAX_NAME, Which};
use super::settings::{Cumulative, Histograms, Settings, Summaries};
use super::verdict::{CUMULATIVE, NO_VALUE, NOT_FINITE, OUT_OF_RANGE, TOO_MANY_DIMENSIONS, drop, malformed, refused};
use crate::cloudwatch::distribution::{self, Bucket, Known, Values};
use crate::cloudwatch::unit::{Counted, Unit};

/// Buckets of a histogram; one with more is refused.
const MAX_BUCKETS: usize = 4096;

/// A point being translated.
pub(super) struct Translation<'t> {
    pub(super) point: &'t Point<'t>,
    pub(super) head: &'t Head,
    pub(super) settings: &'t Settings,
    /// Of the point's own metric.
    unit: Unit,
    /// The heads of all data.
    text: &'t mut Vec<u8>,
    data: &'t mut Vec<Datum>,
}

pub(in crate::cloudwatch) type Said<T = ()> = Result<T, Box<Verdict>>;

// === impl Translation ===

impl<'t> Translation<'t> {
    /// Of this point; data go behind those that are there.
    pub(super) fn new(
        point: &'t Point<'t>,
        head: &'t Head,
        settings: &'t Settings,
        text: &'t mut Vec<u8>,
        data: &'t mut Vec<Datum>,
    ) -> Self {
        let counted = match &*point.kind {
            "gauge" if point.source_type == "rate" => Counted::Rate,
            "sum" => Counted::Sum,
            _ => Counted::Level,
        };
        Translation { point, head, settings, unit: Unit::of(&point.unit, counted), text, data }
    }

    /// Translates it, or says what becomes of it instead.
    pub(super) fn run(mut self) -> Said {
        let from = self.data.len();
        self.translate()?;
        match self.data.get(from..) {
            None | Some([]) => Err(drop(NO_VALUE)),
            Some(data) if data.iter().all(|datum| datum.worth.is_in_range()) => Ok(()),
            Some(_) => Err(refused(OUT_OF_RANGE, "CloudWatch takes numbers from -2^360 to 2^360")),
        }
    }

    fn translate(&mut self) -> Said {
        let point = self.point;
        if let Some(values) = point.values {
            return self.raw_values(values);
        }
        match &*point.kind {
            "gauge" => self.single(),
            "sum" if point.cumulative && point.monotonic && self.settings.cumulative == Cumulative::Refuse => {
                Err(cumulative("sum"))
            }
            "sum" => self.single(),
            "histogram" | "exponential_histogram" if point.cumulative => Err(cumulative("histogram")),
            "histogram" => self.histogram(explicit(point)?),
            "exponential_histogram" => self.histogram(exponential(point)?),
            "summary" => self.summary(),
            "" => Err(malformed("the record has no metric's `kind`")),
            other => Err(malformed(&format!("`kind` is `{other}`, which is no metric's"))),
        }
    }

    fn single(&mut self) -> Said {
        let Some(value) = self.point.value else { return Err(drop(NO_VALUE)) };
        let value = self.number(value)?;
        self.put(Which::Itself, self.unit, Worth::one(value));
        Ok(())
    }

    /// A client that sends a share of its values says how many there were: each stands for several.
    fn raw_values(&mut self, list: NodeRef<'_>) -> Said {
        let mut values = Values::new();
        for value in list.children().filter(|node| node.kind() == Kind::Number).filter_map(NodeRef::as_f64) {
            values.push((self.number(value)?, 1.0));
        }
        let each = self.point.count.map_or(1.0, |count| (count / values.len() as f64).round()).max(1.0);
        values.iter_mut().for_each(|(_, count)| *count = each);
        distribution::join(&mut values);
        self.put_values(&values);
        Ok(())
    }

    fn histogram(&mut self, buckets: Vec<Bucket>) -> Said {
        let point = self.point;
        let known = Known { sum: point.sum, min: point.min, max: point.max };
        if !buckets.is_empty() {
            let mut values = distribution::values(buckets, known);
            for (value, _) in &mut values {
                *value = self.number(*value)?;
            }
            if self.settings.histograms == Histograms::Values {
                distribution::join(&mut values);
                self.put_values(&values);
                return Ok(());
            }
            let estimated = || values.iter().map(|(value, count)| value * count).sum();
            let (Some((min, _)), Some((max, _))) = (values.first(), values.last()) else { return Ok(()) };
            let statistics = Statistics {
                count: values.iter().map(|(_, count)| count).sum(),
                sum: self.known(point.sum).unwrap_or_else(estimated),
                min: *min,
                max: *max,
            };
            self.put(Which::Itself, self.unit, Worth::Statistics(statistics));
            return Ok(());
        }
        self.statistics(point.min, point.max)
    }

    fn summary(&mut self) -> Said {
        let by_quantile = match self.settings.summaries {
            Summaries::Auto => !self.point.is_statsd(),
            Summaries::Statistics => false,
            Summaries::Quantiles => true,
        };
        if by_quantile {
            return self.quantiles();
        }
        let known = || self.point.quantiles().filter(|(at, value)| at.is_finite() && value.is_finite());
        let lowest = known().min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, value)| value);
        let highest = known().max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, value)| value);
        self.statistics(lowest, highest)
    }

    /// What is known of values without buckets. An end that is not known is the average.
    fn statistics(&mut self, min: Option<f64>, max: Option<f64>) -> Said {
        let Some(count) = self.point.count.filter(|&count| count != 0.0) else { return Err(drop(NO_VALUE)) };
        let Some(sum) = self.point.sum else { return Err(malformed("it has neither buckets nor a sum")) };
        if !count.is_finite() || !sum.is_finite() {
            return Err(drop(NOT_FINITE));
        }
        let sum = self.number(sum)?;
        let average = sum / count;
        let min = self.known(min).unwrap_or(average);
        let max = self.known(max).unwrap_or(average);
        if count < 0.0 || min > max {
            return Err(malformed("its count is below 0, or its minimum above its maximum"));
        }
        self.put(Which::Itself, self.unit, Worth::Statistics(Statistics { count, sum, min, max }));
        Ok(())
    }

    /// Quantiles as they are. What its count and sum say is since some start.
    fn quantiles(&mut self) -> Said {
        if self.head.dimensions.len() == MAX_DIMENSIONS {
            return Err(refused(TOO_MANY_DIMENSIONS, "it has thirty dimensions, and `quantile` would be one more"));
        }
        for (at, value) in self.point.quantiles() {
            // One of no observations is not a number.
            if value.is_finite() && at.is_finite() {
                let value = self.number(value)?;
                self.put(Which::Quantile(&at.to_string()), self.unit, Worth::one(value));
            }
        }
        if self.settings.cumulative == Cumulative::AsIs && self.head.name.len() + ".count".len() <= MAX_NAME {
            if let Some(count) = self.point.count {
                let unit = Unit { name: Some("Count"), factor: 1.0 };
                self.put(Which::Part("count"), unit, Worth::one(count));
            }
            if let Some(sum) = self.known(self.point.sum) {
                self.put(Which::Part("sum"), self.unit, Worth::one(sum));
            }
        }
        Ok(())
    }

    /// A number in the unit that is sent.
    fn number(&self, value: f64) -> Said<f64> {
        let value = value * self.unit.factor;
        match value {
            _ if !value.is_finite() => Err(drop(NOT_FINITE)),
            _ if value.abs() < SMALLEST => Ok(0.0),
            _ => Ok(value),
        }
    }

    /// One that may not be known.
    fn known(&self, value: Option<f64>) -> Option<f64> {
        value.and_then(|value| self.number(value).ok())
    }

    fn put(&mut self, which: Which<'_>, unit: Unit, worth: Worth) {
        let from = self.text.len();
        self.head.write(which, unit, self.point.time, self.settings.resolution, self.text);
        self.data.push(Datum { head: from..self.text.len(), worth });
    }

    /// Values of the point's own metric: in as many data as they need.
    fn put_values(&mut self, values: &[(f64, f64)]) {
        if values.is_empty() {
            return;
        }
        let from = self.text.len();
        self.head.write(Which::Itself, self.unit, self.point.time, self.settings.resolution, self.text);
        let head = from..self.text.len();
        let datum = |values: &[(f64, f64)]| Datum { head: head.clone(), worth: Worth::Values(values.into()) };
        self.data.extend(values.chunks(MAX_VALUES).map(datum));
    }
}

pub(in crate::cloudwatch) fn cumulative(kind: &str) -> Box<Verdict> {
    let detail = format!(
        "a {kind} that counts since a start would be added up again by CloudWatch: put the filter `cumulative_to_delta` \
         before the output"
    );
    refused(CUMULATIVE, &detail)
}

/// The buckets of a histogram that are not empty.
pub(in crate::cloudwatch) fn explicit(point: &Point<'_>) -> Said<Vec<Bucket>> {
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
pub(in crate::cloudwatch) fn exponential(point: &Point<'_>) -> Said<Vec<Bucket>> {
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

fn filled(buckets: impl Iterator<Item = Bucket>) -> Said<Vec<Bucket>> {
    let filled: Vec<Bucket> = buckets.filter(|bucket| bucket.count != 0.0).collect();
    let sound = filled.iter().all(|bucket| bucket.count >= 1.0 && bucket.count.is_finite());
    if sound { Ok(filled) } else { Err(malformed("a bucket's count is a whole number")) }
}

fn numbers(list: Option<NodeRef<'_>>) -> Said<Vec<f64>> {
    let read: Option<Vec<f64>> =
        list.into_iter().flat_map(NodeRef::children).take(MAX_BUCKETS + 1).map(NodeRef::as_f64).collect();
    match read {
        Some(numbers) if numbers.len() <= MAX_BUCKETS && !numbers.iter().any(|number| number.is_nan()) => Ok(numbers),
        _ => Err(malformed("a histogram's bounds and buckets are numbers, 4096 at most")),
    }
}
