//! A datum: what `MetricData` is a list of.
//!
//! Its head (name, dimensions, unit, time, resolution) is encoded once, with [`MARK`] where `&MetricData.member.N.` goes: N
//! is known when the request is written. Equal heads are one metric at one time, whose values can stand in one datum.

use std::io::Write as _;
use std::ops::Range;

use smallvec::SmallVec;

use super::query;

/// Where a parameter begins. No encoded text holds it.
pub(super) const MARK: u8 = 0;

/// Values of one datum, at most.
pub(super) const MAX_VALUES: usize = 150;

/// `&MetricData.member.1000.`, bytes.
const PREFIX: usize = 24;
/// Of a value and its count with their names, bytes: `Values.member.150=`, `Counts.member.150=` and two numbers.
const VALUE: usize = 2 * (PREFIX + 18 + NUMBER);
/// A number, bytes: sign, 17 digits, point and exponent.
const NUMBER: usize = 25;
/// Of a statistic set, bytes: `StatisticValues.SampleCount=` and so on.
const STATISTICS: usize = 4 * (PREFIX + 28 + NUMBER);

/// A datum.
#[derive(Clone, Debug)]
pub(super) struct Datum {
    /// Where its head stands in the text of all of them.
    pub(super) head: Range<usize>,
    pub(super) worth: Worth,
}

/// What it says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Worth {
    /// Values, and how often each occurred.
    Values(SmallVec<[(f64, f64); 1]>),
    /// What is known of values that are not.
    Statistics(Statistics),
}

/// A statistic set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Statistics {
    pub(super) count: f64,
    pub(super) sum: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

// === impl Datum ===

impl Datum {
    /// Bytes it takes in a body, at most.
    pub(super) fn cost(&self, text: &[u8]) -> usize {
        let head = &text[self.head.clone()];
        let parameters = head.iter().filter(|&&byte| byte == MARK).count();
        head.len() + parameters * (PREFIX - 1) + self.worth.cost()
    }

    /// Appends it as member `n`, from 1 on.
    pub(super) fn write(&self, n: usize, text: &[u8], out: &mut Vec<u8>) {
        let prefix = format!("&MetricData.member.{n}.").into_bytes();
        for (at, piece) in text[self.head.clone()].split(|&byte| byte == MARK).enumerate() {
            if at > 0 {
                out.extend_from_slice(&prefix);
            }
            out.extend_from_slice(piece);
        }
        let mut put = |name: std::fmt::Arguments<'_>, value: f64| {
            out.extend_from_slice(&prefix);
            let _ = write!(out, "{name}=");
            query::number(value, out);
        };
        match &self.worth {
            Worth::Values(values) => match values.as_slice() {
                [(value, 1.0)] => put(format_args!("Value"), *value),
                values => {
                    for (at, (value, _)) in values.iter().enumerate() {
                        put(format_args!("Values.member.{}", at + 1), *value);
                    }
                    if values.iter().any(|(_, count)| *count != 1.0) {
                        for (at, (_, count)) in values.iter().enumerate() {
                            put(format_args!("Counts.member.{}", at + 1), *count);
                        }
                    }
                }
            },
            Worth::Statistics(Statistics { count, sum, min, max }) => {
                put(format_args!("StatisticValues.SampleCount"), *count);
                put(format_args!("StatisticValues.Sum"), *sum);
                put(format_args!("StatisticValues.Minimum"), *min);
                put(format_args!("StatisticValues.Maximum"), *max);
            }
        }
    }
}

// === impl Worth ===

impl Worth {
    /// One value.
    pub(super) fn one(value: f64) -> Worth {
        Worth::Values(SmallVec::from_buf([(value, 1.0)]))
    }

    /// Bytes it takes in a body, at most, and as part of another one.
    pub(super) fn cost(&self) -> usize {
        match self {
            Worth::Values(values) => values.len() * VALUE,
            Worth::Statistics(_) => STATISTICS,
        }
    }

    /// Whether it has room for another one of the same metric and time.
    pub(super) fn has_room(&self, other: &Worth) -> bool {
        match (self, other) {
            (Worth::Values(own), Worth::Values(other)) => own.len() + other.len() <= MAX_VALUES,
            // Sums may leave the range of numbers that are taken; then each stays by itself.
            (Worth::Statistics(own), Worth::Statistics(other)) => {
                super::is_in_range(own.sum + other.sum) && super::is_in_range(own.count + other.count)
            }
            _ => false,
        }
    }

    /// Takes in another one, for which it has room.
    pub(super) fn merge(&mut self, other: &Worth) {
        match (self, other) {
            (Worth::Values(own), Worth::Values(other)) => {
                for &(value, count) in other {
                    match own.iter_mut().find(|(known, _)| *known == value) {
                        Some((_, known)) => *known += count,
                        None => own.push((value, count)),
                    }
                }
            }
            (Worth::Statistics(own), Worth::Statistics(other)) => {
                own.count += other.count;
                own.sum += other.sum;
                own.min = own.min.min(other.min);
                own.max = own.max.max(other.max);
            }
            _ => {}
        }
    }

    /// Whether CloudWatch takes all of its numbers.
    pub(super) fn is_in_range(&self) -> bool {
        match self {
            Worth::Values(values) => {
                values.iter().all(|(value, count)| super::is_in_range(*value) && super::is_in_range(*count))
            }
            Worth::Statistics(Statistics { count, sum, min, max }) => {
                [count, sum, min, max].into_iter().all(|number| super::is_in_range(*number))
            }
        }
    }
}
