//! From a point to values. What becomes of each kind is in the module's documentation.

use suiro_record::{Kind, NodeRef};
use suiro_sdk::Verdict;
use suiro_sdk::point::Point;

use super::Settings;
use crate::cloudwatch::distribution::{self, Bucket, Known, Values};
use crate::cloudwatch::metrics::translate::{cumulative, explicit, exponential};
use crate::cloudwatch::metrics::verdict::{NO_VALUE, NOT_FINITE, OUT_OF_RANGE, drop, malformed, refused};
use crate::cloudwatch::metrics::{SMALLEST, is_in_range};
use crate::cloudwatch::unit::{Counted, Unit};

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
        match self {
            Worth::Values(values) => values.iter().all(|(value, count)| is_in_range(*value) && is_in_range(*count)),
            Worth::Statistics { count, sum, min, max } => {
                [count, sum, min, max].into_iter().all(|number| is_in_range(*number))
            }
        }
    }
}
